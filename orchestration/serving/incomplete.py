"""The days that lack something, what they lack and why, as plain facts.

Belongs here: one day of one dataset by its receipt, and one published day by its coverage. Does not: what was published
and not used (`orchestration.serving.defects`), counting (`raw_status`), how it is printed (`orchestration.cli.render`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from ingestion.domain.datasets import ARCHIVED, KLINE_INTERVALS
from ingestion.domain.periods import Span, days_between
from orchestration.config.marts import Marts
from orchestration.serving.published import NothingPublished, connect

ROWS_PER_DAY: Final = {
    **{("klines", name): 24 // hours for name, hours in KLINE_INTERVALS.items()},
    ("metrics", ""): 288,
}


@dataclass(frozen=True)
class IncompleteDays:
    """Days of one series that lack the same for the same reason.

    `dataset`: of the raw zone, or `bars`: the published ones. `state`: `missing`, `absent`, `refused`, `damaged`,
    `partial`. `what`: what is lacking and why, a sentence without a full stop.
    """

    dataset: str
    market_id: str
    interval: str
    state: str
    days: tuple[date, ...]
    what: str

    @property
    def series(self) -> str:
        """Which dataset of which market, as people read it."""
        return f"{self.market_id} {self.dataset} {self.interval}".strip()


@dataclass(frozen=True)
class LostTrades:
    """A day whose trades are incomplete by its klines. `difference_usd`: trades − klines; `flow_source`: of its bar."""

    difference_usd: Decimal | None
    klines_usd: Decimal | None
    flow_source: str | None


def lost_trades(serving: Marts) -> dict[tuple[str, date], LostTrades]:
    """By market and day; none before the first publication. Raises PublicationOutdated for another version's."""
    try:
        with connect(serving) as connection:
            rows = connection.execute(_LOST_TRADES).fetchall()
    except NothingPublished:
        return {}
    return {(market_id, day): LostTrades(*figures) for market_id, day, *figures in rows}


_LOST_TRADES: Final = """
    select r.market_id, r.bar_date, r.difference_usd, r.klines_volume_usd, d.flow_source
    from fct_flow_reconciliation_daily as r
    left join fct_net_taker_volume_daily as d on d.market_id = r.market_id and d.bar_date = r.bar_date
    where r.verdict = 'trades_incomplete'
"""


def incomplete_days(
    rows: Iterable[Mapping[str, Any]], refused: set[date], lost: Mapping[tuple[str, date], LostTrades]
) -> tuple[IncompleteDays, ...]:
    """What the days of one series lack, in order of the first day.

    `rows`: of the receipts' index, all of one dataset, market and interval; `refused`: days of which a file was.
    """
    found: dict[tuple[str, str], list[date]] = {}
    rows = list(rows)
    for row in rows:
        for state, what in _lacks(row, row["day"] in refused, lost.get((row["market_id"], row["day"]))):
            found.setdefault((state, what), []).append(row["day"])
    first = rows[0]
    # Of REST and feed data, a day without is one that the archive had first.
    if first["dataset"] in ARCHIVED:
        known = {row["day"] for row in rows}
        never = [day for day in days_between(min(known), max(known)) if day not in known]
        if never:
            found["missing", f"not requested, or failed: {_again(never)}"] = never
    series = first["dataset"], first["market_id"], first["interval"]
    parts = [IncompleteDays(*series, state, tuple(sorted(days)), what) for (state, what), days in found.items()]
    return tuple(sorted(parts, key=lambda part: (part.days, part.state)))


def state_of(row: Mapping[str, Any], is_refused: bool) -> str:
    """`stored`, `absent`, `refused` or `damaged`. Of a month that is stored, a refused day is without rows."""
    return "refused" if row["status"] == "absent" and is_refused else str(row["status"])


def _lacks(row: Mapping[str, Any], is_refused: bool, lost: LostTrades | None) -> list[tuple[str, str]]:
    """The state and the reason of a day that is not whole."""
    state = state_of(row, is_refused)
    if state != "stored":
        return [(state, _WHY[state] + (_BY_MONTH if state == "absent" and _is_by_month(row["dataset"]) else ""))]
    return [("partial", what)] if (what := _partial(row, lost)) else []


_WHY: Final = {
    "absent": "no file in the archive",
    "refused": "no usable file in the archive",
    "damaged": "what was stored is damaged; the next run fetches it again",
}
_BY_MONTH: Final = ": the venue publishes a month after its end"


def _is_by_month(dataset: str) -> bool:
    """The archive has months alone. Of klines it has days too, which are stored by month."""
    return dataset in ARCHIVED and ARCHIVED[dataset].span is Span.MONTH and not ARCHIVED[dataset].has_interval


def _again(days: list[date]) -> str:
    return f"`taker run --from {min(days)} --to {max(days)}`"


def _partial(row: Mapping[str, Any], lost: LostTrades | None) -> str:
    """What a stored day lacks; empty where it is whole."""
    parts = []
    if row["dataset"] in ("aggTrades", "trades"):
        # Ids of single trades have small gaps on clean days (insurance fund, deleveraging); those of aggregates do not.
        if row["dataset"] == "aggTrades" and row["id_gaps"]:
            parts.append(f"{row['id_gaps']:,} ids are missing in the venue's file")
        if lost is not None:
            by = ""
            if lost.difference_usd is not None and lost.klines_usd:
                by = f"{-lost.difference_usd / lost.klines_usd:.2%} of "
            parts.append(f"{by}the klines' volume is missing; the bars come from {lost.flow_source or 'nowhere'}")
        return "; ".join(parts)
    expected = ROWS_PER_DAY.get((row["dataset"], row["interval"]))
    if expected is not None and row["row_count"] < expected:
        return f"{row['row_count']:,} of {expected:,} rows in the venue's file"
    return ""


def uncovered_bars(serving: Marts) -> tuple[IncompleteDays, ...]:
    """Published days of which a part is not covered, by market and in order; a running day is not among them.

    None before the first publication. Raises PublicationOutdated for another version's.
    """
    try:
        with connect(serving) as connection:
            rows = connection.execute(_UNCOVERED).fetchall()
    except NothingPublished:
        return ()
    return tuple(IncompleteDays("bars", market_id, "", "partial", (day,), what) for market_id, day, what in rows)


# Of a sum over venues the least covered market counts, which has a row of its own.
_UNCOVERED: Final = """
    select
        d.market_id,
        d.bar_date,
        printf('%.2f%%', 100 * d.coverage_ratio) || ' of the day covered, from ' || d.flow_source
        || coalesce(
            ': ' || r.defect_reason,
            case
                when r.verdict = 'trades_only' then ': minutes without a trade count as not covered'
                when r.verdict = 'provisional_only' then ': the archive does not have the day yet'
                when r.kline_coverage_ratio < 1 then ': the venue''s klines lack a part'
            end,
            ''
        )
    from fct_net_taker_volume_daily as d
    inner join dim_markets as m on m.market_id = d.market_id and m.contract_type is distinct from 'aggregate'
    left join fct_flow_reconciliation_daily as r on r.market_id = d.market_id and r.bar_date = d.bar_date
    where d.coverage_ratio < 1 and not d.is_running
    order by d.market_id, d.bar_date
"""
