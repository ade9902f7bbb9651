"""Doubles as Spark computes them, beside DuckDB: equal to the last bit, whatever the sign and the digits."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.support.spark import missing
from tools.macros import Macros

FILES = ("engine/doubles.sql",)
# In the driver, and in a process of its own: a process has one session.
PROGRAM = """
import sys
from pyspark.sql import SparkSession

builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
session = builder.config("spark.sql.ansi.enabled", "true").config("spark.sql.shuffle.partitions", "1").getOrCreate()
print(*(f"{row[0]!r}" for row in session.sql(sys.stdin.read()).collect()))
"""


def computed_by_both(sql_of: dict[str, str], tmp_path: Path) -> tuple[list[str], list[str]]:
    """The one column of a query, as DuckDB and as Spark compute it."""
    with duckdb.connect() as connection:
        expected = [repr(value) for (value,) in connection.execute(sql_of["duckdb"]).fetchall()]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        input=sql_of["spark"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return expected, done.stdout.split()


@pytest.fixture(scope="module", autouse=True)
def spark() -> None:
    if reason := missing():
        pytest.skip(reason)


def test_exact_decimals_and_sums_are_the_doubles_that_duckdb_has(tmp_path: Path) -> None:
    rng = random.Random("doubles")
    # Around 2^53 in units of the last digit, where one of two neighbours is no double; and with many digits before it.
    shares = [rng.choice("+-") + f"0.{rng.randint(8 * 10**15, 10**16 - 1)}" for _ in range(400)]
    amounts = [rng.choice("+-") + f"{rng.randint(0, 10**12)}.{rng.randint(0, 10**16 - 1):016}" for _ in range(200)]
    rows = ", ".join(f"({number}, cast('{text}' as decimal(38,16)))" for number, text in enumerate([*shares, *amounts]))
    sql_of = {}
    for engine in ("duckdb", "spark"):
        taker = Macros(engine, *FILES)
        double = taker.exact_as_double("amount", 16)
        sql_of[engine] = (
            f"with amounts as (select * from (values {rows}) as given (number, amount)), "
            f"doubles as (select number, {double} as held from amounts) "
            f"select held from (select number, held from doubles union all "
            f"select 1000, {taker.exact_as_double('sum(amount)', 16)} from amounts) as all_of_them order by number"
        )
    expected, found = computed_by_both(sql_of, tmp_path)
    assert len(expected) == 601
    assert found == expected
