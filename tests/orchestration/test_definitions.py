"""The asset graph: what is in it, what stands on what, and that it loads quickly and without the heavy parts."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from graphlib import TopologicalSorter
from pathlib import Path

import dagster as dg
import pytest

from orchestration.automation.weekly_full_audit import full_audit_request
from orchestration.checks.audit import audit_key
from orchestration.config.settings import Settings, load_settings
from orchestration.definitions import build_definitions
from orchestration.warehouse import dbt
from orchestration.warehouse.audit.suites import SUITES

ROOT = Path(__file__).resolve().parents[2]
RAW = {"aggTrades", "trades", "klines", "metrics", "fundingRate", "liquidationSnapshot"}
FROM_API = {"restKlines", "restTrades", "takerRatio", "instruments"}
FROM_FEED = {"liquidations", "liveTrades"}
MARTS = {
    "dim_markets",
    "dim_spike_definitions",
    "fct_net_taker_volume_hourly",
    "fct_net_taker_volume_daily",
    "fct_net_taker_volume_minute",
    "fct_taker_dominance_daily",
    "fct_taker_spike_ranks",
    "fct_flow_reconciliation_daily",
    "fct_flow_contradictions",
    "fct_liquidations_hourly",
    "fct_liquidations_daily",
    "fct_liquidations_rolling_24h",
    "fct_open_interest_hourly",
    "fct_open_interest_daily",
    "fct_long_short_ratios",
    "fct_funding_rates",
    "dim_claims",
    "fct_claim_verdicts",
    "fct_spike_forward_returns",
    "fct_spike_context",
    "agg_spike_event_study",
    "rpt_market_brief_daily",
    "rpt_market_screen",
    "fct_hour_of_week_profile",
}


@pytest.fixture(scope="module")
def graph(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> dg.AssetGraph:
    settings = load_settings(storage_url=str(tmp_path_factory.mktemp("graph")))
    return build_definitions(settings).resolve_asset_graph()


def key(text: str) -> dg.AssetKey:
    return dg.AssetKey(text.split("/"))


def parents(graph: dg.AssetGraph, text: str) -> set[str]:
    return {parent.to_user_string() for parent in graph.get(key(text)).parent_keys}


def test_the_graph_holds_the_archive_every_dataset_the_marts_and_the_publication(graph: dg.AssetGraph) -> None:
    names = {asset.to_user_string() for asset in graph.get_all_asset_keys()}
    assert {"archive/futures", "api/futures", "feed/futures", "raw/receipts", "published/marts"} <= names
    assert {name.removeprefix("raw/") for name in names if name.startswith("raw/")} == (
        RAW | FROM_API | FROM_FEED | {"receipts"}
    )
    assert {name for name in names if name.startswith(("fct_", "dim_", "agg_", "rpt_"))} == MARTS


def test_it_runs_from_the_archive_over_raw_and_staging_to_the_published_marts(graph: dg.AssetGraph) -> None:
    for dataset in RAW:
        assert parents(graph, f"raw/{dataset}") == {"archive/futures"}
    for dataset in FROM_API:
        assert parents(graph, f"raw/{dataset}") == {"api/futures"}
    for dataset in FROM_FEED:
        assert parents(graph, f"raw/{dataset}") == {"feed/futures"}
    assert parents(graph, "raw/receipts") == {f"raw/{dataset}" for dataset in RAW | FROM_API | FROM_FEED}
    assert "raw/klines" in parents(graph, "stg_raw__klines")
    assert parents(graph, "stg_raw__trades") == {"raw/trades", "base_raw__receipts"}
    assert parents(graph, "base_raw__receipts") == {"raw/receipts"}
    assert parents(graph, "published/marts") == MARTS
    assert key("raw/klines") in graph.get_ancestor_asset_keys(key("fct_taker_spike_ranks"))


def test_files_by_day_are_partitioned_by_day_and_files_by_month_by_month(graph: dg.AssetGraph) -> None:
    for dataset in RAW:
        definition = graph.get(key(f"raw/{dataset}")).partitions_def
        wanted = (
            dg.MonthlyPartitionsDefinition if dataset in ("klines", "fundingRate") else dg.DailyPartitionsDefinition
        )
        assert isinstance(definition, wanted), dataset
    assert not any(graph.get(key(mart)).is_partitioned for mart in MARTS)
    assert not any(graph.get(key(f"raw/{dataset}")).is_partitioned for dataset in FROM_API | FROM_FEED)


def test_two_years_of_backfill_are_a_handful_of_runs(graph: dg.AssetGraph) -> None:
    policies = {dataset: graph.get(key(f"raw/{dataset}")).backfill_policy for dataset in RAW}
    assert policies["aggTrades"] == dg.BackfillPolicy.multi_run(31)
    assert policies["klines"] == dg.BackfillPolicy.multi_run(24)


def test_every_asset_has_a_group_and_a_description(graph: dg.AssetGraph) -> None:
    for asset in graph.get_all_asset_keys():
        node = graph.get(asset)
        assert node.group_name != "default", asset
        assert node.description, asset


def test_groups_follow_one_another_so_that_the_lineage_reads_from_left_to_right(graph: dg.AssetGraph) -> None:
    before: dict[str, set[str]] = {}
    for asset in graph.get_all_asset_keys():
        group = graph.get(asset).group_name
        before.setdefault(group, set()).update(graph.get(parent).group_name for parent in graph.get(asset).parent_keys)
    order = list(TopologicalSorter({group: parents - {group} for group, parents in before.items()}).static_order())
    assert order[-1] == "published"
    assert set(order[:-1]) == {"venue", "raw", "staging", "definitions", "dimensions", "intermediate"} | {
        "taker_flow",
        "liquidations",
        "positioning",
        "analysis",
    }


def test_every_mart_is_audited_by_a_blocking_check(graph: dg.AssetGraph) -> None:
    suites = {audit_key(suite).name for suite in SUITES}
    audits = [check for check in graph.asset_check_keys if check.name in suites]
    # Definitions and claims are seeds as they were written: nothing about them is computed.
    as_written = {"dim_spike_definitions", "dim_claims"}
    assert {check.asset_key.to_user_string() for check in audits} == MARTS - as_written
    assert all(graph.get(check).blocking for check in audits)


def test_every_step_states_which_process_executes_it(manifest: Path, settings: Settings) -> None:
    """One that did not would count as killed while it works, and as running after a kill."""
    jobs = build_definitions(settings).get_repository_def().get_all_jobs()
    steps = {node.definition for job in jobs for node in job.nodes if isinstance(node.definition, dg.OpDefinition)}
    unnamed = {step.name for step in steps if "workplace" not in step.required_resource_keys}
    assert steps
    assert unnamed == set()


def test_the_weekly_audit_requests_everything_of_the_job_that_publishes(manifest: Path, settings: Settings) -> None:
    job = build_definitions(settings).resolve_job_def("build_and_publish")
    request = full_audit_request(datetime(2026, 3, 1, tzinfo=UTC), date(2026, 3, 8))
    assert isinstance(request, dg.RunRequest)
    assert request.run_config["ops"] == {"audit": {"config": {"full_audit": True}}}
    assert dg.validate_run_config(job, request.run_config)["ops"]["audit"]["config"] == {"full_audit": True}
    assert isinstance(full_audit_request(None, date(2026, 3, 8)), dg.SkipReason)


def test_only_what_makes_no_requests_runs_by_default(manifest: Path, settings: Settings) -> None:
    definitions = build_definitions(settings)
    sensors = {sensor.name: sensor.default_status for sensor in definitions.sensors or ()}
    assert sensors == {
        "changed_source_files": dg.DefaultSensorStatus.STOPPED,
        "seal_finished_hours": dg.DefaultSensorStatus.RUNNING,
        "end_abandoned_runs": dg.DefaultSensorStatus.RUNNING,
        "build_when_raw_is_newer": dg.DefaultSensorStatus.RUNNING,
        "note_publications": dg.DefaultSensorStatus.RUNNING,
        "alerts": dg.DefaultSensorStatus.STOPPED,
    }
    schedules = {schedule.name: schedule.default_status for schedule in definitions.schedules or ()}
    assert schedules == {
        "daily_ingest": dg.DefaultScheduleStatus.STOPPED,
        "daily_ingest_months": dg.DefaultScheduleStatus.STOPPED,
        "hourly_today": dg.DefaultScheduleStatus.STOPPED,
        "weekly_full_audit": dg.DefaultScheduleStatus.RUNNING,
    }


def test_every_check_states_what_it_checks(settings: Settings, manifest: Path) -> None:
    repository = build_definitions(settings).get_repository_def()
    holders = {*repository.assets_defs_by_key.values(), *repository.asset_checks_defs_by_key.values()}
    specs = {spec.key: spec.description for holder in holders for spec in holder.check_specs}
    assert len(specs) > 90
    assert [key.to_user_string() for key, description in specs.items() if not description] == []
    ranks = specs[dg.AssetCheckKey(key("fct_taker_spike_ranks"), "rules_of_fct_taker_spike_ranks")]
    assert "One row per definition_id, market_id, side and bar_at." in (ranks or "")


def test_every_asset_has_the_owners_and_tags_of_the_settings(settings: Settings, manifest: Path) -> None:
    chosen = settings.model_copy(update={"owners": ("team:research", "a@taker.example"), "tags": {"domain": "flow"}})
    graph = build_definitions(chosen).resolve_asset_graph()
    nodes = [graph.get(asset) for asset in graph.get_all_asset_keys() if graph.get(asset).is_materializable]
    assert {tuple(node.owners) for node in nodes} == {("team:research", "a@taker.example")}
    assert {node.tags.get("domain") for node in nodes} == {"flow"}
    assert graph.get(key("raw/aggTrades")).tags["span"] == "day"


def test_what_is_published_has_to_be_made_every_day(graph: dg.AssetGraph) -> None:
    for name in ("published/marts", "published/report"):
        policy = graph.get(key(name)).freshness_policy
        assert isinstance(policy, dg.FreshnessPolicy)


def test_a_mart_with_definitions_shows_their_names(graph: dg.AssetGraph) -> None:
    for name in ("fct_taker_spike_ranks", "fct_claim_verdicts", "agg_spike_event_study"):
        records = graph.get(key(name)).metadata["definitions"].records
        names = {record.data["definition_id"]: record.data["definition_name"] for record in records}
        assert names["4h_usd"] == "4-hour bars, USD"


def test_without_a_manifest_the_error_states_what_to_run(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(dbt.ManifestMissing, match="make manifest"):
        build_definitions(settings, manifest_file=tmp_path / "none.json")


def test_importing_the_definitions_reads_no_setting(tmp_path: Path) -> None:
    """What runs with settings of its own, as `taker demo` does, is not stopped by those of the environment."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "import orchestration.definitions"],
        cwd=ROOT,
        env={"TAKER_NONSENSE": "1", "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_loading_the_definitions_leaves_the_heavy_parts_alone(manifest: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from orchestration.definitions import defs\n"
        "defs()\n"
        "heavy = {'great_expectations', 'boto3', 'botocore', 'duckdb', 'dbt'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=ROOT,
        env={"TAKER_STORAGE_URL": str(tmp_path), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
