"""The state of the raw zone: the days of each dataset and market, from the receipts' index.

Belongs here: counting days by what is stored of them. Does not: what a day lacks (`orchestration.serving.incomplete`),
what was not used as published (`orchestration.serving.defects`), how it is printed (`orchestration.cli.render`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from orchestration.config.marts import Marts
from orchestration.serving.defects import Unused, unused
from orchestration.serving.incomplete import IncompleteDays, LostTrades, incomplete_days, lost_trades
from orchestration.serving.published import FIRST_STEPS, NothingPublished, PublicationOutdated

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
    are of rows, files and days. `incomplete`: the days of the five states, with what they lack.
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
    incomplete: tuple[IncompleteDays, ...] = ()


def raw_status(zone: RawZone, serving: Marts, notice: Callable[[str], None]) -> list[SeriesStatus]:
    """Each dataset and market of the raw zone, from the receipts' index as of the last build, and what was lost since.

    `serving`: for the days whose trades are incomplete; nothing may be published, and where another version has
    written it, `notice` gets the sentence and no day is counted so. Raises NothingPublished for a
    zone without an index.
    """
    index, defects = zone.as_of_now()
    if index.num_rows == 0:
        raise NothingPublished(f"nothing is indexed in {zone.url}; {FIRST_STEPS}")
    try:
        lost = lost_trades(serving)
    except PublicationOutdated as error:
        notice(str(error))
        lost = {}
    return _series(index, defects, lost)


def _series(index: pa.Table, defects: pa.Table, lost: Mapping[tuple[str, date], LostTrades]) -> list[SeriesStatus]:
    by_series: dict[tuple[str, str, str], list[Unused]] = {}
    for one in unused(defects, by_reason=True):
        by_series.setdefault((one.dataset, one.market_id, one.interval), []).append(one)
    series: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in index.select(_STATUS_COLUMNS).to_pylist():
        series.setdefault((row["dataset"], row["market_id"], row["interval"]), []).append(row)
    found = []
    for (dataset, market_id, interval), rows in sorted(series.items()):
        days = [row["day"] for row in rows]
        of_it = by_series.get((dataset, market_id, interval), [])
        refused_days = {day for one in of_it if one.kind == "refused_source" for day in one.days}
        lacking = incomplete_days(rows, refused_days, lost)
        counts = dict.fromkeys(("missing", "absent", "refused", "damaged", "partial"), 0)
        for part in lacking:
            counts[part.state] += len(part.days)
        found.append(
            SeriesStatus(
                dataset,
                market_id,
                interval,
                min(days),
                max(days),
                stored=sum(row["status"] == "stored" for row in rows),
                **counts,
                corrected=sum(row["status"] == "stored" and row["revision"] > 1 for row in rows),
                quarantined_rows=sum(one.rows for one in of_it if one.kind == "quarantined_rows"),
                refused_files=len({key for one in of_it if one.kind == "refused_source" for key in one.files}),
                replaced_files=len({key for one in of_it if one.kind == "replaced_source" for key in one.files}),
                implausible_days=len({day for one in of_it if one.kind == "implausible" for day in one.days}),
                defects=tuple(of_it),
                incomplete=lacking,
            )
        )
    return found


_STATUS_COLUMNS = ["dataset", "market_id", "interval", "day", "status", "row_count", "id_gaps", "revision"]
