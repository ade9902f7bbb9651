"""What another machine has published, made what this machine's own run would have left.

Belongs here: what a run needs of it before it decides that nothing is to be done. Does not: that decision
(`orchestration.runs.unchanged`), how the file is made (`orchestration.warehouse.publish.catch_up`). Imports no
dagster, no dbt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.config.dbt import DbtConfig
from orchestration.report.write import report_path
from orchestration.serving.published import run_of
from orchestration.state.last_run import adopt_note
from orchestration.state.process import scratch
from orchestration.warehouse.publish.catch_up import catch_up

if TYPE_CHECKING:
    from ingestion.raw.store import ObjectStore


def caught_up(dbt: DbtConfig, store: ObjectStore) -> str | None:
    """This machine's marts.duckdb, the page of the report and the note of the run as those of the publication that
    stands on the storage, where it is a later one; then what was done, as a sentence."""
    paths = dbt.paths
    with scratch(paths) as folder:
        caught = catch_up(paths.serving, store, folder, memory_limit=dbt.memory_limit)
    if caught is not None:
        from orchestration.report.command import show_report

        adopt_note(paths, store, run_of(paths.serving))
        show_report(paths.serving, report_path(paths.serving), browser=False)
    return caught
