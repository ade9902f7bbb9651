"""One process at a time: kernel locks of the state folder, and what a process that waits states meanwhile.

Belongs here: taking such a lock, for whom it is waited, and for how long. Does not: who needs which lock
(`orchestration.defs`, `orchestration.runs`), what several state folders do to one storage
(`orchestration.state.exclusive`).

`warehouse` is held over build, audit and publication ([decision 15](docs/decisions/0015-one-lock.md)); `archive`, `api`
and `spool` over one step of ingestion each. A run that holds `warehouse` may wait for one of these, and none waits for
`warehouse` while it holds one of these, so that no two processes wait for each other.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from orchestration.config.paths import Paths
from orchestration.state.kernel import try_lock
from orchestration.state.process import description, join, scratch

# The tag of the job that builds: of the runs in Dagster's queue, one with this tag is executed at a time, also by
# workers that share no folder.
ONE_BUILD: Final = "taker/build"
WAREHOUSE: Final = "warehouse"
ARCHIVE: Final = "archive"
API: Final = "api"
SPOOL: Final = "spool"
_WHAT: Final = {
    WAREHOUSE: "the warehouse",
    ARCHIVE: "the ingestion of the archive",
    API: "the requests to the venues' APIs",
    SPOOL: "the sealing of the spool",
}
# A run of two years takes minutes: after an hour something is wrong, and a person should know.
DEFAULT_WAIT_SECONDS: Final = 3600
_REPEATED_EVERY: Final = 30.0
_TRIED_EVERY: Final = 0.2

Report = Callable[[str], None]
# How to be the only builder among those that share no folder: seconds to wait, whom to tell, and for which run. The
# block gets a check whether it still is (Busy).
Alone = Callable[[float, Report, str | None], contextlib.AbstractContextManager[Callable[[], None]]]


class Busy(Exception):
    """Another process works where this one must be alone. The text names it, and what to do."""


@contextlib.contextmanager
def alone(
    path: Path, what: str, *, wait: float, report: Report = lambda text: None, run_id: str | None = None
) -> Iterator[None]:
    """Hold the lock of `path` while the block runs; the kernel releases it should this process die.

    While another process holds it, `report` gets a sentence at once and every half minute: for whom and since when this
    one waits. After `wait` seconds: Busy.
    """
    descriptor = _taken(path, what, wait, report)
    try:
        facts = {**description(), "run_id": run_id, "since": datetime.now(UTC).isoformat(timespec="seconds")}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(facts).encode(), 0)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
        os.close(descriptor)


def _taken(path: Path, what: str, wait: float, report: Report) -> int:
    waiting = Waiting(what, wait, report)
    while (descriptor := try_lock(path)) is None:
        waiting.go_on(_holder(path))
        time.sleep(_TRIED_EVERY)
    return descriptor


class Waiting:
    """What a process that waits states: at once, every half minute, and when it gives up."""

    def __init__(self, what: str, wait: float, report: Report) -> None:
        self._what, self._wait, self._report = what, wait, report
        self._began, self._since = time.monotonic(), datetime.now(UTC)
        self._reported = -_REPEATED_EVERY

    def go_on(self, holder: str) -> None:
        """Wait on for `holder`; Busy when it was long enough."""
        waited = time.monotonic() - self._began
        if waited >= self._wait:
            raise Busy(
                f"{self._what} is in use by {holder}; waited {_minutes(waited)}. Let it end or end it, then run the "
                "same command again; TAKER_LOCK_WAIT_SECONDS sets how long to wait"
            )
        if waited - self._reported >= _REPEATED_EVERY:
            self._reported = waited
            self._report(
                f"waiting since {self._since:%H:%M:%S} UTC for {holder}, which is using {self._what}; gives up in "
                f"{_minutes(self._wait - waited)}, Ctrl-C gives up now"
            )


def _holder(path: Path) -> str:
    """The process that holds the lock, as it described itself."""
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return "another process"
    return described(facts if isinstance(facts, dict) else {})


def described(facts: Mapping[str, Any]) -> str:
    """A process in a sentence: command, pid, host, start, run, and since when it holds what others wait for."""
    if not facts.get("pid"):
        return "another process"
    run = f", run {str(facts['run_id'])[:8]}" if facts.get("run_id") else ""
    host = f" on {facts['host']}" if facts.get("host") else ""
    since = f", at work since {_clock(facts.get('since'))}" if facts.get("since") else ""
    return (
        f"`{facts.get('command')}` (process {facts.get('pid')}{host}{run}, started {_clock(facts.get('started_at'))}"
        f"{since})"
    )


def _clock(text: Any) -> str:
    try:
        return f"{datetime.fromisoformat(str(text)):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return "at an unknown time"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


class Workplace:
    """What one run has of the state folder: its locks, and scratch space. Close it when the run ends.

    `lock_wait`: how many seconds to wait for another process. `index_read`: the fingerprint of the receipts' index that
    this run has built from; empty until then. Another state folder on the same storage may write the index meanwhile.
    `standing`: what its audit found of the publication to stand (`orchestration.warehouse.standing`);
    None until then. `beyond`: the lock over tables that other state folders build too; None where there are none.
    """

    def __init__(self, paths: Paths, wait: float = DEFAULT_WAIT_SECONDS, beyond: Alone | None = None) -> None:
        self.paths = paths
        self.lock_wait = wait
        self._beyond = beyond
        self._refuse_unless_alone: Callable[[], None] = lambda: None
        self._held = contextlib.ExitStack()
        self._has_warehouse = False
        self._kept: dict[str, Any] = {}
        self.index_read = ""
        self.standing: Any = None

    def hold_warehouse(self, report: Report, run_id: str | None = None) -> None:
        """Be the only one that builds, audits and publishes, from now until `close`. Calling again is free; Busy where
        the lock was lost meanwhile."""
        self._refuse_unless_alone()
        if not self._has_warehouse:
            join(self.paths)
            with contextlib.ExitStack() as held:
                held.enter_context(self._alone(WAREHOUSE, report, run_id))
                if self._beyond is not None:
                    self._refuse_unless_alone = held.enter_context(self._beyond(self.lock_wait, report, run_id))
                self._held = held.pop_all()
            self._has_warehouse = True

    def refuse_unless_alone(self) -> None:
        """Busy where the lock over the warehouse was lost: what was built since may be another process's."""
        self._refuse_unless_alone()

    def alone(self, name: str, report: Report, run_id: str | None = None) -> contextlib.AbstractContextManager[None]:
        """Be the only one in this step of ingestion while the block runs."""
        join(self.paths)
        return self._alone(name, report, run_id)

    def scratch(self) -> contextlib.AbstractContextManager[Path]:
        """A folder that is gone when the block ends."""
        return scratch(self.paths)

    def keep(self, name: str, held: contextlib.AbstractContextManager[Any]) -> None:
        """Enter this block, which ends with the run; `kept` has what it gives, for later steps. The run holds the
        warehouse."""
        assert self._has_warehouse, name
        self._kept[name] = self._held.enter_context(held)

    def kept(self, name: str) -> Any:
        """What `keep` was given under this name; None for nothing."""
        return self._kept.get(name)

    def close(self) -> None:
        self._has_warehouse = False
        self._refuse_unless_alone = lambda: None
        self._kept.clear()
        self._held.close()

    def _alone(self, name: str, report: Report, run_id: str | None) -> contextlib.AbstractContextManager[None]:
        return alone(self.paths.locks / f"{name}.lock", _WHAT[name], wait=self.lock_wait, report=report, run_id=run_id)
