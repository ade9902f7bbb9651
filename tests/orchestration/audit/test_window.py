"""What an audit judges: what was built since the publication that stands, and everything where that is not certain.

Marts as the audit's other tests have them, as if a second build had replaced some of their rows, beside the publication
of the first.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from orchestration.warehouse.audit.broken import count_broken
from orchestration.warehouse.audit.rules import AuditSuite
from orchestration.warehouse.audit.window import AUDITED, statement_of, window_of
from orchestration.warehouse.opening import WarehouseFile
from orchestration.warehouse.standing import NOTHING_STANDS
from tests.orchestration.audit.auditing import ALL_SUITES, SUITE_BY_NAME
from tests.orchestration.audit.corruption import DAILY, HOURLY, LINEAR, ONE_DAY, ONE_HOUR, RANKS
from tests.orchestration.audit.corruptions import CORRUPTIONS

FOLLOWING = [suite for suite in ALL_SUITES if suite.follows_changes]
SOME = 8
RULES = "the fingerprint of the rules"
LONG_AGO, LATER = "timestamp '1900-01-01'", "timestamp '9999-01-01'"


@pytest.fixture(scope="module")
def files(good_marts: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The warehouse of the build `second`, and the publication of `first`, with which it compared itself: no change."""
    folder = tmp_path_factory.mktemp("window")
    good_marts.execute(f"attach '{folder / 'warehouse.duckdb'}' as warehouse")
    good_marts.execute("copy from database memory to warehouse")
    good_marts.execute("detach warehouse")
    with duckdb.connect(str(folder / "marts.duckdb")) as published:
        published.execute(f"attach '{folder / 'warehouse.duckdb'}' as warehouse (read_only)")
        for name in (HOURLY, RANKS):
            published.execute(f"create table {name} as from warehouse.{name}")
        published.execute("create table publication (published_at timestamp, run_id varchar, settings json)")
        stated = {AUDITED: {"build_id": "first", "judged_by": RULES}}
        published.execute(
            "insert into publication values (timestamp '2024-03-22 12:00', 'run-1', ?)", [json.dumps(stated)]
        )
    with duckdb.connect(str(folder / "warehouse.duckdb")) as warehouse:
        warehouse.execute(
            "create table int_built_days as select 'second' as build_id, 'first' as former_build_id;"
            "create table int_bar_days as select distinct market_id, cast(bar_at as date) as bar_date, "
            f"false as is_changed, 'second' as build_id from {HOURLY};"
            "create table int_rank_changes (definition_id varchar, market_id varchar, from_at timestamp, "
            "to_at timestamp);"
            "create view int_flow_changes as select market_id, cast(min(bar_date) as timestamp) as from_at "
            "from int_bar_days where is_changed group by market_id"
        )
    return folder


@pytest.fixture
def marts(files: Path, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy of the warehouse, to be corrupted."""
    copy = shutil.copyfile(files / "warehouse.duckdb", tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(copy)) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


@pytest.fixture
def serving(files: Path) -> Path:
    return files / "marts.duckdb"


@contextlib.contextmanager
def undone(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Whatever happens to the marts within is taken back."""
    connection.execute("begin transaction")
    try:
        yield
    finally:
        connection.execute("rollback")


def build(marts: duckdb.DuckDBPyConnection, days: str, from_at: str = LONG_AGO, to_at: str = LATER) -> None:
    """As if the second build had replaced these days, and ranks from `from_at` until before `to_at`."""
    marts.execute(
        f"update int_bar_days set is_changed = {days};"
        "insert into int_rank_changes select distinct definition_id, market_id, "
        f"{from_at}, {to_at} from {RANKS}"
    )


def broken(marts: duckdb.DuckDBPyConnection, suite: AuditSuite, *, changed: bool) -> list[int]:
    return list(count_broken(marts, suite, suite.drawn(changed=changed)).broken)


def judged(marts: duckdb.DuckDBPyConnection, suite: AuditSuite, *, changed: bool) -> int:
    return count_broken(marts, suite, suite.drawn(changed=changed)).judged


def test_what_was_built_since_the_publication_is_judged_and_stated(
    marts: duckdb.DuckDBPyConnection, serving: Path
) -> None:
    build(marts, "bar_date >= date '2024-03-22'", "timestamp '2024-03-21'")
    window = window_of(marts, serving, RULES)

    assert not window.is_full
    markets = marts.execute(f"select count(distinct market_id) from {HOURLY}").fetchall()[0][0]
    series = marts.execute(f"select count(*) from (select distinct definition_id, market_id from {RANKS})").fetchall()
    assert window.text == (
        "what was built since the publication of 2024-03-22 12:00:00 UTC: "
        f"bars of {markets} market(s) from 2024-03-22 to 2024-03-22, ranks of {series[0][0]} series"
    )
    for suite in FOLLOWING:
        assert 0 < judged(marts, suite, changed=True) < judged(marts, suite, changed=False) / 2


def test_where_nothing_was_built_nothing_of_these_suites_is_judged_again(
    marts: duckdb.DuckDBPyConnection, serving: Path
) -> None:
    assert window_of(marts, serving, RULES).text.endswith("UTC: no bar and no rank")
    assert [judged(marts, suite, changed=True) for suite in FOLLOWING] == [0] * len(FOLLOWING)


def test_what_the_build_left_as_the_publication_has_it_stands(marts: duckdb.DuckDBPyConnection, serving: Path) -> None:
    build(marts, "bar_date >= date '2024-03-22' and market_id <> 'all:BTC'", "timestamp '2024-03-21 04:00'")

    standing = window_of(marts, serving, RULES).standing

    assert standing.before == {HOURLY: date(2024, 3, 22), RANKS: date(2024, 3, 21)}
    assert standing.of((datetime(2024, 3, 22, 12, tzinfo=UTC), "run-1")) == standing.before
    assert standing.of((datetime(2024, 3, 22, 12, tzinfo=UTC), "run-2")) == {}
    assert standing.of(None) == NOTHING_STANDS.of(None) == {}


def test_of_a_table_of_which_nothing_was_replaced_every_row_stands(
    marts: duckdb.DuckDBPyConnection, serving: Path
) -> None:
    assert window_of(marts, serving, RULES).standing.before == {HOURLY: date.max, RANKS: date.max}


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        # A build was refused, or nothing was published after it: the next one compared itself with that.
        ("update int_built_days set former_build_id = 'refused'", "the build before this one was not published here"),
        ("update int_built_days set former_build_id = null", "the tables were built anew"),
        ("delete from int_built_days", "the tables were built anew"),
        ("update int_built_days set build_id = 'first'", "a part was built after the last whole build"),
        ("update int_bar_days set build_id = 'third' where market_id like 'all:%'", "a part was built after"),
        (
            "update int_bar_days set build_id = 'first'; update int_built_days set build_id = 'first'",
            "published before",
        ),
        ("drop table int_rank_changes", "does not state what changed"),
        ("drop view int_flow_changes", "does not state what changed"),
        ("alter table int_built_days drop former_build_id", "does not state what changed"),
        (f"delete from {HOURLY} where {ONE_HOUR}", f"{HOURLY} differs from the publication where nothing was built"),
        (f"update {HOURLY} set trade_count = trade_count + 1 where {ONE_HOUR}", f"{HOURLY} differs"),
        (f"update {RANKS} set spike_rank = spike_rank + 1 where bar_at < timestamp '2024-03-14'", f"{RANKS} differs"),
        (f"insert into {RANKS} select * from {RANKS} where bar_at < timestamp '2024-03-14'", f"{RANKS} differs"),
    ],
)
def test_in_doubt_everything_is_judged(marts: duckdb.DuckDBPyConnection, serving: Path, sql: str, why: str) -> None:
    build(marts, "bar_date >= date '2024-03-22'", "timestamp '2024-03-21'")
    marts.execute(sql)

    window = window_of(marts, serving, RULES)

    assert window.is_full
    assert window.standing == NOTHING_STANDS
    assert why in window.text


def test_everything_is_judged_when_it_is_requested_by_other_rules_or_without_a_publication(
    marts: duckdb.DuckDBPyConnection, serving: Path, tmp_path: Path
) -> None:
    assert window_of(marts, serving, RULES, full=True).why_full == "a full audit was requested"
    assert "rules, code, versions or settings" in window_of(marts, serving, "others").text
    assert window_of(marts, tmp_path / "none.duckdb", RULES).why_full == "nothing is published yet"
    (tmp_path / "torn.duckdb").write_bytes(b"no database")
    assert "cannot be read" in window_of(marts, tmp_path / "torn.duckdb", RULES).text


@pytest.mark.parametrize("suite", FOLLOWING, ids=lambda suite: suite.name)
def test_a_window_over_everything_finds_what_a_full_audit_finds(
    good_marts: duckdb.DuckDBPyConnection, suite: AuditSuite
) -> None:
    """The two ways to draw its rows are the same rules: of every corruption of the suite, some at a time."""
    corruptions = [each for each in CORRUPTIONS if each.suite == suite.name]
    for first in range(0, len(corruptions), SOME):
        with undone(good_marts):
            good_marts.execute(
                f"create temp table judged_days as select market_id, {LONG_AGO} as from_at, {LATER} as to_at, "
                f"{LONG_AGO} as previous_at, {LATER} as next_at from (select distinct market_id from {HOURLY});"
                f"create temp table judged_ranks as select definition_id, market_id, {LONG_AGO} as from_at, "
                f"{LATER} as to_at from (select distinct definition_id, market_id from {RANKS} union all "
                f"select 'invented', market_id from (select distinct market_id from {RANKS}))"
            )
            for corruption in corruptions[first : first + SOME]:
                good_marts.execute(corruption.sql)
            found = broken(good_marts, suite, changed=False)
            assert any(found)
            assert broken(good_marts, suite, changed=True) == found


@pytest.mark.parametrize("seed", range(12))
def test_former_audit_and_changed_rows_are_the_verdict_on_everything(
    marts: duckdb.DuckDBPyConnection, serving: Path, seed: int
) -> None:
    """A build that breaks an hour breaks one of its own days: then judging these is judging all."""
    choice = random.Random(seed)
    market = choice.choice([LINEAR, "all:BTC"])
    first = choice.randint(3, 20)
    last = first + choice.randint(0, 22 - first)
    build(marts, f"market_id = '{market}' and bar_date between date '2024-03-{first:02}' and date '2024-03-{last:02}'")
    day, hour = choice.randint(first, last), choice.randint(0, 23)
    row = f"market_id = '{market}' and bar_at = timestamp '2024-03-{day:02} {hour:02}:00'"
    change = choice.choice(
        [
            "volume_usd = volume_usd + 1",
            "coverage_ratio = null",
            "flow_source = 'guess'",
            "close_price = close_price * 3",
        ]
    )
    marts.execute(f"update {HOURLY} set {change} where {row}")

    assert not window_of(marts, serving, RULES).is_full
    for name in (HOURLY, f"{HOURLY}_days", f"{HOURLY}_sums"):
        suite = SUITE_BY_NAME[name]
        assert broken(marts, suite, changed=True) == broken(marts, suite, changed=False), (change, row)


def test_a_price_of_the_last_hour_that_was_built_is_compared_with_the_next_bar(
    marts: duckdb.DuckDBPyConnection, serving: Path
) -> None:
    build(marts, f"market_id = '{LINEAR}' and bar_date = date '2024-03-10'")
    marts.execute(
        f"update {HOURLY} set close_price = close_price * 3 "
        f"where market_id = '{LINEAR}' and bar_at = timestamp '2024-03-10 23:00'"
    )
    suite = SUITE_BY_NAME[HOURLY]

    assert not window_of(marts, serving, RULES).is_full
    assert broken(marts, suite, changed=True) == broken(marts, suite, changed=False)


def test_sums_are_judged_over_all_days_that_were_built_of_any_market(
    marts: duckdb.DuckDBPyConnection, serving: Path
) -> None:
    build(
        marts,
        f"(market_id = '{LINEAR}' and bar_date = date '2024-03-10') "
        "or (market_id = 'all:BTC' and bar_date = date '2024-03-14')",
    )
    marts.execute(
        f"update {HOURLY} set trade_count = trade_count + 1 "
        "where market_id = 'all:BTC' and bar_at = timestamp '2024-03-14 05:00'"
    )
    suite = SUITE_BY_NAME[f"{HOURLY}_sums"]

    assert not window_of(marts, serving, RULES).is_full
    assert sum(broken(marts, suite, changed=True)) == 1


def test_a_row_that_broke_outside_of_what_was_built_is_found_by_a_full_audit(
    marts: duckdb.DuckDBPyConnection, serving: Path
) -> None:
    build(marts, "bar_date >= date '2024-03-22'", "timestamp '2024-03-21'")
    # As many rows, and the same sums.
    marts.execute(f"update {HOURLY} set flow_source = 'guess' where {ONE_HOUR}")
    suite = SUITE_BY_NAME[HOURLY]

    assert not window_of(marts, serving, RULES).is_full
    assert not any(broken(marts, suite, changed=True))
    assert window_of(marts, serving, RULES, full=True).is_full
    assert sum(broken(marts, suite, changed=False)) == 1


def test_a_day_that_is_gone_from_the_daily_mart_is_found_though_no_bar_of_it_was_built(
    marts: duckdb.DuckDBPyConnection, serving: Path
) -> None:
    """Suites of few rows are judged whole in every audit."""
    build(marts, "bar_date >= date '2024-03-22'", "timestamp '2024-03-21'")
    marts.execute(f"delete from {DAILY} where {ONE_DAY}")

    assert not window_of(marts, serving, RULES).is_full
    assert any(broken(marts, SUITE_BY_NAME[f"{DAILY}_gaps"], changed=True))


def test_a_publication_states_the_build_that_it_is_of(files: Path, tmp_path: Path) -> None:
    assert statement_of(WarehouseFile(files / "warehouse.duckdb")) == {"build_id": "second"}
    assert statement_of(WarehouseFile(tmp_path / "none.duckdb")) == {"build_id": None}
