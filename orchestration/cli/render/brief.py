"""A brief: its headline, then the numbers behind it.

Belongs here: a row of rpt_market_brief_daily as text. Does not: the headline (dbt_project).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestration.cli.render.days import show_answers
from orchestration.serving.formats import cell, change, count, millions, number, share
from orchestration.serving.liquidations import of_symbols
from orchestration.serving.reasons import dash

if TYPE_CHECKING:
    from orchestration.serving.days import MarketDay


# Where every market of the venues was received, and where some were subscribed to.
_OF_ALL_MARKETS: Final = ("on all markets received", "of the subscribed symbols")


def show_briefs(console: Console, briefs: Sequence[Mapping[str, Any]], days: Sequence[MarketDay]) -> None:
    """Each brief: the line that answers, where its day is among `days`, its headline, then what that is made of.

    What is of all markets is shown once, with the first brief that states it.
    """
    of_market = {day.market_id: day for day in days}
    of_all: set[str] = set()
    for brief in briefs:
        console.print()
        if brief["market_id"] in of_market:
            show_answers(console, [of_market[brief["market_id"]]])
        console.print(escape(brief["headline"]))
        table = Table(show_header=False)
        table.add_column()
        table.add_column(overflow="fold")
        for name, text in brief_rows(brief, of_market.get(brief["market_id"])):
            if name in _OF_ALL_MARKETS and text in of_all:
                continue
            of_all |= {text} if name in _OF_ALL_MARKETS else set()
            table.add_row(name, escape(text))
        console.print(table)


def brief_rows(brief: Mapping[str, Any], day: MarketDay | None = None) -> list[tuple[str, str]]:
    """The brief as label and text. What was not measured is a dash and never a zero. `day`: the same one, with what is
    known of its events."""
    ranks = {
        name.removesuffix("_rank"): value
        for name, value in brief.items()
        if name.endswith("_rank") and not name.endswith("_event_rank")
    }
    return [
        ("net taker volume", f"{millions(brief['net_taker_usd'])} USD, {brief['side']}"),
        (
            "taker sell ratio",
            f"{number(brief['taker_sell_ratio'], 4)}, percentile {share(brief['sell_dominance_percentile'])}",
        ),
        (f"{brief['side']} ranks", ", ".join(f"{name} {count(rank)}" for name, rank in ranks.items())),
        ("rank among events", f"daily_usd {_event_rank(brief, day)}"),
        ("larger events", brief["larger_events"] or "–"),
        (
            "close",
            f"{cell(brief['close_price'])}, {change(brief['price_change_ratio'])} in a day, "
            f"{change(brief['distance_from_high_ratio'])} from the 365-day high",
        ),
        *_liquidation_rows(brief),
        (
            "open interest",
            dash(brief.get("open_interest_missing_reason"), "open_interest")
            if brief["open_interest_usd"] is None
            else f"{brief['open_interest_usd'] / 1_000_000:,.1f} M USD"
            + ("" if brief["open_interest"] is None else f", {brief['open_interest']:,.2f} base"),
        ),
        (
            "funding of the day",
            dash(brief.get("funding_missing_reason"), "funding")
            if brief["funding_rate"] is None
            else f"{brief['funding_rate']:+.4%}",
        ),
        *(
            ("in conflict, not used", brief[name])
            for name in ("open_interest_conflict", "funding_conflict", "liquidations_conflict")
            if brief.get(name)
        ),
        ("source", f"{brief['flow_source']}, coverage {share(brief['coverage_ratio'])}"),
    ]


def _event_rank(brief: Mapping[str, Any], day: MarketDay | None) -> str:
    """Also why there is none, where the day is known: it is no event, or the bars that decide it are still to come."""
    of_day = [
        rank
        for rank in (day.ranks if day is not None and day.bar_date == brief.get("bar_date") else ())
        if (rank.definition_id, rank.side) == ("daily_usd", brief["side"])
    ]
    if of_day and of_day[0].is_event is None:
        return "not known yet"
    return "no event" if of_day and not of_day[0].is_event else count(brief["daily_usd_event_rank"])


def _liquidation_rows(brief: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Of the market, then of all markets whose liquidations were received or subscribed to."""
    of_market = _at_least(brief["long_liquidations_usd"], brief["short_liquidations_usd"])
    if of_market:
        of_market += f"; coverage {share(brief['liquidations_coverage_ratio'])}"
    of_all = _at_least(brief.get("all_long_liquidations_usd"), brief.get("all_short_liquidations_usd"))
    symbols = brief.get("all_liquidations_subscribed_symbol_count")
    if of_all:
        of_all += (
            f"; {brief['all_liquidations_venue_set'].replace(',', ', ')}, "
            f"{share(brief['all_liquidations_coverage_ratio'])} of the day{of_symbols(symbols)}"
        )
    return [
        ("liquidations", of_market or dash(brief.get("liquidations_missing_reason"), "liquidations")),
        (_OF_ALL_MARKETS[symbols is not None], of_all or "–"),
    ]


def _at_least(longs: Decimal | None, shorts: Decimal | None) -> str:
    if longs is None or shorts is None:
        return ""
    return f"at least {longs / 1_000_000:,.1f} M USD long, {shorts / 1_000_000:,.1f} M USD short"
