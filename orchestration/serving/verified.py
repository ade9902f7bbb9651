"""The published marts against what they were made of: their own counts and checksums, and the raw zone.

Belongs here: what differs. Does not: the raw zone against its receipts (`ingestion.raw.verify`), opening files.

The daily flow is computed anew from raw files by a sum of its own, without dbt, in doubles: an agreement to a
billionth means that the published numbers are those of the files. It covers days whose bars come from trades or from
klines alone; days of both, and those of APIs and feeds, are counted as not compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from orchestration.warehouse.publish.parquet import LATEST, SERVING
from orchestration.warehouse.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from ingestion.raw.store import ObjectStore

_TOLERANCE: Final = 1e-9
_INTERVALS: Final = {1: "1h", 4: "4h", 24: "1d"}
_DAYS: Final = """
    select daily.market_id, daily.bar_date, daily.flow_source, daily.source_bar_hours, daily.coverage_ratio,
        daily.net_taker_usd, daily.volume_usd, markets.contract_type, markets.contract_size
    from published.fct_net_taker_volume_daily as daily
    inner join published.dim_markets as markets on daily.market_id = markets.market_id
    where markets.contract_type <> 'aggregate'
    order by daily.market_id, daily.bar_date
"""


@dataclass(frozen=True)
class MartFault:
    """One thing that is wrong. `where`: a table, a file, or a market and its day."""

    where: str
    what: str
    remedy: str


@dataclass(frozen=True)
class MartVerdict:
    """`days`: daily bars computed anew; `not_compared`: those that cannot be so."""

    tables: int
    days: int
    not_compared: int
    faults: tuple[MartFault, ...]


_PUBLISH_AGAIN: Final = "`taker run` publishes them anew"
_BUILD_AGAIN: Final = "`taker run --full-refresh` builds and publishes them anew"


def verify_marts(
    connection: duckdb.DuckDBPyConnection, store: ObjectStore, index: pa.Table, trades_dataset: str
) -> MartVerdict:
    """`connection`: with the published file attached as `published`, and able to read the raw zone."""
    counts = connection.execute("select table_name, row_count from published.publication_tables").fetchall()
    faults = [*_differing_counts(connection, counts), *_differing_files(store)]
    days = connection.execute(_DAYS).fetchall()
    due = {(row[0], row[1]): row for row in days}
    found = _flow_of_raw(connection, store, index, days, trades_dataset)
    for (market_id, day), (net, volume) in sorted(found.items()):
        row = due[market_id, day]
        published_net, published_volume = float(row[5]), float(row[6])
        allowed = _TOLERANCE * max(abs(published_volume), volume) + 1e-6
        if abs(net - published_net) > allowed or abs(volume - published_volume) > allowed:
            what = (
                f"net taker volume {published_net:,.2f} USD of {published_volume:,.2f} is published, and the raw files "
                f"give {net:,.2f} of {volume:,.2f}"
            )
            faults.append(MartFault(f"{market_id} {day}", what, _BUILD_AGAIN))
    return MartVerdict(len(counts), len(found), len(days) - len(found), tuple(faults))


def _differing_counts(connection: duckdb.DuckDBPyConnection, counts: Sequence[tuple[str, int]]) -> list[MartFault]:
    faults = []
    for name, stated in counts:
        (rows,) = connection.execute(f"select count(*) from published.{identifier(name)}").fetchone() or (None,)
        if rows != stated:
            faults.append(MartFault(name, f"has {rows:,} rows, and was published with {stated:,}", _PUBLISH_AGAIN))
    return faults


def _differing_files(store: ObjectStore) -> list[MartFault]:
    """The Parquet files of the latest version, against the checksums of its manifest."""
    payload = store.get_bytes(LATEST)
    if payload is None:
        return [MartFault(LATEST, "is missing", _PUBLISH_AGAIN)]
    try:
        marts: dict[str, Any] = json.loads(payload)["marts"]
        stated = {f"{SERVING}/{mart['file']}": str(mart["sha256"]) for mart in marts.values()}
    except (ValueError, KeyError, TypeError):
        return [MartFault(LATEST, "cannot be read", _PUBLISH_AGAIN)]
    found = {key: store.sha256(key) for key in stated}
    return [
        MartFault(key, "is missing" if found[key] is None else "has other bytes than were published", _PUBLISH_AGAIN)
        for key in stated
        if found[key] != stated[key]
    ]


def _flow_of_raw(
    connection: duckdb.DuckDBPyConnection,
    store: ObjectStore,
    index: pa.Table,
    days: Sequence[tuple[Any, ...]],
    trades_dataset: str,
) -> dict[tuple[str, date], tuple[float, float]]:
    """Net and total USD of each day whose bars come from trades or klines alone, summed from the raw files."""
    files = _files(store, index)
    by_source: dict[tuple[str, str, str, str, float], set[date]] = {}
    for market_id, day, source, hours, coverage, _, _, contract_type, size in days:
        if source == "trades":
            other = "trades" if trades_dataset == "aggTrades" else "aggTrades"
            dataset = trades_dataset if any(key[:2] == (trades_dataset, market_id) for key in files) else other
            interval = ""
        elif source == "klines" and coverage == 1 and hours in _INTERVALS:
            dataset, interval = "klines", _INTERVALS[hours]
        else:
            continue
        by_source.setdefault((market_id, dataset, interval, contract_type, float(size)), set()).add(day)
    found: dict[tuple[str, date], tuple[float, float]] = {}
    for (market_id, dataset, interval, contract_type, size), wanted in by_source.items():
        read = {day: key for day in sorted(wanted) if (key := files.get((dataset, market_id, interval, day)))}
        if read:
            query = _flow_query(dataset, contract_type, size, read)
            rows = connection.execute(query).fetchall()
            found |= {(market_id, day): (net, volume) for day, net, volume in rows if day in wanted}
        # A published day without a file is one of nothing.
        found |= {(market_id, day): (0.0, 0.0) for day in wanted if (market_id, day) not in found}
    return found


def _files(store: ObjectStore, index: pa.Table) -> dict[tuple[str, str, str, date], str]:
    """Where the rows of each stored day are, by dataset, market and interval."""
    columns = ("dataset", "market_id", "interval", "day", "status", "receipt_key")
    rows = zip(*(index[name].to_pylist() for name in columns), strict=True)
    return {
        (dataset, market_id, interval, day): store.url(f"{key.rpartition('/')[0]}/data.parquet")
        for dataset, market_id, interval, day, status, key in rows
        if status == "stored" and dataset in ("klines", "aggTrades", "trades")
    }


def _files_of(days: Mapping[date, str]) -> str:
    return f"read_parquet([{', '.join(map(literal, sorted(set(days.values()))))}], hive_partitioning = true)"


def _trades_of(days: Mapping[date, str]) -> str:
    """The trades of these days. Of months that days were merged into, these days alone: another day of such a month
    may have an object of its own since."""
    of_months = {day: file for day, file in days.items() if "/month=" in file}
    own = {day: file for day, file in days.items() if day not in of_months}
    selects = [f"select * from {_files_of(own)}"] if own else []
    if of_months:
        meant = ", ".join(f"date '{day}'" for day in of_months)
        selects.append(f'select * from {_files_of(of_months)} where "date" in ({meant})')
    return f"({' union all by name '.join(selects)})"


def _flow_query(dataset: str, contract_type: str, size: float, days: Mapping[date, str]) -> str:
    is_inverse = contract_type == "inverse"
    source = _files_of(days) if dataset == "klines" else _trades_of(days)
    if dataset == "klines":
        volume = f"volume::double * {size!r}" if is_inverse else "quote_volume::double"
        bought = f"taker_buy_volume::double * {size!r}" if is_inverse else "taker_buy_quote_volume::double"
        day = "(opened_at at time zone 'UTC')::date"
        return f"select {day}, sum(2 * {bought} - {volume}), sum({volume}) from {source} group by all"
    usd = f"quantity::double * {size!r}" + ("" if is_inverse else " * price::double")
    side = "case when is_buyer_maker then -1 else 1 end"
    return f'select "date"::date, sum({side} * {usd}), sum({usd}) from {source} group by all'
