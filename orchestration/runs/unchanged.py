"""Whether a run would change nothing, found out before Dagster and dbt are loaded.

Belongs here: everything that must be as the last publication left it, for the answer of a run that does nothing. Does
not: what the last run had to report (`orchestration.state.last_run`), what the inputs of a publication are
(`orchestration.warehouse.publish.inputs`), the comparison of the requested days
(`orchestration.runs.comparison`), what a run does otherwise (`orchestration.runs.execution`). Imports no
dagster, no dbt.

In doubt the answer is no: then the run goes its usual way, which judges, heals and reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion.domain.errors import IngestionError
from ingestion.raw.receipts import sha256_of
from orchestration.config.dbt import DbtConfig
from orchestration.config.scope import Scope
from orchestration.defs.plan import recent_tasks
from orchestration.report.write import report_path
from orchestration.serving.published import NothingPublished, PublicationUnreadable, QueryFailed, connect
from orchestration.serving.staleness import newest_days, stale
from orchestration.state.last_run import FRESHNESS, CheckFinding, read_note
from orchestration.warehouse.engines import is_there, team_lake
from orchestration.warehouse.publish import lake, postgres
from orchestration.warehouse.publish.database import PUBLICATION
from orchestration.warehouse.publish.inputs import INPUTS, index_sha256, inputs_sha256, published_settings
from orchestration.warehouse.publish.parquet import latest_manifest, stands

if TYPE_CHECKING:
    from ingestion.archive import Outcome
    from ingestion.raw.store import ObjectStore
    from ingestion.raw.zone import DryZone
    from orchestration.config.endpoints import Endpoints
    from orchestration.config.paths import Paths
    from orchestration.runs.comparison import Comparison
    from orchestration.warehouse.lake.catalog import TeamLake


@dataclass(frozen=True)
class Unchanged:
    """What a run that has nothing to do reports: the outcomes of its tasks, and what the last run found.

    `published_at`: when the publication that stands was made, UTC. `run_id`: of the Dagster run that made it.
    """

    outcomes: Sequence[Outcome]
    checks: Sequence[CheckFinding]
    notices: Sequence[str]
    published_at: datetime
    run_id: str


def unchanged(
    scope: Scope,
    endpoints: Endpoints,
    dbt: DbtConfig,
    found: Comparison,
    postgres_url: str | None,
    *,
    with_today: bool,
) -> Unchanged | None:
    """The report of a run that would change nothing; None where anything is, or may be, to be done.

    `found`: of the requested days. Nothing changed when no source of them differs, the publication was made of the same
    inputs and stands in the file, on the storage, in PostgreSQL and in the lake, the warehouse is there, the index
    describes what is stored, and, `with_today`, no hour has ended since that an API or a collector could have. The
    views on a Spark cluster are not looked at: that would start a JVM.
    """
    from ingestion.live.seal import finished_hours

    if found.is_due:
        return None
    now = datetime.now(UTC)
    note = read_note(dbt.paths)
    zone = found.zone
    try:
        # What was published is hashed, which takes no turn of Python's: the index is compared meanwhile.
        with ThreadPoolExecutor(1) as pool:
            standing = pool.submit(_standing, dbt.paths, note, zone.store, postgres_url, team_lake(dbt))
            is_indexed = zone.index_is_current(found.listed)
        published = standing.result()
        if published is None or not is_indexed:
            return None
        published_at, run_id, inputs = published
        settings = published_settings(scope, dbt.target)
        index = index_sha256(zone.store)
        if note.get("run_id") != run_id or inputs != inputs_sha256(index, settings, dbt.variables(), postgres_url):
            return None
        if not (report_path(dbt.paths.serving).is_file() and is_there(dbt)):
            return None
        if with_today and finished_hours(dbt.paths.spool, now=now):
            return None
        today = _recent(scope, endpoints, dbt, zone, now) if with_today else []
    except IngestionError:
        return None
    if any(outcome.status in ("due", "failed") for outcome in today):
        return None
    checks = [
        *(CheckFinding(**check) for check in note["checks"]),
        *(_stale(dbt.paths.serving, scope, now) if with_today else ()),
    ]
    return Unchanged([*found.outcomes, *today], checks, found.notices, published_at, run_id)


def _standing(
    paths: Paths, note: Mapping[str, Any], store: ObjectStore, postgres_url: str | None, team: TeamLake | None
) -> tuple[datetime, str, str] | None:
    """As `_published`; None also where the publication is not complete on every target."""
    published = _published(paths, note)
    return published if published is not None and _stands(store, published[1], postgres_url, team) else None


def _published(paths: Paths, note: Mapping[str, Any]) -> tuple[datetime, str, str] | None:
    """Time, run and inputs of the publication that readers have; None where it is not, to the byte, the one of the
    note."""
    try:
        # A block that only some queries read can be damaged: no other look at the file is complete, or as cheap.
        if sha256_of(paths.serving) != note.get("serving_sha256"):
            return None
        with connect(paths.serving) as connection:
            # As a number: for the type of the column Python gets a timestamp without a zone.
            row = connection.execute(
                f"select cast(epoch_us(published_at) as bigint), run_id, json_extract_string(settings, '$.{INPUTS}') "
                f"from {PUBLICATION}"
            ).fetchone()
    except (OSError, NothingPublished, PublicationUnreadable, QueryFailed):
        return None
    if row is None or None in row:
        return None
    microseconds, run_id, inputs = row
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC), str(run_id), str(inputs)


def _stands(store: ObjectStore, run_id: str, postgres_url: str | None, team: TeamLake | None) -> bool:
    """The publication is complete on the storage, and in PostgreSQL and the lake if it goes there."""
    try:
        latest = latest_manifest(store)
        if latest is None or latest["run_id"] != run_id or not stands(store, latest):
            return False
    except (KeyError, TypeError, AttributeError):
        return False
    return (postgres_url is None or postgres.published_run(postgres_url) == run_id) and (
        team is None or lake.published_run(team.published) == run_id
    )


def _recent(scope: Scope, endpoints: Endpoints, dbt: DbtConfig, zone: DryZone, now: datetime) -> list[Outcome]:
    """The outcomes of a dry run over what the archive does not have yet."""
    from ingestion.live.seal import collected_venues
    from ingestion.recent import Access, DryClient, ingest_recent
    from ingestion.venues import venue_of

    received = collected_venues(dbt.paths.spool, zone)
    apis = {venue: api for venue in endpoints.rest_urls_with(received) if (api := venue_of(venue).api)}
    access = {venue: Access(api, DryClient(now)) for venue, api in apis.items()}
    return ingest_recent(recent_tasks(scope, zone, apis, now, received), access=access, zone=zone)


def _stale(serving: Path, scope: Scope, now: datetime) -> list[CheckFinding]:
    """The check that depends on the clock, made anew."""
    with connect(serving) as connection:
        newest = newest_days(connection, scope.market_ids)
    behind = stale(newest, now)
    if not behind:
        return []
    text = "; ".join(f"{market}: {age}" for market, age in behind.items())
    return [CheckFinding("published/marts", FRESHNESS, blocks=False, description=text)]
