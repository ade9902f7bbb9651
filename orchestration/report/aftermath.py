"""What happened around and after the spikes: liquidations, and the returns of the days that followed.

Belongs here: liquidations and the event study of one market as values and texts. Does not: markup
(`templates/market_liquidations.html.j2`, `market_study.html.j2`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from orchestration.report import charts, texts
from orchestration.report.content import MarketContent, ReportContent, Row
from orchestration.report.elements import Defined, Key, Table, column_comments, table


@dataclass(frozen=True)
class LiquidationsView:
    label: str
    keys: tuple[Key, ...]
    largest: Table
    first_day: str
    last_day: str
    known_days: str
    requested_days: str
    definitions: tuple[Defined, ...]


@dataclass(frozen=True)
class StudyFigure:
    side: str
    title: str
    label: str


@dataclass(frozen=True)
class StudyView:
    conclusive: str
    combinations: str
    keys: tuple[Key, ...]
    figures: tuple[StudyFigure, ...]
    returns: Table
    conclusions: tuple[Defined, ...]
    definitions: tuple[Defined, ...]


def liquidations_view(market: MarketContent, content: ReportContent) -> LiquidationsView | None:
    requested = [row for row in market.daily if row["liquidations_coverage_ratio"] is not None]
    if not requested:
        return None
    known = [row for row in requested if row["long_usd"] is not None]
    longs, shorts = (sum((row[name] for row in known), Decimal(0)) for name in ("long_usd", "short_usd"))
    absent = len(requested) - len(known)
    return LiquidationsView(
        label=f"Liquidations of {market.market_id} on {texts.day_count(len(known))}: longs at least "
        f"{texts.usd(longs)} USD, shorts at least {texts.usd(shorts)} USD."
        + (f" Nothing is known of {texts.day_count(absent)}." if absent else ""),
        keys=(
            Key(charts.BUY, "", "shorts liquidated (up)"),
            Key(charts.SELL, "", "longs liquidated (down)"),
            Key("", "×", "a day that nothing is known of"),
        ),
        largest=_largest(market, known),
        first_day=str(requested[0]["bar_date"]),
        last_day=str(requested[-1]["bar_date"]),
        known_days=f"{len(known):,}",
        requested_days=f"{len(requested):,}",
        definitions=column_comments(
            content, [("fct_liquidations_daily", name) for name in ("long_usd", "short_usd", "is_lower_bound")]
        ),
    )


def _largest(market: MarketContent, known: Sequence[Row]) -> Table:
    largest = sorted(known, key=lambda row: (row["long_usd"] + row["short_usd"], row["bar_date"]), reverse=True)
    return table(
        f"{market.market_id}: the days of most liquidations",
        ["UTC day", "#Longs, USD", "#Shorts, USD", "#Orders", "#Coverage"],
        [
            [
                str(row["bar_date"]),
                texts.usd(row["long_usd"]),
                texts.usd(row["short_usd"]),
                texts.whole_number(row["order_count"]),
                texts.share(row["liquidations_coverage_ratio"]),
            ]
            for row in largest[:7]
        ],
    )


def study_view(market: MarketContent, content: ReportContent) -> StudyView:
    studied = ("sample_size", "hit_rate", "baseline_hit_rate", "baseline_median", "p_value", "p_value_when_known")
    return StudyView(
        conclusive=f"{sum(bool(row['is_conclusive']) for row in market.study):,}",
        combinations=f"{len(market.study):,}",
        keys=(
            Key("", "━", "median after the events"),
            Key("", "◇", "median of all days: the null"),
            Key(charts.SELL, "•", "one bearish event"),
            Key(charts.BUY, "•", "one bullish event"),
        ),
        figures=tuple(
            StudyFigure(
                side,
                title,
                f"Returns of the contrarian position 1, 3, 7, 14 and 30 days after {side} events of "
                f"{market.market_id}, and their medians against those of all days; the numbers are in the table below.",
            )
            for side, title in (("bearish", "Long after bearish spikes"), ("bullish", "Short after bullish spikes"))
        ),
        returns=_returns(market, content),
        conclusions=tuple(
            Defined(
                content.name_of(row["definition_id"]),
                f"{row['side']}, {texts.day_count(row['horizon_days'])}. {row['conclusion']}",
            )
            for row in market.study
        ),
        definitions=column_comments(
            content,
            [
                *(("agg_spike_event_study", name) for name in studied),
                *(
                    ("fct_spike_forward_returns", name)
                    for name in ("entry_price", "forward_return", "return_when_known")
                ),
            ],
        ),
    )


def _returns(market: MarketContent, content: ReportContent) -> Table:
    return table(
        f"{market.market_id}: returns of the contrarian position after events, against all days of the market",
        [
            "Definition",
            "Side",
            "#Days",
            "#Events",
            "#Hit rate",
            "#of all days",
            "#Median",
            "#of all days",
            "#Mean",
            "#of all days",
            "#p",
            "#p when known",
        ],
        [
            [
                content.name_of(row["definition_id"]),
                row["side"],
                texts.whole_number(row["horizon_days"]),
                texts.whole_number(row["sample_size"]),
                texts.share(row["hit_rate"], 1),
                texts.share(row["baseline_hit_rate"], 1),
                texts.change(row["median_return"]),
                texts.change(row["baseline_median"]),
                texts.change(row["mean_return"]),
                texts.change(row["baseline_mean"]),
                texts.number(row["p_value"], 3),
                texts.number(row["p_value_when_known"], 3),
            ]
            for row in market.study
        ],
        definitions=[str(row["definition_id"]) for row in market.study],
        none="Under this definition no event has a known outcome yet.",
        is_tall=True,
    )
