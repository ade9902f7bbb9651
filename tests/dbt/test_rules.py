"""Every rule in the models' YAML fails on a row that breaks it, and names the rule, the row and the value.

Belongs here: the test `rules` (`dbt_project/tests/generic`) and what dbt reports of it.
Does not: which rules a model has.

One run of dbt: all tables of an empty warehouse get rows that break everything at once.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
import pytest

from tests.dbt.warehouse import PROJECT, Warehouse, read_yaml

pytestmark = pytest.mark.xdist_group("empty")


def _expected(rules: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The text of each rule, and what a broken value looks like."""
    if "key" in rules:
        yield f"unique {', '.join(rules['key'])}", "[2-9] rows"
    for column in rules.get("not_null", ()):
        yield f"{column} is not null", "NULL"
    for column in rules.get("positive", ()):
        yield f"{column} is above zero", "-1"
    for column, values in rules.get("accepted_values", {}).items():
        yield f"{column} is one of {', '.join(map(str, values))}", "nonsense|-1"
    for column, parent in rules.get("relationships", {}).items():
        yield f"{column} is in {parent['to'].split(chr(39))[1]}", "nonsense"


# By model: the text of each of its rules, and what a broken value looks like.
MODELS = {
    model["name"]: dict(_expected(test["rules"]["arguments"]))
    for path in [*PROJECT.glob("models/**/_*.yml"), *PROJECT.glob("seeds/_*.yml")]
    for kind, models in read_yaml(path).items()
    if kind in ("models", "seeds")
    for model in models
    for test in model.get("data_tests", ())
    if "rules" in test
}


def _broken(model: str, data_type: str) -> str:
    values = {"DATE": "date '2024-01-02'", "TIMESTAMP": "timestamp '2024-01-02'", "BOOLEAN": "false"}
    return f"'nonsense of {model}'" if data_type == "VARCHAR" else values.get(data_type, "-1")


@pytest.fixture(scope="module")
def reported(empty: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What dbt logs of the tests of a warehouse in which every table has two equal rows, and one of NULL."""
    folder = tmp_path_factory.mktemp("broken")
    shutil.copytree(empty.folder, folder, dirs_exist_ok=True)
    warehouse = Warehouse(folder, empty.raw_url)
    with duckdb.connect(str(warehouse.path)) as connection:
        for model in MODELS:
            columns = dict(
                connection.execute(
                    "select column_name, data_type from duckdb_columns() where table_name = ? order by column_index",
                    [model],
                ).fetchall()
            )
            # Without the contract's NOT NULL, and in place of a view.
            connection.execute(f"create table broken as select * from {model}")
            kinds = dict(connection.execute("select table_name, table_type from information_schema.tables").fetchall())
            connection.execute(f"drop {'view' if kinds[model] == 'VIEW' else 'table'} {model}")
            connection.execute(f"alter table broken rename to {model}")
            row = ", ".join(_broken(model, data_type) for data_type in columns.values())
            nothing = ", ".join("null" for _ in columns)
            connection.execute(f"insert into {model} values ({row}), ({row}), ({nothing})")
    with pytest.raises(AssertionError):
        warehouse.dbt("test", "--exclude-resource-type", "unit_test")
    return (folder / "logs" / "dbt.log").read_text()


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_broken_rule_is_reported_with_its_row_and_value(model: str, reported: str) -> None:
    found = re.findall(rf"rules_of_{model}: ([^:]+): (\w+ .+?) has (.+)", reported)
    values = {rule: value for rule, _, value in found}
    assert values.keys() == MODELS[model].keys()
    for rule, broken in MODELS[model].items():
        assert re.match(broken, values[rule]), rule
