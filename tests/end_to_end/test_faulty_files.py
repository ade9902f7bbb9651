"""Files that cannot be used, through the public command: what lies beside them is used, the numbers are theirs."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from ingestion.domain.periods import days_between
from tests.support.archives import KLINE_HEADER, ArchiveFolder, kline_rows
from tests.support.commands import Taker

MARKET = "binance_um:BTCUSDT"
MONTH = list(days_between(date(2024, 1, 1), date(2024, 1, 31)))
RANGE = ("run", "--markets", MARKET, "--from", str(MONTH[0]), "--to", str(MONTH[-1]))
MONTH_KEY = "data/futures/um/monthly/klines/BTCUSDT/4h/BTCUSDT-4h-2024-01.zip"

pytestmark = pytest.mark.xdist_group("faulty_files")


def rows_of(day: date) -> list[str]:
    """Bars that differ from each other, so that one in another's place would show."""
    rows = []
    for number, row in enumerate(kline_rows(day)):
        fields = row.split(",")
        volume, bought = 10 * day.day + number, 4 * day.day
        fields[5], fields[7] = str(volume), str(volume * 100)
        fields[9], fields[10] = str(bought), str(bought * 100)
        rows.append(",".join(fields))
    return rows


def publish(folder: ArchiveFolder) -> None:
    folder.put(MONTH_KEY, [row for day in MONTH for row in rows_of(day)], KLINE_HEADER)
    for day in MONTH:
        key = f"data/futures/um/daily/klines/BTCUSDT/4h/BTCUSDT-4h-{day}.zip"
        folder.put(key, rows_of(day), KLINE_HEADER)


def test_a_month_that_fails_its_checksum_gives_the_numbers_of_its_days(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path / "archive")
    publish(folder)
    folder.claim(MONTH_KEY, "0" * 64)
    taker = Taker(tmp_path / "var", {"TAKER_ARCHIVE_URL": folder.url, "TAKER_KLINE_INTERVAL": "4h"})
    answer = taker.run(*RANGE, "--json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["published"]
    net = taker.query("select bar_date, net_taker_usd, coverage_ratio from fct_net_taker_volume_daily order by 1")
    # Of each of six bars 4 × day were bought of 10 × day + number, at 100 USD.
    assert net == [(day, -100 * (12 * day.day + 15), 1.0) for day in MONTH]
