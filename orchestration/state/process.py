"""The processes that work in a state folder: the name of each, and whether it is alive.

Belongs here: a process's identity, its file in `processes/`, and sweeping up after one that was killed. Does not: what
that means for its runs (`orchestration.automation.abandoned_runs`), which locks it takes (`orchestration.state.locks`).

A process is named by boot id, pid namespace, pid and start time: no two of one machine share that, containers and
restarts included. It is alive as long as the kernel holds its file locked. Of a process of another boot, so perhaps of
another host with the same folder, that alone is not believed: it must also have missed its heartbeats.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from ingestion.raw.durable import Outrun, atomic_write, put_first
from ingestion.raw.durable import sweep as sweep_staged
from orchestration.config.paths import Paths
from orchestration.state.kernel import is_locked, try_lock

# The tags by which a run names its process, and the state folder in which that is known.
PROCESS_TAG: Final = "taker/process"
STATE_TAG: Final = "taker/state"
HEARTBEAT_SECONDS: Final = 60.0
# A process of another host that has missed ten heartbeats is dead.
LAPSED_SECONDS: Final = 600.0

_joined: dict[tuple[int, Path], int] = {}
_joining: Final = threading.Lock()


def this_process() -> str:
    """Boot id, pid namespace, pid and start time of this process, joined by dots."""
    return _identity(os.getpid())


@cache
def _identity(pid: int) -> str:
    return ".".join((_boot_id(), _namespace(), str(pid), _start_of(pid)))


@cache
def _boot_id() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    # Not Linux: the address of the machine's network card, which does not change with a restart, as start times do.
    return f"host-{uuid.getnode():x}"


def _namespace() -> str:
    with contextlib.suppress(OSError):
        return str(os.stat("/proc/self/ns/pid").st_ino)
    return "0"


def _start_of(pid: int) -> str:
    """When the process started, in clock ticks since the boot; elsewhere than on Linux, a number of its own."""
    with contextlib.suppress(OSError):
        # The name of the program, in parentheses, may hold anything: fields are counted after it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{time.time_ns():x}"


def description() -> dict[str, Any]:
    """What this process states of itself to others: the command, its pid and host, when it began."""
    return {
        "command": _command(),
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "started_at": _began().isoformat(timespec="seconds"),
    }


@cache
def _began() -> datetime:
    return datetime.now(UTC)


_began()


def _command() -> str:
    """Which command this is, without its arguments."""
    program = Path(sys.argv[0])
    if program.name == "taker":
        return " ".join(["taker", *sys.argv[1:2]])
    if program.name == "dbt.py":
        return "make dbt"
    return "a run in Dagster" if "dagster" in str(program) or "multiprocessing" in sys.argv[0] else program.name


def join(paths: Paths) -> str:
    """Claim this process's file in the state folder until the process ends; its identity. Calling again is free."""
    identity = this_process()
    key = (os.getpid(), paths.state)
    file = paths.processes / identity
    with _joining:
        if key in _joined and file.is_file():
            return identity
        descriptor = try_lock(file)
        if descriptor is None:
            raise RuntimeError(f"{file} is locked by another process of the same identity")
        os.pwrite(descriptor, json.dumps(description()).encode(), 0)
        if key in _joined:  # the state folder was removed meanwhile, as `taker demo --fresh` does
            os.close(_joined[key])
        _joined[key] = descriptor
    atexit.register(_leave, paths, os.getpid())
    threading.Thread(target=_beat, args=(file,), daemon=True, name="taker-heartbeat").start()
    return identity


def named(paths: Paths) -> dict[str, str]:
    """The tags of a run that this process executes."""
    return {PROCESS_TAG: join(paths), STATE_TAG: state_id(paths)}


def state_id(paths: Paths) -> str:
    """What distinguishes this state folder from that of another worker; made once."""
    file = paths.processes / ".state-id"
    while not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(Outrun), atomic_write(file, put=put_first) as staged:
            staged.write_text(uuid.uuid4().hex)
    return file.read_text()


def _beat(file: Path) -> None:
    while True:
        time.sleep(HEARTBEAT_SECONDS)
        try:
            os.utime(file)
        except FileNotFoundError:
            return
        except OSError:
            continue


def _leave(paths: Paths, pid: int) -> None:
    if pid != os.getpid():  # a forked child leaves what its parent claimed
        return
    with contextlib.suppress(OSError):
        shutil.rmtree(paths.scratch / this_process(), ignore_errors=True)
        (paths.processes / this_process()).unlink(missing_ok=True)


def is_alive(paths: Paths, identity: str) -> bool:
    """Whether the process that a run names is alive; also of an identity as written by earlier versions."""
    file = paths.processes / Path(identity).name
    if not identity or not file.is_file():
        return False
    return is_locked(file) or not _may_be_swept(paths, file)


def _may_be_swept(paths: Paths, file: Path) -> bool:
    """Whether a file that no process holds proves that its process is dead."""
    if file.name.startswith(f"{_boot_id()}."):
        return True
    return _age(paths, file) > LAPSED_SECONDS


def _age(paths: Paths, file: Path) -> float:
    """Seconds since the last heartbeat, by the clock of the file system that holds both files."""
    probe = paths.processes / f".{this_process()}.clock"
    probe.touch()
    try:
        return probe.stat().st_mtime - file.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
    finally:
        probe.unlink(missing_ok=True)


def sweep(paths: Paths) -> list[str]:
    """Remove the scratch space and the files of dead processes; their identities."""
    dead = list(_dead(paths))
    for folder in paths.written:
        sweep_staged(folder, deeply=False)
    sweep_staged(paths.spool)
    if paths.scratch.is_dir():
        # A process claims its file before it makes its folder.
        for folder in paths.scratch.iterdir():
            if not (paths.processes / folder.name).exists():
                shutil.rmtree(folder, ignore_errors=True)
    return dead


def _dead(paths: Paths) -> Iterator[str]:
    if not paths.processes.is_dir():
        return
    for file in sorted(paths.processes.iterdir()):
        if file.name.startswith(".") or is_locked(file) or not _may_be_swept(paths, file):
            continue
        descriptor = try_lock(file)
        if descriptor is None:
            continue
        try:
            file.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
        yield file.name


@contextlib.contextmanager
def scratch(paths: Paths) -> Iterator[Path]:
    """A folder for what this process needs only now; removed when the block ends, and after a kill by the next run."""
    folder = paths.scratch / join(paths) / uuid.uuid4().hex[:8]
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
