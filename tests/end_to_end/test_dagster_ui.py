"""Dagster's own UI in a real Chromium: launch a partition, watch it succeed, read a check's evidence.

And the same server reached by others than its own pages, and beside a run of the command line. Both are commands of
the wheel, which writes in its folder alone.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from ingestion.simulator.simulated import DefectKind
from orchestration.config.paths import Paths
from orchestration.state.locks import Workplace
from tests.support.browser import new_page
from tests.support.dagster_web import (
    answering,
    free_port,
    graphql,
    requested,
    run_status,
    running,
    until,
)
from tests.support.demos import Demo
from tests.support.fingerprints import differences, fingerprints
from tests.support.installed import Installed
from tests.support.observed import Watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BUILD_SENSOR = "build_when_raw_is_newer"
CHECK = "gx_fct_flow_reconciliation_daily"
START_SENSOR = """mutation { startSensor(sensorSelector: {
    repositoryName: "__repository__", repositoryLocationName: "taker_SIMULATED", sensorName: "changed_source_files"
}) { __typename } }"""
STOP_SENSOR = """mutation { stopSensor(id: "%s") { __typename } }"""
SENSORS = """{ sensorsOrError(repositorySelector: {
    repositoryName: "__repository__", repositoryLocationName: "taker_SIMULATED"
}) { ... on Sensors { results { id name sensorState { status } } } } }"""
LAUNCH_BUILD = """mutation { launchRun(executionParams: { selector: {
    repositoryName: "__repository__", repositoryLocationName: "taker_SIMULATED", jobName: "build_and_publish"
}, runConfigData: {} }) { __typename ... on LaunchRunSuccess { run { runId } } } }"""
LAUNCH_BACKFILL = """mutation { launchPartitionBackfill(backfillParams: {
    assetSelection: [{ path: ["raw", "aggTrades"] }], partitionNames: %s
}) { __typename ... on LaunchBackfillSuccess { backfillId } } }"""
ASSETS = "{ assetNodes { id } repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } } }"
WAITING = "waiting since"
SECRET = "planted-secret-4711"

pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture(scope="module")
def demo(finished_demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return finished_demo.copied_to(tmp_path_factory.mktemp("dagster_ui"))


@pytest.fixture(scope="module")
def address(started: tuple[str, Watched]) -> str:
    return started[0]


@pytest.fixture(scope="module")
def processes(started: tuple[str, Watched]) -> Watched:
    """Of the UI, watched since it was started."""
    return started[1]


@pytest.fixture(scope="module")
def started(
    demo: Demo, installed: Installed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Watched]]:
    """The UI over a published warehouse, by `taker ui`, with secrets in its environment."""
    port, log = free_port(), tmp_path_factory.mktemp("ui") / "ui.log"
    secrets = {"AWS_ACCESS_KEY_ID": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": SECRET}
    command = installed.command("ui", "--demo", "--port", str(port))
    with (
        running(command, cwd=demo.folder, environment=installed.environment() | secrets, log=log) as ui,
        Watched(ui.pid).all_the_time() as watched,
    ):
        address = answering(port, ui, log)
        # Its builds after each launch would take the one place of a run, and each test waits for a run of its own.
        sensors = graphql(address, SENSORS)["sensorsOrError"]["results"]
        graphql(address, STOP_SENSOR % next(one["id"] for one in sensors if one["name"] == BUILD_SENSOR))
        assert _sensor_status(address, BUILD_SENSOR) == "STOPPED"
        yield address, watched


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    opened = new_page(browser, viewport={"width": 1500, "height": 900}, base_url=address)
    yield opened
    opened.close()


def test_a_partition_launched_from_the_browser_succeeds(page: Page, demo: Demo) -> None:
    day = str(demo.simulated.first_trades_day)
    page.goto("/assets/raw/aggTrades?view=partitions")
    page.get_by_role("button", name="Materialize").first.click()
    selection = page.get_by_placeholder("ex: 20").first
    selection.fill(day)
    selection.press("Tab")
    page.get_by_role("button", name="Launch 1 run").click()
    short_id = page.get_by_text("Launched run").locator("span").inner_text()
    page.goto("/runs")
    page.get_by_role("link", name=short_id).first.click()
    page.wait_for_url(f"**/runs/{short_id}**")
    page.get_by_text("Success", exact=True).first.wait_for()
    page.goto(f"/assets/raw/aggTrades?view=partitions&partition={day}")
    page.get_by_text("id_gaps").first.wait_for()


@pytest.mark.parametrize(
    ("dataset", "first", "last"), [("aggTrades", "2026-06-01", "2026-06-07"), ("klines", "2024-07", "2026-06")]
)
def test_a_backfill_of_a_week_and_of_two_years_launched_from_the_browser_succeeds(
    page: Page, dataset: str, first: str, last: str
) -> None:
    page.goto(f"/assets/raw/{dataset}?view=partitions")
    page.get_by_role("button", name="Materialize").first.click()
    selection = page.get_by_placeholder("ex: 20").first
    selection.fill(f"[{first}...{last}]")
    selection.press("Tab")
    page.get_by_role("button", name="Launch backfill").click()
    backfill = page.get_by_text("Created backfill").locator("span").inner_text()
    page.goto(f"/runs/b/{backfill}")
    page.get_by_text("Status", exact=True).locator("..").get_by_text("Succeeded").wait_for()


def test_a_check_shows_its_evidence(page: Page, demo: Demo) -> None:
    missing = demo.day_of(DefectKind.MISSING_HOUR)
    page.goto(f"/assets/fct_flow_reconciliation_daily?view=checks&checkDetail={CHECK}")
    page.get_by_text("the day's trades are complete").first.wait_for()
    page.get_by_text("[Show JSON]").click()
    page.get_by_role("dialog").get_by_text(str(missing)).first.wait_for()


def test_the_published_asset_labels_its_numbers_as_simulated(page: Page) -> None:
    page.goto("/assets/published/marts?view=overview")
    page.get_by_text("SIMULATED, not a real market").first.wait_for()


def test_a_run_of_the_command_line_beside_a_backfill_and_a_build_of_the_ui(
    address: str, demo: Demo, installed: Installed, tmp_path: Path
) -> None:
    """Who cannot work at once waits and states for whom; all end well, and the facts are those of the demo."""
    taker, before = demo.taker, fingerprints(demo.taker.marts)
    for note in ("last_run.json", "serving/last_run.json"):  # so that the run has something to do
        (taker.storage / note).unlink(missing_ok=True)
    days = [str(demo.simulated.first_trades_day + timedelta(days=number)) for number in range(2)]
    log = tmp_path / "run.log"
    with log.open("wb") as output, contextlib.closing(Workplace(Paths(taker.storage))) as first:
        first.hold_warehouse(lambda text: None)
        backfill = graphql(address, LAUNCH_BACKFILL % json.dumps(days))["launchPartitionBackfill"]["backfillId"]
        build = graphql(address, LAUNCH_BUILD)["launchRun"]["run"]["runId"]
        run = subprocess.Popen(
            installed.command("run", "-q", *demo.days),
            cwd=demo.folder,
            env=installed.environment(storage_url=str(taker.storage)) | taker.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        until(lambda: WAITING in log.read_text() and any(WAITING in text for text in _logs_of_started(address)), log)
    until(lambda: run.poll() is not None, log)
    until(lambda: run_status(address, build) in {"SUCCESS", "FAILURE", "CANCELED"}, log)
    until(lambda: _status_of_backfill(address, backfill) != "REQUESTED", log)
    assert run.returncode == 0, log.read_text()
    assert run_status(address, build) == "SUCCESS", _log_of(address, build)
    assert _status_of_backfill(address, backfill) == "COMPLETED_SUCCESS"
    assert differences(before, fingerprints(taker.marts)) == []


def _log_of(address: str, run_id: str) -> str:
    events = "... on EventConnection { events { ... on MessageEvent { message } } }"
    found = graphql(address, f'{{ logsForRun(runId: "{run_id}") {{ {events} }} }}')
    return "\n".join(event["message"] for event in found["logsForRun"]["events"])


def _logs_of_started(address: str) -> list[str]:
    query = "{ runsOrError(filter: { statuses: [STARTED] }) { ... on Runs { results { runId } } } }"
    return [_log_of(address, run["runId"]) for run in graphql(address, query)["runsOrError"]["results"]]


def _status_of_backfill(address: str, backfill: str) -> str:
    query = f'{{ partitionBackfillOrError(backfillId: "{backfill}") {{ ... on PartitionBackfill {{ status }} }} }}'
    return str(graphql(address, query)["partitionBackfillOrError"]["status"])


def _socket(address: str, origin: str) -> ClientConnection:
    url = f"{address.replace('http', 'ws')}/graphql"
    return connect(url, origin=Origin(origin), subprotocols=[Subprotocol("graphql-ws")])


def _sensor_status(address: str, sensor: str = "changed_source_files") -> str:
    results = graphql(address, SENSORS)["sensorsOrError"]["results"]
    found = {row["name"]: row["sensorState"]["status"] for row in results}
    return str(found[sensor])


def test_no_other_web_page_starts_anything(address: str) -> None:
    """By address, by form, by script, under another host name, by WebSocket."""
    evil = "http://evil.example"
    by_address = f"/graphql?{urlencode({'query': START_SENSOR})}"
    as_json = json.dumps({"query": START_SENSOR})
    before = _sensor_status(address)
    port = address.rpartition(":")[2]
    refused = [
        requested(address, "GET", by_address),
        requested(address, "GET", by_address, origin=evil),
        requested(address, "POST", by_address, content_type="application/x-www-form-urlencoded"),
        requested(address, "POST", by_address, content_type="multipart/form-data; boundary=x"),
        requested(address, "POST", "/graphql", as_json, content_type="text/plain; application/json"),
        requested(address, "POST", "/graphql", as_json, content_type="application/json", origin=evil),
        requested(address, "POST", "/graphql", as_json, content_type="application/json", host=f"evil.example:{port}"),
        requested(address, "OPTIONS", "/graphql", origin=evil, access_control_request_method="POST"),
    ]
    assert [status for status, _ in refused] == [405, 403, 415, 415, 415, 403, 403, 403]
    assert all(sentence.startswith("refused: ") for _, sentence in refused)
    for origin in (evil, "null", "http://127.0.0.1:1"):
        with pytest.raises(InvalidStatus) as answer:
            _socket(address, origin)
        assert answer.value.response.status_code == 403
        assert answer.value.response.body.startswith(b"refused: ")
    assert _sensor_status(address) == before == "STOPPED"


def test_a_subscription_over_the_socket_of_its_own_page_is_answered(address: str) -> None:
    latest = "{ runsOrError(limit: 1) { ... on Runs { results { runId } } } }"
    run = graphql(address, latest)["runsOrError"]["results"][0]["runId"]
    logs = f'subscription {{ pipelineRunLogs(runId: "{run}") {{ __typename }} }}'
    with _socket(address, address) as socket_:
        socket_.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket_.recv(60))["type"] == "connection_ack"
        # A mutation is none of the subscriptions, so that it is not carried out over a socket at all.
        answers = []
        for number, query in enumerate((START_SENSOR, logs)):
            socket_.send(json.dumps({"type": "start", "id": str(number), "payload": {"query": query}}))
            answers.append(json.loads(socket_.recv(60)))
    assert [(answer["id"], answer["type"]) for answer in answers] == [("0", "error"), ("1", "data")]
    assert answers[1]["payload"]["data"]["pipelineRunLogs"]["__typename"] == "PipelineRunLogsSubscriptionSuccess"
    assert _sensor_status(address) == "STOPPED"


def test_its_processes_listen_on_loopback_alone_and_show_no_secret(address: str, processes: Watched) -> None:
    assert processes.listening() == {f"127.0.0.1:{address.rpartition(':')[2]}"}
    assert len(processes.command_lines) > 3
    assert SECRET not in "".join(processes.command_lines)


def test_what_the_wheel_installed_is_all_it_takes_and_it_writes_nothing_beside_its_folder(
    address: str, demo: Demo, installed: Installed
) -> None:
    """After all that the UI and the command line did above."""
    found = graphql(address, ASSETS)
    assert [node["location"]["name"] for node in found["repositoriesOrError"]["nodes"]] == ["taker_SIMULATED"]
    assert len(found["assetNodes"]) > 50
    assert installed.files() == installed.as_installed
    assert [path.name for path in demo.folder.iterdir()] == ["var"]
    assert list(installed.home.iterdir()) == []
