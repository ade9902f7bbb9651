"""The analysis marts beyond single rules: claims judged without dbt, rows and columns that follow the seeds."""

from __future__ import annotations

import csv
import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest

from orchestration.serving.claims.evaluate import CLAIM_MODELS, over_published_marts
from tests.dbt.warehouse import PROJECT, Warehouse, read_yaml

pytestmark = pytest.mark.xdist_group("empty")

SIDES = PROJECT / "macros" / "sides.sql"
EVERYTHING = " select * from fct_claim_verdicts"
VERDICTS = read_yaml(Path(__file__).with_name("claim_verdicts.yml"))


def seed(name: str) -> list[dict[str, str]]:
    with (PROJECT / "seeds" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("case", VERDICTS, ids=[case["name"] for case in VERDICTS])
def test_verdict(case: dict[str, Any]) -> None:
    given = case["given"]
    connection = duckdb.connect()
    connection.execute(
        f"create table fct_taker_spike_ranks as select *, 'as_published' as flow_quality from ({given['ranks']})"
    )
    connection.execute(f"create table dim_spike_definitions as {as_sql(given['definitions'])}")
    claims = (
        "select * replace (cast(published_on as date) as published_on, cast(event_from as date) as event_from,"
        f" cast(event_to as date) as event_to) from ({as_sql(given['claims'])})"
    )
    found = connection.execute(over_published_marts(claims, EVERYTHING + " order by claim_id, definition_id"))
    names = [column[0] for column in found.description or ()]
    rows = [dict(zip(names, map(plain, values), strict=True)) for values in found.fetchall()]
    assert [{name: row[name] for name in wanted} for row, wanted in zip(rows, case["expect"], strict=True)] == case[
        "expect"
    ]


def as_sql(rows: list[dict[str, Any]]) -> str:
    """The rows as a query; dates and texts are texts."""

    def value(cell: Any) -> str:
        return "null" if cell is None else str(cell) if isinstance(cell, int) else f"'{cell}'"

    return " union all ".join(
        "select " + ", ".join(f"{value(cell)} as {name}" for name, cell in row.items()) for row in rows
    )


def plain(cell: Any) -> Any:
    """A value as YAML writes it."""
    return str(cell) if isinstance(cell, datetime) else cell


@pytest.mark.parametrize("path", CLAIM_MODELS)
def test_the_models_of_claims_use_nothing_of_dbt_but_ref(path: str) -> None:
    """So that `taker claim` can run their text over the published marts, with its own claim in place of the seed."""
    text = re.sub(r"\{\{ ref\('\w+'\) \}\}", "", (PROJECT / "models" / path).read_text())
    assert "{" not in text


@pytest.fixture
def marts() -> duckdb.DuckDBPyConnection:
    """Thirty days of one market, whose 21st is its second-largest bearish spike, under the names of the marts."""
    connection = duckdb.connect()
    connection.execute(
        "create table dim_spike_definitions as"
        " select 'daily_usd' as definition_id, 'days' as definition_name, '1d' as grain, 'usd' as unit;"
        "create table fct_taker_spike_ranks (definition_id varchar, market_id varchar, side varchar, bar_at timestamp,"
        " value decimal(38,8), is_event boolean, bar_coverage_ratio double, is_provisional boolean, is_running boolean,"
        " set_changed_at timestamp, flow_quality varchar)"
    )
    values = {10: -300, 20: -200}
    connection.executemany(
        "insert into fct_taker_spike_ranks"
        " values ('daily_usd', 'v:S', 'bearish', ?, ?, ?, 1, false, false, null, 'as_published')",
        [(date(2024, 1, 1) + timedelta(days=n), values.get(n, n), n in values) for n in range(30)],
    )
    return connection


@pytest.mark.parametrize(
    ("rank", "window_days", "holds"), [(2, 20, True), (3, 20, False), (1, 10, True), (2, 40, None)]
)
def test_the_rule_needs_nothing_but_the_published_marts(
    marts: duckdb.DuckDBPyConnection, rank: int, window_days: int, holds: bool | None
) -> None:
    """Second in twenty days, first in the ten without the larger one, unknown in more days than there are."""
    claim = (
        "select 'typed' as claim_id, cast(null as date) as published_on, 'v:S' as market_id, 'bearish' as side,"
        " date '2024-01-21' as event_from, date '2024-01-21' as event_to,"
        f" {rank} as claimed_rank, {window_days} as window_days"
    )
    found = marts.execute(over_published_marts(claim, EVERYTHING)).fetchall()
    names = [column[0] for column in marts.description or ()]
    (row,) = (dict(zip(names, values, strict=True)) for values in found)
    assert row["holds"] is holds
    assert row["bar_at"].date() == date(2024, 1, 21)


def test_a_definition_of_another_venue_cannot_tell_and_states_why(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute("insert into dim_spike_definitions values ('sums_usd', 'sums', '1d', 'usd')")
    claim = (
        "select 'typed' as claim_id, cast(null as date) as published_on, 'v:S' as market_id, 'bearish' as side,"
        " date '2024-01-21' as event_from, date '2024-01-21' as event_to, 2 as claimed_rank, 20 as window_days"
    )
    query = " select definition_id, holds, verdict_sentence from fct_claim_verdicts order by 1 desc"
    verdicts = marts.execute(over_published_marts(claim, query)).fetchall()
    assert verdicts[0] == (
        "sums_usd",
        None,
        "Cannot tell under sums_usd: it ranks no bars of this market in the 20 days to 2024-01-22.",
    )
    assert verdicts[1][:2] == ("daily_usd", True)


@pytest.mark.parametrize(
    ("unit", "value", "side"),
    [
        ("sell_ratio", "0.5368", "bearish"),
        ("sell_ratio", "0.4632", "bullish"),
        ("sell_ratio", "0.5", None),
        ("usd", "-1", "bearish"),
        ("usd", "0.4", "bullish"),
        ("base", "0", None),
        ("sell_ratio", "null", None),
        ("usd", "null", None),
    ],
)
def test_a_value_is_bearish_where_takers_sold_more_than_they_bought(unit: str, value: str, side: str | None) -> None:
    rule = str(jinja2.Environment().from_string(SIDES.read_text()).module.side_of("unit", "value"))  # type: ignore[attr-defined]
    given = f"select '{unit}' as unit, cast({value} as decimal(38, 8)) as value"

    assert duckdb.sql(f"select {rule} from ({given})").fetchall() == [(side,)]


def test_every_claim_has_a_verdict_under_every_definition_even_without_data(empty: Warehouse) -> None:
    verdicts = empty.rows("select claim_id, definition_id, holds from fct_claim_verdicts")
    claims_and_definitions = [
        (claim["claim_id"], definition["definition_id"])
        for claim in seed("claims")
        for definition in seed("spike_definitions")
    ]
    assert sorted((claim, definition) for claim, definition, _ in verdicts) == sorted(claims_and_definitions)
    assert {holds for *_, holds in verdicts} == {None}


def test_the_brief_has_a_rank_for_every_definition(empty: Warehouse) -> None:
    columns = {
        name
        for (name,) in empty.rows(
            "select column_name from duckdb_columns() where table_name = 'rpt_market_brief_daily'"
        )
    }
    ranks = {name.removesuffix("_rank") for name in columns if name.endswith("_rank")} - {"daily_usd_event"}
    assert ranks == {definition["definition_id"] for definition in seed("spike_definitions")}
