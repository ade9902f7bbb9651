"""The store of objects in an S3 bucket, through boto3.

Belongs here: how S3 is reached, how long it is waited for, and its errors in plain words. Does not: what every store
does (`ingestion.raw.store`).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ingestion.domain.errors import StorageError
from ingestion.raw.store import BLOCK, NOTHING, StoredObject

if TYPE_CHECKING:
    import boto3
    from botocore.client import BaseClient
    from botocore.loaders import Loader

# Of S3: to connect, and to wait for the next bytes. A server that is there answers in milliseconds, and boto3's own
# minute each, six times, would hold a run for ten.
_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 20.0
_ATTEMPTS: Final = 6
# Before a run: with the start of the program, a server that is not there is reported in 15 s.
_CHECK_SECONDS: Final = 3.0
_BUSY: Final = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class S3Options:
    """How to reach S3. An option that is None is left to boto3's own chain (profile, instance role, …)."""

    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None


def _session() -> boto3.session.Session:
    """A session of boto3's own chain. What describes AWS's services is read once per process: of a session it is most
    of what the first client costs, 0.08 s."""
    import boto3
    import botocore.session

    core = botocore.session.get_session()
    core.register_component("data_loader", _descriptions(core.get_config_variable("data_path")))
    return boto3.session.Session(botocore_session=core)


@cache
def _descriptions(data_path: str | None) -> Loader:
    from botocore.loaders import create_loader

    return create_loader(data_path)


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
        from botocore.config import Config

        session = _session()
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

    def replace_bytes(self, key: str, payload: bytes, version: str | None) -> bool:
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": f'"{version}"'}
        with self._translated_errors(key, "write"):
            try:
                self._client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=payload, **condition)
            except self._client.exceptions.ClientError as error:
                if _status(error) in (409, 412) or error.response["Error"]["Code"] == "NoSuchKey":
                    return False
                raise
        return True

    def get_bytes(self, key: str) -> bytes | None:
        found = self.get_version(key)
        return found[0] if found else None

    def get_file(self, key: str, path: Path) -> bool:
        with self._translated_errors(key, "read"), path.open("wb") as target:
            found = self._got(key)
            for block in found["Body"].iter_chunks(BLOCK) if found else ():
                target.write(block)
        return found is not None

    def get_version(self, key: str) -> tuple[bytes, str] | None:
        with self._translated_errors(key, "read"):
            found = self._got(key)
            return (found["Body"].read(), found["ETag"].strip('"')) if found else None

    def sha256(self, key: str) -> str | None:
        with self._translated_errors(key, "read"):
            found = self._got(key)
            if found is None:
                return None
            digest = hashlib.sha256()
            for block in found["Body"].iter_chunks(BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def _got(self, key: str) -> Any:
        """The answer to a request for the object, its bytes as a stream; None when there is none."""
        from botocore.exceptions import ClientError  # slow to import, and not needed for a folder

        try:
            return self._client.get_object(Bucket=self.bucket, Key=self.prefix + key)
        except ClientError as error:
            # By its code: boto3 creates the class of this error anew in each of several first threads.
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None

    def list(self, prefix: str = "", *, only: Mapping[str, Sequence[str]] = NOTHING) -> list[StoredObject]:
        return [*self.list_beginning(f"{prefix}/" if prefix else "")]

    def list_beginning(self, text: str) -> Sequence[StoredObject]:
        with self._translated_errors(text, "list"):
            beginning = self.prefix + text
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=beginning)
            found = [
                StoredObject(entry["Key"].removeprefix(self.prefix), entry["Size"], entry["ETag"].strip('"'))
                for page in pages
                for entry in page.get("Contents", ())
            ]
        return sorted(found, key=itemgetter(0))

    def delete(self, key: str) -> None:
        with self._translated_errors(key, "delete"):
            self._client.delete_object(Bucket=self.bucket, Key=self.prefix + key)

    def prune(self, folder: str) -> None:
        """Nothing: a bucket has no folders."""

    def sweep(self, prefix: str) -> None:
        """Nothing: a put that was cut leaves no object. Its parts are the bucket's to expire (a lifecycle rule)."""

    def sweep_beginning(self, texts: Iterable[str]) -> None:
        """Nothing, as above."""

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


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
