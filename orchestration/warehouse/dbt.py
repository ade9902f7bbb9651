"""dbt from the outside: its manifest, its arguments, and starting it.

Belongs here: everything needed to start dbt. Does not: what it is given (`orchestration.warehouse.profile`), SQL
(`dbt_project`), Dagster (`orchestration.defs`), the command line of these builds (`orchestration.runs.dbt`).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ingestion.raw.durable import atomic_write, sweep
from orchestration.config.dbt import DbtConfig
from orchestration.config.paths import Paths
from orchestration.config.storage import Storage
from orchestration.state.locks import DEFAULT_WAIT_SECONDS, Report, Workplace
from orchestration.state.process import scratch
from orchestration.warehouse.child import DBT_COMMAND as DBT_COMMAND
from orchestration.warehouse.engines import alone_of, await_writable, require_engine
from orchestration.warehouse.extensions import install_extensions
from orchestration.warehouse.profile import (
    PROJECT_DIR,
    engine_environment,
    manifest_path,
    target_dir,
    variables,
    write_profile,
)

_SOURCES: Final = (".sql", ".yml", ".yaml", ".csv", ".md")
_GENERATED: Final = ("target", "logs", "dbt_packages")
# The commands of dbt that do not open the warehouse, beside `docs serve`: they wait for no other process.
_WITHOUT_WAREHOUSE: Final = ("clean", "deps", "init", "list", "ls", "parse")
# The commands of dbt that compile the project.
_TAKES_VARS: Final = (
    *("build", "clone", "compile", "docs", "list", "ls", "parse", "retry", "run", "run-operation", "seed", "show"),
    *("snapshot", "source", "test"),
)
_COMMANDS: Final = {*_WITHOUT_WAREHOUSE, *_TAKES_VARS, "debug"}


class ManifestMissing(Exception):
    """The definitions were loaded before dbt's manifest was built."""


class DbtFailed(Exception):
    """A dbt command that should always succeed did not. The text ends with the output of dbt."""


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


def load_manifest(path: Path) -> dict[str, Any]:
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


def manifest_is_stale(project: Path, manifest: Path) -> bool:
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
    """Parse the project and leave its manifest. About five seconds; DbtFailed quotes dbt's output."""
    # With the variables and the target folder of the builds, so that these reuse what was parsed here.
    _run(["parse", "--vars", json.dumps(variables(config)), "--target-path", str(target_dir(config))], config)
    path = manifest_path(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    for former in path.parent.glob("manifest-*.json"):  # of other releases
        former.unlink(missing_ok=True)
    sweep(path.parent, deeply=False)
    with atomic_write(path) as staged:
        shutil.copyfile(target_dir(config) / "manifest.json", staged)
    return path


def ensure_manifest(config: DbtConfig) -> None:
    """Build the manifest if it is missing or older than the project."""
    if manifest_is_stale(PROJECT_DIR, manifest_path(config)):
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
    WarehouseLocked or WarehouseUnusable when the warehouse or its engine cannot be used, DbtFailed for arguments that
    would contradict the settings.
    """
    if any(arg.split("=")[0] == "--vars" for arg in args):
        raise DbtFailed("--vars is made from the TAKER_* settings; change these instead")
    config.paths.warehouse.parent.mkdir(parents=True, exist_ok=True)
    command = _command_of(args)
    # `docs serve`, `clean` and similar commands take no variables.
    is_server = command == "docs" and "serve" in args
    dbt_vars = ["--vars", json.dumps(variables(config))] if command in _TAKES_VARS and not is_server else []
    with contextlib.closing(Workplace(config.paths, wait, alone_of(config))) as workplace:
        if not (is_server or set(args) & {"--help", "-h", "--version"} or command in _WITHOUT_WAREHOUSE):
            require_engine(config)
            workplace.hold_warehouse(report)
            if set_aside_text := await_writable(config):
                report(set_aside_text)
        command_line, environment = _invocation([*args, *dbt_vars], config)
        return subprocess.run(command_line, env=environment, cwd=PROJECT_DIR, check=False).returncode


def _command_of(args: Sequence[str]) -> str | None:
    """Which of dbt's commands is started: options may stand before it too (`--debug build`). None: none of them."""
    return next((arg for arg in args if arg in _COMMANDS), None)


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
        **engine_environment(config),
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
