"""Dagster's own UI in a real Chromium: launch a partition, watch it succeed, read a check's evidence."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import urllib3

from ingestion.venues.simulated import DefectKind, SimulationSummary, simulate
from tests.support.browser import running_chromium
from tests.support.commands import ROOT, Taker

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LAST_DAY = date(2026, 3, 10)
MARKET = "simulated:BTCUSDT"
CHECK = "gx_fct_flow_reconciliation_daily"
SECONDS = 120_000  # a run starts a process; on a busy machine that takes its time

pytestmark = pytest.mark.xdist_group("dagster_ui")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as started:
        yield started


@pytest.fixture(scope="module")
def simulated(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> SimulationSummary:
    """After `browser`: without one nothing needs to be made."""
    folder = tmp_path_factory.mktemp("dagster_ui") / "archive"
    return simulate(folder, last_day=LAST_DAY, days=45, trades_days=10, rows_per_day=500)


@pytest.fixture(scope="module")
def address(simulated: SimulationSummary) -> Iterator[str]:
    """The UI over a published warehouse, as `taker ui` starts it."""
    taker = Taker(
        simulated.root.parent / "var",
        {
            "TAKER_MARKETS": MARKET,
            "TAKER_ARCHIVE_URL": simulated.root.as_uri(),
            "TAKER_FIRST_DAY": str(simulated.first_day),
        },
    )
    published = taker.run("run", "--from", str(simulated.first_trades_day), "--to", str(LAST_DAY), "--quiet")
    assert published.returncode == 0, published.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("TAKER_", "AWS_", "DAGSTER_"))}
    log = taker.storage / "ui.log"
    with log.open("wb") as output:
        ui = subprocess.Popen(
            [sys.executable, "-m", "orchestration.cli", "ui", "--port", str(port)],
            cwd=ROOT,
            env=outside | {"TAKER_STORAGE_URL": str(taker.storage)} | taker.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/server_info", ui, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        ui.send_signal(signal.SIGINT)
        try:
            ui.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(ui.pid, signal.SIGKILL)
            ui.wait()


def _wait_until_it_answers(url: str, ui: subprocess.Popen[bytes], log: Path, seconds: float = 120.0) -> None:
    http = urllib3.PoolManager(retries=False, timeout=2.0)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and ui.poll() is None:
        try:
            if http.request("GET", url).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(0.2)  # readiness can only be asked for
    raise RuntimeError(f"Dagster did not start:\n{log.read_text(errors='replace')[-2000:]}")


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1500, "height": 900}, base_url=address)
    opened.set_default_timeout(SECONDS)
    yield opened
    opened.close()


def test_a_partition_launched_from_the_browser_succeeds(page: Page, simulated: SimulationSummary) -> None:
    day = str(simulated.first_trades_day)
    page.goto("/assets/raw/aggTrades?view=partitions")
    page.get_by_role("button", name="Materialize").first.click()
    selection = page.get_by_placeholder("ex: 20").first
    selection.fill(day)
    selection.press("Tab")
    page.get_by_role("button", name="Launch 1 run").click()
    page.get_by_text("Launched run").wait_for()
    page.get_by_role("button", name="View", exact=True).click()
    page.wait_for_url("**/runs/**")
    page.get_by_text("Success", exact=True).first.wait_for()
    page.goto(f"/assets/raw/aggTrades?view=partitions&partition={day}")
    page.get_by_text("id_gaps").first.wait_for()


def test_a_check_shows_its_evidence(page: Page, simulated: SimulationSummary) -> None:
    missing = next(defect.day for defect in simulated.defects if defect.kind is DefectKind.MISSING_HOUR)
    page.goto(f"/assets/fct_flow_reconciliation_daily?view=checks&checkDetail={CHECK}")
    page.get_by_text("the day's trades are complete").first.wait_for()
    assert str(missing) in page.inner_text("body")


def test_the_published_asset_says_that_its_numbers_are_simulated(page: Page) -> None:
    page.goto("/assets/published/marts?view=overview")
    page.get_by_text("SIMULATED, not a real market").first.wait_for()
