"""Raw assets: partitions in, receipts out; a broken file spoils its own partition and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ingestion.archive import Outcome, plan
from ingestion.domain.datasets import DATASETS
from ingestion.domain.errors import ArchiveUnavailable, IngestionError, StorageError, VenueRefused, VenueUnavailable
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market
from orchestration.config.settings import Settings
from orchestration.defs.partitions import range_tags
from orchestration.defs.raw import (
    WHEN_A_VENUE_IS_DOWN,
    archive_source,
    column_schema,
    failure,
    ingest_config,
    raw_assets,
    raw_key,
)
from orchestration.defs.recent import api_assets
from orchestration.progress import Progress
from orchestration.resources import ArchiveResource, StorageResource
from orchestration.state.locks import Workplace
from tests.support.archives import ArchiveFolder

DAYS = [date(2024, 1, day) for day in (1, 2, 3)]
AGG_TRADES = raw_key("aggTrades")


def ingest(
    settings: Settings,
    instance: dg.DagsterInstance,
    first: date = DAYS[0],
    last: date = DAYS[-1],
    config: Mapping[str, Any] | None = None,
) -> dg.ExecuteInProcessResult:
    definitions = dg.Definitions(
        assets=raw_assets(settings.scope),
        jobs=[dg.define_asset_job("ingest", selection=[AGG_TRADES])],
        resources={
            "archive": ArchiveResource(settings.endpoints),
            "storage": StorageResource(settings.storage),
            "progress": Progress(),
            "workplace": Workplace(settings.paths),
        },
        executor=dg.in_process_executor,
    )
    return definitions.resolve_job_def("ingest").execute_in_process(
        instance=instance,
        asset_selection=[AGG_TRADES],
        tags=range_tags(first.isoformat(), last.isoformat()),
        run_config=config or {},
        raise_on_error=False,
    )


def materialized(instance: dg.DagsterInstance) -> set[str]:
    return set(instance.get_materialized_partitions(AGG_TRADES))


def labels(days: Sequence[date]) -> set[str]:
    return {day.isoformat() for day in days}


@pytest.fixture
def instance(tmp_path: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral(str(tmp_path / "dagster"))


DOWN = ArchiveUnavailable("archive.example did not answer")


@pytest.mark.parametrize(
    ("error", "tags", "is_tried_again"),
    [
        (DOWN, {"dagster/schedule_name": "daily_ingest"}, True),
        (DOWN, {"dagster/backfill": "abc"}, True),
        (VenueUnavailable("api.example did not answer"), {"dagster/sensor_name": "changed_source_files"}, True),
        (DOWN, {}, False),  # a person waits
        (VenueRefused("api.example refuses this address"), {"dagster/schedule_name": "hourly_today"}, False),
        (StorageError("the disk is full"), {"dagster/schedule_name": "daily_ingest"}, False),
    ],
)
def test_a_server_that_is_down_is_tried_again_where_no_person_waits(
    error: IngestionError, tags: dict[str, str], is_tried_again: bool
) -> None:
    (task,) = plan(DATASETS["aggTrades"], parse_market("binance_um:BTCUSDT"), DAYS[0], DAYS[0])
    assert failure("text", [Outcome(task, "failed", None, error)], tags).allow_retries is is_tried_again


def test_every_asset_that_reaches_a_venue_may_be_tried_again(settings: Settings) -> None:
    for asset in (*raw_assets(settings.scope), api_assets(settings.scope, settings.paths.spool)):
        assert asset.op.retry_policy == WHEN_A_VENUE_IS_DOWN


def test_a_range_is_one_run_with_metadata_for_each_day(
    settings: Settings, archive_folder: ArchiveFolder, instance: dg.DagsterInstance
) -> None:
    for day in DAYS:
        archive_folder.agg_trades(day)
    assert ingest(settings, instance).success
    assert materialized(instance) == labels(DAYS)
    latest = instance.get_latest_materialization_event(AGG_TRADES)
    assert latest is not None
    assert latest.asset_materialization is not None
    metadata = latest.asset_materialization.metadata
    assert metadata["dagster/partition_row_count"].value == 5
    assert {"bytes", "id_gaps", "duplicate_rows", "zero_rows", "objects"} <= metadata.keys()


def test_a_day_without_a_file_at_the_venue_is_a_fact_and_no_failure(
    settings: Settings, archive_folder: ArchiveFolder, instance: dg.DagsterInstance
) -> None:
    archive_folder.agg_trades(DAYS[0])
    assert ingest(settings, instance).success
    zone = RawZone(open_store(settings.storage_url))
    assert zone.write_index()["status"].to_pylist() == ["stored", "absent", "absent"]


def test_a_file_that_cannot_be_used_is_a_fact_of_its_partition_and_fails_nothing(
    settings: Settings, archive_folder: ArchiveFolder, instance: dg.DagsterInstance
) -> None:
    archive_folder.put_bytes(f"data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-{DAYS[0]}.zip", b"no zip")
    assert ingest(settings, instance, DAYS[0], DAYS[0]).success
    assert materialized(instance) == labels(DAYS[:1])
    latest = instance.get_latest_materialization_event(AGG_TRADES)
    assert latest is not None
    assert latest.asset_materialization is not None
    (refused,) = latest.asset_materialization.metadata["refused"].value.items()
    assert refused[0] == "binance_um:BTCUSDT aggTrades 2024-01-01"
    assert "is not a readable zip" in str(refused[1])


def test_what_could_not_be_fetched_is_reported_at_the_end_and_the_other_days_are_stored(
    settings: Settings, archive_folder: ArchiveFolder, instance: dg.DagsterInstance
) -> None:
    for day in DAYS:
        archive_folder.agg_trades(day)
    gone = f"data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-{DAYS[1]}.zip"
    (archive_folder.root / gone).unlink()  # its checksum stays: the archive is inconsistent just now
    result = ingest(settings, instance)
    assert not result.success
    assert materialized(instance) == labels([DAYS[0], DAYS[2]])
    (failure,) = result.get_step_failure_events()
    stated = failure.step_failure_data.user_failure_data
    assert stated is not None
    assert stated.description is not None
    assert "1 of 3 objects failed; the other 2 are in the raw zone" in stated.description
    assert "binance_um:BTCUSDT aggTrades 2024-01-02" in stated.description


def test_run_config_limits_the_days_of_the_partitions_that_are_requested(
    settings: Settings, archive_folder: ArchiveFolder, instance: dg.DagsterInstance
) -> None:
    for day in DAYS:
        archive_folder.agg_trades(day)
    assert ingest(settings, instance, config=ingest_config(["aggTrades"], DAYS[1], DAYS[1])).success
    index = RawZone(open_store(settings.storage_url)).write_index()
    assert index["day"].to_pylist() == [DAYS[1]]


def test_the_archive_shows_where_each_venues_files_are(settings: Settings) -> None:
    several = settings.model_copy(
        update={"markets": tuple(map(parse_market, ("binance_um:BTCUSDT", "bybit:BTCUSD", "okx:BTC-USDT-SWAP")))}
    )
    shown = {
        name: value.value for name, value in archive_source(several.endpoints, is_simulated=False).metadata.items()
    }
    assert shown == {
        "binance_um_url": settings.archive_url,
        "bybit_url": "https://public.bybit.com",
        "okx_url": "https://static.okx.com/cdn/okex",
    }


def test_the_columns_shown_are_those_of_the_dataset() -> None:
    schema = column_schema(DATASETS["aggTrades"])
    assert [column.name for column in schema.columns] == [column.name for column in DATASETS["aggTrades"].columns]
    assert all(column.description for column in schema.columns)
