"""How much takers bought and sold each day, and how one-sided that was.

Belongs here: net taker volume with its events, and sell dominance, of one market as values and texts. Does not: how
complete the days are (`completeness`), or markup (`templates/market_net_volume.html.j2`, `market_dominance.html.j2`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.report import charts, texts
from orchestration.report.content import MARKED_EVENTS, MarketContent, ReportContent, Row
from orchestration.report.elements import Defined, Key, Table, column_comments, table, toned


@dataclass(frozen=True)
class NetVolumeView:
    label: str
    price_label: str
    keys: tuple[Key, ...]
    definition: str
    events: Table
    last_days: Table
    first_day: str
    last_day: str
    sources: str
    coverage: str
    definitions: tuple[Defined, ...]


@dataclass(frozen=True)
class DominanceView:
    """`extremes` is None when no day is in an outermost hundredth."""

    label: str
    keys: tuple[Key, ...]
    outermost: str
    extremes: Table | None
    first_day: str
    last_day: str
    sources: str
    window_coverage: str
    definitions: tuple[Defined, ...]


def net_volume_view(market: MarketContent, content: ReportContent) -> NetVolumeView | None:
    bars = [row for row in market.daily if row["net_taker_usd"] is not None]
    if not bars:
        return None
    first, last = str(bars[0]["bar_date"]), str(bars[-1]["bar_date"])
    lowest, highest = (pick(bars, key=lambda row: row["net_taker_usd"]) for pick in (min, max))
    return NetVolumeView(
        label=f"Daily net taker volume of {market.market_id} from {first} to {last}. "
        f"Most selling: {texts.usd(lowest['net_taker_usd'])} USD on {lowest['bar_date']}; most buying: "
        f"{texts.usd(highest['net_taker_usd'])} USD on {highest['bar_date']}.",
        price_label=f"Daily close of {market.market_id} on the same days.",
        keys=(
            Key(charts.BUY, "", "takers bought more (up)"),
            Key(charts.SELL, "", "takers sold more (down)"),
            Key("", "▼", f"bearish event and its rank among events, to {MARKED_EVENTS}"),
            Key("", "▲", "bullish event"),
            Key(
                "", "!", "not complete, or not everything used as published (lighter bar; the reason is in the tooltip)"
            ),
        ),
        definition=content.first_definition,
        events=_events(market, content),
        last_days=_last_days(market, bars[-7:]),
        first_day=first,
        last_day=last,
        sources=texts.day_sources(bars),
        coverage=texts.days_covered(bars),
        definitions=column_comments(
            content,
            [
                *(("fct_net_taker_volume_daily", name) for name in ("net_taker_usd", "close_price", "flow_source")),
                *(("fct_taker_spike_ranks", name) for name in ("is_event", "event_rank")),
            ],
        ),
    )


def _events(market: MarketContent, content: ReportContent) -> Table:
    events = sorted(market.events, key=lambda row: (row["bar_at"], row["definition_id"], row["side"]), reverse=True)
    units = content.units
    return table(
        f"{market.market_id}: events ranked 1 to {MARKED_EVENTS} in their own window, newest first",
        [
            "Definition",
            "Side",
            "Bar (UTC)",
            "#Value",
            "#Event rank",
            "#Rank among bars",
            "#of bars",
            "#Window coverage",
        ],
        [
            [
                content.name_of(row["definition_id"]),
                row["side"],
                texts.instant(row["bar_at"]),
                texts.value(row["value"], units.get(row["definition_id"], "usd"), market),
                texts.whole_number(row["event_rank"]),
                texts.whole_number(row["spike_rank"]),
                texts.whole_number(row["window_bars"]),
                texts.share(row["coverage_ratio"]),
            ]
            for row in events
        ],
        definitions=[str(row["definition_id"]) for row in events],
        none="No event under this definition is ranked so high yet: a rank needs 95 % of its window.",
        is_tall=True,
    )


def _last_days(market: MarketContent, bars: Sequence[Row]) -> Table:
    return table(
        f"{market.market_id}: the last seven days",
        [
            "UTC day",
            "#Net taker USD",
            "#Volume USD",
            "#Sell ratio",
            "#Sell percentile",
            "#Close",
            "Source",
            "#Coverage",
            "Reconciliation",
        ],
        [
            [
                str(row["bar_date"]),
                toned(row["net_taker_usd"], texts.usd(row["net_taker_usd"])),
                texts.usd(row["volume_usd"]),
                texts.number(row["taker_sell_ratio"], 4),
                texts.share(row["sell_dominance_percentile"]),
                texts.price(row["close_price"]),
                texts.source(row),
                texts.share(row["coverage_ratio"]),
                texts.words(row["verdict"]),
            ]
            for row in reversed(bars)
        ],
    )


def dominance_view(market: MarketContent, content: ReportContent) -> DominanceView | None:
    ranked = [row for row in market.daily if row["sell_dominance_percentile"] is not None]
    if not ranked:
        return None
    top = [row for row in ranked if row["sell_dominance_percentile"] >= 0.99]
    bottom = [row for row in ranked if row["sell_dominance_percentile"] <= 0.01]
    last = ranked[-1]
    outermost = f"{len(top)} of {texts.day_count(len(ranked))} are in the top hundredth, {len(bottom)} in the lowest."
    extremes = sorted([*top, *bottom], key=lambda row: row["bar_date"], reverse=True)
    return DominanceView(
        label=f"Sell dominance percentile of {market.market_id}. {outermost} The latest, {last['bar_date']}: "
        f"{texts.share(last['sell_dominance_percentile'])}.",
        keys=(
            Key(charts.SELL, "▼", "99 % or more: among the days takers sold the largest share"),
            Key(charts.BUY, "▲", "1 % or less: among the days they bought the largest share"),
            Key(charts.QUIET, "•", "any other day"),
        ),
        outermost=outermost,
        extremes=_extremes(market, extremes) if extremes else None,
        first_day=str(ranked[0]["bar_date"]),
        last_day=str(last["bar_date"]),
        sources=texts.day_sources(ranked),
        window_coverage=texts.share(min(row["window_coverage_ratio"] for row in ranked)),
        definitions=column_comments(
            content,
            [("fct_taker_dominance_daily", name) for name in ("taker_sell_ratio", "sell_dominance_percentile")],
        ),
    )


def _extremes(market: MarketContent, extremes: Sequence[Row]) -> Table:
    return table(
        f"{market.market_id}: days in the outermost hundredths, newest first, {min(10, len(extremes))} of "
        f"{len(extremes)}",
        ["UTC day", "Side", "#Taker sell ratio", "#Sell percentile", "#Window coverage"],
        [
            [
                str(row["bar_date"]),
                {"bearish": "selling", "bullish": "buying", None: texts.NONE}[row["side"]],
                texts.number(row["taker_sell_ratio"], 4),
                texts.share(row["sell_dominance_percentile"]),
                texts.share(row["window_coverage_ratio"]),
            ]
            for row in extremes[:10]
        ],
    )
