"""Sealing from several state folders into one storage: one at a time, and `taker seal`.

Belongs here: who waits for whom. Does not: what a day of two collectors holds (`tests/ingestion/test_collectors.py`).
"""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion.domain.markets import Market
from ingestion.domain.periods import Period
from ingestion.raw.s3 import S3Options
from ingestion.raw.stores import open_store
from ingestion.raw.zone import ObjectId, RawZone
from orchestration.config.paths import Paths
from orchestration.config.storage import Storage
from orchestration.defs.recent import SEALING, seal_spool_of
from orchestration.resources import StorageResource
from orchestration.state.exclusive import TakenOver, alone_on
from orchestration.state.locks import Busy, Workplace
from tests.support import messages
from tests.support.commands import Taker
from tests.support.spooling import NOON, ms, received, spooled

ORDERS = ObjectId("liquidations", Market.whole_venue("binance_um"), "", Period.of_day(NOON.date()))
LONG = 60.0


def collected(folder: Path, name: str, second: int) -> Path:
    at = NOON + timedelta(seconds=second)
    spooled(folder / name / "spool", received(messages.force_order(at=ms(at)), at), collector=name)
    return folder / name


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.xdist_group("s3"))])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return Storage(str(tmp_path / "storage"))
    options: S3Options = request.getfixturevalue("seaweedfs")
    return Storage(
        request.getfixturevalue("s3_url"),
        endpoint_url=options.endpoint_url,
        region=options.region,
        access_key_id=options.access_key_id,
        secret_access_key=secret(options),
    )


def secret(options: S3Options) -> Any:
    from pydantic import SecretStr

    return SecretStr(options.secret_access_key or "")


def test_of_two_that_seal_at_once_one_waits_and_neither_loses_an_event(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = collected(tmp_path, "tokyo", 1), collected(tmp_path, "paris", 2)
    is_storing, other_acts = threading.Event(), threading.Event()
    put = RawZone.put

    def slow(zone: RawZone, *arguments: Any) -> Any:
        """Of the first one: it has read the day, and stores it only when the other one waits, or has stored it too."""
        if threading.current_thread().name == "tokyo":
            is_storing.set()
            assert other_acts.wait(LONG)
        return put(zone, *arguments)

    monkeypatch.setattr(RawZone, "put", slow)

    def seal(state: Path) -> None:
        resource = StorageResource(storage)
        seal_spool_of(state / "spool", resource, Workplace(Paths(state), LONG), lambda text: other_acts.set())
        other_acts.set()

    threads = [threading.Thread(target=seal, args=(state,), name=state.name) for state in (first, second)]
    threads[0].start()
    assert is_storing.wait(LONG)
    threads[1].start()
    for thread in threads:
        thread.join(LONG)
    zone = StorageResource(storage).raw_zone()
    assert zone.rows(ORDERS).num_rows == 2
    receipt = zone.receipt(ORDERS)
    assert receipt is not None
    assert len(receipt.sources) == 2


def test_who_seals_states_for_whom_it_waits_and_gives_up_in_the_end(tmp_path: Path) -> None:
    state, resource = collected(tmp_path, "tokyo", 1), StorageResource(Storage(str(tmp_path / "storage")))
    with (
        alone_on(resource.store(), SEALING, wait=0, run_id="run-1"),
        pytest.raises(Busy, match=r"the sealing into .*raw is in use by .*run run-1"),
    ):
        seal_spool_of(state / "spool", resource, Workplace(Paths(state), 0), pytest.fail)


def test_one_that_was_overtaken_stores_nothing_more_and_keeps_its_spool(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not storage.is_s3:
        pytest.skip("the lock of a folder does not lapse")
    state, resource = collected(tmp_path, "tokyo", 1), StorageResource(storage)
    monkeypatch.setattr("orchestration.state.exclusive.LAPSED_AFTER", 0.0)
    with pytest.raises(TakenOver, match=r"the sealing into .* stays in its spool. Run the same command again"):
        seal_spool_of(state / "spool", resource, Workplace(Paths(state), 0), pytest.fail)
    assert resource.raw_zone().receipt(ORDERS) is None
    assert list((state / "spool" / "binance_um").iterdir())


def test_the_command_seals_without_a_build(tmp_path: Path) -> None:
    state = collected(tmp_path, "tokyo", 1)
    taker = Taker(state, {"TAKER_STORAGE_URL": str(tmp_path / "storage"), "TAKER_STATE_DIR": str(state)})
    assert "binance_um:ALL liquidations 2026-09-21: 1 hours added, 1 rows" in taker.run("seal").stdout
    assert "no hour has ended that is not sealed yet" in taker.run("seal").stdout
    assert RawZone(open_store(tmp_path / "storage")).rows(ORDERS).num_rows == 1
    assert not (state / "warehouse.duckdb").exists()
