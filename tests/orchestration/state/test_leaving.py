"""A process that is left ends with its exit code, its threads and what is registered for the end, and frees nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from orchestration.state.leaving import leave

_LEAVES = "from orchestration.state.leaving import leave"


@pytest.mark.parametrize(("code", "stated"), [("", 0), ("0", 0), ("3", 3)])
def test_it_ends_with_its_exit_code_and_with_what_is_registered_for_the_end(code: str, stated: int) -> None:
    program = f"""
import atexit, threading
{_LEAVES}
atexit.register(print, "closed")
leaving = threading.Event()
threading.Thread(target=lambda: (leaving.wait(), sum(range(10**6)), print("worked"))).start()
class Freed:
    def __del__(self): print("freed")
kept = Freed()
print("left", end=" ")
leaving.set()
leave(SystemExit({code}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (stated, "left worked\nclosed\n", "")


def test_an_exit_with_words_is_python_s_own() -> None:
    with pytest.raises(SystemExit, match="no such command"):
        leave(SystemExit("no such command"))


@pytest.mark.parametrize(("code", "stated"), [(0, 120), (3, 3)])
def test_a_reader_that_has_closed_its_pipe_gets_no_traceback(code: int, stated: int) -> None:
    program = f'import sys; {_LEAVES}; print("unread"); sys.stdin.read(); leave(SystemExit({code}))'
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(b"\n")
        process.stdin.close()
        assert (process.stderr.read(), process.wait()) == (b"", stated)
