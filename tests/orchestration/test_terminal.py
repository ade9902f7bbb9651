"""What people read: the simulated label, the words for a rank, and notes on disagreeing sources."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rich.console import Console

from ingestion.archive import Outcome, plan
from ingestion.domain.datasets import DATASETS
from ingestion.domain.errors import ArchiveUnavailable
from ingestion.raw.verify import RawVerdict
from ingestion.venues import parse_market
from orchestration.cli.render.brief import brief_rows, show_briefs
from orchestration.cli.render.claim import claim_verdict, show_claim
from orchestration.cli.render.days import liquidation_row, show_days, show_liquidations
from orchestration.cli.render.fitted import Column, Row, fitted
from orchestration.cli.render.judged import show_judged
from orchestration.cli.render.progress import TerminalProgress
from orchestration.cli.render.rows import show_rows
from orchestration.cli.render.run_report import missing_latest_sentence, show_latest, show_report
from orchestration.cli.render.status import show_status
from orchestration.cli.render.verification import show_verification
from orchestration.runs.report import RunReport
from orchestration.serving.claims.evaluate import Answer, Verdict
from orchestration.serving.claims.parse import Claim
from orchestration.serving.days import MarketDay, Rank, RunningDay, disagreements, latest_days, unfilled
from orchestration.serving.defects import AbsentDays, Losses, LostFlow, MissingLatest, Unused
from orchestration.serving.incomplete import IncompleteDays
from orchestration.serving.judged import Judged, JudgedClaim, Studied
from orchestration.serving.liquidations import Liquidated, each_once, last_liquidations
from orchestration.serving.raw_status import SeriesStatus
from orchestration.state.last_run import CheckFinding
from tests.support import reports

BAR_AT = datetime(2026, 1, 31)  # noqa: DTZ001 - marts hold naive UTC


def day(rank: int | None = 3, *, simulated: bool = False) -> MarketDay:
    ranked = Rank(
        "daily_usd",
        "UTC days, USD",
        "1d",
        "usd",
        730,
        "bearish",
        BAR_AT,
        Decimal("-1598330009.658"),
        rank,
        730,
        0.987,
        None,
        None,
    )
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


BRIEF: dict[str, Any] = {
    "headline": "binance_um:BTCUSDT on 2026-01-31: takers sold.",
    "side": "bearish",
    "net_taker_usd": Decimal("-1598330009.658"),
    "taker_sell_ratio": 0.5368,
    "sell_dominance_percentile": 0.9931,
    "daily_usd_rank": 10,
    "daily_usd_event_rank": 9,
    "4h_usd_rank": 3,
    "hourly_ma7_usd_rank": None,
    "larger_events": None,
    "close_price": Decimal("78706.80000000"),
    "price_change_ratio": -0.0654,
    "distance_from_high_ratio": -0.3764,
    "long_liquidations_usd": None,
    "short_liquidations_usd": None,
    "liquidations_coverage_ratio": 0.0,
    "open_interest": None,
    "open_interest_usd": None,
    "funding_rate": 0.0002,
    "flow_source": "klines",
    "coverage_ratio": 1.0,
}


NAMES = {"daily_usd": "UTC days, USD", "4h_usd": "4-hour bars, USD", "daily_base": "UTC days, base asset"}


def answer(*holds: bool | None, simulated: bool = False) -> Answer:
    """One verdict per value, of daily_usd, 4h_usd and daily_base in this order."""
    verdicts = tuple(
        Verdict(
            definition,
            NAMES[definition],
            "1d",
            "usd",
            True,
            BAR_AT,
            BAR_AT,
            Decimal("-1598330009.658"),
            3,
            3,
            730,
            1.0,
            shown,
            "bars" if shown else None,
            "2025-10-10 (-3267 M USD)",
            f"Holds under {definition}.",
        )
        for definition, shown in zip(("daily_usd", "4h_usd", "daily_base"), holds, strict=False)
    )
    claim = Claim("BTCUSDT", date(2026, 1, 31), date(2026, 1, 31), "bearish", 3, 730)
    return Answer(claim, "binance_um:BTCUSDT", simulated, verdicts)


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


def test_a_run_opens_with_the_answers_of_all_markets() -> None:
    other = replace(day(simulated=True), market_id="simulated:BTCUSDT")
    lines = printed(lambda console: show_days(console, [day(), other])).splitlines()
    expected = (
        "2026-01-31 UTC · Yes: third-largest selling day in two years (-1,598.3 M USD, rank 3 of 730, UTC days, USD)"
    )
    assert lines[:3] == ["", f"binance_um:BTCUSDT · {expected}", f"SIMULATED simulated:BTCUSDT · {expected}"]


def test_of_many_markets_the_answers_are_shown_and_the_table_of_the_first() -> None:
    markets = [replace(day(), market_id=f"v:M{number}") for number in range(7)]
    text = printed(lambda console: show_days(console, markets))
    assert [text.count(f"v:M{number} · ") for number in range(7)] == [2] + [1] * 6
    assert "the same of v:M1, v:M2, v:M3, v:M4 and 2 more: `taker brief --market MARKET`" in text


def test_a_table_gives_up_its_spare_columns_before_it_folds_a_cell() -> None:
    columns = [Column("a"), Column("b", spare=1), Column("c", is_number=True, spare=2), Column("d")]
    rows = [Row(["a" * 10, "b" * 10, "c" * 10, "d" * 10])]
    for width, kept in ((53, "abcd"), (52, "abd"), (39, "ad"), (20, "ad")):
        console = Console(file=io.StringIO(), width=width)
        console.print(fitted(console, columns, rows))
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert max(map(len, text.splitlines())) <= width
        assert "".join(name for name in "abcd" if name * 5 in text) == kept


def test_what_a_run_a_claim_and_liquidations_show_is_readable_at_80_columns() -> None:
    console = Console(file=io.StringIO(), width=80)
    show_days(console, [day()])
    show_claim(console, answer(True, False, None))
    show_liquidations(console, reports.last_liquidations()[1:])
    table_lines = [line for line in console.file.getvalue().splitlines() if line.startswith(("┃", "│"))]  # type: ignore[attr-defined]
    # Nothing is folded: each row of a table is one line.
    assert len(table_lines) == (1 + len(day().ranks)) + (1 + 3) + (1 + len(reports.last_liquidations()[1:]))
    assert max(map(len, table_lines)) <= 80


def test_a_brief_opens_with_the_answer_and_then_its_sentence() -> None:
    brief = {**BRIEF, "market_id": "binance_um:BTCUSDT"}
    _, first, second, *_ = printed(lambda console: show_briefs(console, [brief], [day()])).splitlines()
    assert first.startswith("binance_um:BTCUSDT · 2026-01-31 UTC · Yes: third-largest selling day in two years (")
    assert second == BRIEF["headline"]


def test_briefs_show_what_is_of_all_markets_once() -> None:
    received = {
        "all_long_liquidations_usd": Decimal(2_000_000),
        "all_short_liquidations_usd": Decimal(1_000_000),
        "all_liquidations_coverage_ratio": 1.0,
        "all_liquidations_venue_set": "v",
    }
    briefs = [{**BRIEF, **received, "market_id": name} for name in ("v:A", "v:B")]
    others = {**briefs[0], "market_id": "w:A", "all_liquidations_venue_set": "w"}
    text = printed(lambda console: show_briefs(console, [*briefs, others], []))
    assert text.count("on all markets received") == 2
    assert text.count("net taker volume ") == 3


@pytest.mark.parametrize(("is_event", "shown"), [(None, "not known yet"), (False, "no event"), (True, "7")])
def test_a_brief_states_why_a_day_has_no_rank_among_events(is_event: bool | None, shown: str) -> None:
    ranks = (replace(day().ranks[0], definition_id="daily_usd", side=BRIEF["side"], is_event=is_event),)
    brief = {**BRIEF, "bar_date": day().bar_date, "daily_usd_event_rank": 7 if is_event else None}
    assert dict(brief_rows(brief, replace(day(), ranks=ranks)))["rank among events"] == f"daily_usd {shown}"
    another = replace(day(), ranks=ranks, bar_date=date(2020, 1, 1))
    assert dict(brief_rows(brief, another))["rank among events"] == f"daily_usd {7 if is_event else '–'}"


def test_a_brief_shows_what_was_not_measured_as_a_dash() -> None:
    rows = dict(brief_rows(BRIEF))
    assert (rows["liquidations"], rows["open interest"]) == ("–", "–")
    assert dict(brief_rows({**BRIEF, "funding_rate": None}))["funding of the day"] == "–"
    assert rows["bearish ranks"] == "daily_usd 10, 4h_usd 3, hourly_ma7_usd –"
    assert rows["close"] == "78,706.80, -6.54% in a day, -37.64% from the 365-day high"


def test_a_brief_states_why_a_figure_is_missing() -> None:
    stated = {
        "funding_rate": None,
        "open_interest_missing_reason": "not_ingested",
        "funding_missing_reason": "not_published",
        "liquidations_missing_reason": "of_a_later_release",
    }
    rows = dict(brief_rows({**BRIEF, **stated}))
    assert rows["open interest"] == "– · not ingested"
    assert rows["funding of the day"] == ("– · no file in the archive; a month's fundings are published after its end")
    assert rows["liquidations"] == "– · of a later release"


def test_liquidations_are_shown_as_lower_bounds_with_coverage() -> None:
    known = {
        "long_liquidations_usd": Decimal(484_000_000),
        "short_liquidations_usd": Decimal(300_000_000),
        "liquidations_coverage_ratio": 0.5,
    }
    assert dict(brief_rows({**BRIEF, **known}))["liquidations"] == (
        "at least 484.0 M USD long, 300.0 M USD short; coverage 50.00%"
    )


def test_the_brief_names_the_venues_behind_the_liquidations_of_all_markets() -> None:
    assert dict(brief_rows(BRIEF))["on all markets received"] == "–"
    known = {
        "all_long_liquidations_usd": Decimal(484_000_000),
        "all_short_liquidations_usd": Decimal(300_000_000),
        "all_liquidations_coverage_ratio": 0.97,
        "all_liquidations_venue_set": "binance_um,bybit,okx",
    }
    assert dict(brief_rows({**BRIEF, **known}))["on all markets received"] == (
        "at least 484.0 M USD long, 300.0 M USD short; binance_um, bybit, okx, 97.00% of the day"
    )


def test_a_total_of_some_symbols_is_not_shown_as_one_of_all_markets() -> None:
    known = {
        "all_long_liquidations_usd": Decimal(484_000_000),
        "all_short_liquidations_usd": Decimal(300_000_000),
        "all_liquidations_coverage_ratio": 1.0,
        "all_liquidations_venue_set": "binance_um,bybit",
        "all_liquidations_subscribed_symbol_count": 1,
    }
    rows = dict(brief_rows({**BRIEF, **known}))
    assert "on all markets received" not in rows
    assert rows["of the subscribed symbols"].endswith("100.00% of the day (1 subscribed symbol, not every symbol)")
    row = liquidation_row(replace(reports.last_liquidations()[0], subscribed_symbol_count=3))
    assert row[0] == "all of binance_um, bybit, okx (3 subscribed symbols, not every symbol)"


def test_the_last_24_hours_mark_lower_bounds_and_what_was_not_received() -> None:
    received, exact, silent, _ = (liquidation_row(row) for row in reports.last_liquidations())
    assert received == [
        "all of binance_um, bybit, okx",
        "2026-06-30 14:00",
        "≥ 484.0 M",
        "≥ 300.0 M",
        "4,321",
        "484.00 M",
        "50.00%",
        "7 orders without a value in USD",
    ]
    assert exact[0] == "bybit:ALL"
    assert exact[2:4] == ["484.0 M", "300.0 M"]
    assert silent[2:] == ["–", "–", "–", "–", "0.00%", ""]
    text = printed(lambda console: show_liquidations(console, reports.last_liquidations()))
    assert "all of binance_um, bybit, okx" in text
    assert printed(lambda console: show_liquidations(console, [])) == ""


def test_a_sum_over_one_venue_alone_is_not_listed_beside_the_row_of_that_venue() -> None:
    over_three, *_ = reports.last_liquidations()
    over_one, venue, market = (
        replace(over_three, market_id=market_id, venue_set="bybit") for market_id in ("all:ALL", "bybit:ALL", "bybit:X")
    )
    assert each_once([over_one, venue, market]) == [venue, market]
    assert each_once([over_three, venue]) == [over_three, venue]
    assert each_once([over_one, market]) == [over_one, market]
    assert "all of bybit" not in printed(lambda console: show_liquidations(console, [over_one, venue]))


def test_a_claim_opens_with_its_verdict_over_the_definitions_that_have_a_say() -> None:
    assert (
        claim_verdict(answer(True, False, None))
        == "TRUE under 1 of 3 definitions: UTC days, USD · FALSE under 1 · CANNOT TELL under 1"
    )
    assert claim_verdict(answer(False, None)) == "CANNOT TELL under 1 of 2 definitions, false under the others"
    assert claim_verdict(answer(None)) == "CANNOT TELL under 1 of 1 definition"
    assert claim_verdict(answer(False, False)) == "FALSE under all 2 definitions"
    assert claim_verdict(answer(False)) == "FALSE under the only definition"
    assert claim_verdict(answer()) == "CANNOT TELL: this market has no bars of any definition"


def test_a_claim_that_its_day_outdoes_is_false_and_states_so() -> None:
    claimed = answer(False, False, True)
    fifth = replace(claimed, claim=replace(claimed.claim, rank=5))
    assert (
        claim_verdict(fifth)
        == "TRUE under 1 of 3 definitions: UTC days, base asset · FALSE under 2 (even more extreme than claimed)"
    )
    none = answer(False, None)
    outdone = replace(none, claim=replace(none.claim, rank=4))
    assert claim_verdict(replace(outdone, verdicts=outdone.verdicts[:1])).endswith(
        "FALSE under the only definition; even more extreme than claimed under 1"
    )
    assert claim_verdict(outdone).endswith("false under the others; even more extreme than claimed under 1")
    lines = printed(lambda console: show_claim(console, outdone)).splitlines()
    assert [line.split("│")[-2].strip() for line in lines if line.startswith("│")] == [
        "false: is larger",
        "cannot tell",
    ]


def test_a_claim_is_a_line_of_each_definition_and_the_reason_why_the_data_cannot_tell() -> None:
    text = printed(lambda console: show_claim(console, answer(True, None, simulated=True)))
    assert text.startswith("TRUE under 1 of 2 definitions: UTC days, USD · CANNOT TELL under 1\n")
    for expected in ("SIMULATED", "2026-01-31", "-1,598.3 M", "true by bars", "Holds under 4h_usd."):
        assert expected in text
    assert "Holds under daily_usd." not in text
    assert "Larger" not in text


def test_a_claim_about_days_that_are_not_published_states_it_once() -> None:
    """Every definition would state that it has no bar there; with --verbose each does."""
    later = replace(answer(None, None), latest_day=date(2026, 1, 30))
    text = printed(lambda console: show_claim(console, later))
    assert text.startswith("CANNOT TELL: the latest published day of this market is 2026-01-30\n")
    assert len(text.splitlines()) == 2
    assert "Holds under 4h_usd." in printed(lambda console: show_claim(console, later, is_verbose=True))
    of_latest = replace(later, latest_day=date(2026, 1, 31))
    assert "CANNOT TELL under 2 of 2" in printed(lambda console: show_claim(console, of_latest))


def test_a_verbose_claim_shows_each_sentence_and_the_larger_events() -> None:
    text = printed(lambda console: show_claim(console, answer(True), is_verbose=True))
    assert "Holds under daily_usd. Larger: 2025-10-10 (-3267 M USD)." in text


def test_a_warning_is_one_line_and_what_blocks_shows_its_evidence() -> None:
    warning = CheckFinding("mart", "suite", False, "[warning] trades are complete: 2 rows; first: {row}")
    block = CheckFinding("mart", "other", True, "[critical] net = buy − sell: 1 row; first: {row}")
    text = printed(lambda console: show_report(console, RunReport(checks=[warning, block]), []))
    assert "warning suite: trades are complete: 2 rows\n" in text
    assert "first: {row}" in text.split("blocked")[1]


def test_a_broken_rule_does_not_read_as_a_fact() -> None:
    warning = CheckFinding(
        "mart", "suite", False, "[warning] trades are complete: 2 of 1520 rows break the rule; first: {}"
    )
    text = printed(lambda console: show_report(console, RunReport(checks=[warning]), []))
    assert "warning suite: 2 of 1520 rows break the rule “trades are complete”\n" in text


def test_the_words_that_lines_begin_with_are_explained_and_no_others() -> None:
    block = CheckFinding("mart", "other", True, "[critical] net = buy − sell: 1 row; first: {row}")
    text = printed(lambda console: show_report(console, RunReport(checks=[block]), ["a note"]))
    assert "blocked: a rule is broken that no venue can break" in text
    assert "note: nothing is wrong" in text
    assert "warning: " not in text
    assert printed(lambda console: show_report(console, RunReport(), [])) == ""


def test_claims_stand_with_their_verdict_and_the_study_with_what_it_refuses() -> None:
    def claim(true: int, false: int, undecided: int, more: int = 0) -> JudgedClaim:
        return JudgedClaim("c", "simulated:BTCUSDT", "The largest day.", true, false, undecided, None, None, more)

    refused = Studied("binance_um:BTCUSDT", "UTC days, USD, bearish, 7 days", "Nothing can be concluded: 3 events.")
    claims = (claim(2, 6, 0), claim(4, 3, 1, more=1), claim(0, 8, 0), claim(0, 3, 5), claim(0, 7, 0, more=5))
    found = Judged(claims, (refused,))
    lines = printed(lambda console: show_judged(console, found)).splitlines()
    assert "TRUE under 2 of 8 · FALSE under 6 · SIMULATED simulated:BTCUSDT · The largest day." in lines
    assert (
        "TRUE under 4 of 8 · FALSE under 3 (even more extreme than claimed under 1) · CANNOT TELL under 1 · "
        "SIMULATED simulated:BTCUSDT · The largest day." in lines
    )
    assert "FALSE under all 8 · SIMULATED simulated:BTCUSDT · The largest day." in lines
    assert (
        "FALSE under all 7; even more extreme than claimed under 5 · SIMULATED simulated:BTCUSDT · The largest day."
        in lines
    )
    assert "CANNOT TELL under 5 of 8 · SIMULATED simulated:BTCUSDT · The largest day." in lines
    assert "binance_um:BTCUSDT · UTC days, USD, bearish, 7 days · Nothing can be concluded: 3 events." in lines


def test_the_column_of_notes_is_there_when_an_order_has_no_value() -> None:
    def shown(unvalued: int) -> str:
        at = datetime.combine(date(2026, 6, 30), time(14))
        row = Liquidated("v:S", at, Decimal(1), Decimal(2), 3, unvalued, None, 1.0, True, "live", "v")
        return printed(lambda console: show_liquidations(console, [row]))

    assert "note" not in shown(0)
    assert "note" in shown(4)
    assert "4 orders without a value in USD" in shown(4)


def test_a_verification_of_nothing_names_the_next_step() -> None:
    text = printed(lambda console: show_verification(console, RawVerdict(0, 0, ()), None))
    assert "nothing is stored here yet" in text
    assert "`taker run`" in text


def test_absent_files_and_absent_days_are_named_in_their_own_terms() -> None:
    requested = Counter({"metrics": 3, "restTrades": 2})
    report = RunReport(requested=requested, absent=Counter({"metrics": 1, "restTrades": 2}))
    text = printed(lambda console: show_report(console, report, []))
    assert "metrics: 2 of 3 requested files are in the archive" in text
    assert "restTrades: none of 2 requested days are in the API" in text


def test_a_result_that_is_wider_than_the_console_is_shown_as_records() -> None:
    names, row = [f"column_{number:02d}" for number in range(30)], [Decimal("1.50"), *range(1, 30)]
    text = printed(lambda console: show_rows(console, names, [row, row]))
    assert [line.split() for line in text.splitlines()][:3] == [["row", "1"], ["column_00", "1.50"], ["column_01", "1"]]
    assert text.count("column_29") == 2
    assert "row 1" not in printed(lambda console: show_rows(console, names[:3], [row[:3]]))


def test_a_query_without_rows_still_shows_its_columns() -> None:
    text = printed(lambda console: show_rows(console, ["market_id"], []))
    assert "market_id" in text
    assert "0 rows" in text


def test_a_running_day_is_shown_after_the_last_ended_one() -> None:
    running = RunningDay(date(2026, 2, 1), Decimal("12000000"), Decimal("90000000"), "rest_klines", 0.25)
    console = Console(file=io.StringIO(), width=200)

    show_days(console, [replace(day(), is_provisional=True, venue_set="binance_um,bybit", running=running)])

    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "over binance_um, bybit · 2026-01-31 UTC" in shown
    assert "source klines (provisional)" in shown
    assert "today so far, provisional · 2026-02-01 UTC · net taker volume +12.0 M USD of 90.0 M traded" in shown
    assert "25.00% of the day · not ranked" in shown


def test_the_latest_day_is_the_latest_that_has_ended(tmp_path: Path) -> None:
    """A sum over venues is answered with the markets that it is summed from."""
    serving = tmp_path / "marts.duckdb"
    with duckdb.connect(str(serving)) as connection:
        connection.execute(
            """
            create table dim_markets as select * from (values
                ('v:BTCUSDT', 'linear', 'BTC', false), ('w:BTCUSDT', 'linear', 'BTC', false),
                ('v:ETHUSDT', 'linear', 'ETH', false), ('all:BTC', 'aggregate', 'BTC', false)
            ) as t (market_id, contract_type, base_asset, is_simulated);
            create table fct_net_taker_volume_daily as
            select
                market_id, day::date as bar_date, 1::decimal(38, 8) as net_taker_usd, 2::decimal(38, 8) as volume_usd,
                0.5::double as taker_sell_ratio, 'rest_klines' as flow_source, 1.0::double as coverage_ratio,
                day > timestamp '2026-01-30' as is_provisional, day = timestamp '2026-02-01' as is_running,
                'v,w' as venue_set
            from dim_markets cross join generate_series(timestamp '2026-01-30', timestamp '2026-02-01', interval 1 day)
                as days (day);
            create table fct_taker_dominance_daily (
                market_id varchar, bar_date date, sell_dominance_percentile double
            );
            create table rpt_market_brief_daily (
        market_id varchar, bar_date date, headline varchar, price_change_ratio double
    );
            create table dim_spike_definitions (
                definition_id varchar, definition_name varchar, grain varchar, unit varchar, window_days bigint
            );
            create table fct_taker_spike_ranks (
                definition_id varchar, market_id varchar, side varchar, bar_at timestamp, value decimal(38, 8),
                spike_rank bigint, window_bars bigint, percentile double, event_rank bigint, is_event boolean,
                coverage_ratio double
            );
            """
        )

    days = latest_days(serving, ["v:BTCUSDT"])

    assert [d.market_id for d in days] == ["all:BTC", "v:BTCUSDT"]
    assert {(d.bar_date, d.is_provisional, d.venue_set) for d in days} == {(date(2026, 1, 31), True, "v,w")}
    assert [d.running.bar_date for d in days if d.running] == [date(2026, 2, 1)] * 2
    assert len(latest_days(serving)) == 4


RANKED = """
    create table dim_markets as select 'v:S' as market_id, 'linear' as contract_type, 'S' as base_asset,
        false as is_simulated;
    create table fct_net_taker_volume_daily as select 'v:S' as market_id, date '2026-01-31' as bar_date,
        -1::decimal(38, 8) as net_taker_usd, 2::decimal(38, 8) as volume_usd, 0.5368::double as taker_sell_ratio,
        'klines' as flow_source, 1.0::double as coverage_ratio, false as is_provisional, false as is_running,
        'v' as venue_set;
    create table fct_taker_dominance_daily (market_id varchar, bar_date date, sell_dominance_percentile double);
    create table rpt_market_brief_daily (
        market_id varchar, bar_date date, headline varchar, price_change_ratio double
    );
    create table dim_spike_definitions as
    select definition_id, definition_id as definition_name, '1h' as grain, unit, 730::bigint as window_days
    from (values
        ('balance', 'usd'), ('best', 'usd'), ('empty', 'usd'), ('ratio', 'sell_ratio'), ('ratios', 'sell_ratio')
    ) as t (definition_id, unit);
    create table fct_taker_spike_ranks as
    select
        definition_id, 'v:S' as market_id, side, timestamp '2026-01-31' + to_hours(hour) as bar_at,
        value::decimal(38, 8) as value, case side when 'bearish' then bearish else bullish end::bigint as spike_rank,
        730::bigint as window_bars, null::double as percentile, null::bigint as event_rank, null::boolean as is_event,
        1::double as coverage_ratio
    from (values
        -- Not ranked, as in a market's first two years: the value alone gives the side.
        ('ratio', 0, 0.5368, null, null),
        ('ratios', 0, 0.48, null, null), ('ratios', 4, 0.53, null, null), ('ratios', 8, 0.51, null, null),
        ('empty', 0, 0, null, null),
        -- Ranked: the better rank of the day, on the side of its own value.
        ('best', 0, -5, 700, 1), ('best', 4, 9, 729, 2),
        ('balance', 0, 0, 3, 728)
    ) as t (definition_id, hour, value, bearish, bullish)
    cross join (values ('bearish'), ('bullish')) as sides (side)
"""


def test_a_day_is_shown_on_the_side_of_its_value(tmp_path: Path) -> None:
    serving = tmp_path / "marts.duckdb"
    with duckdb.connect(str(serving)) as connection:
        connection.execute(RANKED)

    (day,) = latest_days(serving)

    assert [(r.definition_id, r.side, r.bar_at.hour, r.rank) for r in day.ranks] == [
        ("balance", "bearish", 0, 3),
        ("best", "bullish", 4, 2),
        ("empty", None, 0, None),
        ("ratio", "bearish", 0, None),
        ("ratios", "bearish", 4, None),
    ]
    lines = printed(lambda console: show_days(console, [day])).splitlines()
    assert [line.split("│")[3].strip() for line in lines if "2026-01-31 " in line and "│" in line] == [
        "bearish",
        "bullish",
        "–",
        "bearish",
        "bearish",
    ]


def test_definitions_that_no_bar_can_fill_are_named_once_for_all_markets(tmp_path: Path) -> None:
    serving = tmp_path / "marts.duckdb"
    with duckdb.connect(str(serving)) as connection:
        connection.execute(
            """
            create table fct_net_taker_volume_daily as select 'v:' || s as market_id, 'v' as venue
            from (values ('A'), ('B'), ('C'), ('C')) as t (s);
            create table dim_spike_definitions as select * from (values
                ('daily_usd', '1d', null), ('4h_usd', '4h', null), ('hourly', '1h', null), ('of_w', '1h', 'w')
            ) as t (definition_id, grain, venue);
            create table fct_taker_spike_ranks as select * from (values
                ('v:A', '4h_usd'), ('v:B', '4h_usd'), ('v:C', '4h_usd'), ('v:C', 'hourly')
            ) as t (market_id, definition_id);
            """
        )

    (sentence,) = unfilled(serving, ["v:A", "v:B", "v:C"])

    assert sentence.startswith(
        "v:A, v:B: no bar of the definitions hourly, whose grain is finer than the stored klines"
    )
    assert unfilled(serving, ["v:C"]) == []


def test_on_a_first_day_that_has_not_ended_liquidations_are_shown(tmp_path: Path) -> None:
    serving = tmp_path / "marts.duckdb"
    with duckdb.connect(str(serving)) as connection:
        connection.execute(
            """
            create table dim_markets as select 'v:S' as market_id, true as is_ingested;
            create table fct_net_taker_volume_daily as select date '2026-01-31' as bar_date, true as is_running;
            create table fct_liquidations_rolling_24h as select
                'v' as venue, 'v:S' as market_id, timestamp '2026-01-31 05:00' as as_of_at, 1.5 as long_usd,
                2.5 as short_usd, 2 as order_count, 0 as unvalued_order_count, 2.5 as largest_order_usd,
                0.2 as coverage_ratio, true as is_lower_bound, 'live' as liquidation_source, 'v' as venue_set,
                null as subscribed_symbol_count
            """
        )

    assert [row.market_id for row in last_liquidations(serving)] == ["v:S"]


def test_what_failed_of_a_dataset_still_shows_when_the_next_one_begins() -> None:
    (task,) = plan(DATASETS["fundingRate"], parse_market("binance_um:BTCUSDT"), date(2026, 1, 1), date(2026, 1, 31))

    def ingest(console: Console) -> None:
        with TerminalProgress(console) as progress:
            progress.ingesting("fundingRate", 1)
            progress.ingested(Outcome(task, "failed", None, ArchiveUnavailable("down")))
            progress.ingesting("klines", 1)

    shown = [line for line in printed(ingest).splitlines() if "fundingRate" in line]
    assert "1 failed" in shown[-1]


def test_a_step_that_failed_has_a_cross_and_the_count_of_what_was_done() -> None:
    def build(console: Console) -> None:
        with TerminalProgress(console) as progress:
            progress.preparing()
            progress.building(3)
            progress.built("dim_markets", "success")
            progress.failed()

    before, failed = printed(build).splitlines()[-2:]
    assert before.startswith("✓ load Dagster and dbt")
    assert failed.startswith("✗ build")
    assert " 1/3 " in failed


def test_in_a_file_each_step_is_one_plain_line_as_soon_as_it_has_ended() -> None:
    (task,) = plan(DATASETS["fundingRate"], parse_market("binance_um:BTCUSDT"), date(2026, 1, 1), date(2026, 1, 31))
    seen: list[str] = []

    def run(console: Console) -> None:
        with TerminalProgress(console) as progress:
            progress.comparing()
            progress.ingesting("fundingRate", 3)
            seen.append(console.file.getvalue())  # type: ignore[attr-defined]
            for _ in range(3):
                progress.ingested(Outcome(task, "failed", None, ArchiveUnavailable("down")))
            progress.ingesting("trades", 0)
            progress.building(2)
            seen.append(console.file.getvalue())  # type: ignore[attr-defined]
            progress.built("dim_markets", "success")
            progress.built("dim_spike_definitions", "success")
            progress.auditing("markets")
            progress.auditing("spikes")
            progress.publishing(20)

    lines = printed(run).splitlines()
    steps = ["compare with the archive", "ingest fundingRate  3/3", "build  2/2", "audit  2/2", "publish"]
    assert [line.startswith(f"✓ {step}  ") for line, step in zip(lines, steps, strict=True)] == [True] * 5
    assert lines[1].endswith("  3 failed")
    assert [text.splitlines() for text in seen] == [lines[:1], lines[:2]]
    assert all(line.isprintable() for line in lines)


def lossy(**changes: Any) -> RunReport:
    days = tuple(date(2025, 9, n) for n in range(1, 31))
    why = (("klines", "refused"), ("aggTrades", "not ingested"))
    files = tuple(f"d/klines-{n}.zip" for n in range(1, 31))
    replaced = Unused("klines", "v:BTC", "4h", "replaced_source", days, (), 0, ("not a zip",), ("m.zip",), files, ())
    facts = {"flow": (LostFlow("v:BTC", (*days[:5], days[11]), why),), "unused": (replaced,), **changes}
    return RunReport(losses=Losses(**facts))


def test_days_without_flow_are_named_however_many_other_things_are_missing() -> None:
    others = tuple(AbsentDays("metrics", f"v:M{n}", (date(2025, 9, 1),), 30) for n in range(40))
    failed = [(f"v:BTC metrics 2025-09-{n:02}", f"down {n}") for n in range(1, 31)]
    report = lossy(absent=others)
    report.failed_objects = [*failed, ("v:BTC klines 4h 2025-10", "down")]
    lines = printed(lambda console: show_report(console, report, [])).replace("\n ", " ").splitlines()
    assert lines[0].startswith(
        "missing v:BTC: 6 days without flow, 2025-09-01..2025-09-05, 2025-09-12 (klines: refused"
    )
    assert lines[2].startswith("failed  v:BTC klines 4h 2025-10") or lines[1].startswith("failed  v:BTC klines")
    assert any("v:BTC klines 4h 2025-09-01..2025-09-30: not used: m.zip: not a zip" in line for line in lines)
    assert any("… and 20 more; `taker status --defects` lists them" in line for line in lines)


def test_the_check_of_unused_data_is_not_shown_beside_its_evidence() -> None:
    report = lossy()
    report.checks = [CheckFinding("raw/receipts", "no_unused_data", False, "1 file(s) replaced")]
    assert "no_unused_data" not in printed(lambda console: show_report(console, report, []))


def test_quiet_runs_still_name_the_days_without_flow_and_nothing_that_was_replaced() -> None:
    text = printed(lambda console: show_report(console, lossy(), [], problems_only=True))
    assert "6 days without flow" in text
    assert "m.zip" not in text


def test_a_market_without_its_latest_day_shows_why_and_its_newest_bar() -> None:
    why = (("klines", "absent"), ("aggTrades", "implausible"))
    missing = MissingLatest("v:BTC", date(2026, 7, 30), why, date(2026, 7, 28))
    text = printed(lambda console: show_latest(console, Losses(latest=(missing,))))
    assert text == (
        "missing v:BTC: no klines and no aggTrades of 2026-07-30 (klines: no file in the archive, aggTrades: "
        "implausible); the newest bar is of 2026-07-28\n"
    )
    assert "no bar of it at all" in missing_latest_sentence(replace(missing, newest=None))


def test_a_notice_of_an_archive_is_one_note() -> None:
    text = printed(lambda console: show_report(console, RunReport(notices=["the mirror answers 403"]), []))
    assert text.splitlines()[0] == "note    the mirror answers 403"
    assert len(text.splitlines()) == 2


def status_of(*defects: Unused, **counts: int) -> SeriesStatus:
    numbers: dict[str, Any] = {"stored": 30, "missing": 0, "absent": 0, "partial": 0, "corrected": 0, **counts}
    first, last = date(2025, 9, 1), date(2025, 9, 30)
    return SeriesStatus("liquidationSnapshot", "binance_um:BTCUSDT", "", first, last, **numbers, defects=defects)


def aside(n: int) -> Unused:
    return Unused(
        "liquidationSnapshot",
        "binance_um:BTCUSDT",
        "",
        "quarantined_rows",
        (date(2025, 9, n),),
        (),
        2,
        (f"column `price` holds no number, first at row {n}",),
        (f"BTCUSDT-liquidationSnapshot-2025-09-{n:02}.zip",),
        (),
        (f"raw/{n}/_quarantine.parquet",),
    )


def shown_status(series: list[SeriesStatus], width: int, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=width)
    show_status(console, series, **options)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_status_at_80_columns_cuts_no_name_and_no_day() -> None:
    many = status_of(missing=1, absent=2, partial=3, corrected=4)
    text = shown_status([many], 80)
    assert "liquidationSnapshot 2025-09-01 2025-09-30" in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_status_lists_what_was_not_used_with_day_and_reason_and_folds_a_long_list() -> None:
    one = status_of(*(aside(n) for n in range(1, 25)), quarantined_rows=48, refused_files=1)
    for width in (80, 120):
        text = shown_status([one], width)
        joined = " ".join(text.split())
        assert "2025-09-01 2 rows set aside: column `price` holds no number, first at row 1" in joined
        assert "first at row 13" not in joined
        assert "… and 12 more (`taker status --defects` lists all of them)" in joined
        assert "kept beside the data: raw/1/_quarantine.parquet and 23 more" in joined
        assert max(map(len, text.splitlines())) <= width
    assert "first at row 24" in " ".join(shown_status([one], 80, every_defect=True).split())


def test_status_lists_each_day_that_lacks_something_with_what_and_why() -> None:
    absent = IncompleteDays(
        "fundingRate", "v:BTC", "", "absent", (date(2025, 9, 1), date(2025, 9, 2)), "no file in the archive"
    )
    partial = IncompleteDays("klines", "v:BTC", "1h", "partial", (date(2025, 9, 5),), "23 of 24 rows in the file " * 3)
    bars = IncompleteDays("bars", "v:BTC", "", "partial", (date(2025, 9, 5),), "95.83% of the day covered")
    one = replace(status_of(), incomplete=(absent, partial))
    folded = " ".join(shown_status([one], 80).split())
    assert "3 days of single datasets lack something, which another dataset may have: `taker status" in folded
    assert "no file" not in folded
    text = shown_status([one], 80, every_defect=True, bars=(bars,))
    listed = text.partition("days that lack something\n")[2]
    assert max(map(len, text.splitlines())) <= 80
    assert [line.rstrip() for line in listed.splitlines() if line.startswith("v:BTC")] == [
        "v:BTC bars",
        "v:BTC klines 1h",
        "v:BTC fundingRate",
    ]
    assert "2025-09-01..2025-09-02 absent: no file in the archive" in " ".join(listed.split())


def test_status_is_silent_about_defects_where_there_are_none() -> None:
    text = shown_status([status_of()], 80)
    assert "not used" not in text
    assert "missing" not in text
    assert "lack" not in text


def test_a_day_of_implausible_trades_is_noted_with_the_reason_and_what_is_used(tmp_path: Path) -> None:
    serving = tmp_path / "marts.duckdb"
    with duckdb.connect(str(serving)) as connection:
        connection.execute(
            """
            create table fct_net_taker_volume_daily as
            select 'v:BTC' as market_id, date '2026-07-03' as bar_date, 'klines' as flow_source;
            create table fct_flow_reconciliation_daily as
            select 'v:BTC' as market_id, day::date as bar_date, 'trades_implausible' as verdict,
                null::decimal(38, 8) as difference_usd, null::decimal(38, 8) as klines_volume_usd,
                null::varchar as interval_verdict, null::decimal(38, 8) as interval_difference_usd,
                null as kline_interval,
                null as coarser_interval, null::varchar as rest_verdict, null::decimal(38, 8) as rest_difference_usd,
                null::bigint as rest_hours, 'the taker sold in every one of 2000 trades' as defect_reason
            from generate_series(timestamp '2026-07-03', timestamp '2026-07-04', interval 1 day) as days (day)
            """
        )
    assert disagreements(serving) == [
        "v:BTC 2026-07-04: trades implausible and not used (the taker sold in every one of 2000 trades), "
        "the day has no bar",
        "v:BTC 2026-07-03: trades implausible and not used (the taker sold in every one of 2000 trades), "
        "the bars come from klines",
    ]
