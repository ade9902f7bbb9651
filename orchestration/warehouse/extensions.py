"""DuckDB's extensions: which a target needs, and putting them where DuckDB looks, from their wheels and never from a
network.

Belongs here: their names, their folder, and what is missing. Does not: what they are used for.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final

from orchestration.config.dbt import LAKE, DbtConfig
from orchestration.warehouse.opening import WarehouseUnusable

HTTPFS: Final = "httpfs"
LAKE_EXTENSIONS: Final = ("ducklake", "postgres_scanner")


def wanted_extensions(config: DbtConfig) -> tuple[str, ...]:
    """What this target and its storage need."""
    return (*((HTTPFS,) if config.storage.is_s3 else ()), *(LAKE_EXTENSIONS if config.target == LAKE else ()))


def extensions_folder(config: DbtConfig) -> Path:
    """Where DuckDB finds them."""
    return config.paths.dbt / "extensions"


def connection_options(config: DbtConfig) -> dict[str, Any]:
    """How DuckDB finds its extensions: in our folder, never in the network."""
    return {"extension_directory": str(extensions_folder(config)), "autoinstall_known_extensions": "false"}


def extensions_fault(config: DbtConfig) -> str | None:
    """Which wheel is missing, and what to do; None where all are installed."""
    for name in wanted_extensions(config):
        if importlib.util.find_spec(f"duckdb_extension_{name}") is None:
            wheel = f"duckdb-extension-{name.replace('_', '-')}"
            return (
                f"DuckDB's extension {name} is not installed; run `make setup`, or install {wheel} of DuckDB's version"
            )
    return None


def install_extensions(config: DbtConfig) -> None:
    """Copy them from their wheels to where DuckDB looks, so that nothing is ever downloaded. WarehouseUnusable."""
    names = wanted_extensions(config)
    if not names:
        return
    if fault := extensions_fault(config):
        raise WarehouseUnusable(fault)
    import duckdb
    from duckdb_extensions import import_extension

    folder = extensions_folder(config)
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"extension_directory": str(folder)}) as connection:
        for name in names:
            import_extension(name, con=connection)
