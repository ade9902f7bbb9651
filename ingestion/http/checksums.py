"""The object beside an archive's object that states its sha256.

Belongs here: its key, its one line, and the ETag that it has on an S3 server. Does not: requesting it
(`ingestion.http.fetch`).
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from ingestion.domain.errors import SourceDefect

SUFFIX: Final = ".CHECKSUM"
_LINE: Final = re.compile(rb"^(?P<digest>[0-9a-fA-F]{64})\s+\*?(?P<name>\S.*?)\s*$")


def checksum_key(key: str) -> str:
    """The key of the object that states the checksum of `key`."""
    return f"{key}{SUFFIX}"


def checksum_etag(key: str, sha256: str) -> str:
    """The ETag of the checksum object that states `sha256`: S3's is the MD5 of the bytes of an object put at once."""
    line = f"{sha256}  {key.rpartition('/')[2]}\n"
    return hashlib.md5(line.encode(), usedforsecurity=False).hexdigest()


def stated_sha256(published: bytes, key: str, url: str) -> str:
    """The sha256 (lower-case hex) that the bytes of a checksum object state; SourceDefect where they state none of the
    object. `url`: of the archive, for the message."""
    line = _LINE.match(published.strip().split(b"\n")[0])
    if not line or line["name"] != key.rpartition("/")[2].encode():
        raise SourceDefect(f"{url}/{key}{SUFFIX} is not `<sha256>  {key.rpartition('/')[2]}`")
    return line["digest"].decode().lower()
