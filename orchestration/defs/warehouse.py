"""The dbt models as assets: one dbt invocation per build, not partitioned.

Belongs here: how nodes are named and grouped in the graph, and the one function that runs them.
Does not: which days are rebuilt (dbt reads the receipts) or how dbt is started (`orchestration.warehouse.dbt`).
"""

import csv
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from orchestration.compat.dagster_dbt import (
    DagsterDbtCliRuntimeError,
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    dbt_assets,
)
from orchestration.compat.dbt_cli import ProjectDbt, started_by
from orchestration.config.dbt import DbtConfig
from orchestration.defs.raw import WAREHOUSE_STEP
from orchestration.progress import Progress
from orchestration.resources import StorageResource, waiting
from orchestration.state.locks import Workplace
from orchestration.warehouse.begun import begun_dbt
from orchestration.warehouse.dbt import DBT_COMMAND, DbtFailed, build_args, nodes_to_build
from orchestration.warehouse.dbt_output import killed_sentence
from orchestration.warehouse.engines import await_writable, require_engine, warehouse_of
from orchestration.warehouse.extensions import install_extensions
from orchestration.warehouse.opening import bars_are_outdated
from orchestration.warehouse.profile import (
    PROJECT_DIR,
    engine_environment,
    target_dir,
    variables,
    write_profile,
)
from orchestration.warehouse.publish.inputs import index_sha256

if TYPE_CHECKING:
    from dagster_dbt import DbtCliInvocation, DbtProject

# What the workplace keeps the dbt under that was begun ahead of its step.
_BEGUN: Final = "dbt"
_RESULT_EVENTS: Final = ("LogModelResult", "LogSeedResult", "LogTestResult", "SkippingDetails")


class TakerTranslator(DagsterDbtTranslator):
    """Models keep their own name as key; dbt_project.yml states the group they are shown in."""

    def __init__(self) -> None:
        # The index of the receipts and the coverage beside it are two sources that one asset writes.
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] in ("model", "seed"):
            return dg.AssetKey(dbt_resource_props["name"])
        return super().get_asset_key(dbt_resource_props)

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        metadata = super().get_metadata(dbt_resource_props)
        if "definition_id" not in dbt_resource_props.get("columns", {}):
            return metadata
        return {"definitions": dg.MetadataValue.table(_definitions()), **metadata}

    def get_asset_check_spec(
        self,
        asset_spec: dg.AssetSpec,
        manifest: Mapping[str, Any],
        unique_id: str,
        project: "DbtProject | None",
    ) -> dg.AssetCheckSpec | None:
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        rules = manifest["nodes"][unique_id].get("test_metadata", {}).get("kwargs", {})
        if spec is None or spec.description:
            return spec
        return spec._replace(description=rules_text(rules))


class BuildConfig(dg.Config):
    """`full_refresh`: rebuild every bar instead of the days that changed."""

    full_refresh: bool = False


def rules_text(rules: Mapping[str, Any]) -> str:
    """The rules that a data test proves in one query, as a sentence each."""
    stated = [f"One row per {_and(rules['key'])}."] if rules.get("key") else []
    stated += [f"Never NULL: {', '.join(rules['not_null'])}."] if rules.get("not_null") else []
    stated += [f"Above zero: {', '.join(rules['positive'])}."] if rules.get("positive") else []
    for column, values in (rules.get("accepted_values") or {}).items():
        stated.append(f"{column} is one of {', '.join(map(str, values))}.")
    for column, other in (rules.get("relationships") or {}).items():
        parent = re.sub(r"ref\('(\w+)'\)", r"\1", other["to"])
        stated.append(f"{column} is in {parent}.")
    return " ".join(stated) or "Rows that break a rule of the project, none of which is allowed."


@cache
def _definitions() -> list[dg.TableRecord]:
    """Every definition of a spike: its id, and its name for people."""
    with (PROJECT_DIR / "seeds" / "spike_definitions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [dg.TableRecord({name: row[name] for name in ("definition_id", "definition_name")}) for row in rows]


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def dbt_resource(config: DbtConfig) -> ProjectDbt:
    return ProjectDbt(
        project_dir=str(PROJECT_DIR),
        profiles_dir=str(write_profile(config)),
        profile="taker",
        target=config.target,
        # dbt as a child that ends with this process: the interpreter's arguments come before dbt's own. Dagster states
        # the format of the log too, where only dbt looks for it.
        dbt_executable=DBT_COMMAND[0],
        global_config_flags=[*DBT_COMMAND[1:], "--log-format", "json", "--log-level-file", "warn"],
    )


def warehouse_assets(dbt_config: DbtConfig, manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """Every model and seed of the project, with their dbt tests as asset checks."""

    @dbt_assets(
        manifest={**manifest, "unit_tests": {}},
        name=WAREHOUSE_STEP,
        dagster_dbt_translator=TakerTranslator(),
    )
    def warehouse(
        context: dg.AssetExecutionContext,
        dbt: ProjectDbt,
        config: BuildConfig,
        progress: dg.ResourceParam[Progress],
        workplace: dg.ResourceParam[Workplace],
    ) -> Iterator[Any]:
        workplace.hold_warehouse(waiting(progress, context), context.run.run_id)
        prepare_build(dbt_config)
        progress.building(nodes_to_build(manifest))
        if set_aside := await_writable(dbt_config):
            context.log.warning(set_aside)
            progress.healed(set_aside)
        zone = StorageResource(dbt_config.storage).raw_zone()
        full_refresh = config.full_refresh or bars_are_outdated(warehouse_of(dbt_config))
        if full_refresh:  # every object is read, also those that were hashed long ago
            with workplace.scratch() as scratch:
                zone.write_index(scratch, rehashes=True, notice=progress.noticed)
        workplace.index_read = index_sha256(zone.store)
        target = target_dir(dbt_config)
        begun = workplace.kept(_BEGUN)
        with started_by(begun.instructed if begun else None):
            invocation = dbt.cli(
                [*build_args(variables(dbt_config), full_refresh=full_refresh), "--target-path", str(target)],
                context=context,
                target_path=target,
            )
        yield from _reported(invocation, progress)

    return warehouse


def begin_dbt(dbt_config: DbtConfig) -> Callable[[Workplace], None]:
    """What begins dbt for the build of a run, ahead of that step: `warehouse` instructs it."""
    return lambda workplace: workplace.keep(_BEGUN, begun_dbt(dbt_config))


def _reported(invocation: "DbtCliInvocation", progress: Progress) -> Iterator[Any]:
    """The events of the assets that dbt builds, as it builds them; DbtFailed that names the rules that were broken."""
    broken: dict[str, list[str]] = {}
    try:
        for event in invocation.stream_raw_events():
            _report(progress, event.raw_event)
            _note_broken_rule(broken, event.raw_event)
            for made in event.to_default_asset_events(
                manifest=invocation.manifest,
                dagster_dbt_translator=invocation.dagster_dbt_translator,
                context=invocation.context,
                target_path=invocation.target_path,
            ):
                yield _with_broken_rules(made, broken)
    except DagsterDbtCliRuntimeError as error:
        if not broken or killed_sentence(str(error)):
            raise  # of a dbt that was killed, that is what is to be reported
        sentences = "\n".join(sentence for sentences in broken.values() for sentence in sentences)
        raise DbtFailed(f"{sentences}\n{str(error).partition('Errors parsed from dbt logs:')[2].strip()}") from None


def prepare_build(config: DbtConfig) -> None:
    """What dbt, started by this process, needs: DuckDB's extensions, credentials in the environment, a folder; an
    engine that can be reached, or WarehouseUnusable."""
    require_engine(config)
    install_extensions(config)
    os.environ.update(engine_environment(config))
    config.paths.warehouse.parent.mkdir(parents=True, exist_ok=True)


def _report(progress: Progress, event: Mapping[str, Any]) -> None:
    node = event["data"].get("node_info")  # none of what is skipped below an ephemeral model
    if node and event["info"]["name"] in _RESULT_EVENTS:
        progress.built(node["node_name"], node["node_status"])


def _note_broken_rule(broken: dict[str, list[str]], event: Mapping[str, Any]) -> None:
    """Keep what a data test that fails logs before its result, by the test: rule, row and value."""
    node = event["data"].get("node_info", {})
    if event["info"]["name"] == "JinjaLogInfo" and node.get("resource_type") == "test":
        broken.setdefault(node["node_name"], []).append(event["info"]["msg"])


def _with_broken_rules(made: Any, broken: Mapping[str, Sequence[str]]) -> Any:
    """The result of an asset check with the rules that it found broken, where it did; anything else as it is."""
    sentences = broken.get(made.check_name, ()) if isinstance(made, dg.AssetCheckResult) and made.check_name else ()
    if not sentences:
        return made
    text = "\n".join(f"- {sentence}" for sentence in sentences)
    evidence = {**(made.metadata or {}), "broken": dg.MetadataValue.md(text)}
    return made._replace(description=sentences[0].partition(": ")[2], metadata=evidence)
