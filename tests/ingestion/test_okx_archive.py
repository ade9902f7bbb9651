"""OKX's files of trades: one a day of UTC+8, so that a UTC day consists of parts of two.

Belongs here: effects of the cut at 16:00 UTC, headers of several eras, and files that contracts share.
Does not: the tests of every venue's archive (`test_venues`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ingestion.archive import Outcome, changed_sources, ingest, plan
from ingestion.decode.decoder import SourceFile, decode
from ingestion.domain.datasets import AGG_TRADES, KLINES, TRADES
from ingestion.domain.errors import ContractViolation
from ingestion.domain.markets import Market
from ingestion.domain.periods import Period
from ingestion.http.archives import Archives
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from ingestion.venues import archive_of, parse_market
from tests.support.archives import OKX_HEADER, ArchiveFolder, ArchiveServer, archives_at, millis

SWAP, INVERSE = parse_market("okx:BTC-USDT-SWAP"), parse_market("okx:BTC-USD-SWAP")
DAY = date(2025, 9, 1)
NEXT = DAY + timedelta(days=1)
NOON = datetime(2025, 9, 5, 12, tzinfo=UTC)
FOLDER = "traderecords/trades/daily"


@pytest.fixture
def archives(archive_folder: ArchiveFolder) -> Archives:
    return archives_at(archive_folder.url, has_checksums=False)


@pytest.fixture
def local_zone(tmp_path: Path) -> RawZone:
    return RawZone(open_store(tmp_path / "raw_zone"))


def row(
    number: int, hour: float, *, day: date = DAY, side: str = "buy", size: str = "3.5", symbol: str = "BTC-USDT-SWAP"
) -> str:
    """A trade some hours after the day's midnight, UTC."""
    return f"{symbol},{number},{side},100000.5,{size},{millis(day, hour * 3600)},0"


def ingested(
    archives: Archives,
    zone: RawZone,
    market: Market = SWAP,
    last: date = DAY,
    notice: Callable[[str], None] = lambda text: None,
) -> Any:
    return ingest(plan(TRADES, market, DAY, last), archives=archives, zone=zone, now=NOON, notice=notice)


def ids(zone: RawZone, outcome: Outcome) -> list[int]:
    found: list[int] = zone.rows(outcome.task.object_id).column("trade_id").to_pylist()
    return found


class TestADayOfTwoFiles:
    def test_the_files_of_a_utc_day_are_those_of_the_same_day_and_the_next_in_utc_plus_8(self) -> None:
        first, second = archive_of(SWAP).objects(TRADES, SWAP, "", Period.of_day(DAY))  # type: ignore[union-attr]
        assert first.key == f"{FOLDER}/20250901/BTC-USDT-SWAP-trades-2025-09-01.zip"
        assert second.key == f"{FOLDER}/20250902/BTC-USDT-SWAP-trades-2025-09-02.zip"
        # By the venue's documentation the day of the file of 2025-09-01 begins at 1756656000000.
        assert first.holds is not None
        assert first.holds[0] == datetime.fromtimestamp(1756656000, UTC) == datetime(2025, 8, 31, 16, tzinfo=UTC)
        assert second.holds == (datetime(2025, 9, 1, 16, tzinfo=UTC), datetime(2025, 9, 2, 16, tzinfo=UTC))

    def test_only_trades_are_published_and_only_by_day(self) -> None:
        assert plan(AGG_TRADES, SWAP, DAY, NEXT) == plan(KLINES, SWAP, DAY, NEXT, interval="1h") == []
        assert archive_of(SWAP).objects(TRADES, SWAP, "", Period.of_month(DAY)) == ()  # type: ignore[union-attr]

    def test_each_trade_is_stored_in_its_own_utc_day_and_the_receipt_names_both_files(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone
    ) -> None:
        keys = [
            archive_folder.okx_trades(DAY, [row(1, -8), row(2, -0.001), row(3, 0), row(4, 15.9999)]),
            archive_folder.okx_trades(NEXT, [row(5, 16), row(6, 23.9999), row(7, 24), row(8, 39.9)]),
            archive_folder.okx_trades(NEXT + timedelta(days=1), [row(9, 40)]),
        ]
        first, second = ingested(archives, local_zone, last=NEXT)
        assert (first.status, ids(local_zone, first)) == ("stored", [3, 4, 5, 6])
        assert (second.status, ids(local_zone, second)) == ("stored", [7, 8, 9])
        receipt = first.receipt
        assert [source.key for source in receipt.sources] == keys[:2]
        assert [source.rows for source in receipt.sources] == [4, 4]
        assert all(source.fingerprint for source in receipt.sources)
        assert (receipt.rows, receipt.id_gaps, receipt.duplicate_rows, receipt.zero_rows) == (4, 0, 0, 0)
        assert receipt.day_rows == {"2025-09-01": 4}
        assert receipt.defects == ()

    def test_rows_outside_the_files_bounds_are_set_aside(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone
    ) -> None:
        # A file cut at midnight UTC instead: its rows from 16:00 on belong to another file.
        key = archive_folder.okx_trades(DAY, [row(n, n) for n in range(24)])
        archive_folder.okx_trades(NEXT, [row(30, 17)])
        (outcome,) = ingested(archives, local_zone)
        assert (outcome.status, ids(local_zone, outcome)) == ("stored", [*range(16), 30])
        (defect,) = outcome.receipt.defects
        assert (defect.kind, defect.source_key, defect.rows) == ("quarantined_rows", key, 8)
        assert "2025-08-31 16:00 to 2025-09-01 16:00 UTC" in defect.reason

    def test_a_faulty_row_is_a_defect_of_its_own_utc_day_alone(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone
    ) -> None:
        archive_folder.okx_trades(DAY, [row(1, 3)])
        archive_folder.okx_trades(NEXT, [row(2, 17), row(3, 25), row(4, 26, side="?"), row(5, 27)])
        archive_folder.okx_trades(NEXT + timedelta(days=1), [row(6, 41)])
        first, second = ingested(archives, local_zone, last=NEXT)
        assert (ids(local_zone, first), first.receipt.defects) == ([1, 2], ())
        assert ids(local_zone, second) == [3, 5, 6]
        (defect,) = second.receipt.defects
        assert (defect.day, defect.hour, defect.rows) == (NEXT, "2025-09-02T02", 1)

    @pytest.mark.parametrize("missing", [DAY, NEXT])
    def test_a_day_with_one_file_missing_is_absent_until_it_is_published(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone, missing: date
    ) -> None:
        rows = {DAY: [row(1, 3)], NEXT: [row(2, 17)]}
        present = NEXT if missing == DAY else DAY
        archive_folder.okx_trades(present, rows[present])
        notices: list[str] = []
        (outcome,) = ingested(archives, local_zone, notice=notices.append)
        assert outcome.status == "absent"
        (text,) = notices
        assert text.startswith("okx:BTC-USDT-SWAP trades: only a part of these days is in the archive yet")
        assert f"2025-09-01 ({FOLDER}/{missing:%Y%m%d}/BTC-USDT-SWAP-trades-{missing}.zip)" in text
        archive_folder.okx_trades(missing, rows[missing])
        (outcome,) = ingested(archives, local_zone)
        assert (outcome.status, ids(local_zone, outcome)) == ("stored", [1, 2])
        assert ingested(archives, local_zone)[0].status == "unchanged"

    def test_days_without_any_file_yet_are_absent_without_a_notice(
        self, archives: Archives, local_zone: RawZone
    ) -> None:
        notices: list[str] = []
        assert [one.status for one in ingested(archives, local_zone, last=NEXT, notice=notices.append)] == [
            "absent"
        ] * 2
        assert notices == []

    def test_a_file_that_two_days_share_is_downloaded_once(
        self, archive_folder: ArchiveFolder, archive_server: ArchiveServer, local_zone: RawZone
    ) -> None:
        days = [DAY + timedelta(days=n) for n in range(4)]
        keys = [archive_folder.okx_trades(day, [row(10 + n, -7, day=day)]) for n, day in enumerate(days)]
        outcomes = ingested(archives_at(archive_server.url, has_checksums=False), local_zone, last=days[-2])
        assert [one.status for one in outcomes] == ["stored"] * 3
        assert sorted(key for key in archive_server.requests if key in keys) == keys
        sizes = [(archive_folder.root / key).stat().st_size for key in keys]
        assert sum(one.bytes_downloaded for one in outcomes) == sum(sizes)

    @pytest.mark.parametrize("part", [DAY, NEXT])
    def test_a_change_of_either_file_replaces_the_day(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone, part: date
    ) -> None:
        archive_folder.okx_trades(DAY, [row(1, 3)])
        archive_folder.okx_trades(NEXT, [row(2, 17)])
        ingested(archives, local_zone)
        archive_folder.okx_trades(part, [row(1, 3), row(7, 4)] if part == DAY else [row(2, 17), row(7, 18)])
        tasks = plan(TRADES, SWAP, DAY, DAY)
        assert changed_sources(tasks, archives=archives, zone=local_zone) == tasks
        (outcome,) = ingested(archives, local_zone)
        assert (outcome.status, sorted(ids(local_zone, outcome))) == ("stored", [1, 2, 7])

    def test_a_trade_that_is_listed_twice_is_dropped_and_counted(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone
    ) -> None:
        archive_folder.okx_trades(DAY, [row(1, 3), row(1, 3), row(2, 4)])
        archive_folder.okx_trades(NEXT, [row(5, 17)])
        (outcome,) = ingested(archives, local_zone)
        assert (outcome.receipt.rows, outcome.receipt.duplicate_rows) == (3, 1)

    def test_a_price_of_eleven_decimals_is_stored_as_published(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone
    ) -> None:
        sats = parse_market("okx:SATS-USDT-SWAP")
        for day, hour in ((DAY, 3), (NEXT, 17)):
            line = f"{sats.symbol},{hour},buy,0.00000001265,3,{millis(DAY, hour * 3600)},0"
            archive_folder.okx_trades(day, [line], symbol=sats.symbol)
        (outcome,) = ingested(archives, local_zone, sats)
        assert outcome.status == "stored"
        prices = local_zone.rows(outcome.task.object_id).column("price").to_pylist()
        assert prices == [Decimal("0.00000001265")] * 2

    def test_another_symbols_file_is_refused_whole(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone
    ) -> None:
        archive_folder.okx_trades(DAY, [row(n, n, symbol="ETH-USDT-SWAP") for n in range(3)])
        archive_folder.okx_trades(NEXT, [row(5, 17)])
        (outcome,) = ingested(archives, local_zone)
        assert outcome.status == "refused"
        assert "BTC-USDT-SWAP-trades-2025-09-01.zip" in str(outcome.error)
        assert "`instrument_name` is not BTC-USDT-SWAP in 3 rows, first at row 1: `ETH-USDT-SWAP`" in str(outcome.error)


class TestDatedContracts:
    # Delivered at 08:00 UTC of that day; it does not trade from then on.
    DATED = parse_market("okx:BTC-USDT-250901")

    def test_the_day_of_delivery_needs_no_file_of_the_day_after(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone
    ) -> None:
        archive_folder.okx_trades(DAY, [row(1, 7.9, symbol=self.DATED.symbol)], symbol=self.DATED.symbol)
        (outcome,) = ingested(archives, local_zone, self.DATED)
        assert (outcome.status, ids(local_zone, outcome)) == ("stored", [1])
        assert plan(TRADES, self.DATED, NEXT, NEXT) == []

    def test_contracts_of_a_family_share_a_file_and_each_takes_its_own_rows(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone
    ) -> None:
        rows = [row(1, 3, symbol=self.DATED.symbol), row(1, 3.5, symbol="BTC-USDT-251226")]
        key = archive_folder.put(f"{FOLDER}/20250901/BTC-USDT-futureschain-trades-2025-09-01.zip", rows, OKX_HEADER)
        (outcome,) = ingested(archives, local_zone, self.DATED)
        assert (outcome.status, ids(local_zone, outcome)) == ("stored", [1])
        assert [source.key for source in outcome.receipt.sources] == [key]

    @pytest.mark.parametrize("header", ["trade_id,side,size,price,created_time", None], ids=["header", "none"])
    def test_a_shared_file_without_symbols_is_refused(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone, header: str | None
    ) -> None:
        rows = [f"{n},buy,1,42000,{millis(DAY, n * 3600)}" for n in range(1, 4)]
        archive_folder.put(f"{FOLDER}/20250901/BTC-USDT-futureschain-trades-2025-09-01.zip", rows, header)
        (outcome,) = ingested(archives, local_zone, self.DATED)
        assert outcome.status == "refused"
        assert "no column with the symbol of each row" in str(outcome.error)

    def test_rows_of_other_contracts_are_ignored_also_in_a_shared_file_with_a_fault(
        self, archive_folder: ArchiveFolder, archives: Archives, local_zone: RawZone
    ) -> None:
        mine, other = self.DATED.symbol, "BTC-USDT-251226"
        rows = [row(1, 3, symbol=mine), row(1, 3.5, symbol=other, side="?"), row(2, 4, symbol=mine, side="?")]
        rows += [row(2, 5, symbol=other), row(3, 6, symbol=mine)]
        archive_folder.put(f"{FOLDER}/20250901/BTC-USDT-futureschain-trades-2025-09-01.zip", rows, OKX_HEADER)
        (outcome,) = ingested(archives, local_zone, self.DATED)
        assert (outcome.status, ids(local_zone, outcome)) == ("stored", [1, 3])
        (defect,) = outcome.receipt.defects
        assert (defect.rows, defect.hour) == (1, "2025-09-01T04")


class TestHeaders:
    def read(self, tmp_path: Path, lines: list[str], encoding: str = "utf-8", market: Market = SWAP) -> list[Any]:
        folder = ArchiveFolder(tmp_path / "archive")
        key = folder.put("file.zip", lines, encoding=encoding)
        layout, target = archive_of(market).layout(TRADES, market), tmp_path / "data.parquet"  # type: ignore[union-attr]
        decode([SourceFile(folder.root / key, key, Period.of_day(DAY))], TRADES, layout, target)
        found = pq.read_table(target).to_pylist()[0]
        return [found[name] for name in ("trade_id", "price", "quantity", "is_buyer_maker")]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk"])
    @pytest.mark.parametrize(
        "header",
        [
            "trade_id/撮合id,side/交易方向,size/数量,price/价格,created_time/成交时间",
            "trade_id/交易id,side/交易方向,size/数量,price/价格,created_time/成交时间",
            "交易ID/trade_id,方向/side,数量/size,价格/price,时间/created_time",
            '"trade_id","side","size","price","created_time"',
        ],
    )
    def test_a_header_in_two_languages_is_read_by_its_english_names(
        self, tmp_path: Path, header: str, encoding: str
    ) -> None:
        found = self.read(tmp_path, [header, f"11,sell,5.0,90000.5,{millis(DAY, 60)}"], encoding)
        assert found == [11, Decimal("90000.5"), Decimal(5), True]

    @pytest.mark.parametrize(
        "line",
        [
            "11,sell,5.0,90000.5,{at}",
            "BTC-USDT-SWAP,11,sell,90000.5,5.0,{at}",
            "BTC-USDT-SWAP,11,sell,90000.5,5.0,{at},1",
        ],
    )
    def test_without_a_header_the_number_of_columns_decides_their_order(self, tmp_path: Path, line: str) -> None:
        assert self.read(tmp_path, [line.format(at=millis(DAY, 60))]) == [11, Decimal("90000.5"), Decimal(5), True]

    def test_a_header_with_an_unknown_column_refuses_the_file_and_quotes_the_header(self, tmp_path: Path) -> None:
        with pytest.raises(ContractViolation, match=r"`price` is missing \(the header is 交易id,价格"):
            self.read(tmp_path, ["交易id,价格,size,side,created_time", "1,2,3,buy,4"])

    def test_an_unknown_order_of_columns_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ContractViolation, match="no header and 4 columns"):
            self.read(tmp_path, [f"11,90000.5,5.0,{millis(DAY, 60)}"])

    def test_a_name_of_two_columns_is_refused(self, tmp_path: Path) -> None:
        lines = ["trade_id,side,size/数量,price/价格,price/均价,created_time", f"11,sell,5,9,1,{millis(DAY, 60)}"]
        with pytest.raises(ContractViolation, match="`price` is there twice"):
            self.read(tmp_path, lines)


def test_the_rows_that_six_public_readers_quote_are_read(real_data: Path, tmp_path: Path) -> None:
    header, *lines = (real_data / "issue_quoted_rows" / "okx_trades_archive_first_rows_quoted.csv").read_text().split()
    for number, line in enumerate(lines):
        symbol, trade_id, side, price, size, created_time, _ = line.split(",")
        market = parse_market(f"okx:{symbol}")
        at = datetime.fromtimestamp(int(created_time) / 1000, UTC)
        # Each is the first of its file: just after 16:00 UTC, when the file's day in UTC+8 begins.
        period = Period.of_day(at.date())
        (part,) = (
            part
            for part in archive_of(market).objects(TRADES, market, "", period)  # type: ignore[union-attr]
            if part.holds and part.holds[0] <= at < part.holds[1]
        )
        assert part.holds is not None
        assert at - part.holds[0] < timedelta(seconds=1)
        folder = ArchiveFolder(tmp_path / str(number))
        path = folder.root / folder.put("file.zip", [header, line])
        layout, target = archive_of(market).layout(TRADES, market), tmp_path / f"{number}.parquet"  # type: ignore[union-attr]
        found = decode([SourceFile(path, part.key, period, part.holds)], TRADES, layout, target)
        assert (found.rows, found.first_id) == (1, int(trade_id))
        (stored,) = pq.read_table(target).to_pylist()
        assert (stored["price"], stored["quantity"]) == (Decimal(price), Decimal(size))
        assert stored["is_buyer_maker"] is (side == "sell")
