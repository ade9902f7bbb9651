"""What people read: the simulated label, the words for a rank, and notes on disagreeing sources."""

from __future__ import annotations

import io
from datetime import date, datetime
from decimal import Decimal

from rich.console import Console

from orchestration.answer import MarketDay, Rank
from orchestration.execution import CheckFinding, RunReport
from orchestration.terminal import sentence, show_days, show_report, show_rows

BAR_AT = datetime(2026, 1, 31)  # noqa: DTZ001 - marts hold naive UTC


def day(rank: int | None = 3, *, simulated: bool = False) -> MarketDay:
    ranked = Rank("daily_usd", "usd", "bearish", BAR_AT, Decimal("-1598330009.658"), rank, 730, 0.987, None, None)
    return MarketDay(
        "binance_um:BTCUSDT",
        simulated,
        date(2026, 1, 31),
        Decimal("-1598330009.658"),
        Decimal("20000000000"),
        0.5368,
        0.99,
        "klines",
        1.0,
        (ranked,),
    )


def printed(show) -> str:  # type: ignore[no-untyped-def]
    console = Console(file=io.StringIO(), width=160)
    show(console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_a_simulated_market_is_labelled_where_its_numbers_are_shown() -> None:
    assert "SIMULATED, not a real market" in printed(lambda console: show_days(console, [day(simulated=True)]))
    assert "SIMULATED" not in printed(lambda console: show_days(console, [day()]))


def test_the_table_holds_the_rank_its_window_and_what_is_not_known_yet() -> None:
    text = printed(lambda console: show_days(console, [day()]))
    for expected in ("-1,598.3 M", "0.5368", "98.70%", "730", "not known yet", "source klines", "coverage 100.00%"):
        assert expected in text


def test_the_sentence_says_whether_the_day_was_unusual() -> None:
    assert sentence(day(3)) == "An unusual day: its bearish daily net taker volume ranks 3 of 730 days."
    assert sentence(day(300)).startswith("An ordinary day")
    assert "less than 95 %" in sentence(day(None))


def test_a_warning_is_one_line_and_what_blocks_shows_its_evidence() -> None:
    warning = CheckFinding("mart", "suite", False, "[warning] trades are complete: 2 rows; first: {row}")
    block = CheckFinding("mart", "other", True, "[critical] net = buy − sell: 1 row; first: {row}")
    text = printed(lambda console: show_report(console, RunReport(checks=[warning, block]), []))
    assert "warning suite: trades are complete: 2 rows\n" in text
    assert "first: {row}" in text.split("blocked")[1]


def test_a_query_without_rows_still_shows_its_columns() -> None:
    text = printed(lambda console: show_rows(console, ["market_id"], []))
    assert "market_id" in text
    assert "0 rows" in text
