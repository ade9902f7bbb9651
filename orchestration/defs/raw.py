"""The raw assets of the archive: one per dataset, partitioned the way its files are published.

Belongs here: partitions in, receipts out, as asset events. Does not: how an object is ingested (`ingestion.archive`),
or what the archive does not have yet (`orchestration.defs.recent`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import pyarrow.compute as pc

from ingestion.domain.datasets import ARCHIVED, DATASETS, Dataset
from ingestion.domain.periods import Span
from ingestion.domain.redaction import redacted
from orchestration.config.days import yesterday
from orchestration.config.endpoints import Endpoints
from orchestration.config.scope import Scope
from orchestration.defs.outcomes import by_partition, failed, failure_text, is_outage, partition_facts
from orchestration.defs.partitions import days_of, partitions_of
from orchestration.defs.plan import archive_tasks
from orchestration.progress import Progress
from orchestration.resources import ArchiveResource, StorageResource, waiting
from orchestration.state.locks import ARCHIVE, Workplace

if TYPE_CHECKING:
    from ingestion.archive import Outcome

ARCHIVE_KEY: Final = dg.AssetKey(["archive", "futures"])
RECEIPTS_KEY: Final = dg.AssetKey(["raw", "receipts"])
# The step that builds from the receipts.
WAREHOUSE_STEP: Final = "warehouse"

# How many partitions one run of a backfill takes: a run costs seconds to start, a failure costs its whole run.
_PARTITIONS_PER_RUN: Final = {Span.DAY: 31, Span.MONTH: 24}


# 2, 4 and 8 minutes after a venue's server was not reached.
WHEN_A_VENUE_IS_DOWN: Final = dg.RetryPolicy(max_retries=3, delay=120, backoff=dg.Backoff.EXPONENTIAL)
# What Dagster tags the runs with that no person has started, or that are so many that none waits for one.
_UNATTENDED: Final = frozenset({"dagster/schedule_name", "dagster/sensor_name", "dagster/backfill"})


class IngestConfig(dg.Config):
    """Inclusive UTC days, as YYYY-MM-DD, outside which nothing of the partitions is requested.

    Without them: from TAKER_FIRST_DAY to yesterday.
    """

    first_day: str | None = None
    last_day: str | None = None

    def limits(self, first_day: date) -> tuple[date, date]:
        """The first and the last day to request; `first_day` is the default of the first."""
        first = date.fromisoformat(self.first_day) if self.first_day else first_day
        last = date.fromisoformat(self.last_day) if self.last_day else yesterday()
        return first, min(last, yesterday())


def raw_key(dataset: str) -> dg.AssetKey:
    return dg.AssetKey(["raw", dataset])


def ingest_config(datasets: Iterable[str], first_day: date, last_day: date) -> Mapping[str, Any]:
    """Run config that limits the raw assets of these datasets to the inclusive days."""
    config = {"first_day": first_day.isoformat(), "last_day": last_day.isoformat()}
    return {"ops": {"__".join(raw_key(dataset).path): {"config": config} for dataset in datasets}}


def simulated_label(is_simulated: bool) -> str:
    """What the UI's descriptions begin with when the numbers are simulated."""
    return "**SIMULATED, not a real market.** " if is_simulated else ""


def archive_source(endpoints: Endpoints, *, is_simulated: bool) -> dg.AssetSpec:
    """The venues' archives: not operated by this project, upstream of everything."""
    return dg.AssetSpec(
        ARCHIVE_KEY,
        description=simulated_label(is_simulated)
        + "Packed CSV files that venues publish, most with checksums. Files are replaced later without notice.",
        group_name="venue",
        kinds={"csv"},
        metadata={
            f"{venue}_url": dg.MetadataValue.url(redacted(endpoints.archive_url_of(venue)))
            for venue in endpoints.archive_venues
        },
    )


def raw_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """One partitioned asset per archived dataset."""
    return [_raw_asset(dataset, scope) for dataset in ARCHIVED.values()]


def _raw_asset(dataset: Dataset, scope: Scope) -> dg.AssetsDefinition:
    @dg.asset(
        key=raw_key(dataset.name),
        deps=[ARCHIVE_KEY],
        partitions_def=partitions_of(dataset.span, scope.first_day),
        backfill_policy=dg.BackfillPolicy.multi_run(_PARTITIONS_PER_RUN[dataset.span]),
        group_name="raw",
        retry_policy=WHEN_A_VENUE_IS_DOWN,
        kinds={"python", "parquet"},
        tags={"span": "day" if dataset.span is Span.DAY else "month"},
        description=simulated_label(scope.is_simulated)
        + f"{dataset.description} One Parquet file and receipt per market and {_span_name(dataset)}.",
        metadata={"dagster/column_schema": column_schema(dataset)},
    )
    def raw(
        context: dg.AssetExecutionContext,
        config: IngestConfig,
        archive: dg.ResourceParam[ArchiveResource],
        storage: dg.ResourceParam[StorageResource],
        progress: dg.ResourceParam[Progress],
        workplace: dg.ResourceParam[Workplace],
    ) -> None:
        from ingestion.archive import ingest

        keys = set(context.partition_keys)
        days = days_of(keys, *config.limits(scope.first_day))
        tasks = archive_tasks([dataset], scope, *days) if days else []
        tasks = [task for task in tasks if task.period.label in keys]
        progress.ingesting(dataset.name, len(tasks))
        alone = workplace.alone(ARCHIVE, waiting(progress, context), context.run.run_id)
        with alone, archive.open() as opened, workplace.scratch() as scratch:
            outcomes = ingest(
                tasks,
                archives=opened,
                zone=storage.raw_zone(),
                now=datetime.now(UTC),
                scratch=scratch,
                report=progress.ingested,
                notice=progress.noticed,
            )
        _record(context, outcomes)

    return raw


def _record(context: dg.AssetExecutionContext, outcomes: "Sequence[Outcome]") -> None:
    """Metadata for each partition; when objects failed, log the complete partitions and raise with every fault.

    A refused file is a fact about the venue's file, recorded with its partition, and fails nothing.
    """
    partitions = by_partition(outcomes)
    if not failed(outcomes):
        for key, done in partitions.items():
            context.add_asset_metadata(partition_facts(done), partition_key=key)
        return
    for key, done in sorted(partitions.items()):
        if not failed(done):
            context.log_event(dg.AssetMaterialization(context.asset_key, partition=key, metadata=partition_facts(done)))
    raise failure(failure_text(outcomes), outcomes, context.run.tags)


def failure(text: str, outcomes: "Sequence[Outcome]", tags: Mapping[str, str]) -> dg.Failure:
    """The failure of a step, with a row for each failed object. `tags`: those of its run.

    It is tried again where a server was not reached, and no person waits: one who does gets the answer at once.
    """
    rows = [dg.TableRecord({"object": str(outcome.task), "fault": str(outcome.error)}) for outcome in failed(outcomes)]
    is_tried_again = bool(_UNATTENDED & tags.keys()) and any(is_outage(outcome) for outcome in outcomes)
    return dg.Failure(text, metadata={"failed": dg.MetadataValue.table(rows)}, allow_retries=is_tried_again)


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


def receipts_asset(before_build: Callable[[Workplace], None] = lambda workplace: None) -> dg.AssetsDefinition:
    """The index over all receipts: the only thing dbt trusts about what the raw zone holds.

    `before_build`: called first, in a run that goes on with a build.
    """

    @dg.asset(
        key=RECEIPTS_KEY,
        deps=[raw_key(name) for name in DATASETS],
        group_name="raw",
        kinds={"python", "parquet"},
        description="One row per dataset, market, interval and UTC day that was requested: stored or absent.",
    )
    def receipts(
        context: dg.AssetExecutionContext,
        storage: dg.ResourceParam[StorageResource],
        progress: dg.ResourceParam[Progress],
        workplace: dg.ResourceParam[Workplace],
    ) -> dg.MaterializeResult[None]:
        # A build reads the index more than once: none is written while another run builds.
        workplace.hold_warehouse(waiting(progress, context), context.run.run_id)
        if context.job_def.has_node_named(WAREHOUSE_STEP):
            before_build(workplace)
        zone = storage.raw_zone()
        zone.sweep()
        with workplace.scratch() as scratch:
            index = zone.write_index(scratch, notice=progress.noticed)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": index.num_rows,
                "datasets": sorted(pc.unique(index["dataset"]).to_pylist()),
                "markets": sorted(pc.unique(index["market_id"]).to_pylist()),
            }
        )

    return receipts


def _span_name(dataset: Dataset) -> str:
    return "UTC day" if dataset.span is Span.DAY else "UTC month"
