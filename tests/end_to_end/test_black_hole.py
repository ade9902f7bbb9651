"""No network, by the whole command: a sentence within 15 seconds, and nothing stored. What needs none uses none."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration.cli.app import app
from tests.support.claimed import publish_for_claims
from tests.support.hostile_server import BEHAVIOURS, HostileServer

ROOT = Path(__file__).resolve().parents[2]
# A program that starts beside this test may have to wait for a processor.
MOST_SECONDS = 15.0


def test_a_run_without_a_network_ends_soon_in_a_sentence_and_stores_nothing(tmp_path: Path) -> None:
    """All at once, since each only waits: a server without an answer, a name that no one knows, an address without a
    route (the kernel drops what is sent there, or refuses it), a port where nothing listens."""
    with HostileServer(BEHAVIOURS["accepts and sends nothing"]).running() as silent:
        archives = {
            "silent": silent.url,
            "no name": "https://archive.invalid",
            "no route": "https://192.0.2.1",  # an address for documentation
            "refused": "http://127.0.0.1:1",
        }
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("TAKER_", "AWS_"))}
        began = time.monotonic()
        started = {
            name: subprocess.Popen(
                [sys.executable, "-m", "orchestration.cli", "run"],
                env=outside | {"TAKER_STORAGE_URL": str(tmp_path / name), "TAKER_ARCHIVE_URL": url},
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for name, url in archives.items()
        }
        took, texts = {}, {}
        for name, process in sorted(started.items(), key=lambda each: each[0] != "refused"):
            texts[name] = process.communicate(timeout=60)
            took[name] = time.monotonic() - began
    for name, (shown, error) in texts.items():
        assert started[name].returncode == 1, (name, shown, error)
        assert len(error.strip().splitlines()) == 1, error
        assert "cannot be reached" in error
        assert "set TAKER_ARCHIVE_URL to a mirror" in error
        stored = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        assert stored == [], name
    # What the one that is refused at once needed is the start of a program on this machine, now.
    assert max(took.values()) < MOST_SECONDS + max(0.0, took["refused"] - 4), took


@pytest.mark.parametrize(
    "arguments", [("status",), ("verify",), ("sql", "select 1"), ("brief",), ("claim", "x"), ("alerts", "--dry-run")]
)
def test_what_reads_what_is_stored_needs_no_network(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []

    def refused(*address: object, **_: object) -> None:
        tried.append(address)
        raise OSError("no network")

    monkeypatch.chdir(tmp_path)
    serving = tmp_path / "var" / "serving" / "marts.duckdb"
    serving.parent.mkdir(parents=True)
    publish_for_claims(serving)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket.socket, "connect_ex", refused)
    done = CliRunner().invoke(app, list(arguments))
    assert isinstance(done.exception, SystemExit | None)
    assert tried == []
