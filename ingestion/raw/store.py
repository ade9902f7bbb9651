"""A store of objects: what every store does, and the one in a folder.

Belongs here: put, get, list and delete of whole objects. A put is atomic: a reader sees the old object or the new one.
Does not: the store on S3 (`ingestion.raw.s3`), what the objects mean (`ingestion.raw.zone`) or where the settings come
from.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from ingestion.domain.errors import StorageError
from ingestion.raw.durable import Outrun, atomic_write, exclusively, put_first, sweep, sweep_beginning, sync

SETTING: Final = "the storage URL"
BLOCK: Final = 1 << 20
_SMALL: Final = 1 << 16
NOTHING: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})


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

    def replace_bytes(self, key: str, payload: bytes, version: str | None) -> bool:
        """Write the object if it still has this version, or, for None, if there still is none. Where another writer was
        first: False, and what it wrote stays. Other puts of the key look at no version."""
        ...

    def copy(self, source: str, key: str) -> None:
        """Make `key` the same object as `source`, without reading it. For objects that are replaced, never rewritten.

        In a folder both become names of one file, where the file system knows such links.
        """
        ...

    def get_bytes(self, key: str) -> bytes | None:
        """The object's bytes, or None when there is none."""
        ...

    def get_file(self, key: str, path: Path) -> bool:
        """Copy the object's bytes to the file; False where there is none."""
        ...

    def get_version(self, key: str) -> tuple[bytes, str] | None:
        """The object's bytes and the version that they are; None when there is none."""
        ...

    def sha256(self, key: str) -> str | None:
        """The sha256 of the object's bytes, read in blocks, or None when there is none."""
        ...

    def list(self, prefix: str = "", *, only: Mapping[str, Sequence[str]] = NOTHING) -> list[StoredObject]:
        """Every object below `prefix` (a folder, without its trailing slash), in key order.

        `only`: by folder, names of objects. A store may leave out what else is in those folders: to look at two files
        costs a third of listing their folder.
        """
        ...

    def list_beginning(self, text: str) -> Sequence[StoredObject]:
        """Every object whose key begins with the text, in key order."""
        ...

    def delete(self, key: str) -> None: ...
    def prune(self, folder: str) -> None:
        """Remove a folder that has nothing in it any more: to list it would cost as much as one that has."""
        ...

    def sweep(self, prefix: str) -> None:
        """Remove what killed writers left below `prefix` of objects that they never put in place."""
        ...

    def sweep_beginning(self, texts: Iterable[str]) -> None:
        """The same of objects whose keys begin with one of these texts."""
        ...

    def url(self, key: str) -> str:
        """How DuckDB, pandas or Spark address the object: an absolute path or `s3://…`."""
        ...


class LocalStore:
    """Objects as files below a folder."""

    at_once = 4  # more threads wait for each other rather than for the disk

    def __init__(self, root: Path, *, setting: str = SETTING) -> None:
        self.root = root.absolute()
        self._setting = setting

    def put_file(self, key: str, path: Path, *, durable: bool = False) -> None:
        with self._staged(key, durable) as staged:
            shutil.copyfile(path, staged)

    def put_bytes(self, key: str, payload: bytes, *, only_if_absent: bool = False, durable: bool = False) -> bool:
        if only_if_absent and (self.root / key).exists():
            return False
        try:
            with self._staged(key, durable, put_first if only_if_absent else None) as staged:
                staged.write_bytes(payload)
        except Outrun:
            return False
        return True

    def replace_bytes(self, key: str, payload: bytes, version: str | None) -> bool:
        def put(staged: Path, target: Path) -> None:
            # Of the writers that take this lock, one at a time compares and replaces.
            with exclusively(target.parent / ".replace.lock"):
                if _version_of(target) != version:
                    raise Outrun
                os.replace(staged, target)

        try:
            with self._staged(key, False, put) as staged:
                staged.write_bytes(payload)
        except Outrun:
            return False
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
        found = self.get_version(key)
        return found[0] if found else None

    def get_file(self, key: str, path: Path) -> bool:
        try:
            shutil.copyfile(self.root / key, path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StorageError(f"cannot copy {self.root / key}: {error.strerror}; check {self._setting}") from error
        return True

    def get_version(self, key: str) -> tuple[bytes, str] | None:
        try:
            with self._opened(key) as file:
                return file.read(), _version(os.fstat(file.fileno()))
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
                    size = BLOCK if len(block) == size else _SMALL
                return digest.hexdigest()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {self.root / key}: {error.strerror}; check {self._setting}") from error

    def _opened(self, key: str) -> io.FileIO:
        return io.FileIO(f"{self.root}/{key}")

    def list(self, prefix: str = "", *, only: Mapping[str, Sequence[str]] = NOTHING) -> list[StoredObject]:
        try:
            return sorted(self._walk(prefix, only), key=itemgetter(0))
        except OSError as error:
            raise StorageError(f"cannot list {self.root / prefix}: {error.strerror}; check {self._setting}") from error

    def list_beginning(self, text: str) -> Sequence[StoredObject]:
        folder, _, name = text.rpartition("/")
        try:
            entries = list(os.scandir(os.path.join(self.root, folder)))
            below = f"{folder}/" if folder else ""
            named = [entry for entry in entries if entry.name.startswith(name)]
            found = [_listed(below + entry.name, entry.stat()) for entry in named if not entry.is_dir()]
            found += [each for entry in named if entry.is_dir() for each in self._walk(below + entry.name, NOTHING)]
            return sorted(found, key=itemgetter(0))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"cannot list {self.root / folder}: {error.strerror}; check {self._setting}") from error

    def delete(self, key: str) -> None:
        try:
            (self.root / key).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot delete {self.root / key}: {error.strerror}; check {self._setting}") from error

    def prune(self, folder: str) -> None:
        with contextlib.suppress(OSError):  # not empty, or gone already
            (self.root / folder).rmdir()

    def sweep(self, prefix: str) -> None:
        sweep(self.root / prefix)

    def sweep_beginning(self, texts: Iterable[str]) -> None:
        names: dict[str, set[str]] = {}
        for text in texts:
            folder, _, name = text.rpartition("/")
            names.setdefault(folder, set()).add(name)
        for folder, beginnings in names.items():
            sweep_beginning(self.root / folder, beginnings)

    def url(self, key: str) -> str:
        return str(self.root / key)

    def _walk(self, prefix: str, only: Mapping[str, Sequence[str]]) -> Sequence[StoredObject]:
        """Keys and paths grow by plain concatenation: to compute them for each file took most of a listing's time."""
        root, found = f"{self.root}/", list[StoredObject]()
        folders = [prefix]
        while folders:
            folder = folders.pop()
            try:
                entries = os.scandir(os.path.join(self.root, folder))
            except FileNotFoundError:
                continue
            below = f"{folder}/" if folder else ""
            with entries:
                for entry in entries:
                    key = below + entry.name
                    if not entry.is_dir():
                        if not entry.name.startswith("."):
                            found.append(_listed(key, entry.stat()))
                        continue
                    names = only.get(key)
                    if names is None:
                        folders.append(key)
                        continue
                    for name in names:
                        of_object = f"{key}/{name}"
                        try:
                            found.append(_listed(of_object, os.stat(root + of_object)))
                        except FileNotFoundError:
                            continue
        return found

    @contextmanager
    def _staged(self, key: str, durable: bool, put: Callable[[Path, Path], None] | None = None) -> Iterator[Path]:
        """A hidden file beside the target that gets its place when the block ends well."""
        target = self.root / key
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(target, durable=durable, put=put) as staged:
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


def _listed(key: str, found: os.stat_result) -> StoredObject:
    return StoredObject(key, found.st_size, f"{found.st_mtime_ns}-{found.st_ino}-{found.st_size}")


def _version(found: os.stat_result) -> str:
    return _listed("", found).version


def _version_of(path: Path) -> str | None:
    """As the listing has it; None where there is no file. OSError."""
    try:
        return _version(path.stat())
    except FileNotFoundError:
        return None
