"""The project's macros of amounts, rendered for DuckDB without dbt.

Belongs here: which of them. Does not: rendering (`tools.macros`), what the expressions give (`tests/dbt`).
"""

from __future__ import annotations

from tools.macros import Macros

taker = Macros("duckdb", "amounts.sql", "engine/exact_quotient.sql", "text.sql")
