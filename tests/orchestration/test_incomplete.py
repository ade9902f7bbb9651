"""Which days lack something, what and why: from the receipts and from what is published."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from orchestration.serving.incomplete import LostTrades, incomplete_days, lost_trades, uncovered_bars

FIRST = date(2026, 3, 1)


def day(number: int, dataset: str = "aggTrades", interval: str = "", **receipt: Any) -> dict[str, Any]:
    facts = {"status": "stored", "row_count": 100, "id_gaps": 0, "revision": 1, **receipt}
    when = FIRST + timedelta(days=number - 1)
    return {"dataset": dataset, "market_id": "v:S", "interval": interval, "day": when, **facts}


def found(*rows: dict[str, Any], refused: tuple[int, ...] = (), lost: dict[int, LostTrades] | None = None) -> list[Any]:
    days = {FIRST + timedelta(days=number - 1) for number in refused}
    by_day = {("v:S", FIRST + timedelta(days=number - 1)): one for number, one in (lost or {}).items()}
    return [(part.state, [when.day for when in part.days], part.what) for part in incomplete_days(rows, days, by_day)]


def test_a_whole_day_lacks_nothing() -> None:
    assert found(day(1), day(2, "aggTrades")) == []
    assert found(day(1, "klines", "1h", row_count=24), day(2, "klines", "1h", row_count=24)) == []


def test_days_that_lack_the_same_are_one_line() -> None:
    assert found(day(1, status="absent"), day(2), day(3, status="absent")) == [
        ("absent", [1, 3], "no file in the archive")
    ]


def test_a_month_that_is_not_published_yet_states_so_and_days_of_klines_do_not() -> None:
    assert found(day(1, "fundingRate", status="absent"))[0][2] == (
        "no file in the archive: the venue publishes a month after its end"
    )
    assert found(day(1, "klines", "1h", status="absent"))[0][2] == "no file in the archive"


def test_a_day_that_was_never_requested_names_the_command_that_requests_it() -> None:
    assert found(day(1), day(4)) == [
        ("missing", [2, 3], "not requested, or failed: `taker run --from 2026-03-02 --to 2026-03-03`")
    ]
    assert found(day(1, "restTrades"), day(4, "restTrades")) == []


def test_a_partial_day_states_the_rows_or_ids_that_it_lacks() -> None:
    assert found(day(1, "klines", "4h", row_count=5)) == [("partial", [1], "5 of 6 rows in the venue's file")]
    assert found(day(1, "metrics", row_count=287)) == [("partial", [1], "287 of 288 rows in the venue's file")]
    assert found(day(1, id_gaps=1218)) == [("partial", [1], "1,218 ids are missing in the venue's file")]
    # Of single trades small gaps are usual.
    assert found(day(1, "trades", id_gaps=3)) == []


def test_trades_that_lack_volume_state_how_much_and_what_the_bars_come_from() -> None:
    lost = LostTrades(Decimal(-5), Decimal(200), "klines")
    assert found(day(1), day(2, id_gaps=7), lost={1: lost, 2: lost}) == [
        ("partial", [1], "2.50% of the klines' volume is missing; the bars come from klines"),
        (
            "partial",
            [2],
            "7 ids are missing in the venue's file; 2.50% of the klines' volume is missing; the bars come from klines",
        ),
    ]


def test_a_day_is_refused_or_damaged_whatever_else_it_lacks() -> None:
    rows = [day(1, status="absent"), day(2, status="refused"), day(3, status="damaged", row_count=0)]
    assert [(state, days) for state, days, _ in found(*rows, refused=(1,))] == [("refused", [1, 2]), ("damaged", [3])]


def published(path: Path) -> Path:
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            """
            create table dim_markets as select * from (values ('v:S', 'linear'), ('all:B', 'aggregate'))
                as t (market_id, contract_type);
            create table fct_net_taker_volume_daily as select * from (values
                ('v:S', date '2026-03-01', 1.0, 'trades', false), ('v:S', date '2026-03-02', 0.875, 'klines', false),
                ('v:S', date '2026-03-03', 0.5, 'trades', false), ('v:S', date '2026-03-04', 0.25, 'live_trades', true),
                ('all:B', date '2026-03-02', 0.875, 'mixed', false)
            ) as t (market_id, bar_date, coverage_ratio, flow_source, is_running);
            create table fct_flow_reconciliation_daily as select * from (values
                ('v:S', date '2026-03-02', 'trades_incomplete', -5.0, 200.0, 1.0, 'a blank price'),
                ('v:S', date '2026-03-03', 'trades_only', null, null, null, null)
            ) as t (
                market_id, bar_date, verdict, difference_usd, klines_volume_usd, kline_coverage_ratio, defect_reason
            )
            """
        )
    return path


def test_published_days_that_are_not_covered_whole_are_listed_once(tmp_path: Path) -> None:
    assert uncovered_bars(tmp_path / "none.duckdb") == ()
    assert [
        (part.market_id, part.days[0].day, part.what) for part in uncovered_bars(published(tmp_path / "m.duckdb"))
    ] == [
        ("v:S", 2, "87.50% of the day covered, from klines: a blank price"),
        ("v:S", 3, "50.00% of the day covered, from trades: minutes without a trade count as not covered"),
    ]


def test_lost_trades_are_read_from_the_reconciliation(tmp_path: Path) -> None:
    assert lost_trades(tmp_path / "none.duckdb") == {}
    assert lost_trades(published(tmp_path / "m.duckdb")) == {
        ("v:S", date(2026, 3, 2)): LostTrades(Decimal("-5.0"), Decimal("200.0"), "klines")
    }
