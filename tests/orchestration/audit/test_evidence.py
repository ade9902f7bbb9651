"""What the verdict shows of the rows that fail, and that judging leaves no trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from orchestration.warehouse.audit import broken, gx
from orchestration.warehouse.audit.rules import WARNING
from tests.orchestration.audit.auditing import SUITE_BY_NAME, audit
from tests.orchestration.audit.corruption import DAILY, HOURLY, INVERSE, LINEAR, ONE_DAY, RECONCILIATION
from tests.support.commands import ROOT


def test_the_days_on_which_the_venues_klines_disagree_are_shown(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(
        f"""
        update {RECONCILIATION}
        set coarser_volume_usd = klines_volume_usd - 512, interval_difference_usd = 512, interval_verdict = 'conflict'
        where market_id = '{LINEAR}' and bar_date in (date '2024-03-08', date '2024-03-11')
        """
    )

    verdict = audit(marts, SUITE_BY_NAME[RECONCILIATION])

    (failed,) = [r for r in verdict.results if not r["success"]]
    volumes = dict(
        marts.execute(
            f"select bar_date, klines_volume_usd from {RECONCILIATION} where market_id = '{LINEAR}'"
        ).fetchall()
    )
    assert failed["rule"] == "the venue's klines of two intervals tell the same volume"
    assert failed["unexpected_count"] == 2
    assert failed["observed"] == "2 of 43 rows break the rule"
    assert failed["sample"] == [
        {
            "market_id": LINEAR,
            "bar_date": f"{day}",
            "interval_verdict": "conflict",
            "kline_interval": "1h",
            "coarser_interval": "1d",
            "klines_volume_usd": float(volumes[day]),
            "coarser_volume_usd": float(volumes[day]) - 512,
            "interval_difference_usd": 512.0,
        }
        for day in sorted(volumes)
        if day.day in (8, 11)
    ]


def test_a_lost_day_is_shown_between_its_neighbours(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(f"delete from {DAILY} where {ONE_DAY}")

    verdict = audit(marts, SUITE_BY_NAME[f"{DAILY}_gaps"])

    assert verdict.blocking
    assert verdict.results[0]["column"] == "lost_days"
    assert verdict.results[0]["sample"] == [
        {
            "market_id": LINEAR,
            "last_day_before": "2024-03-09",
            "first_day_after": "2024-03-11",
            "lost_days": 1,
            "missing_days": 1,
            "absent_days": 0,
            "empty_days": 0,
            "unrequested_days": 0,
            "unusable_days": 0.0,
        }
    ]


def test_evidence_is_short_serialisable_and_worst_first(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(f"update {HOURLY} set taker_sell_ratio = 'nan'::double, close_price = close_price * bar_at.hour()")

    verdict = audit(marts, SUITE_BY_NAME[HOURLY])

    order = [(r["success"], r["severity"] == WARNING) for r in verdict.results]
    assert order == sorted(order)
    assert json.loads(json.dumps(verdict.results, allow_nan=False)) == verdict.results
    assert {len(r["sample"]) for r in verdict.results if not r["success"]} <= set(range(1, 11))
    assert all(
        set(r) >= {"expectation", "column", "severity", "success", "observed", "unexpected_count", "sample"}
        for r in verdict.results
    )


def test_great_expectations_gets_a_number_for_each_rule_and_ten_rows_of_one_that_is_broken(
    marts: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite, given = SUITE_BY_NAME[HOURLY], []
    judged = gx._unexpected

    def recorded(frame: pd.DataFrame, kind: str, arguments: dict[str, Any]) -> list[int]:
        given.append(len(frame))
        return judged(frame, kind, arguments)

    monkeypatch.setattr(gx, "_unexpected", recorded)
    marts.execute(f"update {HOURLY} set taker_sell_ratio = 2, volume_usd = volume_usd + 1, flow_source = 'guess'")

    verdict = audit(marts, suite)

    failed = [result for result in verdict.results if not result["success"]]
    assert verdict.judged == failed[0]["unexpected_count"] > 1_000
    assert given == [len(suite.rules), *[10] * len(failed)]
    assert [len(result["sample"]) for result in failed] == [10] * len(failed)


def test_what_the_database_counts_is_refused_where_great_expectations_would_let_the_rows_pass(
    marts: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    marts.execute(f"update dim_markets set is_simulated = true where market_id = '{INVERSE}'")
    suite = SUITE_BY_NAME["dim_markets"]
    rows = broken.failing_rows
    monkeypatch.setattr(gx, "failing_rows", lambda *about: rows(*about).assign(is_labelled=True))

    verdict = audit(marts, suite)

    assert verdict.blocking
    assert [row["market_id"] for row in verdict.results[0]["sample"]] == [INVERSE]


def test_the_audit_is_silent_and_leaves_no_file(
    marts: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    audit(marts, SUITE_BY_NAME["dim_markets"])

    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"


def test_naming_the_suites_does_not_import_great_expectations() -> None:
    script = (
        "import sys, orchestration.warehouse.audit.suites, orchestration.warehouse.audit.gx; "
        "sys.exit('great_expectations' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_great_expectations_does_not_import_the_engine_whose_frames_it_is_never_given(tmp_path: Path) -> None:
    """pyspark, where the extra is installed: six seconds of CPU, more than all the rest of the audit's imports."""
    (tmp_path / "pyspark.py").write_text("raise SystemExit('pyspark was imported')")
    script = (
        "import sys; from orchestration.warehouse.audit.gx import load_great_expectations; load_great_expectations(); "
        "sys.exit('pyspark' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    assert subprocess.run([sys.executable, "-c", script], env=environment, check=False).returncode == 0
