"""What the numbers of a publication depend on: its settings, and one fingerprint of everything.

Belongs here: which inputs there are, and the fingerprint. Does not: what follows from equal ones
(`orchestration.runs.unchanged`).

The inputs: the tables that the receipts' index consists of, which name the sha256 of every stored object; the settings
that dbt and the publication get; this project's own code, models, seeds and suites; the versions of what runs them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ingestion.raw.zone import COVERAGE_KEY, DEFECTS_KEY, INDEX_KEY
from orchestration.warehouse.place import Warehouse, opened

if TYPE_CHECKING:
    from ingestion.raw.store import ObjectStore
    from orchestration.config.scope import Scope

# The name of the fingerprint in the settings of a publication.
INPUTS: Final = "inputs_sha256"

_ROOT: Final = Path(__file__).resolve().parents[3]
_CODE: Final = ("ingestion", "orchestration", "dbt_project")
# Templates and styles too: the report belongs to the publication.
_SUFFIXES: Final = (".py", ".sql", ".yml", ".csv", ".md", ".j2", ".css", ".js")
_GENERATED: Final = ("target", "logs", "dbt_packages", "__pycache__")
_PACKAGES: Final = ("dbt-core", "dbt-duckdb", "duckdb", "great-expectations", "pandas", "pyarrow", "taker")
_INDEX_KEYS: Final = (INDEX_KEY, COVERAGE_KEY, DEFECTS_KEY)


def published_settings(scope: Scope, target: str) -> dict[str, Any]:
    """The settings a number depends on. No address that could carry a password, no key."""
    return {
        "markets": scope.market_ids,
        "kline_interval": list(scope.kline_intervals),
        "trades_dataset": scope.trades_dataset,
        "first_day": scope.first_day.isoformat(),
        "target": target,
    }


def judged_by_sha256(settings: Mapping[str, Any], dbt_vars: Mapping[str, Any]) -> str:
    """The fingerprint of what judges and builds a publication, and not of the data that it is made of.

    Where it differs, what was judged before is judged again. `settings` and `dbt_vars` as below.
    """
    return _sha256([dict(settings), dict(dbt_vars), code_sha256(), _versions()])


def index_sha256(store: ObjectStore) -> str:
    """The fingerprint of the tables that the receipts' index consists of; StorageError when they cannot be read."""
    return _sha256({key: hashlib.sha256(store.get_bytes(key) or b"").hexdigest() for key in _INDEX_KEYS})


def days_read(warehouse: Warehouse) -> int:
    """How many stored days of the raw zone this warehouse was built from, as its copy of the index has them."""
    import duckdb

    try:
        with opened(warehouse) as connection:
            found = connection.execute("select count(*) from base_raw__receipts where status = 'stored'").fetchone()
    except duckdb.CatalogException:  # never built
        return 0
    return int(found[0]) if found else 0


def inputs_sha256(
    index: str, settings: Mapping[str, Any], dbt_vars: Mapping[str, Any], postgres_url: str | None
) -> str:
    """The fingerprint of what a publication is made of.

    `index`: the fingerprint of the index that its build read. `settings`: those that the publication states.
    `dbt_vars`: those of the build. `postgres_url`: where it goes beside the files; only its fingerprint goes in.
    """
    target = hashlib.sha256((postgres_url or "").encode()).hexdigest()
    return _sha256([index, dict(settings), dict(dbt_vars), target, code_sha256(), _versions()])


def _sha256(inputs: Any) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()


@cache
def code_sha256() -> str:
    """The fingerprint of this project's own code, models, seeds and suites."""
    digest = hashlib.sha256()
    for path in sorted(path for name in _CODE for path in _files(_ROOT / name)):
        digest.update(f"{path.relative_to(_ROOT).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for found in folder.iterdir():
        if found.is_dir():
            if found.name not in _GENERATED:
                yield from _files(found)
        elif found.suffix in _SUFFIXES:
            yield found


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found
