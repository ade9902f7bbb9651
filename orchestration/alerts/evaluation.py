"""The use case: examine everything, record what is new, send what is due.

Belongs here: the order of these steps, and their results as facts. Does not: any of the steps, or how they are shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from pydantic import SecretStr

from ingestion.live.status import read_status
from orchestration.alerts import conditions, outbox, publication
from orchestration.alerts.facts import Fact, Found, Kind, unjudged
from orchestration.alerts.outbox import Alert, Outbox, Sorted
from orchestration.alerts.publication import Newest
from orchestration.alerts.webhook import Outcome, Webhook
from orchestration.config.alerts import AlertConfig
from orchestration.serving.published import NothingPublished, PublicationUnreadable, QueryFailed, run_of

_READ: Final = "publication"
_RECEIVER: Final = "receiver"
# A sensor has a minute, and there is another evaluation after this one.
_SENDING_TIME: Final = timedelta(seconds=30)
_SENT_AT_ONCE: Final = 25


# Reads the latest run that was to publish; None without one.
LatestRun = Callable[[], conditions.PublishingRun | None]


class NoReceiver(Exception):
    """No receiver of alerts is configured. The text names the setting."""


@dataclass(frozen=True)
class Delivery:
    """The outcome of sending. `error`: of the attempt that failed last, without the address."""

    delivered: int = 0
    failed: int = 0
    refused: int = 0
    error: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found and did; in a dry run, what it would have done.

    `found`: per kind, with one sentence about what was examined and why there is nothing else. `undelivered`: what no
    receiver has by now. `faults`: what must be corrected.
    """

    is_dry: bool
    new: tuple[Alert, ...]
    known: tuple[tuple[Fact, Alert], ...]
    ended: tuple[Alert, ...]
    found: tuple[Found, ...]
    undelivered: tuple[Alert, ...]
    delivery: Delivery
    faults: tuple[str, ...]


def evaluate(
    config: AlertConfig,
    *,
    latest_run: LatestRun | None = None,
    clock: Callable[[], datetime] | None = None,
    only_news: bool = False,
    retry_refused: bool = False,
) -> Evaluation:
    """Record what is new and send what is due.

    `latest_run`: returns the latest run that was to publish; None where no runs are recorded. `only_news`: do not read
    a publication again that was read before, which makes an evaluation of nothing new cheap. `retry_refused`: also send
    again what was refused.

    Raises NoReceiver when TAKER_ALERT_WEBHOOK_URL is not set.
    """
    if config.webhook_url is None:
        raise NoReceiver(
            "TAKER_ALERT_WEBHOOK_URL is not set, so alerts have no receiver; `taker alerts --dry-run` shows what would "
            "be sent"
        )
    clock = clock or _now
    now = clock()
    with outbox.opened(config.outbox) as box:
        looked = _look(config, latest_run, now, box.remembered(_READ) if only_news else None)
        result = box.record(looked.found, now, remember={} if looked.memory is None else {_READ: looked.memory})
        _notice_receiver(box, config.webhook_url)
        if retry_refused:
            box.retry(refused=True)
        delivery = _deliver(box, Webhook(config.webhook_url), clock)
        return _with_healed(_evaluation(looked.found, result, box.undelivered(), delivery), box.healed)


def dry_run(
    config: AlertConfig,
    *,
    latest_run: LatestRun | None = None,
    clock: Callable[[], datetime] | None = None,
) -> Evaluation:
    """What `evaluate` would record and send. Writes nothing, sends nothing, and needs no receiver."""
    now = (clock or _now)()
    with outbox.seen(config.outbox) as box:
        looked = _look(config, latest_run, now, None)
        done = _evaluation(looked.found, box.preview(looked.found, now), box.undelivered(), None)
        return _with_healed(done, box.healed)


def _with_healed(done: Evaluation, healed: str | None) -> Evaluation:
    """The evaluation with a fault for the damaged outbox that was set aside: reported this once."""
    return done if healed is None else replace(done, faults=(*done.faults, healed))


def facts(done: Evaluation) -> dict[str, Any]:
    """An evaluation for machines."""
    return {
        "dry_run": done.is_dry,
        "new": [_facts(alert) for alert in done.new],
        "known": [{"key": alert.key, "state": alert.state} for _, alert in done.known],
        "ended": [alert.key for alert in done.ended],
        "kinds": [{"kind": one.kind, "judged": one.is_judged, "said": one.summary} for one in done.found],
        "undelivered": [_facts(alert) for alert in done.undelivered],
        "delivered": done.delivery.delivered,
        "last_error": done.delivery.error,
        "faults": list(done.faults),
    }


def _facts(alert: Alert) -> dict[str, Any]:
    shown = ("key", "kind", "subject", "text", "first_seen_at", "ended_at", "state", "attempts", "last_error")
    return {name: getattr(alert, name) for name in shown}


def _evaluation(
    found: Sequence[Found], result: Sorted, undelivered: Sequence[Alert], delivery: Delivery | None
) -> Evaluation:
    return Evaluation(
        is_dry=delivery is None,
        new=result.new,
        known=result.known,
        ended=result.ended,
        found=tuple(found),
        undelivered=tuple(undelivered),
        delivery=delivery or Delivery(),
        faults=tuple(dict.fromkeys(one.fault for one in found if one.fault)),
    )


@dataclass(frozen=True)
class _Looked:
    """What was found. `memory`: spares the next evaluation the same publication; None where it must be read again."""

    found: tuple[Found, ...]
    memory: str | None


def _look(
    config: AlertConfig,
    latest_run: LatestRun | None,
    now: datetime,
    remembered: str | None,
) -> _Looked:
    state = _state(config)
    memory = json.loads(remembered) if remembered is not None else {}
    newest: tuple[Newest, ...] | None
    if state is not None and memory.get("state") == state:
        marts, newest = _of_marts("nothing was published since the last evaluation"), _newest(memory["newest"])
    else:
        marts, newest = _read(config, now)
    found = (
        *marts,
        _guarded(Kind.AUDIT, lambda: _audit(config, latest_run, now)),
        unjudged(Kind.STALE, "nothing is published") if newest is None else conditions.stale_markets(newest, now),
        _guarded(Kind.COLLECTOR, lambda: conditions.quiet_collector(read_status(config.spool), now)),
    )
    # A fault is reported until it is corrected; a publication that counts as read would not be examined for it.
    is_read = newest is not None and not any(one.fault for one in marts)
    days = [asdict(one) for one in newest or ()]
    return _Looked(found, json.dumps({"state": state, "newest": days}, default=str) if is_read else None)


def _audit(config: AlertConfig, latest_run: LatestRun | None, now: datetime) -> Found:
    if latest_run is None:
        return unjudged(Kind.AUDIT, "no run has been recorded here")
    return conditions.refused_publication(latest_run(), now, is_simulated=config.is_simulated)


def _state(config: AlertConfig) -> str | None:
    """What the result of reading the marts depends on; None while there are none that can be read."""
    try:
        standing = run_of(config.marts)
    except (NothingPublished, PublicationUnreadable, QueryFailed):
        return None  # reading the marts states it
    markets = ",".join(config.market_ids)
    return "|".join([standing, config.definition, str(config.rank), str(config.liquidation_percentile), markets])


def _read(config: AlertConfig, now: datetime) -> tuple[tuple[Found, ...], tuple[Newest, ...] | None]:
    import duckdb

    try:
        done = publication.read(config, now)
    except NothingPublished:
        return _of_marts("nothing is published"), None
    except (PublicationUnreadable, QueryFailed) as error:
        return tuple(replace(one, fault=str(error)) for one in _of_marts(str(error))), None
    except duckdb.Error as error:
        fault = f"the published marts cannot be read: {str(error).strip().splitlines()[0]}"
        return tuple(replace(one, fault=fault) for one in _of_marts(fault)), None
    return done.found, done.newest


def _of_marts(reason: str) -> tuple[Found, ...]:
    return tuple(unjudged(kind, reason) for kind in (Kind.SPIKE, Kind.LIQUIDATIONS))


def _newest(remembered: Iterable[dict[str, Any]]) -> tuple[Newest, ...]:
    return tuple(
        Newest(one["market_id"], date.fromisoformat(one["day"]) if one["day"] else None, one["headline"])
        for one in remembered
    )


def _guarded(kind: Kind, look: Callable[[], Found]) -> Found:
    """A kind that cannot be judged is reported as a fault, and does not keep the others from being sent."""
    try:
        return look()
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return unjudged(kind, f"{kind} could not be judged: {type(error).__name__}: {reason}", is_fault=True)


def _notice_receiver(box: Outbox, url: SecretStr) -> None:
    """After a change of receiver, send at once what the former one refused or could not take."""
    # A digest of it: the address itself is written nowhere.
    digest = hashlib.sha256(url.get_secret_value().encode()).hexdigest()
    before = box.remembered(_RECEIVER)
    if before != digest:
        box.remember(_RECEIVER, digest)
        box.retry(refused=True)


def _deliver(box: Outbox, webhook: Webhook, clock: Callable[[], datetime]) -> Delivery:
    began = clock()
    done = Delivery()
    for _ in range(_SENT_AT_ONCE):
        now = clock()
        if now - began > _SENDING_TIME:
            break
        alert = box.take(now, is_answering=done.delivered > 0)
        if alert is None:
            break
        answer = webhook.send(alert, now)
        if answer.outcome is Outcome.DELIVERED:
            box.delivered(alert, clock())
            done = replace(done, delivered=done.delivered + 1)
        elif answer.outcome is Outcome.REFUSED:
            box.refused(alert, answer.text)
            done = replace(done, refused=done.refused + 1, error=answer.text)
        else:
            box.postponed(alert, answer.text, clock(), retry_after=answer.retry_after, is_unsure=answer.is_unsure)
            # A receiver that is down is down for the others too, and each attempt may last as long as this one.
            return replace(done, failed=done.failed + 1, error=answer.text)
    return done


def _now() -> datetime:
    return datetime.now(UTC)
