"""A real Redis for the tests, with a password it insists on.

Belongs here: starting it on a free loopback port, ending it, starting it again there. Does not: who uses it.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from tests.support.dagster_web import free_port

PASSWORD = "s3cret"


@dataclass
class RedisServer:
    """The server, its files in `folder`."""

    folder: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        configuration = self.folder / "redis.conf"
        configuration.write_text(
            f"port {self.port}\nbind 127.0.0.1\nrequirepass {PASSWORD}\nappendonly yes\ndir {self.folder}\n"
        )
        log = (self.folder / "redis.log").open("ab")
        self._process = subprocess.Popen(["redis-server", str(configuration)], stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while True:
            try:
                redis.Redis.from_url(self.url).ping()
                return
            except redis.RedisError:
                assert self._process.poll() is None, (self.folder / "redis.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)  # readiness can only be polled

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


@contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    """Skips where the machine has no Redis."""
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server here (Debian: apt-get install redis-server)")
    folder.mkdir(parents=True)
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
