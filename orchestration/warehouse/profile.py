"""What dbt is given: its generated profile, its variables, and the versions of what it builds.

Belongs here: how dbt finds the warehouse and the raw zone, and when what stands is of another version. Does not:
starting dbt (`orchestration.warehouse.dbt`), or the settings themselves (`orchestration.config.dbt`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from ingestion.raw.durable import atomic_write
from orchestration.config.dbt import DUCKDB, LAKE, SPARK, DbtConfig
from orchestration.warehouse.extensions import connection_options, wanted_extensions
from orchestration.warehouse.lake.catalog import (
    BUILT,
    PASSWORD_VARIABLE,
    attach_options,
    attach_path,
    catalog_secret,
    lake_of,
    parts_of,
)
from orchestration.warehouse.parsed import is_checkout, project_digest, project_files
from orchestration.warehouse.place import NAME
from orchestration.warehouse.s3_reads import PATIENCE
from orchestration.warehouse.spark.conf import SCHEMA
from orchestration.warehouse.spark.reach import require_installed

PROJECT_DIR: Final = Path(__file__).resolve().parents[2] / "dbt_project"
# The files of macros that decide what a trade, a kline or a metric is worth, or which of them are read.
VALUING_MACROS: Final = (
    "amounts.sql",
    "bars.sql",
    "engine/aggregates.sql",
    "engine/doubles.sql",
    "engine/exact_quotient.sql",
    "engine/raw_relation.sql",
    "engine/relations.sql",
    "engine/time.sql",
    "metrics.sql",
    "recent_trades.sql",
    "settings.sql",
    "trades.sql",
)


def variables(config: DbtConfig) -> dict[str, Any]:
    """The values of `--vars`: those of the installation, and two versions of the project: of all of it
    (`logic_version`), and of the macros that value what is read from the raw zone (`macros_version`)."""
    versions = {"logic_version": logic_version(), "macros_version": macros_version()}
    # Where the tables of another engine are copied to, for the audit and the publication.
    place = {"warehouse_file": str(config.paths.warehouse)} if config.is_spark else {}
    return {**config.variables(), **versions, **place}


def logic_version(project: Path = PROJECT_DIR) -> str:
    """The digest of the models with their contracts, the macros, and the engine: a table of another version is built
    anew, whole."""
    contracts = project / "models"
    files = (
        path
        for path in project_files(project)
        if path.suffix == ".sql"
        or (path.suffix == ".yml" and path.is_relative_to(contracts) and path.parent.name != "_unit_tests")
    )
    return _digest(files, project, metadata.version("duckdb"))


def macros_version(project: Path = PROJECT_DIR) -> str:
    """The digest of the macros behind a bar or an hour of metrics: those of another version are read anew."""
    return _digest((project / "macros" / name for name in VALUING_MACROS), project)


def _digest(files: Iterable[Path], project: Path, beside: str = "") -> str:
    digest = hashlib.sha256(beside.encode())
    for path in files:
        digest.update(f"{path.relative_to(project)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def profile(config: DbtConfig) -> dict[str, Any]:
    """The profile `taker`, one output per target. Holds no secret: keys are read from the environment by dbt."""
    return {"taker": {"target": config.target, "outputs": {config.target: _OUTPUTS[config.target](config)}}}


def _spark(config: DbtConfig) -> dict[str, Any]:
    # In this process (`orchestration.warehouse.spark.session`); `host` is no setting of this method, and required.
    return {"type": "spark", "method": "session", "host": "NA", "schema": SCHEMA, "threads": 2}


def _duckdb(config: DbtConfig) -> dict[str, Any]:
    output: dict[str, Any] = {
        "type": "duckdb",
        "path": str(config.paths.warehouse),
        "threads": os.cpu_count() or 2,
        # What does not fit is written to `warehouse.duckdb.tmp`, beside the file, which `await_warehouse` sweeps.
        "settings": {"TimeZone": "UTC", "memory_limit": config.memory_limit, **_stated_variables(config)},
        # A program that has the warehouse open while a build starts is waited for.
        "retries": {"connect_attempts": 5, "retryable_exceptions": ["IOException"]},
    }
    if wanted := wanted_extensions(config):
        output |= {"extensions": list(wanted), "config_options": connection_options(config)}
    if config.storage.is_s3:
        output["settings"] |= PATIENCE
        output["secrets"] = [config.storage.duckdb_secret()]
    return output


def _lake(config: DbtConfig) -> dict[str, Any]:
    """As for a file, with the lake attached to a database in memory.

    One thread: each model is a commit of the lake, and commits at once conflict in its catalog at times. DuckDB
    computes each statement on all cores all the same.
    """
    output, lake = _duckdb(config), lake_of(config, BUILT)
    attached = {"path": attach_path(lake.config), "alias": NAME, "is_ducklake": True, "options": attach_options(lake)}
    secret = catalog_secret(lake.config, f"{{{{ env_var('{PASSWORD_VARIABLE}', '') | as_text }}}}")
    return output | {
        "path": ":memory:",
        "database": NAME,
        "threads": 1,
        "settings": output["settings"] | {"temp_directory": str(config.paths.spill)},
        "secrets": [*output.get("secrets", ()), secret],
        "attach": [attached],
    }


_OUTPUTS: Final = {DUCKDB: _duckdb, SPARK: _spark, LAKE: _lake}


def _stated_variables(config: DbtConfig) -> dict[str, str]:
    """The variables of a plain `dbt build`, which gets no `--vars`: as variables of the session, and `target.settings`
    of the project's macros (`setting`). Names are joined, and other lists are JSON: without an apostrophe, since
    dbt-duckdb puts each value between two of them."""

    def stated(value: Any) -> str:
        if isinstance(value, str):
            return value
        if value and all(isinstance(each, str) for each in value):
            return ",".join(value)
        return json.dumps(value, ensure_ascii=False).replace("'", "\\u0027")

    return {f"VARIABLE taker_{name}": stated(value) for name, value in config.variables().items()}


def write_profile(config: DbtConfig) -> Path:
    """Write `profiles.yml` when it differs; the folder that dbt takes as `--profiles-dir`."""
    import yaml

    folder = config.paths.dbt
    text = f"# Generated from the TAKER_* settings; edits are overwritten.\n{yaml.safe_dump(profile(config))}"
    path = folder / "profiles.yml"
    if not path.exists() or path.read_bytes() != text.encode():
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as staged:
            staged.write_text(text)
    return folder


def target_dir(config: DbtConfig) -> Path:
    """dbt's artefacts. One folder for all builds: dbt then reuses what it parsed, and nothing piles up."""
    return config.paths.dbt / "target"


def manifest_path(config: DbtConfig) -> Path:
    """Where the project's manifest is: beside it in a checkout, for every state folder; else in the state folder, under
    a name that another release's project has not."""
    if is_checkout(PROJECT_DIR):
        return PROJECT_DIR / "target" / "manifest.json"
    return config.paths.dbt / f"manifest-{project_digest(PROJECT_DIR)}.json"


def engine_environment(config: DbtConfig) -> dict[str, str]:
    """Variables that the engine of a build reads: credentials, and where Spark's configuration is.

    Raises SparkUnusable where there is none, or Spark is not installed.
    """
    return {**config.storage.dbt_environment(), **_ENVIRONMENTS[config.target](config)}


_ENVIRONMENTS: Final[Mapping[str, Callable[[DbtConfig], dict[str, str]]]] = {
    DUCKDB: lambda config: {},
    SPARK: lambda config: {"SPARK_CONF_DIR": str(require_installed(config.spark_conf))},
    LAKE: lambda config: {PASSWORD_VARIABLE: str(parts_of(lake_of(config, BUILT).config).get("password", ""))},
}
