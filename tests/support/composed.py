"""The services of compose.yaml as processes of this machine: their commands, environments and health checks.

Belongs here: reading the file, and what a container engine would put in place of names (hosts, ports, folders,
secrets). Does not: expectations, or starting the servers that have images of their own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.commands import ROOT
from tests.support.dagster_web import free_port, running, until, without_settings

COMPOSE = ROOT / "compose.yaml"
DEPLOY = ROOT / "deploy"


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


@dataclass
class Composed:
    """One set of the services. `replaced`: what stands for the names of the file, such as `seaweedfs:8333`."""

    folder: Path
    secrets: Path
    settings: Mapping[str, str]
    replaced: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ports = {port: str(free_port()) for port in ("3000", "4000")}
        self.replaced = {"/opt/deploy": str(DEPLOY), "0.0.0.0": "127.0.0.1", **self.ports, **self.replaced}

    def command(self, words: list[str]) -> list[str]:
        return [str(DEPLOY / "entrypoint.sh"), *map(self._here, words)]

    def environment(self, service: str, state: str = "state") -> dict[str, str]:
        """What the file gives to the service, with the defaults of its settings, and what the image states.

        `state`: the name of its volume.
        """
        given = services()[service]["environment"]
        stated = {name: self._here(_interpolated(str(value))) for name, value in given.items()}
        image = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DEPLOY_DIR": str(DEPLOY),
            "SECRETS_DIR": str(self.secrets),
            "TAKER_STATE_DIR": str(self.folder / state),
            "DAGSTER_HOME": str(self.folder / state / "dagster"),
        }
        return {**without_settings(), **image, **stated, "CODE_HOST": "127.0.0.1", **self.settings}

    def once(self, service: str, *words: str, state: str = "state") -> subprocess.CompletedProcess[str]:
        """Run the service, or these words in its place, to the end."""
        command = self.command(list(words) or services()[service]["command"])
        return subprocess.run(
            command, cwd=self.folder, env=self.environment(service, state), capture_output=True, text=True, timeout=300
        )

    @contextmanager
    def started(self, service: str, state: str = "state") -> Iterator[subprocess.Popen[bytes]]:
        """The service, from when its health check passes; `state`: the name of its volume, and then of its log."""
        log = self.folder / f"{service if state == 'state' else state}.log"
        command = self.command(services()[service]["command"])
        with running(command, cwd=self.folder, environment=self.environment(service, state), log=log) as process:
            until(lambda: process.poll() is not None or self.is_healthy(service, state), log)
            assert process.poll() is None, log.read_text()
            yield process

    def is_healthy(self, service: str, state: str = "state") -> bool:
        kind, *words = services()[service]["healthcheck"]["test"]
        assert kind == "CMD"
        return self.once(service, *words, state=state).returncode == 0

    def _here(self, text: str) -> str:
        for name, value in self.replaced.items():
            text = text.replace(name, value)
        return sys.executable if text == "python" else text


def _interpolated(text: str) -> str:
    """`${NAME:-default}` as where NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
