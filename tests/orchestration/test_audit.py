"""From a verdict to a check result, and from check results to whether marts may be published."""

from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest
import typer
from typer.testing import CliRunner

from orchestration.checks import audit
from orchestration.checks.audit import audit_checks, check_result, sample_rows
from orchestration.cli.app import app
from orchestration.config.settings import Settings
from orchestration.defs.publish import audit_summary, refuse_unaudited
from orchestration.progress import Progress
from orchestration.resources import StorageResource, WarehouseResource
from orchestration.runs import execution
from orchestration.state.locks import Workplace
from orchestration.warehouse.audit.gx import HERE, Verdict
from orchestration.warehouse.audit.suites import SUITES
from orchestration.warehouse.audit.window import Window, everything
from orchestration.warehouse.standing import Standing
from tests.support.publications import Publisher

MART = dg.AssetKey("mart")
SUITE, WHOLE = SUITES[2], everything("nothing is published yet")
CHECK = dg.AssetCheckKey(MART, "suite")


def finding(severity: str, *, success: bool = False) -> dict[str, object]:
    return {
        "expectation": "expect_column_values_to_be_between",
        "column": "ratio",
        "rule": "a ratio lies between 0 and 1",
        "severity": severity,
        "success": success,
        "observed": "1 of 9 rows break the rule",
        "unexpected_count": 1,
        "sample": [{"bar_date": "2026-03-01", "ratio": 1.5}],
    }


def test_a_critical_finding_is_an_error_with_the_failing_row() -> None:
    result = check_result(Verdict(False, True, [finding("critical"), finding("warning", success=True)]), SUITE, WHOLE)
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "a ratio lies between 0 and 1" in (result.description or "")
    assert "2026-03-01" in (result.description or "")
    assert {"expectations", "failed", "samples"} <= result.metadata.keys()


def test_the_evidence_begins_with_tables_and_ends_with_what_programs_read() -> None:
    metadata = check_result(Verdict(False, True, [finding("critical"), finding("warning", success=True)]), SUITE, WHOLE)
    kinds = {name: type(value).__name__ for name, value in metadata.metadata.items()}
    tables = ["failed", "rows: a ratio lies between 0 and 1", "expectations"]
    assert list(kinds)[:3] == tables
    assert list(kinds)[-1] == "samples"
    assert [kinds[name] for name in (*tables, "samples")] == ["TableMetadataValue"] * 3 + ["JsonMetadataValue"]
    (row,) = metadata.metadata["failed"].records  # type: ignore[attr-defined]
    assert list(row.data)[:5] == ["rule", "expectation", "column", "observed", "failing rows"]
    assert (row.data["column"], row.data["failing rows"]) == ("ratio", 1)


def test_amounts_of_failing_rows_are_rounded_for_people() -> None:
    row = {"net_taker_usd": "-1987912345.678912345678", "bar_date": "2026-03-01", "rank": 3, "ratio": 0.123456789}
    (shown,) = sample_rows({"sample": [row]})
    assert shown.data == {
        "net_taker_usd": "-1.98791e+09",
        "bar_date": "2026-03-01",
        "rank": 3,
        "ratio": "0.123457",
    }


def test_a_warning_alone_does_not_block() -> None:
    result = check_result(Verdict(False, False, [finding("warning")]), SUITE, WHOLE)
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_a_good_verdict_still_names_what_was_expected() -> None:
    result = check_result(Verdict(True, False, [finding("critical", success=True)]), SUITE, WHOLE)
    assert result.passed
    assert "expectations" in result.metadata
    assert "failed" not in result.metadata


@pytest.mark.parametrize("window", [WHOLE, Window(None, "what was built since yesterday")])
def test_a_check_states_what_was_judged_and_whether_the_audit_was_full(window: Window) -> None:
    metadata = check_result(Verdict(True, False, [finding("critical", success=True)], judged=9), SUITE, window).metadata
    stated = (metadata["full_audit"].value, metadata["judged"].value, metadata["judged_rows"].value)
    assert stated == (window.is_full, window.text, 9)


def test_what_the_audit_found_to_stand_is_kept_for_the_publication_of_the_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Window(None, "what was built", Standing(None, {"mart": date(2026, 1, 2)}))
    monkeypatch.setattr(audit, "window_of", lambda *_, **__: found)
    monkeypatch.setattr(audit, "count_all", lambda *_: ([], []))
    workplace = Workplace(settings.paths)
    resources = {
        "warehouse": WarehouseResource(settings.dbt),
        "progress": Progress(),
        "workplace": workplace,
        "storage": StorageResource(settings.storage),
        "judge": HERE,
    }
    check = audit_checks(settings.dbt, settings.scope)
    job = dg.define_asset_job("judge", dg.AssetSelection.checks(check))
    judged = dg.Definitions(asset_checks=[check], jobs=[job], resources=resources).resolve_job_def("judge")
    Path(settings.storage_url).mkdir()
    Publisher.on(Path(settings.storage_url)).build_days(1)
    with closing(workplace), dg.DagsterInstance.ephemeral() as instance:
        judged.execute_in_process(instance=instance, raise_on_error=False)
        assert workplace.standing is found.standing


def test_a_suite_that_is_judged_whole_states_so() -> None:
    good = Verdict(True, False, [finding("critical", success=True)])
    metadata = check_result(good, SUITES[0], Window(None, "what was built")).metadata
    assert metadata["judged"].value == "everything: this suite always is"


@pytest.mark.parametrize(
    ("passed", "severity", "outcome"),
    [
        (True, dg.AssetCheckSeverity.ERROR, "passed"),
        (False, dg.AssetCheckSeverity.WARN, "warned"),
        (False, dg.AssetCheckSeverity.ERROR, "failed"),
    ],
)
def test_publication_looks_at_the_evaluation_of_its_own_run(
    passed: bool, severity: dg.AssetCheckSeverity, outcome: str
) -> None:
    instance = dg.DagsterInstance.ephemeral()
    assert audit_summary(instance, [CHECK], "some run") == {"suite": "not run"}
    job = audited_mart(passed, severity).resolve_job_def("job")
    run_id = job.execute_in_process(instance=instance, raise_on_error=False).run_id
    assert audit_summary(instance, [CHECK], run_id) == {"suite": outcome}
    # Another run, ended or yet to start, takes nothing away from this one and adds nothing to it.
    other = audited_mart(not passed, dg.AssetCheckSeverity.ERROR).resolve_job_def("job")
    later = other.execute_in_process(instance=instance, raise_on_error=False).run_id
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.NOT_STARTED)
    assert audit_summary(instance, [CHECK], run_id) == {"suite": outcome}
    assert audit_summary(instance, [CHECK], later) == {"suite": "failed" if passed else "passed"}


def test_however_many_runs_wait_or_ended_since_the_evaluation_of_its_own_run_counts() -> None:
    instance = dg.DagsterInstance.ephemeral()
    job = audited_mart(True, dg.AssetCheckSeverity.ERROR).resolve_job_def("job")
    run_id = job.execute_in_process(instance=instance).run_id
    key = dg.AssetCheckEvaluation(MART, "suite", passed=False)
    for number in range(120):
        event = dg.DagsterEvent(
            dg.DagsterEventType.ASSET_CHECK_EVALUATION.value, "job", event_specific_data=key, step_key="suite"
        )
        instance.report_dagster_event(event, run_id=f"another run {number}")
    assert audit_summary(instance, [CHECK], run_id) == {"suite": "passed"}


def test_a_run_without_an_audit_of_its_own_publishes_nothing() -> None:
    instance = dg.DagsterInstance.ephemeral()
    audited_mart(True, dg.AssetCheckSeverity.ERROR).resolve_job_def("job").execute_in_process(instance=instance)
    audit = audit_summary(instance, [CHECK], "a run of `published` alone")
    with pytest.raises(dg.Failure, match="suite did not run in this run; materialize the marts together"):
        refuse_unaudited(audit)


def audited_mart(passed: bool, severity: dg.AssetCheckSeverity) -> dg.Definitions:
    @dg.asset(key=MART)
    def mart() -> None: ...

    @dg.asset_check(asset=MART, name="suite", blocking=True)
    def suite() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passed, severity=severity)

    return dg.Definitions(assets=[mart], asset_checks=[suite], jobs=[dg.define_asset_job("job", [mart])])


def test_a_full_audit_is_requested_of_the_step_that_audits(monkeypatch: pytest.MonkeyPatch) -> None:
    executed: list[object] = []
    monkeypatch.setattr(execution, "_execute", lambda session, job, *, config: executed.append((job, config)))
    for full_audit in (True, False):
        execution._build(cast(execution._Session, None), [], full_refresh=False, full_audit=full_audit)
    assert executed == [
        ("build_and_publish", {"ops": {"warehouse": {"config": refresh}, "audit": {"config": {"full_audit": full}}}})
        for refresh, full in (({"full_refresh": False}, True), ({"full_refresh": False}, False))
    ]


def test_the_option_of_the_command_line_is_that_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []

    def run(*_: object, **options: Any) -> None:
        given.append(options)
        raise typer.Exit

    monkeypatch.setenv("TAKER_MARKETS", "binance_um:BTCUSDT")
    monkeypatch.setattr(execution, "run", run)
    for options in (["-q", "--full-audit"], ["-q"]):
        assert CliRunner().invoke(app, ["run", *options]).exit_code == 0
    assert [options["full_audit"] for options in given] == [True, False]
