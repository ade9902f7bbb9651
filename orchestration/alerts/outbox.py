"""Which alerts were delivered and which are due: one SQLite file, so that a crash neither loses nor repeats an alert.

Belongs here: identity (is this the same thing as a recorded one?), and the state of each alert from recorded to
delivered. Does not: finding facts, or the network.

What is guaranteed: an alert is recorded, in one transaction with everything found beside it, before anything is sent;
one thing is recorded once; a sender reserves the alert first, so that two processes never send it at once; it stays
until a receiver has answered 2xx. What cannot be known: whether a receiver took a message whose answer never came. Then
it is sent again, with the same idempotency key and a note.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from orchestration.alerts.facts import Fact, Found, Kind, utc
from orchestration.state.healing import heal, sqlite_fault

WAITING: Final = "waiting"
REFUSED: Final = "refused"
DELIVERED: Final = "delivered"

_FIRST_PAUSE: Final = timedelta(seconds=30)
_LONGEST_PAUSE: Final = timedelta(minutes=30)
# Longer than any attempt takes: a sender that has not settled by then was killed.
_TAKEN_FOR: Final = timedelta(minutes=2)
_BUSY_SECONDS: Final = 20.0
_LOST: Final = (
    "which alerts were delivered is lost with it: those of the last week are sent again, and older ones that were not "
    "delivered never are"
)

_SCHEMA: Final = """
    create table if not exists alerts (
        alert_id integer primary key,
        key text not null unique,
        series text not null,
        kind text not null,
        subject text not null,
        text text not null,
        first_seen_at text not null,
        from_at text,
        until_at text,
        belongs_within_seconds integer not null,
        parts text not null,
        ended_at text,
        state text not null,
        attempts integer not null default 0,
        next_attempt_at text,
        taken_until text,
        is_unsure integer not null default 0,
        last_error text,
        delivered_at text
    );
    create index if not exists alerts_by_series on alerts (series);
    create index if not exists alerts_by_state on alerts (state);
    create table if not exists remembered (name text primary key, value text not null);
"""
_COLUMNS: Final = (
    "key, series, kind, subject, text, first_seen_at, from_at, until_at, belongs_within_seconds, parts, ended_at, "
    "state, attempts, next_attempt_at, is_unsure, last_error, delivered_at"
)


@dataclass(frozen=True)
class Alert:
    """One alert as it is recorded. Times in UTC.

    `from_at`, `until_at`: how far an occurrence reaches by now; None of a condition, which is open until `ended_at`.
    `is_unsure`: an attempt was made whose outcome is unknown. `last_error` never holds the receiver's address.
    """

    key: str
    series: str
    kind: Kind
    subject: str
    text: str
    first_seen_at: datetime
    from_at: datetime | None = None
    until_at: datetime | None = None
    belongs_within: timedelta = timedelta(0)
    parts: frozenset[str] = field(default_factory=frozenset)
    ended_at: datetime | None = None
    state: str = WAITING
    attempts: int = 0
    next_attempt_at: datetime | None = None
    is_unsure: bool = False
    last_error: str | None = None
    delivered_at: datetime | None = None


@dataclass(frozen=True)
class Sorted:
    """Facts by whether they are new. `known`: each with the alert that it is the same thing as."""

    new: tuple[Alert, ...]
    known: tuple[tuple[Fact, Alert], ...]
    ended: tuple[Alert, ...]


@dataclass(frozen=True)
class Undelivered:
    """What no receiver has yet. `refused`: how many of them wait for a person."""

    count: int
    refused: int
    oldest_at: datetime
    last_error: str | None


def sort(found: Sequence[Found], alerts: Sequence[Alert], now: datetime) -> Sorted:
    """Which facts are new, which are known, and which open conditions are over. Changes nothing.

    `alerts`: those of the facts' series, and every open condition.
    """
    standing = {alert.key: alert for alert in alerts}
    new: list[str] = []
    known: list[tuple[Fact, str]] = []
    facts = [fact for one in found for fact in one.facts]
    for fact in sorted(facts, key=lambda fact: (fact.from_at is not None, fact.from_at or now)):
        same = next((alert for alert in standing.values() if _is_same(fact, alert)), None)
        if same is None:
            standing[fact.key] = _recorded(fact, now)
            new.append(fact.key)
            continue
        standing[same.key] = _reaching(same, fact)
        known.append((fact, same.key))
    judged = {one.kind for one in found if one.is_judged}
    lasting = {fact.series for fact in facts}
    ended = [
        replace(alert, ended_at=now)
        for alert in standing.values()
        if _is_open(alert) and alert.kind in judged and alert.series not in lasting
    ]
    return Sorted(
        tuple(standing[key] for key in new), tuple((fact, standing[key]) for fact, key in known), tuple(ended)
    )


def _is_same(fact: Fact, alert: Alert) -> bool:
    if fact.series != alert.series:
        return False
    if fact.from_at is None or fact.until_at is None:
        return _is_open(alert) and fact.parts <= alert.parts
    if alert.from_at is None or alert.until_at is None:
        return False
    within = fact.belongs_within
    return fact.from_at <= alert.until_at + within and fact.until_at >= alert.from_at - within


def _is_open(alert: Alert) -> bool:
    return alert.from_at is None and alert.ended_at is None


def _reaching(alert: Alert, fact: Fact) -> Alert:
    """The alert, extended to the fact that belongs to it, so that what is near to the fact belongs to it as well."""
    if alert.from_at is None or alert.until_at is None or fact.from_at is None or fact.until_at is None:
        return alert
    return replace(alert, from_at=min(alert.from_at, fact.from_at), until_at=max(alert.until_at, fact.until_at))


def _recorded(fact: Fact, now: datetime) -> Alert:
    return Alert(
        fact.key,
        fact.series,
        fact.kind,
        fact.subject,
        fact.text,
        now,
        fact.from_at,
        fact.until_at,
        fact.belongs_within,
        fact.parts,
    )


class Outbox:
    """The recorded alerts. Open it with `opened` to change them, with `seen` to look.

    `healed`: the sentence about a damaged file that was set aside when this one was opened; None almost always.
    """

    def __init__(self, connection: sqlite3.Connection, healed: str | None = None) -> None:
        self._connection = connection
        self.healed = healed

    def record(self, found: Sequence[Found], now: datetime, *, remember: dict[str, str] | None = None) -> Sorted:
        """Record what is new and what ended, and remember texts by name, all or nothing."""
        with self._transaction():
            result = self.preview(found, now)
            for alert in result.new:
                self._insert(alert)
            for _, alert in result.known:
                reach = (_text(alert.from_at), _text(alert.until_at), alert.key)
                self._connection.execute("update alerts set from_at = ?, until_at = ? where key = ?", reach)
            for alert in result.ended:
                self._connection.execute("update alerts set ended_at = ? where key = ?", (_text(now), alert.key))
            for name, value in (remember or {}).items():
                self._connection.execute("insert or replace into remembered values (?, ?)", (name, value))
            return result

    def preview(self, found: Sequence[Found], now: datetime) -> Sorted:
        """What `record` would record."""
        series = sorted({fact.series for one in found for fact in one.facts})
        marks = ", ".join("?" for _ in series)
        alerts = self._alerts(f"series in ({marks}) or (from_at is null and ended_at is null)", *series)
        return sort(found, alerts, now)

    def undelivered(self) -> list[Alert]:
        """What no receiver has yet, oldest first."""
        return self._alerts(f"state <> '{DELIVERED}'")

    def take(self, now: datetime, *, is_answering: bool = False) -> Alert | None:
        """The next alert that is due, reserved for this process until it is settled; None when there is none.

        `is_answering`: the receiver has just taken one, so that nothing has to wait any longer.
        """
        with self._transaction():
            due = "(taken_until is null or taken_until <= ?)"
            bounds = [_text(now)]
            if not is_answering:
                due += " and (next_attempt_at is null or next_attempt_at <= ?)"
                bounds.append(_text(now))
            found = self._alerts(f"state = '{WAITING}' and {due}", *bounds, order="attempts, alert_id", limit=1)
            if not found:
                return None
            # Unsure from here on: a process killed before it settles the alert leaves the outcome unknown.
            self._connection.execute(
                "update alerts set attempts = attempts + 1, taken_until = ?, is_unsure = 1 where key = ?",
                (_text(now + _TAKEN_FOR), found[0].key),
            )
            return replace(found[0], attempts=found[0].attempts + 1)

    def delivered(self, alert: Alert, now: datetime) -> None:
        """The receiver has it."""
        self._settle(alert, state=DELIVERED, delivered_at=_text(now), is_unsure=0, last_error=None)

    def refused(self, alert: Alert, error: str) -> None:
        """The receiver rejects it: it waits for a person."""
        self._settle(alert, state=REFUSED, last_error=error, is_unsure=int(alert.is_unsure))

    def postponed(
        self, alert: Alert, error: str, now: datetime, *, retry_after: timedelta | None = None, is_unsure: bool = False
    ) -> None:
        """The receiver could not take it; again after a pause that doubles, or after `retry_after` if longer."""
        pause = min(_FIRST_PAUSE * 2 ** min(alert.attempts - 1, 10), _LONGEST_PAUSE)
        again = now + max(pause, retry_after or timedelta(0))
        unsure = int(alert.is_unsure or is_unsure)
        self._settle(alert, next_attempt_at=_text(again), last_error=error, is_unsure=unsure)

    def retry(self, *, refused: bool) -> None:
        """Let everything that waits be due at once, and with `refused` what was refused as well."""
        states = (WAITING, REFUSED) if refused else (WAITING,)
        with self._transaction():
            self._connection.execute(
                f"update alerts set state = '{WAITING}', next_attempt_at = null "
                f"where state in ({', '.join('?' for _ in states)})",
                states,
            )

    def remembered(self, name: str) -> str | None:
        row = self._connection.execute("select value from remembered where name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, name: str, value: str) -> None:
        with self._transaction():
            self._connection.execute("insert or replace into remembered values (?, ?)", (name, value))

    def _settle(self, alert: Alert, **values: Any) -> None:
        assignments = ", ".join(f"{name} = ?" for name in values)
        with self._transaction():
            self._connection.execute(
                f"update alerts set taken_until = null, {assignments} where key = ?", (*values.values(), alert.key)
            )

    def _insert(self, alert: Alert) -> None:
        self._connection.execute(
            "insert into alerts (key, series, kind, subject, text, first_seen_at, from_at, until_at, "
            "belongs_within_seconds, parts, state) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
            (
                alert.key,
                alert.series,
                str(alert.kind),
                alert.subject,
                alert.text,
                _text(alert.first_seen_at),
                _text(alert.from_at),
                _text(alert.until_at),
                int(alert.belongs_within.total_seconds()),
                json.dumps(sorted(alert.parts)),
                alert.state,
            ),
        )

    def _alerts(self, where: str, *values: str | None, order: str = "alert_id", limit: int = -1) -> list[Alert]:
        rows = self._connection.execute(
            f"select {_COLUMNS} from alerts where {where} order by {order} limit {limit}", values
        )
        return [_alert(row) for row in rows.fetchall()]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")


@contextmanager
def opened(path: Path) -> Iterator[Outbox]:
    """The outbox at `path`, made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    healed = heal(path, sqlite_fault, _LOST)
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
        connection.executescript(_SCHEMA)
        yield Outbox(connection, healed)


@contextmanager
def seen(path: Path) -> Iterator[Outbox]:
    """The outbox at `path` to look at; where there is none, an empty one that is kept nowhere."""
    healed = heal(path, sqlite_fault, _LOST)
    # Not read-only: what a killed writer left half done may have to be rolled back first.
    place = f"{path.absolute().as_uri()}?mode=rw" if path.is_file() else ":memory:"
    with closing(sqlite3.connect(place, timeout=_BUSY_SECONDS, isolation_level=None, uri=True)) as connection:
        if not path.is_file():
            connection.executescript(_SCHEMA)
        yield Outbox(connection, healed)


def undelivered(path: Path, report: Callable[[str], None] = lambda text: None) -> Undelivered | None:
    """What no receiver has yet, counted; None when there is nothing. `report` gets a sentence about a damaged file."""
    with seen(path) as outbox:
        alerts = outbox.undelivered()
        if outbox.healed is not None:
            report(outbox.healed)
    if not alerts:
        return None
    errors = [alert.last_error for alert in alerts if alert.last_error]
    refused = sum(alert.state == REFUSED for alert in alerts)
    return Undelivered(len(alerts), refused, alerts[0].first_seen_at, errors[-1] if errors else None)


def _alert(row: Sequence[Any]) -> Alert:
    key, series, kind, subject, text, seen_at, from_at, until_at, within, parts, ended_at, state, *rest = row
    attempts, next_attempt_at, is_unsure, last_error, delivered_at = rest
    return Alert(
        key,
        series,
        Kind(kind),
        subject,
        text,
        datetime.fromisoformat(seen_at),
        _at(from_at),
        _at(until_at),
        timedelta(seconds=within),
        frozenset(json.loads(parts)),
        _at(ended_at),
        state,
        attempts,
        _at(next_attempt_at),
        bool(is_unsure),
        last_error,
        _at(delivered_at),
    )


def _text(at: datetime | None) -> str | None:
    """Times as text that sorts as they do."""
    return None if at is None else utc(at).isoformat(timespec="microseconds")


def _at(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
