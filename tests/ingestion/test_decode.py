"""Files become exactly the rows they contain; known defects are handled by rule, and all others are refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.decode.contracts import extremes
from ingestion.decode.decoder import DayFacts, Decoded, SourceFile, decode
from ingestion.decode.quarantine import Quarantined
from ingestion.domain.datasets import AGG_TRADES, FUNDING_RATE, KLINES, LIQUIDATION_SNAPSHOT, METRICS, TRADES, Dataset
from ingestion.domain.errors import ContractViolation, SourceDefect
from ingestion.domain.markets import Market
from ingestion.domain.periods import Period
from ingestion.venues import archive_of, parse_market
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
LINEAR = parse_market("binance_um:BTCUSDT")
INVERSE = parse_market("binance_cm:BTCUSD_PERP")


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
    (folder / "quarantine.parquet").unlink(missing_ok=True)
    source = SourceFile(path, "venue/file.zip", Period.of_day(day))
    layout = archive_of(market).layout(dataset, market)
    found = decode([source], dataset, layout, target, quarantine=folder / "quarantine.parquet")
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

    @pytest.mark.parametrize(("printed", "meant"), [("true", True), ("True", True), ("TRUE", True), ("1", True)])
    def test_true_is_read_in_four_spellings(self, tmp_path: Path, printed: str, meant: bool) -> None:
        _, table = decoded(tmp_path, [f"7,1,1,8,9,{millis(DAY)},{printed}"])
        assert table["is_buyer_maker"].to_pylist() == [meant]

    @pytest.mark.parametrize("printed", ["false", "False", "FALSE", "0"])
    def test_false_is_read_in_four_spellings(self, tmp_path: Path, printed: str) -> None:
        _, table = decoded(tmp_path, [f"7,1,1,8,9,{millis(DAY)},{printed}"])
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


def aside(folder: Path, rows: list[str], **how: Any) -> tuple[Decoded, pa.Table, list[tuple[int, str, str]]]:
    """One file of these rows: the counts, the stored table, and number, line and reason of the rows set aside."""
    found, table = decoded(folder, rows, **how)
    path = folder / "quarantine.parquet"
    kept = rows_of(pq.read_table(path), "row_number", "line", "reason") if path.exists() else []
    return found, table, kept


class TestOneRowThatCannotBeUsed:
    """It is set aside with its reason, and the rest of the file is used."""

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            (f"102,cheap,1,8,9,{millis(DAY)},true", "`price` is not a number: `cheap`"),
            (f"102,NaN,1,8,9,{millis(DAY)},true", "`price` is not a number: `NaN`"),
            (f"x7,1,1,8,9,{millis(DAY)},true", "`agg_trade_id` is not a whole number: `x7`"),
            (f"102,1,1,8,9,{millis(DAY)},maybe", "`is_buyer_maker` is not true or false: `maybe`"),
            (f"102,,1,8,9,{millis(DAY)},true", "`price` is empty"),
            (f"102,1,-0.5,8,9,{millis(DAY)},true", "`quantity` is negative: `-0.5`"),
            ("1,2,3", "the row has 3 columns instead of 7: `1,2,3`"),
            (
                f"102,1,1,8,9,{millis(DAY) + 86_400_000}300,true",
                "`traded_at` lies outside 2024-01-02: `2024-01-03 00:00:00.000300+00:00`",
            ),
            (
                f"102,cheap,-1,8,9,{millis(DAY)},true",
                "`price` is not a number: `cheap`; `quantity` is negative: `-1`",
            ),
        ],
    )
    def test_is_kept_with_column_value_and_reason(self, tmp_path: Path, row: str, reason: str) -> None:
        rows = agg_rows(DAY)
        rows[2] = row
        found, table, kept = aside(tmp_path, rows)
        assert table["agg_trade_id"].to_pylist() == [100, 101, 103, 104]
        assert kept == [(3, row, reason)]
        assert (found.rows, found.source_rows) == (4, [5])
        assert found.quarantined == (Quarantined("venue/file.zip", DAY, "2024-01-02T00", f"{reason} (row 3)", 1),)

    def test_too_many_decimals_are_reported_as_a_limit_of_taker(self, tmp_path: Path) -> None:
        scale = AGG_TRADES.schema.field("price").type.scale
        fine = "0." + "0" * scale + "1"
        rows = [*agg_rows(DAY), f"105,{fine},1,8,9,{millis(DAY)},true"]
        _, _, kept = aside(tmp_path, rows)
        assert kept[0][2] == f"`price` has more than the {scale} decimals that Taker stores: `{fine}`"

    def test_too_large_for_our_type_in_e_notation_is_never_stored_cut(self, tmp_path: Path) -> None:
        wanted = AGG_TRADES.schema.field("price").type
        large = f"1e{wanted.precision - wanted.scale}"
        rows = [*agg_rows(DAY), f"105,{large},1,8,9,{millis(DAY)},true"]
        _, table, kept = aside(tmp_path, rows)
        assert table.num_rows == 5
        assert "digits before the point that Taker stores" in kept[0][2]

    def test_too_large_for_a_ratio_in_e_notation_is_never_stored_cut(self, tmp_path: Path) -> None:
        rows = [f"{DAY} 00:0{n}:00,BTCUSDT,1,1,1,1,1,{'1e20' if n else '1'}" for n in range(2)]
        _, table, kept = aside(tmp_path, rows, dataset=METRICS, header=METRIC_HEADER)
        reason = (
            "`sum_taker_long_short_vol_ratio` has more than the 20 digits before the point that Taker stores: `1e20`"
        )
        assert (table.num_rows, [why for _, _, why in kept]) == (1, [reason])

    def test_with_a_quote_that_never_closes_swallows_no_other(self, tmp_path: Path) -> None:
        rows = kline_rows(DAY)
        rows[1] = rows[1].removesuffix(",0") + ',"0'  # in a column that is not even stored
        _, table, kept = aside(tmp_path, rows, dataset=KLINES, header=KLINE_HEADER)
        assert (table.num_rows, kept) == (6, [])

    def test_may_not_be_the_other_row_of_its_id_and_then_neither_is_used(self, tmp_path: Path) -> None:
        rows = [*agg_rows(DAY), f"101,1,1,8,9,{millis(DAY)},true"]
        _, table, kept = aside(tmp_path, rows)
        assert table["agg_trade_id"].to_pylist() == [100, 102, 103, 104]
        assert [(number, reason) for number, _, reason in kept] == [
            (n, "`agg_trade_id` is that of several rows with different contents: `101`") for n in (2, 6)
        ]

    def test_of_another_symbol_is_set_aside(self, tmp_path: Path) -> None:
        rows = [f"{DAY} 00:0{n}:00,BTCUSDT,1,1,1,1,1,1" for n in range(3)]
        rows.append(f"{DAY} 00:05:00,ETHUSDT,1,1,1,1,1,1")
        _, table, kept = aside(tmp_path, rows, dataset=METRICS, header=METRIC_HEADER)
        assert (table.num_rows, kept[0][2]) == (3, "`symbol` is not BTCUSDT: `ETHUSDT`")

    def test_of_bars_exceeds_its_whole(self, tmp_path: Path) -> None:
        rows = kline_rows(DAY)
        rows[1] = rows[1].replace(",7,4,", ",7,10.00000001,")
        _, table, kept = aside(tmp_path, rows, dataset=KLINES, header=KLINE_HEADER)
        assert (table.num_rows, kept[0][2]) == (5, "`taker_buy_volume` exceeds `volume`: `10.00000001`")

    def test_two_bars_of_one_time_are_both_set_aside(self, tmp_path: Path) -> None:
        rows = kline_rows(DAY)
        rows.insert(1, rows[0].replace(",100,110,", ",101,110,"))
        _, table, kept = aside(tmp_path, rows, dataset=KLINES, header=KLINE_HEADER)
        assert table.num_rows == 5
        assert [number for number, _, _ in kept] == [1, 2]

    def test_first_of_a_file_without_header_is_still_a_row(self, tmp_path: Path) -> None:
        rows = agg_rows(DAY)
        rows[0] = rows[0].replace("100,", "?,", 1)
        _, table, kept = aside(tmp_path, rows, header=None)
        assert (table.num_rows, kept[0][0]) == (4, 1)

    @pytest.mark.parametrize("word", ["", '""', "NaN", "nan", "null", "None", "inf"])
    def test_no_value_in_a_ratio_is_no_fault(self, tmp_path: Path, word: str) -> None:
        found, table, kept = aside(
            tmp_path, [f"{DAY} 00:05:00,BTCUSDT,1,1,{word},1,1,1"], dataset=METRICS, header=METRIC_HEADER
        )
        assert (table["top_trader_account_long_short_ratio"].to_pylist(), kept) == ([None], [])
        assert found.quarantined == ()

    @pytest.mark.parametrize(("text", "value"), [("6.1e-05", "0.000061"), ("1E+2", "100"), ("1.0E-8", "0.00000001")])
    def test_e_notation_is_a_number_like_any_other(self, tmp_path: Path, text: str, value: str) -> None:
        rows = [*agg_rows(DAY, 3), f"103,{text},1,8,9,{millis(DAY)},true", f"104,cheap,1,8,9,{millis(DAY)},true"]
        for lines in (rows[:4], rows):  # the fast way, and row by row
            _, table, _ = aside(tmp_path, lines)
            assert table["price"].to_pylist()[3] == Decimal(value)

    @pytest.mark.parametrize("off", [-2, 2, -30_000, 30_000])
    def test_a_funding_time_may_jitter_around_the_period(self, tmp_path: Path, off: int) -> None:
        at = millis(DAY) + off + (86_400_000 if off > 0 else 0)
        rows = [f"{at},8,0.0001"]
        found, table, kept = aside(
            tmp_path, rows, dataset=FUNDING_RATE, header="calc_time,funding_interval_hours,last_funding_rate"
        )
        assert (table.num_rows, kept) == (1, [])
        assert list(found.day_rows) == [DAY if off < 0 else date(2024, 1, 3)]

    def test_does_not_change_what_the_good_rows_are_stored_as(self, tmp_path: Path) -> None:
        decoded(tmp_path, agg_rows(DAY, 80_000))
        plain = (tmp_path / "data.parquet").read_bytes()
        aside(tmp_path, [*agg_rows(DAY, 80_000), "broken"])
        assert pq.read_table(tmp_path / "data.parquet").num_rows == 80_000
        assert (tmp_path / "data.parquet").read_bytes() == plain


class TestWhatCannotBeTrusted:
    """A file is refused whole, with file, column, row and value named, and nothing is left behind."""

    def refused(self, folder: Path, rows: list[str], header: str | None = AGG_HEADER, kind: Any = SourceDefect) -> str:
        with pytest.raises(kind) as refusal:
            decoded(folder, rows, header=header)
        assert not (folder / "data.parquet").exists()
        assert not (folder / "quarantine.parquet").exists()
        assert "venue/file.zip" in str(refusal.value)
        return str(refusal.value)

    def test_more_than_half_of_its_rows_are_faulty(self, tmp_path: Path) -> None:
        rows = [row.replace("42000.5", "cheap") for row in agg_rows(DAY, 2)]
        message = self.refused(tmp_path, [*rows, *agg_rows(DAY, 1)])
        assert "`price` is not a number in 2 rows, first at row 1: `cheap`" in message
        assert "2 of 3 rows are faulty" in message

    def test_every_unreadable_column_is_named_at_once(self, tmp_path: Path) -> None:
        message = self.refused(tmp_path, [f"7,cheap,little,8,9,{millis(DAY)},maybe"])
        assert all(name in message for name in ("`price`", "`quantity`", "`is_buyer_maker`"))

    def test_decimals_too_fine_to_be_stored_exactly(self, tmp_path: Path) -> None:
        message = self.refused(tmp_path, [f"7,1.1234567890123,1.123456789,8,9,{millis(DAY)},true"])
        assert "`price` has more than the 12 decimals that Taker stores in 1 rows, first at row 1: `1.12345" in message
        assert "`quantity` has more than the 8 decimals that Taker stores in 1 rows" in message

    def test_a_missing_column(self, tmp_path: Path) -> None:
        rows = [row.rsplit(",", 1)[0] for row in agg_rows(DAY)]
        message = self.refused(tmp_path, rows, AGG_HEADER.rsplit(",", 1)[0], ContractViolation)
        assert "column `is_buyer_maker` is missing" in message

    def test_what_no_trade_can_be_since_the_marts_could_not_sum_it(self, tmp_path: Path) -> None:
        rows = [
            f"{n},{p},{q},8,9,{millis(DAY)},true"
            for n, (p, q) in enumerate([("1e10", 1), (1, "1e14"), ("1e6", "1e10")])
        ]
        message = self.refused(tmp_path, rows, kind=ContractViolation)
        assert "`price` is 1e+10 or more, which no market has in 1 rows, first at row 1" in message
        assert "`quantity` is 1e+14 or more, which no market has in 1 rows, first at row 2" in message
        assert "`price` × `quantity` is 1e+16 or more, which no trade is in 1 rows, first at row 3" in message

    @pytest.mark.parametrize("day", [date(2024, 1, 1), date(2024, 1, 3)])
    def test_every_row_is_of_another_day(self, tmp_path: Path, day: date) -> None:
        message = self.refused(tmp_path, agg_rows(day), kind=ContractViolation)
        assert f"`traded_at` lies outside 2024-01-02 in 5 rows, first at row 1: `{day}" in message

    def test_all_broken_promises_are_named_at_once(self, tmp_path: Path) -> None:
        message = self.refused(tmp_path, [f"7,-1,-1,8,9,{millis(date(2020, 1, 1))},true"], kind=ContractViolation)
        assert all(fault in message for fault in ("`price` is negative", "`quantity` is negative", "lies outside"))

    def test_every_row_is_of_another_symbol(self, tmp_path: Path) -> None:
        with pytest.raises(ContractViolation, match="`symbol` is not BTCUSDT in 1 rows, first at row 1: `ETHUSDT`"):
            decoded(tmp_path, [f"{DAY} 00:05:00,ETHUSDT,1,1,1,1,1,1"], METRICS, METRIC_HEADER)

    def test_a_time_beyond_the_calendar(self, tmp_path: Path) -> None:
        """Nanoseconds, for example: neither milliseconds nor microseconds, and no day of any calendar."""
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
        assert "has a path in its name; nothing of it was stored" in self.refused(tmp_path, key, archive_folder)

    def test_a_member_whose_bytes_were_changed(self, tmp_path: Path, archive_folder: ArchiveFolder) -> None:
        key = archive_folder.put("a.zip", agg_rows(DAY, 2000), AGG_HEADER)
        path = archive_folder.root / key
        packed = bytearray(path.read_bytes())
        packed[len(packed) // 2] ^= 0xFF
        path.write_bytes(packed)
        self.refused(tmp_path, key, archive_folder)


class TestFactsOfADay:
    """Facts about a day of trades, to judge whether it can be that of a market."""

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

    def test_are_joined_over_the_row_groups_of_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ingestion.decode.parquet.ROW_GROUP", 30_000)
        found, _ = decoded(tmp_path, agg_rows(DAY, 80_000))
        facts = found.day_facts[DAY]
        assert (facts.rows, facts.buyer_maker_rows, facts.max_quantity) == (80_000, 40_000, Decimal("0.9999"))
        assert facts.max_at == datetime(2024, 1, 2, tzinfo=UTC) + timedelta(seconds=79_999)

    @pytest.mark.parametrize(
        ("printed", "mismatches"), [("5297.49389", 0), ("5297.49", 0), ("5303", 1), ("0.467", 1), ("0", 1)]
    )
    def test_count_products_that_are_not_price_times_quantity(
        self, tmp_path: Path, printed: str, mismatches: int
    ) -> None:
        found, _ = decoded(tmp_path, [f"7,11343.67,0.467,{printed},{millis(DAY)},true"], TRADES, TRADE_HEADER)
        assert found.day_facts[DAY].notional_mismatches == mismatches

    @pytest.mark.parametrize(
        ("printed", "mismatches"), [("0.10569734", 0), ("0.1056", 0), ("8.3", 1), ("0.1058", 0), ("0.1", 1)]
    )
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

    def test_a_volume_of_twenty_two_digits_is_still_exact(self, tmp_path: Path) -> None:
        start = millis(DAY)
        volume = "98765432109876.12345678"
        row = f"{start},1,1,1,1,{volume},{start + 1},{volume},1,1,1,0"
        _, table = decoded(tmp_path, [row], KLINES, KLINE_HEADER)
        assert table["volume"].to_pylist() == [Decimal(volume)]

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


BYBIT = parse_market("bybit:BTCUSDT")
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

    def test_a_taker_who_sold_met_a_resting_buyer(self, tmp_path: Path) -> None:
        rows = [bybit_row(f"{MIDNIGHT}.{n}", side, n=n) for n, side in enumerate(["Buy", "Sell"])]
        _, table = decoded_gzip(tmp_path, rows)
        assert table["is_buyer_maker"].to_pylist() == [False, True]

    @pytest.mark.parametrize("side", ["sell", "true", "1", "Hold"])
    def test_a_word_that_is_neither_side_is_set_aside(self, tmp_path: Path, side: str) -> None:
        found, table = decoded_gzip(tmp_path, [bybit_row(f"{MIDNIGHT}"), bybit_row(f"{MIDNIGHT}", side, n=2)])
        assert table.num_rows == 1
        assert found.quarantined[0].reason == f"`side` is not Sell or Buy: `{side}` (row 2)"

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

    def test_a_contradictory_match_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(
            ContractViolation, match="`trdMatchID` is that of several rows with different contents in 2 rows"
        ):
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

    @pytest.mark.parametrize("text", ["soon", "1704153600;5", "2024-01-02 00:00:00"])
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
    def day_file(self, archive_folder: ArchiveFolder) -> Path:
        rows = [bybit_row(f"{MIDNIGHT}.{n:06}", n=n) for n in range(20_000)]
        return archive_folder.root / archive_folder.put_gzip("a.csv.gz", rows, BYBIT_HEADER)

    def refused(self, path: Path, folder: Path) -> str:
        with pytest.raises(SourceDefect, match=r"venue/file\.zip is not a readable gzip file") as refusal:
            decoded_file(path, folder, TRADES, BYBIT)
        assert not (folder / "data.parquet").exists()
        return str(refusal.value)

    def test_a_truncated_file(self, day_file: Path, tmp_path: Path) -> None:
        day_file.write_bytes(day_file.read_bytes()[:-20_000])
        self.refused(day_file, tmp_path)

    def test_a_file_that_lacks_its_last_byte(self, day_file: Path, tmp_path: Path) -> None:
        day_file.write_bytes(day_file.read_bytes()[:-1])
        self.refused(day_file, tmp_path)

    def test_a_file_whose_bytes_were_changed(self, day_file: Path, tmp_path: Path) -> None:
        packed = bytearray(day_file.read_bytes())
        packed[-6] ^= 0xFF  # of the CRC, so that all of it still inflates
        day_file.write_bytes(packed)
        self.refused(day_file, tmp_path)

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


def test_the_same_file_gives_the_same_bytes_in_whichever_blocks_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.decode.parquet.ROW_GROUP", 100)
    stored = []
    for block in (1 << 10, 3 << 10, 1 << 20):
        monkeypatch.setattr("ingestion.decode.parse.CSV_BLOCK", block)
        counts, table = decoded(tmp_path, agg_rows(DAY, 350))
        assert (counts.rows, counts.day_rows, table.num_rows) == (350, {DAY: 350}, 350)
        stored.append((tmp_path / "data.parquet").read_bytes())
    assert stored[1:] == stored[:1] * 2
    groups = pq.read_metadata(tmp_path / "data.parquet")
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [100, 100, 100, 50]


def test_readers_can_skip_row_groups_by_time_and_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestion.decode.parquet.ROW_GROUP", 100)
    _, table = decoded(tmp_path, agg_rows(DAY, 200))
    second = pq.read_metadata(tmp_path / "data.parquet").row_group(1)
    columns = {second.column(n).path_in_schema: second.column(n) for n in range(second.num_columns)}
    for name in ("agg_trade_id", "traded_at"):
        expected = extremes(table[name].slice(100))
        assert (columns[name].statistics.min, columns[name].statistics.max) == expected


@settings(max_examples=60)
@given(
    values=st.lists(st.decimals(-(10**14), 10**14, places=8, allow_nan=False), min_size=1, max_size=12), data=st.data()
)
def test_the_least_and_the_largest_decimal_are_arrows(values: list[Decimal], data: st.DataObject) -> None:
    values = [abs(value) for value in values] if data.draw(st.booleans()) else values
    first, cut = data.draw(st.integers(0, len(values) - 1)), data.draw(st.integers(0, len(values)))
    stored = pa.decimal128(38, 8)
    chunks = pa.chunked_array([pa.array(values[:cut], stored), pa.array(values[cut:], stored)])
    for column in (chunks.slice(first), pa.array([*values[first:], None], stored)):
        assert extremes(column) == tuple(pc.min_max(column).as_py().values())
    assert extremes(pa.array([], stored)) is None


def test_a_file_larger_than_one_block_streams_and_sorts_alike(tmp_path: Path) -> None:
    """80,000 rows are more than one CSV block: the streamed and the sorted way must agree."""
    rows = agg_rows(DAY, 80_000)
    streamed, in_order = decoded(tmp_path, rows)
    _, shuffled = decoded(tmp_path, rows[40_000:] + rows[:40_000])
    assert in_order.equals(shuffled)
    assert (streamed.rows, streamed.id_gaps, streamed.day_rows) == (80_000, 0, {DAY: 80_000})


_PRICES = st.decimals(min_value=Decimal("1e-12"), max_value=Decimal("9999999999.999999999999"), places=12)
_SIZES = st.decimals(min_value=Decimal("1e-8"), max_value=Decimal("99999.99999999"), places=8)


@settings(max_examples=40)
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


# What may stand in place of a good row, and can never be one: by the row's place in the file.
_BROKEN = (
    "{id},cheap,1,8,9,{at},true",
    "{id},1,,8,9,{at},true",
    "{id},1,-1,8,9,{at},true",
    "{id},1,1,8,9,{at},perhaps",
    "{id},1,1,8,9,soon,true",
    "{id},1,1,8,9,0,true",
    "{id},1,1",
    "{id},1,1,8,9,{at},true,more",
    '{id},"1,1,8,9,{at},true',
    "?,1,1,8,9,{at},true",
)


@settings(max_examples=60)
@given(
    places=st.lists(st.none() | st.sampled_from(_BROKEN), min_size=1, max_size=40),
    in_order=st.booleans(),
)
def test_any_mixture_of_good_and_broken_rows_is_separated_exactly(
    tmp_path_factory: pytest.TempPathFactory, places: list[str | None], in_order: bool
) -> None:
    good_rows = agg_rows(DAY, 2 * len(places) + 1)
    rows = [
        good_rows[n] if broken is None else broken.format(id=100 + n, at=millis(DAY, n))
        for n, broken in enumerate(places)
    ]
    rows += good_rows[len(rows) :]  # always more good ones than broken ones
    if not in_order:
        rows.reverse()
    is_good = [row in good_rows for row in rows]
    found, table, kept = aside(tmp_path_factory.mktemp("mixed"), rows)
    assert table["agg_trade_id"].to_pylist() == sorted(
        int(row.split(",")[0]) for row, good in zip(rows, is_good, strict=True) if good
    )
    assert [(number, line) for number, line, _ in kept] == [
        (n, row) for n, (row, good) in enumerate(zip(rows, is_good, strict=True), 1) if not good
    ]
    assert sum(one.rows for one in found.quarantined) == len(kept)
    assert found.source_rows == [len(rows)]


def test_many_blocks_with_broken_rows_keep_numbers_and_hours(tmp_path: Path) -> None:
    """More than one CSV block, so that numbers and the time of the row before carry over."""
    rows = agg_rows(DAY, 80_000)
    broken = [0, 7, 39_999, 40_000, 79_999]
    for n in broken:
        rows[n] = "too,short"
    broken.insert(4, 79_990)
    rows[79_990] = rows[79_990].replace("42000.5", "cheap")
    found, table, kept = aside(tmp_path, rows)
    assert table.num_rows == 80_000 - len(broken)
    assert [number for number, _, _ in kept] == [n + 1 for n in broken]
    assert [(one.hour, one.rows) for one in found.quarantined] == [
        ("2024-01-02T00", 2),
        ("2024-01-02T11", 2),
        ("2024-01-02T22", 1),
        ("2024-01-02T22", 1),
    ]


def test_a_column_that_a_venue_adds_and_an_rpi_column_are_no_matter(tmp_path: Path) -> None:
    row = bybit_row(f"{MIDNIGHT}.1338", price="68819.20", notional="3.44096e+04") + ",0"
    _, table = decoded_gzip(tmp_path, [row], f"{BYBIT_HEADER},RPI")
    assert rows_of(table, "price", "venue_notional") == [(Decimal("68819.20"), Decimal("34409.6"))]
    assert table["traded_at"].to_pylist()[0].microsecond == 133_800
