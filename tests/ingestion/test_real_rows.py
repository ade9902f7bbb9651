"""Rows that venues published, quoted in their issue trackers, decode to what was reported there."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.decode.decoder import Decoded, SourceFile, decode
from ingestion.domain.datasets import AGG_TRADES, KLINES, LIQUIDATION_SNAPSHOT, METRICS, TRADES, Dataset
from ingestion.domain.markets import Market
from ingestion.domain.periods import Period
from ingestion.venues import archive_of, parse_market
from ingestion.venues.venue import Layout, SourceColumn
from tests.support.archives import ArchiveFolder

LINEAR, INVERSE = parse_market("binance_um:BTCUSDT"), parse_market("binance_cm:BTCUSD_PERP")


@pytest.fixture
def quoted(real_data: Path) -> Path:
    return real_data / "issue_quoted_rows"


def read(
    csv: Path, folder: Path, dataset: Dataset, market: Market, period: Period, layout: Layout | None = None
) -> tuple[Decoded, pa.Table]:
    archive = ArchiveFolder(folder / "archive")
    key = archive.put("file.zip", csv.read_text().splitlines())
    source = SourceFile(archive.root / key, csv.name, period)
    found = decode([source], dataset, layout or archive_of(market).layout(dataset, market), folder / "data.parquet")
    return found, pq.read_table(folder / "data.parquet")


def test_issue_203_every_row_twice(quoted: Path, tmp_path: Path) -> None:
    csv = quoted / "um_BTCUSDT_aggTrades_2022-09-12_duplicates_issue203.csv"
    found, table = read(csv, tmp_path, AGG_TRADES, LINEAR, Period.of_day(date(2022, 9, 12)))
    assert (found.duplicate_rows, table.num_rows, found.id_gaps) == (6, 6, 0)


def test_issue_293_two_streams_interleaved_in_a_month(quoted: Path, tmp_path: Path) -> None:
    csv = quoted / "um_BTCUSDT_aggTrades_2023-11_interleaved_issue293.csv"
    found, table = read(csv, tmp_path, AGG_TRADES, LINEAR, Period.of_month(date(2023, 11, 1)))
    ids = table["agg_trade_id"].to_pylist()
    assert ids == sorted(ids)
    assert (len(ids), found.out_of_order_rows) == (12, 5)


def test_issue_12_interleaved_without_a_header(quoted: Path, tmp_path: Path) -> None:
    csv = quoted / "um_BTCUSDT_trades_2020-08_interleaved_noheader_issue12.csv"
    found, table = read(csv, tmp_path, TRADES, LINEAR, Period.of_month(date(2020, 8, 1)))
    assert (table.num_rows, found.out_of_order_rows) == (7, 3)


def test_issue_342_zero_quantities(quoted: Path, tmp_path: Path) -> None:
    csv = quoted / "um_ETHUSDT_aggTrades_2023-05_zero_quantity_issue342.csv"
    found, table = read(csv, tmp_path, AGG_TRADES, LINEAR, Period.of_month(date(2023, 5, 1)))
    assert (found.zero_rows, table.num_rows) == (8, 0)


def test_issue_378_trade_ids_may_have_gaps_where_aggregate_ids_have_none(quoted: Path, tmp_path: Path) -> None:
    csv = quoted / "um_BTCUSDT_aggTrades_2024-07-04_tradeid_gaps_issue378.csv"
    found, _ = read(csv, tmp_path, AGG_TRADES, LINEAR, Period.of_day(date(2024, 7, 4)))
    assert found.id_gaps == 0


def test_issue_283_coin_margined_bars_hold_contracts_and_base(quoted: Path, tmp_path: Path) -> None:
    csv = quoted / "cm_BTCUSD_PERP_1h_klines_2023-10-27_issue283.csv"
    _, table = read(csv, tmp_path, KLINES, INVERSE, Period.of_day(date(2023, 10, 27)))
    for bar in table.to_pylist():
        average = bar["volume"] * INVERSE.contract_size / bar["quote_volume"]
        assert bar["low_price"] <= average <= bar["high_price"]


def test_spot_rows_in_microseconds(quoted: Path, tmp_path: Path) -> None:
    csv = quoted / "spot_BTCUSDT_aggTrades_2026-09-05_microseconds.csv"
    futures = archive_of(LINEAR).layout(AGG_TRADES, LINEAR)
    spot = Layout((*futures.columns, SourceColumn("is_best_match", None)))
    day = datetime.fromtimestamp(1788566400, UTC).date()
    _, table = read(csv, tmp_path, AGG_TRADES, LINEAR, Period.of_day(day), spot)
    assert table["traded_at"][0].as_py() == datetime(day.year, day.month, day.day, 0, 0, 0, 483_577, tzinfo=UTC)


def test_liquidation_rows_are_published_twice(quoted: Path, tmp_path: Path) -> None:
    csv = quoted / "cm_BTCUSD_PERP_liquidationSnapshot_quoted.csv"
    lines = csv.read_text().splitlines()
    one_day = tmp_path / "one_day.csv"
    one_day.write_text("\n".join(lines[:4]))
    found, table = read(one_day, tmp_path, LIQUIDATION_SNAPSHOT, INVERSE, Period.of_day(date(2023, 6, 25)))
    assert (found.duplicate_rows, table.num_rows) == (1, 2)


def test_coin_margined_metrics_have_empty_ratios(quoted: Path, tmp_path: Path) -> None:
    csv = quoted / "cm_BTCUSD_PERP_metrics_2023-06-25_quoted.csv"
    _, table = read(csv, tmp_path, METRICS, INVERSE, Period.of_day(date(2023, 6, 25)))
    assert table["taker_buy_sell_ratio"][0].as_py() == Decimal("0.00855776")
    assert table["account_long_short_ratio"].null_count == table.num_rows


def test_the_published_form_of_a_checksum_is_read(quoted: Path, tmp_path: Path) -> None:
    from ingestion.http.fetch import Archive

    name = "BTCUSD_PERP-liquidationSnapshot-2023-06-25.zip"
    (tmp_path / f"{name}.CHECKSUM").write_bytes((quoted / f"{name}.CHECKSUM").read_bytes())
    assert Archive(tmp_path.as_uri()).checksum(name) == (
        "2068add7e570b1e17afc71e53e22fee716010f08976643ead345d6c96bfbd60b"
    )


def test_single_trades_of_2026_are_read_for_both_kinds_of_contract(quoted: Path, tmp_path: Path) -> None:
    lines = (quoted / "binance_trades_2026-09-01_quoted.csv").read_text().splitlines()
    for product, market in (("um", LINEAR), ("cm", INVERSE)):
        csv = tmp_path / f"{product}.csv"
        own = [line.removeprefix(f"{product}: ") for line in lines if line.startswith(f"{product}: ")]
        csv.write_text("\n".join(own))
        found, table = read(csv, tmp_path, TRADES, market, Period.of_day(date(2026, 9, 1)))
        assert (table.num_rows, found.quarantined) == (len(own) - 1, ())
        # The contract size gives exactly the notional that the venue prints.
        assert found.day_facts[date(2026, 9, 1)].notional_mismatches == 0


def test_every_era_of_bybits_trades_is_read(quoted: Path, tmp_path: Path) -> None:
    lines = [
        line
        for line in (quoted / "bybit_eras_2020_2026_quoted.csv").read_text().splitlines()
        if not line.startswith("#")
    ]
    header, rows = lines[0], lines[1:]
    assert rows
    for row in rows:
        values = dict(zip(header.split(","), row.split(","), strict=True))
        market = parse_market(f"bybit:{values['symbol']}")
        at = datetime.fromtimestamp(int(values["timestamp"].split(".")[0]), UTC)
        archive = ArchiveFolder(tmp_path / "archive")
        without_rpi = header.removesuffix(",RPI"), row.rpartition(",")[0]
        for names, text in ((header, row), without_rpi):
            key = archive.put_gzip("file.csv.gz", [text], names)
            source = SourceFile(archive.root / key, key, Period.of_day(at.date()))
            target = tmp_path / "data.parquet"
            found = decode([source], TRADES, archive_of(market).layout(TRADES, market), target)
            stored = pq.read_table(target).to_pylist()[0]
            assert found.quarantined == ()
            assert (stored["price"], stored["quantity"]) == (Decimal(values["price"]), Decimal(values["size"]))
            assert stored["is_buyer_maker"] == (values["side"] == "Sell")
            fraction = Decimal(values["timestamp"]) % 1
            assert stored["traded_at"] == at.replace(microsecond=int(fraction * 10**6))
            assert found.day_facts[at.date()].notional_mismatches == 0
