"""What venues published and was not used as published, and the days without flow, as plain facts.

Belongs here: questions to the receipt index and to the defects beside it. Imports no dagster, so that `taker status`
answers at once. Does not: how facts are printed (`orchestration.cli.render`) or what makes a defect
(`ingestion.archive`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from ingestion.domain.markets import Market
from ingestion.domain.periods import Period, Span, days_between
from ingestion.venues import trades_dataset_of

if TYPE_CHECKING:
    import pyarrow as pa

KLINES: Final = "klines"
# What the flow of a market can be read from: bars, trades, and what the apis and feeds have of days without a file.
_FLOW_DATASETS: Final = (KLINES, "aggTrades", "trades", "restKlines", "restTrades", "liveTrades")
# The columns of the index that state what became of a day.
STATED: Final = ("dataset", "market_id", "interval", "day", "status", "row_count")
# Of the states of a day at several intervals the first of these counts.
_BEST_FIRST: Final = ("used", "implausible", "refused", "empty", "damaged", "absent")
_OTHERWISE: Final = {"stored": "empty", "damaged": "damaged"}
_KINDS: Final = ("damaged_object", "refused_source", "implausible", "replaced_source", "quarantined_rows")
WORDS: Final = {
    "damaged_object": "damaged",
    "refused_source": "refused",
    "implausible": "implausible",
    "replaced_source": "replaced",
    "quarantined_rows": "set aside",
}


@dataclass(frozen=True)
class Unused:
    """The defects of one kind in one dataset of one market.

    `days`: the UTC days that they concern; `periods`: labels of the objects, of those that concern no single day.
    `rows`: rows set aside, or rows of the days that are not used. `reasons`, `files`, `used_instead`, `kept_in` (where
    rows that were set aside are): each once, in order of the days. Nothing in `used_instead` of a replaced file: what
    was stored before stays in use.
    """

    dataset: str
    market_id: str
    interval: str
    kind: str
    days: tuple[date, ...]
    periods: tuple[str, ...]
    rows: int
    reasons: tuple[str, ...]
    files: tuple[str, ...]
    used_instead: tuple[str, ...]
    kept_in: tuple[str, ...]

    @property
    def series(self) -> str:
        """Which dataset of which market, as people read it."""
        return f"{self.market_id} {self.dataset} {self.interval}".strip()

    @property
    def when(self) -> str:
        """The days that it concerns, or the object where it concerns no single day."""
        return ", ".join([*([days_text(self.days)] if self.days else []), *self.periods])

    @property
    def what(self) -> str:
        """What was not used, why, and what was used in its place: one sentence without a full stop."""
        more = len(self.reasons) - 1
        why = self.reasons[0] + (f"; and {more} other reason{'s' if more > 1 else ''}" if more > 0 else "")
        if self.kind == "quarantined_rows":
            return f"{self.rows:,} row{'' if self.rows == 1 else 's'} set aside: {why}"
        if self.kind == "implausible":
            return f"implausible, not used as flow: {why}"
        if self.kind == "damaged_object":
            return f"damaged, not covered: {why}"
        # Most reasons name the file.
        unnamed = [key for key in self.files if _name(key) not in why]
        files = f"{_some(self.files)}: " if len(unnamed) == len(self.files) else ""
        if self.kind == "refused_source":
            return f"refused, nothing in its place: {files}{why}"
        instead = _some(self.used_instead) if self.used_instead else "what was stored before"
        return f"not used: {files}{why}; used instead: {instead}"


@dataclass(frozen=True)
class LostFlow:
    """Days of a market of which neither bars nor trades can be used. `why`: per dataset, what became of its files."""

    market_id: str
    days: tuple[date, ...]
    why: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class AbsentDays:
    """Days of a dataset of a market that its archive has no file of, out of so many that were requested."""

    dataset: str
    market_id: str
    days: tuple[date, ...]
    requested: int


@dataclass(frozen=True)
class MissingLatest:
    """A market without any flow of the latest requested day. `newest`: its newest day with flow, if it has any."""

    market_id: str
    day: date
    why: tuple[tuple[str, str], ...]
    newest: date | None


@dataclass(frozen=True)
class Losses:
    """What a run has to report of the venues' files, over the days that were requested."""

    latest: tuple[MissingLatest, ...] = ()
    flow: tuple[LostFlow, ...] = ()
    unused: tuple[Unused, ...] = ()
    absent: tuple[AbsentDays, ...] = ()


def losses(
    index: pa.Table,
    defects: pa.Table,
    markets: Sequence[Market],
    requested: Mapping[str, tuple[date, date]],
    trades_dataset: str,
) -> Losses:
    """`requested`: by dataset, the first and the last day that was requested of the archive."""
    latest: list[MissingLatest] = []
    flow: list[LostFlow] = []
    absent: list[AbsentDays] = []
    names = [market.market_id for market in markets]
    state = _States(index, defects)
    for market in markets:
        trades = trades_dataset_of(market, trades_dataset)
        span = [requested[name] for name in (KLINES, trades) if name in requested]
        if span:
            first, last = min(first for first, _ in span), max(last for _, last in span)
            lost = _lost_days(state, market, first, last)
            why = {day: state.why(market.market_id, day, trades) for day in lost}
            by_why = {why[day]: tuple(d for d in lost if why[d] == why[day]) for day in lost}
            flow += [LostFlow(market.market_id, days, reasons) for reasons, days in by_why.items()]
            if last in why:
                newest = state.newest(market.market_id, last)
                latest.append(MissingLatest(market.market_id, last, why[last], newest))
        absent += _absent_days(state, market.market_id, requested)
    found = unused(defects, names, requested)
    return Losses(tuple(latest), tuple(flow), tuple(found), tuple(absent))


def _lost_days(state: _States, market: Market, first: date, last: date) -> list[date]:
    """Days without flow; not those after delivery, and not those before the first that has any and that the archive
    has no file of: the market was not listed yet, or its files begin later."""
    if market.delivers_at is not None:
        last = min(last, market.delivers_at.date())
    began = state.oldest(market.market_id)
    lost = [day for day in days_between(first, last) if not state.has_flow(market.market_id, day)]
    if began is None:
        return lost
    return [day for day in lost if day > began or state.is_rejected(market.market_id, day)]


def _absent_days(state: _States, market_id: str, requested: Mapping[str, tuple[date, date]]) -> Iterator[AbsentDays]:
    for dataset, (first, last) in requested.items():
        states = state.of_days(dataset, market_id)
        requested_days = [day for day in states if first <= day <= last]
        absent = tuple(sorted(day for day in requested_days if states[day] == "absent"))
        if absent:
            yield AbsentDays(dataset, market_id, absent, len(requested_days))


class _States:
    """What became of each dataset, market and day: `used`, `refused`, `implausible`, `empty`, `damaged` or `absent`."""

    def __init__(self, index: pa.Table, defects: pa.Table) -> None:
        from ingestion.raw.ordered import shared_values

        self._states: dict[tuple[str, str], dict[date, str]] = {}
        rejected: dict[tuple[str, str, str, date], str] = {}
        for row in defects.to_pylist():
            if row["kind"] in ("refused_source", "implausible"):
                for day in [row["day"]] if row["day"] else _days_of(row["period"]):
                    rejected[row["dataset"], row["market_id"], row["interval"], day] = row["kind"]
        columns = (shared_values(index[name]) for name in STATED)
        order = {state: place for place, state in enumerate(_BEST_FIRST)}
        for dataset, market_id, interval, day, status, row_count in zip(*columns, strict=True):
            defect = rejected.get((dataset, market_id, interval, day)) if rejected else None
            if row_count and status == "stored":
                state = "implausible" if defect == "implausible" else "used"
            elif status == "refused" or defect == "refused_source":
                state = "refused"
            else:
                state = _OTHERWISE.get(status, "absent")
            days = self._states.setdefault((dataset, market_id), {})
            known = days.get(day)
            if known is None or order[state] < order[known]:
                days[day] = state
        self._flow: dict[str, set[date]] = {}
        for (dataset, market_id), days in self._states.items():
            if dataset in _FLOW_DATASETS:
                self._flow.setdefault(market_id, set()).update(day for day, state in days.items() if state == "used")

    def of_days(self, dataset: str, market_id: str) -> Mapping[date, str]:
        """Of each day that was requested and did not fail."""
        return self._states.get((dataset, market_id), {})

    def of(self, dataset: str, market_id: str, day: date) -> str | None:
        """None: it was never requested, or failed."""
        return self.of_days(dataset, market_id).get(day)

    def has_flow(self, market_id: str, day: date) -> bool:
        return day in self._flow.get(market_id, ())

    def is_rejected(self, market_id: str, day: date) -> bool:
        """There is a file of the flow of that day, and it cannot be used."""
        states = (self.of(dataset, market_id, day) for dataset in _FLOW_DATASETS)
        return any(state in ("refused", "implausible", "damaged") for state in states)

    def oldest(self, market_id: str) -> date | None:
        return min(self._flow.get(market_id, ()), default=None)

    def newest(self, market_id: str, until: date) -> date | None:
        return max((day for day in self._flow.get(market_id, ()) if day <= until), default=None)

    def why(self, market_id: str, day: date, trades: str) -> tuple[tuple[str, str], ...]:
        return tuple((dataset, self.of(dataset, market_id, day) or "not ingested") for dataset in (KLINES, trades))


def unused(
    defects: pa.Table,
    markets: Sequence[str] | None = None,
    requested: Mapping[str, tuple[date, date]] | None = None,
    *,
    by_reason: bool = False,
) -> list[Unused]:
    """The defects by market, dataset and kind, flow first; of `markets` and the requested days, by default of all.

    `by_reason`: one for each reason.
    """
    groups: dict[tuple[str, str, str, str, str], list[dict[str, Any]]] = {}
    for row in defects.to_pylist():
        if (markets is None or row["market_id"] in markets) and _is_requested(row, requested):
            reason = row["reason"] if by_reason else ""
            key = row["market_id"], row["dataset"], row["interval"], row["kind"], reason
            groups.setdefault(key, []).append(row)
    found = [_group(*key[:4], rows) for key, rows in groups.items()]
    return sorted(found, key=lambda one: (one.market_id, flow_first(one.dataset), one.interval, _place(one)))


def _place(one: Unused) -> tuple[int, tuple[date, ...], tuple[str, ...]]:
    return _KINDS.index(one.kind), one.days, one.reasons


def is_flow(dataset: str) -> bool:
    """The flow of a market is read from it."""
    return dataset in _FLOW_DATASETS


def flow_first(dataset: str) -> tuple[int, str]:
    """Sort key of datasets: what the flow is read from, then the others by name."""
    return (_FLOW_DATASETS.index(dataset), "") if is_flow(dataset) else (len(_FLOW_DATASETS), dataset)


def _is_requested(row: dict[str, Any], requested: Mapping[str, tuple[date, date]] | None) -> bool:
    if requested is None:
        return True
    if row["dataset"] not in requested:
        return False
    first, last = requested[row["dataset"]]
    return any(first <= day <= last for day in ([row["day"]] if row["day"] else _days_of(row["period"])))


def _group(market_id: str, dataset: str, interval: str, kind: str, rows: list[dict[str, Any]]) -> Unused:
    rows = sorted(rows, key=lambda row: (row["day"] or _days_of(row["period"])[0], row["source_key"]))
    return Unused(
        dataset,
        market_id,
        interval,
        kind,
        tuple(sorted({row["day"] for row in rows if row["day"]})),
        tuple(sorted({row["period"] for row in rows if not row["day"]})),
        sum(row["row_count"] or 0 for row in rows),
        _each_once(row["reason"] for row in rows),
        _each_once(row["source_key"] for row in rows),
        _each_once(key for row in rows for key in row["used_instead"].split()),
        _each_once(quarantine_of(row) for row in rows if kind == "quarantined_rows"),
    )


def quarantine_of(row: Mapping[str, Any]) -> str:
    """Where the rows are kept that were set aside from the object of that period, which may be in a month's by now."""
    span = Span.DAY if len(row["period"]) == len("2024-08-08") else Span.MONTH
    series = row["receipt_key"].rpartition("/")[0].rpartition("/")[0]
    return f"{series}/{span}={row['period']}/_quarantine.parquet"


def _some(keys: Sequence[str]) -> str:
    """The names of the files; of many, the first and how many follow."""
    names = [_name(key) for key in keys] or ["the file"]
    return f"{names[0]} and {len(names) - 1:,} more" if len(names) > 2 else " and ".join(names)


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def ranges(days: Iterable[date]) -> list[tuple[date, date]]:
    """Runs of consecutive days, each as its first and last."""
    found: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def days_text(days: Iterable[date], most: int | None = None) -> str:
    """`2025-09-03..2025-09-07, 2025-09-12`; of more than `most` runs the first ones and how many days follow."""
    runs = ranges(days)
    shown = runs[:most] if most is not None else runs
    rest = sum((last - first).days + 1 for first, last in runs[len(shown) :])
    texts = [str(first) if first == last else f"{first}..{last}" for first, last in shown]
    return ", ".join([*texts, *([f"and {rest:,} more days" if rest > 1 else "and 1 more day"] if rest else [])])


def _each_once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def _days_of(period: str) -> list[date]:
    """The days of an object by its label, `2024-08-08` or `2024-08`."""
    is_day = len(period) == len("2024-08-08")
    first = date.fromisoformat(period if is_day else f"{period}-01")
    return list(Period.holding(first, Span.DAY if is_day else Span.MONTH).days())
