"""The counts of all suites are those that one connection finds, suite by suite."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from orchestration.warehouse.audit import counting
from orchestration.warehouse.audit.broken import Counted, count_broken
from orchestration.warehouse.audit.counting import count_all
from orchestration.warehouse.audit.rules import AuditSuite
from orchestration.warehouse.audit.window import Window, everything
from tests.orchestration.audit.auditing import ALL_SUITES
from tests.orchestration.audit.corruption import HOURLY, RANKS

CHANGED, WHOLE = Window(None, "what was built"), everything("it was requested")


@pytest.fixture(scope="module")
def marts(good_marts: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The marts as a file, an hour of which breaks rules."""
    path = tmp_path_factory.mktemp("counting") / "warehouse.duckdb"
    good_marts.execute(f"attach '{path}' as warehouse")
    good_marts.execute("copy from database memory to warehouse")
    good_marts.execute(
        f"update warehouse.{HOURLY} set volume_usd = volume_usd + 1 where bar_at = timestamp '2024-03-10 04:00'"
    )
    good_marts.execute("detach warehouse")
    return path


@pytest.fixture
def connection(marts: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """As an audit has them: attached, looked up by their names, with what is judged in temporary tables."""
    with duckdb.connect() as opened:
        opened.execute(f"set timezone = 'UTC'; attach '{marts}' as warehouse (read_only); use warehouse.main")
        opened.execute(
            "create temp table judged_days as select market_id, timestamp '2024-03-10' as from_at, "
            "timestamp '2024-03-11' as to_at, timestamp '2024-03-09 23:00' as previous_at, "
            f"timestamp '2024-03-11' as next_at from (select distinct market_id from {HOURLY});"
            "create temp table judged_ranks as select distinct definition_id, market_id, "
            f"timestamp '2024-03-10' as from_at, timestamp '2024-03-11' as to_at from {RANKS}"
        )
        yield opened


@pytest.mark.parametrize("window", [CHANGED, WHOLE], ids=["what changed", "everything"])
def test_they_are_those_of_one_connection_in_the_order_of_the_suites(
    connection: duckdb.DuckDBPyConnection, window: Window
) -> None:
    one_by_one = [count_broken(connection, suite, suite.drawn(changed=not window.is_full)) for suite in ALL_SUITES]
    assert count_all(connection, ALL_SUITES, window) == (one_by_one, [])
    assert any(any(each.broken) for each in one_by_one)


def test_each_suite_is_reported_as_it_is_waited_for(connection: duckdb.DuckDBPyConnection) -> None:
    begun: list[tuple[AuditSuite, bool]] = []
    here = threading.current_thread()
    count_all(connection, ALL_SUITES, WHOLE, lambda suite: begun.append((suite, threading.current_thread() is here)))
    assert begun == [(suite, True) for suite in ALL_SUITES]


def test_a_suite_that_cannot_be_counted_keeps_no_other_from_it(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("drop table judged_ranks")
    follow = [suite for suite in ALL_SUITES if "judged_ranks" in suite.drawn(changed=True)]
    counted, faults = count_all(connection, ALL_SUITES, CHANGED)
    assert follow
    assert [each.suite for each in counted] == [suite for suite in ALL_SUITES if suite not in follow]
    assert ["judged_ranks" in str(fault) for fault in faults] == [True] * len(follow)


def test_a_run_that_is_interrupted_begins_no_other_suite(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[AuditSuite] = []
    ends = threading.Event()

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            ends.set()
            super().shutdown(wait)

    def counted(connection: duckdb.DuckDBPyConnection, suite: AuditSuite, drawn: str) -> Counted:
        begun.append(suite)
        ends.wait()
        return count_broken(connection, suite, drawn)

    def interrupt(suite: AuditSuite) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(counting, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(counting, "count_broken", counted)
    with pytest.raises(KeyboardInterrupt):
        count_all(connection, ALL_SUITES, WHOLE, interrupt)
    assert len(begun) <= counting._MOST_AT_ONCE < len(ALL_SUITES)


def test_times_mean_the_same_on_each_connection(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("set timezone = 'Asia/Tokyo'")
    with counting._beside(connection) as own:
        assert own.execute("select current_setting('timezone')").fetchone() == ("Asia/Tokyo",)
