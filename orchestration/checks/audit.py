"""A Great Expectations suite as a blocking asset check, with the evidence in its metadata.

Belongs here: verdict → check result. Does not: what is expected (`orchestration.warehouse.audit.suites`).
"""

import json
from collections.abc import Sequence

import dagster as dg

from orchestration.progress import Progress
from orchestration.resources import WarehouseResource, waiting
from orchestration.state.locks import Workplace
from orchestration.warehouse.audit.gx import Verdict, validate
from orchestration.warehouse.audit.rules import AuditSuite
from orchestration.warehouse.audit.suites import SUITES


def audit_key(suite: AuditSuite) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(dg.AssetKey(suite.mart), f"gx_{suite.name}")


def audit_checks(suites: Sequence[AuditSuite] = SUITES) -> list[dg.AssetChecksDefinition]:
    """One blocking check per suite. A critical finding stops publication, a warning is published with its evidence."""
    return [_audit_check(suite) for suite in suites]


def _audit_check(suite: AuditSuite) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(suite.mart),
        name=audit_key(suite).name,
        blocking=True,
        description=suite.description,
    )
    def check(
        context: dg.AssetCheckExecutionContext,
        warehouse: dg.ResourceParam[WarehouseResource],
        progress: dg.ResourceParam[Progress],
        workplace: dg.ResourceParam[Workplace],
    ) -> dg.AssetCheckResult:
        workplace.hold_warehouse(waiting(progress, context), context.run.run_id)
        progress.auditing(suite.name)
        return check_result(validate(warehouse.read(suite.query), suite))

    return check


def check_result(verdict: Verdict) -> dg.AssetCheckResult:
    """The verdict as Dagster shows it: the failures first, then everything that was expected."""
    failed = [result for result in verdict.results if not result["success"]]
    metadata: dict[str, dg.MetadataValue] = {
        "expectations": dg.MetadataValue.table([_row(result) for result in verdict.results]),
    }
    if failed:
        metadata["failed"] = dg.MetadataValue.table([_row(result) for result in failed])
        metadata["samples"] = dg.MetadataValue.json({str(result["rule"]): result["sample"] for result in failed})
    return dg.AssetCheckResult(
        passed=verdict.success,
        severity=dg.AssetCheckSeverity.ERROR if verdict.blocking else dg.AssetCheckSeverity.WARN,
        description=describe(failed),
        metadata=metadata,
    )


def describe(failed: Sequence[dict[str, object]]) -> str:
    """One line per failed expectation, with the first failing row."""
    if not failed:
        return "every expectation held"
    return "\n".join(_line(result) for result in failed)


def _line(result: dict[str, object]) -> str:
    sample = result["sample"]
    first = f"; first: {json.dumps(sample[0], default=str)}" if isinstance(sample, list) and sample else ""
    return f"[{result['severity']}] {result['rule']}: {result['observed']}{first}"


def _row(result: dict[str, object]) -> dg.TableRecord:
    shown = ("rule", "expectation", "column", "severity", "success", "observed", "unexpected_count")
    return dg.TableRecord({name: _cell(result[name]) for name in shown})


def _cell(value: object) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else "" if value is None else str(value)
