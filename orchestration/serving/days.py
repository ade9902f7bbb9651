"""Days of each market with their ranks, and days on which sources disagree.

Belongs here: queries to the flow marts, as plain facts. Does not: how they are printed (`orchestration.cli.render`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from orchestration.config.marts import Marts
from orchestration.serving.published import connect
from orchestration.serving.rules import rule

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Rank:
    """The most extreme bar of the latest day under one definition.

    `side`: that of the value (see docs/metrics/fct_taker_spike_ranks.md); None where it is balanced and has no rank.
    `rank` and `event_rank` are None where the definition gives none: too little coverage, no event, or not known yet.
    `window_bars`: how many bars the rank was taken among, `window_days`: over how many days, `coverage_ratio`: the
    share of these that is covered. `value` in the definition's unit.
    """

    definition_id: str
    definition_name: str
    grain: str
    unit: str
    window_days: int
    side: str | None
    bar_at: datetime
    value: Decimal
    rank: int | None
    window_bars: int
    percentile: float | None
    event_rank: int | None
    is_event: bool | None
    coverage_ratio: float = 1.0


@dataclass(frozen=True)
class RunningDay:
    """A day that has not ended: what is known of it so far, always provisional. `coverage_ratio`: share of 24 hours."""

    bar_date: date
    net_taker_usd: Decimal
    volume_usd: Decimal
    flow_source: str
    coverage_ratio: float


@dataclass(frozen=True)
class MarketDay:
    """An ended day of one market, or of a sum over venues. `net_taker_usd` = taker buys − taker sells.

    `headline`: the day in one sentence, `price_change_ratio`: close / close of the day before − 1, both from
    rpt_market_brief_daily and None without a brief. `is_provisional`: not in the archive yet.
    `venue_set`: the venues summed, separated by commas. `running`: the day after it, while it is running.
    """

    market_id: str
    is_simulated: bool
    bar_date: date
    net_taker_usd: Decimal
    volume_usd: Decimal
    taker_sell_ratio: float | None
    sell_dominance_percentile: float | None
    flow_source: str
    coverage_ratio: float
    ranks: tuple[Rank, ...]
    headline: str | None = None
    price_change_ratio: float | None = None
    is_provisional: bool = False
    venue_set: str = ""
    running: RunningDay | None = None


def latest_days(serving: Marts, markets: Sequence[str] | None = None) -> list[MarketDay]:
    """The latest ended day of each market (default: all), with its ranks, and what is known of a day since.

    With markets, the sums over venues that one of them is part of are among the answers.
    """
    with connect(serving) as connection:
        wanted = None if markets is None else set(markets)
        if wanted is not None:
            parts = connection.execute(_SUMS).fetchall()
            wanted |= {total for total, part in parts if part in wanted}
        days = _days(connection, day=None)
        running = {name: RunningDay(*day) for name, *day in connection.execute(_RUNNING_DAYS).fetchall()}
    return [
        replace(day, running=running.get(day.market_id)) for day in days if wanted is None or day.market_id in wanted
    ]


def ended_days(serving: Marts, day: date | None, markets: Sequence[str]) -> list[MarketDay]:
    """That day of each of the markets, None: the latest ended one; markets that have not got it are left out."""
    with connect(serving) as connection:
        return [found for found in _days(connection, day) if found.market_id in markets]


def _days(connection: duckdb.DuckDBPyConnection, day: date | None) -> list[MarketDay]:
    """Of every market. One query for all, without parameters: DuckDB imports pandas to bind one."""
    chosen = _CHOSEN_DAYS.format(day="null" if day is None else f"date '{day}'")
    ranks = _ranks(connection, chosen)
    rows = connection.execute(_DAYS.format(chosen=chosen)).fetchall()
    return [MarketDay(*(*row[:9], tuple(ranks.get(row[0], ())), *row[9:])) for row in rows]


def _ranks(connection: duckdb.DuckDBPyConnection, chosen: str) -> dict[str, list[Rank]]:
    """Of the chosen days, by market."""
    # As a literal it leaves out the row groups of all the months before.
    (first,) = connection.execute(f"select min(day) from ({chosen})").fetchone() or (None,)
    if first is None:
        return {}
    sql = _RANKS_OF_DAY.format(
        chosen=chosen,
        first=first,
        side=rule("side_of", "d.unit", "r.value"),
        leaning=rule("leaning", "d.unit", "cast(r.value as double)"),
    )
    ranks: dict[str, list[Rank]] = {}
    for market_id, *row in connection.execute(sql).fetchall():
        ranks.setdefault(market_id, []).append(Rank(*row))
    return ranks


# The requested day of each market: its latest ended one where none is named.
_CHOSEN_DAYS = """
    select market_id, max(bar_date) as day
    from fct_net_taker_volume_daily
    where not is_running and bar_date = coalesce({day}, bar_date)
    group by market_id
"""


_DAYS = """
    select d.market_id, m.is_simulated, d.bar_date, d.net_taker_usd, d.volume_usd, d.taker_sell_ratio,
           p.sell_dominance_percentile, d.flow_source, d.coverage_ratio, b.headline, b.price_change_ratio,
           d.is_provisional, d.venue_set
    from ({chosen}) as chosen
    join fct_net_taker_volume_daily as d on d.market_id = chosen.market_id and d.bar_date = chosen.day
    join dim_markets as m on m.market_id = d.market_id
    left join fct_taker_dominance_daily as p on p.market_id = d.market_id and p.bar_date = d.bar_date
    left join rpt_market_brief_daily as b on b.market_id = d.market_id and b.bar_date = d.bar_date
    order by d.market_id
"""


_RUNNING_DAYS = """
    select market_id, bar_date, net_taker_usd, volume_usd, flow_source, coverage_ratio
    from fct_net_taker_volume_daily
    where is_running
    order by market_id, bar_date
"""


_SUMS = """
    select sums.market_id, parts.market_id
    from dim_markets as sums
    inner join dim_markets as parts
        on parts.base_asset = sums.base_asset and parts.is_simulated = sums.is_simulated
    where sums.contract_type = 'aggregate' and parts.contract_type <> 'aggregate'
"""


# Of all bars of the day the most extreme one under each definition, on the side that its value is on. A balanced value
# is on neither, and may have its rank on both.
_RANKS_OF_DAY = """
    with bars as (
        select r.*, d.definition_name, d.grain, d.unit, d.window_days, {side} as value_side, abs({leaning}) as distance
        from fct_taker_spike_ranks as r
        join dim_spike_definitions as d on d.definition_id = r.definition_id
        join ({chosen}) as chosen on chosen.market_id = r.market_id and chosen.day = cast(r.bar_at as date)
        where r.bar_at >= timestamp '{first}'
    )
    select market_id, definition_id, definition_name, grain, unit, window_days,
           case when spike_rank is null then value_side else side end as side,
           bar_at, value, spike_rank, window_bars, percentile, event_rank, is_event,
           coverage_ratio
    from bars
    where value_side is null or side = value_side
    qualify row_number() over (
        partition by market_id, definition_id
        order by spike_rank nulls last, percentile desc nulls last, distance desc, bar_at, side
    ) = 1
    order by market_id, definition_id
"""


def unvalued(serving: Marts, markets: Sequence[str]) -> list[str]:
    """Those of `markets` whose contract size is unknown, one sentence each."""
    with connect(serving) as connection:
        rows = connection.execute(_UNVALUED).fetchall()
    return [
        f"{market_id}: its trades are kept and not valued, since the size of one contract is unknown; turn on the "
        "venue's REST API (TAKER_REST=on) or add the market to dbt_project/seeds/markets.csv, then run again"
        for (market_id,) in rows
        if market_id in markets
    ]


_UNVALUED = "select market_id from dim_markets where is_ingested and contract_size is null order by market_id"


def unfilled(serving: Marts, markets: Sequence[str]) -> list[str]:
    """Definitions without a bar of those of `markets` that have days, one sentence for each set of definitions."""
    with connect(serving) as connection:
        rows = connection.execute(_UNFILLED).fetchall()
    of_definitions: dict[str, list[str]] = {}
    for market_id, definitions in rows:
        if market_id in markets:
            of_definitions.setdefault(definitions, []).append(market_id)
    return [
        f"{', '.join(found)}: no bar of the definitions {definitions}, whose grain is finer than the stored klines and "
        "trades; add it to TAKER_KLINE_INTERVAL and run again"
        for definitions, found in of_definitions.items()
    ]


_UNFILLED = """
    select markets.market_id, string_agg(definitions.definition_id, ', ' order by definitions.definition_id)
    from (select distinct market_id, venue from fct_net_taker_volume_daily) as markets
    inner join dim_spike_definitions as definitions on coalesce(definitions.venue, markets.venue) = markets.venue
    left join (select distinct market_id, definition_id from fct_taker_spike_ranks) as ranked
        on ranked.market_id = markets.market_id and ranked.definition_id = definitions.definition_id
    where ranked.market_id is null and definitions.grain <> '1d'
    group by markets.market_id
    order by markets.market_id
"""


def disagreements(serving: Marts, markets: Sequence[str] | None = None, limit: int = 10) -> list[str]:
    """Newest days on which sources contradict each other, or trades are incomplete or can be no market's."""
    with connect(serving) as connection:
        rows = connection.execute(_DISAGREEMENTS).fetchall()
    wanted = [row for row in rows if markets is None or row[0] in markets]
    shown = [_disagreement(*row) for row in wanted[:limit]]
    return (
        [*shown, f"… and {len(wanted) - limit} more in fct_flow_reconciliation_daily"] if len(wanted) > limit else shown
    )


_DISAGREEMENTS = """
    select r.market_id, r.bar_date, r.verdict, r.difference_usd, r.klines_volume_usd, d.flow_source,
           r.interval_verdict, r.interval_difference_usd, r.kline_interval, r.coarser_interval,
           r.rest_verdict, r.rest_difference_usd, r.rest_hours, r.defect_reason
    from fct_flow_reconciliation_daily as r
    left join fct_net_taker_volume_daily as d on d.market_id = r.market_id and d.bar_date = r.bar_date
    where r.verdict in ('trades_incomplete', 'trades_implausible', 'conflict')
        or r.interval_verdict = 'conflict'
        or r.rest_verdict = 'conflict'
    order by r.bar_date desc, r.market_id
"""


def _disagreement(
    market_id: str,
    day: date,
    verdict: str,
    difference: Decimal | None,
    klines: Decimal | None,
    flow_source: str | None,
    interval_verdict: str,
    interval_difference: Decimal | None,
    finest: str | None,
    coarser: str | None,
    rest_verdict: str | None,
    rest_difference: Decimal | None,
    rest_hours: int | None,
    defect_reason: str | None,
) -> str:
    parts = []
    if verdict == "trades_implausible":
        instead = f"the bars come from {flow_source}" if flow_source else "the day has no bar"
        parts.append(f"trades implausible and not used ({defect_reason or 'no reason recorded'}), {instead}")
    if verdict in ("trades_incomplete", "conflict"):
        share = f" ({difference / klines:+.2%} of volume)" if difference is not None and klines else ""
        parts.append(f"{verdict.replace('_', ' ')}{share}, the bars come from {flow_source}")
    if interval_verdict == "conflict" and interval_difference is not None:
        parts.append(f"the venue's {finest} and {coarser} klines differ by {interval_difference:,.0f} USD")
    if rest_verdict == "conflict" and rest_difference is not None:
        parts.append(f"the provisional {rest_hours} hours and the archive's differ by {rest_difference:,.0f} USD")
    return f"{market_id} {day}: {'; '.join(parts)}"
