"""Auditing one suite of a test's marts."""

from __future__ import annotations

from dataclasses import replace

import duckdb

from orchestration.warehouse.audit import gx
from orchestration.warehouse.audit.expectations import columns_of, expectation_of
from orchestration.warehouse.audit.gx import Verdict
from orchestration.warehouse.audit.rules import AuditSuite, Rule
from orchestration.warehouse.audit.suites import HISTORY_SUITE, SUITES

ALL_SUITES = (*SUITES, HISTORY_SUITE)
SUITE_BY_NAME = {suite.name: suite for suite in ALL_SUITES}


def audit(connection: duckdb.DuckDBPyConnection, suite: AuditSuite, *, only: str | None = None) -> Verdict:
    """`only`: judge by the rules on that column alone, which takes a fraction of the time."""
    if only is not None:
        suite = replace(suite, rules=tuple(rule for rule in suite.rules if columns(rule, suite) == only))
    return gx.audit(connection, suite)


def columns(rule: Rule, suite: AuditSuite) -> str:
    _, arguments = expectation_of(rule, suite.key)
    return ", ".join(columns_of(arguments))
