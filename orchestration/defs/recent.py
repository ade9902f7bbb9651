"""The raw assets of what the archive does not have yet: fetched from the venues' APIs, or collected from their feeds.

Belongs here: objects that grow by the hour, as asset events. Not partitioned: a run brings them up to now.
Does not: how they are fetched (`ingestion.recent`) or sealed (`ingestion.live`).
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from ingestion.domain.datasets import RECENT, Dataset, Origin
from ingestion.domain.redaction import redacted
from orchestration.config.endpoints import Endpoints
from orchestration.config.scope import Scope
from orchestration.defs.outcomes import failed, is_news, recent_facts, sealed_facts, shared_failure_text
from orchestration.defs.plan import recent_tasks
from orchestration.defs.raw import WHEN_A_VENUE_IS_DOWN, column_schema, failure, raw_key, simulated_label
from orchestration.progress import Progress
from orchestration.resources import ApiResource, StorageResource, waiting
from orchestration.state.exclusive import Right, alone_on
from orchestration.state.locks import API, SPOOL, Report, Workplace

if TYPE_CHECKING:
    from ingestion.archive import Outcome
    from ingestion.live.seal import Sealed

API_KEY: Final = dg.AssetKey(["api", "futures"])
FEED_KEY: Final = dg.AssetKey(["feed", "futures"])

# Each collector seals its own spool; the objects of a day are one for all of them.
SEALING: Final = Right(
    what="the sealing into {}",
    place="raw",
    leases="leases/sealing",
    lock="sealing.lock",
    consequence="what it has stored is whole, and what it has not stays in its spool",
)

_FROM_API: Final = tuple(dataset for dataset in RECENT.values() if dataset.origin is Origin.API)
_FROM_FEED: Final = tuple(dataset for dataset in RECENT.values() if dataset.origin is Origin.FEED)
API_DATASET_KEYS: Final = tuple(raw_key(dataset.name) for dataset in _FROM_API)
FEED_DATASET_KEYS: Final = tuple(raw_key(dataset.name) for dataset in _FROM_FEED)


def api_source(endpoints: Endpoints) -> dg.AssetSpec:
    """The venues' REST APIs: not operated by this project."""
    called = ", ".join(map(redacted, endpoints.rest_urls.values()))
    urls = called or "none: TAKER_REST is off, or the archive is a mirror"
    return dg.AssetSpec(
        API_KEY,
        description="REST APIs of the venues: contracts, and the hours that the archive does not have yet.",
        group_name="venue",
        kinds={"json"},
        metadata={"requested": urls},
    )


def feed_source(spool: Path) -> dg.AssetSpec:
    """The venues' WebSocket feeds, as `taker collect` records them."""
    return dg.AssetSpec(
        FEED_KEY,
        description="WebSocket feeds of the venues: liquidations as they happen, and trades on request. "
        "`taker collect` records them.",
        group_name="venue",
        kinds={"json"},
        metadata={"spool": dg.MetadataValue.path(str(spool))},
    )


def api_assets(scope: Scope, spool: Path) -> dg.AssetsDefinition:
    """The datasets of the APIs, in one step: the request weight that a venue allows is one budget for all of them."""

    @dg.multi_asset(
        name="ask_apis",
        specs=[_spec(dataset, API_KEY, scope) for dataset in _FROM_API],
        can_subset=True,
        retry_policy=WHEN_A_VENUE_IS_DOWN,
    )
    def ask_apis(
        context: dg.AssetExecutionContext,
        apis: dg.ResourceParam[ApiResource],
        storage: dg.ResourceParam[StorageResource],
        progress: dg.ResourceParam[Progress],
        workplace: dg.ResourceParam[Workplace],
    ) -> Any:
        from ingestion.live.seal import collected_venues
        from ingestion.recent import ingest_recent

        zone = storage.raw_zone()
        received = collected_venues(spool, zone)
        alone = workplace.alone(API, waiting(progress, context), context.run.run_id)
        with alone, apis.open(received, progress.healed) as access, workplace.scratch() as scratch:
            by_venue = {venue: one.api for venue, one in access.items()}
            tasks = recent_tasks(scope, zone, by_venue, datetime.now(UTC), received)
            tasks = [task for task in tasks if raw_key(task.dataset.name) in context.selected_asset_keys]
            progress.ingesting("today", len(tasks))
            outcomes = ingest_recent(tasks, access=access, zone=zone, scratch=scratch, report=progress.ingested)
        yield from _record(context, outcomes)

    return ask_apis


def _record(context: dg.AssetExecutionContext, outcomes: "Sequence[Outcome]") -> Iterator[dg.MaterializeResult[None]]:
    """A materialization for each dataset with news, then a failure if objects failed."""
    is_failure = bool(failed(outcomes))
    for dataset in _FROM_API:
        of_dataset = [outcome for outcome in outcomes if outcome.task.dataset is dataset]
        if not is_news(of_dataset):
            continue
        key, metadata = raw_key(dataset.name), recent_facts(of_dataset)
        if is_failure:  # a step that fails loses its outputs, and what is stored is news all the same
            context.log_event(dg.AssetMaterialization(key, metadata=metadata))
        else:
            yield dg.MaterializeResult(key, metadata=metadata)
    if is_failure:
        raise failure(shared_failure_text(outcomes), outcomes, context.run.tags)


def feed_assets(scope: Scope, spool: Path) -> dg.AssetsDefinition:
    """What the collector received, hour by hour, once the hour is over."""

    @dg.multi_asset(
        name="seal_spool",
        specs=[_spec(dataset, FEED_KEY, scope) for dataset in _FROM_FEED],
        can_subset=False,
    )
    def seal_spool(
        context: dg.AssetExecutionContext,
        storage: dg.ResourceParam[StorageResource],
        progress: dg.ResourceParam[Progress],
        workplace: dg.ResourceParam[Workplace],
    ) -> Any:
        sealed = seal_spool_of(spool, storage, workplace, waiting(progress, context), context.run.run_id)
        for dataset in _FROM_FEED:
            of_dataset = [one for one in sealed if one.dataset == dataset.name]
            if of_dataset:
                yield dg.MaterializeResult(raw_key(dataset.name), metadata=sealed_facts(of_dataset))

    return seal_spool


def seal_spool_of(
    spool: Path, storage: StorageResource, workplace: Workplace, report: Report, run_id: str | None = None
) -> "Sequence[Sealed]":
    """Seal the finished hours of this spool, as the only one that seals into this storage. Busy, TakenOver."""
    if not spool.is_dir():
        return []
    from ingestion.live.seal import seal

    zone = storage.raw_zone()
    with (
        workplace.alone(SPOOL, report, run_id),
        alone_on(zone.store, SEALING, wait=workplace.lock_wait, report=report, run_id=run_id) as still_alone,
        workplace.scratch() as scratch,
    ):
        return seal(spool, zone, now=datetime.now(UTC), scratch=scratch, still_alone=still_alone)


def _spec(dataset: Dataset, source: dg.AssetKey, scope: Scope) -> dg.AssetSpec:
    whose = "venue" if dataset.is_venue_wide else "market"
    return dg.AssetSpec(
        raw_key(dataset.name),
        deps=[source],
        group_name="raw",
        kinds={"python", "parquet"},
        tags={"span": "day"},
        # Nothing new is no event: a build that finds nothing to do is not worth its minute.
        skippable=True,
        description=simulated_label(scope.is_simulated)
        + f"{dataset.description} One Parquet file and receipt per {whose} and UTC day, growing by the hour.",
        metadata={"dagster/column_schema": column_schema(dataset)},
    )
