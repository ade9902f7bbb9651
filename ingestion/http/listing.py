"""What an S3 server lists of an archive: which objects there are, and the ETag of each.

Belongs here: the pages of a bucket, requested folder by folder where that is worth it, and the folders in a
folder. Does not: what an ETag proves of an object (`ingestion.http.fetch`).

A page has 1,000 objects and costs what one checksum costs. What cannot be listed is requested object by object: a
listing saves requests and decides nothing that they would decide otherwise.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree

from ingestion.http.bounds import LISTING
from ingestion.http.client import HttpClient
from ingestion.http.retry import RETRYABLE_STATUSES, GaveUp, Retry, RetryPolicy, ServerHealth
from ingestion.http.watch import Rejected, Unreachable

# From so many objects of a folder on, a page costs less than their checksums.
_WORTH: Final = 3
_POLICY: Final = RetryPolicy(attempts=3, first_pause=0.5, jitter=0.5)
# A folder of an archive has a few thousand objects: more pages are no listing of one.
_MOST_PAGES: Final = 100
# Entities are no part of a listing; expanding them is how XML fills a memory.
_DECLARATION: Final = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


class ListingUnreadable(Exception):
    """The answer is no page of a bucket that follows the one before. The text states why, in a few words."""


@dataclass(frozen=True)
class Page:
    """A page of a bucket. `etags`: by key, in order; empty where the server reports none."""

    etags: dict[str, str]
    is_last: bool


@dataclass
class _Folder:
    """A folder of which the objects from `first` to `last` may be requested; `etags`: what it lists of them."""

    first: str
    last: str
    requested: int = 0
    etags: dict[str, str] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Listing:
    """The listing of a bucket at `https://host/bucket`. Safe to share between threads.

    `health`: of the server; once it could not be listed, it is not requested again. `sleep`: seconds.
    """

    def __init__(
        self, url: str, client: HttpClient, health: ServerHealth, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.url, self._client, self._health, self._sleep = url.rstrip("/"), client, health, sleep
        self._folders: dict[str, _Folder] = {}
        self._lock = threading.Lock()

    def expect(self, keys: Iterable[str]) -> None:
        """These objects, and any between them, may be requested."""
        with self._lock:
            for key in keys:
                name = key.rpartition("/")[0]
                known = self._folders.get(name)
                if known is None:
                    self._folders[name] = _Folder(key, key)
                elif known.etags is None:
                    known.first, known.last = min(known.first, key), max(known.last, key)

    def etag_of(self, key: str, *, requests: bool = True) -> str | None:
        """The ETag that is listed for an object; empty when the object is not listed, None where nothing is known.

        Without `requests` only what was listed before is known.
        """
        with self._lock:
            folder = self._folders.get(key.rpartition("/")[0])
            if folder is None or self._health.listing_fault or not folder.first <= key <= folder.last:
                return None
            folder.requested += requests
            if folder.etags is None and (folder.requested < _WORTH or not requests):
                return None
        with folder.lock:
            if folder.etags is None:
                try:
                    folder.etags = self._listed(folder)
                except (GaveUp, Unreachable, ListingUnreadable) as reason:
                    self._health.listing_fault = str(reason)
                    return None
        return folder.etags.get(key, "")

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in `folder`, in order. Raises GaveUp, Unreachable or ListingUnreadable."""
        prefix, marker, names = f"{folder}/", "", []
        for _ in range(_MOST_PAGES):
            page = folders_of(self._requested(prefix, marker, delimiter="/"), prefix, marker)
            names += page.names
            if not page.marker:
                return names
            marker = page.marker
        raise ListingUnreadable(f"{prefix} has more than {_MOST_PAGES} pages")

    def _listed(self, folder: _Folder) -> dict[str, str]:
        prefix = f"{folder.first.rpartition('/')[0]}/"
        # A page begins behind its marker: what the first key itself begins with sorts before it.
        marker = folder.first[:-1]
        etags: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            page = page_of(self._requested(prefix, marker), prefix, marker)
            etags |= page.etags
            if page.is_last or next(reversed(page.etags)) >= folder.last:
                return etags
            marker = next(reversed(page.etags))
        raise ListingUnreadable(f"{prefix} has more than {_MOST_PAGES} pages")

    def _requested(self, prefix: str, marker: str, **more: str) -> bytes:
        until = time.monotonic() + LISTING.seconds

        def attempt() -> bytes:
            try:
                answer = self._client.get(self.url, {"prefix": prefix, "marker": marker, **more}, LISTING)
            except Rejected:
                raise
            except Unreachable as error:
                raise Retry(str(error)) from error
            if answer.status in RETRYABLE_STATUSES:
                raise Retry(f"HTTP {answer.status}")
            if answer.status != 200:
                raise ListingUnreadable(f"HTTP {answer.status}")
            return answer.body

        return _POLICY.run(attempt, self._sleep, lambda: until - time.monotonic())


def page_of(body: bytes, prefix: str, marker: str) -> Page:
    """The page of a bucket in S3's XML (version 1). Raises ListingUnreadable for anything else, and for a page whose
    keys are not those behind `marker` below `prefix`, in ascending order."""
    etags: dict[str, str] = {}
    truncated, last = "", marker
    for name, text, fields in _elements(body):
        if name == "IsTruncated":
            truncated = text
        if name != "Contents":
            continue
        key = fields.get("Key", "")
        if not key.startswith(prefix) or key.encode() <= last.encode():
            raise ListingUnreadable(f"the answer lists {key[:100]!a}, which was not requested")
        etags[key], last = fields.get("ETag", "").strip('"'), key
    if truncated not in ("true", "false") or (truncated == "true" and not etags):
        raise ListingUnreadable("the answer does not state whether it is the last page")
    return Page(etags, truncated == "false")


@dataclass(frozen=True)
class FolderPage:
    """A page of the folders in a folder. `marker`: where the next page begins; empty on the last one."""

    names: list[str]
    marker: str


def folders_of(body: bytes, prefix: str, marker: str) -> FolderPage:
    """The folders in `prefix`, in S3's XML (version 1, with the delimiter `/`). Raises ListingUnreadable for anything
    else, and for a page that names others, or not in ascending order behind `marker`."""
    names: list[str] = []
    truncated, following, last = "", "", marker
    for name, text, fields in _elements(body):
        if name == "IsTruncated":
            truncated = text
        elif name == "NextMarker":
            following = text
        elif name == "CommonPrefixes":
            found = fields.get("Prefix", "")
            folder = found.removeprefix(prefix).removesuffix("/")
            if found != f"{prefix}{folder}/" or not folder or "/" in folder or found.encode() <= last.encode():
                raise ListingUnreadable(f"the answer lists {found[:100]!a}, which was not requested")
            names.append(folder)
            last = found
    if truncated not in ("true", "false"):
        raise ListingUnreadable("the answer does not state whether it is the last page")
    following = following or last
    if truncated == "true" and following.encode() <= marker.encode():
        raise ListingUnreadable("the answer does not state where the next page begins")
    return FolderPage(names, following if truncated == "true" else "")


def _elements(body: bytes) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Name, text and fields of each element of a page."""
    if _DECLARATION.search(body):
        raise ListingUnreadable("the answer declares entities, which no listing does")
    try:
        root = ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ListingUnreadable(f"the answer is no XML ({error})") from error
    if root.tag.rpartition("}")[2] != "ListBucketResult":
        raise ListingUnreadable("the answer is no listing of a bucket")
    for element in root:
        fields = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
        yield element.tag.rpartition("}")[2], (element.text or "").strip(), fields
