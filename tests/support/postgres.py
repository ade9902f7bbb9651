"""A real PostgreSQL for the tests, with a password it insists on.

Belongs here: finding the server's programs, starting a cluster of its own, stopping it. Does not: expectations.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PASSWORD = "s3cret/with:odd@signs"
_QUOTED_PASSWORD = "s3cret%2Fwith%3Aodd%40signs"


@dataclass(frozen=True)
class PostgresServer:
    """Where a running server listens; its superuser is `taker`."""

    port: int

    def url(self, database: str) -> str:
        return f"postgresql://taker:{_QUOTED_PASSWORD}@127.0.0.1:{self.port}/{database}"


def server_programs() -> Path | None:
    """The folder with `initdb` and `pg_ctl`: on the PATH, or where Debian keeps them, the newest version first."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    folders = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in folders), key=lambda path: int(path.parent.name), default=None)


@contextlib.contextmanager
def running_postgres(programs: Path) -> Iterator[PostgresServer]:
    """A cluster in a temporary folder, on a free loopback port, gone afterwards."""
    # Not below pytest's folders: these are closed to the ordinary user that the server runs as when the tests are root.
    folder = Path(tempfile.mkdtemp(prefix="taker-postgres-"))
    identity = _ordinary_user()
    if identity:
        os.chown(folder, identity["user"], identity["group"])
    secret = folder / "password"
    secret.write_text(PASSWORD)
    if identity:
        os.chown(secret, identity["user"], identity["group"])
    data, log = folder / "data", folder / "log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(*command: str) -> None:
        # The output goes to a file: a pipe would be inherited by the server and never end.
        with (folder / "commands.log").open("ab") as output:
            done = subprocess.run(
                command,
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                check=False,
                **identity,
            )
        if done.returncode:
            lines = [
                path.read_text(errors="replace")[-2000:] for path in (folder / "commands.log", log) if path.exists()
            ]
            raise RuntimeError(f"{Path(command[0]).name} failed:\n" + "\n".join(lines))

    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    try:
        run(
            str(programs / "initdb"),
            "--pgdata",
            str(data),
            "--username=taker",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        )
        run(str(programs / "pg_ctl"), "start", "--wait", "-D", str(data), "-l", str(log), "-o", options)
        try:
            yield PostgresServer(port)
        finally:
            run(str(programs / "pg_ctl"), "stop", "--wait", "--mode=immediate", "-D", str(data))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ordinary_user() -> dict[str, Any]:
    """initdb refuses root: then it runs as an unprivileged account. Otherwise as the current user."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("nobody")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
