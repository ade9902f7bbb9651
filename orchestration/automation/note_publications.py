"""The sensor `note_publications`: a publication from the UI leaves the note that one of `taker run` leaves.

With it the next `taker run` finds out that it has nothing to do, and reports what that publication's checks found.

Belongs here: which runs are noted. Does not: the note (`orchestration.state.last_run`).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import dagster as dg

from ingestion.domain.errors import StorageError
from ingestion.raw.receipts import sha256_of
from orchestration.automation.jobs import Jobs
from orchestration.config.paths import Paths
from orchestration.defs.publish import evaluations
from orchestration.resources import StorageResource
from orchestration.serving.published import NothingPublished, PublicationUnreadable, QueryFailed, query
from orchestration.state.last_run import CheckFinding, note_run, read_note
from orchestration.warehouse.publish.database import PUBLICATION
from orchestration.warehouse.publish.parquet import latest_manifest

if TYPE_CHECKING:
    from ingestion.raw.store import ObjectStore


def note_sensor(paths: Paths, storage: StorageResource, jobs: Jobs) -> dg.SensorDefinition:
    """Running by default: it reads Dagster's own records and the publication."""

    @dg.run_status_sensor(
        dg.DagsterRunStatus.SUCCESS,
        name="note_publications",
        monitored_jobs=[jobs.build],
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Keeps what a publication's checks found, so that the next `taker run` knows that nothing is to be "
        "done. It reads and stores an object beside the publication.",
    )
    def note_publications(context: dg.RunStatusSensorContext) -> dg.SkipReason:
        run_id = context.dagster_run.run_id
        return dg.SkipReason(noted(paths, storage.store(), run_id, evaluations(context.instance, run_id).values()))

    return note_publications


def noted(paths: Paths, store: "ObjectStore", run_id: str, found: Iterable[dg.AssetCheckEvaluation]) -> str:
    """Note the run if its publication is the one that stands, here and on the storage, where other machines may have
    published since; a sentence for the sensor's tick."""
    try:
        _, ((standing,),) = query(paths.serving, f"select run_id from {PUBLICATION}")
        of_storage = (latest_manifest(store) or {}).get("run_id")
    except (NothingPublished, PublicationUnreadable, QueryFailed, StorageError) as error:
        return str(error)
    if {standing, of_storage} != {run_id}:
        other = standing if standing != run_id else of_storage
        return f"the publication that stands is of another run, {other}"
    if read_note(paths).get("run_id") == run_id:
        return "noted by the run itself"
    note_run(paths, store, run_id, findings(found), sha256_of(paths.serving))
    return f"noted run {run_id}"


def findings(found: Iterable[dg.AssetCheckEvaluation]) -> list[CheckFinding]:
    """The checks that did not pass."""
    return [
        CheckFinding(
            asset=evaluation.asset_key.to_user_string(),
            name=evaluation.check_name,
            blocks=evaluation.severity is dg.AssetCheckSeverity.ERROR,
            description=evaluation.description or "",
        )
        for evaluation in found
        if not evaluation.passed
    ]
