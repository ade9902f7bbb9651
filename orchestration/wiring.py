"""All parts of the asset graph put together.

Belongs here: one function from settings to definitions. Does not: any part itself.
"""

from __future__ import annotations

import warnings
from datetime import date
from pathlib import Path

import dagster as dg

from orchestration.automation import jobs as automation
from orchestration.checks.audit import audit_checks, audit_key
from orchestration.checks.completeness import completeness_checks
from orchestration.config.settings import Settings, load_settings
from orchestration.defs.publish import published_asset
from orchestration.defs.raw import archive_asset, raw_assets, receipts_asset
from orchestration.defs.recent import api_asset, feed_asset, heard_assets, recent_assets
from orchestration.defs.report import report_asset
from orchestration.defs.warehouse import dbt_resource, warehouse_assets
from orchestration.progress import Progress
from orchestration.resources import ApiResource, ArchiveResource, StorageResource, WarehouseResource
from orchestration.warehouse.audit.suites import SUITES
from orchestration.warehouse.dbt import MANIFEST_PATH, load_manifest, marts_in
from orchestration.warehouse.publish.tables import mart_keys


def build_definitions(
    settings: Settings | None = None,
    progress: Progress | None = None,
    *,
    last_day: date | None = None,
    manifest_path: Path = MANIFEST_PATH,
) -> dg.Definitions:
    """The whole graph for these settings (default: the environment's).

    `progress` is told how far a run is; `last_day` limits what ingestion asks for. Raises SettingsError or
    ManifestMissing, each with the next step.
    """
    # Known and accepted: these versions are pinned together.
    warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*backfill_policy.*")
    settings = settings or load_settings()
    progress = progress or Progress()
    manifest = load_manifest(manifest_path)
    marts = marts_in(manifest)
    warehouse = warehouse_assets(settings, manifest, progress)
    days, months, recent, build = automation.jobs(warehouse)
    return dg.Definitions(
        assets=[
            archive_asset(settings),
            api_asset(settings),
            feed_asset(settings),
            *raw_assets(settings, progress, last_day),
            recent_assets(settings, progress),
            heard_assets(settings, progress),
            receipts_asset(),
            warehouse,
            published_asset(settings, marts, [audit_key(suite) for suite in SUITES], progress, mart_keys(manifest)),
            report_asset(settings),
        ],
        asset_checks=[*audit_checks(progress), *completeness_checks(settings)],
        jobs=[days, months, recent, build],
        schedules=automation.schedules(settings, days, months, recent),
        sensors=automation.sensors(settings, [days, months], recent, build),
        resources={
            "archive": ArchiveResource(settings),
            "apis": ApiResource(settings),
            "storage": StorageResource(settings),
            "warehouse": WarehouseResource(settings),
            "dbt": dbt_resource(settings),
        },
        executor=dg.in_process_executor,
    )
