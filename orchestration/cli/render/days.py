"""The result of a run: of each market the line that answers, the day with its ranks, liquidations of 24 hours.

Belongs here: facts of `orchestration.serving` as text and tables. Does not: queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.markup import escape

from ingestion.domain.markets import SUMS_OF_VENUES
from ingestion.venues import is_simulated
from orchestration.cli.render.fitted import Column, Row, fitted
from orchestration.serving.answers import NOTABLE_RANK, answer
from orchestration.serving.formats import amount, bar_time, change, count, millions, number, share
from orchestration.serving.liquidations import each_once, of_symbols

if TYPE_CHECKING:
    from orchestration.serving.days import MarketDay, Rank, RunningDay
    from orchestration.serving.liquidations import Liquidated


# The answers are one line of each market, and the ranks behind them one table: `taker brief` has that of any other.
_DETAILED: Final = 1


_NAMED: Final = 4


def show_days(console: Console, days: Sequence[MarketDay]) -> None:
    """For each market the line that answers; then what it rests on, and the rank under each definition."""
    console.print()
    show_answers(console, days)
    for day in days[:_DETAILED]:
        show_day(console, day)
    if len(days) > _DETAILED:
        others = ", ".join(day.market_id for day in days[_DETAILED:][:_NAMED])
        more = "" if len(days) - _DETAILED <= _NAMED else f" and {len(days) - _DETAILED - _NAMED:,} more"
        console.print(f"[dim]the same of {escape(others)}{more}: `taker brief --market MARKET`")


def show_answers(console: Console, days: Sequence[MarketDay]) -> None:
    """`market · day · Yes: …`, a line of each market."""
    for day in days:
        simulated = "[bold yellow]SIMULATED[/] " if day.is_simulated else ""
        console.print(f"{simulated}{escape(day.market_id)} · {day.bar_date} UTC · [bold]{escape(answer(day))}[/]")


def show_day(console: Console, day: MarketDay) -> None:
    """What the answer rests on, and the day's most extreme bar under each definition."""
    venues = f" over {day.venue_set.replace(',', ', ')}" if "," in day.venue_set else ""
    simulated = " · [bold yellow]SIMULATED[/], not a real market" if day.is_simulated else ""
    console.print(f"\n[bold]{escape(day.market_id)}[/]{escape(venues)} · {day.bar_date} UTC{simulated}")
    price = "" if day.price_change_ratio is None else f" · price {change(day.price_change_ratio)}"
    console.print(
        f"net taker volume [bold]{millions(day.net_taker_usd)}[/] USD"
        f" · sell ratio {number(day.taker_sell_ratio, 4)}"
        f" (sell dominance percentile {share(day.sell_dominance_percentile)}){price}"
        f" · source {day.flow_source}{' (provisional)' if day.is_provisional else ''}"
        f" · coverage {share(day.coverage_ratio)}"
    )
    rows = [
        Row(rank_row(rank), "bold" if rank.rank is not None and rank.rank <= NOTABLE_RANK else None)
        for rank in day.ranks
    ]
    console.print(fitted(console, _RANK_COLUMNS, rows))
    if day.running is not None:
        console.print(running_line(day.running))


_RANK_COLUMNS: Final = (
    Column("definition"),
    Column("id", spare=2),
    Column("side", spare=3),
    Column("bar (UTC)"),
    Column("value", is_number=True),
    Column("rank", is_number=True),
    Column("of", is_number=True),
    Column("percentile", is_number=True, spare=1),
    Column("event", is_number=True, spare=4),
)


def running_line(day: RunningDay) -> str:
    """What is known of the day that is running, and that it is not all of it."""
    return (
        f"[yellow]today so far, provisional[/] · {day.bar_date} UTC · net taker volume "
        f"[bold]{millions(day.net_taker_usd)}[/] USD of {day.volume_usd / 1_000_000:,.1f} M traded"
        f" · source {day.flow_source} · {share(day.coverage_ratio)} of the day · not ranked"
    )


def rank_row(rank: Rank) -> list[str]:
    at = bar_time(rank.bar_at, rank.grain)
    event = "not known yet" if rank.is_event is None else count(rank.event_rank)
    return [
        rank.definition_name,
        rank.definition_id,
        rank.side or "–",
        at,
        amount(rank.value, rank.unit),
        count(rank.rank),
        str(rank.window_bars),
        share(rank.percentile),
        event,
    ]


def show_liquidations(console: Console, rows: Sequence[Liquidated]) -> None:
    """What was liquidated in the last 24 hours, each total beside its coverage."""
    if not rows:
        return
    shown = [liquidation_row(row) for row in each_once(rows)]
    # Most days every order has a value: the column is there when one has none.
    has_notes = any(row[-1] for row in shown)
    columns = (*_LIQUIDATION_COLUMNS, Column("note")) if has_notes else _LIQUIDATION_COLUMNS
    title = "[bold]liquidations of the last 24 hours, USD"
    console.print()
    console.print(fitted(console, columns, [Row(row[: len(columns)]) for row in shown], title))


_LIQUIDATION_COLUMNS: Final = (
    Column("where"),
    Column("to (UTC)", spare=1),
    Column("longs", is_number=True),
    Column("shorts", is_number=True),
    Column("orders", is_number=True, spare=3),
    Column("largest", is_number=True, spare=2),
    Column("coverage", is_number=True),
)


def liquidation_row(row: Liquidated) -> list[str]:
    """The row as text. A lower bound is marked, and hours that were not received give a dash."""
    label = "SIMULATED " if is_simulated(row.market_id) else ""
    is_over_venues = row.market_id.partition(":")[0] in SUMS_OF_VENUES
    name = f"all of {row.venue_set.replace(',', ', ')}" if is_over_venues else row.market_id
    least = "≥ " if row.is_lower_bound else ""
    return [
        escape(label + name + of_symbols(row.subscribed_symbol_count)),
        bar_time(row.as_of_at, "1h"),
        *("–" if usd is None else f"{least}{usd / 1_000_000:,.1f} M" for usd in (row.long_usd, row.short_usd)),
        count(row.order_count),
        "–" if row.largest_order_usd is None else f"{row.largest_order_usd / 1_000_000:,.2f} M",
        share(row.coverage_ratio),
        f"{row.unvalued_order_count:,} orders without a value in USD" if row.unvalued_order_count else "",
    ]
