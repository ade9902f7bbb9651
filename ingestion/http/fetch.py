"""Bytes with proof: an archive's object and the checksum published for it or, where there is none, the state of the
object as the server reports it.

Belongs here: reading archives over https, http or file, and verifying sha256. Does not: how requests are retried
(`ingestion.http.retry`), which objects exist under which names (`ingestion.venues`), or what is in them
(`ingestion.decode`).
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
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import unquote, urlsplit

import urllib3

from ingestion.domain.errors import (
    AbsenceUnknown,
    ArchiveUnavailable,
    ChecksumMismatch,
    ObjectGone,
    SourceDefect,
    StorageError,
)
from ingestion.http.client import HttpClient, reason_of
from ingestion.http.retry import (
    LONGEST_WAIT,
    RETRYABLE_STATUSES,
    CircuitBreaker,
    GaveUp,
    Retry,
    RetryPolicy,
    retry_after,
)

_BLOCK: Final = 1 << 20
_CHECKSUM: Final = re.compile(rb"^(?P<digest>[0-9a-fA-F]{64})\s+\*?(?P<name>\S.*?)\s*$")
_DEFAULT_SETTING: Final = "the archive URL"
# The response headers that change when an object does, and their names in a fingerprint.
_STATE_HEADERS: Final = {"ETag": "etag", "Content-Length": "size", "Last-Modified": "modified"}
_UNPUBLISHED: Final = "no published checksum"
# What S3 answers for an absent key: to clients that may list the bucket, and to those that may not (with HTTP 403).
_S3_CODE: Final = re.compile(rb"<Code>\s*(\w+)\s*</Code>")
_HIDES_ABSENCE: Final = frozenset({"AccessDenied", "NoSuchKey"})
# Addresses that have served this process an object: a later archive at the same address need not prove it again.
_SERVED: Final[set[str]] = set()
# After so many objects in a row were given up, the archive counts as down.
_GIVEN_UP_IN_A_ROW: Final = 3


@dataclass(frozen=True)
class Proof:
    """What an archive reports about an object before it is downloaded.

    `sha256`: the published checksum. `fingerprint`: for an object without one, the state that the server reports; then
    `sha256` is empty until the download. A fingerprint proves that nothing changed, and nothing else.
    """

    sha256: str
    fingerprint: str = ""


@dataclass(frozen=True)
class Download:
    """A complete file on disk: verified by its published checksum or, without one, by the size the server reported."""

    path: Path
    proof: Proof


@dataclass(frozen=True)
class ArchiveLocation:
    """Where a venue's archive is, and whether its objects have checksums. `setting`: what messages call the setting
    that configures the location; only the caller knows it."""

    url: str
    has_checksums: bool = True
    setting: str = _DEFAULT_SETTING


class Archives:
    """The archives of several venues. Each is opened on first use; venues at one location share one.

    `location_of`: venue → where its archive is. Safe to share between threads.
    """

    def __init__(self, location_of: Callable[[str], ArchiveLocation]) -> None:
        self._location_of = location_of
        self._lock = threading.Lock()
        self._open: dict[ArchiveLocation, Archive] = {}

    def of(self, venue: str) -> Archive:
        """The venue's archive. Raises ArchiveUnavailable for an invalid address or a missing folder."""
        location = self._location_of(venue)
        with self._lock:
            if location not in self._open:
                self._open[location] = Archive(
                    location.url, has_checksums=location.has_checksums, setting=location.setting
                )
            return self._open[location]

    @property
    def notices(self) -> list[str]:
        """The notices of the archives that were opened, each once."""
        return sorted({archive.notice for archive in self._open.values() if archive.notice})

    def close(self) -> None:
        for archive in self._open.values():
            archive.close()


class Archive:
    """A venue's archive at a base URL, safe to share between threads.

    A circuit breaker detects an archive that is down: after a few objects in a row were given up, the rest fail
    immediately.

    An S3 mirror whose bucket may not be listed denies access (HTTP 403) to absent objects. Such an answer counts as
    absence as soon as the mirror has served any other object; before that it is AbsenceUnknown.

    `url`: `https://…`, `http://…` or `file:///…`; keys are appended to it. `attempts`: how often one object is tried on
    time-outs, 429 and 5xx. `backoff`: first pause in seconds, doubled each time with jitter; Retry-After takes
    precedence. `has_checksums`: a `.CHECKSUM` object lies beside every object. `setting`: see `ArchiveLocation`.
    """

    def __init__(
        self,
        url: str,
        *,
        has_checksums: bool = True,
        setting: str = _DEFAULT_SETTING,
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
        self._client = HttpClient(timeout=timeout, connections=32, redirects=5)
        self._lock = threading.Lock()
        self._markers: dict[str, bool] = {}
        self._policy = RetryPolicy(attempts, first_pause=backoff, jitter=backoff)
        self._breaker = CircuitBreaker(_GIVEN_UP_IN_A_ROW)
        self._hides_absence = False
        self._probed: set[str] = set()

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
        """The proof of `key` before its download, or None when the archive has no such object.

        One request for the published checksum or, where there are none, one HEAD. A file of a folder without checksums
        is read: its modification time only reports when it was copied.
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
                f"{self.url}/{key}: the server reports neither ETag nor size nor modification time, so a changed file "
                f"would not be noticed; set {self.setting} to a mirror that reports one of them"
            )
        return Proof("", f"{_UNPUBLISHED}; {state}")

    def download(self, key: str, proof: Proof, folder: Path) -> Download:
        """Stream `key` into `folder`, and verify the published checksum, where there is one.

        Raises ChecksumMismatch when the bytes differ even on a second try with the checksum read again (a file and its
        checksum are replaced one after the other, so one mismatch may only be bad timing), ObjectGone when there is no
        such object, ArchiveUnavailable when it cannot be fetched.

        Without a checksum the sha256 is that of the received bytes. A file replaced since `proof` was requested is
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
                raise ObjectGone(f"{self.url}/{key} is gone although the archive has just reported it; try again later")
            if proof.fingerprint or received == published:
                return Download(target, Proof(received, proof.fingerprint))
        target.unlink(missing_ok=True)
        raise ChecksumMismatch(
            f"{self.url}/{key} has sha256 {received} but {published} is published for it; nothing was stored. "
            "Try again later; if it persists, the file was damaged in transit or the archive is inconsistent",
            received or "",
            published,
        )

    @property
    def notice(self) -> str | None:
        """A limitation of this archive as a whole, in one sentence without a full stop; None without one."""
        if not self._hides_absence:
            return None
        return (
            f"{self.url} does not report which files are absent: HTTP 403 counts as absent where it serves other files"
        )

    def serves_any(self, keys: Iterable[str]) -> bool:
        """Whether it has served this process any object; requests those of `keys` that were not requested before."""
        for key in keys:
            with self._lock:
                if self.url in _SERVED:
                    return True
                is_probed = key in self._probed
                self._probed.add(key)
            if not is_probed:
                try:
                    self.proof(key)
                except (ArchiveUnavailable, SourceDefect):
                    continue
        return self.url in _SERVED

    def has_marker(self, key: str, word: bytes) -> bool:
        """Whether there is a file at `key` whose beginning contains `word`, in any case. Remembered.

        The content counts, since some servers answer every address with a page; for the same reason the file does not
        prove that the archive serves objects.
        """
        with self._lock:
            known = self._markers.get(key)
        if known is None:
            try:
                known = bool(self._retrying(key, lambda stream: word in stream.read(64).lower(), is_object=False))
            except ArchiveUnavailable:
                known = False  # an archive that refuses or fails reports it again for its objects
            with self._lock:
                self._markers[key] = known
        return known

    def close(self) -> None:
        self._client.close()

    def _retrying(self, key: str, consume: Any, method: str = "GET", *, is_object: bool = True) -> Any:
        """`consume(stream)` of the object at `key`, from its first byte on each attempt; None: there is no object."""
        run_again = (
            f"Check the network and {self.setting}, then run the same command again: what is done is not repeated"
        )
        if self._breaker.is_open:
            raise ArchiveUnavailable(f"{self.url} is not answering; {key} was not tried. {run_again}")
        try:
            answer = self._policy.run(lambda: self._attempt(key, consume, method, is_object))
        except GaveUp as reason:
            self._breaker.gave_up()
            raise ArchiveUnavailable(
                f"{self.url}/{key} could not be fetched in {self._policy.attempts} attempts ({reason}). {run_again}"
            ) from reason
        self._breaker.succeeded()
        return answer

    def _attempt(self, key: str, consume: Any, method: str, is_object: bool) -> Any:
        try:
            with self._opened(key, method, is_object) as stream:
                return None if stream is None else consume(stream)
        except (urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as error:
            raise Retry(reason_of(error)) from error

    @contextmanager
    def _opened(self, key: str, method: str, is_object: bool) -> Iterator[BinaryIO | None]:
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
        with self._client.stream(method, f"{self.url}/{key}") as response:
            yield self._checked(response, key, is_object)

    def _checked(self, response: urllib3.BaseHTTPResponse, key: str, is_object: bool) -> Any:
        """The body when there is one, None for an absent object, an exception for everything else."""
        status, where = response.status, f"{self.url}/{key}"
        if status == 200:
            if is_object:
                _SERVED.add(self.url)
            return response
        if status == 404:
            return None
        if status == 403 and self._code(response, key) in _HIDES_ABSENCE:
            if self.url not in _SERVED:
                raise AbsenceUnknown(
                    f"{where} was refused with HTTP 403, AccessDenied, and so was every other request: the archive "
                    f"does not serve this client; check {self.setting} and who may read it"
                )
            self._hides_absence = True
            return None
        if status in RETRYABLE_STATUSES:
            required = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
            raise Retry(f"HTTP {status}", None if required is None else min(required, LONGEST_WAIT))
        if status in (403, 451):
            raise ArchiveUnavailable(
                f"{where} was refused with HTTP {status}: the archive does not serve this location or "
                f"network; set {self.setting} to a mirror that you may read"
            )
        raise ArchiveUnavailable(f"{where} answered HTTP {status}; check {self.setting}")

    def _code(self, response: urllib3.BaseHTTPResponse, key: str) -> str:
        """The code of S3's XML answer; empty for another body. A HEAD has no body, so it is repeated as a GET."""
        body = response.read(4096)
        if not body:
            with self._client.stream("GET", f"{self.url}/{key}") as again:
                body = again.read(4096) if again.status == 403 else b""
        found = _S3_CODE.search(body or b"")
        return found[1].decode() if found else ""


def _state(response: urllib3.BaseHTTPResponse) -> str:
    """The reported headers that would change with the object; empty without any."""
    reported = {name: response.headers.get(header) for header, name in _STATE_HEADERS.items()}
    return "; ".join(f"{name}={value}" for name, value in reported.items() if value)


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
        raise Retry(f"reading broke off: {error}") from error
