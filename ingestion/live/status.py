"""Whether a collector is running and what it hears: one small file, rewritten every few seconds.

Belongs here: its form. Does not: judging it (`orchestration`).
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

STATUS_NAME: Final = "collector.json"


@dataclass(frozen=True)
class ConnectionStatus:
    """One subscription. `is_up`: connected and subscribed. `last_frame_at`: last message or pong; None before any.

    `last_message_at`: last message alone; a line that answers pings and says nothing for hours may be a wrong address.
    """

    name: str
    venue: str
    is_up: bool
    last_frame_at: datetime | None
    last_message_at: datetime | None = None


@dataclass(frozen=True)
class CollectorStatus:
    """What the collector said of itself at `beat_at`, UTC. It stays as it was when a collector ends or is killed."""

    started_at: datetime
    beat_at: datetime
    pid: int
    connections: tuple[ConnectionStatus, ...]


def write_status(spool_dir: Path, status: CollectorStatus) -> None:
    """Replace the file at once: a reader sees the old status or the new one."""
    staged = spool_dir / f".{STATUS_NAME}.{status.pid}"
    staged.write_text(json.dumps(asdict(status), default=lambda value: value.isoformat()))
    os.replace(staged, spool_dir / STATUS_NAME)


def read_status(spool_dir: Path) -> CollectorStatus | None:
    """The last status; None where no collector ever ran, or what it left cannot be read."""
    try:
        raw = json.loads((spool_dir / STATUS_NAME).read_text())
        return CollectorStatus(
            started_at=datetime.fromisoformat(raw["started_at"]),
            beat_at=datetime.fromisoformat(raw["beat_at"]),
            pid=int(raw["pid"]),
            connections=tuple(
                ConnectionStatus(
                    name=each["name"],
                    venue=each["venue"],
                    is_up=each["is_up"],
                    last_frame_at=_instant(each["last_frame_at"]),
                    last_message_at=_instant(each["last_message_at"]),
                )
                for each in raw["connections"]
            ),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
