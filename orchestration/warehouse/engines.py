"""What each target needs around a build, in one table: what must be there, where its tables are, who may build.

Belongs here: which module answers for which target. Does not: any of the answers (`spark`, `lake`, `opening`), or what
dbt is given (`orchestration.warehouse.profile`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orchestration.config.dbt import DUCKDB, LAKE, SPARK, DbtConfig
from orchestration.state.healing import NotDamaged, duckdb_fault
from orchestration.state.locks import Alone
from orchestration.warehouse.lake.catalog import BUILT, PUBLISHED, TeamLake, lake_of, place_of
from orchestration.warehouse.lake.server import alone_in, require_usable
from orchestration.warehouse.opening import WarehouseFile, WarehouseUnusable, await_warehouse
from orchestration.warehouse.place import Warehouse, opened
from orchestration.warehouse.publish.cluster import Cluster
from orchestration.warehouse.spark.reach import require_reachable

if TYPE_CHECKING:
    from orchestration.state.locks import Report


@dataclass(frozen=True)
class _Engine:
    """`require`: WarehouseUnusable where no build can begin. `warehouse`: where its tables are. `ready`: wait until
    they can be written, with a sentence about what was healed. `is_there`: whether they can be read. `alone`: be the
    only builder beyond the state folder. `named`: the tables' place in words."""

    require: Callable[[DbtConfig], None]
    warehouse: Callable[[DbtConfig], Warehouse]
    ready: Callable[[DbtConfig], str | None]
    is_there: Callable[[DbtConfig], bool]
    alone: Callable[[DbtConfig], Alone | None]
    named: Callable[[DbtConfig], str]


def _file(config: DbtConfig) -> WarehouseFile:
    return WarehouseFile(config.paths.warehouse)


def _file_is_there(config: DbtConfig) -> bool:
    """Another program that has the file open is no obstacle."""
    path = config.paths.warehouse
    try:
        return path.is_file() and duckdb_fault(path, read_only=True) is None
    except NotDamaged:
        return False


def _lake_is_there(config: DbtConfig) -> bool:
    import duckdb

    try:
        with opened(lake_of(config, BUILT)) as connection:
            return bool(connection.execute("select 1 from int_built_days limit 1").fetchall())
    except (duckdb.Error, WarehouseUnusable):
        return False


def _alone_in_lake(config: DbtConfig) -> Alone | None:
    lake = config.lake
    assert lake is not None, config.target

    def alone(wait: float, report: Report, run_id: str | None) -> contextlib.AbstractContextManager[Callable[[], None]]:
        return alone_in(lake, wait=wait, report=report, run_id=run_id)

    return alone


_ENGINES: Final = {
    DUCKDB: _Engine(
        require=lambda config: None,
        warehouse=_file,
        ready=lambda config: await_warehouse(config.paths),
        is_there=_file_is_there,
        alone=lambda config: None,
        named=lambda config: str(config.paths.warehouse),
    ),
    # Its tables are copied into the file.
    SPARK: _Engine(
        require=lambda config: require_reachable(config.spark_conf),
        warehouse=_file,
        ready=lambda config: await_warehouse(config.paths),
        is_there=_file_is_there,
        alone=lambda config: None,
        named=lambda config: str(config.paths.warehouse),
    ),
    LAKE: _Engine(
        require=require_usable,
        warehouse=lambda config: lake_of(config, BUILT),
        ready=lambda config: None,
        is_there=_lake_is_there,
        alone=_alone_in_lake,
        named=lambda config: f"the lake at {place_of(lake_of(config, BUILT).config)}",
    ),
}


def require_engine(config: DbtConfig) -> None:
    """WarehouseUnusable, in one sentence, where no build of this target can begin."""
    _ENGINES[config.target].require(config)


def warehouse_of(config: DbtConfig) -> Warehouse:
    """Where the tables of this target's builds are."""
    return _ENGINES[config.target].warehouse(config)


def named(config: DbtConfig) -> str:
    """The place of the tables, in words."""
    return _ENGINES[config.target].named(config)


def await_writable(config: DbtConfig) -> str | None:
    """Return once the tables can be written, with a sentence where something damaged was set aside; WarehouseLocked or
    WarehouseUnusable."""
    return _ENGINES[config.target].ready(config)


def is_there(config: DbtConfig) -> bool:
    """Whether a former build is there and can be read."""
    return _ENGINES[config.target].is_there(config)


def alone_of(config: DbtConfig) -> Alone | None:
    """How one builder excludes those of other state folders; None where no other one writes the same tables."""
    return _ENGINES[config.target].alone(config)


def cluster_of(config: DbtConfig) -> Cluster | None:
    """The catalog of the cluster that a publication is shown in beside the files; None for other targets."""
    return Cluster(config.spark_conf) if config.target == SPARK and config.spark_conf else None


def team_lake(config: DbtConfig) -> TeamLake | None:
    """The lake that a publication goes to beside the files; None for other targets."""
    return None if config.lake is None else TeamLake(lake_of(config, BUILT), lake_of(config, PUBLISHED))
