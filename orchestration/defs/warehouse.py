"""The dbt models as assets: one dbt invocation per build, not partitioned.

Belongs here: how nodes are named and grouped in the graph, and the one function that runs them.
Does not: which days are rebuilt (dbt asks the receipts) or how dbt is started (`orchestration.warehouse.dbt`).
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, dbt_assets
from packaging.version import Version

from orchestration.config.settings import Settings
from orchestration.defs.raw import OWNERS
from orchestration.progress import Progress
from orchestration.warehouse.dbt import (
    DBT_EXECUTABLE,
    PROJECT_DIR,
    await_warehouse,
    bars_are_outdated,
    build_args,
    install_extensions,
    nodes_to_build,
    target_dir,
    write_profile,
)

_RESULT_EVENTS: Final = ("LogModelResult", "LogSeedResult", "LogTestResult", "SkippingDetails", "LogSkipBecauseError")


class TakerTranslator(DagsterDbtTranslator):
    """Models keep their own name as key; dbt_project.yml says which group they are shown in."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] in ("model", "seed"):
            return dg.AssetKey(dbt_resource_props["name"])
        return super().get_asset_key(dbt_resource_props)

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return OWNERS


class ProjectDbt(DbtCliResource):
    """DbtCliResource that starts dbt at once.

    Before each command the original asks `dbt --version`, which also looks for newer releases online, and loads an
    adapter of its own to read row counts with, which would hold the DuckDB file while dbt needs it. Seconds each.
    """

    @cached_property
    def _cli_version(self) -> Version:
        from dbt.version import __version__

        return Version(__version__)

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None


class BuildConfig(dg.Config):
    """`full_refresh`: rebuild every bar instead of the days that changed."""

    full_refresh: bool = False


def dbt_resource(settings: Settings) -> ProjectDbt:
    return ProjectDbt(
        project_dir=str(PROJECT_DIR),
        profiles_dir=str(write_profile(settings)),
        profile="taker",
        target=settings.target,
        dbt_executable=DBT_EXECUTABLE,
        global_config_flags=["--log-level-file", "warn"],
    )


def warehouse_assets(settings: Settings, manifest: Mapping[str, Any], progress: Progress) -> dg.AssetsDefinition:
    """Every model and seed of the project, with their dbt tests as asset checks."""

    @dbt_assets(
        manifest=manifest,
        name="warehouse",
        exclude="resource_type:unit_test",
        # The index of the receipts and the coverage beside it are two sources that one asset writes.
        dagster_dbt_translator=TakerTranslator(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True)),
        pool="warehouse",
    )
    def warehouse(context: dg.AssetExecutionContext, dbt: ProjectDbt, config: BuildConfig) -> Iterator[Any]:
        install_extensions(settings)
        os.environ.update(settings.dbt_environment())
        settings.warehouse_path.parent.mkdir(parents=True, exist_ok=True)
        progress.building(nodes_to_build(manifest))
        await_warehouse(settings)
        full_refresh = config.full_refresh or bars_are_outdated(settings)
        invocation = dbt.cli(
            build_args(settings.dbt_vars(), full_refresh=full_refresh),
            context=context,
            target_path=target_dir(settings),
        )
        for event in invocation.stream_raw_events():
            _tell(progress, event.raw_event)
            yield from event.to_default_asset_events(
                manifest=invocation.manifest,
                dagster_dbt_translator=invocation.dagster_dbt_translator,
                context=invocation.context,
                target_path=invocation.target_path,
            )

    return warehouse


def _tell(progress: Progress, event: Mapping[str, Any]) -> None:
    if event["info"]["name"] in _RESULT_EVENTS:
        node = event["data"]["node_info"]
        progress.built(node["node_name"], node["node_status"])
