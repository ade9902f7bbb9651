"""Which store an address means.

Belongs here: opening a store by its address, and the check before a run. Does not: the stores (`ingestion.raw.store`,
`ingestion.raw.s3`).
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ingestion.domain.errors import StorageError
from ingestion.raw.s3 import S3Options, S3Store
from ingestion.raw.store import SETTING, LocalStore, ObjectStore


def open_store(url: str | Path, s3: S3Options | None = None, *, setting: str = SETTING) -> ObjectStore:
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


def check_s3(url: str, options: S3Options | None) -> None:
    """One request to the bucket of `s3://bucket/prefix`, soon answered. Raises StorageError."""
    store = open_store(url, options)
    if isinstance(store, S3Store):
        store.check()
