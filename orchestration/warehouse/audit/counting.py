"""The counts of all suites within what is judged, on all cores.

Belongs here: which connection counts which suite. Does not: what is counted (`broken`), what is judged (`window`), the
verdict (`gx`).

Most suites have few rows, or few of them to judge: most of such a query is made by one core.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

from orchestration.warehouse.audit.broken import AuditNotEvaluated, Counted, count_broken
from orchestration.warehouse.audit.rules import AuditSuite
from orchestration.warehouse.audit.window import Window
from orchestration.warehouse.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb

# Each query of a suite that is judged whole holds its groups in memory.
_MOST_AT_ONCE: Final = 4


def count_all(
    connection: duckdb.DuckDBPyConnection,
    suites: Sequence[AuditSuite],
    window: Window,
    begin: Callable[[AuditSuite], None] = lambda suite: None,
) -> tuple[list[Counted], list[AuditNotEvaluated]]:
    """The counts of every suite within the window, and why others could not be counted; both in the order of `suites`.

    `begin` is called by this thread before it waits for a suite.
    """
    at_once = min(os.cpu_count() or 1, _MOST_AT_ONCE)
    free: SimpleQueue[duckdb.DuckDBPyConnection] = SimpleQueue()

    def counted_by_one(suite: AuditSuite) -> Counted | AuditNotEvaluated:
        own = free.get()
        try:
            return count_broken(own, suite, suite.drawn(changed=not window.is_full))
        except AuditNotEvaluated as fault:
            return fault
        finally:
            free.put(own)

    found = []
    with ExitStack() as opened:
        free.put(connection)
        for _ in range(at_once - 1):
            free.put(opened.enter_context(_beside(connection)))
        pool = opened.enter_context(ThreadPoolExecutor(at_once))
        # A run that is interrupted here waits for the suites at work, and begins no other.
        opened.callback(pool.shutdown, cancel_futures=True)
        awaited = [pool.submit(counted_by_one, suite) for suite in suites]
        for suite, outcome in zip(suites, awaited, strict=True):
            begin(suite)
            found.append(outcome.result())
    counted = [each for each in found if isinstance(each, Counted)]
    return counted, [each for each in found if isinstance(each, AuditNotEvaluated)]


def _beside(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Another connection to the same databases, in which the same names stand for the same: where names are looked up,
    the time zone, and temporary tables are each connection's own."""
    own = connection.cursor()
    for setting in ("search_path", "timezone"):
        (value,) = connection.execute(f"select current_setting('{setting}')").fetchone() or ("",)
        if value:
            own.execute(f"set {setting} = {literal(value)}")
    for (table,) in connection.execute("select table_name from duckdb_tables() where temporary").fetchall():
        rows = connection.execute(f"from {identifier(table)}").to_arrow_table()
        own.register("rows_to_copy", rows)
        own.execute(f"create temp table {identifier(table)} as from rows_to_copy")
        own.unregister("rows_to_copy")
    return own
