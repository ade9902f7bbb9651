"""The asset graph: one `Definitions`, from the settings of the process.

Belongs here: putting the rooms together, and handing each the narrow values it takes. Does not: any asset, check, job
or decision itself. `workspace.yaml` loads `defs`; importing this module reads no setting and builds nothing.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from orchestration.automation.abandoned_runs import abandoned_sensor
from orchestration.automation.alerts import alerts_sensor
from orchestration.automation.build_when_raw_is_newer import build_sensor
from orchestration.automation.changed_source_files import changed_files_sensor
from orchestration.automation.daily_ingest import daily_schedules
from orchestration.automation.hourly_today import hourly_schedule
from orchestration.automation.jobs import jobs
from orchestration.automation.note_publications import note_sensor
from orchestration.automation.publishing_runs import latest_publishing_run
from orchestration.automation.seal_finished_hours import seal_sensor
from orchestration.automation.weekly_full_audit import full_audit_schedule
from orchestration.checks.audit import audit_checks, audit_key
from orchestration.checks.completeness import completeness_checks
from orchestration.compat.logs import redact_logs
from orchestration.config.settings import Settings, load_settings
from orchestration.defs.choosing import choose
from orchestration.defs.publish import published_asset
from orchestration.defs.raw import archive_source, raw_assets, receipts_asset
from orchestration.defs.recent import api_assets, api_source, feed_assets, feed_source
from orchestration.defs.report import report_asset
from orchestration.defs.warehouse import begin_dbt, dbt_resource, warehouse_assets
from orchestration.progress import Progress
from orchestration.report.write import report_path
from orchestration.resources import (
    ApiResource,
    ArchiveResource,
    StorageResource,
    WarehouseResource,
    workplace_resource,
)
from orchestration.state.garbage import look_seldom
from orchestration.warehouse.audit.gx import HERE, Judge
from orchestration.warehouse.audit.suites import SUITES
from orchestration.warehouse.dbt import ensure_manifest, load_manifest, marts_in
from orchestration.warehouse.engines import alone_of
from orchestration.warehouse.profile import manifest_path
from orchestration.warehouse.publish.tables import mart_keys

if TYPE_CHECKING:
    from orchestration.alerts.evaluation import Evaluation


@dg.definitions
def defs() -> dg.Definitions:
    """The graph of the environment's settings."""
    look_seldom()
    redact_logs()  # of the code server, and of every run that the UI or a schedule starts
    settings = load_settings()
    # Every process that loads the graph has the same markets: the first of a month chooses, the others read.
    choose(
        settings.patterns,
        settings.paths.choices,
        settings.endpoints,
        settings.kline_interval,
        logging.getLogger(__name__).warning,
    )
    ensure_manifest(settings.dbt)  # of a project that was installed or changed since
    return build_definitions(settings)


def build_definitions(
    settings: Settings,
    progress: Progress | None = None,
    *,
    judge: Judge = HERE,
    manifest_file: Path | None = None,
) -> dg.Definitions:
    """The whole graph for these settings. `progress` is called back while a run proceeds, and `judge`
    applies what is expected of the marts.

    The days of a run are its partitions and its run config (`orchestration.defs.raw.IngestConfig`): one graph serves
    every run of a process. Raises ManifestMissing with the next step.
    """
    # Known and accepted: these versions are pinned together.
    warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*backfill_policy.*")
    manifest = load_manifest(manifest_file or manifest_path(settings.dbt))
    scope, paths, endpoints = settings.scope, settings.paths, settings.endpoints
    warehouse = warehouse_assets(settings.dbt, manifest)
    all_jobs = jobs(warehouse.keys)
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
        archive_source(endpoints, is_simulated=scope.is_simulated),
        api_source(endpoints),
        feed_source(paths.spool),
        *raw_assets(scope),
        api_assets(scope, paths.spool),
        feed_assets(scope, paths.spool),
        receipts_asset(begin_dbt(settings.dbt)),
        warehouse,
        _published(settings, manifest),
        report_asset(settings.marts, report_path(paths.serving), is_simulated=scope.is_simulated),
    ]
    return dg.Definitions(
        assets=_attributed(assets, settings),
        asset_checks=[audit_checks(settings.dbt, scope), *completeness_checks(settings.marts, scope.market_ids)],
        jobs=[all_jobs.days, all_jobs.months, all_jobs.today, all_jobs.build],
        schedules=[hourly_schedule(all_jobs), *daily_schedules(scope, all_jobs), full_audit_schedule(all_jobs)],
        sensors=[
            changed_files_sensor(scope, all_jobs),
            seal_sensor(paths.spool, all_jobs),
            build_sensor(all_jobs),
            abandoned_sensor(paths),
            note_sensor(paths, StorageResource(settings.storage), all_jobs),
            _alerts(settings),
        ],
        resources={
            "archive": ArchiveResource(endpoints),
            "apis": ApiResource(endpoints, paths.bans),
            "storage": StorageResource(settings.storage),
            "workplace": workplace_resource(paths, settings.lock_wait_seconds, alone_of(settings.dbt)),
            "warehouse": WarehouseResource(settings.dbt),
            "dbt": dbt_resource(settings.dbt),
            "progress": progress or Progress(),
            "judge": judge,
        },
        executor=dg.in_process_executor,
    )


def _attributed(
    assets: Sequence[dg.AssetsDefinition | dg.AssetSpec], settings: Settings
) -> Sequence[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets with the owners and the tags of the settings, in addition to tags of their own."""

    def attributed(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(owners=settings.owners, tags={**spec.tags, **settings.tags})

    return dg.map_asset_specs(attributed, assets)


def _published(settings: Settings, manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    keys = mart_keys(manifest)
    return published_asset(
        {mart: keys.get(mart, ()) for mart in marts_in(manifest)},
        [audit_key(suite) for suite in SUITES],
        scope=settings.scope,
        dbt=settings.dbt,
        postgres_url=settings.publish_postgres_url.get_secret_value() if settings.publish_postgres_url else None,
        lock_wait=settings.lock_wait_seconds,
    )


def _alerts(settings: Settings) -> dg.SensorDefinition:
    config = settings.alerts

    def evaluate(instance: dg.DagsterInstance) -> Evaluation:
        from orchestration.alerts import evaluation

        return evaluation.evaluate(config, latest_run=lambda: latest_publishing_run(instance), only_news=True)

    return alerts_sensor(evaluate, has_receiver=config.webhook_url is not None)
