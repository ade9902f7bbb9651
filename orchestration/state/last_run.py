"""What the last run that published had to report, kept for runs that find nothing to do.

Belongs here: the note's content, writing and reading it. Does not: whether anything is to be done
(`orchestration.runs.unchanged`), or when it is written (`orchestration.runs.execution` for the command line,
`orchestration.automation.note_publications` for runs that Dagster started).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from ingestion.raw.durable import atomic_write
from ingestion.raw.receipts import sha256_of
from orchestration.config.paths import Paths

# A check that depends on the clock: made anew by who reads the note.
FRESHNESS: Final = "is_fresh"


@dataclass(frozen=True)
class CheckFinding:
    """A check that did not pass. `blocks`: it kept the marts from being published."""

    asset: str
    name: str
    blocks: bool
    description: str


def note_run(paths: Paths, run_id: str, checks: Sequence[CheckFinding]) -> None:
    """Keep what the run `run_id` that published found, for runs that find nothing to do."""
    kept = [asdict(check) for check in checks if check.name != FRESHNESS]
    note = {"run_id": run_id, "checks": kept, "serving_sha256": sha256_of(paths.serving)}
    with atomic_write(paths.last_run) as staged:
        staged.write_text(json.dumps(note))


def read_note(paths: Paths) -> dict[str, Any]:
    """The note, with `run_id`, `checks` and `serving_sha256`; without a run when it is missing or torn."""
    try:
        note = json.loads(paths.last_run.read_bytes())
        [CheckFinding(**check) for check in note["checks"]]
        return {name: note[name] for name in ("run_id", "checks", "serving_sha256")}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
