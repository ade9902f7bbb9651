"""What compose.yaml, the image and the manifests state, without a container engine.

The services run as processes, by their own commands and health checks, against a real PostgreSQL and a real S3 server.
That the image builds, and that an engine starts it, is not tested here: no engine runs on this machine.
"""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from dagster._config import process_config
from dagster_k8s import K8sRunLauncher

from deploy import make_secrets
from ingestion.live.status import CollectorStatus, write_status
from ingestion.raw.s3 import S3Options
from ingestion.raw.stores import open_store
from ingestion.simulator.simulated import simulate
from orchestration.compat.instance import is_valid_configuration
from orchestration.state.locks import ONE_BUILD
from tests.support.commands import ROOT
from tests.support.composed import COMPOSE, DEPLOY, Composed, services
from tests.support.dagster_web import failures, graphql, until
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.xdist_group("postgres")

LAST, DAYS = date(2026, 3, 10), 40
OURS = ("code", "webserver", "daemon", "collector", "bucket", "worker", "builder")
BACKFILL = """mutation { launchPartitionBackfill(backfillParams: {
    assetSelection: [{ path: ["raw", "klines"] }], partitionNames: ["2026-02", "2026-03"]
}) { __typename ... on LaunchBackfillSuccess { backfillId } } }"""
BUILDS = '{ runsOrError(filter: { pipelineName: "build_and_publish" }) { ... on Runs { results { status } } } }'
LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus
    locationOrLoadError { __typename } } } } }"""


@pytest.fixture(scope="module")
def server(postgres_server: PostgresServer) -> PostgresServer:
    """With the databases that the image of the services expects."""
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as administrator:
        administrator.execute("create database dagster")
        # As the server's image reads it.
        administrator.execute((DEPLOY / "marts.sql").read_bytes())
    return postgres_server


@pytest.fixture
def composed(server: PostgresServer, seaweedfs: S3Options, tmp_path: Path) -> Composed:
    archive = tmp_path / "archive"
    simulate(archive, last_day=LAST, days=DAYS, trades_days=7, rows_per_day=300)
    secrets = tmp_path / "secrets"
    assert make_secrets.make(secrets)
    for name, value in {
        "DAGSTER_POSTGRES_URL": server.url("dagster"),
        "TAKER_PUBLISH_POSTGRES_URL": server.url("marts"),
        "AWS_ACCESS_KEY_ID": seaweedfs.access_key_id,
        "AWS_SECRET_ACCESS_KEY": seaweedfs.secret_access_key,
    }.items():
        (secrets / name).write_text(str(value))
    settings = {
        "TAKER_MARKETS": "simulated:BTCUSDT",
        "TAKER_ARCHIVE_URL": archive.as_uri(),
        "TAKER_FIRST_DAY": str(LAST - timedelta(days=DAYS - 1)),
    }
    return Composed(tmp_path, secrets, settings, {"http://seaweedfs:8333": str(seaweedfs.endpoint_url)})


def builds(address: str) -> set[str]:
    return {run["status"] for run in graphql(address, BUILDS)["runsOrError"]["results"]}


def test_a_backfill_from_the_browser_is_ingested_built_and_published_by_the_services(
    composed: Composed, server: PostgresServer, seaweedfs: S3Options
) -> None:
    for _ in range(2):  # started again with the others, it finds its bucket
        bucket = composed.once("bucket")
        assert bucket.returncode == 0, bucket.stderr
    with composed.started("code"), composed.started("webserver"), composed.started("daemon"):
        address, log = f"http://127.0.0.1:{composed.ports['3000']}", composed.folder / "daemon.log"
        (location,) = graphql(address, LOCATIONS)["workspaceOrError"]["locationEntries"]
        assert (location["name"], location["locationOrLoadError"]["__typename"]) == ("taker", "RepositoryLocation")
        assert graphql(address, BACKFILL)["launchPartitionBackfill"]["__typename"] == "LaunchBackfillSuccess"
        # The sensor of the daemon notices what was stored, and starts the build.
        until(lambda: bool(builds(address) & {"SUCCESS", "FAILURE"} or failures(address)), log, 600)
        failed = failures(address)
        assert not failed, "\n".join(failed)
        assert builds(address) == {"SUCCESS"}
    with psycopg.connect(server.url("marts")) as reader:
        (days,) = reader.execute("select count(*) from taker.fct_net_taker_volume_daily").fetchone() or (0,)
    assert days == 28 + LAST.day  # February, and March so far
    keys = [found.key for found in open_store("s3://taker/warehouse", seaweedfs).list("serving/parquet")]
    assert any("fct_net_taker_volume_daily" in key for key in keys)
    with psycopg.connect(server.url("dagster")) as history:
        (runs,) = history.execute("select count(*) from runs").fetchone() or (0,)
    assert runs >= 2
    assert not list((composed.folder / "state" / "dagster").glob("history/*"))  # which SQLite would have


def test_the_collector_is_healthy_while_it_writes_its_status(composed: Composed) -> None:
    check = services()["collector"]["healthcheck"]["test"][1:]
    assert "has not written its status" in composed.once("collector", *check).stderr
    now = datetime.now(UTC)
    for age, code in ((timedelta(seconds=5), 0), (timedelta(minutes=3), 1)):
        beat = now - age
        spool = composed.folder / "state" / "spool"
        spool.mkdir(parents=True, exist_ok=True)
        write_status(spool, CollectorStatus(started_at=beat, beat_at=beat, pid=1, connections=()))
        assert composed.once("collector", *check).returncode == code


def test_a_secret_reaches_its_service_and_no_command_line(tmp_path: Path) -> None:
    (tmp_path / "AWS_SECRET_ACCESS_KEY").write_text("of several words\n")
    (tmp_path / "s3.json").write_text("{}")
    done = subprocess.run(
        [str(DEPLOY / "entrypoint.sh"), sys.executable, "-c", "import os; print(os.environ['AWS_SECRET_ACCESS_KEY'])"],
        env={"SECRETS_DIR": str(tmp_path), "DEPLOY_DIR": str(DEPLOY), "DAGSTER_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "of several words\n", done.stderr
    stated = yaml.safe_load(COMPOSE.read_text())["services"]
    commands = str([one.get("command") for one in stated.values()]).replace("/run/secrets/", "")
    assert not re.search(r"(?i)password|secret|postgresql://", commands)


def test_secrets_are_made_once_and_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert make_secrets.make(folder)
    made = {path.name: path.read_text() for path in folder.iterdir()}
    assert not make_secrets.make(folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == made
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert set(made) == set(yaml.safe_load(COMPOSE.read_text())["secrets"])
    assert made["POSTGRES_PASSWORD"] in made["DAGSTER_POSTGRES_URL"]


@pytest.mark.parametrize("name", OURS)
def test_every_service_of_this_image_is_an_ordinary_user_that_may_write_its_state_alone(name: str) -> None:
    service: dict[str, Any] = services()[name]
    assert service["user"] == "10001:10001"
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["volumes"] == (["/state"] if name == "worker" else ["state:/state"])
    assert name == "bucket" or service["healthcheck"]["test"]


def test_every_server_is_checked_and_only_the_browsers_port_is_published_on_loopback() -> None:
    published = {name: service.get("ports", []) for name, service in services().items()}
    assert {name: ports for name, ports in published.items() if ports} == {"webserver": ["127.0.0.1:3000:3000"]}
    assert all("healthcheck" in service for name, service in services().items() if name != "bucket")


@pytest.mark.parametrize("name", ["dagster.yaml", "kubernetes-dagster.yaml", "workers-dagster.yaml"])
def test_dagster_accepts_the_configuration_of_its_services(name: str, tmp_path: Path) -> None:
    text = (DEPLOY / name).read_text()
    (tmp_path / "dagster.yaml").write_text(text)
    assert is_valid_configuration(tmp_path)
    stated = yaml.safe_load(text)
    assert stated["concurrency"] == {
        "runs": {"max_concurrent_runs": 4, "tag_concurrency_limits": [{"key": ONE_BUILD, "limit": 1}]}
    }
    launcher = stated["run_launcher"]
    if launcher["class"] == "K8sRunLauncher":
        kind = K8sRunLauncher.config_type()  # type: ignore[no-untyped-call]
        checked = process_config(kind, launcher["config"])
        assert checked.success, checked.errors


def test_the_manifests_run_the_commands_of_the_services_with_their_checks() -> None:
    items = yaml.safe_load((DEPLOY / "kubernetes" / "taker.yaml").read_text())["items"]
    deployed = {item["metadata"]["name"]: item["spec"] for item in items if item["kind"] == "Deployment"}
    for name in ("code", "webserver", "daemon", "collector"):
        (container,) = deployed[f"taker-{name}"]["template"]["spec"]["containers"]
        assert container["args"] == services()[name]["command"]
        assert container["readinessProbe"]["exec"]["command"] == services()[name]["healthcheck"]["test"][1:]
        assert deployed[f"taker-{name}"]["template"]["spec"]["securityContext"]["runAsUser"] == 10001
        assert deployed[f"taker-{name}"]["replicas"] == 1


def test_the_values_of_the_chart_have_the_names_and_limits_of_the_manifests() -> None:
    """What the chart itself takes: `test_helm_values.py`."""
    values = yaml.safe_load((DEPLOY / "kubernetes-values.yaml").read_text())
    items = yaml.safe_load((DEPLOY / "kubernetes" / "taker.yaml").read_text())["items"]
    named = {(item["kind"], item["metadata"]["name"]) for item in items}
    (code,) = values["dagster-user-deployments"]["deployments"]
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]
    assert code["codeServerArgs"] == services()["code"]["command"][-2:]
    for part in (code, values["dagsterDaemon"], launcher):
        assert {("ConfigMap", each["name"]) for each in part["envConfigMaps"]} <= named
        assert {
            ("PersistentVolumeClaim", each["persistentVolumeClaim"]["claimName"]) for each in part["volumes"]
        } <= named
    stated = yaml.safe_load((DEPLOY / "kubernetes-dagster.yaml").read_text())
    queue = values["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert {
        "max_concurrent_runs": queue["maxConcurrentRuns"],
        "tag_concurrency_limits": queue["tagConcurrencyLimits"],
    } == (stated["concurrency"]["runs"])
    assert values["global"]["dagsterHome"] == stated["run_launcher"]["config"]["dagster_home"]
    kind = K8sRunLauncher.config_type()  # type: ignore[no-untyped-call]
    as_dagster = {
        "image_pull_policy": launcher["imagePullPolicy"],
        "load_incluster_config": launcher["loadInclusterConfig"],
        "env_config_maps": [each["name"] for each in launcher["envConfigMaps"]],
        "env_secrets": [each["name"] for each in launcher["envSecrets"]],
        "env_vars": launcher["envVars"],
        "volumes": launcher["volumes"],
        "volume_mounts": launcher["volumeMounts"],
    }
    required = {
        name: stated["run_launcher"]["config"][name] for name in ("service_account_name", "instance_config_map")
    }
    checked = process_config(kind, {**required, **as_dagster, "dagster_home": values["global"]["dagsterHome"]})
    assert checked.success, checked.errors


def test_a_dagster_yaml_that_something_else_mounts_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    environment = {"SECRETS_DIR": str(tmp_path), "DEPLOY_DIR": str(DEPLOY), "DAGSTER_HOME": str(home)}
    for chosen, is_kept in (("none", True), ("workers-dagster.yaml", False)):
        subprocess.run(
            [str(DEPLOY / "entrypoint.sh"), "true"], env={**environment, "DAGSTER_CONFIGURATION": chosen}, check=True
        )
        assert ("QueueLauncher" not in (home / "dagster.yaml").read_text()) is is_kept


@pytest.mark.parametrize("unit", sorted((DEPLOY / "systemd").glob("*.service")), ids=lambda path: path.name)
def test_a_unit_starts_a_command_that_there_is(unit: Path) -> None:
    (command,) = re.findall(r"^ExecStart=%h/taker/\.venv/bin/taker (\w+)$", unit.read_text(), re.MULTILINE)
    assert subprocess.run([sys.executable, "-m", "orchestration.cli", command, "--help"], cwd=ROOT).returncode == 0


def test_the_image_copies_what_exists_and_ignores_everything_else() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert {name for name in names if not (ROOT / name).exists()} == set()
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert kept == names
