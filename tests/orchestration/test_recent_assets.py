"""Today as Dagster sees it: what was fetched from APIs and what the collector received, as assets, jobs, sensors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pytest

from ingestion.live.seal import Sealed
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone, Receipt
from orchestration.automation.seal_finished_hours import seal_decision
from orchestration.config.settings import Settings, load_settings
from orchestration.defs.raw import raw_key
from orchestration.defs.recent import API_DATASET_KEYS, FEED_DATASET_KEYS, api_assets, feed_assets
from orchestration.progress import Progress
from orchestration.resources import ApiResource, StorageResource
from orchestration.state.locks import Workplace
from tests.support.venue_http import Planned, VenueServer

NOW = datetime(2026, 3, 2, 5, 20, tzinfo=UTC)


@pytest.fixture
def venue() -> Iterator[VenueServer]:
    with VenueServer(every=600).running() as server:
        yield server


@pytest.fixture
def here(tmp_path: Path, venue: VenueServer) -> Settings:
    """Bitcoin at two venues, one of which has an archive (empty here), both with their api on loopback."""
    return load_settings(
        markets="binance_um:BTCUSDT,okx:BTC-USDT-SWAP",
        archive_url=(tmp_path / "archive").as_uri(),
        storage_url=str(tmp_path / "var"),
        venue_urls=f"binance_um.rest={venue.url},okx.rest={venue.url}",
    )


@pytest.fixture
def instance(tmp_path: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral(str(tmp_path / "dagster"))


def ingest(
    settings: Settings, instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey] = API_DATASET_KEYS
) -> dg.ExecuteInProcessResult:
    definitions = dg.Definitions(
        assets=[
            api_assets(settings.scope, settings.paths.spool),
            feed_assets(settings.scope, settings.paths.spool),
        ],
        jobs=[dg.define_asset_job("today", selection=[*API_DATASET_KEYS, *FEED_DATASET_KEYS])],
        resources={
            "apis": ApiResource(settings.endpoints, settings.paths.bans),
            "storage": StorageResource(settings.storage),
            "progress": Progress(),
            "workplace": Workplace(settings.paths),
        },
        executor=dg.in_process_executor,
    )
    return definitions.resolve_job_def("today").execute_in_process(
        instance=instance, asset_selection=list(keys), raise_on_error=False
    )


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key}


def stored(settings: Settings) -> set[str]:
    keys = [found.key for found in RawZone(open_store(settings.storage_url)).store.list("raw")]
    return {key.split("/")[1] for key in keys if key.endswith("data.parquet")}


def test_one_step_fetches_everything_and_reports_what_it_stored(here: Settings, instance: dg.DagsterInstance) -> None:
    result = ingest(here, instance)
    assert result.success
    assert materialized(result) == {"restKlines", "restTrades", "takerRatio", "instruments"} == stored(here)
    event = instance.get_latest_materialization_event(raw_key("restTrades"))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["markets"].value == ["binance_um:BTCUSDT", "okx:BTC-USDT-SWAP"]
    assert {"dagster/row_count", "hours", "days", "objects"} <= metadata.keys()


def test_nothing_new_is_no_event_so_that_nothing_is_built(here: Settings, instance: dg.DagsterInstance) -> None:
    ingest(here, instance)
    again = ingest(here, instance)
    assert again.success
    # Unless an hour has ended in between.
    assert materialized(again) <= {"restKlines", "restTrades", "takerRatio"}
    assert "instruments" not in materialized(again)


def test_a_part_of_it_can_be_requested(here: Settings, instance: dg.DagsterInstance, venue: VenueServer) -> None:
    result = ingest(here, instance, [raw_key("instruments")])
    assert materialized(result) == {"instruments"}
    assert not venue.requested("/aggTrades")


def test_a_venue_that_refuses_fails_the_step_and_the_data_of_others_is_news(
    here: Settings, instance: dg.DagsterInstance, venue: VenueServer
) -> None:
    venue.plan("/fapi/v1/exchangeInfo", Planned(418, {"code": -1003, "msg": "banned"}, Retry_After="600"))
    result = ingest(here, instance)
    assert not result.success
    events = instance.get_latest_materialization_events(API_DATASET_KEYS)
    assert {key.path[-1] for key, event in events.items() if event} == {"instruments", "restTrades"}
    (failure,) = result.get_step_failure_events()
    stated = failure.step_failure_data.user_failure_data
    assert stated is not None
    assert stated.description is not None
    assert "failed" in stated.metadata
    assert stated.description.count("binance_um has banned") == 1
    assert "binance_um:ALL instruments" in stated.description
    assert "binance_um has banned this address (HTTP 418: too many requests (-1003: banned)) for 10 min" in (
        stated.description
    )
    assert here.paths.bans.is_file()


@pytest.mark.parametrize("where", ["spool/bybit", "spool/sealed/bybit", "sealed in the raw zone"])
def test_the_contracts_of_a_venue_that_was_collected_are_requested_too(
    here: Settings, instance: dg.DagsterInstance, venue: VenueServer, where: str
) -> None:
    settings = here.model_copy(update={"venue_urls": {**here.venue_urls, "bybit.rest": venue.url}})
    key = "raw/liquidations/venue=bybit/symbol=ALL/day=2026-03-01/_receipt.json"
    left = "2026-03-01T04.1.spool" if "spool" in where else key
    path = settings.state_dir / where / left if "spool" in where else settings.state_dir / left
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert ingest(settings, instance, [raw_key("instruments")]).success
    folder = settings.state_dir / "raw/instruments"
    assert sorted(found.name for found in folder.iterdir()) == ["venue=binance_um", "venue=bybit", "venue=okx"]


def test_a_venue_whose_feed_is_redirected_is_not_called_at_its_own_address(here: Settings) -> None:
    assert set(here.endpoints.rest_urls_with(["bybit"])) == {"binance_um", "okx", "bybit"}
    elsewhere = here.model_copy(update={"venue_urls": {**here.venue_urls, "bybit.live": "ws://127.0.0.1:9"}})
    assert set(elsewhere.endpoints.rest_urls_with(["bybit"])) == {"binance_um", "okx"}
    assert set(elsewhere.model_copy(update={"rest": "off"}).endpoints.rest_urls_with(["bybit"])) == set()


def test_without_an_api_that_may_be_called_nothing_happens(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    mirrored = load_settings(archive_url=(tmp_path / "archive").as_uri(), storage_url=str(tmp_path / "var"))
    assert mirrored.endpoints.rest_urls == {}
    result = ingest(mirrored, instance)
    assert result.success
    assert materialized(result) == set()


# ---- what the collector received


def sealed(hour: str) -> Sealed:
    day = date(2026, 3, 2)
    receipt = Receipt("liquidations", "okx", "ALL", "", f"{day}", "stored", day, day, NOW, 1)
    receipt = replace(receipt, rows=7, malformed_messages=2, misdated_rows=1)
    return Sealed("okx", "liquidations", "okx:ALL", day, (hour,), 7, 3, receipt)


@pytest.fixture
def sealing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A sealer with given results; the real one has tests of its own."""

    def answer(*, sealed: Sequence[Sealed] = (), finished: Sequence[Any] = ()) -> None:
        seal = ModuleType("ingestion.live.seal")
        seal.__dict__["seal"] = lambda spool, zone, **how: list(sealed)
        seal.__dict__["finished_hours"] = lambda spool, *, now: list(finished)
        if "ingestion.live" not in sys.modules:
            monkeypatch.setitem(sys.modules, "ingestion.live", ModuleType("ingestion.live"))
        monkeypatch.setitem(sys.modules, "ingestion.live.seal", seal)

    return answer


def test_sealed_hours_are_materialized_by_dataset(
    here: Settings, instance: dg.DagsterInstance, sealing: Callable[..., None]
) -> None:
    here.paths.spool.mkdir(parents=True)
    sealing(sealed=[sealed(hour) for hour in ("04", "05")])
    result = ingest(here, instance, FEED_DATASET_KEYS)
    assert result.success
    assert materialized(result) == {"liquidations"}
    event = instance.get_latest_materialization_event(raw_key("liquidations"))
    assert event is not None
    assert event.asset_materialization is not None
    names = ("rows", "hours", "torn_bytes", "malformed_messages", "misdated_rows")
    found = {name: event.asset_materialization.metadata[name].value for name in names}
    assert found == {"rows": 14, "hours": ["04", "05"], "torn_bytes": 6, "malformed_messages": 4, "misdated_rows": 2}


def test_without_a_collector_there_is_nothing_to_seal(here: Settings, instance: dg.DagsterInstance) -> None:
    result = ingest(here, instance, FEED_DATASET_KEYS)
    assert result.success
    assert materialized(result) == set()
    decision = seal_decision(here.paths.spool, NOW)
    assert isinstance(decision, dg.SkipReason)
    assert "taker collect" in str(decision.skip_message)


def test_a_finished_hour_is_sealed_once_and_again_only_when_another_ends(
    here: Settings, sealing: Callable[..., None]
) -> None:
    here.paths.spool.mkdir(parents=True)
    sealing()
    assert isinstance(seal_decision(here.paths.spool, NOW), dg.SkipReason)
    keys = []
    for finished in (["okx 04"], ["okx 04"], ["okx 04", "okx 05"]):
        sealing(finished=finished)
        decision = seal_decision(here.paths.spool, NOW)
        assert isinstance(decision, dg.RunRequest)
        assert decision.asset_selection == list(FEED_DATASET_KEYS)
        keys.append(decision.run_key)
    assert keys[0] == keys[1] != keys[2]
