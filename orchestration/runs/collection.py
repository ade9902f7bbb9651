"""`taker collect` and `taker seal`: the collector as a process, and its finished hours into the storage.

Belongs here: settings and signals to a running collector, what is printed. Does not: connections (`ingestion.live`).
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from ingestion.domain.errors import IngestionError
from ingestion.domain.markets import Market, UnknownMarket
from ingestion.domain.periods import Period
from ingestion.venues import VENUES, parse_market, venue_of
from orchestration.config.settings import Settings

if TYPE_CHECKING:
    from ingestion.live.collector import Collected, Collector
    from ingestion.raw.zone import ObjectId, RawZone

# The list of a venue's contracts may be this old.
_INSTRUMENTS_DAYS: Final = 7


class NothingReceived(IngestionError):
    """A bounded run ended without a single connection."""


def collect(settings: Settings, *, trades: bool, venues: str | None, every_symbol: bool, seconds: float | None) -> None:
    """Receive until SIGTERM, SIGINT or `seconds`. IngestionError: why it could not begin or received nothing."""
    from ingestion.live.collector import Collector, plan
    from ingestion.live.spool import SpoolBusy

    urls = _addresses(settings, venues)
    more = instruments(settings, urls) if every_symbol else []
    plans = plan(settings.scope.markets, urls, trades=trades, more=more)
    _print(f"spool {settings.spool_dir}; seal finished hours with `taker run` or the sensor in Dagster")
    for venue in urls:
        if venue not in {each.venue for each in plans}:
            _print(
                f"{venue}: left out, as it requires per-symbol subscriptions; name a symbol in TAKER_MARKETS, "
                "or use --every-symbol"
            )
    if not plans:
        raise IngestionError(
            "there is nothing to subscribe to; name a venue with --venues, or a market in TAKER_MARKETS"
        )
    collector = Collector(settings.spool_dir, plans, report=_print, name=settings.collector)
    try:
        collected = asyncio.run(_until_stopped(collector, seconds))
    except SpoolBusy as busy:
        raise SpoolBusy(f"{busy} (TAKER_STATE_DIR)") from busy
    _print(f"stopped; {collected.messages:,} messages received, all of them on disk")
    if seconds is not None and not collected.was_ever_up:
        raise NothingReceived(
            f"no venue could be reached in {seconds:g} s; the reasons are above. Check the network, or point "
            "TAKER_VENUE_URLS at an address that answers, such as okx.live=wss://…"
        )


def seal(settings: Settings) -> None:
    """Seal the finished hours of this machine's spool; a line for each object. StorageError, Busy, TakenOver."""
    from orchestration.defs.recent import seal_spool_of
    from orchestration.resources import StorageResource
    from orchestration.state.locks import Workplace

    with contextlib.closing(Workplace(settings.paths, settings.lock_wait_seconds)) as workplace:
        sealed = seal_spool_of(settings.spool_dir, StorageResource(settings.storage), workplace, _print)
    for each in sealed:
        _print(f"{each.market_id} {each.dataset} {each.day}: {len(each.hours)} hours added, {each.rows:,} rows")
    if not sealed:
        _print(f"{settings.spool_dir}: no hour has ended that is not sealed yet")


async def _until_stopped(collector: Collector, seconds: float | None) -> Collected:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    return await collector.run(stop)


def _addresses(settings: Settings, venues: str | None) -> dict[str, str]:
    with_feed = [venue for venue in VENUES if venue_of(venue).feed is not None]
    wanted = [part.strip() for part in venues.split(",") if part.strip()] if venues is not None else with_feed
    unknown = [venue for venue in wanted if venue not in with_feed]
    if unknown:
        raise IngestionError(f"`{unknown[0]}` is no venue with a feed; write one or more of {', '.join(with_feed)}")
    found = {venue: settings.live_url_of(venue) for venue in wanted}
    return {venue: url for venue, url in found.items() if url}


def instruments(settings: Settings, urls: dict[str, str]) -> list[Market]:
    """Every open contract of the venues that require per-symbol subscriptions: as last stored, or requested now."""
    from ingestion.raw.zone import ObjectId
    from orchestration.resources import StorageResource

    zone = StorageResource(settings.storage).raw_zone()
    today = datetime.now(UTC).date()
    found: list[Market] = []
    for venue in urls:
        feed = venue_of(venue).feed
        if feed is None or feed.is_venue_wide:
            continue
        days: list[date] = [today - timedelta(days=n) for n in range(_INSTRUMENTS_DAYS)]
        ids = [ObjectId("instruments", Market.whole_venue(venue), "", Period.of_day(day)) for day in days]
        newest = next((object_id for object_id in ids if zone.receipt(object_id) is not None), None)
        if newest is None:
            newest = _requested_now(settings, venue, zone)
        for row in zone.rows(newest).select(["symbol_name", "is_trading"]).to_pylist():
            if row["is_trading"]:
                with contextlib.suppress(UnknownMarket):
                    found.append(parse_market(f"{venue}:{row['symbol_name']}"))
    return found


def _requested_now(settings: Settings, venue: str, zone: RawZone) -> ObjectId:
    """Request the venue's contracts, and store them as any run does."""
    from ingestion.recent import ingest_recent, plan_recent
    from orchestration.resources import ApiResource

    unlisted = f"{venue} requires per-symbol subscriptions, and no list of its contracts was stored in the last week"
    with ApiResource(settings.endpoints, settings.paths.bans).open([venue]) as access:
        apis = {name: one.api for name, one in access.items() if name == venue}
        tasks = plan_recent((), zone=zone, apis=apis, now=datetime.now(UTC), received=[venue])
        for outcome in ingest_recent(tasks, access=access, zone=zone):
            if outcome.receipt is not None:
                return outcome.task.object_id
            why = outcome.error or "it listed none"
            raise IngestionError(
                f"{unlisted}; requested now: {why}; leave out --every-symbol to receive TAKER_MARKETS only"
            )
    raise IngestionError(
        f"{unlisted}, and its REST API is off: set TAKER_REST=on, give its address in TAKER_VENUE_URLS "
        f"({venue}.rest=…), or leave out --every-symbol"
    )


def _print(line: str) -> None:
    """One line at once, with the time, for a service manager's log."""
    print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}", flush=True)
