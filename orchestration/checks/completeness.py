"""Is anything missing or unused, and is it fresh? Warnings: an old gap must not stop today's numbers.

Belongs here: missing days of the raw zone, what venues published and was not used, and the check of what
`orchestration.serving.staleness` finds. Does not: whether numbers are right (`suites`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from ingestion.domain.datasets import ARCHIVED
from orchestration.config.marts import Marts
from orchestration.defs.publish import PUBLISHED_KEY
from orchestration.defs.raw import RECEIPTS_KEY
from orchestration.resources import NAMES_THE_PROCESS, StorageResource
from orchestration.serving.defects import WORDS, Unused, unused
from orchestration.serving.published import connect
from orchestration.serving.staleness import EXPECTED_FROM_HOUR, expected_day, newest_days, stale
from orchestration.state.locks import Workplace

if TYPE_CHECKING:
    import pyarrow as pa

# What the UI shows of defects; `taker status --defects` lists all.
_DEFECTS_IN_METADATA = 500
_SERIES_NAMED = 5
# The columns of the index that name a series, and its day.
SERIES_DAYS = ("dataset", "market_id", "interval", "day")


@dataclass(frozen=True)
class Gap:
    """Unexplained days between the first and the last day of a series; both inclusive."""

    dataset: str
    market_id: str
    interval: str
    first_day: date
    last_day: date

    @property
    def days(self) -> int:
        return (self.last_day - self.first_day).days + 1


def missing_days(index: "pa.Table") -> list[Gap]:
    """Gaps in the receipt index, of which the columns `SERIES_DAYS` are read. A day the venue has no file for is
    explained: it has an `absent` row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # What was not collected cannot be requested later; coverage reports it.
    archived = index.select(SERIES_DAYS).filter(pc.is_in(index["dataset"], pa.array(sorted(ARCHIVED))))
    days = archived.sort_by([(name, "ascending") for name in SERIES_DAYS]).combine_chunks()
    earlier, later = days.slice(0, max(0, days.num_rows - 1)), days.slice(1)
    # A series after the other: rows that follow each other are of one series where no name differs.
    is_hole = pc.greater(pc.subtract(*(rows["day"].cast(pa.int32()) for rows in (later, earlier))), 1)
    for name in SERIES_DAYS[:-1]:
        is_hole = pc.and_(is_hole, pc.equal(earlier[name], later[name]))
    one = timedelta(days=1)
    rows = zip(earlier.filter(is_hole).to_pylist(), later.filter(is_hole)["day"].to_pylist(), strict=True)
    return [
        Gap(before["dataset"], before["market_id"], before["interval"], before["day"] + one, after - one)
        for before, after in rows
    ]


def completeness_checks(serving: Marts, market_ids: Sequence[str]) -> list[dg.AssetChecksDefinition]:
    """Three on the receipts: missing days, damaged objects, unused data; `is_fresh` on the published marts."""
    return [_no_missing_days(), _no_damaged_objects(), _no_unused_data(), _is_fresh(serving, market_ids)]


def _no_missing_days() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=RECEIPTS_KEY,
        name="no_missing_days",
        description="Between the first and the last day of each dataset and market, every day was requested.",
    )
    def no_missing_days(
        storage: dg.ResourceParam[StorageResource], workplace: dg.ResourceParam[Workplace]
    ) -> dg.AssetCheckResult:
        gaps = missing_days(storage.raw_zone().index(SERIES_DAYS))
        rows = [
            dg.TableRecord(
                {
                    "dataset": gap.dataset,
                    "market": gap.market_id,
                    "interval": gap.interval,
                    "first_day": gap.first_day.isoformat(),
                    "last_day": gap.last_day.isoformat(),
                    "days": gap.days,
                }
            )
            for gap in gaps
        ]
        return dg.AssetCheckResult(
            passed=not gaps,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{sum(gap.days for gap in gaps)} day(s) missing; run or backfill them" if gaps else "none",
            metadata={"missing": dg.MetadataValue.table(rows)} if rows else {},
        )

    return no_missing_days


def _no_damaged_objects() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=RECEIPTS_KEY,
        name="no_damaged_objects",
        description="Every stored object is there, of its size, with the checksum of its receipt, as far as it was "
        "hashed (`taker verify` hashes everything). The days of others are not covered.",
    )
    def no_damaged_objects(
        storage: dg.ResourceParam[StorageResource], workplace: dg.ResourceParam[Workplace]
    ) -> dg.AssetCheckResult:
        damaged = [row for row in storage.raw_zone().defects().to_pylist() if row["kind"] == "damaged_object"]
        lines = [
            f"{row['market_id']} {row['dataset']} {row['interval']}".rstrip() + f" {row['period']}: {row['reason']}"
            for row in damaged
        ]
        more = [f"and {len(lines) - _SERIES_NAMED:,} more; `taker verify` lists them"] * (len(lines) > _SERIES_NAMED)
        return dg.AssetCheckResult(
            passed=not damaged,
            severity=dg.AssetCheckSeverity.WARN,
            description="\n".join([*lines[:_SERIES_NAMED], *more]) or "none",
            metadata={"objects": [row["source_key"] for row in damaged][:_DEFECTS_IN_METADATA]},
        )

    return no_damaged_objects


def _no_unused_data() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=RECEIPTS_KEY,
        name="no_unused_data",
        description="Everything that the venues published was used as published: no row was set aside, no file refused "
        "or replaced by others, and no day of trades is implausible.",
    )
    def no_unused_data(
        storage: dg.ResourceParam[StorageResource], workplace: dg.ResourceParam[Workplace]
    ) -> dg.AssetCheckResult:
        import pyarrow.compute as pc

        defects = storage.raw_zone().defects()
        defects = defects.filter(pc.not_equal(defects["kind"], "damaged_object"))
        found = unused(defects, by_reason=True)
        rows = [dg.TableRecord(record) for record in _defect_records(defects)]
        return dg.AssetCheckResult(
            passed=not found,
            severity=dg.AssetCheckSeverity.WARN,
            description=_summary(found) or "none",
            metadata={
                "unused": dg.MetadataValue.table(rows[:_DEFECTS_IN_METADATA]),
                "unused_in_all": len(rows),
                "rows_set_aside": sum(one.rows for one in found if one.kind == "quarantined_rows"),
                "kept_in": sorted({key for one in found for key in one.kept_in})[:_DEFECTS_IN_METADATA],
            }
            if rows
            else {},
        )

    return no_unused_data


def _is_fresh(serving: Marts, market_ids: Sequence[str]) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=PUBLISHED_KEY,
        name="is_fresh",
        required_resource_keys={*NAMES_THE_PROCESS},
        description=f"Every configured market has a daily bar of yesterday, from {EXPECTED_FROM_HOUR}:00 UTC on; "
        "until then of the day before.",
    )
    def is_fresh() -> dg.AssetCheckResult:
        now = datetime.now(UTC)
        with connect(serving) as connection:
            newest = newest_days(connection, market_ids)
        behind = stale(newest, now)
        return dg.AssetCheckResult(
            passed=not behind,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(f"{market}: {age}" for market, age in behind.items())
            or f"up to {expected_day(now)} or later",
            metadata=dict(behind),
        )

    return is_fresh


def _defect_records(defects: "pa.Table") -> list[dict[str, str | int]]:
    """The defects as a table of the UI, newest first."""
    rows = sorted(defects.to_pylist(), key=lambda row: str(row["day"] or row["period"]), reverse=True)
    return [
        {
            "dataset": f"{row['dataset']} {row['interval']}".strip(),
            "market": row["market_id"],
            "day": str(row["day"] or row["period"]),
            "kind": WORDS[row["kind"]],
            "reason": row["reason"],
            "rows": row["row_count"] or 0,
            "file": row["source_key"],
            "used_instead": row["used_instead"],
        }
        for row in rows
    ]


def _summary(found: Sequence[Unused]) -> str:
    """`12 rows set aside, 2 files refused (binance_um:BTCUSDT klines 4h, …)`."""
    counts = {
        "row(s) set aside": sum(one.rows for one in found if one.kind == "quarantined_rows"),
        "file(s) refused": len({key for one in found if one.kind == "refused_source" for key in one.files}),
        "file(s) replaced": len({key for one in found if one.kind == "replaced_source" for key in one.files}),
        "day(s) implausible": len(
            {(one.series, day) for one in found if one.kind == "implausible" for day in one.days}
        ),
    }
    series = list(dict.fromkeys(one.series for one in found))
    more = f" and {len(series) - _SERIES_NAMED} more" if len(series) > _SERIES_NAMED else ""
    text = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    return f"{text}: {', '.join(series[:_SERIES_NAMED])}{more}" if text else ""
