"""Bytes with proof: an archive's object and the checksum published for it.

Belongs here: reaching an archive over https, http or file, retrying what is worth retrying, verifying sha256.
Does not: which objects exist under which names (`ingestion.venues`), or what is in them (`ingestion.decode`).
"""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import unquote, urlsplit

import tenacity
import urllib3

from ingestion.errors import ArchiveUnavailable, ChecksumMismatch, SourceDefect, StorageError

# The simulated exchange puts this file at the root of what it writes.
SIMULATION_MARKER: Final = "SIMULATED.txt"

_BLOCK: Final = 1 << 20
_CHECKSUM: Final = re.compile(rb"^(?P<digest>[0-9a-fA-F]{64})\s+\*?(?P<name>\S.*?)\s*$")
_WORTH_RETRYING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT: Final = 300.0
_RUN_AGAIN: Final = (
    "Check the network and TAKER_ARCHIVE_URL, then run the same command again: what is done is not repeated"
)
# So many objects given up one after the other mean that the archive is down, not that an object is unlucky.
_GIVEN_UP_IN_A_ROW: Final = 3


class _TryAgain(Exception):
    """One attempt failed in a way that another may not. `wait`: seconds the server asked for, if it did."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Download:
    """A verified file on disk."""

    path: Path
    sha256: str


class Archive:
    """A venue's archive at a base URL, safe to share between threads.

    An archive that is down is found out once and not once for every object: after a few objects in a row were given up,
    the rest fail at once.

    `url`: `https://…`, `http://…` or `file:///…`; keys are appended to it. `attempts`: how often one object is tried on
    time-outs, 429 and 5xx. `backoff`: first pause in seconds, doubled each time with jitter; Retry-After wins over it.
    """

    def __init__(self, url: str, *, attempts: int = 6, timeout: float = 30.0, backoff: float = 0.5) -> None:
        self.url = url.rstrip("/")
        scheme = urlsplit(self.url).scheme
        if scheme not in ("http", "https", "file"):
            raise ArchiveUnavailable(f"archive URL `{url}` is none of https://…, http://…, file:///…")
        self._folder = Path(unquote(urlsplit(self.url).path)) if scheme == "file" else None
        if self._folder is not None and not self._folder.is_dir():
            raise ArchiveUnavailable(f"archive folder {self._folder} does not exist; check TAKER_ARCHIVE_URL")
        self._timeout = urllib3.Timeout(connect=timeout, read=timeout)
        self._pool: urllib3.PoolManager | None = None
        self._lock = threading.Lock()
        self._simulated: bool | None = None
        self._attempts = attempts
        self._given_up_in_a_row = 0
        self._backoff = tenacity.wait_exponential_jitter(multiplier=backoff, max=60.0, jitter=backoff)

    def checksum(self, key: str) -> str | None:
        """The sha256 (lower-case hex) published for `key`, or None when the archive has no such object."""
        published = self._retrying(f"{key}.CHECKSUM", lambda stream: stream.read(4096))
        if published is None:
            return None
        line = _CHECKSUM.match(published.strip().split(b"\n")[0])
        if not line or line["name"] != key.rsplit("/", 1)[-1].encode():
            raise SourceDefect(f"{self.url}/{key}.CHECKSUM is not `<sha256>  {key.rsplit('/', 1)[-1]}`")
        return line["digest"].decode().lower()

    def download(self, key: str, sha256: str, folder: Path) -> Download:
        """Stream `key` into `folder`; the bytes are those that a checksum was published for.

        Raises ChecksumMismatch when the bytes differ even on a second try with the checksum read anew (a file and its
        checksum are replaced one after the other, so one mismatch may only be bad timing), ArchiveUnavailable when the
        object cannot be had.
        """
        target = folder / key.rsplit("/", 1)[-1]
        received: str | None = None
        for attempt in range(2):
            if attempt:
                sha256 = self.checksum(key) or sha256
            received = self._retrying(key, lambda stream: _copy(stream, target))
            if received is None:
                raise ArchiveUnavailable(
                    f"{self.url}/{key} is gone although its checksum is published; try again later"
                )
            if received == sha256:
                return Download(target, sha256)
        target.unlink(missing_ok=True)
        raise ChecksumMismatch(
            f"{self.url}/{key} has sha256 {received} but {sha256} is published for it; nothing was stored. "
            "Try again later; if it stays, the file was damaged on its way or the archive is inconsistent"
        )

    @property
    def is_simulated(self) -> bool:
        """Whether a simulated exchange wrote this archive: it says so in a file at its root."""
        with self._lock:
            known = self._simulated
        if known is None:
            try:
                known = self._retrying(SIMULATION_MARKER, lambda stream: True) is not None
            except ArchiveUnavailable:
                known = False  # an archive that refuses or fails says so again for its objects
            with self._lock:
                self._simulated = known
        return known

    def close(self) -> None:
        if self._pool is not None:
            self._pool.clear()

    def _retrying(self, key: str, consume: Any) -> Any:
        """`consume(stream)` of the object at `key`, from its first byte on each attempt; None: there is no object."""

        def pause(state: tenacity.RetryCallState) -> float:
            asked = getattr(state.outcome.exception() if state.outcome else None, "wait", None)
            return min(asked, _LONGEST_WAIT) if asked is not None else float(self._backoff(state))

        if self._given_up_in_a_row >= _GIVEN_UP_IN_A_ROW:
            raise ArchiveUnavailable(f"{self.url} is not answering; {key} was not tried. {_RUN_AGAIN}")
        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=pause,
        )
        try:
            answer = retry(self._attempt, key, consume)
            self._given_up_in_a_row = 0
            return answer
        except tenacity.RetryError as gave_up:
            self._given_up_in_a_row += 1
            reason = gave_up.last_attempt.exception()
            raise ArchiveUnavailable(
                f"{self.url}/{key} could not be had in {self._attempts} attempts ({reason}). {_RUN_AGAIN}"
            ) from reason

    def _attempt(self, key: str, consume: Any) -> Any:
        try:
            with self._opened(key) as stream:
                return None if stream is None else consume(stream)
        except (urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as error:
            # urllib3 wraps the reason, and its own text repeats the whole address.
            cause = getattr(error, "reason", None) or error
            raise _TryAgain(f"{type(cause).__name__}: {str(cause).partition(': ')[2] or cause}") from error

    @contextmanager
    def _opened(self, key: str) -> Iterator[BinaryIO | None]:
        if self._folder is not None:
            path = self._folder / key
            try:
                with path.open("rb") as file:
                    yield file
            except (FileNotFoundError, NotADirectoryError):
                yield None
            except OSError as error:
                raise ArchiveUnavailable(f"cannot read {path}: {error.strerror}") from error
            return
        response = self._http().request("GET", f"{self.url}/{key}", preload_content=False)
        try:
            yield self._judged(response, key)
        finally:
            response.close()

    def _judged(self, response: urllib3.BaseHTTPResponse, key: str) -> Any:
        """The body when there is one, None for an absent object, an exception for everything else."""
        status, where = response.status, f"{self.url}/{key}"
        if status == 200:
            return response
        if status == 404:
            return None
        if status in _WORTH_RETRYING:
            raise _TryAgain(f"HTTP {status}", _retry_after(response.headers.get("Retry-After")))
        if status in (403, 451):
            raise ArchiveUnavailable(
                f"{where} was refused with HTTP {status}: the archive does not serve this place or network; "
                "set TAKER_ARCHIVE_URL to a mirror that you may read"
            )
        raise ArchiveUnavailable(f"{where} answered HTTP {status}; check TAKER_ARCHIVE_URL")

    def _http(self) -> urllib3.PoolManager:
        with self._lock:
            if self._pool is None:
                # Retrying is ours (it must start the body again); only redirects are left to urllib3.
                redirects = urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=5)
                self._pool = urllib3.PoolManager(
                    maxsize=32, timeout=self._timeout, retries=redirects, headers={"User-Agent": "taker"}
                )
            return self._pool


def _copy(stream: BinaryIO, target: Path) -> str:
    """Write the stream to `target` block by block; return its sha256."""
    digest = hashlib.sha256()
    try:
        with target.open("wb") as file:
            while block := _read(stream):
                digest.update(block)
                file.write(block)
    except OSError as error:
        if isinstance(error, ConnectionError | TimeoutError):
            raise
        free = shutil.disk_usage(target.parent).free >> 20
        raise StorageError(f"cannot write the download {target}: {error.strerror} ({free} MiB free)") from error
    return digest.hexdigest()


def _read(stream: BinaryIO) -> bytes:
    try:
        return stream.read(_BLOCK)
    except OSError as error:
        raise _TryAgain(f"reading broke off: {error}") from error


def _retry_after(header: str | None) -> float | None:
    """Seconds from a Retry-After header: a number, or an HTTP date."""
    if not header:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)  # a date that names no zone is GMT
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
