"""Dagster's own storage: one folder, written by the command line and read by the UI.

Belongs here: `dagster.yaml`, which of Dagster's files are made anew, and opening the instance. Does not:
definitions or runs.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ingestion.raw.durable import atomic_write
from orchestration.compat.instance import is_valid_configuration
from orchestration.config.paths import FINDINGS
from orchestration.state.healing import heal, set_aside, sqlite_fault
from orchestration.state.locks import ONE_BUILD

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
run_queue:
  dequeue_interval_seconds: 1   # a person waits for the run; Dagster's own 5 are most of what it waits
concurrency:
  runs:
    max_concurrent_runs: 1      # SQLite and the warehouse file want one writer at a time
    tag_concurrency_limits:
      - key: {ONE_BUILD}        # one build at a time, however many runs of ingestion there may be
        limit: 1
"""


# What Dagster's files hold, by their place below DAGSTER_HOME.
_DATABASES: Final = {
    "history/runs.db": "the list of earlier runs is lost; their data is not",
    "history/runs/index.db": "the events of earlier runs are lost: when assets were made and which checks passed",
    "schedules/schedules.db": "schedules and sensors that were switched on or off are as delivered again",
}


def location_name(*, is_simulated: bool) -> str:
    """What the UI calls the code of these settings: its name marks simulated data."""
    return "taker_SIMULATED" if is_simulated else "taker"


def prepare_home(home: Path) -> list[str]:
    """Create or repair DAGSTER_HOME, and name it to Dagster; a sentence for each file that was damaged.

    Edits of `dagster.yaml` are kept, but for telemetry, which stays off: there, and in the environment of this process
    and its children.
    """
    home.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"  # no thread then uploads what was logged, of any instance
    found = [_write_configuration(home)]
    for name, consequence in _DATABASES.items():
        healed = heal(home / name, sqlite_fault, consequence)
        if healed:
            # It speaks of what was recorded there: everything is to be compared and recorded anew.
            (home / FINDINGS).unlink(missing_ok=True)
        found.append(healed)
    return [sentence for sentence in found if sentence]


def _write_configuration(home: Path) -> str | None:
    path = home / "dagster.yaml"
    default = _with_base_dir(_CONFIGURATION, home)
    healed = heal(path, _configuration_fault, "it is written anew with the delivered values")
    written = path.read_text() if path.exists() else ""
    wanted = _with_base_dir(_completed(written), home) if written.strip() else default
    if wanted != written:
        with atomic_write(path, durable=True) as staged:
            staged.write_text(wanted)
    if not is_valid_configuration(home):
        healed = set_aside(path, "Dagster does not accept it", "it is written anew with the delivered values")
        with atomic_write(path, durable=True) as staged:
            staged.write_text(default)
    return healed


def _configuration_fault(path: Path) -> str | None:
    """Why the file is no configuration at all; None for an empty one, which has nothing to keep."""
    import yaml

    try:
        parsed = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return f"no YAML: {str(error).splitlines()[0]}"
    return None if parsed is None or isinstance(parsed, dict) else "no mapping of names to values"


def _completed(written: str) -> str:
    """The text with what a torn file lacks: every section that is delivered, and telemetry off."""
    import yaml

    parsed = yaml.safe_load(written)
    parsed = parsed if isinstance(parsed, dict) else {}
    delivered = yaml.safe_load(_CONFIGURATION)
    if "storage" in parsed:  # where a person keeps events elsewhere
        delivered.pop("event_log_storage")
    missing = {name: value for name, value in delivered.items() if name not in parsed}
    if parsed.get("telemetry", delivered["telemetry"]) != delivered["telemetry"]:
        return yaml.safe_dump({**parsed, **missing, "telemetry": delivered["telemetry"]}, sort_keys=False)
    separator = "" if written.endswith("\n") else "\n"
    return written + (separator + yaml.safe_dump(missing, sort_keys=False) if missing else "")


def _with_base_dir(text: str, home: Path) -> str:
    """The text with the folder of the events below this home, and the class of the events where it is now."""
    runs = json.dumps(str(home / "history" / "runs"))  # a JSON text is a YAML text, whatever the path holds
    text = re.sub(r"(?m)^( *base_dir:).*$", lambda line: f"{line[1]} {runs}", text)
    return re.sub(rf"(?m)^( *module:) +{re.escape(_FORMER_EVENT_STORAGE)} *$", rf"\1 {_EVENT_STORAGE}", text)


def open_instance(
    home: Path, *, captures_output: bool = False, report: Callable[[str], None] = lambda text: None
) -> dg.DagsterInstance:
    """The instance that the UI shows too. `report` gets a sentence for each file that was damaged.

    Without `captures_output` a run's stdout stays in this process: capturing starts processes and would swallow the
    terminal's progress display.
    """
    from orchestration.compat.instance import open_home

    for sentence in prepare_home(home):
        report(sentence)
    return open_home(home, captures_output=captures_output)
