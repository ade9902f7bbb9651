"""What the last run that published had to report, kept for runs that find nothing to do.

    serving/last_run.json     on the storage: the run, and its checks; for each machine that publishes there
    last_run.json             in the state folder: the same, and the sha256 of the marts.duckdb of this machine

Belongs here: the note's content, writing and reading it. Does not: whether anything is to be done
(`orchestration.runs.unchanged`), or when it is written (`orchestration.runs.execution` for the command line,
`orchestration.automation.note_publications` for runs that Dagster started).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from ingestion.domain.errors import StorageError
from ingestion.raw.durable import atomic_write
from ingestion.raw.receipts import sha256_of
from orchestration.config.paths import Paths

if TYPE_CHECKING:
    from ingestion.raw.store import ObjectStore

SHARED: Final = "serving/last_run.json"
# A check that depends on the clock: made anew by who reads the note.
FRESHNESS: Final = "is_fresh"


@dataclass(frozen=True)
class CheckFinding:
    """A check that did not pass. `blocks`: it kept the marts from being published."""

    asset: str
    name: str
    blocks: bool
    description: str


def note_run(
    paths: Paths, store: ObjectStore, run_id: str, checks: Sequence[CheckFinding], serving_sha256: str
) -> None:
    """Keep what the run `run_id` that published found, for runs that find nothing to do.

    `serving_sha256`: of the marts.duckdb that it left. A storage that refuses the note does not fail the run: another
    machine then goes its usual way once.
    """
    kept = [asdict(check) for check in checks if check.name != FRESHNESS]
    with suppress(StorageError):
        store.put_bytes(SHARED, json.dumps({"run_id": run_id, "checks": kept}).encode())
    _keep(paths, run_id, kept, serving_sha256)


def adopt_note(paths: Paths, store: ObjectStore, run_id: str) -> None:
    """Make the note of the run `run_id` that another machine left on the storage this machine's, where there is one."""
    with suppress(StorageError):
        note = _checked(store.get_bytes(SHARED) or b"")
        if note.get("run_id") == run_id:
            _keep(paths, run_id, note["checks"], sha256_of(paths.serving))


def read_note(paths: Paths) -> dict[str, Any]:
    """The note, with `run_id`, `checks` and `serving_sha256`; without a run when it is missing or torn."""
    try:
        return _checked(paths.last_run.read_bytes())
    except OSError:
        return {}


def _keep(paths: Paths, run_id: str, checks: Sequence[dict[str, Any]], serving_sha256: str) -> None:
    note = {"run_id": run_id, "checks": checks, "serving_sha256": serving_sha256}
    with atomic_write(paths.last_run) as staged:
        staged.write_text(json.dumps(note))


def _checked(content: bytes) -> dict[str, Any]:
    """The note that these bytes are; an empty one for none, or a torn one."""
    try:
        note = json.loads(content)
        [CheckFinding(**check) for check in note["checks"]]
        return {"run_id": note["run_id"], "checks": note["checks"], "serving_sha256": note.get("serving_sha256")}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
