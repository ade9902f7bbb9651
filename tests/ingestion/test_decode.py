"""Bytes become exactly the rows they say, every known defect is handled by rule, and every other one is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.datasets import AGG_TRADES, KLINES, LIQUIDATION_SNAPSHOT, METRICS, TRADES, Dataset
from ingestion.decode import DayFacts, Decoded, SourceFile, decode
from ingestion.errors import ContractViolation, SourceDefect
from ingestion.markets import Market
from ingestion.periods import Period
from ingestion.venues import archive_of
from ingestion.venues.venue import Layout, SourceColumn
from tests.support.archives import (
    AGG_HEADER,
    BYBIT_HEADER,
    KLINE_HEADER,
    LIQUIDATION_HEADER,
    METRIC_HEADER,
    TRADE_HEADER,
    ArchiveFolder,
    agg_rows,
    kline_rows,
    millis,
)

DAY = date(2024, 1, 2)
LINEAR = Market.parse("binance_um:BTCUSDT")
INVERSE = Market.parse("binance_cm:BTCUSD_PERP")


def decoded(
    folder: Path,
    rows: list[str],
    dataset: Dataset = AGG_TRADES,
    header: str | None = AGG_HEADER,
    market: Market = LINEAR,
    day: date = DAY,
) -> tuple[Decoded, pa.Table]:
    """One file of these rows, decoded: the counts and the stored table."""
    archive = ArchiveFolder(folder / "archive")
    key = archive.put("file.zip", rows, header)
    return decoded_file(archive.root / key, folder, dataset, market, day)


def decoded_file(
    path: Path, folder: Path, dataset: Dataset = AGG_TRADES, market: Market = LINEAR, day: date = DAY
) -> tuple[Decoded, pa.Table]:
    target = folder / "data.parquet"
    source = SourceFile(path, "venue/file.zip", Period.of_day(day))
    found = decode([source], dataset, archive_of(market).layout(dataset, market), target)
    return found, pq.read_table(target)


def rows_of(table: pa.Table, *names: str) -> list[tuple[Any, ...]]:
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


class TestEveryRow:
    def test_is_stored_with_exact_decimals_and_utc_times(self, tmp_path: Path) -> None:
        row = f"7,42000.12345678,0.00000001,8,9,{millis(DAY, 1.5)},true"
        _, table = decoded(tmp_path, [row])
        assert table.to_pylist() == [
            {
                "agg_trade_id": 7,
                "price": Decimal("42000.12345678"),
                "quantity": Decimal("0.00000001"),
                "first_trade_id": 8,
                "last_trade_id": 9,
                "traded_at": datetime(2024, 1, 2, 0, 0, 1, 500_000, tzinfo=UTC),
                "is_buyer_maker": True,
            }
        ]

    @pytest.mark.parametrize(("said", "meant"), [("true", True), ("True", True), ("TRUE", True), ("1", True)])
    def test_may_say_true_in_four_ways(self, tmp_path: Path, said: str, meant: bool) -> None:
        _, table = decoded(tmp_path, [f"7,1,1,8,9,{millis(DAY)},{said}"])
        assert table["is_buyer_maker"].to_pylist() == [meant]

    @pytest.mark.parametrize("said", ["false", "False", "FALSE", "0"])
    def test_may_say_false_in_four_ways(self, tmp_path: Path, said: str) -> None:
        _, table = decoded(tmp_path, [f"7,1,1,8,9,{millis(DAY)},{said}"])
        assert table["is_buyer_maker"].to_pylist() == [False]

    def test_may_give_its_time_in_microseconds(self, tmp_path: Path) -> None:
        _, in_millis = decoded(tmp_path, [f"7,1,1,8,9,{millis(DAY, 3)},true"])
        _, in_micros = decoded(tmp_path, [f"7,1,1,8,9,{millis(DAY, 3)}000,true"])
        assert in_millis["traded_at"] == in_micros["traded_at"]

    def test_of_a_file_without_header_is_the_same_row(self, tmp_path: Path) -> None:
        _, with_header = decoded(tmp_path, agg_rows(DAY))
        _, without = decoded(tmp_path, agg_rows(DAY), header=None)
        assert with_header == without

    def test_of_a_file_with_columns_in_another_order_is_the_same_row(self, tmp_path: Path) -> None:
        _, usual = decoded(tmp_path, agg_rows(DAY))
        turned = [",".join(reversed(row.split(","))) for row in agg_rows(DAY)]
        _, other = decoded(tmp_path, turned, header=",".join(reversed(AGG_HEADER.split(","))))
        assert usual == other


class TestKnownDefects:
    def test_zero_price_and_zero_quantity_rows_are_dropped_and_counted(self, tmp_path: Path) -> None:
        rows = agg_rows(DAY, 4)
        rows[1] = f"101,0.0,0.5,1,1,{millis(DAY, 1)},true"
        rows[2] = f"102,42000,0.0,1,1,{millis(DAY, 2)},true"
        found, table = decoded(tmp_path, rows)
        assert table["agg_trade_id"].to_pylist() == [100, 103]
        assert (found.zero_rows, found.id_gaps, found.rows) == (2, 0, 2)

    def test_exact_duplicates_side_by_side_are_dropped_and_counted(self, tmp_path: Path) -> None:
        found, table = decoded(tmp_path, [row for row in agg_rows(DAY) for _ in range(2)])
        assert (found.duplicate_rows, found.out_of_order_rows) == (5, 0)
        assert table["agg_trade_id"].to_pylist() == [100, 101, 102, 103, 104]

    def test_a_repeated_block_is_dropped_and_counted(self, tmp_path: Path) -> None:
        rows = agg_rows(DAY, 9)
        found, table = decoded(tmp_path, rows[:6] + rows[2:6] + rows[6:])
        assert (found.duplicate_rows, found.out_of_order_rows, table.num_rows) == (4, 0, 9)

    def test_two_interleaved_streams_are_put_in_id_order_and_counted(self, tmp_path: Path) -> None:
        early, late = agg_rows(DAY, 3, first_id=10), agg_rows(DAY, 3, first_id=50)
        found, table = decoded(tmp_path, [row for pair in zip(early, late, strict=True) for row in pair])
        assert table["agg_trade_id"].to_pylist() == [10, 11, 12, 50, 51, 52]
        assert (found.out_of_order_rows, found.id_gaps) == (2, 37)

    def test_missing_ids_are_counted(self, tmp_path: Path) -> None:
        rows = agg_rows(DAY, 10)
        found, _ = decoded(tmp_path, rows[:3] + rows[5:])
        assert (found.first_id, found.last_id, found.id_gaps) == (100, 109, 2)

    def test_a_file_of_a_header_alone_holds_no_rows(self, tmp_path: Path) -> None:
        found, table = decoded(tmp_path, [])
        assert (found.rows, table.num_rows, found.day_rows) == (0, 0, {})

    def test_empty_ratios_of_old_coin_margined_metrics_are_unknown(self, tmp_path: Path) -> None:
        row = f'{DAY} 00:05:00,BTCUSD_PERP,5578209.00000000,18261.90678854,"","","",1.19645130'
        _, table = decoded(tmp_path, [row], METRICS, METRIC_HEADER, INVERSE)
        assert rows_of(table, "account_long_short_ratio", "taker_buy_sell_ratio") == [(None, Decimal("1.19645130"))]

    def test_metrics_labelled_by_the_end_of_their_five_minutes_belong_to_the_day(self, tmp_path: Path) -> None:
        row = "2024-01-03 00:00:00,BTCUSDT,1,1,1,1,1,1"
        found, _ = decoded(tmp_path, [row], METRICS, METRIC_HEADER)
        assert found.rows == 1


class TestWhatCannotBeTrue:
    """Each is refused with the file and the fault named, and nothing is left behind."""

    def refused(self, folder: Path, rows: list[str], header: str | None = AGG_HEADER, kind: Any = SourceDefect) -> str:
        with pytest.raises(kind) as refusal:
            decoded(folder, rows, header=header)
        assert not (folder / "data.parquet").exists()
        assert "venue/file.zip" in str(refusal.value)
        return str(refusal.value)

    def test_text_in_a_number(self, tmp_path: Path) -> None:
        rows = agg_rows(DAY)
        rows[2] = rows[2].replace("42000.5", "cheap")
        assert "`price` is not a number in 1 rows, first at row 3: `cheap`" in self.refused(tmp_path, rows)

    def test_text_in_an_id(self, tmp_path: Path) -> None:
        rows = [*agg_rows(DAY), f"x7,1,1,8,9,{millis(DAY)},true"]
        message = self.refused(tmp_path, rows)
        assert "`agg_trade_id` is not a whole number in 1 rows, first at row 6: `x7`" in message

    def test_every_unreadable_column_is_named_at_once(self, tmp_path: Path) -> None:
        message = self.refused(tmp_path, [f"7,cheap,little,8,9,{millis(DAY)},maybe"])
        assert all(name in message for name in ("`price`", "`quantity`", "`is_buyer_maker`"))

    def test_a_decimal_too_fine_to_be_stored_exactly(self, tmp_path: Path) -> None:
        message = self.refused(tmp_path, [f"7,1.1234567890123,1.123456789,8,9,{millis(DAY)},true"])
        assert "`price` has more than the 12 decimals that Taker stores in 1 rows, first at row 1: `1.12345" in message
        assert "`quantity` has more than the 8 decimals that Taker stores in 1 rows" in message

    def test_a_row_that_is_too_short(self, tmp_path: Path) -> None:
        assert "Expected 7 columns, got 3" in self.refused(tmp_path, [*agg_rows(DAY), "1,2,3"])

    def test_a_missing_column(self, tmp_path: Path) -> None:
        rows = [row.rsplit(",", 1)[0] for row in agg_rows(DAY)]
        message = self.refused(tmp_path, rows, AGG_HEADER.rsplit(",", 1)[0], ContractViolation)
        assert "column `is_buyer_maker` is missing" in message

    def test_what_no_trade_can_be_since_the_marts_could_not_sum_it(self, tmp_path: Path) -> None:
        rows = [
            f"{n},{p},{q},8,9,{millis(DAY)},true"
            for n, (p, q) in enumerate([("1e10", 1), (1, "1e15"), ("1e6", "1e10")])
        ]
        message = self.refused(tmp_path, rows, kind=ContractViolation)
        assert "`price` is 1e+10 or more, which no market has in 1 rows, first at row 1" in message
        assert "`quantity` is 1e+15 or more, which no market has in 1 rows, first at row 2" in message
        assert "`price` × `quantity` is 1e+16 or more, which no trade is in 1 rows, first at row 3" in message

    def test_a_negative_quantity(self, tmp_path: Path) -> None:
        rows = [*agg_rows(DAY), f"105,42000,-0.5,8,9,{millis(DAY)},true"]
        message = self.refused(tmp_path, rows, kind=ContractViolation)
        assert "`quantity` is negative in 1 rows, first at row 6: -0.50000000" in message

    def test_an_empty_value(self, tmp_path: Path) -> None:
        rows = [*agg_rows(DAY), f"105,,1,8,9,{millis(DAY)},true"]
        assert "`price` is empty in 1 rows" in self.refused(tmp_path, rows, kind=ContractViolation)

    @pytest.mark.parametrize("day", [date(2024, 1, 1), date(2024, 1, 3)])
    def test_a_row_of_another_day(self, tmp_path: Path, day: date) -> None:
        rows = [*agg_rows(DAY), f"105,42000,1,8,9,{millis(day)},true"]
        message = self.refused(tmp_path, rows, kind=ContractViolation)
        assert f"`traded_at` lies outside 2024-01-02 in 1 rows, first at row 6: {day}" in message

    def test_all_broken_promises_are_named_at_once(self, tmp_path: Path) -> None:
        message = self.refused(tmp_path, [f"7,-1,-1,8,9,{millis(date(2020, 1, 1))},true"], kind=ContractViolation)
        assert all(fault in message for fault in ("`price` is negative", "`quantity` is negative", "lies outside"))

    def test_one_id_with_two_different_rows(self, tmp_path: Path) -> None:
        rows = [*agg_rows(DAY, 2), f"101,1,1,8,9,{millis(DAY)},true"]
        message = self.refused(tmp_path, rows, kind=ContractViolation)
        assert "`agg_trade_id` 101 and 0 others appear twice with different rows" in message

    def test_a_time_beyond_the_calendar(self, tmp_path: Path) -> None:
        """Nanoseconds, say: neither milliseconds nor microseconds, and no day of any calendar."""
        row = f"7,1,1,8,9,{millis(DAY)}000000,true"
        assert "`traded_at` lies outside" in self.refused(tmp_path, [row], kind=ContractViolation)


class TestWhatIsNoProperZip:
    def refused(self, folder: Path, key: str, archive: ArchiveFolder) -> str:
        with pytest.raises(SourceDefect, match=r"venue/file\.zip") as refusal:
            decoded_file(archive.root / key, folder)
        assert not (folder / "data.parquet").exists()
        return str(refusal.value)

    def test_a_truncated_file(self, tmp_path: Path, archive_folder: ArchiveFolder) -> None:
        whole = (archive_folder.root / archive_folder.put("a.zip", agg_rows(DAY, 500))).read_bytes()
        key = archive_folder.put_bytes("b.zip", whole[: len(whole) // 2])
        assert "not a readable zip" in self.refused(tmp_path, key, archive_folder)

    def test_a_file_that_is_no_zip(self, tmp_path: Path, archive_folder: ArchiveFolder) -> None:
        key = archive_folder.put_bytes("a.zip", b"<html>maintenance</html>")
        assert "not a readable zip" in self.refused(tmp_path, key, archive_folder)

    def test_two_members(self, tmp_path: Path, archive_folder: ArchiveFolder) -> None:
        key = archive_folder.put_members("a.zip", {"a.csv": "1", "b.csv": "2"})
        assert "2 members instead of one: a.csv, b.csv" in self.refused(tmp_path, key, archive_folder)

    @pytest.mark.parametrize("name", ["../a.csv", "/etc/a.csv", "folder/a.csv", "folder\\a.csv"])
    def test_a_member_with_a_path_in_its_name(self, tmp_path: Path, archive_folder: ArchiveFolder, name: str) -> None:
        key = archive_folder.put_members("a.zip", {name: "1"})
        assert "has a path in its name; refused" in self.refused(tmp_path, key, archive_folder)

    def test_a_member_whose_bytes_were_changed(self, tmp_path: Path, archive_folder: ArchiveFolder) -> None:
        key = archive_folder.put("a.zip", agg_rows(DAY, 2000), AGG_HEADER)
        path = archive_folder.root / key
        packed = bytearray(path.read_bytes())
        packed[len(packed) // 2] ^= 0xFF
        path.write_bytes(packed)
        self.refused(tmp_path, key, archive_folder)


class TestFactsOfADay:
    """What a day of trades looks like, for whoever judges whether it can be a market's."""

    def test_are_counts_and_bounds_of_the_stored_rows(self, tmp_path: Path) -> None:
        rows = agg_rows(DAY, 4)
        rows[1] = f"101,41000,0.0005,8,9,{millis(DAY, 1)},true"
        rows[2] = f"102,0,9,8,9,{millis(DAY, 2)},true"  # a zero price is not stored
        found, _ = decoded(tmp_path, rows)
        start = datetime(2024, 1, 2, tzinfo=UTC)
        assert found.day_facts == {
            DAY: DayFacts(
                rows=3,
                buyer_maker_rows=2,
                min_price=Decimal("41000"),
                max_price=Decimal("42000.5"),
                min_quantity=Decimal("0.0005"),
                max_quantity=Decimal("0.004"),
                min_at=start,
                max_at=start + timedelta(seconds=3),
                notional_mismatches=None,
            )
        }

    def test_are_joined_over_the_blocks_of_a_file(self, tmp_path: Path) -> None:
        found, _ = decoded(tmp_path, agg_rows(DAY, 60_000))
        facts = found.day_facts[DAY]
        assert (facts.rows, facts.buyer_maker_rows, facts.max_quantity) == (60_000, 30_000, Decimal("0.9999"))
        assert facts.max_at == datetime(2024, 1, 2, tzinfo=UTC) + timedelta(seconds=59_999)

    @pytest.mark.parametrize(
        ("printed", "mismatches"), [("5297.49389", 0), ("5297.49", 0), ("5303", 1), ("0.467", 1), ("0", 1)]
    )
    def test_count_products_that_are_not_price_times_quantity(
        self, tmp_path: Path, printed: str, mismatches: int
    ) -> None:
        found, _ = decoded(tmp_path, [f"7,11343.67,0.467,{printed},{millis(DAY)},true"], TRADES, TRADE_HEADER)
        assert found.day_facts[DAY].notional_mismatches == mismatches

    @pytest.mark.parametrize(("printed", "mismatches"), [("0.10569734", 0), ("0.1056", 0), ("8.3", 1), ("0.1058", 0)])
    def test_of_inverse_contracts_compare_base_with_contracts_times_size_by_price(
        self, tmp_path: Path, printed: str, mismatches: int
    ) -> None:
        header = TRADE_HEADER.replace("quote_qty", "base_qty")
        row = f"7,78526.1,83.0,{printed},{millis(DAY)},true"
        found, _ = decoded(tmp_path, [row], TRADES, header, INVERSE)
        assert found.day_facts[DAY].notional_mismatches == mismatches

    def test_ignore_a_cent_of_rounding_on_a_tiny_trade(self, tmp_path: Path) -> None:
        found, _ = decoded(tmp_path, [f"7,0.5,0.01,0.01,{millis(DAY)},true"], TRADES, TRADE_HEADER)
        assert found.day_facts[DAY].notional_mismatches == 0

    def test_are_not_made_of_what_is_no_trade(self, tmp_path: Path) -> None:
        found, _ = decoded(tmp_path, kline_rows(DAY), KLINES, KLINE_HEADER)
        assert (found.rows, found.day_facts) == (6, {})


class TestOtherDatasets:
    def test_klines_of_coin_margined_markets_keep_contracts_and_base_apart(self, tmp_path: Path) -> None:
        start = millis(DAY)
        row = f"{start},34161.6,34182.5,33977.4,34024.2,409953,{start + 3599999},1202.97118037,15095,192220,564.12,0"
        _, table = decoded(tmp_path, [row], KLINES, KLINE_HEADER, INVERSE)
        assert rows_of(table, "volume", "quote_volume", "trade_count") == [
            (Decimal(409953), Decimal("1202.97118037"), 15095)
        ]

    def test_a_volume_beyond_eighteen_digits_is_still_exact(self, tmp_path: Path) -> None:
        start = millis(DAY)
        volume = "123456789012345.12345678"
        row = f"{start},1,1,1,1,{volume},{start + 1},{volume},1,1,1,0"
        _, table = decoded(tmp_path, [row], KLINES, KLINE_HEADER)
        assert table["volume"].to_pylist() == [Decimal(volume)]

    def test_two_different_bars_of_one_hour_are_refused(self, tmp_path: Path) -> None:
        start = millis(DAY)
        rows = [f"{start},1,1,1,1,{volume},{start + 1},1,1,1,1,0" for volume in (1, 2)]
        with pytest.raises(ContractViolation, match=r"`opened_at` 2024-01-02 .* twice with different rows"):
            decoded(tmp_path, rows, KLINES, KLINE_HEADER)

    def test_a_bar_of_which_more_was_bought_than_traded_is_refused(self, tmp_path: Path) -> None:
        start = millis(DAY)
        with pytest.raises(ContractViolation, match="`taker_buy_volume` exceeds `volume` in 1 rows"):
            decoded(tmp_path, [f"{start},1,1,1,1,5,{start + 1},5,1,6,5,0"], KLINES, KLINE_HEADER)

    def test_single_trades_keep_the_venues_own_product(self, tmp_path: Path) -> None:
        row = f"173525189,11343.67,0.467,5297.49,{millis(DAY)},true"
        _, table = decoded(tmp_path, [row], TRADES, TRADE_HEADER)
        assert rows_of(table, "price", "quantity", "venue_notional") == [
            (Decimal("11343.67"), Decimal("0.467"), Decimal("5297.49"))
        ]

    def test_doubled_liquidation_rows_are_stored_once(self, tmp_path: Path) -> None:
        row = f"{millis(DAY)},BUY,LIMIT,IOC,7,30741.3,30631.6,FILLED,6,7"
        found, table = decoded(tmp_path, [row, row], LIQUIDATION_SNAPSHOT, LIQUIDATION_HEADER, INVERSE)
        assert (table.num_rows, found.duplicate_rows) == (1, 1)


BYBIT = Market.parse("bybit:BTCUSDT")
MIDNIGHT = millis(DAY) // 1000


def match(n: int) -> str:
    return f"5c0ffee0-0000-5000-8000-{n:012d}"


def bybit_row(
    seconds: str, side: str = "Buy", size: str = "0.5", price: str = "42000.5", n: int = 1, notional: str = "1"
) -> str:
    return f"{seconds},BTCUSDT,{side},{size},{price},PlusTick,{match(n)},1e+10,{size},{notional}"


def decoded_gzip(folder: Path, rows: list[str], header: str = BYBIT_HEADER) -> tuple[Decoded, pa.Table]:
    archive = ArchiveFolder(folder / "archive")
    return decoded_file(archive.root / archive.put_gzip("file.zip", rows, header), folder, TRADES, BYBIT)


class TestTradesWithoutNumbers:
    """A layout with words for sides, seconds for times, gzip for a zip, and no number for a trade: Bybit's."""

    def test_seconds_with_a_fraction_are_exact_to_the_microsecond(self, tmp_path: Path) -> None:
        micros = list(range(0, 1_000_000, 37))
        rows = [bybit_row(f"{MIDNIGHT}.{micro:06}".rstrip("0").rstrip("."), n=micro) for micro in micros]
        _, table = decoded_gzip(tmp_path, rows)
        assert [at.microsecond for at in table["traded_at"].to_pylist()] == micros

    def test_digits_beyond_the_microsecond_are_rounded(self, tmp_path: Path) -> None:
        seconds = [f"{MIDNIGHT}.06470000001", f"{MIDNIGHT + 1}.0646999999", f"{MIDNIGHT + 2}.5E0"]
        _, table = decoded_gzip(tmp_path, [bybit_row(text, n=n) for n, text in enumerate(seconds)])
        assert [at.microsecond for at in table["traded_at"].to_pylist()] == [64_700, 64_700, 500_000]

    def test_the_last_microsecond_of_the_day_belongs_to_it_and_midnight_does_not(self, tmp_path: Path) -> None:
        found, _ = decoded_gzip(tmp_path, [bybit_row(f"{MIDNIGHT + 86_399}.999999")])
        assert found.rows == 1
        with pytest.raises(ContractViolation, match="`traded_at` lies outside"):
            decoded_gzip(tmp_path, [bybit_row(f"{MIDNIGHT + 86_400}")])

    def test_whoever_sold_met_a_buyer_that_rested(self, tmp_path: Path) -> None:
        rows = [bybit_row(f"{MIDNIGHT}.{n}", side, n=n) for n, side in enumerate(["Buy", "Sell"])]
        _, table = decoded_gzip(tmp_path, rows)
        assert table["is_buyer_maker"].to_pylist() == [False, True]

    @pytest.mark.parametrize("side", ["sell", "true", "1", "Hold"])
    def test_a_word_that_is_neither_side_is_refused(self, tmp_path: Path, side: str) -> None:
        with pytest.raises(SourceDefect, match=f"`side` is not Sell or Buy in 1 rows, first at row 2: `{side}`"):
            decoded_gzip(tmp_path, [bybit_row(f"{MIDNIGHT}"), bybit_row(f"{MIDNIGHT}", side, n=2)])

    def test_numbers_follow_time_and_then_every_other_column_whatever_the_order_of_the_file(
        self, tmp_path: Path
    ) -> None:
        rows = [
            bybit_row(f"{MIDNIGHT}", price="1", n=1),
            bybit_row(f"{MIDNIGHT + 1}.5", price="2", n=3),
            bybit_row(f"{MIDNIGHT + 1}.5", price="2", n=4),
            bybit_row(f"{MIDNIGHT + 2}", price="1.5", n=2),
        ]
        forward, table = decoded_gzip(tmp_path, rows)
        assert rows_of(table, "trade_id", "price") == [(1, 1), (2, 2), (3, 2), (4, Decimal("1.5"))]
        assert (forward.first_id, forward.last_id, forward.id_gaps, forward.out_of_order_rows) == (1, 4, 0, 0)
        backward, same = decoded_gzip(tmp_path, rows[::-1])
        assert same.equals(table)
        assert backward.out_of_order_rows == 3

    def test_a_trade_written_twice_is_stored_once_and_two_equal_trades_twice(self, tmp_path: Path) -> None:
        rows = [bybit_row(f"{MIDNIGHT}", n=1), bybit_row(f"{MIDNIGHT}", n=2), bybit_row(f"{MIDNIGHT}", n=1)]
        found, table = decoded_gzip(tmp_path, rows)
        assert (table.num_rows, found.duplicate_rows, found.source_rows) == (2, 1, [3])

    def test_one_match_that_says_two_things_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ContractViolation, match=f"`trdMatchID` {match(1)} and 0 others appear twice with"):
            decoded_gzip(tmp_path, [bybit_row(f"{MIDNIGHT}"), bybit_row(f"{MIDNIGHT}", size="0.7")])

    def test_a_trade_that_does_not_say_which_it_is_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ContractViolation, match="`trdMatchID` is empty in 1 rows"):
            decoded_gzip(tmp_path, [bybit_row(f"{MIDNIGHT}").replace(match(1), "")])

    def test_numbers_in_scientific_notation_are_as_exact_as_others(self, tmp_path: Path) -> None:
        _, table = decoded_gzip(tmp_path, [bybit_row(f"{MIDNIGHT}", size="1E+3", price="5.99e-05")])
        assert rows_of(table, "quantity", "price") == [(Decimal(1000), Decimal("0.0000599"))]

    def test_the_venues_own_quotient_is_rounded_and_nothing_else_is(self, tmp_path: Path) -> None:
        _, table = decoded_gzip(tmp_path, [bybit_row(f"{MIDNIGHT}", notional="0.024628270642025587")])
        assert table["venue_notional"].to_pylist() == [Decimal("0.02462827")]
        with pytest.raises(SourceDefect, match="`price` has more than the 12 decimals"):
            decoded_gzip(tmp_path, [bybit_row(f"{MIDNIGHT}", price="0.1234567890123")])

    def test_columns_may_come_in_any_order_and_new_ones_are_no_matter(self, tmp_path: Path) -> None:
        header = "RPI," + ",".join(reversed(BYBIT_HEADER.split(","))) + ",new"
        row = "0," + ",".join(reversed(bybit_row(f"{MIDNIGHT}").split(","))) + ",x"
        _, table = decoded_gzip(tmp_path, [row], header)
        assert rows_of(table, "price", "quantity", "is_buyer_maker") == [(Decimal("42000.5"), Decimal("0.5"), False)]

    @pytest.mark.parametrize("name", ["side", "trdMatchID", "timestamp"])
    def test_a_missing_column_is_named(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ContractViolation, match=f"column `{name}` is missing"):
            decoded_gzip(tmp_path, [bybit_row(f"{MIDNIGHT}")], BYBIT_HEADER.replace(name, "other"))

    @pytest.mark.parametrize("text", ["soon", "1704153600,5", "2024-01-02 00:00:00"])
    def test_a_time_that_is_no_number_is_named(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(SourceDefect, match="`timestamp` is not a number in 1 rows"):
            decoded_gzip(tmp_path, [bybit_row(f'"{text}"')])

    def test_zero_quantities_are_dropped_and_counted(self, tmp_path: Path) -> None:
        found, table = decoded_gzip(tmp_path, [bybit_row(f"{MIDNIGHT}", size="0"), bybit_row(f"{MIDNIGHT + 1}", n=2)])
        assert (found.zero_rows, table["trade_id"].to_pylist()) == (1, [2])

    def test_a_file_of_a_header_alone_holds_no_rows(self, tmp_path: Path) -> None:
        found, table = decoded_gzip(tmp_path, [])
        assert (found.rows, table.num_rows, found.first_id) == (0, 0, None)


class TestWhatIsNoProperGzip:
    @pytest.fixture
    def whole(self, archive_folder: ArchiveFolder) -> Path:
        rows = [bybit_row(f"{MIDNIGHT}.{n:06}", n=n) for n in range(20_000)]
        return archive_folder.root / archive_folder.put_gzip("a.csv.gz", rows, BYBIT_HEADER)

    def refused(self, path: Path, folder: Path) -> str:
        with pytest.raises(SourceDefect, match=r"venue/file\.zip is not a readable gzip file") as refusal:
            decoded_file(path, folder, TRADES, BYBIT)
        assert not (folder / "data.parquet").exists()
        return str(refusal.value)

    def test_a_truncated_file(self, whole: Path, tmp_path: Path) -> None:
        whole.write_bytes(whole.read_bytes()[:-20_000])
        self.refused(whole, tmp_path)

    def test_a_file_that_lacks_its_last_byte(self, whole: Path, tmp_path: Path) -> None:
        whole.write_bytes(whole.read_bytes()[:-1])
        self.refused(whole, tmp_path)

    def test_a_file_whose_bytes_were_changed(self, whole: Path, tmp_path: Path) -> None:
        packed = bytearray(whole.read_bytes())
        packed[-6] ^= 0xFF  # of the CRC, so that all of it still inflates
        whole.write_bytes(packed)
        self.refused(whole, tmp_path)

    @pytest.mark.parametrize("payload", [b"", b"<html>maintenance</html>"])
    def test_a_file_that_is_no_gzip(self, tmp_path: Path, payload: bytes) -> None:
        (tmp_path / "a.csv.gz").write_bytes(payload)
        self.refused(tmp_path / "a.csv.gz", tmp_path)


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    for folder in (first, second):
        folder.mkdir()
        decoded(folder, agg_rows(DAY, 50))
    assert (first / "data.parquet").read_bytes() == (second / "data.parquet").read_bytes()


def test_a_file_larger_than_one_block_streams_and_sorts_alike(tmp_path: Path) -> None:
    """60,000 rows are more than one CSV block: the streamed and the sorted way must agree."""
    rows = agg_rows(DAY, 60_000)
    streamed, in_order = decoded(tmp_path, rows)
    _, shuffled = decoded(tmp_path, rows[30_000:] + rows[:30_000])
    assert in_order.equals(shuffled)
    assert (streamed.rows, streamed.id_gaps, streamed.day_rows) == (60_000, 0, {DAY: 60_000})


_PRICES = st.decimals(min_value=Decimal("1e-12"), max_value=Decimal("9999999999.999999999999"), places=12)
_SIZES = st.decimals(min_value=Decimal("1e-8"), max_value=Decimal("99999.99999999"), places=8)


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.tuples(_PRICES, _SIZES, st.booleans()), min_size=1, max_size=30), data=st.data())
def test_any_order_of_any_rows_is_stored_exactly_and_once(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[Decimal, Decimal, bool]], data: st.DataObject
) -> None:
    rows = [f"{n},{price:f},{size:f},{n},{n},{millis(DAY, n)},{maker}" for n, (price, size, maker) in enumerate(values)]
    written = data.draw(st.permutations(rows + data.draw(st.lists(st.sampled_from(rows), max_size=5))))
    found, table = decoded(tmp_path_factory.mktemp("any"), list(written))
    assert rows_of(table, "price", "quantity", "is_buyer_maker") == values
    assert found.duplicate_rows == len(written) - len(rows)


def test_a_layout_may_leave_columns_out(tmp_path: Path) -> None:
    key = ArchiveFolder(tmp_path).put("a.zip", [row + ",True" for row in agg_rows(DAY)])
    usual = archive_of(LINEAR).layout(AGG_TRADES, LINEAR)
    spot = Layout((*usual.columns, SourceColumn("is_best_match", None)))
    source = SourceFile(tmp_path / key, key, Period.of_day(DAY))
    assert decode([source], AGG_TRADES, spot, tmp_path / "data.parquet").rows == 5
