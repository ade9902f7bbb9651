"""Dagster's own storage: made once, kept, and quick for ranges of partitions."""

import json
import queue
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.instance.ref import InstanceRef
from dagster._utils.tags import TagConcurrencyLimitsCounter

from orchestration.automation.jobs import BUILD_AND_PUBLISH, INGEST_TODAY
from orchestration.compat.event_storage import BatchingSqliteEventLogStorage
from orchestration.compat.instance import show_runs_in
from orchestration.config.settings import Settings
from orchestration.definitions import build_definitions
from orchestration.defs.partitions import range_tags
from orchestration.runs.instance import _CONFIGURATION, _with_base_dir, open_instance, prepare_home
from tests.support.commands import ROOT

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-02-01")


@dg.asset(partitions_def=DAYS)
def daily(context: dg.AssetExecutionContext) -> None:
    for key in context.partition_keys:
        context.add_asset_metadata({"day": key}, partition_key=key)


@pytest.fixture
def home_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")  # so that it is restored after the test


@pytest.mark.usefixtures("home_in_environment")
def test_the_home_is_written_once_and_edits_are_kept(settings: Settings) -> None:
    prepare_home(settings.paths.dagster_home)
    configuration = settings.paths.dagster_home / "dagster.yaml"
    assert "telemetry:\n  enabled: false" in configuration.read_text()
    configuration.write_text("telemetry: {enabled: false}\n# mine\n")
    prepare_home(settings.paths.dagster_home)
    assert "# mine" in configuration.read_text()


def test_dagster_dev_in_the_checkout_has_the_history_of_the_ui(settings: Settings, tmp_path: Path) -> None:
    """The configuration beside workspace.yaml is that of DAGSTER_HOME, with its folders written out."""
    beside = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    beside = yaml.safe_load(json.dumps(beside).replace("var/dagster", str(tmp_path)))
    delivered = yaml.safe_load(_with_base_dir(_CONFIGURATION, tmp_path))
    assert {name: beside[name] for name in delivered} == delivered
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(delivered))
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "dagster.yaml").write_text(yaml.safe_dump(beside))
    home, other = InstanceRef.from_dir(str(tmp_path)), InstanceRef.from_dir(str(tmp_path / "beside"))
    for storage in ("run_storage_data", "event_storage_data", "schedule_storage_data", "compute_logs_data"):
        expected, found = (getattr(ref, storage) for ref in (home, other))
        assert expected.class_name == found.class_name
        assert Path(expected.config_dict["base_dir"]) == Path(found.config_dict["base_dir"])
    assert home.local_artifact_storage_data.config_dict == other.local_artifact_storage_data.config_dict


def test_a_run_of_the_command_line_is_of_the_code_location_of_the_ui(settings: Settings) -> None:
    with open_instance(settings.paths.dagster_home) as instance:
        show_runs_in(instance, "orchestration.definitions", "taker")
        job = dg.Definitions(
            assets=[daily], jobs=[dg.define_asset_job("ingest")], executor=dg.in_process_executor
        ).resolve_job_def("ingest")
        done = job.execute_in_process(instance=instance, tags=range_tags("2024-01-01", "2024-01-02"))
        run = instance.get_run_by_id(done.run_id)
        assert run is not None
        assert run.remote_job_origin is not None
        assert run.remote_job_origin.job_name == "ingest"
        assert run.remote_job_origin.repository_origin.get_label() == "__repository__@taker"
        of_the_location = dg.RunsFilter(tags={".dagster/repository": "__repository__@taker"})
        assert [found.run_id for found in instance.get_runs(of_the_location)] == [done.run_id]


@pytest.mark.usefixtures("home_in_environment")
def test_a_home_of_an_earlier_version_finds_the_event_storage_where_it_is_now(settings: Settings) -> None:
    prepare_home(settings.paths.dagster_home)
    configuration = settings.paths.dagster_home / "dagster.yaml"
    written = configuration.read_text()
    configuration.write_text(written.replace("orchestration.compat.event_storage", "orchestration.event_storage"))
    prepare_home(settings.paths.dagster_home)
    assert configuration.read_text() == written


@pytest.mark.usefixtures("home_in_environment", "manifest")
def test_of_the_builds_in_the_queue_one_is_started_however_many_runs_may_be(settings: Settings) -> None:
    prepare_home(settings.paths.dagster_home)
    configuration = settings.paths.dagster_home / "dagster.yaml"
    configuration.write_text(configuration.read_text().replace("max_concurrent_runs: 1", "max_concurrent_runs: 4"))
    definitions = build_definitions(settings)
    build, ingestion = (definitions.resolve_job_def(name) for name in (BUILD_AND_PUBLISH, INGEST_TODAY))
    with open_instance(settings.paths.dagster_home) as instance:
        limits = instance.get_concurrency_config().run_queue_config
        assert limits is not None
        assert limits.max_concurrent_runs == 4
        runs = [instance.create_run_for_job(each, tags=each.tags) for each in (build, build, ingestion)]
        counter = TagConcurrencyLimitsCounter(limits.tag_concurrency_limits, runs[:1])
        assert [counter.is_blocked(run) for run in runs[1:]] == [True, False]


@pytest.mark.usefixtures("home_in_environment")
def test_a_range_of_partitions_is_recorded_completely(settings: Settings) -> None:
    with open_instance(settings.paths.dagster_home) as instance:
        assert isinstance(instance.event_log_storage, BatchingSqliteEventLogStorage)
        definitions = dg.Definitions(assets=[daily], jobs=[dg.define_asset_job("job", [daily])])
        result = definitions.resolve_job_def("job").execute_in_process(
            instance=instance, tags=range_tags("2024-01-01", "2024-01-31")
        )
        assert instance.get_materialized_partitions(daily.key) == set(DAYS.get_partition_keys())
        latest = instance.get_latest_materialization_event(daily.key)
        assert latest is not None
        assert latest.asset_materialization is not None
        assert latest.asset_materialization.partition == "2024-01-31"
        of_run = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        assert len(of_run) == 31


@pytest.mark.usefixtures("home_in_environment")
def test_who_watches_a_run_gets_its_events_while_it_goes_on(settings: Settings) -> None:
    """A page of the UI, whose process is another one: the run's own keeps the database open."""
    seen: queue.Queue[str] = queue.Queue()
    with open_instance(settings.paths.dagster_home) as of_run, open_instance(settings.paths.dagster_home) as of_page:
        definitions = dg.Definitions(assets=[daily], jobs=[dg.define_asset_job("job", [daily])])
        run = of_run.create_run_for_job(definitions.resolve_job_def("job"))
        of_run.report_engine_event("first", run)
        of_page.event_log_storage.watch(run.run_id, None, lambda event, cursor: seen.put(event.dagster_event.message))
        of_run.report_engine_event("second", run)
        assert [seen.get(timeout=20) for _ in range(3)][1:] == ["first", "second"]  # after what it intends to make
        of_run.report_engine_event("third", run)
        assert seen.get(timeout=20) == "third"


@pytest.mark.usefixtures("home_in_environment")
def test_a_log_that_was_replaced_while_it_was_open_is_opened_anew(settings: Settings) -> None:
    """Another process may set a damaged one aside."""
    with open_instance(settings.paths.dagster_home) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("before"))
        for path in (settings.paths.dagster_home / "history").rglob("index.db*"):
            path.rename(path.with_name(f"aside-{path.name}"))
        instance.report_runless_asset_event(dg.AssetMaterialization("after"))
    with open_instance(settings.paths.dagster_home) as instance:
        assert instance.all_asset_keys() == [dg.AssetKey("after")]


@pytest.mark.usefixtures("home_in_environment")
def test_a_database_of_events_is_opened_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_instance(settings.paths.dagster_home) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("first"))
        monkeypatch.setattr("orchestration.compat.event_storage.create_engine", None)
        instance.report_runless_asset_event(dg.AssetMaterialization("second"))
        assert len(instance.all_asset_keys()) == 2


@pytest.mark.usefixtures("home_in_environment")
def test_the_tables_that_a_log_has_are_looked_for_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_instance(settings.paths.dagster_home) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("made"))
        assert instance.get_event_tags_for_asset(dg.AssetKey("made")) == []
        # What Dagster's own storage makes for each look.
        monkeypatch.setattr("dagster._core.storage.event_log.sqlite.sqlite_event_log.create_engine", None)
        assert instance.get_event_tags_for_asset(dg.AssetKey("made")) == []
