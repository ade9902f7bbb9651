"""What lasts and should not: a market gone stale, a publication refused, a collector gone quiet.

Belongs here: the state of things as facts, each from what it is handed. Does not: figures (`publication`), or whether
somebody was told already (`outbox`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from orchestration.alerts.facts import RECENT, SIMULATED, Found, Kind, condition, moment, unjudged, utc
from orchestration.alerts.publication import Newest

if TYPE_CHECKING:
    import dagster as dg

# Archives are up by then on all but bad days; a run at night brings the day in hours before.
STALE_FROM_HOUR: Final = 12
QUIET_AFTER: Final = timedelta(minutes=1)
DOWN_AFTER: Final = timedelta(minutes=5)
_RUNS_LOOKED_AT: Final = 50
_EVIDENCE_SHOWN: Final = 600


class ConnectionStatus(Protocol):
    """What is read of one of the collector's connections."""

    @property
    def name(self) -> str: ...
    @property
    def is_up(self) -> bool: ...
    @property
    def last_frame_at(self) -> datetime | None: ...


class CollectorStatus(Protocol):
    """What is read of the collector."""

    @property
    def started_at(self) -> datetime: ...
    @property
    def beat_at(self) -> datetime: ...
    @property
    def connections(self) -> Sequence[ConnectionStatus]: ...


def stale_markets(newest: Sequence[Newest], now: datetime) -> Found:
    """Markets without a bar of yesterday at noon (UTC), of the day before yesterday until then."""
    expected = utc(now).date() - timedelta(days=1 if utc(now).hour >= STALE_FROM_HOUR else 2)
    facts = []
    for one in newest:
        if one.day is not None and one.day >= expected:
            continue
        label = SIMULATED if one.market_id.startswith("simulated") else ""
        subject = f"{label}{one.market_id} is stale"
        if one.day is None:
            text = f"{subject}: it has no published day at all."
        else:
            behind = (expected - one.day).days
            days = f"{behind} day{'' if behind == 1 else 's'}"
            text = f"{subject}: its newest published day is {one.day}, {days} behind {expected}."
        text += " `taker status` says what is missing, `taker run` fetches it."
        if one.headline:
            text += f"\nThe last that is known: {one.headline}"
        facts.append(condition(Kind.STALE, f"{Kind.STALE}:{one.market_id}", subject, text, now))
    return Found(Kind.STALE, tuple(facts), f"{len(newest)} market(s), each with a bar of {expected} expected")


def refused_publication(instance: dg.DagsterInstance | None, now: datetime, *, is_simulated: bool) -> Found:
    """Whether the latest run that was to publish was kept from it, and by which checks."""
    if instance is None:
        return unjudged(Kind.AUDIT, "no run has been recorded here")
    run = _latest_publishing_run(instance)
    if run is None:
        return unjudged(Kind.AUDIT, "no run that publishes has ended")
    from dagster import DagsterEventType, DagsterRunStatus

    at = moment(datetime.fromtimestamp(run.end_time, UTC)) if run.end_time else "an unknown time"
    name = f"run {run.dagster_run.run_id[:8]}"
    if run.dagster_run.status is DagsterRunStatus.SUCCESS:
        return Found(Kind.AUDIT, (), f"the latest publication, {name} of {at}, passed its audit")
    kinds = {DagsterEventType.ASSET_CHECK_EVALUATION, DagsterEventType.ASSET_MATERIALIZATION}
    records = instance.get_records_for_run(
        run.dagster_run.run_id, of_type=kinds | {DagsterEventType.STEP_FAILURE}
    ).records
    events = [record.event_log_entry.dagster_event for record in records]
    said = [event for event in events if event is not None]
    if any(event.is_step_materialization and event.asset_key == _published_key() for event in said):
        return Found(Kind.AUDIT, (), f"{name} of {at} failed only after it had published")
    failed = _failed_checks(event.event_specific_data for event in said)
    steps = sorted({str(event.step_key) for event in said if event.event_type is DagsterEventType.STEP_FAILURE})
    label = SIMULATED if is_simulated else ""
    stands = f"The former publication stands. {name[0].upper()}{name[1:]} in Dagster has the evidence."
    if failed:
        shown = "\n".join(f"{check}: {_shortened(why)}" for check, why in list(failed.items())[:5])
        more = f"\n… and {len(failed) - 5} more checks" if len(failed) > 5 else ""
        subject = f"{label}publication refused: {len(failed)} failed check{'' if len(failed) == 1 else 's'}"
        text = f"{label}Nothing was published at {at}: the audit failed.\n{shown}{more}\n{stands}"
        parts: Collection[str] = failed
    else:
        # Nothing of an error's own text: what it quotes is not for us to know.
        where = ", ".join(steps) or "before its first step"
        subject = f"{label}publication failed: {where}"
        text = f"{label}Nothing was published at {at}: the run failed in {where}, not in the audit. {stands}"
        parts = [f"step {step}" for step in steps]
    fact = condition(Kind.AUDIT, f"{Kind.AUDIT}:{'checks' if failed else 'run'}", subject, text, now, *parts)
    return Found(Kind.AUDIT, (fact,), f"the latest run that was to publish, {name} of {at}")


def _latest_publishing_run(instance: dg.DagsterInstance) -> dg.RunRecord | None:
    from dagster import DagsterRunStatus, RunsFilter

    from orchestration.automation import BUILD_AND_PUBLISH

    ended = RunsFilter(statuses=[DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE])
    for record in instance.get_run_records(ended, limit=_RUNS_LOOKED_AT):
        run = record.dagster_run
        if run.job_name == BUILD_AND_PUBLISH or _published_key() in (run.asset_selection or ()):
            return record
    return None


def _published_key() -> dg.AssetKey:
    from orchestration.assets.publish import PUBLISHED_KEY

    return PUBLISHED_KEY


def _failed_checks(evaluations: Iterable[object]) -> Mapping[str, str]:
    """Why each check failed that keeps marts from being published, by its name."""
    from dagster import AssetCheckEvaluation, AssetCheckSeverity

    return {
        evaluation.check_name: evaluation.description or "failed"
        for evaluation in evaluations
        if isinstance(evaluation, AssetCheckEvaluation)
        and not evaluation.passed
        and evaluation.severity is AssetCheckSeverity.ERROR
    }


def _shortened(text: str) -> str:
    return text if len(text) <= _EVIDENCE_SHOWN else f"{text[:_EVIDENCE_SHOWN]}…"


def quiet_collector(status: CollectorStatus | None, now: datetime) -> Found:
    """A collector that no longer beats, or connections of a beating one that are down."""
    if status is None:
        return Found(Kind.COLLECTOR, (), "no collector has run here")
    beat = utc(status.beat_at)
    if now - beat > RECENT:
        return Found(Kind.COLLECTOR, (), f"none has run since {moment(beat)}, and nobody expects one any longer")
    if now - beat > QUIET_AFTER:
        subject = "the collector has gone quiet"
        text = (
            f"The collector has gone quiet, stopped or stuck: its last sign of life is {beat:%Y-%m-%d %H:%M:%S} UTC. "
            "What venues have told since then nobody has heard; `taker collect` starts it again."
        )
        fact = condition(Kind.COLLECTOR, f"{Kind.COLLECTOR}:quiet", subject, text, now)
        return Found(Kind.COLLECTOR, (fact,), f"the last sign of life is of {moment(beat)}")
    facts = []
    for connection in status.connections:
        heard = utc(connection.last_frame_at or status.started_at)
        if connection.is_up or now - heard <= DOWN_AFTER:
            continue
        subject = f"the collector's connection {connection.name} is down"
        text = (
            f"The collector's connection {connection.name} is down and has heard nothing since "
            f"{heard:%Y-%m-%d %H:%M:%S} UTC. It is being tried again; what it misses, coverage will say."
        )
        facts.append(condition(Kind.COLLECTOR, f"{Kind.COLLECTOR}:connection:{connection.name}", subject, text, now))
    return Found(Kind.COLLECTOR, tuple(facts), f"{len(status.connections)} connection(s), last beat {moment(beat)}")
