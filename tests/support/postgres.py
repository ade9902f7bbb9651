"""A real PostgreSQL for the tests, with a password it insists on.

Belongs here: a cluster of the tests' own, gone afterwards. Does not: starting and stopping a server
(`tools.postgres`), expectations.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools import postgres
from tools.postgres import server_programs as server_programs

PASSWORD = "s3cret/with:odd@signs"
_QUOTED_PASSWORD = "s3cret%2Fwith%3Aodd%40signs"


@dataclass(frozen=True)
class PostgresServer:
    """Where a running server listens; its superuser is `taker`."""

    port: int

    def url(self, database: str) -> str:
        return f"postgresql://taker:{_QUOTED_PASSWORD}@127.0.0.1:{self.port}/{database}"


@contextlib.contextmanager
def running_postgres(programs: Path) -> Iterator[PostgresServer]:
    """A cluster in a temporary folder, on a free loopback port, gone afterwards."""
    # Not below pytest's folders: these are closed to the ordinary user that the server runs as when the tests are root.
    folder = Path(tempfile.mkdtemp(prefix="taker-postgres-"))
    port = postgres.free_port()
    try:
        postgres.start(programs, folder, PASSWORD, port)
        try:
            yield PostgresServer(port)
        finally:
            postgres.stop(programs, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
