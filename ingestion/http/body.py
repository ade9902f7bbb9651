"""The body of an archive's object, read to its end: a small one as bytes, a file into a folder with its sha256.

Belongs here: what a body may not be (a page in its place), S3's code in a refusal, and the state of an object that an
answer reports. Does not: which body is requested and how often (`ingestion.http.fetch`), or what it may cost
(`ingestion.http.bounds`).
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import Final, Protocol

from ingestion.domain.errors import StorageError
from ingestion.http.bounds import SMALL
from ingestion.http.client import Incoming
from ingestion.http.watch import Rejected, Unreachable

# More is no checksum; the limits of small answers say the same.
FIRST_LINE: Final = SMALL.most_bytes
_BLOCK: Final = 1 << 20
# What a page begins with that a server, a proxy or a login in front of it sends in place of an object, with HTTP 200.
_PAGE: Final = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|\?xml|!--)", re.IGNORECASE)
# The response headers that change when an object does, and their names in a fingerprint.
_STATE_HEADERS: Final = {"ETag": "etag", "Content-Length": "size", "Last-Modified": "modified"}
# What S3 answers for an absent key: to clients that may list the bucket, and to those that may not (with HTTP 403).
_S3_CODE: Final = re.compile(rb"<Code>\s*(\w+)\s*</Code>")


class Stream(Protocol):
    """What is read from: an answer, or a file of a folder."""

    def read(self, most: int, /) -> bytes: ...


def reported_state(response: Incoming) -> str:
    """The reported headers that would change with the object; empty without any."""
    reported = {name: response.headers.get(header) for header, name in _STATE_HEADERS.items()}
    return "; ".join(f"{name}={value}" for name, value in reported.items() if value)


def small_body(stream: Stream) -> bytes:
    """The whole body of a small object. Raises Rejected for a page, and for a longer one."""
    if isinstance(stream, Incoming):
        stream.refuse_excess()
    body = b""
    while block := stream.read(FIRST_LINE + 1):  # to its end: only there a body that was cut shows
        body += block
    return _not_a_page(body)


def copied(stream: Stream, target: Path) -> tuple[str, str]:
    """Write the stream to `target` block by block; its sha256, and the state that the server reports with it."""
    digest = hashlib.sha256()
    state = ""
    if isinstance(stream, Incoming):
        stream.refuse_excess()
        state = reported_state(stream)
    try:
        with target.open("wb") as file:
            while block := stream.read(_BLOCK):
                if not file.tell():
                    _not_a_page(block)
                digest.update(block)
                file.write(block)
    except Unreachable:
        target.unlink(missing_ok=True)
        raise
    except OSError as error:
        free = shutil.disk_usage(target.parent).free >> 20
        raise StorageError(f"cannot write the download {target}: {error.strerror} ({free} MiB free)") from error
    return digest.hexdigest(), state


def _not_a_page(beginning: bytes) -> bytes:
    """The bytes, unless they are the beginning of a page. Raises Rejected."""
    if _PAGE.match(beginning):
        raise Rejected(
            "a web page came with HTTP 200 in its place, from the server, a proxy or a login in front of it: "
            f"{beginning[:60]!r}"
        )
    return beginning


def s3_code(body: bytes) -> str:
    """The code of S3's XML answer; empty for another body."""
    found = _S3_CODE.search(body)
    return found[1].decode() if found else ""
