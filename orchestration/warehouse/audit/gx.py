"""Running a suite on its frame with Great Expectations, and the verdict with its evidence.

Belongs here: everything that touches Great Expectations, and nothing else imports it. It takes seconds to import, so it
is imported when the first frame is judged. Does not: what is expected (`suites`), Dagster (`orchestration.checks`).
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from orchestration.warehouse.audit.expectations import columns_of, expectation_of
from orchestration.warehouse.audit.rules import CRITICAL, AuditSuite, Holds, Zero

if TYPE_CHECKING:
    import great_expectations

SAMPLE_ROWS: Final = 10


@dataclass(frozen=True)
class Verdict:
    """What an audit found.

    `success`: every expectation held. `blocking`: a critical one did not. `results`: one JSON-ready dict per
    expectation, failures first, the worst on top: expectation, column, rule, severity, success, observed,
    unexpected_count, sample (at most 10 failing rows).
    """

    success: bool
    blocking: bool
    results: list[dict[str, Any]]


class AuditNotEvaluated(RuntimeError):
    """An expectation could not be evaluated (a column is missing, a type is wrong): nothing is known about the mart."""


def load_great_expectations() -> Any:
    """The one way Great Expectations is imported: its telemetry is switched off before."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations

    return great_expectations


def validate(frame: pd.DataFrame, suite: AuditSuite) -> Verdict:
    """Judge `frame`, drawn by the suite's query. Leaves no file behind; raises AuditNotEvaluated rather than guess."""
    gx = load_great_expectations()
    frame = frame.reset_index(drop=True)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("warehouse").add_dataframe_asset(suite.name)
    judged = _unknown_as_broken(frame, suite)
    batch = asset.add_batch_definition_whole_dataframe("frame").get_batch(batch_parameters={"dataframe": judged})
    shown = {"result_format": "SUMMARY", "partial_unexpected_count": SAMPLE_ROWS}
    outcome = batch.validate(build(suite), result_format=shown)

    results = [_evidence(result, frame, suite) for result in outcome.results]
    # Great Expectations runs table rules first; a reader wants what failed first, the worst on top.
    results.sort(key=lambda r: (r["success"], r["severity"] != CRITICAL, r["column"], r["expectation"]))
    failed = [r for r in results if not r["success"]]
    return Verdict(not failed, any(r["severity"] == CRITICAL for r in failed), results)


def build(suite: AuditSuite) -> great_expectations.ExpectationSuite:
    """The suite as Great Expectations takes it."""
    gx = load_great_expectations()
    expectations = []
    for rule in suite.rules:
        kind, arguments = expectation_of(rule, suite.key)
        about = {"description": rule.statement, "severity": rule.severity, "meta": {"shows": list(rule.shows)}}
        expectations.append(getattr(gx.expectations, kind)(**arguments, **about))
    built: great_expectations.ExpectationSuite = gx.ExpectationSuite(suite.name, expectations=expectations)
    return built


def _unknown_as_broken(frame: pd.DataFrame, suite: AuditSuite) -> pd.DataFrame:
    """The frame with a failing value wherever the outcome of a rule is NULL: Great Expectations would skip it."""
    changed: dict[str, pd.Series] = {}
    for rule in suite.rules:
        if isinstance(rule, Holds | Zero) and rule.column in frame and frame[rule.column].isna().any():
            column = frame[rule.column]
            changed[rule.column] = column.astype(object).where(column.notna(), rule.if_null)
    return frame.assign(**changed)


def _evidence(result: Any, frame: pd.DataFrame, suite: AuditSuite) -> dict[str, Any]:
    config = result.expectation_config
    if not result.result:
        raise AuditNotEvaluated(f"{config.type} on {config.kwargs}: {_exception_message(result.exception_info)}")
    columns = columns_of(config.kwargs)
    shown = list(dict.fromkeys([*suite.key, *columns, *config.meta["shows"]]))
    failing = result.result.get("partial_unexpected_index_list") or []
    return {
        "expectation": config.type,
        "column": ", ".join(columns),
        "rule": config.description or "",
        "severity": config.severity.value,
        "success": bool(result.success),
        "observed": _observed(result.result),
        "unexpected_count": int(result.result.get("unexpected_count", 0 if result.success else 1)),
        "sample": [
            {str(name): _json_value(str(name), value) for name, value in row.items()}
            for row in frame.loc[failing[:SAMPLE_ROWS], shown].to_dict("records")
        ],
    }


def _observed(result: dict[str, Any]) -> str:
    if "observed_value" in result:
        return str(result["observed_value"])
    return f"{result['unexpected_count']} of {result['element_count']} rows break the rule"


def _exception_message(info: dict[str, Any]) -> str:
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
