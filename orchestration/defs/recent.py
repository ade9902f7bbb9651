"""The raw assets of what the archive does not have yet: asked of the venues' apis, or collected from their feeds.

Belongs here: objects that grow by the hour, as asset events. Not partitioned: a run brings them up to now.
Does not: how they are asked for (`ingestion.recent`) or sealed (`ingestion.live`).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from ingestion.domain.datasets import RECENT, Dataset, Origin
from orchestration.config.settings import Settings
from orchestration.defs.raw import OWNERS, column_schema, fault_row, raw_key, simulated_label
from orchestration.progress import Progress
from orchestration.resources import ApiResource, StorageResource

if TYPE_CHECKING:
    from ingestion.archive import Outcome
    from ingestion.live.seal import Sealed

API_KEY: Final = dg.AssetKey(["api", "futures"])
FEED_KEY: Final = dg.AssetKey(["feed", "futures"])

_ASKED: Final = tuple(dataset for dataset in RECENT.values() if dataset.origin is Origin.API)
_HEARD: Final = tuple(dataset for dataset in RECENT.values() if dataset.origin is Origin.FEED)
ASKED_KEYS: Final = tuple(raw_key(dataset.name) for dataset in _ASKED)
HEARD_KEYS: Final = tuple(raw_key(dataset.name) for dataset in _HEARD)


def api_asset(settings: Settings) -> dg.AssetSpec:
    """The venues' REST apis: outside of our hands."""
    asked = ", ".join(settings.rest_urls.values()) or "none is asked: TAKER_REST is off, or the archive is a mirror"
    return dg.AssetSpec(
        API_KEY,
        description="REST apis of the venues: contracts, and the hours that the archive does not have yet.",
        group_name="venue",
        kinds={"json"},
        owners=OWNERS,
        metadata={"asked": asked},
    )


def feed_asset(settings: Settings) -> dg.AssetSpec:
    """The venues' WebSocket feeds, as `taker collect` writes them down."""
    return dg.AssetSpec(
        FEED_KEY,
        description="WebSocket feeds of the venues: liquidations as they happen, and trades when asked for. "
        "`taker collect` listens.",
        group_name="venue",
        kinds={"json"},
        owners=OWNERS,
        metadata={"spool": dg.MetadataValue.path(str(settings.spool_dir))},
    )


def recent_assets(settings: Settings, progress: Progress) -> dg.AssetsDefinition:
    """What the apis are asked for, in one step: the weight that a venue allows is one budget for all of it."""

    @dg.multi_asset(
        name="ask_apis",
        specs=[_spec(dataset, API_KEY, settings) for dataset in _ASKED],
        can_subset=True,
        pool="api",
    )
    def ask_apis(
        context: dg.AssetExecutionContext,
        apis: dg.ResourceParam[ApiResource],
        storage: dg.ResourceParam[StorageResource],
    ) -> Any:
        from ingestion.live.seal import collected_venues
        from ingestion.recent import ingest_recent, plan_recent

        zone = storage.raw_zone()
        heard = collected_venues(settings.spool_dir, zone)
        with apis.open(heard) as access:
            tasks = plan_recent(
                settings.markets,
                zone=zone,
                apis={venue: one.api for venue, one in access.items()},
                now=datetime.now(UTC),
                kline_interval=settings.kline_interval[0],
                trades_dataset=settings.trades_dataset,
                heard=heard,
            )
            tasks = [task for task in tasks if raw_key(task.dataset.name) in context.selected_asset_keys]
            progress.ingesting("today", len(tasks))
            outcomes = ingest_recent(tasks, access=access, zone=zone, report=progress.ingested)
        failed = [outcome for outcome in outcomes if outcome.status == "failed"]
        for dataset in _ASKED:
            of_it = [outcome for outcome in outcomes if outcome.task.dataset is dataset]
            if any(outcome.status == "stored" or _kept_some(outcome) for outcome in of_it):
                metadata = asked_metadata(of_it)
                if failed:  # a step that fails loses its outputs, and what is stored is news all the same
                    context.log_event(dg.AssetMaterialization(raw_key(dataset.name), metadata=metadata))
                else:
                    yield dg.MaterializeResult(raw_key(dataset.name), metadata=metadata)
        if failed:
            raise dg.Failure(
                description=failures(outcomes),
                metadata={"failed": dg.MetadataValue.table([fault_row(outcome) for outcome in failed])},
                allow_retries=False,
            )

    return ask_apis


def heard_assets(settings: Settings, progress: Progress) -> dg.AssetsDefinition:
    """What the collector has heard, hour by hour, once the hour is over."""

    @dg.multi_asset(
        name="seal_spool",
        specs=[_spec(dataset, FEED_KEY, settings) for dataset in _HEARD],
        can_subset=False,
        pool="spool",
    )
    def seal_spool(storage: dg.ResourceParam[StorageResource]) -> Any:
        if not settings.spool_dir.is_dir():
            return
        from ingestion.live.seal import seal

        sealed = seal(settings.spool_dir, storage.raw_zone(), now=datetime.now(UTC))
        for dataset in _HEARD:
            of_it = [one for one in sealed if one.dataset == dataset.name]
            if of_it:
                yield dg.MaterializeResult(raw_key(dataset.name), metadata=sealed_metadata(of_it))

    return seal_spool


def asked_metadata(outcomes: "Sequence[Outcome]") -> Mapping[str, Any]:
    """What the objects hold that were brought up to date, and how many hours of them."""
    receipts = [outcome.receipt for outcome in outcomes if outcome.receipt is not None]
    return {
        "dagster/row_count": sum(receipt.rows for receipt in receipts),
        "windows": sum(len(receipt.sources) for receipt in receipts),
        "hours": sum(len(receipt.covered_minutes) for receipt in receipts) or None,
        "markets": sorted({f"{receipt.venue}:{receipt.symbol}" for receipt in receipts}),
        "days": sorted({receipt.period for receipt in receipts}),
        "objects": {str(outcome.task.object_id): outcome.status for outcome in outcomes},
    }


def failures(outcomes: "Sequence[Outcome]") -> str:
    """Every fault with the objects that it concerns, one per line: a venue that refuses says so for all of them."""
    failed: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.status == "failed":
            failed.setdefault(str(outcome.error), []).append(str(outcome.task))
    count = sum(map(len, failed.values()))
    head = f"{count} of {len(outcomes)} objects failed; the other {len(outcomes) - count} are in the raw zone"
    named = (f"{tasks[0]}{f' and {len(tasks) - 1} more' if len(tasks) > 1 else ''}" for tasks in failed.values())
    return "\n".join([head, *(f"{name}: {fault}" for name, fault in zip(named, failed, strict=True))])


def sealed_metadata(sealed: "Sequence[Sealed]") -> Mapping[str, Any]:
    """Rows and hours that were sealed, and what could not be used: torn in the hours, the rest in their days so far."""
    return {
        "rows": sum(one.rows for one in sealed),
        "hours": sorted({hour for one in sealed for hour in one.hours}),
        "torn_bytes": sum(one.torn_bytes for one in sealed),
        "malformed_messages": sum(one.receipt.malformed_messages for one in sealed),
        "misdated_rows": sum(one.receipt.misdated_rows for one in sealed),
        "markets": sorted({one.market_id for one in sealed}),
        "days": sorted({str(one.day) for one in sealed}),
    }


def _kept_some(outcome: "Outcome") -> bool:
    """A failed object of which hours came before the failure."""
    return outcome.status == "failed" and outcome.bytes_downloaded > 0


def _spec(dataset: Dataset, source: dg.AssetKey, settings: Settings) -> dg.AssetSpec:
    whose = "venue" if dataset.is_venue_wide else "market"
    return dg.AssetSpec(
        raw_key(dataset.name),
        deps=[source],
        group_name="raw",
        kinds={"python", "parquet"},
        owners=OWNERS,
        tags={"span": "day"},
        # Nothing new is no event: a build that finds nothing to do is not worth its minute.
        skippable=True,
        description=simulated_label(settings)
        + f"{dataset.description} One Parquet file and receipt per {whose} and UTC day, growing by the hour.",
        metadata={"dagster/column_schema": column_schema(dataset)},
    )
