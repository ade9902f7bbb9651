"""What dbt logs of a broken rule reaches the asset check and the progress of a run.

Belongs here: the events of dbt as Dagster assets see them. Does not: which rules there are (`tests/dbt/test_rules.py`).
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from orchestration.defs.warehouse import _note_broken_rule, _report, _with_broken_rules
from orchestration.progress import Progress

SENTENCE = "rules_of_a: unique market_id: market_id v:S has 2 rows"


def event(name: str, msg: str, **data: Any) -> dict[str, Any]:
    return {"info": {"name": name, "msg": msg}, "data": data}


def test_a_failed_check_states_the_broken_rule_its_row_and_value() -> None:
    broken: dict[str, list[str]] = {}
    node = {"resource_type": "test", "node_name": "rules_of_a"}
    _note_broken_rule(broken, event("JinjaLogInfo", SENTENCE, node_info=node))
    _note_broken_rule(broken, event("JinjaLogInfo", "of a model", node_info={**node, "resource_type": "model"}))
    _note_broken_rule(broken, event("MainReportVersion", "no node"))
    failed = dg.AssetCheckResult(passed=False, asset_key="a", check_name="rules_of_a", metadata={"status": "fail"})
    made = _with_broken_rules(failed, broken)
    assert made.description == "unique market_id: market_id v:S has 2 rows"
    assert made.metadata["broken"] == dg.MetadataValue.md(f"- {SENTENCE}")
    assert not made.passed
    assert made.severity is dg.AssetCheckSeverity.ERROR
    other = dg.AssetCheckResult(passed=True, asset_key="a", check_name="rules_of_b")
    assert _with_broken_rules(other, broken) is other


def test_a_model_that_is_skipped_below_an_ephemeral_one_is_no_error() -> None:
    _report(Progress(), event("LogSkipBecauseError", "skipped", schema="main", relation="a"))
