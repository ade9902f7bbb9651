"""What the page shows, read from the published marts and nothing else.

Belongs here: the queries, and the plain rows they give. Does not: charts (`charts`) or HTML (`page`).

Imports no dagster. A table that this publication does not have is an empty list, which the page states.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from orchestration.config.marts import Marts
from orchestration.serving.days import latest_days
from orchestration.serving.liquidations import last_liquidations
from orchestration.serving.published import connect
from orchestration.serving.rules import rule

if TYPE_CHECKING:
    import duckdb

    from orchestration.serving.days import MarketDay
    from orchestration.serving.liquidations import Liquidated

Row = dict[str, Any]

# Ranks are of each bar's own day. Marks of lower ranks would have no meaning in a chart.
MARKED_EVENTS: Final = 5
# More sections make a page that no browser likes to open; every market is in the table of all of them.
MOST_SECTIONS: Final = 20
# Hours before and after an event of which the page states the context.
CONTEXT_HOURS: Final = 24


@dataclass(frozen=True)
class Described:
    """The comments of the database on a table and on each of its columns."""

    comment: str
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MarketContent:
    """One market. Rows are in the order of their keys; amounts in USD, shares 0 to 1, days and instants UTC.

    `daily`: one row per day that has a bar, a reconciliation or liquidations. `events`: those of the first ranks, on
    each side and under each definition. `latest`: the newest day with its ranks. `brief`: its newest row, or None.
    `ranks`: of each ranked day of the window the most extreme bar under each definition. `positions`: open interest,
    funding and the ratios of accounts, a row per day. `context`: what surrounded the events. `profile`: the hours of
    the week.
    """

    market_id: str
    is_simulated: bool
    facts: Row
    daily: Sequence[Row]
    events: Sequence[Row] = ()
    study: Sequence[Row] = ()
    returns: Sequence[Row] = ()
    brief: Row | None = None
    latest: MarketDay | None = None
    ranks: Sequence[Row] = ()
    positions: Sequence[Row] = ()
    context: Sequence[Row] = ()
    profile: Sequence[Row] = ()


@dataclass(frozen=True)
class ReportContent:
    """Everything on the page. `publication` is the one row of that table, `tables` the comments by table name.

    `liquidations`: the newest 24 hours of all venues, each venue and each market. `liquidation_days`: the last 30 days
    of all venues and of each venue, newest first. `screen`: the last complete day of every market. `other_markets`: how
    many have no section, since others trade more.
    """

    publication: Row
    markets: Sequence[MarketContent]
    definitions: Sequence[Row] = ()
    claims: Sequence[Row] = ()
    revisions: Sequence[Row] = ()
    revision_count: int = 0
    liquidations: Sequence[Liquidated] = ()
    liquidation_days: Sequence[Row] = ()
    screen: Sequence[Row] = ()
    other_markets: int = 0
    tables: Mapping[str, Described] = field(default_factory=dict)

    @property
    def is_simulated(self) -> bool:
        return any(market.is_simulated for market in self.markets)

    @property
    def units(self) -> dict[str, str]:
        """The unit of each definition's values."""
        return {str(row["definition_id"]): str(row["unit"]) for row in self.definitions}

    @property
    def definition_names(self) -> dict[str, str]:
        """The name of each definition with its id: `4-hour bars, USD (4h_usd)`."""
        return {row["definition_id"]: f"{row['definition_name']} ({row['definition_id']})" for row in self.definitions}

    def name_of(self, definition_id: str) -> str:
        """The same of one definition; one that is not described is shown by its id."""
        return self.definition_names.get(definition_id, definition_id)

    @property
    def first_definition(self) -> str:
        """The definition that charts and tables begin with: by day, as the first chart is."""
        names = [str(row["definition_id"]) for row in self.definitions]
        return "daily_usd" if "daily_usd" in names or not names else names[0]


def read_content(serving: Marts) -> ReportContent:
    """Read the page's content from `serving`. Raises NothingPublished."""
    latest = {day.market_id: day for day in latest_days(serving)}
    liquidations = last_liquidations(serving)
    with connect(serving) as connection:
        tables = _described(connection)
        publication = _rows(connection, "select * from publication")[0]
        read = _Reader(connection, tables)
        # Hundreds of markets may only be known from the liquidations of their venue: they have no section.
        known = [row for row in read.all("dim_markets", "market_id") if row.get("is_ingested") is not False]
        screen = read.where("rpt_market_screen", _SCREEN)
        chosen = largest([row["market_id"] for row in known], screen)
        markets = _markets(read, [row for row in known if row["market_id"] in chosen], latest)
        return ReportContent(
            publication={
                **publication,
                "settings": json.loads(publication["settings"]),
                "audit": json.loads(publication["audit"]),
            },
            markets=markets,
            definitions=read.all("dim_spike_definitions", "definition_id"),
            claims=read.where("fct_claim_verdicts", _CLAIMS),
            revisions=read.where("fct_spike_rank_revisions", _REVISIONS),
            revision_count=_count(read, "fct_spike_rank_revisions"),
            liquidations=liquidations,
            # The mart of rolling days came together with the rows over whole venues.
            liquidation_days=read.where("fct_liquidations_daily", _LIQUIDATION_DAYS)
            if "fct_liquidations_rolling_24h" in tables
            else [],
            screen=screen,
            other_markets=len(known) - len(markets),
            tables=tables,
        )


def largest(market_ids: Sequence[str], screen: Sequence[Row]) -> set[str]:
    """The markets that have a section: all, or of many those with the greatest volume in USD of their last day."""
    volumes = {row["market_id"]: row["volume_usd"] or 0 for row in screen}
    return set(sorted(market_ids, key=lambda market: (-volumes.get(market, 0), market))[:MOST_SECTIONS])


@dataclass(frozen=True)
class _Reader:
    """Rows of a table that may not be there."""

    connection: duckdb.DuckDBPyConnection
    tables: Mapping[str, Described]

    def all(self, table: str, order: str) -> list[Row]:
        return self.where(table, f"select * from {table} order by {order}")

    def where(self, table: str, sql: str, *values: Any) -> list[Row]:
        return _rows(self.connection, sql, values) if table in self.tables else []

    def by_market(self, table: str, sql: str, market_ids: Sequence[str], *values: Any) -> dict[str, list[Row]]:
        """The rows of each of these markets in the query's order: one query for all, since each reads the table. Its
        first column is the market, its first parameter the list of them."""
        found: dict[str, list[Row]] = {}
        if table in self.tables and market_ids:
            for row in _rows(self.connection, sql, (list(market_ids), *values)):
                found.setdefault(row.pop(_OF_MARKET), []).append(row)
        return found

    def column(self, table: str, alias: str, name: str) -> str:
        """SQL of a column that an earlier publication may not have."""
        return f"{alias}.{name}" if table in self.tables and name in self.tables[table].columns else "null"


def _markets(read: _Reader, known: Sequence[Row], latest: Mapping[str, MarketDay]) -> list[MarketContent]:
    names = [row["market_id"] for row in known]
    side, leaning = rule("side_of", "'sell_ratio'", "p.taker_sell_ratio"), rule("leaning", "d.unit", "r.value")
    has_positions = {"fct_funding_rates", "fct_long_short_ratios"} <= set(read.tables)
    briefs = read.by_market("rpt_market_brief_daily", _BRIEF, names)
    daily = read.by_market("fct_net_taker_volume_daily", _daily(read, side), names)
    events = read.by_market("fct_taker_spike_ranks", _EVENTS, names, MARKED_EVENTS)
    study = read.by_market("agg_spike_event_study", _STUDY, names)
    returns = read.by_market("fct_spike_forward_returns", _RETURNS, names)
    is_ranked = "dim_spike_definitions" in read.tables
    ranks = read.by_market("fct_taker_spike_ranks", _RANKS.format(leaning=leaning), names) if is_ranked else {}
    positions = read.by_market("fct_open_interest_daily", _POSITIONS, names) if has_positions else {}
    context = read.by_market("fct_spike_context", _CONTEXT, names, CONTEXT_HOURS, MARKED_EVENTS)
    profile = read.by_market("fct_hour_of_week_profile", _PROFILE, names)
    return [
        MarketContent(
            market_id=name,
            is_simulated=bool(facts["is_simulated"]),
            facts=facts,
            daily=daily.get(name, []),
            events=events.get(name, []),
            study=study.get(name, []),
            returns=returns.get(name, []),
            brief=next(iter(briefs.get(name, [])), None),
            latest=latest.get(name),
            ranks=ranks.get(name, []),
            positions=positions.get(name, []),
            context=context.get(name, []),
            profile=profile.get(name, []),
        )
        for name, facts in zip(names, known, strict=True)
    ]


def _daily(read: _Reader, side: str) -> str:
    """The query of a market's days, also of a publication from before defects were recorded."""
    return _DAILY.format(
        side=side,
        quality=read.column("fct_net_taker_volume_daily", "d", "flow_quality"),
        reason=read.column("fct_flow_reconciliation_daily", "r", "defect_reason"),
    )


def _described(connection: duckdb.DuckDBPyConnection) -> dict[str, Described]:
    tables = connection.execute("select table_name, comment from duckdb_tables() order by table_name").fetchall()
    columns: dict[str, dict[str, str]] = {}
    described = "select table_name, column_name, comment from duckdb_columns() where not internal order by column_index"
    for table, column, comment in connection.execute(described).fetchall():
        columns.setdefault(table, {})[column] = comment or ""
    return {table: Described(comment or "", columns.get(table, {})) for table, comment in tables}


def _count(read: _Reader, table: str) -> int:
    found = read.where(table, f"select count(*) as n from {table}")
    return int(found[0]["n"]) if found else 0


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, values: Sequence[Any] = ()) -> list[Row]:
    done = connection.execute(sql, list(values))
    names = [column[0] for column in done.description or ()]
    return [dict(zip(names, row, strict=True)) for row in done.fetchall()]


_OF_MARKET: Final = "of_market"

# A day that only the reconciliation or the liquidations know is a day without a bar, not a day to leave out.
_DAILY: Final = """
    with days as (
        select market_id, bar_date from fct_net_taker_volume_daily
        union
        select market_id, bar_date from fct_flow_reconciliation_daily
        union
        select market_id, bar_date from fct_liquidations_daily
    )
    select k.market_id as of_market, k.bar_date, d.net_taker_usd, d.volume_usd, d.close_price, d.flow_source,
           d.coverage_ratio, d.is_provisional, {quality} as flow_quality, {reason} as defect_reason,
           p.taker_sell_ratio, p.sell_dominance_percentile, p.coverage_ratio as window_coverage_ratio,
           {side} as side,
           r.verdict, r.difference_usd, r.interval_verdict, r.kline_interval,
           l.long_usd, l.short_usd, l.order_count, l.coverage_ratio as liquidations_coverage_ratio
    from days as k
    left join fct_net_taker_volume_daily as d using (market_id, bar_date)
    left join fct_taker_dominance_daily as p using (market_id, bar_date)
    left join fct_flow_reconciliation_daily as r using (market_id, bar_date)
    left join fct_liquidations_daily as l using (market_id, bar_date)
    where list_contains(?, k.market_id) and d.is_running is not true
    order by bar_date
"""

_LIQUIDATION_DAYS: Final = """
    select market_id, bar_date, long_usd, short_usd, order_count, unvalued_order_count, coverage_ratio,
           is_lower_bound, liquidation_source, venue_set, subscribed_symbol_count
    from fct_liquidations_daily
    where ends_with(market_id, ':ALL')
      and bar_date > (select max(bar_date) from fct_liquidations_daily where ends_with(market_id, ':ALL')) - 30
    order by bar_date desc, venue not in ('all', 'simulated_all'), market_id
"""

_EVENTS: Final = """
    select market_id as of_market, definition_id, side, bar_at, value, spike_rank, event_rank, window_bars,
           coverage_ratio
    from fct_taker_spike_ranks
    where list_contains(?, market_id) and is_event and event_rank <= ?
    order by definition_id, side, bar_at
"""

# The window of two years, as every definition has it: a day before it can be picked too, without ranks. The bar is
# chosen as that of the latest day (`orchestration.serving.days`).
_RANKS: Final = """
    with ranks as (
        select * from fct_taker_spike_ranks where list_contains(?, market_id)
    ),
    newest as (
        select market_id, max(bar_at) as bar_at from ranks group by market_id
    )
    select r.market_id as of_market, r.definition_id, r.side, r.bar_at, r.value, r.spike_rank, r.window_bars,
           r.percentile, r.is_event, r.event_rank
    from ranks as r
    join newest as n on n.market_id = r.market_id
    join dim_spike_definitions as d on d.definition_id = r.definition_id
    where r.spike_rank is not null and r.bar_at > n.bar_at - interval 730 days
    qualify row_number() over (
        partition by r.market_id, r.definition_id, cast(r.bar_at as date)
        order by r.spike_rank, r.percentile desc, abs({leaning}) desc, r.bar_at, r.side
    ) = 1
    order by cast(r.bar_at as date), r.definition_id
"""

_POSITIONS: Final = """
    with fundings as (
        select market_id, bar_date, sum(funding_rate) as funding_rate, avg(annualised_rate) as annualised_rate,
               max_by(cumulative_rate, funded_at) as cumulative_rate
        from fct_funding_rates
        group by market_id, bar_date
    ),
    ratios as (
        select market_id, cast(bar_at as date) as bar_date,
               max_by(top_trader_position_long_short_ratio, bar_at) as top_ratio,
               max_by(account_long_short_ratio, bar_at) as account_ratio
        from fct_long_short_ratios
        group by market_id, cast(bar_at as date)
    )
    select coalesce(o.market_id, f.market_id) as of_market,
           coalesce(o.bar_date, f.bar_date) as bar_date, o.open_interest_usd, o.change_24h_ratio,
           f.funding_rate, f.annualised_rate, f.cumulative_rate, r.top_ratio, r.account_ratio
    from fct_open_interest_daily as o
    full join fundings as f on o.market_id = f.market_id and o.bar_date = f.bar_date
    left join ratios as r on r.market_id = coalesce(o.market_id, f.market_id)
      and r.bar_date = coalesce(o.bar_date, f.bar_date)
    where list_contains(?, coalesce(o.market_id, f.market_id))
    order by 2
"""

_CONTEXT: Final = """
    select market_id as of_market, definition_id, side, event_at, event_rank, open_interest_change_ratio, funding_rate,
           long_liquidations_usd, short_liquidations_usd, liquidations_coverage_ratio, is_lower_bound
    from fct_spike_context
    where list_contains(?, market_id) and horizon_hours = ? and event_rank <= ?
    order by definition_id, event_at desc, side
"""

_PROFILE: Final = """
    select market_id as of_market, weekday, hour_of_day, hour_count, net_taker_ratio, bought_ratio, mean_volume_usd,
           mean_return
    from fct_hour_of_week_profile
    where list_contains(?, market_id)
    order by weekday, hour_of_day
"""

_SCREEN: Final = "select * from rpt_market_screen order by robust_z is null, abs(robust_z) desc, market_id"

_STUDY: Final = """
    select market_id as of_market, definition_id, side, horizon_days, sample_size, hit_rate, median_return,
           mean_return, baseline_size,
           baseline_hit_rate, baseline_median, baseline_mean, p_value, median_return_when_known, p_value_when_known,
           is_conclusive, conclusion
    from agg_spike_event_study
    where list_contains(?, market_id)
    order by definition_id, side, horizon_days
"""

_RETURNS: Final = """
    select market_id as of_market, definition_id, side, event_at, horizon_days, forward_return
    from fct_spike_forward_returns
    where list_contains(?, market_id) and is_complete and forward_return is not null
    order by definition_id, side, horizon_days, event_at
"""

_BRIEF: Final = """
    select b.market_id as of_market, b.*
    from rpt_market_brief_daily as b
    join (select market_id, max(bar_date) as bar_date from rpt_market_brief_daily group by market_id) as newest
        on newest.market_id = b.market_id and newest.bar_date = b.bar_date
    where list_contains(?, b.market_id)
"""

_CLAIMS: Final = """
    select v.claim_id, v.definition_id, v.market_id, v.side, v.claimed_rank, v.window_days, v.as_of_at, v.bar_at,
           v.value, v.actual_rank, v.actual_event_rank, v.window_bars, v.coverage_ratio, v.holds, v.holds_by,
           v.larger_events, v.verdict_sentence, c.source, c.published_on, c.event_from, c.event_to, c.note
    from fct_claim_verdicts as v
    join dim_claims as c on c.claim_id = v.claim_id
    order by c.published_on nulls last, c.claimed_rank desc, v.claim_id, v.definition_id
"""

_REVISIONS: Final = """
    select definition_id, market_id, side, bar_at, old_value, new_value, old_rank, new_rank, old_event_rank,
           new_event_rank, cause, source_keys, previous_published_at, published_at
    from fct_spike_rank_revisions
    order by published_at desc, definition_id, market_id, side, bar_at desc
    limit 50
"""
