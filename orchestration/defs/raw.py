"""The raw assets of the archive: one per dataset, partitioned the way its files are published.

Belongs here: partitions in, receipts out, as asset events. Does not: how an object is ingested (`ingestion.archive`),
or what the archive does not have yet (`orchestration.defs.recent`).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from ingestion.domain.datasets import ARCHIVED, DATASETS, FLOW_DATASETS, Dataset
from ingestion.domain.periods import Span
from orchestration.config.settings import Settings, yesterday
from orchestration.defs.partitions import days_of, partitions_of
from orchestration.progress import Progress
from orchestration.resources import ArchiveResource, StorageResource

if TYPE_CHECKING:
    from ingestion.archive import Outcome, Task

ARCHIVE_KEY: Final = dg.AssetKey(["archive", "futures"])
RECEIPTS_KEY: Final = dg.AssetKey(["raw", "receipts"])
OWNERS: Final = ["team:taker"]

# How many partitions one run of a backfill takes: a run costs seconds to start, a failure costs its whole run.
_PARTITIONS_PER_RUN: Final = {Span.DAY: 31, Span.MONTH: 24}


def raw_key(dataset: str) -> dg.AssetKey:
    return dg.AssetKey(["raw", dataset])


def simulated_label(settings: Settings) -> str:
    """What the UI's descriptions begin with when the numbers are invented."""
    return "**SIMULATED, not a real market.** " if settings.is_simulated else ""


def archive_asset(settings: Settings) -> dg.AssetSpec:
    """The venues' archives: outside of our hands, upstream of everything."""
    return dg.AssetSpec(
        ARCHIVE_KEY,
        description=simulated_label(settings)
        + "Packed CSV files that venues publish, most with checksums. Files are replaced later without notice.",
        group_name="venue",
        kinds={"csv"},
        owners=OWNERS,
        metadata={
            f"{venue}_url": dg.MetadataValue.url(settings.archive_url_of(venue)) for venue in settings.archive_venues
        },
    )


def raw_assets(settings: Settings, progress: Progress, last_day: date | None = None) -> list[dg.AssetsDefinition]:
    """One partitioned asset per dataset. `last_day` limits what is asked for; never later than yesterday."""
    return [_raw_asset(dataset, settings, progress, last_day) for dataset in ARCHIVED.values()]


def _raw_asset(dataset: Dataset, settings: Settings, progress: Progress, limit: date | None) -> dg.AssetsDefinition:
    @dg.asset(
        key=raw_key(dataset.name),
        deps=[ARCHIVE_KEY],
        partitions_def=partitions_of(dataset.span, settings.first_day),
        backfill_policy=dg.BackfillPolicy.multi_run(_PARTITIONS_PER_RUN[dataset.span]),
        pool="archive",
        group_name="raw",
        kinds={"python", "parquet"},
        owners=OWNERS,
        tags={"span": "day" if dataset.span is Span.DAY else "month"},
        description=simulated_label(settings)
        + f"{dataset.description} One Parquet file and receipt per market and {_span_name(dataset)}.",
        metadata={"dagster/column_schema": column_schema(dataset)},
    )
    def raw(
        context: dg.AssetExecutionContext,
        archive: dg.ResourceParam[ArchiveResource],
        storage: dg.ResourceParam[StorageResource],
    ) -> None:
        from ingestion.archive import ingest

        keys = set(context.partition_keys)
        days = days_of(keys, settings.first_day, min(limit or yesterday(), yesterday()))
        tasks = tasks_for(dataset, settings, *days) if days else []
        tasks = [task for task in tasks if task.period.label in keys]
        progress.ingesting(dataset.name, len(tasks))
        with archive.open() as opened:
            outcomes = ingest(
                tasks,
                archives=opened,
                zone=storage.raw_zone(),
                now=datetime.now(UTC),
                report=progress.ingested,
                notice=progress.noticed,
            )
        _record(context, outcomes)

    return raw


def tasks_for(dataset: Dataset, settings: Settings, first_day: date, last_day: date) -> "list[Task]":
    """Every raw object of the dataset that the configured markets and intervals want for the inclusive days."""
    from ingestion.archive import plan
    from ingestion.venues import trades_dataset_of

    intervals = settings.kline_interval if dataset.has_interval else ("",)
    return [
        task
        for market in settings.markets
        if dataset.name not in FLOW_DATASETS or dataset.name == trades_dataset_of(market, settings.trades_dataset)
        for interval in intervals
        for task in plan(dataset, market, first_day, last_day, interval=interval)
    ]


def _record(context: dg.AssetExecutionContext, outcomes: "Sequence[Outcome]") -> None:
    """Metadata for each partition; when objects failed, log the good partitions and raise with every fault.

    A refused file is a fact about the venue's file, recorded with its partition, and fails nothing.
    """
    by_partition: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_partition[outcome.task.period.label].append(outcome)
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if not failed:
        for key, done in by_partition.items():
            context.add_asset_metadata(partition_metadata(done), partition_key=key)
        return
    broken = {outcome.task.period.label for outcome in failed}
    for key in sorted(by_partition.keys() - broken):
        context.log_event(
            dg.AssetMaterialization(context.asset_key, partition=key, metadata=partition_metadata(by_partition[key]))
        )
    raise dg.Failure(
        description=failure_text(outcomes),
        metadata={"failed": dg.MetadataValue.table([fault_row(outcome) for outcome in failed])},
        allow_retries=False,
    )


def failure_text(outcomes: "Sequence[Outcome]") -> str:
    """Every failed object with its fault, one per line, after a line that says what became of the others."""
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    head = (
        f"{len(failed)} of {len(outcomes)} objects failed; the other {len(outcomes) - len(failed)} are in the raw zone"
    )
    return "\n".join([head, *(f"{outcome.task}: {outcome.error}" for outcome in failed)])


def fault_row(outcome: "Outcome") -> dg.TableRecord:
    """A failed object for a table of the UI."""
    return dg.TableRecord({"object": str(outcome.task), "fault": str(outcome.error)})


def partition_metadata(outcomes: "Sequence[Outcome]") -> Mapping[str, Any]:
    """What one partition holds, summed over its markets, with a checksum for each object."""
    receipts = [outcome.receipt for outcome in outcomes if outcome.receipt is not None]
    return {
        "dagster/partition_row_count": sum(receipt.rows for receipt in receipts),
        "bytes": sum(receipt.stored_bytes for receipt in receipts),
        "id_gaps": sum(receipt.id_gaps for receipt in receipts),
        "duplicate_rows": sum(receipt.duplicate_rows for receipt in receipts),
        "zero_rows": sum(receipt.zero_rows for receipt in receipts),
        "out_of_order_rows": sum(receipt.out_of_order_rows for receipt in receipts),
        "quarantined_rows": sum(
            defect.rows for receipt in receipts for defect in receipt.defects if defect.kind == "quarantined_rows"
        ),
        "refused": {str(outcome.task): str(outcome.error) for outcome in outcomes if outcome.status == "refused"},
        "objects": {
            str(outcome.task.object_id): {
                "status": outcome.status,
                "revision": outcome.receipt.revision,
                "stored_sha256": outcome.receipt.stored_sha256,
                "source_sha256": [source.sha256 for source in outcome.receipt.sources],
            }
            for outcome in outcomes
            if outcome.receipt is not None
        },
    }


def column_schema(dataset: Dataset) -> dg.TableSchema:
    """The stored columns as Dagster shows them."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                str(column.type),
                column.description,
                dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in dataset.columns
        ]
    )


def receipts_asset() -> dg.AssetsDefinition:
    """The index over all receipts: the only thing dbt trusts about what the raw zone holds."""

    @dg.asset(
        key=RECEIPTS_KEY,
        deps=[raw_key(name) for name in DATASETS],
        pool="warehouse",
        group_name="raw",
        kinds={"python", "parquet"},
        owners=OWNERS,
        description="One row per dataset, market, interval and UTC day that was asked for: stored or absent.",
    )
    def receipts(storage: dg.ResourceParam[StorageResource]) -> dg.MaterializeResult[None]:
        index = storage.raw_zone().write_index()
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": index.num_rows,
                "datasets": sorted(set(index["dataset"].to_pylist())),
                "markets": sorted(set(index["market_id"].to_pylist())),
            }
        )

    return receipts


def _span_name(dataset: Dataset) -> str:
    return "UTC day" if dataset.span is Span.DAY else "UTC month"
