"""Publication as an asset: audited marts become what people read, all at once or not at all.

Belongs here: the asset, and which outcomes of the audit it requires. Does not: how marts are copied, stored and
switched (`orchestration.warehouse.publish`), what makes a mart good (`orchestration.checks`, dbt tests).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import pyarrow.compute as pc

from orchestration.config.dbt import DbtConfig
from orchestration.config.scope import Scope
from orchestration.defs.raw import simulated_label
from orchestration.progress import Progress
from orchestration.resources import StorageResource, waiting
from orchestration.state.locks import DEFAULT_WAIT_SECONDS, Workplace
from orchestration.state.whole import note_whole
from orchestration.warehouse.audit.gx import Judge
from orchestration.warehouse.audit.window import AUDITED, statement_of
from orchestration.warehouse.engines import cluster_of, named, team_lake, warehouse_of
from orchestration.warehouse.publish.inputs import (
    INPUTS,
    days_read,
    inputs_sha256,
    judged_by_sha256,
    published_settings,
)
from orchestration.warehouse.publish.parquet import LATEST, STABLE
from orchestration.warehouse.standing import NOTHING_STANDS

if TYPE_CHECKING:
    from ingestion.raw.store import ObjectStore
    from ingestion.raw.zone import RawZone
    from orchestration.warehouse.publish.publication import Publication

# The step that audits, its option, and the names of what its checks state of what they judged.
AUDIT: Final = "audit"
IS_FULL: Final = "full_audit"
JUDGED: Final = "judged"
PUBLISHED_KEY: Final = dg.AssetKey(["published", "marts"])
# The archive has a day from 02:30 UTC on, and the build follows. What is in a publication is judged by `is_fresh`.
PUBLISHED_DAILY: Final = dg.FreshnessPolicy.cron("0 12 * * *", lower_bound_delta=timedelta(hours=12), timezone="UTC")
_DESCRIPTION: Final = (
    "serving/marts.duckdb, serving/latest.json with its Parquet files, and PostgreSQL if there is one: "
    "the audited marts, switched over at once."
)


def published_asset(
    marts: Mapping[str, Sequence[str]],
    audits: Sequence[dg.AssetCheckKey],
    *,
    scope: Scope,
    dbt: DbtConfig,
    postgres_url: str | None = None,
    lock_wait: float = DEFAULT_WAIT_SECONDS,
) -> dg.AssetsDefinition:
    """The asset at the end of the graph. It runs only after every blocking check on the marts has passed.

    `marts`: the key columns of each, for the targets that know keys. `dbt`: where the build is, and its variables.
    """

    @dg.asset(
        key=PUBLISHED_KEY,
        deps=[dg.AssetKey(mart) for mart in marts],
        group_name="published",
        freshness_policy=PUBLISHED_DAILY,
        kinds={"duckdb", "parquet"} | ({"postgres"} if postgres_url else set()),
        description=simulated_label(scope.is_simulated) + _DESCRIPTION,
    )
    def published(
        context: dg.AssetExecutionContext,
        storage: dg.ResourceParam[StorageResource],
        progress: dg.ResourceParam[Progress],
        workplace: dg.ResourceParam[Workplace],
        judge: dg.ResourceParam[Judge],
    ) -> dg.MaterializeResult[None]:
        report = waiting(progress, context)
        workplace.hold_warehouse(report, context.run.run_id)
        audit = audit_summary(context.instance, audits, context.run.run_id)
        refuse_unaudited(audit)
        refuse_empty(storage.raw_zone(), dbt)
        progress.publishing(len(marts))
        settings = published_settings(scope, dbt.target)
        judged = judged_in(context.instance, audits, context.run.run_id)
        publication = _published(
            storage.store(),
            marts,
            dbt,
            workplace,
            run_id=context.run.run_id,
            settings={**settings, **_stated(dbt, settings, judged, workplace.index_read, postgres_url)},
            audit=audit,
            postgres_url=postgres_url,
            lock_wait=lock_wait,
            report=report,
            judge=judge,
        )
        _announce(publication, marts, context, progress)
        return dg.MaterializeResult(metadata=_metadata(publication, dbt.paths.serving, storage.storage.url))

    return published


def _published(
    store: "ObjectStore", marts: Mapping[str, Sequence[str]], dbt: DbtConfig, workplace: Workplace, **stated: Any
) -> "Publication":
    """What this run has built and audited, on every target. `stated`: see `publish`."""
    from orchestration.warehouse.publish.publication import publish

    with workplace.scratch() as scratch:
        publication = publish(
            warehouse_of(dbt),
            dbt.paths.serving,
            store,
            list(marts),
            now=datetime.now(UTC),
            keys=marts,
            scratch=scratch,
            memory_limit=dbt.memory_limit,
            team=team_lake(dbt),
            cluster=cluster_of(dbt),
            still_alone=workplace.refuse_unless_alone,
            standing=workplace.standing or NOTHING_STANDS,
            **stated,
        )
    note_whole(dbt.paths.warehouse)
    note_whole(dbt.paths.serving, publication.contents.statement())
    return publication


def _stated(
    dbt: DbtConfig, settings: Mapping[str, Any], judged: Mapping[str, Any], index_read: str, postgres_url: str | None
) -> Mapping[str, Any]:
    """What the publication states of its inputs and of its audit, by which the next run decides what it owes."""
    judged_by = judged_by_sha256(settings, dbt.variables())
    return {
        INPUTS: inputs_sha256(index_read, settings, dbt.variables(), postgres_url),
        AUDITED: {**statement_of(warehouse_of(dbt)), **judged, "judged_by": judged_by},
    }


def _announce(
    publication: "Publication", marts: Iterable[str], context: dg.AssetExecutionContext, progress: Progress
) -> None:
    """That readers have the marts, what was healed, and the rows of each mart.

    dbt cannot count what it built without holding the file; here the rows are known, and the UI plots numbers.
    """
    progress.published()
    for notice in publication.notices:
        context.log.warning(notice)
        progress.healed(notice)
    for mart in marts:
        count = {"dagster/row_count": publication.rows[mart]}
        context.log_event(dg.AssetObservation(mart, metadata=count, description="Rows as published."))


def _metadata(publication: "Publication", serving: Path, storage_url: str) -> Mapping[str, Any]:
    metadata: dict[str, Any] = {
        "dagster/row_count": sum(publication.rows.values()),
        "rows": dg.MetadataValue.table(
            [dg.TableRecord({"mart": mart, "rows": count}) for mart, count in sorted(publication.rows.items())]
        ),
        "first_day": str(publication.first_day),
        "last_day": str(publication.last_day),
        "markets": list(publication.markets),
        "revised_ranks": publication.revised_ranks,
        "database": dg.MetadataValue.path(str(serving)),
        "version": publication.version,
        "latest": f"{storage_url}/{LATEST}",
        "parquet": f"{storage_url}/{STABLE}/",
    }
    if publication.postgres:
        metadata |= {"postgres": publication.postgres.place, "postgres_reader": publication.postgres.reader}
    if publication.lake:
        metadata["lake"] = publication.lake.place
    if publication.cluster:
        metadata["iceberg"] = publication.cluster.schema
    return metadata


def refuse_unaudited(audit: Mapping[str, str]) -> None:
    """dg.Failure unless every audit of this run has passed, or passed with a warning."""
    for outcomes, why in ((("failed",), "did not pass"), (("not run",), "did not run in this run")):
        refused = sorted(name for name, outcome in audit.items() if outcome in outcomes)
        if refused:
            raise dg.Failure(
                f"nothing was published and the former publication stands: {_and(refused)} {why}; "
                "materialize the marts together with their checks (job `build_and_publish`)",
                allow_retries=False,
            )


def refuse_empty(zone: "RawZone", dbt: DbtConfig) -> None:
    """dg.Failure where the warehouse was built from nothing, and the raw zone has something: every mart would be empty.

    So it is on a machine whose warehouse is not the one that was built, or was built from other storage.
    """
    stored = pc.sum(pc.equal(zone.index(("status",))["status"], "stored")).as_py() or 0
    if stored and not days_read(warehouse_of(dbt)):
        raise dg.Failure(
            f"nothing was published and the former publication stands: {named(dbt)} was built from no day of the raw "
            f"zone, in which {stored:,} are stored ({zone.url}); check that TAKER_STORAGE_URL and TAKER_STATE_DIR are "
            "the same wherever runs are executed, and run the job `build_and_publish`",
            allow_retries=False,
        )


def audit_summary(instance: dg.DagsterInstance, audits: Sequence[dg.AssetCheckKey], run_id: str) -> dict[str, str]:
    """The outcome of each audit in this run: `passed`, `warned`, `failed`, or `not run`.

    Another run's outcome is about other marts, however recent: this run alone holds the lock over what it built,
    audited and publishes.
    """
    found = evaluations(instance, run_id)
    return {key.name: _outcome(found.get(key)) for key in audits}


def judged_in(instance: dg.DagsterInstance, audits: Sequence[dg.AssetCheckKey], run_id: str) -> dict[str, Any]:
    """What the audit of this run judged: whether it was full, and what it was, in words."""
    found = evaluations(instance, run_id)
    stated = [found[key].metadata for key in audits if key in found]
    judged = {str(metadata[JUDGED].value): bool(metadata[IS_FULL].value) for metadata in stated if JUDGED in metadata}
    is_full = bool(judged) and all(judged.values())
    # Of an audit of what changed some suites judge everything.
    return {IS_FULL: is_full, JUDGED: "; ".join(sorted(judged, key=lambda text: text.startswith("everything"))[:1])}


def _outcome(evaluation: dg.AssetCheckEvaluation | None) -> str:
    if evaluation is None:
        return "not run"
    if evaluation.passed:
        return "passed"
    return "warned" if evaluation.severity is dg.AssetCheckSeverity.WARN else "failed"


def evaluations(instance: dg.DagsterInstance, run_id: str) -> dict[dg.AssetCheckKey, dg.AssetCheckEvaluation]:
    """The outcome of each check in this run, the latest of each.

    From the events of the run: in the history of a check, those of runs that wait or that ended since may be many.
    """
    kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    entries = [record.event_log_entry for record in instance.get_records_for_run(run_id, of_type=kind).records]
    found = [entry.dagster_event.event_specific_data for entry in entries if entry.dagster_event is not None]
    return {each.asset_check_key: each for each in found if isinstance(each, dg.AssetCheckEvaluation)}


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
