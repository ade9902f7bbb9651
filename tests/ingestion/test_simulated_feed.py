"""The simulated exchange's feed: its messages, and the real collector that receives a day of them on loopback."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ingestion.live.seal import Sealed, seal
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from ingestion.simulator.feed import feed_file, replay
from ingestion.simulator.simulated import SimulationSummary, simulate

LAST_DAY = date(2026, 2, 10)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> SimulationSummary:
    return simulate(tmp_path_factory.mktemp("archive"), last_day=LAST_DAY, days=7, trades_days=7, rows_per_day=240)


@pytest.fixture(scope="module")
def received(archive: SimulationSummary, tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    root = tmp_path_factory.mktemp("received")
    replay(archive.root, LAST_DAY, root / "spool")
    (sealed,) = seal(root / "spool", RawZone(open_store(root)), now=datetime(2026, 2, 12, tzinfo=UTC))
    return sealed


def sent(archive: SimulationSummary) -> list[dict[str, str]]:
    lines = feed_file(archive.root, LAST_DAY).read_text().splitlines()
    return [json.loads(line)["message"]["data"]["o"] for line in lines]


def test_the_feed_has_the_forced_orders_of_every_market_within_the_last_day(archive: SimulationSummary) -> None:
    orders = sent(archive)
    assert {order["s"] for order in orders} == {"BTCUSDT", "BTCUSD_PERP", "ETHUSDT"}
    assert {datetime.fromtimestamp(int(order["T"]) / 1000, UTC).date() for order in orders} == {LAST_DAY}


def test_what_is_received_outside_the_silent_minutes_is_every_order(
    archive: SimulationSummary, received: Sealed
) -> None:
    silent = [order for order in sent(archive) if 190 <= int(order["T"]) // 60_000 % 1440 < 211]
    assert silent
    assert received.rows == len(sent(archive)) - len(silent)
    assert received.receipt.malformed_messages == received.receipt.misdated_rows == 0


def test_silent_minutes_are_not_covered_and_all_others_are_but_the_last(received: Sealed) -> None:
    minutes = dict(received.receipt.covered_minutes)
    # 03:09 is not proven: what follows it comes after the silence. Neither is 23:59: nothing follows it.
    assert minutes.pop(f"{LAST_DAY}T03") == 60 - 21 - 1
    assert minutes.pop(f"{LAST_DAY}T23") == 59
    assert set(minutes.values()) == {60}
    assert len(minutes) == 22


def test_a_market_without_files_of_liquidations_has_them_in_the_feed_only(archive: SimulationSummary) -> None:
    files = [path.name for path in (archive.root / "data").rglob("*liquidationSnapshot*.zip")]
    assert any(name.startswith("BTCUSDT") for name in files)
    assert not any(name.startswith("ETHUSDT") for name in files)


def test_an_earlier_archive_s_messages_do_not_stay(tmp_path: Path) -> None:
    for day in (LAST_DAY, date(2026, 2, 11)):
        simulate(tmp_path, last_day=day, days=7, trades_days=7, rows_per_day=240)
    assert [path.name for path in (tmp_path / "feed").iterdir()] == ["2026-02-11.jsonl"]
