"""The verdict and its evidence, by Great Expectations.

Belongs here: everything that touches Great Expectations, and nothing else imports it. It takes seconds to import, so it
is imported when the first verdict is due, or by a process of its own (`begun`). Does not: what is expected (`suites`),
counting (`broken`), Dagster (`orchestration.checks`).

Great Expectations is given no mart. One frame holds, for each rule of all suites, the number of rows that break it, and
every number but zero is refused. The rows that are shown of a broken rule, ten at most, are judged by the rule's own
expectation. Both frames are as large as the rules are many, however long the history is, and one validation costs what
one expectation does: building the metrics of 319 expectations, on marts of a few rows, took six seconds.
"""

from __future__ import annotations

import importlib.util
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol

import pandas as pd

from orchestration.warehouse.audit.broken import SAMPLE_ROWS, AuditNotEvaluated, Counted, count_broken, failing_rows
from orchestration.warehouse.audit.expectations import columns_of, expectation_of, name_of
from orchestration.warehouse.audit.rules import CRITICAL, AuditSuite, Holds, NotEmpty, Rule, Zero

if TYPE_CHECKING:
    import duckdb

# What Great Expectations imports for expectations that no suite has: loaded when it is used, a third of the time.
_UNUSED: Final = "scipy.stats"
# What it imports where it is installed, to judge frames of that kind. It is given pandas alone, whatever the engine.
_OF_ANOTHER_ENGINE: Final = "pyspark"


@dataclass(frozen=True)
class Verdict:
    """What an audit found.

    `success`: every expectation held. `blocking`: a critical one did not. `results`: one JSON-ready dict per
    expectation, failures first, the worst on top: expectation, column, rule, severity, success, observed,
    unexpected_count, sample (at most 10 failing rows). `judged`: the rows that the rules were applied to.
    """

    success: bool
    blocking: bool
    results: list[dict[str, Any]]
    judged: int = 0


class Judge(Protocol):
    """Where expectations are applied: in this process (`HERE`), or in one that a run has begun (`begun`)."""

    def unexpected(self, frame: pd.DataFrame, kind: str, arguments: Mapping[str, Any]) -> list[int]:
        """The rows of the frame that the expectation refuses; AuditNotEvaluated when it cannot be evaluated."""
        ...


class _Here:
    def unexpected(self, frame: pd.DataFrame, kind: str, arguments: Mapping[str, Any]) -> list[int]:
        return _unexpected(frame, kind, arguments)


HERE: Final[Judge] = _Here()


def load_great_expectations() -> Any:
    """The one way Great Expectations is imported: its telemetry is switched off before."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    if "great_expectations" not in sys.modules:
        _load_when_used(_UNUSED)
    with _absent(_OF_ANOTHER_ENGINE):
        import great_expectations

    return great_expectations


def audit(
    connection: duckdb.DuckDBPyConnection, suite: AuditSuite, frame: str | None = None, judge: Judge = HERE
) -> Verdict:
    """Judge one suite. `frame`: the SQL that draws its rows, all of the mart's by default.

    Raises AuditNotEvaluated rather than guess.
    """
    counted = count_broken(connection, suite, suite.query if frame is None else frame)
    return verdicts(connection, [counted], judge)[suite.name]


def verdicts(
    connection: duckdb.DuckDBPyConnection, counted: Sequence[Counted], judge: Judge = HERE
) -> dict[str, Verdict]:
    """The verdict on each suite, by its name. Leaves no file behind."""
    refused = _refused([count for each in counted for count in each.broken], judge)
    found, first = {}, 0
    for each in counted:
        last = first + len(each.broken)
        found[each.suite.name] = _verdict(connection, each, {n - first for n in refused if first <= n < last}, judge)
        first = last
    return found


def _verdict(connection: duckdb.DuckDBPyConnection, counted: Counted, refused: set[int], judge: Judge) -> Verdict:
    results = []
    for number, (rule, count) in enumerate(zip(counted.suite.rules, counted.broken, strict=True)):
        kind, arguments = expectation_of(rule, counted.suite.key)
        broken = number in refused
        results.append(
            {
                "expectation": name_of(kind),
                "column": ", ".join(columns_of(arguments)),
                "rule": rule.statement,
                "severity": rule.severity,
                "success": not broken,
                "observed": _observed(rule, count, counted.judged),
                "unexpected_count": count,
                "sample": _sample(connection, counted, rule, judge) if broken else [],
            }
        )
    # A reader wants what failed first, the worst on top.
    results.sort(key=lambda r: (r["success"], r["severity"] != CRITICAL, r["column"], r["expectation"]))
    failed = [r for r in results if not r["success"]]
    return Verdict(not failed, any(r["severity"] == CRITICAL for r in failed), results, counted.judged)


def _observed(rule: Rule, count: int, judged: int) -> str:
    return str(judged) if isinstance(rule, NotEmpty) else f"{count} of {judged} rows break the rule"


def _refused(counts: Sequence[int], judge: Judge) -> set[int]:
    """The places of the numbers of rows that Great Expectations refuses: all but zero."""
    if not counts:
        return set()
    frame = pd.DataFrame({"broken_rows": counts})
    return set(judge.unexpected(frame, "ExpectColumnValuesToBeInSet", {"column": "broken_rows", "value_set": [0]}))


def _sample(connection: duckdb.DuckDBPyConnection, counted: Counted, rule: Rule, judge: Judge) -> list[dict[str, Any]]:
    """Rows that break the rule: those that its expectation finds unexpected among the rows that the count is of."""
    rows = failing_rows(connection, counted, rule)
    kind, arguments = expectation_of(rule, counted.suite.key)
    shown = list(dict.fromkeys([*counted.suite.key, *columns_of(arguments), *rule.shows]))
    found = judge.unexpected(_unknown_as_broken(rows, rule), kind, arguments) if len(rows) else []
    return [
        {str(name): _json_value(str(name), value) for name, value in row.items()}
        # What the database counts is broken, also where Great Expectations would let it pass.
        for row in rows.loc[found or rows.index, shown].head(SAMPLE_ROWS).to_dict("records")
    ]


def _unexpected(frame: pd.DataFrame, kind: str, arguments: Mapping[str, Any]) -> list[int]:
    gx = load_great_expectations()
    batch = _asset().get_batch(batch_parameters={"dataframe": frame})
    outcome = batch.validate(getattr(gx.expectations, kind)(**arguments), result_format="COMPLETE")
    if not outcome.result:
        raise AuditNotEvaluated(f"{kind} on {dict(arguments)}: {_exception_message(outcome.exception_info)}")
    found = list(outcome.result.get("unexpected_index_list") or [])
    if outcome.success != (not found):
        raise AuditNotEvaluated(f"{kind} on {dict(arguments)} names no row that it refuses")
    return found


@cache
def _asset() -> Any:
    """Where Great Expectations takes frames from: one of the process, in memory."""
    context = load_great_expectations().get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("warehouse").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("frame")


def _unknown_as_broken(frame: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """The frame with a failing value wherever the outcome of the rule is NULL: Great Expectations would skip it."""
    if not (isinstance(rule, Holds | Zero) and frame[rule.column].isna().any()):
        return frame
    column = frame[rule.column]
    return frame.assign(**{rule.column: column.astype(object).where(column.notna(), rule.if_null)})


def _load_when_used(name: str) -> None:
    """Put a module in place that is executed when it is used for the first time."""
    if name in sys.modules or (spec := importlib.util.find_spec(name)) is None or spec.loader is None:
        return
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    parent, _, child = name.rpartition(".")
    setattr(sys.modules[parent], child, module)


@contextmanager
def _absent(name: str) -> Iterator[None]:
    """Importing this package fails the while, as where it is not installed; one that is imported already stays."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def _exception_message(info: Mapping[str, Any]) -> str:
    """Great Expectations keeps either one exception or one per metric."""
    if "exception_message" in info:
        return str(info["exception_message"])
    return "; ".join(dict.fromkeys(str(each.get("exception_message")) for each in info.values()))


def _json_value(name: str, value: Any) -> Any:
    """Days and instants both arrive as timestamps; the name states which one it is (`*_at` is an instant)."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, datetime):
        return value.isoformat() if name.endswith("_at") else value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
