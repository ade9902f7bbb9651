"""The warehouse file before a build: that it can be written, is not damaged, and has the shape of today.

Belongs here: what is waited for, set aside or built anew. Does not: who of Taker's own processes may build
(`orchestration.state.locks`).
"""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestration.config.paths import Paths
from orchestration.state.healing import NotDamaged, duckdb_fault, set_aside
from orchestration.state.whole import take_note
from orchestration.warehouse.place import NAME, Warehouse, opened
from orchestration.warehouse.sql import literal

if TYPE_CHECKING:
    import duckdb

# How long to wait for another program that has the warehouse open.
_LOCK_PATIENCE_SECONDS: Final = 15.0
_HOLDER: Final = re.compile(r"Conflicting lock is held in (.+?)\.(?: See also|$)", re.MULTILINE)
# The tables of which a build keeps rows (materialized `incremental` or `changed_rows`), and the note of what they are.
KEPT_TABLES: Final = (
    "int_trade_minutes",
    "int_flow_bars",
    "int_archive_bars",
    "int_flow_price_levels",
    "int_flow_klines",
    "int_flow_days",
    "int_kline_buckets",
    "int_market_bars",
    "int_forward_returns",
    "int_spike_values",
    "int_spike_ranks",
    "int_brief_ranks",
    "int_closes_daily",
    "int_built_days",
    "fct_net_taker_volume_minute",
    "fct_net_taker_volume_hourly",
    "fct_net_taker_volume_daily",
    "fct_taker_spike_ranks",
    "fct_open_interest_hourly",
    "fct_long_short_ratios",
    "fct_hour_of_week_profile",
    "fct_spike_forward_returns",
)
# What a build reads of the last one beside them: the notes of what was built, and rows that need not be read again.
FORMER_TABLES: Final = (
    "int_bar_days",
    "int_build_window",
    "int_built_receipts",
    "int_judged_days",
    "int_kline_days",
    "int_market_bar_days",
    "int_metrics_days",
    "int_metrics_hours",
    "int_raw_row_counts",
    "int_source_days",
    "int_spike_changes",
)
# The type of the prices in `int_flow_bars`.
BAR_PRICE_TYPE: Final = "DECIMAL(38,18)"


class WarehouseLocked(Exception):
    """Another program has the warehouse open. The text names the file, the program and what to do."""


class WarehouseUnusable(Exception):
    """The warehouse, or the engine that builds it, cannot be used. The text states why and what to do."""


@dataclass(frozen=True)
class WarehouseFile:
    """A warehouse that is a DuckDB file."""

    path: Path

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Read-only, as the database `warehouse`: an open one would keep dbt out. duckdb.Error."""
        connection.execute(f"attach {literal(str(self.path))} as {NAME} (read_only)")


def await_warehouse(paths: Paths, patience: float = _LOCK_PATIENCE_SECONDS) -> str | None:
    """Return once the warehouse can be written, or raise WarehouseLocked after `patience` seconds.

    A damaged file is set aside, and the sentence about it returned: the build makes everything anew. One that the last
    run left whole is opened and not read (`orchestration.state.whole`). For the process that holds the lock over
    builds. Programs that are no part of Taker do not take that lock: dbt would try for minutes to open what they have
    open, and report it with the tracebacks of every attempt.
    """
    path = paths.warehouse
    read = () if take_note(path) is not None else (*KEPT_TABLES, *FORMER_TABLES)
    deadline = time.monotonic() + patience
    while path.exists():
        try:
            fault = duckdb_fault(path, read)
        except NotDamaged as error:
            reason = str(error)
        else:
            # What a killed dbt had no memory for.
            shutil.rmtree(paths.spill, ignore_errors=True)
            return fault and set_aside(path, fault, "everything in it is built again from the raw zone")
        holder = _HOLDER.search(reason)
        if holder is None and "set lock on file" not in reason:
            raise WarehouseUnusable(
                f"{path} cannot be opened ({reason}); when its permissions are right, delete it: the next run builds "
                "everything again from the raw zone"
            )
        if time.monotonic() >= deadline:
            raise WarehouseLocked(
                f"{path} is locked: {holder[1] if holder else 'another program'} has it open; close that program, then "
                f"run the same command again (to read the published data meanwhile, open {paths.serving})"
            )
        time.sleep(0.5)
    return None


def bars_are_outdated(warehouse: Warehouse) -> bool:
    """Whether the bars that stand, or the note of what they were built from, are of another shape than today's: then
    all are built anew.

    DuckDB cannot change a column's type in the transaction that also deletes rows, which dbt would try. Of a note that
    cannot be compared, bars of days that are gone would stay.
    """
    import duckdb

    try:
        with opened(warehouse) as connection:
            held = connection.execute(
                "select table_name, column_name, data_type from duckdb_columns() "
                f"where database_name = '{NAME}' and table_name in ('int_flow_bars', 'int_built_receipts')"
            ).fetchall()
    except (duckdb.Error, WarehouseUnusable):  # never built: what else keeps it from being opened, dbt reports
        return False
    types = {(table, column): data_type for table, column, data_type in held}
    if types.get(("int_flow_bars", "open_price"), BAR_PRICE_TYPE) != BAR_PRICE_TYPE:
        return True
    has_note = any(table == "int_built_receipts" for table, _ in types)
    return has_note and ("int_built_receipts", "build_id") not in types
