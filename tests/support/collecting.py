"""`taker collect` as a process.

Belongs here: starting it, reading what it prints, ending it. Does not: expectations.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.commands import ROOT
from tests.support.venue_server import DEADLINE, wait_for


class Collecting:
    """A running `taker collect`, and what it printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def prints(self, words: str) -> None:
        wait_for(lambda: any(words in line for line in self.lines), f"`{words}` in {self.lines}", 60)

    def ended(self, signum: signal.Signals | None = None) -> int:
        if signum is not None:
            self.process.send_signal(signum)
        code = self.process.wait(DEADLINE)
        self._reading.join(DEADLINE)
        return code


@contextmanager
def collecting(
    folder: Path, url: str | Mapping[str, str], *arguments: str, venues: str = "binance_um", **settings: str
) -> Iterator[Collecting]:
    """Listening to `venues`, all at one address or each at its own; settings are TAKER_* names in lower case."""
    urls = dict.fromkeys(venues.split(","), url) if isinstance(url, str) else url
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("TAKER_", "AWS_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", "collect", "--venues", ",".join(urls), *arguments],
        cwd=ROOT,
        env=outside
        | {f"TAKER_{name.upper()}": value for name, value in settings.items()}
        | {
            "TAKER_STORAGE_URL": str(folder),
            "TAKER_VENUE_URLS": ",".join(f"{venue}.live={address}" for venue, address in urls.items()),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Collecting(process)
    finally:
        process.kill()
        process.wait(DEADLINE)
