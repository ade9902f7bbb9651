"""Promise 8: a wrong clock, a host with summer time, a leap second, a file republished in the middle of its download:
the right day, the right answer. A run across midnight: `test_recent`."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from ingestion.archive import Outcome, ingest, plan
from ingestion.domain.datasets import AGG_TRADES, METRICS, TRADES
from ingestion.raw.store import LocalStore
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market
from tests.support.archives import (
    AGG_HEADER,
    METRIC_HEADER,
    ArchiveFolder,
    ArchiveServer,
    agg_rows,
    archives_at,
    millis,
)
from tests.support.histories import BTC, DAYS, NOON, ingested, parquet_of, put_klines, put_trades

# New York's clock went forward on this day, at 07:00 UTC; Apia left out all of 2011-12-30.
SHORT_DAY, LOST_DAY = date(2024, 3, 10), date(2011, 12, 30)
BYBIT = parse_market("bybit:BTCUSD")


@pytest.fixture
def full_archive(archive_folder: ArchiveFolder) -> ArchiveFolder:
    for day in DAYS:
        put_trades(archive_folder, day, 1)
        put_klines(archive_folder, day, 1)
    return archive_folder


@pytest.mark.parametrize("now", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)])
def test_a_wrong_clock_changes_no_byte_of_the_data(full_archive: ArchiveFolder, tmp_path: Path, now: datetime) -> None:
    right, wrong = LocalStore(tmp_path / "right"), LocalStore(tmp_path / "wrong")
    ingested(full_archive, right, DAYS[0], DAYS[-1], NOON)
    ingested(full_archive, wrong, DAYS[0], DAYS[-1], now)
    assert parquet_of(wrong) == parquet_of(right)
    # And a clock that was set right again fetches nothing anew.
    outcomes = ingested(full_archive, wrong, DAYS[0], DAYS[-1], NOON)
    assert {outcome.status for outcome in outcomes} == {"unchanged"}


@pytest.mark.parametrize("zone_name", ["America/New_York", "Pacific/Apia"])
@pytest.mark.parametrize("day", [SHORT_DAY, LOST_DAY])
def test_a_host_with_summer_time_has_the_same_utc_days(
    archive_folder: ArchiveFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone_name: str, day: date
) -> None:
    # The first and the last millisecond of the day, and each hour between.
    seconds = [*range(0, 86_400, 3_600), 86_399.999]
    rows = [f"{100 + n},42000.5,0.1,{n},{n},{millis(day, second)},true" for n, second in enumerate(seconds)]
    archive_folder.put(f"data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-{day}.zip", rows, AGG_HEADER)
    with monkeypatch.context() as there:
        there.setenv("TZ", zone_name)
        time.tzset()
        (outcome,) = run(archive_folder.url, RawZone(LocalStore(tmp_path / zone_name)), day)
    time.tzset()
    (home,) = run(archive_folder.url, RawZone(LocalStore(tmp_path / "home")), day)
    assert outcome.error is None
    assert outcome.receipt == home.receipt
    assert dict(outcome.receipt.day_rows) == {str(day): 25}


def test_a_leap_second_is_the_last_of_its_day_or_set_aside_but_never_lost(
    archive_folder: ArchiveFolder, tmp_path: Path
) -> None:
    """UTC had 23:59:60 on 2016-12-31. As milliseconds it is the first instant of the next day; as text it is no time
    that a timestamp can hold."""
    day = date(2016, 12, 31)
    values = ",BTCUSDT,100.0,4200000.0,1.1,1.2,1.3,1.4"
    texts = [f"{day} 23:55:00{values}", f"{day} 23:59:60{values}"]
    archive_folder.put(f"data/futures/um/daily/metrics/BTCUSDT/BTCUSDT-metrics-{day}.zip", texts, METRIC_HEADER)
    zone = RawZone(LocalStore(tmp_path / "store"))
    (found,) = ingest(
        plan(METRICS, BTC, day, day), archives=archives_at(archive_folder.url), zone=zone, now=NOON, workers=1
    )
    stored = found.receipt.rows if found.receipt is not None else 0
    aside = sum(defect.rows for defect in found.receipt.defects)
    assert stored + aside == 2
    assert {row["observed_at"].date() for row in zone.rows(found.task.object_id).to_pylist()} == {day}

    # The last row of the day's file bears the first millisecond of the next day.
    rows = [*agg_rows(day, 2), f"102,42000.5,0.1,9,9,{millis(day, 86_400)},true"]
    archive_folder.agg_trades(day, rows)
    (trades,) = run(archive_folder.url, zone, day)
    aside = sum(defect.rows for defect in trades.receipt.defects)
    assert trades.receipt.rows + aside == 3


class RepublishingServer(ArchiveServer):
    """Serves the first half of the old body; then the file is replaced, and the second half is that of the new one."""

    def __init__(self, folder: ArchiveFolder, key: str, republish: Callable[[], object]) -> None:
        super().__init__(folder)
        self.key, self.republish = key, republish
        self.is_done = False

    def respond(self, request: BaseHTTPRequestHandler) -> None:
        if self.is_done or request.command == "HEAD" or request.path.lstrip("/") != self.key:
            super().respond(request)
            return
        self.is_done = True
        old = (self.folder.root / self.key).read_bytes()
        self.republish()
        new = (self.folder.root / self.key).read_bytes()
        body = (old[: len(old) // 2] + new[len(old) // 2 :])[: len(old)].ljust(len(old), b"\0")
        request.send_response(200)
        request.send_header("Content-Length", str(len(old)))
        request.end_headers()
        request.wfile.write(body)


def test_a_file_republished_in_the_middle_of_its_download_is_stored_as_its_new_edition(
    archive_folder: ArchiveFolder, tmp_path: Path
) -> None:
    day = DAYS[0]
    key = archive_folder.agg_trades(day, agg_rows(day, 50))
    server = RepublishingServer(archive_folder, key, lambda: put_trades(archive_folder, day, 2))
    zone = RawZone(LocalStore(tmp_path / "store"))
    with server.running():
        (outcome,) = run(server.url, zone, day)
    assert server.is_done
    assert (outcome.status, outcome.error) == ("stored", None)
    assert outcome.receipt.rows == 6


def test_without_a_checksum_a_mixture_is_never_stored_and_the_new_edition_is(
    archive_folder: ArchiveFolder, tmp_path: Path
) -> None:
    """Bybit publishes no checksums: the half of two gzip files is no gzip file, and never becomes rows."""
    day = DAYS[0]

    def edition(count: int) -> str:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        rows = [f"{start + n:.4f},BTCUSD,Buy,{count},42000.5,PlusTick,id-{n:08d}-{count},1,1,1" for n in range(count)]
        return archive_folder.bybit_trades(day, rows, symbol="BTCUSD")

    key = edition(200)
    server = RepublishingServer(archive_folder, key, lambda: edition(300))
    zone = RawZone(LocalStore(tmp_path / "store"))
    tasks = plan(TRADES, BYBIT, day, day)
    with server.running():
        archives = archives_at(server.url, has_checksums=False)
        (first,) = ingest(tasks, archives=archives, zone=zone, now=NOON, workers=1)
    assert server.is_done
    assert (first.status, first.receipt.rows) == ("stored", 300)


def run(url: str, zone: RawZone, day: date) -> list[Outcome]:
    return ingest(plan(AGG_TRADES, BTC, day, day), archives=archives_at(url), zone=zone, now=NOON, workers=1)
