"""What another machine has published, made what this machine's own run would have left.

Belongs here: what a run needs of it before it decides that nothing is to be done. Does not: that decision
(`orchestration.runs.unchanged`), how the file is made (`orchestration.warehouse.publish.catch_up`). Imports no
dagster, no dbt.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from orchestration.config.dbt import DbtConfig
from orchestration.report.command import show_report
from orchestration.report.write import report_path
from orchestration.serving.published import PublicationUnreadable, QueryFailed, run_if_any
from orchestration.state.last_run import adopt_note, read_note
from orchestration.state.process import scratch
from orchestration.state.whole import is_whole, note_whole
from orchestration.warehouse.publish.catch_up import catch_up

if TYPE_CHECKING:
    from ingestion.raw.store import ObjectStore


def follow_publication(dbt: DbtConfig, store: ObjectStore) -> str | None:
    """Make this machine's marts.duckdb, the note of its run and the page of the report those of the publication that
    stands on the storage; a sentence where the file was made anew.

    Each by what it is itself: a note that the other machine left later, or a page that failed, is made up for by the
    next run. One that cannot be made stays as it is; the run then goes its usual way.
    """
    paths = dbt.paths
    with scratch(paths) as folder:
        caught = catch_up(paths.serving, store, folder, memory_limit=dbt.memory_limit)
    run_id = run_if_any(paths.serving)
    if run_id is None:
        return caught
    with suppress(PublicationUnreadable, QueryFailed, OSError):
        if caught:
            note_whole(paths.serving)
        # The note states the bytes of the file: of one that something else has written to, it would be no proof.
        if read_note(paths).get("run_id") != run_id and is_whole(paths.serving):
            adopt_note(paths, store, run_id)
        show_report(paths.serving, report_path(paths.serving), browser=False)
    return caught
