"""Dagster's web UI for one set of settings.

Belongs here: the environment and the command line of `dagster dev`. Does not: what it shows.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from orchestration.dbt import ensure_manifest
from orchestration.instance import prepare_home
from orchestration.settings import Settings

_WORKSPACE: Final = Path(__file__).resolve().parent.parent / "workspace.yaml"


def serve(settings: Settings, port: int) -> None:
    """Replace this process by `dagster dev`, reachable from this machine only."""
    prepare_home(settings)
    ensure_manifest(settings)
    dagster = str(Path(sys.executable).with_name("dagster"))
    command = [dagster, "dev", "-w", str(_WORKSPACE), "-h", "127.0.0.1", "-p", str(port)]
    os.chdir(_WORKSPACE.parent)
    os.execve(dagster, command, {**os.environ, **settings.environment()})
