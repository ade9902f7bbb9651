"""The state of the raw zone: the days of each dataset and market, from the receipts' index.

Belongs here: counting days by what is stored of them. Does not: what was not used as published
(`orchestration.serving.defects`), how it is printed (`orchestration.cli.render`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion.domain.datasets import ARCHIVED, KLINE_INTERVALS
from orchestration.serving.defects import Unused, unused
from orchestration.serving.published import NothingPublished, PublicationOutdated, connect

if TYPE_CHECKING:
    import pyarrow as pa

    from ingestion.raw.zone import RawZone


@dataclass(frozen=True)
class SeriesStatus:
    """One dataset of one market in the raw zone, in UTC days.

    `missing`: between first and last, never requested, or failed. `absent`: the venue has no file. `refused`: it has
    one that cannot be used, and nothing was found in its place. `partial`: stored, with fewer rows than the day should
    have or with gaps in its ids. `corrected`: replaced since first stored. `damaged`: stored once, and not there any
    more as it was. `defects`: what was published and not used as published, by kind and reason; the counts before it
    are of rows, files and days.
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
    damaged: int = 0
    defects: tuple[Unused, ...] = ()


def raw_status(zone: RawZone, serving: Path, notice: Callable[[str], None]) -> list[SeriesStatus]:
    """Each dataset and market of the raw zone, from the receipts' index as of the last build, and what was lost since.

    `serving`: marts.duckdb, for the days whose trades are incomplete; it may be absent, and where another version has
    written it, `notice` gets the sentence and no day is counted so. Raises NothingPublished for a
    zone without an index.
    """
    index, defects = zone.as_of_now()
    if index.num_rows == 0:
        raise NothingPublished(f"nothing is indexed in {zone.url}; run `taker run`, or `taker demo` for a first look")
    try:
        incomplete = _incomplete_days(serving)
    except PublicationOutdated as error:
        notice(str(error))
        incomplete = set()
    return _series(index, defects, incomplete)


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
        damaged = sum(row["status"] == "damaged" for row in rows)
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
                # Of REST and feed data, a day without is one that the archive had first.
                missing=(max(days) - min(days)).days + 1 - len(set(days)) if dataset in ARCHIVED else 0,
                absent=len(rows) - len(stored) - refused - damaged,
                partial=sum(_is_partial(row, (market_id, row["day"]) in incomplete) for row in stored),
                corrected=sum(row["revision"] > 1 for row in stored),
                refused=refused,
                quarantined_rows=sum(one.rows for one in of_it if one.kind == "quarantined_rows"),
                refused_files=len({key for one in of_it if one.kind == "refused_source" for key in one.files}),
                replaced_files=len({key for one in of_it if one.kind == "replaced_source" for key in one.files}),
                damaged=damaged,
                implausible_days=len({day for one in of_it if one.kind == "implausible" for day in one.days}),
                defects=tuple(of_it),
            )
        )
    return found


_STATUS_COLUMNS = ["dataset", "market_id", "interval", "day", "status", "row_count", "id_gaps", "revision"]
_ROWS_PER_DAY = {**{("klines", name): 24 // hours for name, hours in KLINE_INTERVALS.items()}, ("metrics", ""): 288}


def _is_partial(row: dict[str, Any], trades_incomplete: bool) -> bool:
    if row["dataset"] in ("aggTrades", "trades"):
        # Ids of single trades have small gaps on clean days (insurance fund, deleveraging); those of aggregates do not.
        return trades_incomplete or (row["dataset"] == "aggTrades" and row["id_gaps"] > 0)
    expected = _ROWS_PER_DAY.get((row["dataset"], row["interval"]))
    return expected is not None and row["row_count"] < expected


def _incomplete_days(serving: Path) -> set[tuple[str, date]]:
    if not serving.is_file():
        return set()
    sql = "select market_id, bar_date from fct_flow_reconciliation_daily where verdict = 'trades_incomplete'"
    with connect(serving) as connection:
        return set(connection.execute(sql).fetchall())
