"""SQL as text: what is quoted, and what a statement in a file demands."""

from __future__ import annotations

from pathlib import Path

import duckdb
import jinja2
import pytest

from orchestration.warehouse.sql import identifier, literal, render


@pytest.mark.parametrize("text", ["plain", "it's", 'a "quoted" word', "'; drop table marts; --", ""])
def test_a_quoted_text_reads_back_as_itself(text: str) -> None:
    assert duckdb.execute(f"select {literal(text)}").fetchone() == (text,)


@pytest.mark.parametrize("name", ["plain", "4h_usd_rank", 'with "quotes"', "select"])
def test_a_quoted_name_names_a_column(name: str) -> None:
    assert [column for column, *_ in duckdb.execute(f"select 1 as {identifier(name)}").description] == [name]


def test_a_statement_without_one_of_its_values_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "count.sql"
    path.write_text("select count(*) from {{ mart }}")

    assert render(path, mart="dim_markets") == "select count(*) from dim_markets"
    with pytest.raises(jinja2.UndefinedError, match="mart"):
        render(path)
