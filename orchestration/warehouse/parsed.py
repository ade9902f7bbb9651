"""The dbt project as dbt parsed it, kept for every state folder and started from.

Belongs here: keeping dbt's parsed project, and deciding whether it still is the project. Does not: starting dbt
(`orchestration.warehouse.child`).

Parsing takes dbt ten seconds of CPU, and dbt does it again for every other warehouse file, raw zone and profile, since
any of them may change what is parsed. Here none does: `raw_url`, the intervals and the trades dataset are texts of the
SQL that is rendered when a model runs, and never decide on a reference or a configuration (a test holds that). dbt's
own interface takes a parsed project (`dbtRunner(manifest=…)`); the command line's context is the same one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ingestion.raw.durable import sweep
from orchestration.config.dbt import DUCKDB, SPARK
from orchestration.state.garbage import loading, look_seldom
from orchestration.state.own_files import read_own, write_own

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

    from orchestration.warehouse.spark.image import Descriptions

# Of dbt's commands, those that change tables, and those that run SQL.
_WRITING: Final = frozenset({"build", "run", "seed"})
_CONNECTING: Final = frozenset({"build", "compile", "docs", "run", "seed", "show", "test"})
_GENERATED: Final = ("target", "logs", "dbt_packages")
_KEPT: Final = "parsed-{}-{}.msgpack"


def project_files(project: Path) -> Iterator[Path]:
    """Every file that dbt may read of the project, in a fixed order."""
    for folder, folders, files in os.walk(project):
        folders[:] = sorted(name for name in folders if name not in _GENERATED and not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))


def is_checkout(project: Path) -> bool:
    """Whether what is made of the project may lie beside it; an installed one's folder is the package manager's."""
    return (project.parent / "pyproject.toml").is_file()


def project_digest(project: Path) -> str:
    """The content of all files, and dbt's version. A release may install files with the times of former ones."""
    digest = hashlib.sha256(version("dbt-core").encode())
    for path in project_files(project):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(project)}\0{content}\n".encode())
    return digest.hexdigest()[:16]


def parsed_path(project: Path, target: str = DUCKDB, *, folder: Path | None = None) -> Path:
    """Where the project lies as it was parsed for a target, whose adapter brings macros of its own. Its name holds the
    digest of the project. `folder`: where it is kept, if not beside the project."""
    return (folder or project / "target") / _KEPT.format(target, project_digest(project))


def load_parsed(path: Path) -> Manifest | None:
    """The parsed project at `path`; None where there is none, or none that this dbt can read."""
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder

    with loading():
        try:
            manifest: Manifest = Manifest.from_msgpack(read_own(path) or b"", decoder=extended_mashumuro_decoder)
        except Exception:  # torn, or of another dbt: dbt parses anew, which is slower and right
            return None
        manifest.build_parent_and_child_maps()  # type: ignore[no-untyped-call]
        manifest.build_flat_graph()  # type: ignore[no-untyped-call]
        return manifest


def keep_parsed(path: Path, target: Path, since: float) -> None:
    """Keep what dbt has parsed into its folder `target` since that time, in place of former states of the project.

    What is older may be of a former state: a dbt that failed early has not looked at it. Without permission to write
    beside the project, every state folder is parsed on its own, as dbt would.
    """
    fresh = target / "partial_parse.msgpack"
    try:
        if read_own(path) is not None or fresh.stat().st_mtime < since:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        for former in path.parent.glob(_KEPT.format(path.name.split("-")[1], "*")):
            former.unlink(missing_ok=True)
        sweep(path.parent, deeply=False)
        write_own(path, fresh.read_bytes())
    except OSError:
        return


def import_dbt() -> None:
    """Import what every build of dbt imports."""
    look_seldom()
    with loading():
        for module in ("dbt.cli.main", "dbt.task.build", "dbt.adapters.duckdb", "orchestration.warehouse.dbt_nodes"):
            import_module(module)


def run_dbt(args: Sequence[str], loaded: Mapping[Path, Manifest | None] = MappingProxyType({})) -> None:
    """dbt's command line in this process, as `dbt ARGS` would run: it ends with SystemExit.

    A build starts from the parsed project where one is kept, and keeps it where none is. `loaded`: what was read of
    kept ones already, by path.
    """
    import_dbt()
    from dbt.cli.main import cli

    from orchestration.warehouse.dbt_nodes import cheapen_nodes
    from orchestration.warehouse.events import take_events
    from orchestration.warehouse.prepared import NOTHING, keep_prepared, load_prepared, prepared_path, use_prepared

    take_events()
    began = time.time()
    output = _option(args, "--target") or DUCKDB
    project = Path(_option(args, "--project-dir") or os.getcwd())
    artefacts = _option(args, "--target-path")
    path = parsed_path(project, output, folder=None if is_checkout(project) or not artefacts else Path(artefacts))
    manifest = (loaded.get(path) or load_parsed(path)) if {"build", "run", "test"} & set(args) else None
    prepared = load_prepared(prepared_path(path))
    use_prepared(prepared or NOTHING)
    if manifest is not None:
        cheapen_nodes()
    with _engine(args, output, lambda: _descriptions(manifest or load_parsed(path))):
        try:
            cli(list(args), prog_name="dbt", obj={} if manifest is None else {"manifest": manifest})
        except SystemExit:
            if manifest is None and artefacts:
                keep_parsed(path, Path(artefacts), began)
            if manifest is not None and prepared is None:
                keep_prepared(prepared_path(path), manifest)
            raise


def _engine(
    args: Sequence[str], output: str, descriptions: Callable[[], Descriptions]
) -> contextlib.AbstractContextManager[None]:
    """What the target's engine needs around a dbt that connects to it."""
    dbt_vars = json.loads(_option(args, "--vars") or "{}")
    # `docs serve` takes no variables, and needs no session.
    if output != SPARK or "raw_url" not in dbt_vars or not _CONNECTING & set(args):
        return contextlib.nullcontext()
    from orchestration.warehouse.spark.build import session_of

    writes = bool(_WRITING & set(args))
    return session_of(args, dbt_vars["raw_url"], Path(dbt_vars["warehouse_file"]) if writes else None, descriptions)


def _descriptions(manifest: Manifest | None) -> dict[str, tuple[str, dict[str, str]]]:
    """Of each table that dbt makes, and of its columns."""
    nodes = manifest.nodes.values() if manifest else ()
    return {
        node.name: (node.description, {name: column.description for name, column in node.columns.items()})
        for node in nodes
        if node.resource_type in ("model", "seed")
    }


def _option(args: Sequence[str], name: str) -> str | None:
    """The value of an option that dbt is started with; None where it is left out."""
    return args[args.index(name) + 1] if name in args[:-1] else None
