"""What lasts and should not: a market gone stale, a publication refused, a collector gone quiet.

Belongs here: the state of things as facts, each from what it is handed. Does not: figures (`publication`), or whether
an alert was recorded already (`outbox`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ingestion.live.status import CollectorStatus, ConnectionStatus
from ingestion.venues import is_simulated
from orchestration.alerts.facts import (
    RECENT,
    Fact,
    Found,
    Kind,
    condition,
    labelled,
    moment,
    unjudged,
    utc,
)
from orchestration.alerts.publication import Newest
from orchestration.serving.staleness import expected_day, stale

QUIET_AFTER: Final = timedelta(minutes=1)
DOWN_AFTER: Final = timedelta(minutes=5)
# Among all symbols of a venue some position is liquidated within minutes; hours without any are rare.
SILENT_AFTER: Final = timedelta(hours=6)
_EVIDENCE_SHOWN: Final = 600


@dataclass(frozen=True)
class PublishingRun:
    """An ended run that was to publish. `failed_checks`: the reason of each blocking check that failed, by its name.

    `has_published`: also of a run that failed after it had published.
    """

    run_id: str
    ended_at: datetime | None
    succeeded: bool
    has_published: bool
    failed_checks: Mapping[str, str] = field(default_factory=dict)
    failed_steps: tuple[str, ...] = ()


def stale_markets(newest: Sequence[Newest], now: datetime) -> Found:
    """Markets that lack the day that they should have by `now`."""
    headlines = {one.market_id: one.headline for one in newest}
    facts = []
    for market, behind in stale({one.market_id: one.day for one in newest}, now).items():
        subject = labelled(f"{market} is stale", is_simulated=is_simulated(market))
        text = f"{subject}: {behind}. `taker status` lists what is missing, `taker run` fetches it."
        if headlines[market]:
            text += f"\nThe last published day: {headlines[market]}"
        facts.append(condition(Kind.STALE, f"{Kind.STALE}:{market}", subject, text, now))
    expected = expected_day(now)
    return Found(Kind.STALE, tuple(facts), f"{len(newest)} market(s), each with a bar of {expected} expected")


def refused_publication(run: PublishingRun | None, now: datetime, *, is_simulated: bool) -> Found:
    """Whether the latest run that was to publish was kept from it, and by which checks. None: there was no such run."""
    if run is None:
        return unjudged(Kind.AUDIT, "no run that publishes has ended")
    at = moment(run.ended_at) if run.ended_at is not None else "an unknown time"
    name = f"run {run.run_id[:8]}"
    if run.succeeded:
        return Found(Kind.AUDIT, (), f"the latest publication, {name} of {at}, passed its audit")
    if run.has_published:
        return Found(Kind.AUDIT, (), f"{name} of {at} failed only after it had published")
    stands = f"The former publication stands. {name[0].upper()}{name[1:]} in Dagster has the evidence."
    failed = run.failed_checks
    if failed:
        shown = "\n".join(f"{check}: {_shortened(why)}" for check, why in list(failed.items())[:5])
        more = f"\n… and {len(failed) - 5} more checks" if len(failed) > 5 else ""
        subject = f"publication refused: {len(failed)} failed check{'' if len(failed) == 1 else 's'}"
        text = f"Nothing was published at {at}: the audit failed.\n{shown}{more}\n{stands}"
        parts: Collection[str] = failed
    else:
        # The error's own text is left out: what it quotes may be secret.
        where = ", ".join(run.failed_steps) or "before its first step"
        subject = f"publication failed: {where}"
        text = f"Nothing was published at {at}: the run failed in {where}, not in the audit. {stands}"
        parts = [f"step {step}" for step in run.failed_steps]
    subject, text = (labelled(written, is_simulated=is_simulated) for written in (subject, text))
    fact = condition(Kind.AUDIT, f"{Kind.AUDIT}:{'checks' if failed else 'run'}", subject, text, now, *parts)
    return Found(Kind.AUDIT, (fact,), f"the latest run that was to publish, {name} of {at}")


def _shortened(text: str) -> str:
    return text if len(text) <= _EVIDENCE_SHOWN else f"{text[:_EVIDENCE_SHOWN]}…"


def quiet_collector(status: CollectorStatus | None, now: datetime) -> Found:
    """A collector whose heartbeat ended without a stop; of a running one, connections that are down or silent."""
    if status is None:
        return Found(Kind.COLLECTOR, (), "no collector has run here")
    if status.stopped_at is not None:
        at = moment(status.stopped_at)
        return Found(
            Kind.COLLECTOR, (), f"it was stopped on purpose at {at}; nothing is received until `taker collect`"
        )
    beat = utc(status.beat_at)
    if now - beat > RECENT:
        return Found(Kind.COLLECTOR, (), f"none has run since {moment(beat)}, too long ago to be missed")
    if now - beat > QUIET_AFTER:
        subject = "the collector has gone quiet"
        text = (
            f"The collector has gone quiet, stopped or stuck: its last sign of life is {beat:%Y-%m-%d %H:%M:%S} UTC. "
            "Nothing that venues have sent since then was received; `taker collect` starts it again."
        )
        fact = condition(Kind.COLLECTOR, f"{Kind.COLLECTOR}:quiet", subject, text, now)
        return Found(Kind.COLLECTOR, (fact,), f"the last sign of life is of {moment(beat)}")
    judged = [_troubled(connection, utc(status.started_at), now) for connection in status.connections]
    facts = tuple(fact for fact in judged if fact is not None)
    return Found(Kind.COLLECTOR, facts, f"{len(status.connections)} connection(s), last beat {moment(beat)}")


def _troubled(connection: ConnectionStatus, started_at: datetime, now: datetime) -> Fact | None:
    """What is wrong with one connection, if anything is."""
    name = connection.name
    received = utc(connection.last_frame_at or started_at)
    if not connection.is_up:
        if now - received <= DOWN_AFTER:
            return None
        text = (
            f"The collector's connection {name} is down and has received nothing since "
            f"{received:%Y-%m-%d %H:%M:%S} UTC. It keeps trying to connect; coverage will show what is missing."
        )
        subject = f"the collector's connection {name} is down"
        return condition(Kind.COLLECTOR, f"{Kind.COLLECTOR}:connection:{name}", subject, text, now)
    # Silence while it was down proves nothing; and a connection without even a pong, as after the machine slept, will
    # be found to be down.
    silent_since = max(utc(at or started_at) for at in (connection.last_message_at, connection.up_since))
    if not connection.is_venue_wide or now - silent_since <= SILENT_AFTER or now - received > DOWN_AFTER:
        return None
    hours = int((now - silent_since) / timedelta(hours=1))
    subject = f"the collector's connection {name} is up and receives nothing"
    text = (
        f"The collector's connection {name} is up and answers, but for {hours} hours, since "
        f"{silent_since:%Y-%m-%d %H:%M:%S} UTC, not one message was received, though it is for liquidations of every "
        "symbol of the venue. The market may be that calm; more likely the address is wrong, or the venue has moved "
        "the stream: compare TAKER_VENUE_URLS with the venue's announcements. Meanwhile these minutes count as "
        "covered, with nothing in them."
    )
    return condition(Kind.COLLECTOR, f"{Kind.COLLECTOR}:silent:{name}", subject, text, now)
