"""Bytes with proof: an archive's object and the checksum published for it, or how the server tells one state of it
from another where no checksum is published.

Belongs here: reaching archives over https, http or file, retrying what is worth retrying, verifying sha256.
Does not: which objects exist under which names (`ingestion.venues`), or what is in them (`ingestion.decode.decoder`).
"""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import unquote, urlsplit

import tenacity
import urllib3

from ingestion.domain.errors import (
    AbsenceUnknown,
    ArchiveUnavailable,
    ChecksumMismatch,
    ObjectGone,
    SourceDefect,
    StorageError,
)

# The simulated exchange puts this file at the root of what it writes.
SIMULATION_MARKER: Final = "SIMULATED.txt"

_BLOCK: Final = 1 << 20
_CHECKSUM: Final = re.compile(rb"^(?P<digest>[0-9a-fA-F]{64})\s+\*?(?P<name>\S.*?)\s*$")
_WORTH_RETRYING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT: Final = 300.0
# The setting that says where an archive is, for messages.
_SETTING: Final = "TAKER_ARCHIVE_URL"
# What a server says of an object that changes when the object does, and what we call it.
_STATE_HEADERS: Final = {"ETag": "etag", "Content-Length": "size", "Last-Modified": "modified"}
_UNPUBLISHED: Final = "no published checksum"
# What S3 answers for a key that is not there: to whom may list the bucket, and to whom may not (with HTTP 403).
_S3_CODE: Final = re.compile(rb"<Code>\s*(\w+)\s*</Code>")
_HIDES_ABSENCE: Final = frozenset({"AccessDenied", "NoSuchKey"})
# Addresses that have served this process an object: a later archive at the same address need not prove it again.
_SERVED: Final[set[str]] = set()
# So many objects given up one after the other mean that the archive is down, not that an object is unlucky.
_GIVEN_UP_IN_A_ROW: Final = 3


class _TryAgain(Exception):
    """One attempt failed in a way that another may not. `wait`: seconds the server asked for, if it did."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Proof:
    """What an archive says of an object before it is downloaded.

    `sha256`: the published checksum. `fingerprint`: for an object without one, how the server tells its states apart;
    then `sha256` is empty until the bytes are here. A server's word proves that nothing changed, and nothing else.
    """

    sha256: str
    fingerprint: str = ""


@dataclass(frozen=True)
class Download:
    """A file on disk, whole: as its published checksum says, or, without one, as long as the server said."""

    path: Path
    proof: Proof


@dataclass(frozen=True)
class Place:
    """Where a venue's archive is, whether its objects have checksums, and the setting that says so (for messages)."""

    url: str
    has_checksums: bool = True
    setting: str = _SETTING


class Archives:
    """The archives of several venues. Each is opened when first asked for; venues at one place share one.

    `place_of`: venue → where its archive is. Safe to share between threads.
    """

    def __init__(self, place_of: Callable[[str], Place]) -> None:
        self._place_of = place_of
        self._lock = threading.Lock()
        self._open: dict[Place, Archive] = {}

    def of(self, venue: str) -> Archive:
        """The venue's archive. ArchiveUnavailable when its address cannot be one, or its folder is not there."""
        place = self._place_of(venue)
        with self._lock:
            if place not in self._open:
                self._open[place] = Archive(place.url, has_checksums=place.has_checksums, setting=place.setting)
            return self._open[place]

    @property
    def notices(self) -> list[str]:
        """What is to be known of the archives that were opened, each thing once."""
        return sorted({archive.notice for archive in self._open.values() if archive.notice})

    def close(self) -> None:
        for archive in self._open.values():
            archive.close()


class Archive:
    """A venue's archive at a base URL, safe to share between threads.

    An archive that is down is found out once and not once for every object: after a few objects in a row were given up,
    the rest fail at once.

    An S3 mirror that does not let us list its bucket denies access (HTTP 403) to objects that are not there. Such an
    answer is taken for absence as soon as the mirror has served any other object; before that it is AbsenceUnknown.

    `url`: `https://…`, `http://…` or `file:///…`; keys are appended to it. `attempts`: how often one object is tried on
    time-outs, 429 and 5xx. `backoff`: first pause in seconds, doubled each time with jitter; Retry-After wins over it.
    `has_checksums`: a `.CHECKSUM` object lies beside every object. `setting`: what says where the archive is.
    """

    def __init__(
        self,
        url: str,
        *,
        has_checksums: bool = True,
        setting: str = _SETTING,
        attempts: int = 6,
        timeout: float = 30.0,
        backoff: float = 0.5,
    ) -> None:
        self.url = url.rstrip("/")
        self.setting = setting
        self._has_checksums = has_checksums
        scheme = urlsplit(self.url).scheme
        if scheme not in ("http", "https", "file"):
            raise ArchiveUnavailable(f"archive URL `{url}` is none of https://…, http://…, file:///…")
        self._folder = Path(unquote(urlsplit(self.url).path)) if scheme == "file" else None
        if self._folder is not None and not self._folder.is_dir():
            raise ArchiveUnavailable(f"archive folder {self._folder} does not exist; check {setting}")
        self._timeout = urllib3.Timeout(connect=timeout, read=timeout)
        self._pool: urllib3.PoolManager | None = None
        self._lock = threading.Lock()
        self._simulated: bool | None = None
        self._attempts = attempts
        self._given_up_in_a_row = 0
        self._hides_absence = False
        self._asked_in_vain: set[str] = set()
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

    def proof(self, key: str) -> Proof | None:
        """What is known of `key` before it is here, or None when the archive has no such object.

        One request for the published checksum or, where there are none, one HEAD. A file of a folder without checksums
        is read: its time of change says when it was copied.
        """
        if self._has_checksums:
            sha256 = self.checksum(key)
            return None if sha256 is None else Proof(sha256)
        if self._folder is not None:
            state = self._retrying(key, lambda stream: f"sha256={hashlib.file_digest(stream, 'sha256').hexdigest()}")
        else:
            state = self._retrying(key, _state, method="HEAD")
        if state is None:
            return None
        if not state:
            raise ArchiveUnavailable(
                f"{self.url}/{key}: the server says neither ETag nor size nor time of change, so a changed file would "
                f"not be noticed; set {self.setting} to a mirror that says one of them"
            )
        return Proof("", f"{_UNPUBLISHED}; {state}")

    def download(self, key: str, proof: Proof, folder: Path) -> Download:
        """Stream `key` into `folder`; the bytes are those that a checksum was published for, where one is.

        Raises ChecksumMismatch when the bytes differ even on a second try with the checksum read anew (a file and its
        checksum are replaced one after the other, so one mismatch may only be bad timing), ObjectGone when there is
        none, ArchiveUnavailable when it cannot be had.

        Without a checksum the sha256 is that of the bytes that came. A file replaced since `proof` was asked for is
        noticed the next time.
        """
        target = folder / key.rsplit("/", 1)[-1]
        published = proof.sha256
        received: str | None = None
        for attempt in range(2):
            if attempt:
                published = self.checksum(key) or published
            received = self._retrying(key, lambda stream: _copy(stream, target))
            if received is None:
                raise ObjectGone(
                    f"{self.url}/{key} is gone although the archive just said that it has it; try again later"
                )
            if proof.fingerprint or received == published:
                return Download(target, Proof(received, proof.fingerprint))
        target.unlink(missing_ok=True)
        raise ChecksumMismatch(
            f"{self.url}/{key} has sha256 {received} but {published} is published for it; nothing was stored. "
            "Try again later; if it stays, the file was damaged on its way or the archive is inconsistent",
            received or "",
            published,
        )

    @property
    def notice(self) -> str | None:
        """What is to be known of this archive as a whole, in one sentence without a full stop; None: nothing."""
        if not self._hides_absence:
            return None
        return (
            f"{self.url} does not let us see what is absent: HTTP 403 is taken for absent where it serves other files"
        )

    def serves_any(self, keys: Iterable[str]) -> bool:
        """Whether it is known to serve us objects; asks for those of `keys` that were not asked for in vain before."""
        for key in keys:
            with self._lock:
                if self.url in _SERVED:
                    return True
                asked = key in self._asked_in_vain
                self._asked_in_vain.add(key)
            if not asked:
                try:
                    self.proof(key)
                except (ArchiveUnavailable, SourceDefect):
                    continue
        return self.url in _SERVED

    @property
    def is_simulated(self) -> bool:
        """Whether a simulated exchange wrote this archive: a file at its root says so.

        The file must say it: some servers answer every address with a page.
        """
        with self._lock:
            known = self._simulated
        if known is None:
            try:
                known = bool(self._retrying(SIMULATION_MARKER, lambda stream: b"simulated" in stream.read(64).lower()))
            except ArchiveUnavailable:
                known = False  # an archive that refuses or fails says so again for its objects
            with self._lock:
                self._simulated = known
        return known

    def close(self) -> None:
        if self._pool is not None:
            self._pool.clear()

    def _retrying(self, key: str, consume: Any, method: str = "GET") -> Any:
        """`consume(stream)` of the object at `key`, from its first byte on each attempt; None: there is no object."""
        run_again = (
            f"Check the network and {self.setting}, then run the same command again: what is done is not repeated"
        )

        def pause(state: tenacity.RetryCallState) -> float:
            asked = getattr(state.outcome.exception() if state.outcome else None, "wait", None)
            return min(asked, _LONGEST_WAIT) if asked is not None else float(self._backoff(state))

        if self._given_up_in_a_row >= _GIVEN_UP_IN_A_ROW:
            raise ArchiveUnavailable(f"{self.url} is not answering; {key} was not tried. {run_again}")
        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=pause,
        )
        try:
            answer = retry(self._attempt, key, consume, method)
            self._given_up_in_a_row = 0
            return answer
        except tenacity.RetryError as gave_up:
            self._given_up_in_a_row += 1
            reason = gave_up.last_attempt.exception()
            raise ArchiveUnavailable(
                f"{self.url}/{key} could not be had in {self._attempts} attempts ({reason}). {run_again}"
            ) from reason

    def _attempt(self, key: str, consume: Any, method: str) -> Any:
        try:
            with self._opened(key, method) as stream:
                return None if stream is None else consume(stream)
        except (urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as error:
            # urllib3 wraps the reason, and its own text repeats the whole address.
            cause = getattr(error, "reason", None) or error
            raise _TryAgain(f"{type(cause).__name__}: {str(cause).partition(': ')[2] or cause}") from error

    @contextmanager
    def _opened(self, key: str, method: str) -> Iterator[BinaryIO | None]:
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
        # Not decoded: what was packed when it was published stays packed, whatever the server calls that.
        response = self._http().request(method, f"{self.url}/{key}", preload_content=False, decode_content=False)
        try:
            yield self._judged(response, key)
        finally:
            response.close()

    def _judged(self, response: urllib3.BaseHTTPResponse, key: str) -> Any:
        """The body when there is one, None for an absent object, an exception for everything else."""
        status, where = response.status, f"{self.url}/{key}"
        if status == 200:
            if key != SIMULATION_MARKER:  # some servers answer every address with a page
                _SERVED.add(self.url)
            return response
        if status == 404:
            return None
        if status == 403 and self._code(response, key) in _HIDES_ABSENCE:
            if self.url not in _SERVED:
                raise AbsenceUnknown(
                    f"{where} was refused with HTTP 403, AccessDenied, and so was everything else that was asked for: "
                    f"the archive does not serve us; check {self.setting} and who may read it"
                )
            self._hides_absence = True
            return None
        if status in _WORTH_RETRYING:
            raise _TryAgain(f"HTTP {status}", _retry_after(response.headers.get("Retry-After")))
        if status in (403, 451):
            raise ArchiveUnavailable(
                f"{where} was refused with HTTP {status}: the archive does not serve this place or network; "
                f"set {self.setting} to a mirror that you may read"
            )
        raise ArchiveUnavailable(f"{where} answered HTTP {status}; check {self.setting}")

    def _code(self, response: urllib3.BaseHTTPResponse, key: str) -> str:
        """The code of S3's XML answer; empty for another body. To a HEAD there is none, so it is asked again."""
        body = response.read(4096)
        if not body:
            again = self._http().request("GET", f"{self.url}/{key}", preload_content=False, decode_content=False)
            try:
                body = again.read(4096) if again.status == 403 else b""
            finally:
                again.close()
        found = _S3_CODE.search(body or b"")
        return found[1].decode() if found else ""

    def _http(self) -> urllib3.PoolManager:
        with self._lock:
            if self._pool is None:
                # Retrying is ours (it must start the body again); only redirects are left to urllib3.
                redirects = urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=5)
                self._pool = urllib3.PoolManager(
                    maxsize=32, timeout=self._timeout, retries=redirects, headers={"User-Agent": "taker"}
                )
            return self._pool


def _state(response: urllib3.BaseHTTPResponse) -> str:
    """What the server says of an object that would change with it; empty when it says nothing."""
    said = {name: response.headers.get(header) for header, name in _STATE_HEADERS.items()}
    return "; ".join(f"{name}={value}" for name, value in said.items() if value)


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
