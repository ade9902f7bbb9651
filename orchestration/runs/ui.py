"""Dagster's web UI for one set of settings.

Belongs here: the environment and the command line of `dagster dev`, and the process it becomes. Does not: what it
shows, or who may use it (`orchestration.runs.web_guard`).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import Final

from ingestion.raw.durable import atomic_write
from orchestration.automation.abandoned_runs import end_abandoned_runs
from orchestration.compat.logs import redact_logs
from orchestration.compat.webserver import dev
from orchestration.config.settings import Settings
from orchestration.runs.instance import location_name, open_instance
from orchestration.warehouse.dbt import ensure_manifest

_WORKSPACE: Final = """\
# Written by `taker ui`: workspace.yaml whose name marks simulated data.
load_from:
  - python_module:
      module_name: orchestration.definitions
      working_directory: {root}
      location_name: {name}
"""


class PortInUse(Exception):
    """The port is in use. The text names how to choose another."""


def serve(settings: Settings, port: int) -> None:
    """Replace this process by `dagster dev`, guarded and on loopback. PortInUse before anything starts."""
    _refuse_a_busy_port(port)
    home = settings.paths.dagster_home
    with open_instance(home, report=print) as instance:
        for sentence in end_abandoned_runs(instance, settings.paths):
            print(sentence)
    ensure_manifest(settings.dbt)
    workspace = home / "workspace.yaml"
    name = location_name(is_simulated=settings.is_simulated)
    with atomic_write(workspace) as staged:
        staged.write_text(_WORKSPACE.format(root=json.dumps(str(home)), name=name))
    command = [sys.executable, "-m", "orchestration.runs.ui", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)]
    print(f"Dagster starts on http://127.0.0.1:{port} and answers in half a minute; look at Lineage, Runs and Catalog.")
    print("Ctrl+C ends it.", flush=True)
    # Python looks for modules where a program is started: of this folder Dagster alone writes the files.
    os.chdir(home)
    # Dagster recommends its next command line at every start; this one is the one that is tested here.
    quiet = {"PYTHONWARNINGS": "ignore"}
    # A shell starts a background job with SIGINT ignored; Dagster then ignores SIGTERM too, and its processes stay.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execve(sys.executable, command, {**os.environ, **quiet, **settings.environment(), **settings.aws_environment()})


def _refuse_a_busy_port(port: int) -> None:
    """Dagster would go on without its web server, and the page would be another program's."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        # As the server does: a port whose last connections are still closing is free.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortInUse(
                f"port {port} of 127.0.0.1 is in use ({error.strerror}); end what uses it, or choose another: "
                f"`taker ui --port {port + 1}`, `make ui PORT={port + 1}`"
            ) from error


if __name__ == "__main__":
    redact_logs()
    dev(sys.argv[1:], web_server="orchestration.runs.webserver", daemon="orchestration.runs.daemon")
