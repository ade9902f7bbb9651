"""What dbt does for each node more cheaply is what dbt itself would do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import agate  # type: ignore[import-untyped]
import duckdb
import pytest
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.environments import Environment
from dbt.artifacts.resources.v1.components import InjectedCTE
from dbt.clients.jinja import MacroGenerator
from dbt.compilation import inject_ctes_into_sql
from dbt.context.base import contextmember, contextproperty
from dbt.context.macros import MacroNamespaceBuilder
from dbt.context.manifest import ManifestContext
from dbt.contracts.graph.manifest import Manifest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.warehouse import dbt_nodes
from orchestration.warehouse.dbt_nodes import (
    Context,
    begin_context,
    build_namespace,
    context_of,
    initialize_cursor,
    inject_ctes,
    type_tester,
    write_changed,
)
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
            assert name in found
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


class Members(ManifestContext):
    """A context of dbt's with members that are computed, one of which has the name of a macro."""

    computed = 0

    @contextproperty()
    def var(self) -> str:
        Members.computed += 1
        return "a variable"

    @contextproperty()
    def config_of_node(self) -> list[str]:
        return ["computed"]

    @contextproperty("is_incremental")
    def hidden_by_a_macro(self) -> str:
        return "dbt's own"

    @contextmember()
    def doubled(self, number: int) -> int:
        return number * 2

    def _get_namespace_builder(self) -> MacroNamespaceBuilder:
        return builder("taker", self)


def contexts(parsed: Manifest, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same one as dbt makes it, and as it is made here."""
    config = SimpleNamespace(
        project_name="taker", cli_vars={}, credentials=SimpleNamespace(type="duckdb"), to_target_dict=dict
    )
    expected = Members(config, parsed, "taker").to_dict()  # type: ignore[arg-type, no-untyped-call]
    monkeypatch.setattr(MacroNamespaceBuilder, "build_namespace", build_namespace)
    monkeypatch.setattr(ManifestContext, "_build_namespace", begin_context)
    monkeypatch.setattr(ManifestContext, "to_dict", context_of)
    return expected, Members(config, parsed, "taker").to_dict()  # type: ignore[arg-type, no-untyped-call]


def test_a_context_has_what_dbt_puts_into_it(parsed: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, found = contexts(parsed, monkeypatch)
    assert isinstance(found, Context)
    assert not isinstance(expected, Context)
    for name, value in expected.items():
        assert name in found, name
        if isinstance(value, MacroGenerator):
            assert found[name].macro is value.macro, name
        assert type(found[name]) is type(value) or name in ("context", "builtins", *found["builtins"], "taker", "dbt")
    assert {*found} == {*expected}
    assert {*found["builtins"]} == {*expected["builtins"]}
    assert found["context"] is found
    assert found["config_of_node"] == ["computed"]
    assert found["doubled"](2) == 4
    assert "no_such_name" not in found
    assert found.get("no_such_name", 1) == 1
    with pytest.raises(KeyError):
        found["no_such_name"]


def test_a_macro_hides_what_dbt_has_under_its_name(parsed: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, found = contexts(parsed, monkeypatch)
    for context in (expected, found):
        assert isinstance(context["is_incremental"], MacroGenerator)
        assert context["builtins"]["is_incremental"] == "dbt's own"


def test_what_dbt_computes_is_computed_once_and_what_nothing_looks_up_is_not(
    parsed: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, found = contexts(parsed, monkeypatch)
    before = Members.computed
    assert found["var"] == found["builtins"]["var"] == "a variable"
    assert Members.computed == before  # its making reads the packages of the project: with the context
    assert "config_of_node" not in dict.keys(found)
    assert found["config_of_node"] is found["config_of_node"]


def test_what_is_put_into_a_context_is_found_before_its_macros(
    parsed: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, found = contexts(parsed, monkeypatch)
    found["is_incremental"] = 1
    found.update(ref=2)
    assert (found["is_incremental"], found["ref"], found["builtins"]["doubled"](1)) == (1, 2, 2)
    assert dict(found)["is_incremental"] == {**found}["is_incremental"] == found.copy()["is_incremental"] == 1
    del found["is_incremental"]
    assert "is_incremental" not in found


@pytest.mark.parametrize(
    "whole",
    [dict, lambda context: {**context}, lambda context: context.copy(), lambda context: context | {}],
    ids=["dict", "unpacked", "copy", "merged"],
)
def test_a_copy_of_a_context_has_all_of_it(
    parsed: Manifest, monkeypatch: pytest.MonkeyPatch, whole: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    expected, found = contexts(parsed, monkeypatch)
    assert bool(found)
    assert dict.__len__(found) == 0
    assert {*whole(found)} == {*expected}
    assert len(found) == len(expected)


def test_a_unit_test_puts_its_own_macro_in_place_of_one_of_a_package(
    parsed: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for context in contexts(parsed, monkeypatch):
        for package, name in (("dbt", "is_incremental"), ("taker", "setting")):
            others = len(context[package])
            context[package][name] = "its own"
            assert context[package][name] == "its own"
            assert len(context[package]) == others
        assert isinstance(context["setting"], MacroGenerator)


def test_a_value_of_a_statement_has_the_type_that_dbt_finds() -> None:
    rows = [(1, "1", None, 1.5, True, "", "null"), (2, "a", None, 2.5, False, "b", "2024-01-01")]
    columns = [str(number) for number in range(len(rows[0]))]
    for text_columns, null_values in (((), ("null", "")), (("1",), ("null", "")), (("1", "6"), ())):
        expected, found = (
            agate.Table(rows, columns, column_types=tester(text_columns, null_values))
            for tester in (dbt_nodes._original_tester, type_tester)
        )
        assert [type(each) for each in found.column_types] == [type(each) for each in expected.column_types]
        assert [tuple(row) for row in found.rows] == [tuple(row) for row in expected.rows]


def test_a_session_has_its_settings_and_no_variables_that_no_statement_reads() -> None:
    settings = {"TimeZone": "Asia/Tokyo", "VARIABLE taker_raw_url": "/raw", "memory_limit": "300MiB"}
    creds = DuckDBCredentials(database="memory", schema="main", path=":memory:", settings=settings)
    with duckdb.connect() as connection:
        cursor = initialize_cursor(Environment, creds, connection.cursor())  # type: ignore[type-abstract]
        query = "select current_setting('TimeZone'), current_setting('memory_limit'), getvariable('taker_raw_url')"
        assert cursor.execute(query).fetchall() == [("Asia/Tokyo", "300.0 MiB", None)]
    assert creds.settings == settings  # what macros read: `target.settings`
    for path in PROJECT_DIR.rglob("*.sql"):
        assert "getvariable" not in path.read_text(encoding="utf-8"), path
