"""A running Superset over one publication, and looks at its dashboard.

Belongs here: starting and stopping what `make superset` starts; opening the dashboard. Does not: expectations.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.commands import ROOT, Taker

VENV = ROOT / ".venv-superset"
SLUG = "taker"
START_SECONDS = 300


@dataclass
class Superset:
    """What is running: where, and how to get in."""

    url: str
    home: Path
    printed: Path

    @property
    def password(self) -> str:
        return (self.home / "admin_password").read_text()


@contextlib.contextmanager
def running_superset(taker: Taker, folder: Path) -> Iterator[Superset]:
    """`make superset` with the settings of `taker`, until the block ends; `folder` keeps its output."""
    port = _free_port()
    outside = {k: v for k, v in taker.settings().items() if not k.startswith("SUPERSET_")}
    printed = folder / "superset.log"
    with printed.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "bi" / "superset" / "serve.py"), "--port", str(port)],
            cwd=folder,
            env=outside | {"PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, printed)
        state = Path(outside.get("TAKER_STATE_DIR", outside["TAKER_STORAGE_URL"]))
        yield Superset(f"http://127.0.0.1:{port}", state / "superset", printed)
    finally:
        # serve.py has become gunicorn's master, which ends its worker before it ends itself.
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=30)


@dataclass
class View:
    """One look at the dashboard: each chart's rows, the page's console, the hosts it requested."""

    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    foreign_answers: list[str] = field(default_factory=list)
    console_errors: list[str] = field(default_factory=list)


class Dashboard:
    """The dashboard in a browser, logged in. `look` and `refresh` return when every chart has been drawn."""

    def __init__(self, page: Any, superset: Superset) -> None:
        self.page = page
        self._superset = superset
        self._seen = View()
        self._names: dict[int, str] = {}
        page.on("response", self._answered)
        page.on("console", self._console_message)

    def look(self) -> View:
        """Log in by the form and open the dashboard."""
        page = self.page
        page.goto(f"{self._superset.url}/login/?next=/superset/dashboard/{SLUG}/")
        page.fill("#username", "admin")
        page.fill("input[type=password]", self._superset.password)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: urlsplit(url).path.startswith("/superset/dashboard/"))
        return self._drawn()

    def refresh(self) -> View:
        """Load the page again."""
        self._seen = View()
        self.page.reload()
        return self._drawn()

    def choose_market(self, market: str) -> View:
        """Set the market filter and apply it. Claims and screen are out of its scope and not queried again."""
        self._seen = View()
        page = self.page
        page.locator("[data-test=form-item-value] .ant-select, .filter-item-wrapper .ant-select").first.click()
        page.locator(f".ant-select-item-option[title='{market}']").click()
        page.keyboard.press("Escape")
        page.locator("[data-test=filter-bar__apply-button]").click()
        return self._drawn(unqueried=2)

    def text(self) -> str:
        return " ".join(self.page.inner_text("body").split())

    def _drawn(self, unqueried: int = 0) -> View:
        if not self._names:
            listed = self.page.request.get(f"{self._superset.url}/api/v1/dashboard/{SLUG}/charts").json()
            self._names = {chart["id"]: chart["slice_name"] for chart in listed["result"]}
        seen = self._seen
        deadline = time.monotonic() + 300
        while len(seen.answers) < len(self._names) - unqueried and not seen.refused and time.monotonic() < deadline:
            self.page.wait_for_timeout(250)
        self.page.wait_for_function("document.querySelectorAll('.loading').length === 0")
        self.page.wait_for_timeout(500)
        named = {self._names[int(chart)]: rows for chart, rows in seen.answers.items()}
        return View(named, seen.refused, seen.foreign_answers, seen.console_errors)

    def _answered(self, response: Any) -> None:
        if urlsplit(response.url).hostname not in ("127.0.0.1", None):
            self._seen.foreign_answers.append(response.url)
        if "/api/v1/chart/data" not in response.url or response.request.method != "POST":
            return
        requested = json.loads(response.request.post_data)["form_data"]
        if response.status != 200:
            self._seen.refused.append(f"{requested.get('slice_id')}: {response.status} {response.text()[:500]}")
        elif "slice_id" in requested:
            rows = [row for result in response.json()["result"] for row in result["data"]]
            self._seen.answers[str(requested["slice_id"])] = rows

    def _console_message(self, message: Any) -> None:
        # The wheel's telemetry pixel, which the content security policy refuses: nothing leaves the machine.
        if message.type == "error" and "scarf.sh" not in message.text:
            self._seen.console_errors.append(message.text)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes], printed: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"Superset ended with {process.returncode}:\n{printed.read_text()[-3000:]}")
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.5)
    raise RuntimeError(f"Superset did not answer within {START_SECONDS} s:\n{printed.read_text()[-3000:]}")
