"""Dagster's own UI in a real Chromium: launch a partition, watch it succeed, read a check's evidence."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import urllib3

from ingestion.simulator.simulated import DefectKind
from tests.support.commands import ROOT
from tests.support.demos import Demo

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHECK = "gx_fct_flow_reconciliation_daily"
SECONDS = 120_000  # a run starts a process; on a busy machine that takes its time

pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture(scope="module")
def demo(browser: Browser, finished_demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """After `browser`: without one nothing needs to be made."""
    return finished_demo.copied_to(tmp_path_factory.mktemp("dagster_ui"))


@pytest.fixture(scope="module")
def address(demo: Demo) -> Iterator[str]:
    """The UI over a published warehouse, as `taker ui` starts it."""
    taker = demo.taker
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
        time.sleep(0.2)  # readiness can only be polled
    raise RuntimeError(f"Dagster did not start:\n{log.read_text(errors='replace')[-2000:]}")


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1500, "height": 900}, base_url=address)
    opened.set_default_timeout(SECONDS)
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
    page.get_by_text("Status", exact=True).locator("..").get_by_text("Succeeded").wait_for(timeout=3 * SECONDS)


def test_a_check_shows_its_evidence(page: Page, demo: Demo) -> None:
    missing = demo.day_of(DefectKind.MISSING_HOUR)
    page.goto(f"/assets/fct_flow_reconciliation_daily?view=checks&checkDetail={CHECK}")
    page.get_by_text("the day's trades are complete").first.wait_for()
    page.get_by_text("[Show JSON]").click()
    page.get_by_role("dialog").get_by_text(str(missing)).first.wait_for()


def test_the_published_asset_labels_its_numbers_as_simulated(page: Page) -> None:
    page.goto("/assets/published/marts?view=overview")
    page.get_by_text("SIMULATED, not a real market").first.wait_for()
