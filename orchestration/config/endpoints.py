"""Where the venues are reached: archive, REST API and WebSocket feed of each.

Belongs here: the addresses that result from TAKER_ARCHIVE_URL, TAKER_VENUE_URLS and TAKER_REST, and which venues may be
called at all. Does not: calling them (`ingestion.http`, `ingestion.live`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ingestion.domain.redaction import redacted
from ingestion.http.bounds import FILE_SECONDS
from ingestion.venues import VENUES, venue_of
from orchestration.config.addresses import venue_fault

if TYPE_CHECKING:
    from ingestion.http.archives import ArchiveLocation

# Of TAKER_ARCHIVE_LISTING_URL: the venue's own listing for its own archive, and no listing for another.
AUTO: Final = "auto"
BINANCE_ARCHIVE_URL: Final = "https://data.binance.vision"
# The parts of a venue that TAKER_VENUE_URLS can redirect, and the schemes that each accepts.
_PART_SCHEMES: Final = {"archive": ("https", "http", "file"), "rest": ("https", "http"), "live": ("wss", "ws")}


def venue_urls(pairs: Iterable[str]) -> dict[str, str]:
    """`venue.part=URL` texts as addresses by `venue.part`. ValueError states what is allowed."""
    parts = [f"{venue}.{part}" for venue in VENUES for part in _PART_SCHEMES]
    urls: dict[str, str] = {}
    for name, _, url in (pair.partition("=") for pair in pairs):
        if name not in parts:
            raise ValueError(
                f"`{redacted(name)}` is no part of a venue; write `venue.part=URL`, such as "
                f"bybit.archive=file:///folder, with a venue of {', '.join(VENUES)} and a part of "
                f"{', '.join(_PART_SCHEMES)}"
            )
        schemes = _PART_SCHEMES[name.partition(".")[2]]
        if fault := venue_fault(url, schemes):
            allowed = ", ".join(f"{scheme}://" for scheme in schemes)
            raise ValueError(f"{name}: {fault}; it begins with one of {allowed}")
        urls[name] = url.rstrip("/")
    return urls


@dataclass(frozen=True)
class Endpoints:
    """The addresses of venues; `venues` are those of the configured markets, `redirected` TAKER_VENUE_URLS.

    `redirect_hosts`: where redirects of archives may lead besides their own hosts. `file_seconds`: how long one file of
    an archive may take. `listing`: TAKER_ARCHIVE_LISTING_URL.
    """

    venues: tuple[str, ...]
    archive_url: str = BINANCE_ARCHIVE_URL
    redirected: Mapping[str, str] | None = None
    rest: Literal["auto", "on", "off"] = "auto"
    redirect_hosts: tuple[str, ...] = ()
    listing: str = AUTO
    file_seconds: float = FILE_SECONDS

    @property
    def archive_venues(self) -> tuple[str, ...]:
        """The venues of the configured markets that have an archive."""
        return tuple(venue for venue in self.venues if venue_of(venue).archive)

    def archive_url_of(self, venue: str) -> str:
        """Where the venue's files are. TAKER_ARCHIVE_URL replaces Binance's archive, which the simulated one mimics."""
        own = venue_of(venue).archive
        default = self.archive_url if own is None or own.url == BINANCE_ARCHIVE_URL else own.url
        return self._redirected(venue, "archive") or default

    def archive_location_of(self, venue: str) -> ArchiveLocation:
        """The same for `ingestion.http.archives`, with the setting that its messages name."""
        from ingestion.http.archives import ArchiveLocation

        own = venue_of(venue).archive
        is_common = own is None or own.url == BINANCE_ARCHIVE_URL
        url = self.archive_url_of(venue)
        listing = own.listing_url if own is not None and url == own.url else ""
        if self.listing != AUTO and url == self.archive_url:
            listing = self.listing
        return ArchiveLocation(
            url,
            has_checksums=own is None or own.has_checksums,
            setting="TAKER_ARCHIVE_URL"
            if is_common and not self._redirected(venue, "archive")
            else f"TAKER_VENUE_URLS ({venue}.archive=…)",
            redirect_hosts=self.redirect_hosts,
            redirect_setting="TAKER_ARCHIVE_REDIRECT_HOSTS",
            file_seconds=self.file_seconds,
            listing_url=listing,
        )

    def rest_url_of(self, venue: str) -> str | None:
        """Where the venue's REST API is called; None where it must not be, or there is none.

        `auto`: a venue whose archive is read from a mirror is not called either, unless its address is given.
        """
        given = self._redirected(venue, "rest")
        own = venue_of(venue)
        if own.api is None or self.rest == "off":
            return None
        is_mirrored = own.archive is not None and self.archive_url_of(venue) != own.archive.url
        return given or (own.api.url if self.rest == "on" or not is_mirrored else None)

    @property
    def rest_urls(self) -> dict[str, str]:
        """The REST APIs of the configured markets' venues, by venue; without those that must not be called."""
        return self.rest_urls_with(())

    def rest_urls_with(self, received: Iterable[str]) -> dict[str, str]:
        """The same, and of the venues that a collector received messages from.

        A venue whose feed is redirected is not called at its own address.
        """
        urls = {venue: self.rest_url_of(venue) for venue in self.venues}
        for venue in received:
            is_redirected = self._redirected(venue, "live") and not self._redirected(venue, "rest")
            if venue not in urls and (not is_redirected or self.rest == "on"):
                urls[venue] = self.rest_url_of(venue)
        return {venue: url for venue, url in urls.items() if url is not None}

    def live_url_of(self, venue: str) -> str | None:
        """Where the venue's WebSocket is; None where there is none."""
        feed = venue_of(venue).feed
        return (self._redirected(venue, "live") or feed.url or None) if feed is not None else None

    def _redirected(self, venue: str, part: str) -> str | None:
        return (self.redirected or {}).get(f"{venue}.{part}")
