"""The project's macros of amounts, rendered for DuckDB without dbt.

Belongs here: rendering. Does not: what the expressions give (`tests/dbt`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

MACROS = Path(__file__).resolve().parents[2] / "dbt_project/macros"


class _Taker:
    """The macros of the project under the names by which they call each other."""

    def __init__(self) -> None:
        text = "".join((MACROS / name).read_text() for name in ("amounts.sql", "engine/exact_quotient.sql", "text.sql"))
        environment = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=False)
        environment.globals |= {"return": lambda value: value, "taker": self, "adapter": self}
        self._module = environment.from_string(text).module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def dispatch(self, name: str, package: str) -> Any:
        return getattr(self._module, f"duckdb__{name}")


taker = _Taker()
