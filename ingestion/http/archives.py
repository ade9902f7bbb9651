"""The archives of several venues, as one run opens them.

Belongs here: where an archive is, and which venues share one. Does not: what is read from it (`ingestion.http.fetch`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass, replace
from typing import Final

from ingestion.http.bounds import FILE, FILE_SECONDS
from ingestion.http.fetch import DEFAULT_SETTING, Archive
from ingestion.http.retry import ServerHealth

# Waiting for a server takes no core: more objects wait than are decoded at once. Threads that read a folder wait for
# each other rather than for the disk.
_CONNECTIONS: Final = 16
_OF_A_FOLDER: Final = 4


@dataclass(frozen=True)
class ArchiveLocation:
    """Where a venue's archive is, and whether its objects have checksums.

    `listing_url`: the bucket on an S3 server that lists the same objects under the same keys; empty without one.
    `setting`, `redirect_setting`: what messages call the settings that configure the location and the hosts that its
    redirects may lead to; only the caller knows them. `file_seconds`: how long one file may take.
    """

    url: str
    has_checksums: bool = True
    setting: str = DEFAULT_SETTING
    redirect_hosts: tuple[str, ...] = ()
    redirect_setting: str = "the allowed redirect hosts"
    file_seconds: float = FILE_SECONDS
    listing_url: str = ""


class Archives:
    """The archives of several venues. Each is opened on first use; venues at one location share one.

    `location_of`: venue → where its archive is. `health`: by address, what is known of the servers; a run that opens
    archives several times hands in the same mapping, so that a server that is down is found out once. Safe to share
    between threads.
    """

    def __init__(
        self,
        location_of: Callable[[str], ArchiveLocation],
        health: MutableMapping[str, ServerHealth] | None = None,
    ) -> None:
        self._location_of = location_of
        self._health = {} if health is None else health
        self._lock = threading.Lock()
        self._open: dict[ArchiveLocation, Archive] = {}

    def of(self, venue: str) -> Archive:
        """The venue's archive. Raises ArchiveUnavailable for an invalid address or a missing folder."""
        location = self._location_of(venue)
        with self._lock:
            if location not in self._open:
                health = self._health.setdefault(location.url, ServerHealth())
                self._open[location] = Archive(
                    location.url,
                    has_checksums=location.has_checksums,
                    setting=location.setting,
                    file_bounds=replace(FILE, attempt_seconds=location.file_seconds, seconds=location.file_seconds),
                    redirect_hosts=location.redirect_hosts,
                    redirect_setting=location.redirect_setting,
                    health=health,
                    listing_url=location.listing_url,
                )
            return self._open[location]

    def at_once(self, venues: Iterable[str]) -> int:
        """How many objects of these venues are best requested at the same time."""
        is_remote = any(not self._location_of(venue).url.startswith("file:") for venue in venues)
        return _CONNECTIONS if is_remote else _OF_A_FOLDER

    @property
    def notices(self) -> list[str]:
        """The notices of the archives that were opened, each once."""
        return sorted({notice for archive in self._open.values() for notice in archive.notices})

    def close(self) -> None:
        for archive in self._open.values():
            archive.close()
