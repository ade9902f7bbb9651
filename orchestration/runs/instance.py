"""Dagster's own storage: one folder, written by the command line and read by the UI.

Belongs here: `dagster.yaml` and opening the instance. Does not: definitions or runs.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestration.config.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

_EVENT_STORAGE: Final = "orchestration.compat.event_storage"
# Where the class was up to version 0.3: homes written then name it.
_FORMER_EVENT_STORAGE: Final = "orchestration.event_storage"
_CONFIGURATION: Final = f"""\
# Written by taker when missing; edits are kept, but for base_dir, which follows this folder.
telemetry:
  enabled: false
nux:
  enabled: false                # no invitation over the first page
run_monitoring:
  enabled: true                 # a run whose process died gives back its place
event_log_storage:
  module: {_EVENT_STORAGE}
  class: BatchingSqliteEventLogStorage
  config:
    base_dir:
concurrency:
  runs:
    max_concurrent_runs: 1      # SQLite and the warehouse file want one writer at a time
  pools:
    default_limit: 1
    granularity: op
"""

_SILENT_COMPUTE_LOGS: Final = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}


def prepare_home(settings: Settings) -> Path:
    """Create DAGSTER_HOME and its `dagster.yaml` if they are missing."""
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    configuration = home / "dagster.yaml"
    written = configuration.read_text() if configuration.exists() else _CONFIGURATION
    place = json.dumps(str(home / "history" / "runs"))  # a JSON text is a YAML text, whatever the path holds
    wanted = re.sub(r"(?m)^( *base_dir:).*$", lambda line: f"{line[1]} {place}", written)
    wanted = re.sub(rf"(?m)^( *module:) +{re.escape(_FORMER_EVENT_STORAGE)} *$", rf"\1 {_EVENT_STORAGE}", wanted)
    if not configuration.exists() or wanted != written:
        configuration.write_text(wanted)
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def open_instance(settings: Settings, *, capture_output: bool = False) -> dg.DagsterInstance:
    """The instance that the UI shows too.

    Without `capture_output` a run's stdout stays in this process: capturing starts processes and would swallow the
    terminal's progress display.
    """
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    home = prepare_home(settings)
    overrides = None if capture_output else _SILENT_COMPUTE_LOGS
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=overrides))
