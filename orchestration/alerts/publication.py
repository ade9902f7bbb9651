"""What the published marts hold that deserves an alert: spikes, liquidations, and each market's newest day.

Belongs here: queries to the published marts, with facts as their result; they are open only while these run. Does
not: what lasts rather than happens at a bar (`orchestration.alerts.conditions`), what was recorded already (`outbox`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from ingestion.venues import is_simulated
from orchestration.alerts.facts import RECENT, Fact, Found, Kind, covered, labelled, moment, unjudged, utc
from orchestration.config.alerts import AlertConfig
from orchestration.serving.formats import amount
from orchestration.serving.published import closest, connect
from orchestration.serving.staleness import newest_days
from orchestration.warehouse.sql import literal

if TYPE_CHECKING:
    import duckdb

SPIKES: Final = "fct_taker_spike_ranks"
LIQUIDATIONS: Final = "fct_liquidations_rolling_24h"
_DEFINITIONS: Final = "dim_spike_definitions"
_BRIEFS: Final = "rpt_market_brief_daily"

# Totals of 24 hours: two that are less than that apart share some orders.
_ROLLING: Final = timedelta(hours=24)
# A percentile of less history is meaningless. Hours received in part would make the history look quieter than it was.
HISTORY_HOURS_NEEDED: Final = 30 * 24
_HISTORY_DAYS: Final = 365
_HISTORY_COVERAGE: Final = 0.9
_UNITS: Final = {"usd": " USD", "base": " in base", "sell_ratio": ""}


@dataclass(frozen=True)
class Newest:
    """The newest published day of a market, None without one, and the headline of its brief."""

    market_id: str
    day: date | None
    headline: str | None


@dataclass(frozen=True)
class Read:
    """What one reading of a publication found. `newest`: of each configured market."""

    found: tuple[Found, ...]
    newest: tuple[Newest, ...]


def read(config: AlertConfig, now: datetime) -> Read:
    """Query the published marts. Raises NothingPublished when there are none, duckdb.Error when they cannot be read."""
    with connect(config.marts) as connection:
        columns: dict[str, set[str]] = {}
        for table, column in connection.execute("select table_name, column_name from duckdb_columns()").fetchall():
            columns.setdefault(table, set()).add(column)
        found = (_spikes(connection, columns, config, now), _liquidations(connection, columns, config, now))
        return Read(found, _newest(connection, columns, config))


def _spikes(
    connection: duckdb.DuckDBPyConnection, columns: Mapping[str, set[str]], config: AlertConfig, now: datetime
) -> Found:
    if not {SPIKES, _DEFINITIONS} <= set(columns):
        return unjudged(Kind.SPIKE, f"the publication has no {SPIKES}; publish anew with `taker run`")
    rows = _records(connection, f"from {_DEFINITIONS} order by definition_id")
    names = [row["definition_id"] for row in rows]
    wanted = config.definition
    definition = next((row for row in rows if row["definition_id"] == wanted), None)
    if definition is None:
        close = closest(wanted, names)
        hint = f"did you mean `{close}`?" if close else f"published are {', '.join(names)}"
        return unjudged(
            Kind.SPIKE,
            f"TAKER_ALERT_DEFINITION: `{wanted}` is no definition of the published marts; {hint}",
            is_fault=True,
        )
    since = now - RECENT
    records = _records(
        connection,
        _SPIKES.format(
            spikes=SPIKES,
            definition=literal(wanted),
            rank=config.rank,
            hours=int(definition["decluster_hours"]),
            # The most extreme comes first: the smallest net, the largest sell ratio.
            sign="<>" if definition["unit"] == "sell_ratio" else "=",
            finished="not is_running" if "is_running" in columns[SPIKES] else "true",
            provisional="is_provisional" if "is_provisional" in columns[SPIKES] else "false",
            since=_timestamp(since),
            headline=_headline_of("candidates.market_id", "cast(candidates.bar_at as date)", columns),
        ),
    )
    facts = tuple(_spike(row, definition) for row in records if row["is_recent"])
    older = len(records) - len(facts)
    examined = f"ranks 1 to {config.rank} under {wanted}, of bars since {moment(since)}"
    history = f"; {older} earlier ones are history and are not sent" if older else ""
    return Found(Kind.SPIKE, facts, examined + history)


# Of the bars that may be a spike of their own, those that rank high enough. A bar with a more extreme one nearby never
# is; for the others that is known only later, and an alert cannot wait for it.
_SPIKES: Final = """
    with ranked as (
        select *, {provisional} as provisional,
               case when (side = 'bearish') {sign} true then value else -value end as pressure
        from {spikes}
        where definition_id = {definition} and {finished}
    ),
    compared as (
        select *, min(pressure) over (
            partition by market_id, side order by bar_at
            range between interval {hours} hours preceding and interval {hours} hours following
        ) as lowest_nearby
        from ranked
    ),
    candidates as (
        select *, bar_at >= {since} as is_recent
        from compared
        where (is_event and event_rank <= {rank})
            or (is_event is null and spike_rank <= {rank} and pressure = lowest_nearby)
    )
    select market_id, side, bar_at, value, spike_rank, event_rank, is_event, window_bars, coverage_ratio,
           bar_coverage_ratio, provisional, is_recent, {headline} as headline
    from candidates
    order by bar_at, market_id, side
"""


def _spike(row: Mapping[str, Any], definition: Mapping[str, Any]) -> Fact:
    market, side, at, name = row["market_id"], row["side"], row["bar_at"], definition["definition_id"]
    hours = definition["decluster_hours"]
    named = labelled(market, is_simulated=is_simulated(market))
    window = f"{definition['window_days']} days to it"
    if row["is_event"]:
        ranked = f"rank {row['event_rank']} among the events of the {window}"
        alone = f"It is an event of its own: no bar within {hours} h is more extreme. As a bar it "
        alone += f"ranks {row['spike_rank']} of {row['window_bars']}."
    else:
        ranked = f"rank {row['spike_rank']} of {row['window_bars']} bars in the {window}"
        alone = f"Whether it is an event of its own is not known yet: that takes {hours} h more."
    what = "taker sell ratio" if definition["unit"] == "sell_ratio" else "net taker volume"
    bars = definition["smoothing_bars"]
    smoothed = f", mean of {bars} bars" if bars > 1 else ""
    grain = {"1d": "UTC day of", "4h": "4 h from", "1h": "hour from"}.get(definition["grain"], "bar from")
    start = f"{at:%Y-%m-%d}" if definition["grain"] == "1d" else moment(at)
    sentences = [
        f"{named}: {side} spike under {name}, {ranked}.",
        f"{what} {amount(row['value'], definition['unit'])}{_UNITS.get(definition['unit'], '')} "
        f"in the {grain} {start}{smoothed}; coverage of the bar {covered(row['bar_coverage_ratio'])}, "
        f"of its window {covered(row['coverage_ratio'])}.",
        alone,
    ]
    if row["provisional"]:
        sentences.append("Provisional: the venue's archive does not have this bar yet, and may change it.")
    text = " ".join([sentences[0], sentences[1][0].upper() + sentences[1][1:], *sentences[2:]])
    if row["headline"]:
        text = f"{text}\n{row['headline']}"
    series = f"{Kind.SPIKE}:{name}:{market}:{side}"
    subject = f"{named}: {side} spike under {name}, {start}"
    begins = utc(at)
    return Fact(Kind.SPIKE, series, f"{series}:{at:%Y-%m-%dT%H}", subject, text, begins, begins, timedelta(hours=hours))


def _liquidations(
    connection: duckdb.DuckDBPyConnection, columns: Mapping[str, set[str]], config: AlertConfig, now: datetime
) -> Found:
    if LIQUIDATIONS not in columns:
        return unjudged(Kind.LIQUIDATIONS, f"the publication has no {LIQUIDATIONS}")
    since = now - RECENT
    markets = ", ".join(map(literal, config.market_ids))
    shape = {
        "liquidations": LIQUIDATIONS,
        # Of hundreds of symbols some are always at their extreme: only the configured markets, and the sum of all.
        "chosen": f"market_id in ({markets}) or (venue in ('all', 'simulated_all') and market_id like '%:ALL')",
        "venue_set": "venue_set" if "venue_set" in columns[LIQUIDATIONS] else "null",
        "symbols": "subscribed_symbol_count"
        if "subscribed_symbol_count" in columns[LIQUIDATIONS]
        else "cast(null as bigint)",
        "coverage": _HISTORY_COVERAGE,
        "days": _HISTORY_DAYS,
        "since": _timestamp(since),
        "now": _timestamp(now),
        "headline": _headline_of("recent.market_id", "cast(recent.as_of_at as date)", columns),
    }
    rows = _records(connection, _LIQUIDATIONS.format(**shape))
    facts: list[Fact] = []
    lacking = []
    for market, of_market in groupby(rows, key=lambda row: row["market_id"]):
        judged = list(of_market)
        if judged[-1]["history_hours"] < HISTORY_HOURS_NEEDED:
            have = judged[-1]["history_hours"]
            lacking.append(f"{market} has {have} of the {HISTORY_HOURS_NEEDED} hours of history it needs")
        facts += _episodes(judged, config.liquidation_percentile)
    if not rows:
        lacking.append(f"no configured market has any since {moment(since)}")
    examined = f"24 h totals above the percentile {config.liquidation_percentile:g} of their own history"
    return Found(Kind.LIQUIDATIONS, tuple(facts), "; ".join([examined, *lacking]))


# Each recent total beside those of the year before it: none that shares an order with it, none received only in part,
# and for a sum only those over the same venues and over as many symbols (NULL: over every symbol).
_LIQUIDATIONS: Final = """
    with chosen as (
        select *, {venue_set} as venues, {symbols} as symbols from {liquidations} where {chosen}
    ),
    recent as (
        select * from chosen where as_of_at >= {since} and as_of_at <= {now}
    )
    select recent.market_id, recent.as_of_at, recent.total_usd, recent.long_usd, recent.short_usd, recent.order_count,
           recent.unvalued_order_count,
           recent.coverage_ratio, recent.is_lower_bound, recent.liquidation_source, recent.venues, recent.symbols,
           count(history.as_of_at) as history_hours,
           count(*) filter (where history.total_usd < recent.total_usd) as hours_below,
           min(history.as_of_at) as history_since,
           {headline} as headline
    from recent
    left join chosen as history
        on recent.market_id = history.market_id
        and recent.venues is not distinct from history.venues
        and recent.symbols is not distinct from history.symbols
        and history.coverage_ratio >= {coverage}
        and history.as_of_at <= recent.as_of_at - interval 24 hours
        and history.as_of_at > recent.as_of_at - interval {days} days
    group by all
    order by recent.market_id, recent.as_of_at
"""


def _episodes(rows: Sequence[Mapping[str, Any]], percentile: float) -> list[Fact]:
    """One fact for each stretch of totals above the percentile, described by its largest."""
    episodes: list[list[Mapping[str, Any]]] = []
    for row in rows:
        enough = row["history_hours"] >= HISTORY_HOURS_NEEDED
        if not enough or row["hours_below"] < percentile * row["history_hours"]:
            continue
        if episodes and row["as_of_at"] - episodes[-1][-1]["as_of_at"] <= _ROLLING:
            episodes[-1].append(row)
        else:
            episodes.append([row])
    return [_liquidation(episode) for episode in episodes]


def _liquidation(episode: Sequence[Mapping[str, Any]]) -> Fact:
    largest = max(episode, key=lambda row: row["total_usd"])
    market = largest["market_id"]
    named = labelled(market, is_simulated=is_simulated(market))
    total, longs, shorts = (f"{largest[name] / 1_000_000:,.1f} M" for name in ("total_usd", "long_usd", "short_usd"))
    bound = "at least " if largest["is_lower_bound"] else ""
    share = largest["hours_below"] / largest["history_hours"]
    # A symbol has one venue, which is part of its name.
    is_sum = market.endswith(":ALL")
    venues = f" on {largest['venues']}" if largest["venues"] and is_sum else ""
    if is_sum and largest["symbols"] is not None:
        venues += f", of {largest['symbols']:,} subscribed symbol{'' if largest['symbols'] == 1 else 's'}"
    unvalued = f", {largest['unvalued_order_count']:,} of unknown value" if largest["unvalued_order_count"] else ""
    text = (
        f"{named}: liquidations of the 24 h to {moment(largest['as_of_at'])} are {bound}{total} USD "
        f"({longs} long, {shorts} short; {largest['order_count']:,} orders{unvalued}{venues}), more than "
        f"{covered(share)} of the {largest['history_hours']:,} hourly 24 h totals since "
        f"{largest['history_since']:%Y-%m-%d}. Coverage {covered(largest['coverage_ratio'])}, "
        f"source {largest['liquidation_source']}."
    )
    if largest["headline"]:
        text = f"{text}\n{largest['headline']}"
    series = f"{Kind.LIQUIDATIONS}:{market}"
    first, last = episode[0]["as_of_at"], episode[-1]["as_of_at"]
    return Fact(
        Kind.LIQUIDATIONS,
        series,
        f"{series}:{first:%Y-%m-%dT%H}",
        f"{named}: liquidations of {bound}{total} USD in 24 h, {moment(largest['as_of_at'])}",
        text,
        utc(first),
        utc(last),
        _ROLLING,
    )


def _newest(
    connection: duckdb.DuckDBPyConnection, columns: Mapping[str, set[str]], config: AlertConfig
) -> tuple[Newest, ...]:
    found = []
    for market, day in newest_days(connection, config.market_ids).items():
        selected = "null" if day is None else _headline_of(literal(market), f"date '{day}'", columns)
        ((headline,),) = connection.execute(f"select {selected}").fetchall()
        found.append(Newest(market, day, headline))
    return tuple(found)


def _headline_of(market: str, day: str, columns: Mapping[str, set[str]]) -> str:
    """SQL of the headline of that market's and day's brief, NULL without one."""
    if _BRIEFS not in columns:
        return "null"
    return f"(select any_value(headline) from {_BRIEFS} as b where b.market_id = {market} and b.bar_date = {day})"


def _records(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    done = connection.execute(sql)
    names = [column[0] for column in done.description or ()]
    return [dict(zip(names, row, strict=True)) for row in done.fetchall()]


def _timestamp(at: datetime) -> str:
    return f"timestamp '{utc(at):%Y-%m-%d %H:%M:%S}'"
