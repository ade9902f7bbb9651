"""Bytes with proof: an archive's object and the checksum published for it or, where there is none, the state of the
object as the server reports it.

Belongs here: reading archives over https, http or file, and verifying sha256. Does not: reading one body
(`ingestion.http.body`), how requests are retried (`ingestion.http.retry`), what an answer may cost
(`ingestion.http.bounds`), which objects exist under which names (`ingestion.venues`), or what is in them
(`ingestion.decode`).
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from ingestion.domain.errors import (
    AbsenceUnknown,
    ArchiveUnavailable,
    ChecksumMismatch,
    NotListed,
    ObjectGone,
    SourceDefect,
)
from ingestion.domain.redaction import redacted
from ingestion.http.body import FIRST_LINE, Stream, copied, reported_state, s3_code, small_body
from ingestion.http.bounds import FILE, SMALL, Bounds
from ingestion.http.checksums import SUFFIX, checksum_etag, checksum_key, stated_sha256
from ingestion.http.client import HttpClient, Incoming
from ingestion.http.folder import LookedAt, folders_in
from ingestion.http.listing import Listing, ListingUnreadable
from ingestion.http.retry import (
    RETRYABLE_STATUSES,
    GaveUp,
    Retry,
    RetryPolicy,
    ServerHealth,
    retry_after,
)
from ingestion.http.watch import Rejected, Unreachable

DEFAULT_SETTING: Final = "the archive URL"
_UNPUBLISHED: Final = "no published checksum"
_SIZE: Final = re.compile(r"; size=(\d{1,19})(?:;|$)")
_HIDES_ABSENCE: Final = frozenset({"AccessDenied", "NoSuchKey"})


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


class Archive:
    """A venue's archive at a base URL, safe to share between threads.

    A circuit breaker detects an archive that is down: after a few objects in a row were given up, the rest fail
    immediately.

    An S3 mirror whose bucket may not be listed denies access (HTTP 403) to absent objects. Such an answer counts as
    absence as soon as the mirror has served any other object; before that it is AbsenceUnknown.

    `url`: `https://…`, `http://…` or `file:///…`; keys are appended to it. `attempts`: how often one object is tried on
    time-outs, 429 and 5xx. `backoff`: first pause in seconds, doubled each time with jitter; Retry-After takes
    precedence, as far as `Waiting` grants it. `file_bounds`, `small_bounds`: what a file, and anything else, may cost.
    `has_checksums`: a `.CHECKSUM` object lies beside every object. `listing_url`, `setting`, `redirect_hosts`,
    `redirect_setting`: see `ArchiveLocation`. `sleep`: seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        has_checksums: bool = True,
        setting: str = DEFAULT_SETTING,
        attempts: int = 6,
        backoff: float = 0.5,
        file_bounds: Bounds = FILE,
        small_bounds: Bounds = SMALL,
        redirect_hosts: Iterable[str] = (),
        redirect_setting: str = "the allowed redirect hosts",
        health: ServerHealth | None = None,
        listing_url: str = "",
        sleep: Callable[[float], None] = time.sleep,
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
        self._looked_at = LookedAt(self._folder, SUFFIX if has_checksums else "") if self._folder else None
        self._client = HttpClient(
            connections=32, redirect_hosts=frozenset(redirect_hosts), redirect_setting=redirect_setting
        )
        self._file, self._small, self._sleep = file_bounds, small_bounds, sleep
        self._lock, self._probing = threading.Lock(), threading.Lock()
        self._markers: dict[str, bool] = {}
        self._policy = RetryPolicy(attempts, first_pause=backoff, jitter=backoff)
        self._health = health or ServerHealth()
        self._listing = Listing(listing_url, self._client, self._health, sleep) if listing_url else None
        self._hides_absence = False
        self._probed: set[str] = set()

    def checksum(self, key: str) -> str | None:
        """The sha256 (lower-case hex) published for `key`, or None when the archive has no such object."""
        published = self._retrying(checksum_key(key), small_body)
        return None if published is None else stated_sha256(published, key, self.url)

    def folders(self, key: str) -> list[str]:
        """The names of the folders in the folder `key`, in order; none where it does not exist.

        Raises NotListed where the archive is neither a folder of this machine nor listed by an S3 server, and
        ArchiveUnavailable where the listing was not reached or is none.
        """
        if self._folder is not None:
            return folders_in(self._folder / key)
        if self._listing is None:
            raise NotListed(f"{self.url} is requested object by object: nothing lists what it has")
        try:
            return self._listing.folders(key)
        except (GaveUp, Unreachable, ListingUnreadable) as reason:
            raise ArchiveUnavailable(
                f"{self._listing.url} could not be listed ({reason}); check the network, and run the same command again"
            ) from reason

    def expect(self, keys: Iterable[str]) -> None:
        """These objects may be requested: what is worth it is listed."""
        if self._listing is not None and self._has_checksums:
            self._listing.expect(checksum_key(key) for key in keys)

    def state(self, key: str, *, looks: bool = True) -> str | None:
        """What changes whenever the `proof` of the object does, as it was when this was first called for its folder;
        empty where there is no object. None where only a request states it.

        With an archive in a folder it costs one look at each of its folders, with a listed one a page of the listing;
        without `looks` nothing, and None where that was not looked at yet.
        """
        if self._looked_at is not None:
            return self._looked_at.state(checksum_key(key) if self._has_checksums else key, looks=looks)
        if self._listing is not None and self._has_checksums:
            return self._listing.etag_of(checksum_key(key), requests=looks)
        return None

    def proof(self, key: str, known: str = "") -> Proof | None:
        """The proof of `key` before its download, or None when the archive has no such object.

        One request for the published checksum or, where there are none, one HEAD. No request for an object that is not
        listed, or whose checksum is listed as the `known` one (sha256). A file of a folder without checksums is read:
        its modification time only reports when it was copied.
        """
        if self._has_checksums:
            etag = self._listing.etag_of(checksum_key(key)) if self._listing is not None else None
            if etag == "":
                return None
            if known and etag == checksum_etag(key, known):
                return Proof(known)
            sha256 = self.checksum(key)
            return None if sha256 is None else Proof(sha256)
        if self._folder is not None:
            state = self._retrying(key, lambda stream: f"sha256={hashlib.file_digest(stream, 'sha256').hexdigest()}")
        else:
            state = self._retrying(key, reported_state, "HEAD")
        if state is None:
            return None
        if not state:
            raise ArchiveUnavailable(
                f"{self.url}/{key}: the server reports neither ETag nor size nor modification time, so a changed file "
                f"would not be noticed; set {self.setting} to a mirror that reports one of them"
            )
        return Proof("", f"{_UNPUBLISHED}; {state}")

    def download(self, key: str, proof: Proof, folder: Path) -> Download:
        """Stream `key` into `folder`, and verify it: by the published checksum or, where there is none, by the state
        that the server reports.

        A file and its checksum are replaced one after the other, and a file may be replaced while it is downloaded: one
        mismatch may only be bad timing, so the proof is requested again and the file a second time. Raises
        ChecksumMismatch when the bytes differ even then, ObjectGone when there is no such object, ArchiveUnavailable
        when it cannot be fetched.

        Without a checksum the sha256 is that of the received bytes.
        """
        target = folder / key.rsplit("/", 1)[-1]
        received: str | None = None
        for attempt in range(2):
            if attempt:
                proof = self.proof(key) or proof
            found = self._retrying(key, lambda stream: copied(stream, target), bounds=self._file)
            if found is None:
                target.unlink(missing_ok=True)
                raise ObjectGone(f"{self.url}/{key} is gone although the archive has just reported it; try again later")
            received, state = found
            if received == proof.sha256 or (proof.fingerprint and self._is_state(key, proof, state, target)):
                return Download(target, Proof(received, proof.fingerprint))
        target.unlink(missing_ok=True)
        if proof.fingerprint:
            raise ArchiveUnavailable(
                f"{self.url}/{key} changed twice while it was downloaded, or its length differs from the reported one; "
                "nothing was stored. Try again later"
            )
        raise ChecksumMismatch(
            f"{self.url}/{key} has sha256 {received} but {proof.sha256} is published for it; nothing was stored. "
            "Try again later; if it persists, the file was damaged in transit or the archive is inconsistent",
            received or "",
            proof.sha256,
        )

    def _is_state(self, key: str, proof: Proof, state: str, target: Path) -> bool:
        """Whether the received file is in the state that its proof describes. `state`: as reported with the file.

        Some servers report another ETag for a GET than for a HEAD: what counts then is that the HEAD is still the same,
        and the size.
        """
        if self._folder is not None or proof.fingerprint == f"{_UNPUBLISHED}; {state}":
            return True
        size = _SIZE.search(proof.fingerprint)
        if size and int(size[1]) != target.stat().st_size:
            return False
        return self.proof(key) == Proof("", proof.fingerprint)

    @property
    def notices(self) -> list[str]:
        """The limitations of this archive as a whole, each in one sentence without a full stop."""
        waiting = self._health.waiting.notice
        found = [f"{redacted(self.url)} {waiting}"] if waiting else []
        if self._listing is not None and self._health.listing_fault:
            found.append(
                f"{redacted(self._listing.url)} could not be listed ({self._health.listing_fault}); each checksum was "
                "requested instead, which takes longer"
            )
        if self._hides_absence:
            found.append(
                f"{redacted(self.url)} does not report which files are absent: HTTP 403 counts as absent where it "
                "serves other files"
            )
        return found

    def serves_any(self, keys: Iterable[str]) -> bool:
        """Whether it has served this process any object; requests those of `keys` that were not requested before."""
        # One at a time: who finds a key requested by another one needs its answer.
        with self._probing:
            for key in keys:
                if self._health.has_served:
                    return True
                if key not in self._probed:
                    self._probed.add(key)
                    with suppress(ArchiveUnavailable, SourceDefect):
                        self.proof(key)
            return self._health.has_served

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

    def _retrying(
        self, key: str, consume: Any, method: str = "GET", *, is_object: bool = True, bounds: Bounds | None = None
    ) -> Any:
        """`consume(stream)` of the object at `key`, from its first byte on each attempt; None: there is no object."""
        bounds = bounds or self._small
        run_again = (
            f"Check the network and {self.setting}, then run the same command again: what is done is not repeated"
        )
        breaker, until = self._health.breaker, time.monotonic() + bounds.seconds
        if breaker.is_open:
            raise ArchiveUnavailable(f"{self.url} {breaker.reason}; {key} was not tried. {run_again}")

        def left() -> float:
            return until - time.monotonic()

        try:
            answer = (
                self._policy.run(
                    lambda: self._attempt(key, consume, method, is_object, bounds, left()), self._sleep, left
                )
                if self._folder is None
                else self._attempt(key, consume, method, is_object, bounds, left())  # a folder is as it is
            )
        except GaveUp as reason:
            breaker.gave_up(str(reason))
            raise ArchiveUnavailable(
                f"{self.url}/{key} could not be fetched in {reason.attempts} attempts ({reason}). {run_again}"
            ) from reason
        except Rejected as reason:
            breaker.gave_up(str(reason))
            raise ArchiveUnavailable(f"{self.url}/{key} was not accepted: {reason}. {run_again}") from reason
        breaker.succeeded()
        return answer

    def _attempt(self, key: str, consume: Any, method: str, is_object: bool, bounds: Bounds, left: float) -> Any:
        try:
            with self._opened(key, method, is_object, bounds, left) as stream:
                return None if stream is None else consume(stream)
        except Rejected:
            raise
        except Unreachable as error:
            raise Retry(str(error)) from error

    @contextmanager
    def _opened(self, key: str, method: str, is_object: bool, bounds: Bounds, left: float) -> Iterator[Stream | None]:
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
        with self._client.stream(method, f"{self.url}/{key}", bounds, left) as response:
            yield self._checked(response, key, is_object)

    def _checked(self, response: Incoming, key: str, is_object: bool) -> Incoming | None:
        """The body when there is one, None for an absent object, an exception for everything else."""
        status, where = response.status, f"{self.url}/{key}"
        if status == 200:
            if is_object:
                self._health.has_served = True
            return response
        if status == 404:
            return None
        if status == 403 and self._code(response, key) in _HIDES_ABSENCE:
            if not self._health.has_served:
                raise AbsenceUnknown(
                    f"{where} was refused with HTTP 403, AccessDenied, and so was every other request: the archive "
                    f"does not serve this client; check {self.setting} and who may read it"
                )
            self._hides_absence = True
            return None
        if status in RETRYABLE_STATUSES:
            required = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
            if required is not None and not self._health.waiting.grants(required):
                pause = f"requested a pause of {required.total_seconds():,.0f} s, longer than a run waits"
                self._health.breaker.open(pause)
                raise ArchiveUnavailable(
                    f"{where} answered HTTP {status}: {self.url} {pause}. Run the same command again when it is over, "
                    f"or set {self.setting} to a mirror"
                )
            raise Retry(f"HTTP {status}", required)
        if status in (403, 451):
            raise ArchiveUnavailable(
                f"{where} was refused with HTTP {status}: the archive does not serve this location or "
                f"network; set {self.setting} to a mirror that you may read"
            )
        raise ArchiveUnavailable(f"{where} answered HTTP {status}; check {self.setting}")

    def _code(self, response: Incoming, key: str) -> str:
        """The code of S3's XML answer; empty for another body. A HEAD has no body, so it is repeated as a GET."""
        body = response.read(FIRST_LINE)
        if not body:
            with self._client.stream("GET", f"{self.url}/{key}", self._small) as again:
                body = again.read(FIRST_LINE) if again.status == 403 else b""
        return s3_code(body)
