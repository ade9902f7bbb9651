"""What other programs of this machine see of a process and its descendants: command lines and listening sockets.

Belongs here: reading /proc. Does not: starting or ending processes, or expectations.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_PROC = Path("/proc")
_LISTENING = "0A"


@dataclass
class Watched:
    """`command_lines`: of every process below `pid`, and of its session, that a look met."""

    pid: int
    command_lines: set[str] = field(default_factory=set)

    def look(self) -> list[int]:
        """The processes that run now; their command lines are kept."""
        parents: dict[int, tuple[int, int]] = {}
        for entry in _PROC.iterdir():
            with contextlib.suppress(OSError, ValueError):
                _, parent, _, session, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = (int(parent), int(session))
        found = [pid for pid, (_, session) in parents.items() if session == self.pid or self._is_below(pid, parents)]
        for pid in found:
            with contextlib.suppress(OSError):
                self.command_lines.add((_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found

    def _is_below(self, pid: int, parents: dict[int, tuple[int, int]]) -> bool:
        while pid > 1:
            if pid == self.pid:
                return True
            pid = parents.get(pid, (0, 0))[0]
        return False

    def listening(self) -> set[str]:
        """Addresses and ports on which these processes accept connections; `[::]:80` of IPv6 in hexadecimal digits."""
        sockets = set()
        for pid in self.look():
            with contextlib.suppress(OSError):
                sockets |= {os.readlink(link) for link in (_PROC / str(pid) / "fd").iterdir()}
        addresses = set()
        for table in ("tcp", "tcp6"):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == _LISTENING and f"socket:[{inode}]" in sockets:
                    address, _, port = local.partition(":")
                    octets = [str(int(address[place : place + 2], 16)) for place in (6, 4, 2, 0)]
                    addresses.add(f"{'.'.join(octets) if table == 'tcp' else f'[{address}]'}:{int(port, 16)}")
        return addresses

    @contextlib.contextmanager
    def all_the_time(self, seconds: float = 1.0) -> Iterator[Watched]:
        """Look again and again until the block ends: a process that lives for seconds is met too."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(seconds):
                self.look()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join()
