"""Great Expectations in a process of its own, begun before there is anything to judge.

Belongs here: starting that process, what goes to and fro between it and the run, and ending it. Does not: anything of
Great Expectations (`gx`), or when it is begun (`orchestration.runs`).

Importing Great Expectations takes some three seconds of one core. The process of a run is busy until dbt builds, with
one core, since Python uses no second one; and while dbt builds, dbt needs both.

Frames go to the child by pickle, over a pair of sockets that has no name. The places of the rows that it refuses come
back as JSON. Whatever else happens, this process judges: a verdict is neither left out nor guessed.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from orchestration.state.garbage import loading
from orchestration.state.parent import end_with_parent

if TYPE_CHECKING:
    import pandas as pd

# `-P`: the folder it is started in is no place for modules.
JUDGE_COMMAND: Final = (sys.executable, "-P", "-m", "orchestration.warehouse.audit.begun")
# Importing takes seconds, on a busy machine some more, and an answer milliseconds: after this, something is wrong.
_PATIENCE_SECONDS: Final = 120.0


class BegunJudge:
    """A process that has Great Expectations in memory, or will in a moment: a `Judge`.

    `process`: None where it could not be started.
    """

    def __init__(self, process: subprocess.Popen[bytes] | None, link: Connection) -> None:
        self.process = process
        self._link: Connection | None = link

    def unexpected(self, frame: pd.DataFrame, kind: str, arguments: Mapping[str, Any]) -> list[int]:
        """As of any `Judge`; by this process where the begun one does not answer as it should."""
        # Until there is a whole answer, nothing is expected of it: a late one would be taken for the next one's.
        link, self._link = self._link, None
        if link is not None and (found := _answer(link, (frame, kind, dict(arguments)), len(frame))) is not None:
            self._link = link
            return found
        from orchestration.warehouse.audit.gx import HERE

        return HERE.unexpected(frame, kind, arguments)


@contextlib.contextmanager
def begun_judge() -> Iterator[BegunJudge]:
    """A judge for the length of the block, which ends without waiting for it."""
    link, others = Pipe()
    with link, contextlib.ExitStack() as until_ended:
        with others:
            process = _started(others.fileno())
        if process is not None:
            until_ended.enter_context(process)
            until_ended.callback(process.kill)
        yield BegunJudge(process, link)


def _started(stdin: int) -> subprocess.Popen[bytes] | None:
    """What it writes is for no one: the terminal is the run's."""
    with contextlib.suppress(OSError):
        return subprocess.Popen(JUDGE_COMMAND, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return None


def _answer(link: Connection, question: tuple[pd.DataFrame, str, dict[str, Any]], rows: int) -> list[int] | None:
    """Places in a frame of so many rows; None for everything else, also where no process is there to answer."""
    # Whatever it is: who judges instead finds it too, or can do without an answer.
    with contextlib.suppress(Exception):
        link.send_bytes(pickle.dumps(question))
        if link.poll(_PATIENCE_SECONDS):
            found = json.loads(link.recv_bytes())
            if isinstance(found, list) and all(type(place) is int and 0 <= place < rows for place in found):
                return found
    return None


def _serve(link: Connection) -> None:
    """Answer until the run has ended. What cannot be answered ends this process, and the run finds out why itself."""
    from orchestration.warehouse.audit.gx import HERE, load_great_expectations

    with loading():
        load_great_expectations()
    with contextlib.suppress(EOFError):
        while True:
            found = HERE.unexpected(*pickle.loads(link.recv_bytes()))
            link.send_bytes(json.dumps([int(place) for place in found]).encode())


def main() -> None:
    end_with_parent()
    # Ctrl-C reaches every process of the terminal; the run ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Connection(os.dup(0)) as link:
        _serve(link)


if __name__ == "__main__":
    main()
