"""The use case: what is published becomes receipted objects, once, and a changed file replaces its own period only."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.archive import Outcome, Task, changed_sources, ingest, plan
from ingestion.decode.decoder import DECODER_VERSION
from ingestion.domain.datasets import AGG_TRADES, FUNDING_RATE, KLINES, LIQUIDATION_SNAPSHOT, METRICS, TRADES
from ingestion.domain.errors import StorageError
from ingestion.domain.periods import Period, days_between
from ingestion.http.archives import ArchiveLocation, Archives
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market
from ingestion.venues.bybit.archive import BybitArchive
from tests.support.archives import (
    ACCESS_DENIED,
    AGG_HEADER,
    KLINE_HEADER,
    TRADE_HEADER,
    ArchiveFolder,
    ArchiveServer,
    agg_rows,
    archives_at,
    kline_rows,
    millis,
)

BTC = parse_market("binance_um:BTCUSDT")
BYBIT = parse_market("bybit:BTCUSD")
BYBIT_ARCHIVE = BybitArchive()
COIN_M = parse_market("binance_cm:BTCUSD_PERP")
FIRST, SECOND, THIRD = (date(2024, 1, n) for n in (1, 2, 3))
JANUARY = list(days_between(date(2024, 1, 1), date(2024, 1, 31)))
NOON = datetime(2024, 2, 1, 12, tzinfo=UTC)


def run(tasks: list[Task], folder: ArchiveFolder, zone: RawZone, now: datetime = NOON) -> list[Outcome]:
    return ingest(tasks, archives=archives_at(folder.url), zone=zone, now=now)


def statuses(outcomes: list[Outcome]) -> list[str]:
    return [outcome.status for outcome in outcomes]


def fingerprints(zone: RawZone) -> dict[str, str]:
    return {found.key: found.version for found in zone.store.list("raw")}


def trades(first: date = FIRST, last: date = THIRD) -> list[Task]:
    return plan(AGG_TRADES, BTC, first, last)


def klines(first: date, last: date) -> list[Task]:
    return plan(KLINES, BTC, first, last, interval="4h")


class TestAPlan:
    def test_has_one_task_per_published_day(self) -> None:
        assert [task.period.label for task in trades()] == ["2024-01-01", "2024-01-02", "2024-01-03"]

    def test_has_one_task_per_month_where_months_are_stored_and_only_the_requested_days(self) -> None:
        tasks = klines(date(2024, 1, 30), date(2024, 3, 2))
        assert [(t.period.label, t.first_day.day, t.last_day.day) for t in tasks] == [
            ("2024-01", 30, 31),
            ("2024-02", 1, 29),
            ("2024-03", 1, 2),
        ]

    def test_requests_no_liquidations_where_none_are_published(self) -> None:
        assert plan(LIQUIDATION_SNAPSHOT, BTC, FIRST, THIRD) == []
        assert len(plan(LIQUIDATION_SNAPSHOT, COIN_M, date(2024, 10, 13), date(2024, 10, 20))) == 2


class TestIngesting:
    def test_stores_each_published_day_with_a_receipt(self, archive_folder: ArchiveFolder, zone: RawZone) -> None:
        for day in (FIRST, SECOND):
            archive_folder.agg_trades(day)
        outcomes = run(trades(FIRST, SECOND), archive_folder, zone)
        assert statuses(outcomes) == ["stored", "stored"]
        receipt = zone.receipt(outcomes[0].task.object_id)
        assert receipt == outcomes[0].receipt
        assert receipt is not None
        assert (receipt.rows, receipt.id_gaps, receipt.revision, receipt.known_at) == (5, 0, 1, NOON)
        assert (receipt.first_id, receipt.last_id, receipt.day_rows) == (100, 104, {"2024-01-01": 5})
        assert [s.key for s in receipt.sources] == [
            "data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-01-01.zip"
        ]

    def test_records_a_day_the_venue_does_not_have(self, archive_folder: ArchiveFolder, zone: RawZone) -> None:
        archive_folder.agg_trades(FIRST)
        assert statuses(run(trades(FIRST, SECOND), archive_folder, zone)) == ["stored", "absent"]
        index = zone.write_index().to_pylist()
        assert [(row["day"], row["status"], row["row_count"]) for row in index] == [
            (FIRST, "stored", 5),
            (SECOND, "absent", 0),
        ]

    def test_a_stored_file_without_rows_is_no_absent_day(self, archive_folder: ArchiveFolder, zone: RawZone) -> None:
        archive_folder.agg_trades(FIRST, [])
        assert statuses(run(trades(FIRST, FIRST), archive_folder, zone)) == ["stored"]
        (row,) = zone.write_index().to_pylist()
        assert (row["status"], row["row_count"]) == ("stored", 0)
        assert statuses(run(trades(FIRST, FIRST), archive_folder, zone)) == ["unchanged"]

    def test_again_writes_nothing(self, archive_folder: ArchiveFolder, zone: RawZone) -> None:
        archive_folder.agg_trades(FIRST)
        run(trades(), archive_folder, zone)
        zone.write_index()
        before = fingerprints(zone)
        assert statuses(run(trades(), archive_folder, zone, NOON + timedelta(days=1))) == [
            "unchanged",
            "absent",
            "absent",
        ]
        zone.write_index()
        assert fingerprints(zone) == before

    def test_again_downloads_checksums_only(
        self, archive_folder: ArchiveFolder, archive_server: ArchiveServer, local_zone: RawZone
    ) -> None:
        key = archive_folder.agg_trades(FIRST)
        archives = archives_at(archive_server.url)
        ingest(trades(FIRST, FIRST), archives=archives, zone=local_zone, now=NOON)
        archive_server.requests.clear()
        ingest(trades(FIRST, FIRST), archives=archives, zone=local_zone, now=NOON)
        assert archive_server.requests == [f"{key}.CHECKSUM"]

    def test_a_corrected_file_replaces_only_its_own_day_and_keeps_the_earlier_receipt(
        self, archive_folder: ArchiveFolder, zone: RawZone
    ) -> None:
        for day in (FIRST, SECOND, THIRD):
            archive_folder.agg_trades(day)
        earlier = run(trades(), archive_folder, zone)[1].receipt
        before = fingerprints(zone)
        archive_folder.agg_trades(SECOND, agg_rows(SECOND, price="43000.5"))
        outcome = run(trades(), archive_folder, zone, NOON + timedelta(hours=1))[1]
        after = fingerprints(zone)
        changed = {key for key in after if before.get(key) != after[key]}
        assert {key.split("/date=")[1][:10] for key in changed} == {"2024-01-02"}
        assert outcome.receipt is not None
        assert outcome.receipt.revision == 2
        assert zone.history(outcome.task.object_id) == [earlier, outcome.receipt]

    def test_a_late_day_is_not_a_correction(self, archive_folder: ArchiveFolder, zone: RawZone) -> None:
        run(trades(FIRST, FIRST), archive_folder, zone)
        archive_folder.agg_trades(FIRST)
        receipt = run(trades(FIRST, FIRST), archive_folder, zone)[0].receipt
        assert receipt is not None
        assert (receipt.status, receipt.revision) == ("stored", 1)

    def test_a_file_the_venue_withdraws_is_kept(self, archive_folder: ArchiveFolder, zone: RawZone) -> None:
        key = archive_folder.agg_trades(FIRST)
        run(trades(FIRST, FIRST), archive_folder, zone)
        archive_folder.remove(key)
        before = fingerprints(zone)
        assert statuses(run(trades(FIRST, FIRST), archive_folder, zone)) == ["kept"]
        assert fingerprints(zone) == before

    def test_one_bad_file_does_not_stop_the_others_and_stores_nothing(
        self, archive_folder: ArchiveFolder, zone: RawZone
    ) -> None:
        for day in (FIRST, THIRD):
            archive_folder.agg_trades(day)
        bad = archive_folder.agg_trades(SECOND)
        archive_folder.claim(bad, "0" * 64)
        outcomes = run(trades(), archive_folder, zone)
        assert statuses(outcomes) == ["stored", "refused", "stored"]
        assert "BTCUSDT-aggTrades-2024-01-02.zip" in str(outcomes[1].error)
        stored = [found.key.rsplit("/", 1)[-1] for found in zone.store.list("raw") if "2024-01-02" in found.key]
        assert stored == ["_receipt.json"]
        assert [(row["day"].day, row["status"]) for row in zone.write_index().to_pylist()] == [
            (1, "stored"),
            (2, "refused"),
            (3, "stored"),
        ]
        before = fingerprints(zone)
        assert statuses(run(trades(), archive_folder, zone, NOON + timedelta(days=1)))[1] == "refused"
        assert fingerprints(zone) == before

    def test_a_bad_correction_leaves_the_good_day_standing(self, archive_folder: ArchiveFolder, zone: RawZone) -> None:
        archive_folder.agg_trades(FIRST)
        good = run(trades(FIRST, FIRST), archive_folder, zone)[0].receipt
        assert good is not None
        key = good.sources[0].key
        data = zone.store.get_bytes(f"raw/aggTrades/venue=binance_um/symbol=BTCUSDT/date={FIRST}/data.parquet")
        archive_folder.put_bytes(key, b"no zip")
        outcome = run(trades(FIRST, FIRST), archive_folder, zone, NOON + timedelta(days=1))[0]
        assert outcome.status == "refused"
        assert "stays in use" in str(outcome.error)
        assert outcome.receipt is not None
        assert replace(outcome.receipt, defects=()) == good
        (defect,) = outcome.receipt.defects
        assert (defect.kind, defect.day, defect.source_key) == ("refused_source", FIRST, key)
        assert zone.store.get_bytes(outcome.task.object_id.data_key) == data
        assert zone.history(outcome.task.object_id) == [outcome.receipt]
        before = fingerprints(zone)
        assert statuses(run(trades(FIRST, FIRST), archive_folder, zone, NOON + timedelta(days=2))) == ["refused"]
        assert fingerprints(zone) == before
        archive_folder.agg_trades(FIRST)  # the good one again
        assert run(trades(FIRST, FIRST), archive_folder, zone)[0].receipt == good
        archive_folder.put_bytes(key, b"no zip")
        assert run(trades(FIRST, FIRST), archive_folder, zone)[0].receipt == outcome.receipt
        archive_folder.agg_trades(FIRST, agg_rows(FIRST, 9))
        mended = run(trades(FIRST, FIRST), archive_folder, zone, NOON + timedelta(days=3))[0]
        assert mended.receipt is not None
        assert (mended.status, mended.receipt.rows, mended.receipt.revision) == ("stored", 9, 2)
        assert mended.receipt.defects == ()
        assert zone.history(outcome.task.object_id) == [outcome.receipt, mended.receipt]

    def test_every_outcome_is_reported_as_it_comes(self, archive_folder: ArchiveFolder, local_zone: RawZone) -> None:
        archive_folder.agg_trades(FIRST)
        reported: list[Outcome] = []
        outcomes = ingest(
            trades(), archives=archives_at(archive_folder.url), zone=local_zone, now=NOON, report=reported.append
        )
        assert sorted(map(str, (o.task for o in reported))) == [str(o.task) for o in outcomes]

    def test_an_unwritable_zone_fails_each_object_with_the_reason(
        self, archive_folder: ArchiveFolder, tmp_path: Path
    ) -> None:
        archive_folder.agg_trades(FIRST)
        (tmp_path / "file").write_text("in the way")
        outcome = run(trades(FIRST, FIRST), archive_folder, RawZone(open_store(tmp_path / "file")))[0]
        assert isinstance(outcome.error, StorageError)
        assert "the storage URL" in str(outcome.error)

    def test_an_object_of_an_older_decoder_is_decoded_again(
        self, archive_folder: ArchiveFolder, local_zone: RawZone
    ) -> None:
        archive_folder.agg_trades(FIRST)
        outcome = run(trades(FIRST, FIRST), archive_folder, local_zone)[0]
        assert outcome.receipt is not None
        old = replace(outcome.receipt, decoder_version=0)
        local_zone.store.put_bytes(outcome.task.object_id.receipt_key, old.to_json())
        assert statuses(run(trades(FIRST, FIRST), archive_folder, local_zone)) == ["stored"]

    def test_a_torn_receipt_is_as_good_as_none(self, archive_folder: ArchiveFolder, zone: RawZone) -> None:
        archive_folder.agg_trades(FIRST)
        outcome = run(trades(FIRST, FIRST), archive_folder, zone)[0]
        for torn in (b"", b'{"dataset": "aggTr'):
            zone.store.put_bytes(outcome.task.object_id.receipt_key, torn)
            assert statuses(run(trades(FIRST, FIRST), archive_folder, zone)) == ["stored"]

    def test_a_simulated_archive_is_never_taken_for_a_real_one_nor_the_other_way_round(
        self, archive_folder: ArchiveFolder, local_zone: RawZone
    ) -> None:
        archive_folder.agg_trades(FIRST)
        simulated = plan(AGG_TRADES, parse_market("simulated:BTCUSDT"), FIRST, FIRST)
        (refused,) = run(simulated, archive_folder, local_zone)
        assert "is not simulated, so simulated:BTCUSDT cannot come from it" in str(refused.error)
        (archive_folder.root / "SIMULATED.txt").write_text("simulated")
        (refused,) = run(trades(FIRST, FIRST), archive_folder, local_zone)
        assert "is simulated, so binance_um:BTCUSDT cannot come from it; ask for simulated:BTCUSDT" in str(
            refused.error
        )
        assert statuses(run(simulated, archive_folder, local_zone)) == ["stored"]


class TestAVenueWithoutChecksums:
    """Bybit's files: what the server reports of them decides whether they are fetched, and the receipt states it."""

    @pytest.fixture
    def archives(self, archive_server: ArchiveServer) -> Archives:
        return archives_at(archive_server.url, has_checksums=False)

    def publish(self, folder: ArchiveFolder, *prices: str) -> str:
        start = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
        rows = [f"{start + n}.25,BTCUSD,Sell,100,{price},PlusTick,m{n},1,100,0.0023" for n, price in enumerate(prices)]
        return folder.bybit_trades(FIRST, rows, symbol="BTCUSD")

    def ingested(self, archives: Archives, zone: RawZone) -> Outcome:
        return ingest(plan(TRADES, BYBIT, FIRST, FIRST), archives=archives, zone=zone, now=NOON)[0]

    def test_only_its_trades_are_planned_and_only_by_day(self) -> None:
        assert BYBIT_ARCHIVE.objects(TRADES, BYBIT, "", Period.of_month(FIRST)) == ()
        assert [task.period.label for task in plan(TRADES, BYBIT, FIRST, SECOND)] == ["2024-01-01", "2024-01-02"]
        assert plan(KLINES, BYBIT, FIRST, SECOND, interval="1h") == plan(AGG_TRADES, BYBIT, FIRST, SECOND) == []

    def test_a_venue_without_files_has_nothing_planned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ingestion.archive.tasks.archive_of", lambda market: None)
        assert plan(TRADES, BYBIT, FIRST, SECOND) == []

    def test_the_receipt_states_that_no_checksum_is_published_and_what_the_server_reported_instead(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone
    ) -> None:
        whole = (archive_folder.root / self.publish(archive_folder, "43000", "43001")).read_bytes()
        outcome = self.ingested(archives, local_zone)
        receipt = local_zone.receipt(outcome.task.object_id)
        assert receipt is not None
        (source,) = receipt.sources
        assert (receipt.rows, source.rows, source.size) == (2, 2, len(whole))
        assert source.sha256 == hashlib.sha256(whole).hexdigest()
        assert re.fullmatch(
            rf'no published checksum; etag="{hashlib.md5(whole).hexdigest()}"; size={len(whole)}; modified=.* GMT',
            source.fingerprint,
        )

    def test_an_unchanged_file_costs_one_head_and_nothing_else(
        self, archive_folder: ArchiveFolder, archive_server: ArchiveServer, archives: Archives, local_zone: RawZone
    ) -> None:
        key = self.publish(archive_folder, "43000")
        self.ingested(archives, local_zone)
        before = fingerprints(local_zone)
        archive_server.requests.clear()
        assert self.ingested(archives, local_zone).status == "unchanged"
        assert archive_server.requests == [f"HEAD {key}"]
        assert fingerprints(local_zone) == before
        assert changed_sources(plan(TRADES, BYBIT, FIRST, FIRST), archives=archives, zone=local_zone) == []

    def test_a_changed_file_is_noticed_fetched_and_counted_as_a_correction(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone
    ) -> None:
        self.publish(archive_folder, "43000")
        self.ingested(archives, local_zone)
        self.publish(archive_folder, "43000", "43001")
        tasks = plan(TRADES, BYBIT, FIRST, FIRST)
        assert changed_sources(tasks, archives=archives, zone=local_zone) == tasks
        receipt = self.ingested(archives, local_zone).receipt
        assert receipt is not None
        assert (receipt.rows, receipt.revision) == (2, 2)

    def test_a_file_put_there_anew_with_the_same_bytes_is_no_correction(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone
    ) -> None:
        key = self.publish(archive_folder, "43000")
        before = self.ingested(archives, local_zone).receipt
        os.utime(archive_folder.root / key, (1, 1))
        after = self.ingested(archives, local_zone).receipt
        assert before is not None
        assert after is not None
        assert (after.revision, after.stored_sha256) == (1, before.stored_sha256)
        assert self.ingested(archives, local_zone).status == "unchanged"

    def test_a_file_the_venue_withdraws_is_kept_and_one_it_never_had_is_absent(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone
    ) -> None:
        assert self.ingested(archives, local_zone).status == "absent"
        key = self.publish(archive_folder, "43000")
        assert self.ingested(archives, local_zone).status == "stored"
        (archive_folder.root / key).unlink()
        assert self.ingested(archives, local_zone).status == "kept"

    def test_each_venue_has_its_own_archive_and_one_that_is_down_does_not_stop_the_other(
        self, archive_folder: ArchiveFolder, local_zone: RawZone
    ) -> None:
        archive_folder.agg_trades(FIRST)
        places = {
            "binance_um": ArchiveLocation(archive_folder.url),
            "bybit": ArchiveLocation("file:///nowhere/at/all", False),
        }
        tasks = [*trades(FIRST, FIRST), *plan(TRADES, BYBIT, FIRST, FIRST)]
        outcomes = ingest(tasks, archives=Archives(places.__getitem__), zone=local_zone, now=NOON)
        assert statuses(outcomes) == ["stored", "failed"]
        assert "does not exist" in str(outcomes[1].error)

    def test_what_a_simulated_exchange_wrote_is_never_taken_for_its_files(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone
    ) -> None:
        self.publish(archive_folder, "43000")
        (archive_folder.root / "SIMULATED.txt").write_text("SIMULATED")
        assert "is simulated, so bybit:BTCUSD cannot come from it" in str(self.ingested(archives, local_zone).error)

    def test_receipts_from_before_there_were_fingerprints_are_still_read(
        self, archive_folder: ArchiveFolder, local_zone: RawZone
    ) -> None:
        archive_folder.agg_trades(FIRST)
        outcome = run(trades(FIRST, FIRST), archive_folder, local_zone)[0]
        key = outcome.task.object_id.receipt_key
        held = json.loads(local_zone.store.get_bytes(key) or b"")
        del held["sources"][0]["fingerprint"], held["receipt_sha256"]
        local_zone.store.put_bytes(key, json.dumps(held).encode())
        assert statuses(run(trades(FIRST, FIRST), archive_folder, local_zone)) == ["unchanged"]


class TestMonthsOfBars:
    def test_a_whole_published_month_is_one_object(
        self, archive_folder: ArchiveFolder, archive_server: ArchiveServer, local_zone: RawZone
    ) -> None:
        archive_folder.klines_of_month(JANUARY)
        tasks = klines(JANUARY[0], JANUARY[-1])
        outcome = ingest(tasks, archives=archives_at(archive_server.url), zone=local_zone, now=NOON)[0]
        assert outcome.receipt is not None
        zips = [key for key in archive_server.requests if key.endswith(".zip")]
        assert (outcome.receipt.rows, len(zips)) == (186, 1)

    def test_a_month_not_yet_published_whole_is_read_from_its_days(
        self, archive_folder: ArchiveFolder, zone: RawZone
    ) -> None:
        for day in JANUARY:
            archive_folder.klines_of_day(day)
        receipt = run(klines(JANUARY[0], JANUARY[-1]), archive_folder, zone)[0].receipt
        assert receipt is not None
        assert (receipt.rows, len(receipt.sources), receipt.absent_days) == (186, 31, ())

    def test_part_of_a_month_holds_the_requested_days_and_no_others(
        self, archive_folder: ArchiveFolder, zone: RawZone
    ) -> None:
        archive_folder.klines_of_month(JANUARY)
        for day in JANUARY:
            archive_folder.klines_of_day(day)
        receipt = run(klines(JANUARY[0], JANUARY[9]), archive_folder, zone)[0].receipt
        assert receipt is not None
        assert (list(receipt.day_rows)[-1], receipt.rows) == ("2024-01-10", 60)

    def test_requesting_less_never_loses_a_day(self, archive_folder: ArchiveFolder, zone: RawZone) -> None:
        for day in JANUARY:
            archive_folder.klines_of_day(day)
        run(klines(JANUARY[0], JANUARY[9]), archive_folder, zone)
        before = fingerprints(zone)
        assert statuses(run(klines(JANUARY[4], JANUARY[6]), archive_folder, zone)) == ["unchanged"]
        assert fingerprints(zone) == before

    def test_requesting_more_adds_the_days(self, archive_folder: ArchiveFolder, zone: RawZone) -> None:
        for day in JANUARY:
            archive_folder.klines_of_day(day)
        run(klines(JANUARY[0], JANUARY[9]), archive_folder, zone)
        outcome = run(klines(JANUARY[8], JANUARY[11]), archive_folder, zone)[0]
        assert outcome.receipt is not None
        rows = pq.read_table(zone.store.url(outcome.task.object_id.data_key)).num_rows if _is_local(zone) else 72
        assert (outcome.receipt.rows, rows) == (72, 72)

    def test_days_that_a_whole_month_lacks_are_recorded_as_absent(
        self, archive_folder: ArchiveFolder, zone: RawZone
    ) -> None:
        archive_folder.klines_of_month([day for day in JANUARY if day.day != 16])
        receipt = run(klines(JANUARY[0], JANUARY[-1]), archive_folder, zone)[0].receipt
        assert receipt is not None
        assert receipt.absent_days == (date(2024, 1, 16),)
        assert statuses(run(klines(JANUARY[0], JANUARY[-1]), archive_folder, zone)) == ["unchanged"]

    def test_days_that_a_whole_month_lacks_are_taken_from_their_own_files(
        self, archive_folder: ArchiveFolder, zone: RawZone
    ) -> None:
        archive_folder.klines_of_month([day for day in JANUARY if day.day not in (16, 19)])
        archive_folder.klines_of_day(date(2024, 1, 16))
        receipt = run(klines(JANUARY[0], JANUARY[-1]), archive_folder, zone)[0].receipt
        assert receipt is not None
        assert (receipt.rows, receipt.absent_days, len(receipt.sources)) == (180, (date(2024, 1, 19),), 2)
        assert statuses(run(klines(JANUARY[0], JANUARY[-1]), archive_folder, zone)) == ["unchanged"]
        archive_folder.klines_of_day(date(2024, 1, 19))
        late = run(klines(JANUARY[0], JANUARY[-1]), archive_folder, zone)[0].receipt
        assert late is not None
        assert (late.rows, late.absent_days, late.revision) == (186, (), 1)

    def test_a_day_whose_file_is_withdrawn_stays_while_the_month_goes_on(
        self, archive_folder: ArchiveFolder, zone: RawZone
    ) -> None:
        keys = {day.day: archive_folder.klines_of_day(day) for day in JANUARY}
        run(klines(JANUARY[0], JANUARY[9]), archive_folder, zone)
        archive_folder.remove(keys[5])
        outcome = run(klines(JANUARY[0], JANUARY[19]), archive_folder, zone)[0]
        assert outcome.receipt is not None
        assert (outcome.status, outcome.receipt.rows, outcome.receipt.revision) == ("stored", 120, 1)
        assert outcome.receipt.day_rows["2024-01-05"] == 6
        again = run(klines(JANUARY[0], JANUARY[19]), archive_folder, zone)[0]
        assert (again.status, again.receipt) == ("unchanged", outcome.receipt)

    def test_a_month_published_whole_never_loses_a_day_that_is_held(
        self, archive_folder: ArchiveFolder, zone: RawZone
    ) -> None:
        keys = {day.day: archive_folder.klines_of_day(day) for day in JANUARY}
        run(klines(JANUARY[0], JANUARY[-1]), archive_folder, zone)
        archive_folder.klines_of_month([day for day in JANUARY if day.day != 16])
        archive_folder.remove(keys[16])
        receipt = run(klines(JANUARY[0], JANUARY[-1]), archive_folder, zone)[0].receipt
        assert receipt is not None
        assert receipt.day_rows["2024-01-16"] == 6

    def test_an_absent_month_of_funding_is_recorded_once(self, archive_folder: ArchiveFolder, zone: RawZone) -> None:
        tasks = plan(FUNDING_RATE, BTC, JANUARY[0], JANUARY[14])
        assert statuses(run(tasks, archive_folder, zone)) == ["absent"]
        before = fingerprints(zone)
        assert statuses(run(tasks, archive_folder, zone)) == ["absent"]
        assert fingerprints(zone) == before


MONTH_KEY = "data/futures/um/monthly/klines/BTCUSDT/4h/BTCUSDT-4h-2024-01.zip"
WHOLE_JANUARY = (JANUARY[0], JANUARY[-1])


def stored_rows(zone: RawZone, outcome: Outcome) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = zone.rows(outcome.task.object_id).to_pylist()
    return rows


def with_a_faulty_bar(day: date, *, hour: int = 4) -> list[str]:
    """The bars of the day, of which the one at `hour` has takers buy more than was traded."""
    rows = kline_rows(day)
    fields = rows[hour // 4].split(",")
    fields[9] = "10.00000001"
    rows[hour // 4] = ",".join(fields)
    return rows


class TestAMonthThatCannotBeUsed:
    """One bad file costs itself and nothing else: the days lie beside it."""

    def publish_days(self, folder: ArchiveFolder, *missing: int) -> dict[date, str]:
        return {day: folder.klines_of_day(day) for day in JANUARY if day.day not in missing}

    @pytest.mark.parametrize(
        ("damage", "reason"), [("checksum", "is published for it"), ("bytes", "not a readable zip")]
    )
    def test_is_read_from_its_days_and_the_receipt_states_what_was_used_instead(
        self, archive_folder: ArchiveFolder, local_zone: RawZone, damage: str, reason: str
    ) -> None:
        archive_folder.klines_of_month(JANUARY)
        good = stored_rows(local_zone, run(klines(*WHOLE_JANUARY), archive_folder, local_zone)[0])
        keys = self.publish_days(archive_folder)
        if damage == "checksum":
            archive_folder.claim(MONTH_KEY, "0" * 64)
        else:
            archive_folder.put_bytes(MONTH_KEY, b"no zip")
        outcome = run(klines(*WHOLE_JANUARY), archive_folder, local_zone)[0]
        assert outcome.receipt is not None
        assert (outcome.status, outcome.error, outcome.receipt.rows) == ("stored", None, 186)
        assert stored_rows(local_zone, outcome) == good
        assert {defect.kind for defect in outcome.receipt.defects} == {"replaced_source"}
        assert {defect.source_key for defect in outcome.receipt.defects} == {MONTH_KEY}
        assert {defect.day: defect.used_instead for defect in outcome.receipt.defects} == keys
        assert all(reason in defect.reason for defect in outcome.receipt.defects)
        assert [row["day"] for row in local_zone.write_index().to_pylist()] == JANUARY
        assert local_zone.defects().num_rows == 31

    def test_is_not_fetched_again_until_it_changes(
        self, archive_folder: ArchiveFolder, archive_server: ArchiveServer, local_zone: RawZone
    ) -> None:
        self.publish_days(archive_folder)
        archive_folder.put_bytes(MONTH_KEY, b"no zip")
        archives = archives_at(archive_server.url)
        tasks = klines(*WHOLE_JANUARY)
        ingest(tasks, archives=archives, zone=local_zone, now=NOON)
        before = fingerprints(local_zone)
        archive_server.requests.clear()
        assert statuses(ingest(tasks, archives=archives, zone=local_zone, now=NOON)) == ["unchanged"]
        assert len(archive_server.requests) == 32
        assert all(key.endswith(".CHECKSUM") for key in archive_server.requests)
        assert fingerprints(local_zone) == before
        assert changed_sources(tasks, archives=archives, zone=local_zone) == []
        archive_folder.klines_of_month(JANUARY)
        assert changed_sources(tasks, archives=archives, zone=local_zone) == tasks
        receipt = ingest(tasks, archives=archives, zone=local_zone, now=NOON)[0].receipt
        assert receipt is not None
        assert ([source.key for source in receipt.sources], receipt.defects) == ([MONTH_KEY], ())

    def test_whose_bytes_differ_from_their_checksum_is_fetched_again_alone(
        self, archive_folder: ArchiveFolder, archive_server: ArchiveServer, local_zone: RawZone
    ) -> None:
        self.publish_days(archive_folder)
        archive_folder.klines_of_month(JANUARY)
        claimed = (archive_folder.root / f"{MONTH_KEY}.CHECKSUM").read_text()
        archive_folder.claim(MONTH_KEY, "0" * 64)
        archives = archives_at(archive_server.url)
        tasks = klines(*WHOLE_JANUARY)
        ingest(tasks, archives=archives, zone=local_zone, now=NOON)
        before = fingerprints(local_zone)
        archive_server.requests.clear()
        assert statuses(ingest(tasks, archives=archives, zone=local_zone, now=NOON)) == ["unchanged"]
        assert {key for key in archive_server.requests if key.endswith(".zip")} == {MONTH_KEY}
        assert fingerprints(local_zone) == before
        assert changed_sources(tasks, archives=archives, zone=local_zone) == []
        (archive_folder.root / f"{MONTH_KEY}.CHECKSUM").write_text(claimed)
        receipt = ingest(tasks, archives=archives, zone=local_zone, now=NOON)[0].receipt
        assert receipt is not None
        assert ([source.key for source in receipt.sources], receipt.defects) == ([MONTH_KEY], ())

    def test_that_is_announced_and_not_there_is_read_from_its_days_until_it_comes(
        self, archive_folder: ArchiveFolder, local_zone: RawZone
    ) -> None:
        keys = self.publish_days(archive_folder)
        whole = archive_folder.root / archive_folder.klines_of_month(JANUARY)
        good = whole.read_bytes()
        whole.unlink()
        (archive_folder.root / keys[SECOND]).unlink()
        tasks = klines(*WHOLE_JANUARY)
        outcome = run(tasks, archive_folder, local_zone)[0]
        assert outcome.receipt is not None
        assert (outcome.status, outcome.receipt.rows, outcome.receipt.absent_days) == ("stored", 180, (SECOND,))
        assert all("is gone although" in defect.reason for defect in outcome.receipt.defects)
        assert statuses(run(tasks, archive_folder, local_zone)) == ["unchanged"]
        assert changed_sources(tasks, archives=archives_at(archive_folder.url), zone=local_zone) == []
        whole.write_bytes(good)
        receipt = run(tasks, archive_folder, local_zone)[0].receipt
        assert receipt is not None
        assert (receipt.rows, receipt.defects) == (186, ())

    def test_leaves_only_the_days_without_a_good_file_without_rows(
        self, archive_folder: ArchiveFolder, local_zone: RawZone
    ) -> None:
        archive_folder.put_bytes(MONTH_KEY, b"no zip")
        keys = self.publish_days(archive_folder, 16)
        archive_folder.put_bytes(keys[date(2024, 1, 19)], b"no zip either")
        outcome = run(klines(*WHOLE_JANUARY), archive_folder, local_zone)[0]
        assert outcome.receipt is not None
        lost = (date(2024, 1, 16), date(2024, 1, 19))
        assert (outcome.receipt.rows, outcome.receipt.absent_days) == (174, lost)
        refused = [(d.day, d.source_key) for d in outcome.receipt.defects if d.kind == "refused_source"]
        assert refused == [(lost[0], MONTH_KEY), (lost[1], keys[lost[1]]), (lost[1], MONTH_KEY)]
        assert statuses(run(klines(*WHOLE_JANUARY), archive_folder, local_zone)) == ["unchanged"]
        archive_folder.klines_of_day(lost[0])
        archive_folder.klines_of_day(lost[1])
        mended = run(klines(*WHOLE_JANUARY), archive_folder, local_zone)[0].receipt
        assert mended is not None
        assert (mended.rows, mended.absent_days, {d.kind for d in mended.defects}) == (186, (), {"replaced_source"})

    def test_never_loses_a_day_that_is_held(self, archive_folder: ArchiveFolder, local_zone: RawZone) -> None:
        archive_folder.klines_of_month(JANUARY)
        run(klines(*WHOLE_JANUARY), archive_folder, local_zone)
        archive_folder.put_bytes(MONTH_KEY, b"no zip")
        self.publish_days(archive_folder, *range(8, 32))
        receipt = run(klines(*WHOLE_JANUARY), archive_folder, local_zone)[0].receipt
        assert receipt is not None
        assert (receipt.rows, receipt.absent_days) == (186, ())
        instead = {d.day: d.used_instead for d in receipt.defects}
        assert (bool(instead[date(2024, 1, 7)]), bool(instead[date(2024, 1, 8)])) == (True, False)
        assert statuses(run(klines(*WHOLE_JANUARY), archive_folder, local_zone)) == ["unchanged"]

    @pytest.mark.parametrize("broken", [True, False], ids=["broken", "absent"])
    def test_nor_a_day_of_a_part_of_it_costs_anything_where_the_month_has_it(
        self, archive_folder: ArchiveFolder, local_zone: RawZone, broken: bool
    ) -> None:
        keys = self.publish_days(archive_folder)
        archive_folder.klines_of_month(JANUARY)
        if broken:
            archive_folder.put_bytes(keys[SECOND], b"no zip")
        else:
            archive_folder.remove(keys[SECOND])
        outcome = run(klines(FIRST, THIRD), archive_folder, local_zone)[0]
        assert outcome.receipt is not None
        assert {day: outcome.receipt.day_rows[f"2024-01-0{day}"] for day in (1, 2, 3)} == {1: 6, 2: 6, 3: 6}
        assert outcome.receipt.absent_days == ()
        used = [(d.kind, d.source_key, d.used_instead) for d in outcome.receipt.defects]
        assert used == ([("replaced_source", keys[SECOND], MONTH_KEY)] if broken else [])
        # The month's file brings all of its days, and the index speaks of every day that is stored.
        assert [row["day"] for row in local_zone.write_index().to_pylist()] == JANUARY
        assert statuses(run(klines(FIRST, THIRD), archive_folder, local_zone)) == ["unchanged"]

    def test_with_no_day_beside_it_is_refused(self, archive_folder: ArchiveFolder, local_zone: RawZone) -> None:
        archive_folder.put_bytes(MONTH_KEY, b"no zip")
        outcome = run(klines(*WHOLE_JANUARY), archive_folder, local_zone)[0]
        assert outcome.receipt is not None
        assert (outcome.status, outcome.receipt.status, outcome.receipt.rows) == ("refused", "refused", 0)
        assert {row["status"] for row in local_zone.write_index().to_pylist()} == {"refused"}
        self.publish_days(archive_folder)
        assert statuses(run(klines(*WHOLE_JANUARY), archive_folder, local_zone)) == ["stored"]

    def test_that_is_the_only_form_is_refused_and_mended_later(
        self, archive_folder: ArchiveFolder, local_zone: RawZone
    ) -> None:
        key = "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-01.zip"
        tasks = plan(FUNDING_RATE, BTC, *WHOLE_JANUARY)
        archive_folder.put_bytes(key, b"no zip")
        assert statuses(run(tasks, archive_folder, local_zone)) == ["refused"]
        archive_folder.put(key, [f"{millis(FIRST)},8,0.0001"], "calc_time,funding_interval_hours,last_funding_rate")
        assert statuses(run(tasks, archive_folder, local_zone)) == ["stored"]

    @settings(max_examples=10)
    @given(
        month=st.sampled_from(["good", "no zip", "another checksum", "absent"]),
        days=st.lists(st.sampled_from(["good", "no zip", "another checksum", "absent"]), min_size=31, max_size=31),
    )
    def test_costs_exactly_the_days_without_any_good_file(self, month: str, days: list[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            archive, zone = ArchiveFolder(Path(folder, "archive")), RawZone(open_store(Path(folder, "store")))
            states = dict(zip(JANUARY, days, strict=True))
            archive.klines_of_month(JANUARY)
            keys = {MONTH_KEY: month} | {archive.klines_of_day(day): state for day, state in states.items()}
            for key, state in keys.items():
                if state == "no zip":
                    archive.put_bytes(key, b"no zip")
                elif state == "another checksum":
                    archive.claim(key, "0" * 64)
                elif state == "absent":
                    archive.remove(key)
            (outcome,) = run(klines(*WHOLE_JANUARY), archive, zone)
            held = {day for day, state in states.items() if "good" in (month, state)}
            receipt = outcome.receipt
            assert receipt is not None
            assert {date.fromisoformat(day) for day in receipt.day_rows} == held
            assert receipt.rows == 6 * len(held)
            broken = {key for key, state in keys.items() if state in ("no zip", "another checksum")}
            unused = broken if month != "good" else set()
            assert {defect.source_key for defect in receipt.defects} == unused
            expected = "stored" if held else ("refused" if broken else "absent")
            assert (outcome.status, receipt.status) == (expected, expected)
            before = fingerprints(zone)
            (again,) = run(klines(*WHOLE_JANUARY), archive, zone, NOON + timedelta(days=1))
            assert again.status == ("unchanged" if held else expected)
            assert fingerprints(zone) == before


class TestAMonthWithFaultyBars:
    """The faulty bar is set aside; where the day's own file has it right, that is read in its place."""

    DAY = date(2024, 1, 16)

    def publish(self, folder: ArchiveFolder, of_day: list[str] | None) -> str:
        rows = [row for day in JANUARY for row in (with_a_faulty_bar(day) if day == self.DAY else kline_rows(day))]
        folder.put(MONTH_KEY, rows, KLINE_HEADER)
        key = f"data/futures/um/daily/klines/BTCUSDT/4h/BTCUSDT-4h-{self.DAY}.zip"
        return folder.put(key, of_day, KLINE_HEADER) if of_day is not None else key

    def ingested(self, folder: ArchiveFolder, zone: RawZone) -> Outcome:
        return run(klines(*WHOLE_JANUARY), folder, zone)[0]

    def test_loses_that_bar_and_no_other(self, archive_folder: ArchiveFolder, local_zone: RawZone) -> None:
        self.publish(archive_folder, None)
        outcome = self.ingested(archive_folder, local_zone)
        receipt = outcome.receipt
        assert receipt is not None
        assert (outcome.status, receipt.rows, receipt.day_rows["2024-01-16"]) == ("stored", 185, 5)
        (defect,) = receipt.defects
        assert (defect.kind, defect.day, defect.hour, defect.rows, defect.source_key) == (
            "quarantined_rows",
            self.DAY,
            "2024-01-16T04",
            1,
            MONTH_KEY,
        )
        assert "taker_buy_volume" in defect.reason
        kept = pq.read_table(local_zone.store.url(outcome.task.object_id.quarantine_key), partitioning=None)
        assert kept.num_rows == 1
        assert self.ingested(archive_folder, local_zone).status == "unchanged"

    def test_takes_that_day_from_its_own_file(self, archive_folder: ArchiveFolder, local_zone: RawZone) -> None:
        key = self.publish(archive_folder, kline_rows(self.DAY))
        outcome = self.ingested(archive_folder, local_zone)
        receipt = outcome.receipt
        assert receipt is not None
        assert (receipt.rows, [source.key for source in receipt.sources]) == (186, [MONTH_KEY, key])
        (defect,) = receipt.defects
        assert (defect.kind, defect.day, defect.rows, defect.source_key, defect.used_instead) == (
            "replaced_source",
            self.DAY,
            1,
            MONTH_KEY,
            key,
        )
        assert [row["taker_buy_volume"] for row in stored_rows(local_zone, outcome)] == [4] * 186
        assert self.ingested(archive_folder, local_zone).status == "unchanged"
        tasks = klines(*WHOLE_JANUARY)
        assert changed_sources(tasks, archives=archives_at(archive_folder.url), zone=local_zone) == []

    def test_takes_it_when_it_comes_later_and_keeps_it_when_it_goes(
        self, archive_folder: ArchiveFolder, local_zone: RawZone
    ) -> None:
        self.publish(archive_folder, None)
        self.ingested(archive_folder, local_zone)
        key = self.publish(archive_folder, kline_rows(self.DAY))
        outcome = self.ingested(archive_folder, local_zone)
        assert outcome.receipt is not None
        assert outcome.receipt.rows == 186
        archive_folder.remove(key)
        assert self.ingested(archive_folder, local_zone).status == "unchanged"
        old = replace(outcome.receipt, decoder_version=0)
        local_zone.store.put_bytes(outcome.task.object_id.receipt_key, old.to_json())
        again = self.ingested(archive_folder, local_zone).receipt
        assert again is not None
        assert again.rows == 186
        (defect,) = [d for d in again.defects if d.kind == "replaced_source"]
        assert (defect.used_instead, "stays in use" in defect.reason) == ("", True)
        assert self.ingested(archive_folder, local_zone).status == "unchanged"

    @pytest.mark.parametrize("of_day", ["as bad", "no zip"])
    def test_keeps_its_rows_where_the_day_is_no_better(
        self, archive_folder: ArchiveFolder, local_zone: RawZone, of_day: str
    ) -> None:
        key = self.publish(archive_folder, with_a_faulty_bar(self.DAY, hour=8))
        if of_day == "no zip":
            archive_folder.put_bytes(key, b"no zip")
        receipt = self.ingested(archive_folder, local_zone).receipt
        assert receipt is not None
        assert (receipt.rows, [source.key for source in receipt.sources]) == (185, [MONTH_KEY])
        assert [(d.kind, d.source_key, d.used_instead) for d in receipt.defects] == [
            ("replaced_source", key, MONTH_KEY),
            ("quarantined_rows", MONTH_KEY, ""),
        ]
        assert self.ingested(archive_folder, local_zone).status == "unchanged"
        self.publish(archive_folder, kline_rows(self.DAY))
        mended = self.ingested(archive_folder, local_zone).receipt
        assert mended is not None
        assert mended.rows == 186

    def test_once_mended_leaves_nothing_set_aside(self, archive_folder: ArchiveFolder, local_zone: RawZone) -> None:
        self.publish(archive_folder, None)
        outcome = self.ingested(archive_folder, local_zone)
        assert local_zone.store.get_bytes(outcome.task.object_id.quarantine_key)
        archive_folder.klines_of_month(JANUARY)
        receipt = self.ingested(archive_folder, local_zone).receipt
        assert receipt is not None
        assert (receipt.rows, receipt.defects) == (186, ())
        assert local_zone.store.get_bytes(outcome.task.object_id.quarantine_key) is None

    def test_is_summed_by_day_where_its_faults_are_very_many(
        self, archive_folder: ArchiveFolder, local_zone: RawZone
    ) -> None:
        rows: list[str] = []
        for row in (row for day in JANUARY for row in hourly_rows(day)):
            fields = row.split(",")
            fields[9] = "10.00000001" if len(rows) % 3 == 0 else fields[9]
            rows.append(",".join(fields))
        key = "data/futures/um/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-01.zip"
        archive_folder.put(key, rows, KLINE_HEADER)
        receipt = run(plan(KLINES, BTC, *WHOLE_JANUARY, interval="1h"), archive_folder, local_zone)[0].receipt
        assert receipt is not None
        assert receipt.rows == 744 - 248
        assert [(d.day, d.hour, d.rows) for d in receipt.defects] == [(day, None, 8) for day in JANUARY]


def hourly_rows(day: date) -> list[str]:
    return kline_rows(day, hours=1)


class TestTradesThatCanBeNoMarket:
    """They are stored as they were published, and the receipt states why they must not be used for flow."""

    def test_a_day_on_one_side_is_stored_and_called_implausible(
        self, archive_folder: ArchiveFolder, local_zone: RawZone
    ) -> None:
        key = f"data/futures/um/daily/trades/BTCUSDT/BTCUSDT-trades-{FIRST}.zip"
        rows = [
            f"{n},{43000 + n % 9},0.{n % 7 + 1},{(43000 + n % 9) * (n % 7 + 1) / 10:.2f},{millis(FIRST, n)},true"
            for n in range(1000)
        ]
        archive_folder.put(key, rows, TRADE_HEADER)
        outcome = run(plan(TRADES, BTC, FIRST, FIRST), archive_folder, local_zone)[0]
        assert outcome.receipt is not None
        assert (outcome.status, outcome.receipt.rows) == ("stored", 1000)
        (defect,) = outcome.receipt.defects
        assert (defect.kind, defect.day, defect.rows, defect.source_key) == ("implausible", FIRST, 1000, key)
        assert defect.reason == "the taker sold in every one of 1000 trades"
        assert statuses(run(plan(TRADES, BTC, FIRST, FIRST), archive_folder, local_zone)) == ["unchanged"]
        archive_folder.put(key, rows[:999], TRADE_HEADER)
        receipt = run(plan(TRADES, BTC, FIRST, FIRST), archive_folder, local_zone)[0].receipt
        assert receipt is not None
        assert receipt.defects == ()


DELIVERED = parse_market("binance_cm:BTCUSD_200925")
SEPTEMBER = list(days_between(date(2020, 9, 1), date(2020, 9, 30)))
DELIVERED_MONTH = "data/futures/cm/monthly/klines/BTCUSD_200925/4h/BTCUSD_200925-4h-2020-09.zip"


class TestAnOlderDecoder:
    """What an older decoder wrote is judged anew, once: a file that today's refuses is remembered like any other."""

    @pytest.mark.parametrize("used", [True, False], ids=["used before", "new"])
    def test_does_not_have_a_refused_file_fetched_again_in_every_run(
        self, archive_folder: ArchiveFolder, local_zone: RawZone, used: bool
    ) -> None:
        key = archive_folder.agg_trades(FIRST)
        outcome = run(trades(FIRST, FIRST), archive_folder, local_zone)[0]
        assert outcome.receipt is not None
        archive_folder.put_bytes(key, b"no zip")
        sources = outcome.receipt.sources
        if used:  # the older decoder made something of these very bytes
            digest = hashlib.sha256(b"no zip").hexdigest()
            sources = (replace(sources[0], sha256=digest),)
        older = replace(outcome.receipt, decoder_version=DECODER_VERSION - 1, sources=sources)
        local_zone.put(outcome.task.object_id, None, older)
        outcomes = [run(trades(FIRST, FIRST), archive_folder, local_zone)[0] for _ in range(3)]
        assert [each.status for each in outcomes] == ["refused"] * 3
        assert [each.bytes_downloaded > 0 for each in outcomes] == [True, False, False]
        archives = archives_at(archive_folder.url)
        assert changed_sources(trades(FIRST, FIRST), archives=archives, zone=local_zone) == []


class TestADeliveredContract:
    """Files of a contract go on for months after its delivery, with bars that no market had."""

    def tasks(self, last: date = date(2020, 12, 31)) -> list[Task]:
        return plan(KLINES, DELIVERED, SEPTEMBER[0], last, interval="4h")

    def publish(self, folder: ArchiveFolder) -> None:
        folder.put(DELIVERED_MONTH, [row for day in SEPTEMBER for row in kline_rows(day)], KLINE_HEADER)

    def test_has_nothing_planned_after_its_day(self) -> None:
        assert [(t.first_day, t.last_day) for t in self.tasks()] == [(date(2020, 9, 1), date(2020, 9, 25))]
        assert plan(AGG_TRADES, DELIVERED, date(2020, 9, 26), date(2020, 9, 30)) == []

    def test_has_no_bar_from_the_instant_of_delivery_on(
        self, archive_folder: ArchiveFolder, local_zone: RawZone
    ) -> None:
        self.publish(archive_folder)
        outcome = run(self.tasks(), archive_folder, local_zone)[0]
        receipt = outcome.receipt
        assert receipt is not None
        assert (receipt.rows, receipt.max_at) == (24 * 6 + 2, datetime(2020, 9, 25, 4, tzinfo=UTC))
        assert local_zone.rows(outcome.task.object_id).num_rows == receipt.rows
        aside = [(d.day, d.hour, d.rows) for d in receipt.defects]
        assert aside == [
            *((date(2020, 9, 25), f"2020-09-25T{hour:02d}", 1) for hour in (8, 12, 16, 20)),
            *((date(2020, 9, day), None, 6) for day in range(26, 31)),
        ]
        assert {d.reason for d in receipt.defects} == {"after the delivery of the contract at 2020-09-25 08:00 UTC"}
        kept = pq.read_table(local_zone.store.url(outcome.task.object_id.quarantine_key), partitioning=None)
        assert kept.num_rows == 34
        archive_folder.put(
            "data/futures/cm/daily/klines/BTCUSD_200925/4h/BTCUSD_200925-4h-2020-09-25.zip",
            kline_rows(date(2020, 9, 25)),
            KLINE_HEADER,
        )
        assert statuses(run(self.tasks(), archive_folder, local_zone)) == ["unchanged"]

    def test_takes_its_last_day_from_its_own_file_whatever_follows_the_delivery(
        self, archive_folder: ArchiveFolder, local_zone: RawZone
    ) -> None:
        last_day = date(2020, 9, 25)
        bad = [row.replace(",10,", ",3,", 1) if n == 0 else row for n, row in enumerate(kline_rows(last_day))]
        rows = [row for day in SEPTEMBER for row in (bad if day == last_day else kline_rows(day))]
        archive_folder.put(DELIVERED_MONTH, rows, KLINE_HEADER)
        archive_folder.put(
            "data/futures/cm/daily/klines/BTCUSD_200925/4h/BTCUSD_200925-4h-2020-09-25.zip",
            kline_rows(last_day),
            KLINE_HEADER,
        )
        receipt = run(self.tasks(), archive_folder, local_zone)[0].receipt
        assert receipt is not None
        assert receipt.day_rows["2020-09-25"] == 2

    def test_is_corrected_where_it_was_stored_with_such_bars(
        self, archive_folder: ArchiveFolder, local_zone: RawZone
    ) -> None:
        self.publish(archive_folder)
        outcome = run(self.tasks(), archive_folder, local_zone)[0]
        assert outcome.receipt is not None
        wrong = replace(
            outcome.receipt,
            last_day=SEPTEMBER[-1],
            rows=180,
            max_at=datetime(2020, 9, 30, 20, tzinfo=UTC),
            day_rows={day.isoformat(): 6 for day in SEPTEMBER},
            defects=(),
        )
        local_zone.store.put_bytes(outcome.task.object_id.receipt_key, wrong.to_json())
        assert max(row["day"] for row in local_zone.write_index().to_pylist()) == date(2020, 9, 25)
        (again,) = run(self.tasks(), archive_folder, local_zone)
        assert again.receipt is not None
        assert (again.status, again.receipt.rows, again.receipt.last_day) == ("stored", 146, date(2020, 9, 25))

    def test_has_no_trade_from_the_instant_of_delivery_on(
        self, archive_folder: ArchiveFolder, local_zone: RawZone
    ) -> None:
        day = date(2020, 9, 25)
        rows = agg_rows(day, 2, first_id=1) + [
            f"{3 + n},42000.5,0.1,{3 + n},{3 + n},{millis(day, 8 * 3600 + n)},true" for n in range(3)
        ]
        key = f"data/futures/cm/daily/aggTrades/BTCUSD_200925/BTCUSD_200925-aggTrades-{day}.zip"
        archive_folder.put(key, rows, AGG_HEADER)
        receipt = run(plan(AGG_TRADES, DELIVERED, day, day), archive_folder, local_zone)[0].receipt
        assert receipt is not None
        assert (receipt.rows, receipt.first_id, receipt.last_id, receipt.id_gaps) == (2, 1, 2, 0)
        assert [(d.kind, d.hour, d.rows) for d in receipt.defects] == [("quarantined_rows", "2020-09-25T08", 3)]


class TestAMirrorThatHidesWhatIsAbsent:
    def ingested(self, tasks: list[Task], server: ArchiveServer, zone: RawZone) -> tuple[list[Outcome], list[str]]:
        server.denies = ACCESS_DENIED
        notices: list[str] = []
        archives = archives_at(server.url)
        return ingest(tasks, archives=archives, zone=zone, now=NOON, notice=notices.append), notices

    def test_what_it_denies_is_absent_as_long_as_it_serves_anything(
        self, archive_folder: ArchiveFolder, archive_server: ArchiveServer, local_zone: RawZone
    ) -> None:
        archive_folder.agg_trades(THIRD)
        outcomes, notices = self.ingested(trades(), archive_server, local_zone)
        assert statuses(outcomes) == ["absent", "absent", "stored"]
        (notice,) = notices
        assert notice.startswith(f"{archive_server.url} does not report which files are absent")

    def test_a_dataset_without_any_file_is_absent_where_another_one_has_files(
        self, archive_folder: ArchiveFolder, archive_server: ArchiveServer, local_zone: RawZone
    ) -> None:
        archive_folder.klines_of_day(FIRST)
        outcomes, notices = self.ingested(plan(METRICS, BTC, FIRST, SECOND), archive_server, local_zone)
        assert (statuses(outcomes), len(notices)) == (["absent", "absent"], 1)

    def test_one_that_serves_nothing_does_not_serve_us(
        self, archive_server: ArchiveServer, local_zone: RawZone
    ) -> None:
        outcomes, notices = self.ingested(trades(), archive_server, local_zone)
        assert (statuses(outcomes), notices) == (["failed"] * 3, [])
        assert "the archive does not serve this client" in str(outcomes[0].error)
        assert local_zone.receipt(outcomes[0].task.object_id) is None

    def test_looking_for_changes_finds_what_was_read_before(
        self, archive_folder: ArchiveFolder, archive_server: ArchiveServer, local_zone: RawZone
    ) -> None:
        archive_folder.agg_trades(FIRST)
        run(trades(), archive_folder, local_zone)
        archive_server.denies = ACCESS_DENIED
        archives = archives_at(archive_server.url)
        failed: list[Outcome] = []
        assert changed_sources(trades(), archives=archives, zone=local_zone, report=failed.append) == []
        assert failed == []

    def test_who_finds_a_key_requested_by_another_thread_waits_for_its_answer(
        self, archive_server: ArchiveServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        archive = archives_at(archive_server.url).of("binance_um")
        requested, answered = threading.Event(), threading.Event()

        def proof(key: str, known: str = "") -> None:
            requested.set()
            answered.wait(20)
            archive._health.has_served = True

        monkeypatch.setattr(archive, "proof", proof)
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(archive.serves_any, ["a"])
            assert requested.wait(20)
            second = pool.submit(archive.serves_any, ["a"])
            # Without waiting it is done at once, and wrong.
            wait([second], timeout=0.2)
            answered.set()
            assert (first.result(), second.result()) == (True, True)


class TestLookingForChanges:
    def test_finds_the_corrected_and_the_late_day_and_no_other(
        self, archive_folder: ArchiveFolder, zone: RawZone
    ) -> None:
        for day in (FIRST, SECOND):
            archive_folder.agg_trades(day)
        run(trades(), archive_folder, zone)
        archives = archives_at(archive_folder.url)
        assert changed_sources(trades(), archives=archives, zone=zone) == []
        archive_folder.agg_trades(SECOND, agg_rows(SECOND, 6))
        archive_folder.agg_trades(THIRD)
        found = changed_sources(trades(), archives=archives, zone=zone)
        assert [task.period.label for task in found] == ["2024-01-02", "2024-01-03"]

    def test_does_not_request_days_that_were_never_ingested(self, archive_folder: ArchiveFolder, zone: RawZone) -> None:
        archive_folder.agg_trades(FIRST)
        assert changed_sources(trades(), archives=archives_at(archive_folder.url), zone=zone) == []

    def test_goes_on_after_an_object_that_cannot_be_judged(self, archive_folder: ArchiveFolder, zone: RawZone) -> None:
        keys = [archive_folder.agg_trades(day) for day in (FIRST, SECOND)]
        run(trades(), archive_folder, zone)
        (archive_folder.root / f"{keys[0]}.CHECKSUM").write_text("not a checksum")
        archive_folder.agg_trades(SECOND, agg_rows(SECOND, 6))
        reported: list[Outcome] = []
        found = changed_sources(trades(), archives=archives_at(archive_folder.url), zone=zone, report=reported.append)
        assert [task.period.label for task in found] == ["2024-01-02"]
        assert [outcome.task.period.label for outcome in reported] == ["2024-01-01"]

    def test_does_not_take_a_withdrawn_file_for_a_change(self, archive_folder: ArchiveFolder, zone: RawZone) -> None:
        key = archive_folder.agg_trades(FIRST)
        run(trades(FIRST, FIRST), archive_folder, zone)
        archive_folder.remove(key)
        assert changed_sources(trades(FIRST, FIRST), archives=archives_at(archive_folder.url), zone=zone) == []


def test_the_index_describes_each_market(archive_folder: ArchiveFolder, local_zone: RawZone) -> None:
    run([*trades(FIRST, FIRST), *plan(METRICS, COIN_M, FIRST, FIRST)], archive_folder, local_zone)
    described = {
        (row["market_id"], row["base_asset"], row["quote_asset"], row["contract_type"], int(row["contract_size"]))
        for row in local_zone.write_index().to_pylist()
    }
    assert described == {
        ("binance_um:BTCUSDT", "BTC", "USDT", "linear", 1),
        ("binance_cm:BTCUSD_PERP", "BTC", "USD", "inverse", 100),
    }


def test_the_index_follows_what_changed_since_it_was_written(archive_folder: ArchiveFolder, zone: RawZone) -> None:
    archive_folder.agg_trades(FIRST)
    run(trades(FIRST, SECOND), archive_folder, zone)
    zone.write_index()
    archive_folder.agg_trades(FIRST, agg_rows(FIRST, 8))
    archive_folder.agg_trades(THIRD)
    run(trades(), archive_folder, zone)
    rows = zone.write_index().to_pylist()
    assert [(row["day"].day, row["status"], row["row_count"], row["revision"]) for row in rows] == [
        (1, "stored", 8, 2),
        (2, "absent", 0, 1),
        (3, "stored", 5, 1),
    ]
    assert zone.index().to_pylist() == rows


def _is_local(zone: RawZone) -> bool:
    return not zone.url.startswith("s3://")
