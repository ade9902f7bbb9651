"""Macros of the dbt project, rendered for one engine without dbt.

Belongs here: rendering. Does not: what the expressions give (`tests/dbt`), what they cost (`benchmarks`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

MACROS = Path(__file__).resolve().parents[1] / "dbt_project/macros"


class Macros:
    """Those of some files, under the names by which they call each other. `engine`: `duckdb` or `spark`."""

    def __init__(self, engine: str, *files: str) -> None:
        text = "".join((MACROS / name).read_text() for name in files)
        environment = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=False)
        environment.globals |= {"return": lambda value: value, "taker": self, "adapter": self}
        self._engine = engine
        self._module = environment.from_string(text).module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def dispatch(self, name: str, package: str) -> Any:
        """The engine's own version, or the one of all engines."""
        own = getattr(self._module, f"{self._engine}__{name}", None)
        return own or getattr(self._module, f"default__{name}")
