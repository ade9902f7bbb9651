"""A store of objects, in a folder or on S3, with one behaviour.

Belongs here: put, get, list and delete of whole objects. A put is atomic: a reader sees the old object or the new one.
Does not: what the objects mean (`ingestion.raw.zone`) or where the settings come from.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from ingestion.domain.errors import StorageError
from ingestion.raw.durable import atomic_write, sweep, sync

if TYPE_CHECKING:
    from botocore.client import BaseClient

_SETTING: Final = "the storage URL"
# Of S3: to connect, and to wait for the next bytes. A server that is there answers in milliseconds, and boto3's own
# minute each, six times, would hold a run for ten.
_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 20.0
_ATTEMPTS: Final = 6
# Before a run: with the start of the program, a server that is not there is reported in 15 s.
_CHECK_SECONDS: Final = 3.0
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_BLOCK: Final = 1 << 20
_SMALL: Final = 1 << 16
_NOTHING: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})


@dataclass(frozen=True)
class S3Options:
    """How to reach S3. An option that is None is left to boto3's own chain (profile, instance role, …)."""

    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None


class StoredObject(NamedTuple):  # a third of the time and memory of a dataclass: a zone has some 100,000
    """One listed object. `version` changes whenever its bytes do."""

    key: str
    size: int
    version: str


class ObjectStore(Protocol):
    """Keys are relative, `/`-separated and never start with `/`. Every failure is a StorageError.

    `at_once`: how many objects are best read at the same time.
    """

    at_once: int

    def put_file(self, key: str, path: Path, *, durable: bool = False) -> None: ...
    def put_bytes(self, key: str, payload: bytes, *, only_if_absent: bool = False, durable: bool = False) -> bool:
        """Write the object; with `only_if_absent`, leave an existing one alone and return False.

        `durable`: it is on the disk, and not only on its way there, when this returns. On S3 it always is.
        """
        ...

    def copy(self, source: str, key: str) -> None:
        """Make `key` the same object as `source`, without reading it. For objects that are replaced, never rewritten.

        In a folder both become names of one file, where the file system knows such links.
        """
        ...

    def get_bytes(self, key: str) -> bytes | None:
        """The object's bytes, or None when there is none."""
        ...

    def sha256(self, key: str) -> str | None:
        """The sha256 of the object's bytes, read in blocks, or None when there is none."""
        ...

    def list(self, prefix: str = "", *, only: Mapping[str, Sequence[str]] = _NOTHING) -> list[StoredObject]:
        """Every object below `prefix` (a folder, without its trailing slash), in key order.

        `only`: by folder, names of objects. A store may leave out what else is in those folders: to look at two files
        costs a third of listing their folder.
        """
        ...

    def delete(self, key: str) -> None: ...
    def sweep(self, prefix: str) -> None:
        """Remove what killed writers left below `prefix` of objects that they never put in place."""
        ...

    def url(self, key: str) -> str:
        """How DuckDB, pandas or Spark address the object: an absolute path or `s3://…`."""
        ...


def open_store(url: str | Path, s3: S3Options | None = None, *, setting: str = _SETTING) -> ObjectStore:
    """The store at a folder, a `file://` URL or `s3://bucket/prefix`. `setting`: its name in messages."""
    parts = urlsplit(str(url))
    if parts.scheme == "s3":
        if not parts.netloc:
            raise StorageError(f"storage URL `{url}` names no bucket; write s3://bucket/prefix")
        return S3Store(parts.netloc, parts.path.strip("/"), s3 or S3Options())
    if parts.scheme == "file":
        return LocalStore(Path(unquote(parts.path)), setting=setting)
    if "://" in str(url):
        raise StorageError(f"storage URL `{url}` is neither a folder nor s3://bucket/prefix")
    return LocalStore(Path(url), setting=setting)


class LocalStore:
    """Objects as files below a folder."""

    at_once = 4  # more threads wait for each other rather than for the disk

    def __init__(self, root: Path, *, setting: str = _SETTING) -> None:
        self.root = root.absolute()
        self._setting = setting

    def put_file(self, key: str, path: Path, *, durable: bool = False) -> None:
        with self._staged(key, durable) as staged, path.open("rb") as source, staged.open("wb") as target:
            while block := source.read(1 << 20):
                target.write(block)

    def put_bytes(self, key: str, payload: bytes, *, only_if_absent: bool = False, durable: bool = False) -> bool:
        if only_if_absent and (self.root / key).exists():
            return False
        with self._staged(key, durable) as staged:
            staged.write_bytes(payload)
        return True

    def copy(self, source: str, key: str) -> None:
        path = self.root / source
        with contextlib.suppress(OSError):
            if path.samefile(self.root / key):
                return  # to rename one name of a file to another of its names would keep both
        with self._staged(key, durable=False) as staged:
            try:
                staged.unlink()  # only who deletes abandoned files could take it for one, and none does meanwhile
                os.link(path, staged)
            except OSError:  # no links here, or too many
                shutil.copyfile(path, staged)

    def get_bytes(self, key: str) -> bytes | None:
        try:
            with self._opened(key) as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {self.root / key}: {error.strerror}; check {self._setting}") from error

    def sha256(self, key: str) -> str | None:
        try:
            with self._opened(key) as file:
                digest = hashlib.sha256()
                size = _SMALL  # most objects are small, and a large block costs to allocate
                while block := file.read(size):
                    digest.update(block)
                    size = _BLOCK if len(block) == size else _SMALL
                return digest.hexdigest()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {self.root / key}: {error.strerror}; check {self._setting}") from error

    def _opened(self, key: str) -> io.FileIO:
        return io.FileIO(f"{self.root}/{key}")

    def list(self, prefix: str = "", *, only: Mapping[str, Sequence[str]] = _NOTHING) -> list[StoredObject]:
        try:
            return sorted(self._walk(prefix, only), key=itemgetter(0))
        except OSError as error:
            raise StorageError(f"cannot list {self.root / prefix}: {error.strerror}; check {self._setting}") from error

    def delete(self, key: str) -> None:
        try:
            (self.root / key).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot delete {self.root / key}: {error.strerror}; check {self._setting}") from error

    def sweep(self, prefix: str) -> None:
        sweep(self.root / prefix)

    def url(self, key: str) -> str:
        return str(self.root / key)

    def _walk(self, prefix: str, only: Mapping[str, Sequence[str]]) -> Iterator[StoredObject]:
        """Keys and paths grow by plain concatenation: to compute them for each file took most of a listing's time."""
        root = f"{self.root}/"
        folders = [prefix]
        while folders:
            folder = folders.pop()
            if folder in only:
                for name in only[folder]:
                    key = f"{folder}/{name}"
                    try:
                        found = os.stat(root + key)
                    except FileNotFoundError:
                        continue
                    yield _listed(key, found)
                continue
            try:
                entries = os.scandir(os.path.join(self.root, folder))
            except FileNotFoundError:
                continue
            below = f"{folder}/" if folder else ""
            with entries:
                for entry in entries:
                    if entry.is_dir():
                        folders.append(below + entry.name)
                    elif not entry.name.startswith("."):
                        yield _listed(below + entry.name, entry.stat())

    @contextmanager
    def _staged(self, key: str, durable: bool) -> Iterator[Path]:
        """A hidden file beside the target that replaces it when the block ends well."""
        target = self.root / key
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(target, durable=durable) as staged:
                yield staged
            if durable:
                for folder in (target.parent, *target.parent.parents):
                    sync(folder)
                    if folder == self.root:
                        break
        except OSError as error:
            raise StorageError(
                f"cannot write {target}: {error.strerror or error}; "
                f"check that the folder of {self._setting} is writable and not full"
            ) from error


class S3Store:
    """Objects below a prefix of an S3 bucket, through boto3."""

    at_once = 16

    def __init__(self, bucket: str, prefix: str, options: S3Options) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self._options = options
        self._connected: BaseClient | None = None
        self._connecting = threading.Lock()

    @property
    def _client(self) -> Any:
        with self._connecting:  # threads may share a client, but not create it at the same time
            if self._connected is None:
                self._connected = self._connect(_CONNECT_SECONDS, _ATTEMPTS)
        return self._connected

    def check(self) -> None:
        """One request, soon answered. StorageError when no server answers, or when it refuses these credentials.

        A server that is busy counts as one that answers: the requests of a run are repeated.
        """
        from botocore.exceptions import ClientError

        client: Any = self._connect(_CHECK_SECONDS, 1)
        with self._translated_errors("", "reach"):
            try:
                client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)
            except ClientError as error:
                if _status(error) not in _BUSY:
                    raise

    def _connect(self, connect_seconds: float, attempts: int) -> BaseClient:
        import boto3
        from botocore.config import Config

        session = boto3.session.Session()
        return session.client(
            "s3",
            endpoint_url=self._options.endpoint_url,
            # A server other than AWS may have no regions, but a signature always needs one.
            region_name=self._options.region or session.region_name or "us-east-1",
            aws_access_key_id=self._options.access_key_id,
            aws_secret_access_key=self._options.secret_access_key,
            aws_session_token=self._options.session_token,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": attempts},
                connect_timeout=connect_seconds,
                read_timeout=min(_READ_SECONDS, 2 * connect_seconds),
                max_pool_connections=32,
                # Servers other than AWS address the bucket by path, not by host name.
                s3={"addressing_style": "path" if self._options.endpoint_url else "auto"},
            ),
        )

    def put_file(self, key: str, path: Path, *, durable: bool = False) -> None:
        with self._translated_errors(key, "write"):
            self._client.upload_file(str(path), self.bucket, self.prefix + key)

    def copy(self, source: str, key: str) -> None:
        with self._translated_errors(key, "write"):
            here = {"Bucket": self.bucket, "Key": self.prefix + source}
            self._client.copy(here, self.bucket, self.prefix + key)

    def put_bytes(self, key: str, payload: bytes, *, only_if_absent: bool = False, durable: bool = False) -> bool:
        condition = {"IfNoneMatch": "*"} if only_if_absent else {}
        with self._translated_errors(key, "write"):
            try:
                self._client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=payload, **condition)
            except self._client.exceptions.ClientError as error:
                if only_if_absent and _status(error) in (409, 412):
                    return False
                raise
        return True

    def get_bytes(self, key: str) -> bytes | None:
        with self._translated_errors(key, "read"):
            body = self._body(key)
            payload: bytes | None = body.read() if body is not None else None
        return payload

    def sha256(self, key: str) -> str | None:
        with self._translated_errors(key, "read"):
            body = self._body(key)
            if body is None:
                return None
            digest = hashlib.sha256()
            for block in body.iter_chunks(_BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def _body(self, key: str) -> Any:
        """The object's bytes as a stream; None when there is none."""
        from botocore.exceptions import ClientError  # slow to import, and not needed for a folder

        try:
            return self._client.get_object(Bucket=self.bucket, Key=self.prefix + key)["Body"]
        except ClientError as error:
            # By its code: boto3 creates the class of this error anew in each of several first threads.
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None

    def list(self, prefix: str = "", *, only: Mapping[str, Sequence[str]] = _NOTHING) -> list[StoredObject]:
        folder = self.prefix + (f"{prefix}/" if prefix else "")
        with self._translated_errors(prefix, "list"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=folder)
            found = [
                StoredObject(entry["Key"].removeprefix(self.prefix), entry["Size"], entry["ETag"].strip('"'))
                for page in pages
                for entry in page.get("Contents", ())
            ]
        return sorted(found, key=itemgetter(0))

    def delete(self, key: str) -> None:
        with self._translated_errors(key, "delete"):
            self._client.delete_object(Bucket=self.bucket, Key=self.prefix + key)

    def sweep(self, prefix: str) -> None:
        """Nothing: a put that was cut leaves no object. Its parts are the bucket's to expire (a lifecycle rule)."""

    def url(self, key: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}{key}"

    @contextmanager
    def _translated_errors(self, key: str, verb: str) -> Iterator[None]:
        from boto3.exceptions import S3UploadFailedError
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError, S3UploadFailedError) as error:
            raise StorageError(
                f"cannot {verb} {self.url(key)}: {error}; check the bucket, AWS_ENDPOINT_URL and the AWS_* credentials"
            ) from error


def _listed(key: str, found: os.stat_result) -> StoredObject:
    return StoredObject(key, found.st_size, f"{found.st_mtime_ns}-{found.st_ino}-{found.st_size}")


def check_s3(url: str, options: S3Options | None) -> None:
    """One request to the bucket of `s3://bucket/prefix`, soon answered. Raises StorageError."""
    store = open_store(url, options)
    if isinstance(store, S3Store):
        store.check()


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
