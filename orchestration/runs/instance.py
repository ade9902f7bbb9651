"""Dagster's own storage: one folder, written by the command line and read by the UI.

Belongs here: `dagster.yaml` and opening the instance. Does not: definitions or runs.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

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
  enabled: true                 # a run whose process died frees its place
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


def prepare_home(home: Path) -> Path:
    """Create DAGSTER_HOME and its `dagster.yaml` if they are missing."""
    home.mkdir(parents=True, exist_ok=True)
    configuration = home / "dagster.yaml"
    written = configuration.read_text() if configuration.exists() else _CONFIGURATION
    runs = json.dumps(str(home / "history" / "runs"))  # a JSON text is a YAML text, whatever the path holds
    wanted = re.sub(r"(?m)^( *base_dir:).*$", lambda line: f"{line[1]} {runs}", written)
    wanted = re.sub(rf"(?m)^( *module:) +{re.escape(_FORMER_EVENT_STORAGE)} *$", rf"\1 {_EVENT_STORAGE}", wanted)
    if not configuration.exists() or wanted != written:
        configuration.write_text(wanted)
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def open_instance(home: Path, *, captures_output: bool = False) -> dg.DagsterInstance:
    """The instance that the UI shows too.

    Without `captures_output` a run's stdout stays in this process: capturing starts processes and would swallow the
    terminal's progress display.
    """
    from orchestration.compat.instance import open_home

    return open_home(prepare_home(home), captures_output=captures_output)
