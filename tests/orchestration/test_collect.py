"""`taker collect` as a process: what a kill -9 costs, how it stops, what it refuses, what it prints."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.domain.datasets import INSTRUMENTS
from ingestion.domain.errors import IngestionError
from ingestion.domain.markets import Market
from ingestion.domain.periods import Period
from ingestion.live.seal import seal
from ingestion.live.spool import CoveredMinute, SpoolReader, is_held, segments
from ingestion.live.status import read_status
from ingestion.raw.stores import open_store
from ingestion.raw.zone import ObjectId, RawZone, Receipt
from orchestration.config.settings import load_settings
from orchestration.runs.collection import collect, instruments
from tests.support import messages
from tests.support.collecting import collecting
from tests.support.venue_http import Planned
from tests.support.venue_http import VenueServer as ApiServer
from tests.support.venue_server import VenueServer, wait_for


@pytest.fixture
def venue() -> Iterator[VenueServer]:
    with VenueServer().running() as server:
        yield server


def quantities(spool: Path) -> list[int]:
    """The number that each spooled message carries, in order."""
    found = []
    for segment in segments(spool):
        for record in SpoolReader(segment.path):
            if not isinstance(record, CoveredMinute):
                found.append(int(json.loads(record.message)["data"]["o"]["z"]))
    return found


def torn_bytes(path: Path) -> int:
    """What follows the last whole record of a file."""
    reader = SpoolReader(path)
    for _ in reader:
        pass
    return reader.torn_bytes


def test_after_a_kill_records_are_whole_and_the_next_run_goes_on(tmp_path: Path, venue: VenueServer) -> None:
    spool, at = tmp_path / "spool", time.time_ns() // 1_000_000
    number = 0

    def say(count: int) -> None:
        nonlocal number
        for _ in range(count):
            number += 1
            venue.say(messages.force_order(at=at + number, z=str(number)))

    with collecting(tmp_path, venue.url) as first:
        first.prints("binance_um: connected")
        say(200)
        wait_for(lambda: len(quantities(spool)) >= 200, "the first two hundred on disk")
        say(200)
        wait_for(lambda: len(quantities(spool)) >= 400, "two hundred more")
        say(5)
        assert first.ended(signal.SIGKILL) == -signal.SIGKILL
    assert read_status(spool).stopped_at is None
    kept = quantities(spool)
    # How long a record may be in memory alone: tests/ingestion/test_spool.py.
    assert kept == [*range(1, len(kept) + 1)]

    # A kill may have torn a record in the middle of its write, or not: here the tail is always torn.
    *_, open_file = (segment.path for segment in segments(spool))
    with open_file.open("ab") as file:
        file.write(b"\x99\x00\x00\x00\x01torn")
    torn = torn_bytes(open_file)
    assert torn >= 9
    with collecting(tmp_path, venue.url) as second:
        second.prints("binance_um: connected")
        say(3)
        assert second.ended(signal.SIGTERM) == 0
    zone = RawZone(open_store(tmp_path))
    sealed = seal(spool, zone, now=datetime.now(UTC) + timedelta(hours=2))
    assert sum(each.rows for each in sealed) == len(kept) + 3
    assert sum(each.torn_bytes for each in sealed) == torn
    assert seal(spool, zone, now=datetime.now(UTC) + timedelta(hours=2)) == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_stop_leaves_everything_on_disk(tmp_path: Path, venue: VenueServer, signum: signal.Signals) -> None:
    at = time.time_ns() // 1_000_000
    with collecting(tmp_path, venue.url) as running:
        running.prints("binance_um: connected")
        venue.say(*(messages.force_order(at=at + n, z=str(n)) for n in range(500)))
        assert running.ended(signum) == 0
        assert "messages received, all of them on disk" in running.lines[-1]
    received = quantities(tmp_path / "spool")
    assert received == [*range(500)]
    assert "stopped; 500 messages" in running.lines[-1]
    assert [segment.path.suffix for segment in segments(tmp_path / "spool")] == [".spool"]
    assert not is_held(tmp_path / "spool")
    status = read_status(tmp_path / "spool")
    assert status.pid == running.process.pid
    assert status.stopped_at is not None
    assert status.connections[0].is_venue_wide


def test_a_second_collector_refuses_with_a_sentence(tmp_path: Path, venue: VenueServer) -> None:
    with collecting(tmp_path, venue.url) as first:
        first.prints("binance_um: connected")
        with collecting(tmp_path, venue.url) as second:
            assert second.ended() == 1
        assert f"already writing to {tmp_path}/spool (process {first.process.pid})" in second.lines[-1]
        assert first.process.poll() is None


def test_a_bounded_run_that_reached_no_venue_fails_with_the_next_step(tmp_path: Path) -> None:
    with VenueServer().running() as gone:
        url = gone.url
    with collecting(tmp_path, url, "--seconds", "1") as running:
        assert running.ended() == 1
    assert "no venue could be reached in 1 s" in running.lines[-1]
    assert any("trying again in" in line for line in running.lines)


def test_a_bounded_run_that_received_something_succeeds(tmp_path: Path, venue: VenueServer) -> None:
    with collecting(tmp_path, venue.url, "--seconds", "1.5", "--trades") as running:
        assert running.ended() == 0
    assert any("binance_um trades: connected" in line for line in running.lines)


@pytest.mark.parametrize(
    ("venues", "every_symbol", "sentence"),
    [
        ("kraken", False, "`kraken` is no venue with a feed; write one or more of binance_um"),
        ("bybit", False, "there is nothing to subscribe to"),
        ("bybit", True, "no list of its contracts was stored in the last week, and its REST API is off"),
    ],
)
def test_what_cannot_be_subscribed_to_is_reported(
    tmp_path: Path, venues: str, every_symbol: bool, sentence: str
) -> None:
    settings = load_settings(storage_url=str(tmp_path), rest="off")
    with pytest.raises(IngestionError, match=sentence):
        collect(settings, trades=False, venues=venues, every_symbol=every_symbol, seconds=1)


def test_the_list_of_symbols_is_requested_where_none_is_stored_and_only_once(tmp_path: Path) -> None:
    with ApiServer().running() as api:
        settings = load_settings(storage_url=str(tmp_path), venue_urls=f"bybit.rest={api.url}")
        found = instruments(settings, {"bybit": "ws://host"})
        again = instruments(settings, {"bybit": "ws://host"})
        requests = api.requested("/instruments-info")
    assert "bybit:BTCUSDT" in [market.market_id for market in found]
    assert found == again
    assert set(tmp_path.glob("raw/*")) == {tmp_path / "raw/instruments"}
    assert len(requests) == 3  # two pages of linear ones, one of inverse ones


def test_a_venue_that_does_not_list_its_contracts_is_reported(tmp_path: Path) -> None:
    with ApiServer().running() as api:
        api.plan("/instruments-info", Planned(451, {"retCode": 0, "retMsg": "no"}))
        settings = load_settings(storage_url=str(tmp_path), venue_urls=f"bybit.rest={api.url}")
        with pytest.raises(IngestionError, match=r"requested now: .*HTTP 451.*leave out --every-symbol"):
            instruments(settings, {"bybit": "ws://host"})


def test_every_symbol_is_what_the_venue_listed_last_and_still_trades(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    zone = RawZone(open_store(tmp_path))
    venue = Market.whole_venue("bybit")
    object_id = ObjectId("instruments", venue, "", Period.of_day(now.date() - timedelta(days=1)))
    same = {"observed_at": now, "base_asset": "", "quote_asset": "", "contract_type": "linear", "contract_size": 1}
    rows = [
        {"symbol_name": symbol, "is_trading": trading, "listed_at": None} | same
        for symbol, trading in [("BTCUSDT", True), ("LUNAUSDT", False), ("ETHUSD", True), ("odd symbol", True)]
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=INSTRUMENTS.schema), tmp_path / "rows.parquet")
    day = object_id.period.first_day
    receipt = Receipt("instruments", "bybit", "ALL", "", f"{day}", "stored", day, day, now, 1)
    zone.put(object_id, tmp_path / "rows.parquet", receipt)
    found = instruments(load_settings(storage_url=str(tmp_path)), {"bybit": "ws://host", "okx": "ws://host"})
    assert [market.market_id for market in found] == ["bybit:BTCUSDT", "bybit:ETHUSD"]
