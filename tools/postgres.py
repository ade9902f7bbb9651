"""A PostgreSQL server of one's own: on the loopback interface, with a password, in a folder.

Belongs here: finding the server's programs, making a cluster, starting and stopping it. Does not: what it is for
(`tools.spark`, `tests.support.postgres`).
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any, Final

_USER: Final = "taker"


class PostgresFailed(Exception):
    """A program of PostgreSQL failed. The text ends with its output."""


def server_programs() -> Path | None:
    """The folder with `initdb` and `pg_ctl`: on the PATH, or where Debian keeps them, the newest version first."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    folders = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in folders), key=lambda path: int(path.parent.name), default=None)


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def start(programs: Path, folder: Path, password: str, port: int) -> None:
    """Make the cluster below `folder` unless it is there, and start it; its superuser is `taker`. PostgresFailed.

    Data that can be made again: it is not synchronised to the disk.
    """
    identity = ordinary_user()
    data = folder / "data"
    if identity:
        os.chown(folder, identity["user"], identity["group"])
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)
        secret = folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(password)
        if identity:
            os.chown(secret, identity["user"], identity["group"])
        _run(
            folder,
            str(programs / "initdb"),
            "--pgdata",
            str(data),
            f"--username={_USER}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        )
        secret.unlink()
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='{folder}' -c fsync=off"
    _run(folder, str(programs / "pg_ctl"), "start", "--wait", "-D", str(data), "-l", str(folder / "log"), "-o", options)


def stop(programs: Path, folder: Path) -> None:
    """Stop the server of `folder`; nothing where none runs."""
    if (folder / "data" / "postmaster.pid").exists():
        _run(folder, str(programs / "pg_ctl"), "stop", "--wait", "--mode=immediate", "-D", str(folder / "data"))


def ordinary_user() -> dict[str, Any]:
    """initdb refuses root: then it runs as an unprivileged account. Otherwise as the current user."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("nobody")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _run(folder: Path, *command: str) -> None:
    log = folder / "commands.log"
    # The output goes to a file: a pipe would be inherited by the server and never end.
    with log.open("ab") as output:
        done = subprocess.run(
            command,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
            **ordinary_user(),
        )
    if done.returncode:
        texts = [path.read_text(errors="replace")[-2000:] for path in (log, folder / "log") if path.exists()]
        raise PostgresFailed(f"{Path(command[0]).name} failed:\n" + "\n".join(texts))
