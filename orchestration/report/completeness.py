"""How complete a market's days are, and on which of them something was not used as it was published.

Belongs here: both calendars and the list of days to look at, as values and texts. Does not: markup
(`templates/market_completeness.html.j2`) or the cells of the calendars (`rows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.report import charts, rows, texts
from orchestration.report.content import MarketContent, ReportContent, Row
from orchestration.report.elements import Defined, Key, Table, column_comments, prose, table


@dataclass(frozen=True)
class CompletenessView:
    """`odd_days` is None when every day is complete and used as it was published."""

    verdict_label: str
    verdict_keys: tuple[Key, ...]
    cover_label: str
    cover_keys: tuple[Key, ...]
    odd_days: Table | None
    first_day: str
    last_day: str
    coverage: str
    definitions: tuple[Defined, ...]


def completeness_view(market: MarketContent, content: ReportContent) -> CompletenessView:
    days = rows.calendar_days(market)
    covers, verdicts = (texts.counted(row[name] for row in days) for name in ("cover", "verdict"))
    verdict_list = ", ".join(f"{texts.words(name)} {count:,}" for name, count in verdicts.items())
    compared = ("verdict", "difference_usd", "interval_verdict", "defect_reason")
    cover_list = ", ".join(f"{name} {count:,}" for name, count in covers.items())
    return CompletenessView(
        verdict_label=f"Calendar of the reconciliation of {market.market_id}, one cell per day: {verdict_list}.",
        verdict_keys=tuple(
            Key(colour, sign, f"{texts.words(name)}: {texts.day_count(verdicts[name])}")
            for name, (colour, sign) in charts.VERDICTS.items()
            if name in verdicts
        ),
        cover_label=f"Calendar of the coverage of the daily bars of {market.market_id}: {cover_list}.",
        cover_keys=tuple(
            Key(colour, sign, f"{name}: {texts.day_count(covers[name])}")
            for name, (colour, sign) in charts.COVERAGES.items()
            if name in covers
        ),
        odd_days=odd_days_table(market),
        first_day=str(market.daily[0]["bar_date"]),
        last_day=str(market.daily[-1]["bar_date"]),
        coverage=texts.days_covered(with_bars(market.daily)),
        definitions=column_comments(
            content,
            [
                *(("fct_flow_reconciliation_daily", name) for name in compared),
                *(("fct_net_taker_volume_daily", name) for name in ("coverage_ratio", "flow_quality")),
            ],
        ),
    )


def _is_odd(row: Row) -> bool:
    return (
        rows.day_note(row) is not None
        or row["verdict"] in ("trades_incomplete", "trades_implausible", "conflict")
        or row["interval_verdict"] == "conflict"
    )


def odd_days_table(market: MarketContent) -> Table | None:
    """Every day that is incomplete, contradicted or not built from everything as published; None without any."""
    odd = [row for row in market.daily if _is_odd(row)]
    if not odd:
        return None
    return table(
        f"{market.market_id}: days that are incomplete, contradicted or not used as published, newest first, all "
        f"{len(odd):,}",
        [
            "UTC day",
            "Quality, and why",
            "#Coverage",
            "Bars from",
            "Trades against klines",
            "#Trades − klines, USD",
            "Klines among each other",
        ],
        [
            [
                str(row["bar_date"]),
                prose(rows.day_note(row) or "as published"),
                texts.NONE if row["coverage_ratio"] is None else texts.covered(row["coverage_ratio"]),
                texts.source(row),
                texts.words(row["verdict"]),
                texts.usd(row["difference_usd"]),
                texts.words(row["interval_verdict"]),
            ]
            for row in reversed(odd)
        ],
        is_tall=len(odd) > 12,
    )


def with_bars(daily: Sequence[Row]) -> list[Row]:
    return [row for row in daily if row["coverage_ratio"] is not None]
