"""What a column may hold is declared with its dataset, and holds for files, API answers and feed messages alike.

Belongs here: every declared limit and enumeration, what becomes of a row that breaks one, what an older version stored.
Does not: that models can compute with what is accepted (`tests/dbt/test_accepted_values.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.archive import Outcome, ingest, plan
from ingestion.decode.api_rows import rows_of
from ingestion.decode.contracts import row_faults, value_fault
from ingestion.decode.decoder import DECODER_VERSION
from ingestion.domain.datasets import AGG_TRADES, DATASETS, KLINES, LIQUIDATION_SNAPSHOT, REST_KLINES, Column, Dataset
from ingestion.domain.errors import ContractViolation
from ingestion.domain.kinds import Kind
from ingestion.domain.periods import Period
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from ingestion.simulator.archive_files import CsvZip
from ingestion.venues import parse_market
from ingestion.venues.venue import ApiBar
from tests.support.archives import (
    AGG_HEADER,
    LIQUIDATION_HEADER,
    ArchiveFolder,
    ArchiveServer,
    agg_rows,
    archives_at,
    kline_rows,
    millis,
)

DAY = date(2023, 7, 2)
PERIOD = Period.of_day(DAY)
AT = datetime(2023, 7, 2, 3, tzinfo=UTC)
NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
BTC = parse_market("binance_um:BTCUSDT")
COIN_M = parse_market("binance_cm:BTCUSD_PERP")
STARTS = {Kind.INSTANT: AT, Kind.FLAG: True, Kind.TEXT: "A"}


@pytest.fixture
def zone(tmp_path: Path) -> RawZone:
    return RawZone(open_store(tmp_path / "store"))


def good_row(dataset: Dataset) -> dict[str, Any]:
    row: dict[str, Any] = {column.name: STARTS.get(column.kind, column.at_least or 0) for column in dataset.columns}
    return row | {column.name: column.accepts[0] for column in dataset.columns if column.accepts}


def bad_values(column: Column) -> Iterator[Any]:
    """Values just beyond what the column accepts."""
    if column.kind is Kind.TEXT:
        yield "HOLD" if column.accepts else "x" * (column.longest + 1)
    elif column.kind is Kind.INSTANT:
        yield from (datetime(2008, 12, 31, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
    elif column.limit is not None:
        yield column.limit if column.kind is not Kind.WHOLE else int(column.limit)
        if column.rule.name == "NOT_NEGATIVE":
            yield -1
        else:
            yield -column.limit
    if not column.nullable:
        yield None


CASES = [
    (dataset, column, value)
    for dataset in DATASETS.values()
    for column in dataset.columns
    if column.name != dataset.time_column
    for value in bad_values(column)
]


def faulty_columns(dataset: Dataset, row: dict[str, Any]) -> list[str]:
    table = pa.Table.from_pylist([row], schema=dataset.schema)
    return [fault.column for fault in row_faults(table, dataset, PERIOD)]


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)
def test_an_ordinary_row_keeps_its_contract(dataset: Dataset) -> None:
    row = good_row(dataset)
    assert faulty_columns(dataset, row) == []
    assert [value_fault(column, row[column.name]) for column in dataset.columns] == [None] * len(dataset.columns)


def test_every_value_beyond_a_declared_limit_is_a_fault_of_its_column() -> None:
    assert len(CASES) > 150
    for dataset, column, value in CASES:
        row = good_row(dataset) | {column.name: value}
        assert column.name in faulty_columns(dataset, row), (dataset.name, column.name, value)
        fault = value_fault(column, value)
        assert fault is not None, (dataset.name, column.name, value)
        assert f"`{column.name}`" in fault, (dataset.name, column.name, value)


def test_every_number_has_a_limit() -> None:
    for dataset in DATASETS.values():
        for column in dataset.columns:
            assert column.limit is not None or column.kind in (Kind.TEXT, Kind.FLAG, Kind.INSTANT), column


def test_the_columns_of_few_words_accept_these_and_no_others() -> None:
    """The test above draws its values from the declarations: a column without one would have none to break."""
    statuses = ("NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH")
    okx_sides = ("buy", "buy long", "buy short", "sell", "sell long", "sell short")
    declared = {(d.name, column.name): column.accepts for d in DATASETS.values() for column in d.columns}
    assert {key: accepts for key, accepts in declared.items() if accepts} == {
        ("liquidationSnapshot", "side"): ("BUY", "SELL"),
        ("liquidationSnapshot", "order_status"): statuses,
        ("liquidations", "venue_side"): ("BUY", "SELL", "Buy", "Sell", *okx_sides),
        ("liquidations", "order_status"): ("", *statuses),
        ("liquidations", "contract_type"): ("", "linear", "inverse"),
        ("liveTrades", "execution"): ("MARKET", "ADL", "INSURANCE_FUND", "NA"),
        ("restTrades", "execution"): ("MARKET", "ADL", "INSURANCE_FUND", "NA"),
        ("instruments", "contract_type"): ("linear", "inverse"),
    }


# ---- one row of a file ----


def liquidation(side: str, second: int) -> str:
    return f"{millis(DAY, second)},{side},LIMIT,IOC,10,30000,30001,FILLED,10,10"


def put_liquidations(folder: ArchiveFolder, *sides: str) -> str:
    key = f"data/futures/cm/daily/liquidationSnapshot/BTCUSD_PERP/BTCUSD_PERP-liquidationSnapshot-{DAY}.zip"
    return folder.put(key, [liquidation(side, n) for n, side in enumerate(sides)], LIQUIDATION_HEADER)


def ingested(folder: ArchiveFolder, zone: RawZone, dataset: Dataset, market: Any, **how: Any) -> Outcome:
    tasks = plan(dataset, market, DAY, DAY, **how)
    (outcome,) = ingest(tasks, archives=archives_at(folder.url), zone=zone, now=NOON)
    return outcome


def test_a_side_that_is_none_is_set_aside_with_file_row_column_and_value(
    archive_folder: ArchiveFolder, zone: RawZone
) -> None:
    key = put_liquidations(archive_folder, "BUY", "HOLD", "SELL")
    outcome = ingested(archive_folder, zone, LIQUIDATION_SNAPSHOT, COIN_M)
    assert (outcome.status, zone.rows(outcome.task.object_id)["side"].to_pylist()) == ("stored", ["BUY", "SELL"])
    (defect,) = outcome.receipt.defects
    assert (defect.kind, defect.day, defect.source_key, defect.rows) == ("quarantined_rows", DAY, key, 1)
    assert defect.reason == "`side` is none of BUY, SELL: `HOLD` (row 2)"


def test_a_file_of_such_sides_is_refused_and_the_message_names_market_day_file_column_row_and_value(
    archive_folder: ArchiveFolder, zone: RawZone
) -> None:
    key = put_liquidations(archive_folder, "HOLD", "HOLD", "SELL")
    archive_folder.agg_trades(DAY)
    outcome = ingested(archive_folder, zone, LIQUIDATION_SNAPSHOT, COIN_M)
    assert outcome.status == "refused"
    assert str(outcome.task) == f"binance_cm:BTCUSD_PERP liquidationSnapshot {DAY}"
    text = str(outcome.error)
    assert key in text
    assert "`side` is none of BUY, SELL in 2 rows, first at row 1: `HOLD`" in text
    assert "\x1b" not in text
    assert ingested(archive_folder, zone, AGG_TRADES, BTC).status == "stored"


def test_a_bar_of_ten_to_the_26_is_set_aside_and_the_others_are_stored(
    archive_folder: ArchiveFolder, zone: RawZone
) -> None:
    rows = kline_rows(DAY)
    rows[2] = rows[2].replace(",1000,", ",1e26,")
    key = f"data/futures/um/daily/klines/BTCUSDT/4h/BTCUSDT-4h-{DAY}.zip"
    archive_folder.put(key, rows, None)
    outcome = ingested(archive_folder, zone, KLINES, BTC, interval="4h")
    assert (outcome.status, outcome.receipt.rows) == ("stored", 5)
    assert outcome.receipt.defects[0].reason.startswith("`quote_volume` is 1e+14 or more, which no market has: `1000")


def test_what_an_older_version_stored_of_a_file_that_is_refused_now_is_not_used_any_more(
    archive_folder: ArchiveFolder, zone: RawZone, tmp_path: Path
) -> None:
    put_liquidations(archive_folder, "HOLD")
    outcome = ingested(archive_folder, zone, LIQUIDATION_SNAPSHOT, COIN_M)
    object_id = outcome.task.object_id
    data = tmp_path / "old.parquet"
    old = {**good_row(LIQUIDATION_SNAPSHOT), "side": "HOLD"}
    pq.write_table(pa.Table.from_pylist([old], schema=LIQUIDATION_SNAPSHOT.schema), data)
    (refusal,) = outcome.receipt.defects
    held = replace(
        outcome.receipt,
        status="stored",
        decoder_version=DECODER_VERSION - 1,
        rows=1,
        day_rows={DAY.isoformat(): 1},
        sources=(_source(refusal),),
        defects=(),
    )
    zone.put(object_id, data, held)
    again = ingested(archive_folder, zone, LIQUIDATION_SNAPSHOT, COIN_M)
    assert (again.status, zone.receipt(object_id).status) == ("refused", "refused")
    assert "what an older version made of it is not used" in str(again.error)
    (row,) = zone.write_index().to_pylist()
    assert (row["status"], row["row_count"]) == ("refused", 0)


def _source(refusal: Any) -> Any:
    from ingestion.raw.zone import Source

    return Source(refusal.source_key, refusal.source_sha256, 1, 1)


# ---- one row of an API's answer ----


def bar(hour: int, **changes: Any) -> ApiBar:
    at = PERIOD.starts_at + timedelta(hours=hour)
    amounts = dict.fromkeys(("volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume"), Decimal(1))
    prices = dict.fromkeys(("open_price", "high_price", "low_price", "close_price"), Decimal(1))
    usual: dict[str, Any] = {
        "opened_at": at,
        "closed_at": at + timedelta(hours=1),
        "trade_count": 1,
        **amounts,
        **prices,
    }
    return ApiBar(**usual | changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quote_volume": Decimal("1e26")}, "`quote_volume` is 1e+14 or more, which no market has: `1"),
        ({"quote_volume": Decimal("1e999999999")}, "`quote_volume` 1E+999999999 has more than the 30 digits"),
        ({"quote_volume": Decimal("1e-57")}, "`quote_volume` 1E-57 has more than the 8 decimals"),
        ({"quote_volume": Decimal("1e-9999999")}, "`quote_volume` 1E-9999999 has more than the 8 decimals"),
        ({"quote_volume": Decimal("0e-9999999")}, "`quote_volume` 0E-9999999 has more than the 8 decimals"),
        ({"close_price": Decimal("NaN")}, "`close_price` NaN is not a number"),
        ({"close_price": Decimal("-Infinity")}, "`close_price` -Infinity is not a number"),
        ({"volume": Decimal(-1), "taker_buy_volume": Decimal(-1)}, "`volume` is negative: `-1"),
        ({"trade_count": 2**70}, f"`trade_count` {2**70} is 1e+9 or more, which no market has"),
        ({"taker_buy_volume": Decimal(2)}, "`taker_buy_volume` exceeds `volume`: `2"),
        ({"opened_at": AT - timedelta(days=2)}, "`opened_at` lies outside 2023-07-02: `2023-06-30"),
        ({"closed_at": datetime(1970, 1, 1, tzinfo=UTC)}, "`closed_at` lies outside 2009 to 2199: `1970-01-01"),
    ],
)
def test_a_faulty_row_of_an_answer_costs_its_minute_and_no_more(changes: dict[str, Any], reason: str) -> None:
    table, (aside,) = rows_of(REST_KLINES, [bar(0), bar(1, **changes), bar(2)], BTC, PERIOD)
    assert table.num_rows == 2
    assert aside.reason.startswith(reason)
    assert (aside.rows, PERIOD.starts_at <= aside.minute < PERIOD.ends_at) == (1, True)


def test_of_two_bars_of_one_hour_neither_is_used() -> None:
    table, (aside,) = rows_of(REST_KLINES, [bar(0), bar(1), bar(1, trade_count=2), bar(2), bar(2)], BTC, PERIOD)
    assert table.num_rows == 3
    assert "appears twice with different rows" in aside.reason


def test_an_answer_of_faulty_rows_only_is_refused_with_market_dataset_day_and_value() -> None:
    with pytest.raises(ContractViolation) as caught:
        rows_of(REST_KLINES, [bar(1, volume=Decimal("1e26"))], BTC, PERIOD)
    assert str(caught.value).startswith(f"binance_um:BTCUSDT restKlines {DAY} breaks its contract")
    assert "`volume` is 1e+14 or more, which no market has" in str(caught.value)


# ---- the mark of simulated data ----


@pytest.mark.parametrize("answer", [403, 404, 500, 302])
def test_a_marked_file_is_never_stored_as_real_whatever_the_marker_file_answers(
    archive_folder: ArchiveFolder, zone: RawZone, answer: int
) -> None:
    key = f"data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-{DAY}.zip"
    marked = CsvZip(archive_folder.root, key, AGG_HEADER)
    marked.add_text(memoryview("".join(f"{row}\n" for row in agg_rows(DAY)).encode()))
    marked.close()
    (archive_folder.root / "SIMULATED.txt").write_text("simulated")
    other = archive_folder.agg_trades(DAY, symbol="ETHUSDT")
    server = ArchiveServer(archive_folder)
    server.answers["SIMULATED.txt"] = [answer] * 50
    tasks = [*plan(AGG_TRADES, BTC, DAY, DAY), *plan(AGG_TRADES, parse_market("binance_um:ETHUSDT"), DAY, DAY)]
    with server.running():
        simulated, real = ingest(tasks, archives=archives_at(server.url), zone=zone, now=NOON)
    assert simulated.status in ("refused", "failed")
    assert simulated.receipt is None or simulated.receipt.status == "refused"
    if answer in (403, 404):
        assert f"{key} is marked as simulated data" in str(simulated.error)
        assert (real.status, real.receipt.sources[0].key) == ("stored", other)
    assert not list(Path(zone.url.removeprefix("file://")).glob("*/venue=*/symbol=BTCUSDT/*/data.parquet"))
