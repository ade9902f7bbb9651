"""The answer, read from what was published: latest day of each market, and the state of the raw zone.

Belongs here: questions to serving/marts.duckdb and to the receipt index, as plain facts. Imports no dagster, so that
`taker sql` and `taker status` answer at once. Does not: how facts are printed (`orchestration.cli.terminal`).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ingestion.domain.datasets import ARCHIVED
from orchestration.config.settings import Settings
from orchestration.serving.defects import Unused, unused

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


_RULES: Final = Path(__file__).resolve().parents[2] / "dbt_project" / "macros" / "sides.sql"


class NothingPublished(Exception):
    """There are no published marts yet. The text names the commands that make them."""


class QueryFailed(Exception):
    """The database refused a query; the text is its reason."""


class DayNotPublished(ValueError):
    """The published marts do not reach that day. The text says which days they hold."""


class MarketNotPublished(ValueError):
    """No published market, or more than one, is meant. The text lists the choices."""


@dataclass(frozen=True)
class Rank:
    """The most extreme bar of the latest day under one definition.

    `side`: that of the value (see docs/metrics.md); None where it is balanced and has no rank.
    `rank` and `event_rank` are None where the definition gives none: too little coverage, no event, or not known yet.
    `window_bars`: how many bars the rank was taken among. `value` in the definition's unit.
    """

    definition_id: str
    unit: str
    side: str | None
    bar_at: datetime
    value: Decimal
    rank: int | None
    window_bars: int
    percentile: float | None
    event_rank: int | None
    is_event: bool | None


@dataclass(frozen=True)
class RunningDay:
    """A day that has not ended: what is known of it so far, always provisional. `coverage_ratio`: share of 24 hours."""

    trade_date: date
    net_taker_usd: Decimal
    volume_usd: Decimal
    flow_source: str
    coverage_ratio: float


@dataclass(frozen=True)
class MarketDay:
    """The latest ended day of one market, or of a sum over venues. `net_taker_usd` = taker buys − taker sells.

    `headline`: the day in one sentence, from rpt_market_brief_daily. `is_provisional`: not in the archive yet.
    `venue_set`: the venues summed, separated by commas. `running`: the day after it, while it is running.
    """

    market_id: str
    is_simulated: bool
    trade_date: date
    net_taker_usd: Decimal
    volume_usd: Decimal
    taker_sell_ratio: float | None
    sell_dominance_percentile: float | None
    flow_source: str
    coverage_ratio: float
    ranks: tuple[Rank, ...]
    headline: str | None = None
    is_provisional: bool = False
    venue_set: str = ""
    running: RunningDay | None = None


@dataclass(frozen=True)
class Liquidated:
    """What was liquidated in the 24 hours [as_of_at − 24 h, as_of_at), in USD.

    `market_id`: a market, `venue:ALL`, or `all:ALL` for the venues of `venue_set` together. Totals are None when nobody
    listened. `unvalued_order_count` of the orders are in no total. `is_lower_bound`: there may have been more.
    `subscribed_symbol_count`: the total is of so many symbols, where venues must be told each; None: of every symbol.
    """

    market_id: str
    as_of_at: datetime
    long_usd: Decimal | None
    short_usd: Decimal | None
    order_count: int | None
    unvalued_order_count: int | None
    largest_order_usd: Decimal | None
    coverage_ratio: float
    is_lower_bound: bool
    liquidation_source: str
    venue_set: str
    subscribed_symbol_count: int | None = None


@dataclass(frozen=True)
class SeriesStatus:
    """One dataset of one market in the raw zone, in UTC days.

    `missing`: between first and last, never asked for or failed. `absent`: the venue has no file. `refused`: it has one
    that cannot be used, and nothing was found in its place. `partial`: stored, with fewer rows than the day should have
    or with gaps in its ids. `corrected`: replaced since first stored. `defects`: what was published and not used as
    published, by kind and reason; the counts before it say how many rows, files and days that is.
    """

    dataset: str
    market_id: str
    interval: str
    first_day: date
    last_day: date
    stored: int
    missing: int
    absent: int
    partial: int
    corrected: int
    refused: int = 0
    quarantined_rows: int = 0
    refused_files: int = 0
    replaced_files: int = 0
    implausible_days: int = 0
    defects: tuple[Unused, ...] = ()


def connect(serving: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the published marts."""
    import duckdb

    if not serving.is_file():
        raise NothingPublished(
            f"nothing is published at {serving}; run `taker run`, or `taker demo` for a first look (then add --demo)"
        )
    connection = duckdb.connect(str(serving), read_only=True)
    connection.execute("set timezone = 'UTC'")
    connection.execute("set enable_external_access = false")  # a query reads the marts, and no other file
    return connection


def query(serving: Path, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of a query over the published marts."""
    import duckdb

    with connect(serving) as connection:
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1:
                raise QueryFailed("write one query: " + ("there is none" if not statements else "there are several"))
            done = connection.execute(statements[0])
            return [column[0] for column in done.description or ()], done.fetchall()
        except duckdb.Error as error:
            # The lines after the first only draw an arrow below the query.
            raise QueryFailed(str(error).strip().splitlines()[0]) from error


def latest_days(serving: Path, markets: Sequence[str] | None = None) -> list[MarketDay]:
    """The latest ended day of each market (default: all), with its ranks, and what is known of a day since.

    With markets, the sums over venues that one of them is part of are among the answers.
    """
    with connect(serving) as connection:
        rows = connection.execute(_LATEST_DAYS).fetchall()
        running = {name: RunningDay(*day) for name, *day in connection.execute(_RUNNING_DAYS).fetchall()}
        wanted = set(markets) if markets is not None else {row[0] for row in rows}
        if markets is not None:
            parts = connection.execute(_SUMS).fetchall()
            wanted |= {total for total, part in parts if part in wanted}
        return [
            MarketDay(*(*row[:-3], _ranks(connection, row[0], row[2]), *row[-3:], running.get(row[0])))
            for row in rows
            if row[0] in wanted
        ]


def _ranks(connection: duckdb.DuckDBPyConnection, market_id: str, day: date) -> tuple[Rank, ...]:
    sql = _RANKS_OF_DAY.format(
        side=rule("side_of", "d.unit", "r.value"), leaning=rule("leaning", "d.unit", "cast(r.value as double)")
    )
    return tuple(Rank(*row) for row in connection.execute(sql, [market_id, day]).fetchall())


def rule(macro: str, *arguments: str) -> str:
    """The SQL of a rule that dbt builds the marts with; the file uses nothing of dbt on purpose."""
    import jinja2

    macros = vars(jinja2.Environment(autoescape=False).from_string(_RULES.read_text()).module)
    return str(macros[macro](*arguments))


_LATEST_DAYS = """
    select d.market_id, m.is_simulated, d.trade_date, d.net_taker_usd, d.volume_usd, d.taker_sell_ratio,
           p.sell_dominance_percentile, d.flow_source, d.coverage_ratio, b.headline, d.is_provisional, d.venue_set
    from fct_net_taker_volume_daily as d
    join dim_markets as m on m.market_id = d.market_id
    left join fct_taker_dominance_daily as p on p.market_id = d.market_id and p.trade_date = d.trade_date
    left join rpt_market_brief_daily as b on b.market_id = d.market_id and b.brief_date = d.trade_date
    where not d.is_running and d.trade_date = (
        select max(trade_date) from fct_net_taker_volume_daily as l where l.market_id = d.market_id and not l.is_running
    )
    order by d.market_id
"""

_RUNNING_DAYS = """
    select market_id, trade_date, net_taker_usd, volume_usd, flow_source, coverage_ratio
    from fct_net_taker_volume_daily
    where is_running
    order by market_id, trade_date
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
        select r.*, d.unit, {side} as value_side, abs({leaning}) as distance
        from fct_taker_spike_ranks as r
        join dim_spike_definitions as d on d.definition_id = r.definition_id
        where r.market_id = ? and cast(r.bar_at as date) = ?
    )
    select definition_id, unit, case when spike_rank is null then value_side else side end as side, bar_at, value,
           spike_rank, window_bars, percentile, event_rank, is_event
    from bars
    where value_side is null or side = value_side
    qualify row_number() over (
        partition by definition_id
        order by spike_rank nulls last, percentile desc nulls last, distance desc, bar_at, side
    ) = 1
    order by definition_id
"""


def last_liquidations(serving: Path, markets: Sequence[str] | None = None) -> list[Liquidated]:
    """The newest 24 hours: of all venues, of each venue, and of each market (default: all that were asked for by name).

    Only those as new as the published flow; none where this publication knows of no liquidations.
    """
    import duckdb

    with connect(serving) as connection:
        try:
            rows = [Liquidated(*row) for row in connection.execute(_LAST_LIQUIDATIONS).fetchall()]
        except duckdb.Error:  # a publication made before there was such a mart
            return []
    return [row for row in rows if markets is None or row.market_id.endswith(":ALL") or row.market_id in markets]


_LAST_LIQUIDATIONS = """
    select l.market_id, l.as_of_at, l.long_usd, l.short_usd, l.order_count, l.unvalued_order_count,
           l.largest_order_usd, l.coverage_ratio, l.is_lower_bound, l.liquidation_source, l.venue_set,
           l.subscribed_symbol_count
    from fct_liquidations_rolling_24h as l
    left join dim_markets as m on m.market_id = l.market_id
    where (ends_with(l.market_id, ':ALL') or m.is_ingested)
      -- Of a market's first day nothing has ended: then no liquidations are too old.
      and coalesce(l.as_of_at > (select max(trade_date) from fct_net_taker_volume_daily where not is_running), true)
    qualify row_number() over (partition by l.market_id order by l.as_of_at desc) = 1
    order by l.venue not in ('all', 'simulated_all'), not ends_with(l.market_id, ':ALL'), l.market_id
"""


def of_symbols(count: int | None) -> str:
    """What follows a total that is not of every symbol, since the venue must be told each. Empty for None."""
    if count is None:
        return ""
    return f" ({count:,} symbol{'' if count == 1 else 's'} heard where each must be asked for)"


def resolve_market(written: str | None, published: Sequence[str]) -> str:
    """The published market that was meant: by its id, by its symbol where only one venue has it, or the only one."""
    choices = ", ".join(published)
    if written is None:
        if len(published) == 1:
            return published[0]
        raise MarketNotPublished(f"which market? published are: {choices or 'none'}")
    by_id = [market for market in published if market.lower() == written.lower()]
    found = by_id or [market for market in published if market.partition(":")[2].lower() == written.lower()]
    if len(found) == 1:
        return found[0]
    if found:
        raise MarketNotPublished(f"`{written}` may be {' or '.join(found)}; name the market with its venue")
    names = {name.lower(): name for market in published for name in (market, market.partition(":")[2])}
    close = closest(written.lower(), list(names))
    hint = f"did you mean `{names[close]}`?" if close else f"published are: {choices or 'none'}"
    raise MarketNotPublished(f"the market `{written}` is not published; {hint}")


def closest(word: str, words: Sequence[str]) -> str | None:
    """The one of `words` that a misspelt `word` was probably meant to be."""
    found = difflib.get_close_matches(word, words, n=1, cutoff=0.75)
    return found[0] if found else None


def briefs(serving: Path, day: date | None = None, market: str | None = None) -> list[dict[str, Any]]:
    """Rows of rpt_market_brief_daily: of `day`, by default each market's latest, and of `market`, by default all.

    Raises MarketNotPublished, and DayNotPublished when there is none of that day.
    """
    import duckdb

    with connect(serving) as connection:
        try:
            spans = connection.execute(_BRIEF_SPANS).fetchall()
            markets = (
                [name for name, *_ in spans] if market is None else [resolve_market(market, [s[0] for s in spans])]
            )
            # Literals: to bind parameters, DuckDB imports pandas, which takes longer than the answer.
            wanted = {"markets": ", ".join(map(literal, markets)) or "null", "day": f"'{day}'" if day else "null"}
            done = connection.execute(_BRIEFS.format(**wanted))
            names = [column[0] for column in done.description or ()]
            found = [dict(zip(names, row, strict=True)) for row in done.fetchall()]
        except duckdb.CatalogException as error:
            raise outdated(error) from error
    if found or day is None:
        return found
    days = "; ".join(f"{name} from {first} to {last}" for name, first, last in spans if name in markets)
    raise DayNotPublished(f"there is no brief of {day}; published are: {days}")


_BRIEF_SPANS = """
    select market_id, min(brief_date), max(brief_date) from rpt_market_brief_daily group by market_id order by market_id
"""
_BRIEFS = """
    from rpt_market_brief_daily as b
    where market_id in ({markets}) and brief_date = coalesce(
        cast({day} as date),
        (select max(brief_date) from rpt_market_brief_daily as l where l.market_id = b.market_id)
    )
    order by market_id
"""


def literal(text: str) -> str:
    """The text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def outdated(error: Exception) -> QueryFailed:
    """What a publication lacks that was made before this question could be asked."""
    reason = str(error).strip().splitlines()[0]
    return QueryFailed(
        f"the published marts do not hold what this needs ({reason}); publish them anew with `taker run`"
    )


def unvalued(serving: Path, markets: Sequence[str]) -> list[str]:
    """Those of `markets` of which nobody knows what a contract is worth, one sentence each."""
    with connect(serving) as connection:
        rows = connection.execute(_UNVALUED).fetchall()
    return [
        f"{market_id}: its trades are kept and not valued, since nobody knows what one contract is worth; let the "
        "venue be asked (TAKER_REST=on) or add the market to dbt_project/seeds/markets.csv, then run again"
        for (market_id,) in rows
        if market_id in markets
    ]


_UNVALUED = "select market_id from dim_markets where is_ingested and contract_size is null order by market_id"


def disagreements(serving: Path, markets: Sequence[str] | None = None, limit: int = 10) -> list[str]:
    """Newest days on which sources contradict each other, or trades are incomplete or can be no market's."""
    with connect(serving) as connection:
        rows = connection.execute(_DISAGREEMENTS).fetchall()
    wanted = [row for row in rows if markets is None or row[0] in markets]
    shown = [_disagreement(*row) for row in wanted[:limit]]
    return (
        [*shown, f"… and {len(wanted) - limit} more in fct_flow_reconciliation_daily"] if len(wanted) > limit else shown
    )


_DISAGREEMENTS = """
    select r.market_id, r.trade_date, r.verdict, r.difference_usd, r.klines_volume_usd, d.flow_source,
           r.interval_verdict, r.interval_difference_usd, r.kline_interval, r.coarser_interval,
           r.rest_verdict, r.rest_difference_usd, r.rest_hours, r.defect_reason
    from fct_flow_reconciliation_daily as r
    left join fct_net_taker_volume_daily as d on d.market_id = r.market_id and d.trade_date = r.trade_date
    where r.verdict in ('trades_incomplete', 'trades_implausible', 'conflict')
        or r.interval_verdict = 'conflict'
        or r.rest_verdict = 'conflict'
    order by r.trade_date desc, r.market_id
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
    said = []
    if verdict == "trades_implausible":
        instead = f"the bars come from {flow_source}" if flow_source else "the day has no bar"
        said.append(f"trades implausible and not used ({defect_reason or 'no reason recorded'}), {instead}")
    if verdict in ("trades_incomplete", "conflict"):
        share = f" ({difference / klines:+.2%} of volume)" if difference is not None and klines else ""
        said.append(f"{verdict.replace('_', ' ')}{share}, the bars come from {flow_source}")
    if interval_verdict == "conflict" and interval_difference is not None:
        said.append(f"the venue's {finest} and {coarser} klines differ by {interval_difference:,.0f} USD")
    if rest_verdict == "conflict" and rest_difference is not None:
        said.append(f"the provisional {rest_hours} hours and the archive's differ by {rest_difference:,.0f} USD")
    return f"{market_id} {day}: {'; '.join(said)}"


def raw_status(settings: Settings) -> list[SeriesStatus]:
    """Each dataset and market of the raw zone, from the receipt index as of the last build."""
    from ingestion.raw.store import open_store
    from ingestion.raw.zone import RawZone

    store = open_store(settings.storage_url, settings.s3_options() if settings.is_s3 else None)
    zone = RawZone(store)
    index = zone.index()
    if index.num_rows == 0:
        raise NothingPublished(
            f"nothing is indexed in {settings.raw_url}; run `taker run`, or `taker demo` for a first look"
        )
    incomplete = _incomplete_days(settings.serving_path)
    return _series(index, zone.defects(), incomplete)


def _series(index: pa.Table, defects: pa.Table, incomplete: set[tuple[str, date]]) -> list[SeriesStatus]:
    by_series: dict[tuple[str, str, str], list[Unused]] = {}
    for one in unused(defects, by_reason=True):
        by_series.setdefault((one.dataset, one.market_id, one.interval), []).append(one)
    series: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in index.select(_STATUS_COLUMNS).to_pylist():
        series.setdefault((row["dataset"], row["market_id"], row["interval"]), []).append(row)
    found = []
    for (dataset, market_id, interval), rows in sorted(series.items()):
        days = [row["day"] for row in rows]
        stored = [row for row in rows if row["status"] == "stored"]
        of_it = by_series.get((dataset, market_id, interval), [])
        # Of a month that is stored, a day of which no file could be used is without rows.
        refused_days = {day for one in of_it if one.kind == "refused_source" for day in one.days}
        refused = sum(
            row["status"] == "refused" or (row["status"] == "absent" and row["day"] in refused_days) for row in rows
        )
        found.append(
            SeriesStatus(
                dataset,
                market_id,
                interval,
                min(days),
                max(days),
                stored=len(stored),
                # Of what is asked or collected today, a day without is one that the archive had before us.
                missing=(max(days) - min(days)).days + 1 - len(set(days)) if dataset in ARCHIVED else 0,
                absent=len(rows) - len(stored) - refused,
                partial=sum(_is_partial(row, (market_id, row["day"]) in incomplete) for row in stored),
                corrected=sum(row["revision"] > 1 for row in stored),
                refused=refused,
                quarantined_rows=sum(one.rows for one in of_it if one.kind == "quarantined_rows"),
                refused_files=len({key for one in of_it if one.kind == "refused_source" for key in one.files}),
                replaced_files=len({key for one in of_it if one.kind == "replaced_source" for key in one.files}),
                implausible_days=len({day for one in of_it if one.kind == "implausible" for day in one.days}),
                defects=tuple(of_it),
            )
        )
    return found


_STATUS_COLUMNS = ["dataset", "market_id", "interval", "day", "status", "row_count", "id_gaps", "revision"]
_ROWS_PER_DAY = {("klines", "1h"): 24, ("klines", "4h"): 6, ("klines", "1d"): 1, ("metrics", ""): 288}


def _is_partial(row: dict[str, Any], trades_incomplete: bool) -> bool:
    if row["dataset"] in ("aggTrades", "trades"):
        # Ids of single trades have small gaps on clean days (insurance fund, deleveraging); those of aggregates do not.
        return trades_incomplete or (row["dataset"] == "aggTrades" and row["id_gaps"] > 0)
    expected = _ROWS_PER_DAY.get((row["dataset"], row["interval"]))
    return expected is not None and row["row_count"] < expected


def _incomplete_days(serving: Path) -> set[tuple[str, date]]:
    if not serving.is_file():
        return set()
    sql = "select market_id, trade_date from fct_flow_reconciliation_daily where verdict = 'trades_incomplete'"
    return {(market, day) for market, day in query(serving, sql)[1]}


def as_json(value: Any) -> str:
    """Facts as JSON: exact decimals and times as text."""
    return json.dumps(value, default=_plain, indent=1, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, MarketDay | Rank | RunningDay | SeriesStatus | Liquidated):
        return asdict(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)
