"""What a mart's contract forbids is refused on Spark when it is written, as DuckDB refuses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.spark import missing
from tools.macros import Macros

# In the driver, and in a process of its own: a process has one session. Each query's rows, or what it ended with.
PROGRAM = """
import json, sys
from pyspark.sql import SparkSession
from orchestration.warehouse.spark.build import reason_of

builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
builder = builder.config("spark.sql.ansi.enabled", "true").config("spark.sql.ansi.doubleQuotedIdentifiers", "true")
session = builder.config("spark.sql.shuffle.partitions", "1").getOrCreate()
answers = []
for text in json.load(sys.stdin):
    try:
        answers.append([list(row) for row in session.sql(text).collect()])
    except Exception as error:
        answers.append(reason_of(error))
print(json.dumps(answers))
"""
ROWS = "select * from values ('a', 1, date '2026-01-01'), ('b', null, date '2026-01-02') as given (name, number, day)"


def answers(tmp_path: Path, *queries: str) -> list[object]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        input=json.dumps(queries),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[object] = json.loads(done.stdout)
    return found


def test_a_null_ends_the_statement_where_the_contract_forbids_it_and_no_other_row_is_changed(tmp_path: Path) -> None:
    if reason := missing():
        pytest.skip(reason)
    without_nulls = Macros("spark", "engine/contracts.sql").without_nulls
    allowed, forbidden, of_none = answers(
        tmp_path,
        f"select name, number from ({without_nulls(ROWS, ['number', 'name'], ['name'])}) as allowed",
        without_nulls(ROWS, ["name", "number"], ["name", "number"]),
        without_nulls(f"{ROWS} where name = 'a'", ["number", "name"], ["name", "number"]),
    )
    assert allowed == [["a", 1], ["b", None]]
    assert forbidden == "NOT NULL constraint failed: number"
    assert of_none == [[1, "a"]]
