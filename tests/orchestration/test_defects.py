"""What was lost of the requested days, and what was used instead, over plain tables of the raw zone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import pyarrow as pa

from ingestion.raw.tables import DEFECTS_SCHEMA
from ingestion.venues import parse_market
from orchestration.serving.defects import AbsentDays, LostFlow, MissingLatest, days_text, losses, unused

MARKET = "binance_um:BTCUSDT"
FIRST, LAST = date(2025, 9, 1), date(2025, 9, 6)


def day(number: int) -> date:
    return date(2025, 9, number)


def stored(dataset: str, days: Iterable[int], *, status: str = "stored", rows: int = 6) -> list[dict[str, Any]]:
    interval = "4h" if dataset == "klines" else ""
    return [
        {
            "dataset": dataset,
            "market_id": MARKET,
            "interval": interval,
            "day": day(number),
            "status": status,
            "row_count": rows if status == "stored" else 0,
        }
        for number in days
    ]


def defect(dataset: str, kind: str, on: date | None, reason: str = "not a zip", **fields: Any) -> dict[str, Any]:
    interval = "4h" if dataset == "klines" else ""
    label = fields.get("period") or str(on)
    return {
        "dataset": dataset,
        "market_id": MARKET,
        "interval": interval,
        "period": label,
        "kind": kind,
        "reason": reason,
        "day": on,
        "row_count": 0,
        "source_key": f"data/BTCUSDT-{dataset}-{label}.zip",
        "used_instead": "",
        "receipt_key": f"raw/{dataset}/venue=binance_um/symbol=BTCUSDT/date={label}/_receipt.json",
        **fields,
    }


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=DEFECTS_SCHEMA)


def found(index: list[dict[str, Any]], defects: list[dict[str, Any]] | None = None, market: str = MARKET) -> Any:
    requested = {"klines": (FIRST, LAST), "aggTrades": (day(5), LAST), "metrics": (FIRST, LAST)}
    schema = pa.schema(
        [
            ("dataset", pa.string()),
            ("market_id", pa.string()),
            ("interval", pa.string()),
            ("day", pa.date32()),
            ("status", pa.string()),
            ("row_count", pa.int64()),
        ]
    )
    rows = [{**row, "market_id": market} for row in index]
    return losses(
        pa.Table.from_pylist(rows, schema=schema),
        table(defects or []),
        [parse_market(market)],
        requested,
        "aggTrades",
    )


def test_a_run_that_has_all_days_has_nothing_to_report() -> None:
    assert found(stored("klines", range(1, 7))) == found([*stored("klines", range(1, 7)), *stored("aggTrades", [5])])
    assert found(stored("klines", range(1, 7))).latest == ()


def test_days_without_bars_and_trades_are_lost_and_each_names_the_state_of_both() -> None:
    index = [*stored("klines", [1, 5, 6]), *stored("klines", [2], status="absent"), *stored("klines", [3, 4], rows=0)]
    index += stored("aggTrades", [2], status="refused")
    refused = [defect("klines", "refused_source", None, period="2025-09", source_key="m.zip")]
    assert found(index).flow == (
        LostFlow(MARKET, (day(2),), (("klines", "absent"), ("aggTrades", "refused"))),
        LostFlow(MARKET, (day(3), day(4)), (("klines", "empty"), ("aggTrades", "not ingested"))),
    )
    assert found(index, refused).flow[0].why[0] == ("klines", "refused")


def test_a_day_that_another_source_covers_is_not_lost() -> None:
    index = [*stored("klines", [1, 2, 3, 4, 6]), *stored("klines", [5], status="refused"), *stored("aggTrades", [5])]
    assert found(index, [defect("klines", "refused_source", day(5))]).flow == ()
    provisional = [*stored("klines", [1, 2, 3, 4, 5]), *stored("restKlines", [6])]
    assert found(provisional).latest == ()


def test_implausible_trades_are_no_flow() -> None:
    index = [*stored("klines", range(1, 6)), *stored("aggTrades", [6])]
    lost = found(index, [defect("aggTrades", "implausible", day(6), "every trade is on one side")])
    assert lost.latest == (
        MissingLatest(MARKET, LAST, (("klines", "not ingested"), ("aggTrades", "implausible")), day(5)),
    )


def test_days_before_the_first_file_of_a_young_market_are_not_lost_but_a_refused_one_is() -> None:
    index = [*stored("klines", [1, 2], status="absent"), *stored("klines", [3, 4, 5, 6])]
    assert found(index).flow == ()
    (lost,) = found(index, [defect("klines", "refused_source", day(2))]).flow
    assert lost.days == (day(2),)


def test_days_after_the_delivery_of_a_dated_contract_are_not_lost() -> None:
    assert found(stored("klines", [1, 2, 3, 4]), market="binance_um:BTCUSDT_250904").flow == ()


def test_a_market_without_any_day_is_named() -> None:
    (latest,) = found([]).latest
    assert (latest.day, latest.newest) == (LAST, None)
    (lost,) = found([]).flow
    assert len(lost.days) == 6


def test_absent_days_are_named_per_market_and_dataset() -> None:
    index = [*stored("klines", range(1, 7)), *stored("metrics", [1, 4, 5]), *stored("metrics", [2, 3], status="absent")]
    assert found(index).absent == (AbsentDays("metrics", MARKET, (day(2), day(3)), 5),)


def test_defects_are_listed_by_market_dataset_and_kind_flow_first() -> None:
    rows = [
        defect("metrics", "refused_source", day(1)),
        *(
            defect("klines", "replaced_source", day(n), source_key="m.zip", used_instead=f"d/{n}.zip")
            for n in (1, 2, 3)
        ),
        defect("klines", "quarantined_rows", day(4), "takers bought more than was traded", row_count=2),
        defect("klines", "quarantined_rows", day(5), "no number", row_count=3),
    ]
    replaced, aside, metrics = unused(table(rows))
    assert (replaced.series, replaced.when) == (f"{MARKET} klines 4h", "2025-09-01..2025-09-03")
    assert replaced.what == "not used: m.zip: not a zip; used instead: 1.zip and 2 more"
    assert aside.what == "5 rows set aside: takers bought more than was traded; and 1 other reason"
    assert aside.kept_in[0] == "raw/klines/venue=binance_um/symbol=BTCUSDT/date=2025-09-04/_quarantine.parquet"
    assert metrics.what == "refused, nothing in its place: BTCUSDT-metrics-2025-09-01.zip: not a zip"
    assert [one.what for one in unused(table(rows), by_reason=True)][2] == "3 rows set aside: no number"


def test_a_file_that_its_reason_names_is_named_once() -> None:
    (one,) = unused(
        table([defect("metrics", "refused_source", day(1), "data/m.zip is not a zip", source_key="data/m.zip")])
    )
    assert one.what == "refused, nothing in its place: data/m.zip is not a zip"


def test_only_the_requested_markets_and_days_are_reported() -> None:
    rows = [defect("klines", "refused_source", None, period="2025-09"), defect("metrics", "refused_source", day(1))]
    assert unused(table(rows), ["okx:BTC-USDT-SWAP"]) == []
    assert [one.when for one in unused(table(rows), [MARKET], {"klines": (FIRST, LAST)})] == ["2025-09"]
    assert unused(table(rows), None, {"metrics": (day(2), LAST)}) == []


def test_days_are_written_as_ranges() -> None:
    assert days_text([day(3), day(4), day(5), day(12)]) == "2025-09-03..2025-09-05, 2025-09-12"
    assert days_text([day(1), day(3), day(5), day(6)], most=2) == "2025-09-01, 2025-09-03, and 2 more days"
