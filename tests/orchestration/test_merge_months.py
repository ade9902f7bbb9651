"""`taker merge-months` states what it merged, what not and why, and how many files there were and are.

Belongs here: the command's text and exit codes. Does not: merging (`tests/ingestion/test_merging.py`).
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingestion.archive import ingest, plan
from ingestion.domain.datasets import AGG_TRADES
from ingestion.domain.periods import days_between
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market
from orchestration.cli.app import app
from orchestration.state.kernel import try_lock
from tests.support.archives import ArchiveFolder, archives_at

BTC = "binance_um:BTCUSDT"
FIRST, LAST = date(2024, 1, 1), date(2024, 2, 3)


@pytest.fixture
def storage(tmp_path: Path, archive_folder: ArchiveFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A storage with the trades of January and of three days of February."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAKER_STORAGE_URL", str(tmp_path / "var"))
    for day in days_between(FIRST, LAST):
        archive_folder.agg_trades(day)
    zone = RawZone(open_store(tmp_path / "var"))
    tasks = plan(AGG_TRADES, parse_market(BTC), FIRST, LAST)
    ingest(tasks, archives=archives_at(archive_folder.url), zone=zone, now=datetime(2024, 6, 1, tzinfo=UTC))
    return tmp_path / "var"


def stated(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["merge-months", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_it_states_what_was_merged_and_what_was_not_and_why(storage: Path) -> None:
    series, left = f"{BTC} aggTrades", "26 of its days were never requested, the first is 2024-02-04"
    assert stated("--dry-run").splitlines() == [
        f"{series} 2024-01: would be merged, 62 to 2 files",
        f"not merged {series} 2024-02: {left}",
        "1 months to merge, 0 already merged, 0 not settled yet, 1 not merged; 68 to 8 files of data and receipts",
    ]
    assert stated().splitlines() == [
        f"{series} 2024-01: merged, 62 to 2 files",
        f"not merged {series} 2024-02: {left}",
        "1 months merged, 0 already merged, 0 not settled yet, 1 not merged; 68 to 8 files of data and receipts",
    ]
    assert stated().splitlines()[-1] == (
        "0 months merged, 1 already merged, 0 not settled yet, 1 not merged; 8 to 8 files of data and receipts"
    )


def test_files_that_builds_elsewhere_may_read_stay_as_long_as_is_stated(storage: Path) -> None:
    assert stated("--keep", "24h").splitlines()[-1] == (
        "31 files of merged days stay until builds that began before have ended; run the same command again after that "
        "to remove them"
    )
    facts = json.loads(stated("--keep", "24h", "--json"))
    assert facts["waiting"] == 31
    stated("--keep", "0h")
    assert len(list(storage.glob("raw/aggTrades/**/date=2024-01-*"))) == 0


def test_months_that_ended_too_lately_and_other_markets_and_datasets_stay(storage: Path) -> None:
    for arguments in (("--older-than", "99999d"), ("--markets", "binance_um:ETHUSDT"), ("--datasets", "metrics")):
        assert "1 months merged" not in stated(*arguments)
    assert len(list(storage.glob("raw/aggTrades/**/data.parquet"))) == 34


def test_another_market_s_files_and_an_empty_storage_are_stated_as_such(
    storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = "there are no daily files to merge; `taker status` shows what is stored"
    assert stated("--dry-run", "--markets", "simulated:BTCUSDT").splitlines() == [nothing]
    assert stated("--dry-run", "--demo").splitlines() == [nothing.replace("status", "status --demo")]
    done = CliRunner().invoke(app, ["merge-months", "--markets", "BTCUSDT"])
    assert done.exit_code == 2
    assert "is not `venue:SYMBOL`" in done.stderr


def test_it_waits_for_a_build_and_then_gives_up(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKER_LOCK_WAIT_SECONDS", "0")
    (storage / "locks").mkdir(exist_ok=True)
    held = try_lock(storage / "locks" / "warehouse.lock")
    assert held is not None
    done = CliRunner().invoke(app, ["merge-months"])
    assert done.exit_code == 1
    assert "the warehouse is in use by" in done.stderr
    assert len(list(storage.glob("raw/aggTrades/**/data.parquet"))) == 34
