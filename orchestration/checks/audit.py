"""The Great Expectations suites as blocking asset checks, with the evidence in their metadata.

One step judges all of them: what is judged is decided once, Great Expectations validates once, and a step of Dagster
costs more than most suites.

Belongs here: verdict → check result, and what a run may request of the audit. Does not: what is expected
(`orchestration.warehouse.audit.suites`), what is judged (`orchestration.warehouse.audit.window`).
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import dagster as dg

from orchestration.config.dbt import DbtConfig
from orchestration.config.scope import Scope
from orchestration.defs.publish import AUDIT, IS_FULL, JUDGED
from orchestration.progress import Progress
from orchestration.resources import StorageResource, WarehouseResource, waiting
from orchestration.state.locks import Workplace
from orchestration.warehouse.audit import gx
from orchestration.warehouse.audit.counting import count_all
from orchestration.warehouse.audit.gx import Judge, Verdict
from orchestration.warehouse.audit.rules import AuditSuite
from orchestration.warehouse.audit.suites import SUITES
from orchestration.warehouse.audit.window import Window, window_of
from orchestration.warehouse.publish.catch_up import catch_up
from orchestration.warehouse.publish.inputs import judged_by_sha256, published_settings

# The columns of the table: what a result calls them, and what people read.
_SHOWN: Final = {
    "rule": "rule",
    "expectation": "expectation",
    "column": "column",
    "observed": "observed",
    "unexpected_count": "failing rows",
    "severity": "severity",
    "success": "held",
}
# Exact numbers arrive as texts.
_DECIMAL: Final = re.compile(r"-?\d+\.\d+")


class AuditConfig(dg.Config):
    """`full_audit`: judge every row of every mart, not only what was built since the publication that stands."""

    full_audit: bool = False


def audit_key(suite: AuditSuite) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(dg.AssetKey(suite.mart), f"gx_{suite.name}")


def audit_checks(dbt: DbtConfig, scope: Scope, suites: Sequence[AuditSuite] = SUITES) -> dg.AssetChecksDefinition:
    """One blocking check per suite. A critical finding stops publication, a warning is published with its evidence."""
    specs = [
        dg.AssetCheckSpec(
            audit_key(suite).name, asset=dg.AssetKey(suite.mart), blocking=True, description=suite.description
        )
        for suite in suites
    ]

    @dg.multi_asset_check(
        name=AUDIT, specs=specs, can_subset=True, description="Judges the marts before they are published."
    )
    def check(
        context: dg.AssetCheckExecutionContext,
        config: AuditConfig,
        warehouse: dg.ResourceParam[WarehouseResource],
        progress: dg.ResourceParam[Progress],
        workplace: dg.ResourceParam[Workplace],
        storage: dg.ResourceParam[StorageResource],
        judge: dg.ResourceParam[Judge],
    ) -> Iterator[dg.AssetCheckResult]:
        workplace.hold_warehouse(waiting(progress, context), context.run.run_id)
        wanted = [suite for suite in suites if audit_key(suite) in context.selected_asset_check_keys]
        with workplace.scratch() as scratch:
            # What was built is compared with what stands, whichever machine has published it.
            caught = catch_up(dbt.paths.serving, storage.store(), scratch, memory_limit=dbt.memory_limit)
        if caught:
            context.log.info(caught)
        judged_by = judged_by_sha256(published_settings(scope, dbt.target), dbt.variables())
        with warehouse.open() as connection:
            window = window_of(connection, dbt.paths.serving, judged_by, full=config.full_audit)
            workplace.standing = window.standing
            context.log.info(f"judging {window.text}")
            counted, faults = count_all(connection, wanted, window, lambda suite: progress.auditing(suite.name))
            verdicts = gx.verdicts(connection, counted, judge)
        for each in counted:
            yield check_result(verdicts[each.suite.name], each.suite, window)
        if faults:
            raise dg.Failure("\n".join(map(str, faults)), allow_retries=False)

    return check


def check_result(verdict: Verdict, suite: AuditSuite, window: Window) -> dg.AssetCheckResult:
    """The verdict as Dagster shows it: the failures first, then everything that was expected."""
    failed = [result for result in verdict.results if not result["success"]]
    # Shown in this order: what failed, row by row of it, then what held; texts that programs read come last.
    metadata: dict[str, dg.MetadataValue] = {}
    if failed:
        metadata["failed"] = dg.MetadataValue.table([_row(result) for result in failed])
        for result in failed:
            if rows := sample_rows(result):
                metadata[f"rows: {result['rule']}"] = dg.MetadataValue.table(rows)
    metadata |= {
        "expectations": dg.MetadataValue.table([_row(result) for result in verdict.results]),
        "judged_rows": dg.MetadataValue.int(verdict.judged),
        JUDGED: dg.MetadataValue.text(
            window.text if window.is_full or suite.follows_changes else "everything: this suite always is"
        ),
        IS_FULL: dg.MetadataValue.bool(window.is_full),
    }
    if failed:
        metadata["samples"] = dg.MetadataValue.json({str(result["rule"]): result["sample"] for result in failed})
    return dg.AssetCheckResult(
        asset_key=audit_key(suite).asset_key,
        check_name=audit_key(suite).name,
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
    rows = sample_rows(result)
    shown = [f"{name} {value}" for name, value in rows[0].data.items()] if rows else []
    first = f"; first: {', '.join(shown)}" if shown else ""
    return f"[{result['severity']}] {result['rule']}: {result['observed']}{first}"


def _row(result: dict[str, object]) -> dg.TableRecord:
    return dg.TableRecord({shown: _cell(result[name]) for name, shown in _SHOWN.items()})


def sample_rows(result: dict[str, object]) -> list[dg.TableRecord]:
    """Rows that break the rule, for people: amounts rounded to six significant digits. `samples` has them whole."""
    sample = result["sample"]
    rows = sample if isinstance(sample, list) else []
    return [dg.TableRecord({name: _rounded(value) for name, value in row.items()}) for row in rows]


def _rounded(value: object) -> str | int | float | bool:
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value)
    return f"{value:,.6g}" if isinstance(value, float) else _cell(value)


def _cell(value: object) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else "" if value is None else str(value)
