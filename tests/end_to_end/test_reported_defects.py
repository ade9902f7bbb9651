"""What people see of files that cannot be used, through the public command on a small archive that has every kind."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from tests.support.archives import METRIC_HEADER, ArchiveFolder, millis
from tests.support.commands import Taker

MARKET = "binance_um:BTCUSDT"
FIRST, LAST = date(2025, 9, 1), date(2025, 9, 30)
DAYS = [FIRST + timedelta(days=n) for n in range(30)]
MONTH = "data/futures/um/monthly/klines/BTCUSDT/4h/BTCUSDT-4h-2025-09.zip"

pytestmark = pytest.mark.xdist_group("reported_defects")


def metrics(archive: ArchiveFolder, day: date) -> str:
    rows = [f"{day} 00:{minute:02}:00,BTCUSDT,100,1000,1,1,1,1" for minute in range(0, 60, 5)]
    return archive.put(f"data/futures/um/daily/metrics/BTCUSDT/BTCUSDT-metrics-{day}.zip", rows, METRIC_HEADER)


@pytest.fixture(scope="module")
def taker(tmp_path_factory: pytest.TempPathFactory) -> Taker:
    """The month of bars is damaged, and four of its days have no file; two days of metrics are damaged, one is absent.

    Trades only of the 29th, all of them on one side.
    """
    root = tmp_path_factory.mktemp("defects")
    archive = ArchiveFolder(root / "archive")
    archive.put_bytes(MONTH, b"no zip")
    for day in DAYS:
        if day.day not in (12, 13, 29, 30):
            archive.klines_of_day(day)
        if day.day != 3:
            key = metrics(archive, day)
        if day.day in (7, 8):
            archive.put_bytes(key, b"no zip")
    one_side = [
        f"{n},42000.{n % 9},0.00{1 + n % 8},{n},{n},{millis(date(2025, 9, 29), n)},true" for n in range(1, 2001)
    ]
    archive.agg_trades(date(2025, 9, 29), one_side)
    return Taker(
        root / "var", {"TAKER_ARCHIVE_URL": archive.url, "TAKER_KLINE_INTERVAL": "4h", "TAKER_MARKETS": MARKET}
    )


def test_a_run_names_every_day_lost_and_is_a_success(taker: Taker) -> None:
    done = taker.run("run", "--from", str(FIRST), "--to", str(LAST))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == (
        f"missing {MARKET}: no klines and no aggTrades of 2025-09-30 (klines: refused, aggTrades: no file in the "
        "archive); the newest bar is of 2025-09-28"
    )
    notes = [line for line in done.stderr.splitlines() if line.startswith(("missing", "warning", "note"))]
    assert notes[0].startswith(f"missing {MARKET}: 3 days without flow, 2025-09-12..2025-09-13, 2025-09-30 (klines:")
    assert notes[1].startswith(f"missing {MARKET}: 1 day without flow, 2025-09-29 (klines: refused, aggTrades: implau")
    of_market = [line.partition(f"{MARKET} ")[2] for line in notes if f" {MARKET} " in line]
    assert of_market[0].startswith("klines 4h 2025-09-12..2025-09-13, 2025-09-29..2025-09-30: refused, nothing in its")
    assert "not a readable zip" in of_market[0]
    assert of_market[1].startswith("klines 4h 2025-09-01..2025-09-11, 2025-09-14..2025-09-28: not used: ")
    assert of_market[1].endswith("used instead: BTCUSDT-4h-2025-09-01.zip and 25 more")
    assert any(line.startswith("metrics 2025-09-07..2025-09-08: refused, nothing in its place") for line in of_market)
    assert "metrics: no file in the archive of 2025-09-03 (1 of 30 days)" in of_market


def test_status_counts_and_lists_it(taker: Taker) -> None:
    series = {one["dataset"]: one for one in json.loads(taker.run("status", "--json").stdout)}
    assert (series["klines"]["stored"], series["klines"]["refused"], series["klines"]["absent"]) == (26, 4, 0)
    assert (series["klines"]["refused_files"], series["klines"]["replaced_files"]) == (1, 1)
    assert (series["metrics"]["refused_files"], series["aggTrades"]["implausible_days"]) == (2, 1)
    assert series["metrics"]["defects"][0]["days"] == ["2025-09-07"]
    text = taker.run("status").stdout
    assert "2025-09-29  implausible, not used as flow: the taker sold in every one of 2000 trades" in text
