"""Dagster's web server as a process that a test starts, and its GraphQL.

Belongs here: starting, awaiting, requesting, ending. Does not: what is requested, or expectations.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def without_settings() -> dict[str, str]:
    """The environment without settings of Taker, of S3 and of Dagster."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TAKER_", "AWS_", "DAGSTER_"))}


@contextmanager
def running(
    command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The process of this command, which is ended by SIGINT, as Ctrl-C does. `answering` waits for it."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # As a terminal has it: where a test runs in the background of a shell, it would be ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        yield server
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def answering(port: int, server: subprocess.Popen[bytes], log: Path, seconds: float = 300.0) -> str:
    """The address of the server, once it answers there."""
    address = f"http://127.0.0.1:{port}"
    http = urllib3.PoolManager(retries=False, timeout=2.0)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if http.request("GET", f"{address}/server_info").status == 200:
                return address
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(0.2)  # readiness can only be polled
    raise RuntimeError(f"Dagster did not start:\n{log.read_text(errors='replace')[-2000:]}")


def requested(address: str, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, str]:
    """Status and text of the answer; names of headers are written with `_`."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    answered = urllib3.request(method, address + path, body=body, headers=given, retries=False, timeout=60.0)
    return answered.status, answered.data.decode()


def graphql(address: str, query: str, **variables: Any) -> Any:
    """The data of the answer."""
    body = json.dumps({"query": query, "variables": variables})
    status, text = requested(address, "POST", "/graphql", body, content_type="application/json")
    assert status == 200, text
    return json.loads(text)["data"]


def until(is_true: Callable[[], bool], log: Path, seconds: float = 900.0) -> None:
    """Wait for another process, which can only be polled; fails with its log, on a machine however busy."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def failures(address: str) -> list[str]:
    """Why runs failed that did, as Dagster recorded it: a message for each failed step or run."""
    query = """{ runsOrError(filter: { statuses: [FAILURE] }) { ... on Runs { results { eventConnection { events {
        ... on ExecutionStepFailureEvent { error { message causes { message } } }
        ... on RunFailureEvent { error { message } message } } } } } } }"""
    runs = graphql(address, query)["runsOrError"]["results"]
    events = [event for run in runs for event in run["eventConnection"]["events"] if event]
    return [str(event) for event in events]


def run_status(address: str, run_id: str) -> str:
    found = graphql(address, f'{{ runOrError(runId: "{run_id}") {{ ... on Run {{ status }} }} }}')
    return str(found["runOrError"]["status"])
