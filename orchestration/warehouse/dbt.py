"""dbt from the outside: its project, generated profile, manifest and arguments.

Belongs here: everything needed to start dbt. Does not: SQL (`dbt_project`), Dagster (`orchestration.defs`), the command
line of these builds (`orchestration.runs.dbt`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from ingestion.raw.durable import atomic_write, sweep
from orchestration.config.dbt import DbtConfig
from orchestration.config.paths import Paths
from orchestration.config.storage import Storage
from orchestration.state.healing import NotDamaged, duckdb_fault, set_aside
from orchestration.state.locks import DEFAULT_WAIT_SECONDS, Report, Workplace
from orchestration.state.process import scratch
from orchestration.warehouse.child import DBT_COMMAND as DBT_COMMAND
from orchestration.warehouse.parsed import project_files
from orchestration.warehouse.s3_reads import PATIENCE

PROJECT_DIR: Final = Path(__file__).resolve().parents[2] / "dbt_project"
MANIFEST_PATH: Final = PROJECT_DIR / "target" / "manifest.json"
_SOURCES: Final = (".sql", ".yml", ".yaml", ".csv", ".md")
_GENERATED: Final = ("target", "logs", "dbt_packages")
# How long to wait for another program that has the warehouse open.
_LOCK_PATIENCE_SECONDS: Final = 15.0
_HOLDER: Final = re.compile(r"Conflicting lock is held in (.+?)\.(?: See also|$)", re.MULTILINE)
_TRACEBACK: Final = re.compile(
    r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n(?=[ \t]))*(?:\S.*(?:\n|\Z))?", re.MULTILINE
)
_KILLED: Final = re.compile(r"dbt CLI process with command.*failed with exit code `-(\d+)`", re.DOTALL)
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_BETWEEN_TRACEBACKS: Final = re.compile(
    r"^(?:During handling of the above exception, another exception occurred|"
    r"The above exception was the direct cause of the following exception):\n?",
    re.MULTILINE,
)
# The commands of dbt that do not open the warehouse, beside `docs serve`: they wait for no other process.
_WITHOUT_WAREHOUSE: Final = ("clean", "deps", "init", "list", "ls", "parse")
# The tables of which a build keeps rows (materialized `incremental` or `changed_rows`), and the note of what they are.
KEPT_TABLES: Final = (
    "int_flow_bars",
    "int_archive_bars",
    "int_kline_buckets",
    "int_market_bars",
    "int_forward_returns",
    "int_spike_values",
    "int_spike_ranks",
    "int_built_days",
    "fct_net_taker_volume_hourly",
    "fct_taker_spike_ranks",
)
# What a build reads of the last one beside them: the notes of what was built, and rows that need not be read again.
FORMER_TABLES: Final = (
    "int_bar_days",
    "int_build_window",
    "int_built_receipts",
    "int_kline_days",
    "int_market_bar_days",
    "int_metrics_hours",
    "int_raw_row_counts",
    "int_spike_changes",
)
# The files of macros that decide what a trade, a kline or a metric is worth, or which of them are read.
VALUING_MACROS: Final = (
    "amounts.sql",
    "bars.sql",
    "engine/aggregates.sql",
    "engine/exact_quotient.sql",
    "engine/raw_relation.sql",
    "engine/time.sql",
    "metrics.sql",
    "recent_trades.sql",
    "settings.sql",
    "trades.sql",
)
# The commands of dbt that compile the project.
_TAKES_VARS: Final = ("build", "compile", "docs", "list", "ls", "parse", "run", "seed", "show", "test")
# The type of the prices in `int_flow_bars`.
BAR_PRICE_TYPE: Final = "DECIMAL(38,18)"


class ManifestMissing(Exception):
    """The definitions were loaded before dbt's manifest was built."""


class DbtFailed(Exception):
    """A dbt command that should always succeed did not. The text ends with the output of dbt."""


class WarehouseLocked(Exception):
    """Another program has the warehouse open. The text names the file, the program and what to do."""


class WarehouseUnusable(Exception):
    """The warehouse is no database that can be opened. The text states why and what to do."""


def variables(config: DbtConfig) -> dict[str, Any]:
    """The values of `--vars`: those of the installation, and two versions of the project: of all of it
    (`logic_version`), and of the macros that value what is read from the raw zone (`macros_version`)."""
    return {**config.variables(), "logic_version": logic_version(), "macros_version": macros_version()}


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
    output: dict[str, Any] = {
        "type": "duckdb",
        "path": str(config.paths.warehouse),
        "threads": os.cpu_count() or 2,
        # What does not fit is written to `warehouse.duckdb.tmp`, beside the file, which `await_warehouse` sweeps.
        "settings": {"TimeZone": "UTC", "memory_limit": config.memory_limit},
        # A program that has the warehouse open while a build starts is waited for.
        "retries": {"connect_attempts": 5, "retryable_exceptions": ["IOException"]},
    }
    if config.storage.is_s3:
        output |= {
            "extensions": ["httpfs"],
            "config_options": connection_options(config),
            "settings": {**output["settings"], **PATIENCE},
            "secrets": [config.storage.duckdb_secret()],
        }
    return {"taker": {"target": config.target, "outputs": {"duckdb": output}}}


def connection_options(config: DbtConfig) -> dict[str, Any]:
    """How DuckDB finds its extensions: in our folder, never in the network."""
    return {"extension_directory": str(config.paths.dbt / "extensions"), "autoinstall_known_extensions": "false"}


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


def install_extensions(config: DbtConfig) -> None:
    """Copy httpfs from its wheel to where the profile looks, so that nothing is ever downloaded."""
    if not config.storage.is_s3:
        return
    import duckdb
    from duckdb_extensions import import_extension

    directory = config.paths.dbt / "extensions"
    directory.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"extension_directory": str(directory)}) as connection:
        import_extension("httpfs", con=connection)


def await_warehouse(paths: Paths, patience: float = _LOCK_PATIENCE_SECONDS) -> str | None:
    """Return once the warehouse can be written, or raise WarehouseLocked after `patience` seconds.

    A damaged file is set aside, and the sentence about it returned: the build makes everything anew. For the process
    that holds the lock over builds. Programs that are no part of Taker do not take that lock: dbt would try for minutes
    to open what they have open, and report it with the tracebacks of every attempt.
    """
    path = paths.warehouse
    deadline = time.monotonic() + patience
    while path.exists():
        try:
            fault = duckdb_fault(path, (*KEPT_TABLES, *FORMER_TABLES))
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


def bars_are_outdated(warehouse: Path) -> bool:
    """Whether the bars that stand, or the note of what they were built from, are of another shape than today's: then
    all are built anew.

    DuckDB cannot change a column's type in the transaction that also deletes rows, which dbt would try. Of a note that
    cannot be compared, bars of days that are gone would stay.
    """
    import duckdb

    if not warehouse.exists():
        return False
    with duckdb.connect(str(warehouse)) as connection:
        held = connection.execute(
            "select table_name, column_name, data_type from duckdb_columns() "
            "where table_name in ('int_flow_bars', 'int_built_receipts')"
        ).fetchall()
    types = {(table, column): data_type for table, column, data_type in held}
    if types.get(("int_flow_bars", "open_price"), BAR_PRICE_TYPE) != BAR_PRICE_TYPE:
        return True
    has_note = any(table == "int_built_receipts" for table, _ in types)
    return has_note and ("int_built_receipts", "build_id") not in types


def killed_sentence(text: str) -> str | None:
    """What a dbt that a signal has ended left of a build, from the error of its step; None for any other error."""
    found = _KILLED.search(text)
    if found is None:
        return None
    number = int(found[1])
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    memory = "; a machine that runs out of memory does that" if name == "SIGKILL" else ""
    return f"dbt was ended by {name}{memory}; nothing of this build is published. Run the same command again"


def without_tracebacks(text: str, most_lines: int = 15) -> str:
    """What a failed command reported, without colours, tracebacks and repeated lines; of much, the beginning."""
    text = _BETWEEN_TRACEBACKS.sub("", _TRACEBACK.sub("", f"{_COLOURS.sub('', text).strip()}\n"))
    reported = (line.rstrip() for line in text.splitlines() if line.strip() not in ("", "Encountered an error:"))
    lines = list(dict.fromkeys(reported))
    if len(lines) > most_lines:
        more = len(lines) - most_lines
        lines = [*lines[:most_lines], f"… and {more:,} more lines; the run in Dagster (`taker ui`) has all of them"]
    return "\n".join(lines)


def build_args(dbt_vars: Mapping[str, Any], *, full_refresh: bool = False) -> list[str]:
    """One `dbt build`. Unit tests belong to the test suite: a run's variables would leak into their fixtures.

    Its manifest and results are not written: the manifest is the project's, and the results are Dagster's events.
    """
    args = ["build", "--exclude-resource-type", "unit_test", "--no-write-json", "--vars", json.dumps(dbt_vars)]
    return [*args, "--full-refresh"] if full_refresh else args


def nodes_to_build(manifest: Mapping[str, Any]) -> int:
    """How many nodes `dbt build` will report on."""
    return sum(
        node["resource_type"] in ("model", "seed", "snapshot", "test") and node["config"]["materialized"] != "ephemeral"
        for node in manifest["nodes"].values()
    )


def marts_in(manifest: Mapping[str, Any]) -> list[str]:
    """Names of the models below `models/marts`, sorted."""
    return sorted(
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and "marts" in node["fqn"][1:-1]
    )


def load_manifest(path: Path = MANIFEST_PATH) -> dict[str, Any]:
    """The manifest, or ManifestMissing with the command that builds it."""
    if not path.is_file():
        raise ManifestMissing("dbt's manifest.json is missing; run `make manifest`")
    manifest = _read_manifest(path)
    if manifest is None:
        raise ManifestMissing("dbt's manifest.json is damaged; run `make manifest`")
    return manifest


def _read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest; None for a torn file."""
    try:
        manifest = json.loads(path.read_bytes())
    except ValueError:
        return None
    return manifest if isinstance(manifest, dict) and "nodes" in manifest else None


def manifest_is_stale(project: Path = PROJECT_DIR, manifest: Path = MANIFEST_PATH) -> bool:
    """The manifest is missing or torn, or a file of the project was written, added or removed after it was built."""
    if not manifest.is_file() or _read_manifest(manifest) is None:
        return True
    built = manifest.stat().st_mtime
    for folder, folders, files in os.walk(project):
        folders[:] = [name for name in folders if name not in _GENERATED and not name.startswith(".")]
        # A folder's own time changes with removed files; the root's does not count, since `target` lies in it.
        if Path(folder) != project and Path(folder).stat().st_mtime > built:
            return True
        if any(name.endswith(_SOURCES) and (Path(folder) / name).stat().st_mtime > built for name in files):
            return True
    return False


def build_manifest(config: DbtConfig) -> Path:
    """Parse the project and leave `target/manifest.json`. About five seconds; DbtFailed quotes dbt's output."""
    # With the variables and the target folder of the builds, so that these reuse what was parsed here.
    _run(["parse", "--vars", json.dumps(variables(config)), "--target-path", str(target_dir(config))], config)
    MANIFEST_PATH.parent.mkdir(exist_ok=True)
    sweep(MANIFEST_PATH.parent, deeply=False)
    with atomic_write(MANIFEST_PATH) as staged:
        shutil.copyfile(target_dir(config) / "manifest.json", staged)
    return MANIFEST_PATH


def ensure_manifest(config: DbtConfig) -> None:
    """Build the manifest if it is missing or older than the project."""
    if manifest_is_stale():
        build_manifest(config)


def build_docs(config: DbtConfig) -> Path:
    """dbt's documentation as one page that needs no server: lineage, and every column with type and description.

    It is read from a database that holds every table and no row, built for the purpose and thrown away: so it needs no
    data, and does not lock the warehouse. About half a minute; DbtFailed quotes the output of dbt.
    """
    with scratch(config.paths) as folder:
        empty = replace(config, paths=Paths(folder), storage=Storage(str(folder)))
        dbt_vars = ["--vars", json.dumps(variables(empty))]
        _run(["build", "--empty", "--exclude-resource-type", "test", "unit_test", *dbt_vars], empty)
        _run(["docs", "generate", "--static", *dbt_vars], empty)
        page = config.paths.docs_page
        page.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(page) as staged:
            shutil.copyfile(target_dir(empty) / "static_index.html", staged)
    return page


def run_dbt(
    args: Sequence[str],
    config: DbtConfig,
    *,
    wait: float = DEFAULT_WAIT_SECONDS,
    report: Report = lambda text: None,
) -> int:
    """dbt as its users know it, on this warehouse and raw zone; its exit code. Output goes to the terminal.

    Waits for a run that builds, at most `wait` seconds, and gives `report` the sentences. Raises Busy,
    WarehouseLocked or WarehouseUnusable when the warehouse cannot be opened, DbtFailed for arguments that would
    contradict the settings.
    """
    if any(arg.split("=")[0] == "--vars" for arg in args):
        raise DbtFailed("--vars is made from the TAKER_* settings; change these instead")
    config.paths.warehouse.parent.mkdir(parents=True, exist_ok=True)
    # `docs serve`, `clean` and similar commands take no variables.
    is_server = list(args[:2]) == ["docs", "serve"]
    has_vars = args[:1] and args[0] in _TAKES_VARS and not is_server
    dbt_vars = ["--vars", json.dumps(variables(config))] if has_vars else []
    with contextlib.closing(Workplace(config.paths, wait)) as workplace:
        if not (is_server or set(args) & {"--help", "-h", "--version"} or (args and args[0] in _WITHOUT_WAREHOUSE)):
            workplace.hold_warehouse(report)
            if set_aside_text := await_warehouse(config.paths):
                report(set_aside_text)
        command, environment = _invocation([*args, *dbt_vars], config)
        return subprocess.run(command, env=environment, cwd=PROJECT_DIR, check=False).returncode


def _run(args: Sequence[str], config: DbtConfig) -> None:
    command, environment = _invocation(["--no-use-colors", *args], config)
    done = subprocess.run(command, env=environment, cwd=PROJECT_DIR, capture_output=True, text=True, check=False)
    if done.returncode:
        output = (done.stdout + done.stderr).strip()
        raise DbtFailed(f"`dbt {args[0]}` failed; its output:\n{output}")


def _invocation(args: Sequence[str], config: DbtConfig) -> tuple[list[str], dict[str, str]]:
    """Command line and environment of dbt: where its project, profile, target folder and credentials are."""
    install_extensions(config)
    environment = {
        **os.environ,
        **config.storage.dbt_environment(),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "DBT_LOG_PATH": str(target_dir(config)),
        "DBT_TARGET_PATH": str(target_dir(config)),
    }
    command = [
        *DBT_COMMAND,
        *args,
        "--project-dir",
        str(PROJECT_DIR),
        "--profiles-dir",
        str(write_profile(config)),
        # Named as Dagster names them, although they are the defaults: dbt parses anew when they differ.
        "--profile",
        "taker",
        "--target",
        config.target,
    ]
    return command, environment
