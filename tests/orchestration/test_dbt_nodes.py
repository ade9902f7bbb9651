"""What dbt does for each node more cheaply is what dbt itself would do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dbt.artifacts.resources.v1.components import InjectedCTE
from dbt.compilation import inject_ctes_into_sql
from dbt.context.macros import MacroNamespaceBuilder
from dbt.contracts.graph.manifest import Manifest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.warehouse import dbt_nodes
from orchestration.warehouse.dbt_nodes import build_namespace, inject_ctes, write_changed
from orchestration.warehouse.parsed import load_parsed, parsed_path
from orchestration.warehouse.profile import PROJECT_DIR

STEPS = [InjectedCTE(id="a", sql=" __dbt__cte__a as (\nselect 1\n)"), InjectedCTE(id="b", sql=" b as (\nselect 2\n)")]


@pytest.fixture(scope="module")
def parsed(manifest: Path) -> Manifest:
    """The project, as every build begins with it."""
    del manifest  # parses the project where it has not been parsed
    found = load_parsed(parsed_path(PROJECT_DIR))
    assert found is not None
    return found


def builder(package: str, node: object = None) -> MacroNamespaceBuilder:
    return MacroNamespaceBuilder("taker", package, None, ["dbt_duckdb", "dbt"], node)  # type: ignore[arg-type]


@pytest.mark.parametrize("package", ["taker", "dbt", "dbt_duckdb"])
def test_every_macro_is_found_where_dbt_finds_it(parsed: Manifest, package: str) -> None:
    by_package, context, node = parsed.get_macros_by_package(), {"a": 1}, object()
    expected = dbt_nodes._original_namespace(builder(package, node), by_package, context)
    found = build_namespace(builder(package, node), by_package, context)
    assert {*found} == {*expected}
    for name in expected:
        one, other = found[name], expected[name]
        if isinstance(other, dict):
            assert {key: each.macro for key, each in one.items()} == {key: each.macro for key, each in other.items()}
        else:
            assert (one.macro, one.context, one.node, one.stack) == (other.macro, context, node, None)
    for package_name in (None, "dbt", "taker"):
        for name in ("ref", "setting", "get_create_table_as_sql", "no_such_macro"):
            one, other = (each.get_from_package(package_name, name) for each in (found, expected))
            assert (one and one.macro) == (other and other.macro)


def test_macros_of_another_project_are_not_those_of_the_former(parsed: Manifest) -> None:
    by_package = parsed.get_macros_by_package()
    fewer = {**by_package, "taker": dict(list(by_package["taker"].items())[:1])}
    whole = build_namespace(builder("taker"), by_package, {})
    assert len(build_namespace(builder("taker"), fewer, {})["taker"]) == 1  # type: ignore[arg-type]
    assert len(whole["taker"]) == len(by_package["taker"])  # type: ignore[arg-type]


SPACE = st.sampled_from(["", " ", "\n", "\n\n    ", "-- with\n", "-- select 'a'\n", "/* with\nb */", "\t"])
FIRST = st.sampled_from(
    ["with ", "WITH\n", "with recursive ", "with  recursive\n", "select ", "SELECT\n", "from ", "("]
)
REST = st.sampled_from(["x as (select 1) select * from x", "1", "'with' as a", "-- c\n1", "'with' as a\nfrom b"])


@given(before=st.lists(SPACE, max_size=4).map("".join), first=FIRST, rest=REST)
def test_steps_are_put_where_dbt_puts_them(before: str, first: str, rest: str) -> None:
    assert inject_ctes(before + first + rest, STEPS) == inject_ctes_into_sql(before + first + rest, STEPS)


def test_a_model_without_steps_stays_as_it_is() -> None:
    assert inject_ctes("with x as (select 1) select 1", []) == "with x as (select 1) select 1"


def test_sql_that_is_there_is_not_written_again_and_other_sql_is(tmp_path: Path) -> None:
    path = tmp_path / "models" / "a.sql"
    assert write_changed(str(path), "select 'é'")
    os.utime(path, ns=(1, 1))
    write_changed(str(path), "select 'é'")
    assert path.stat().st_mtime_ns == 1
    write_changed(str(path), "select 2")
    assert path.read_text(encoding="utf-8") == "select 2"
