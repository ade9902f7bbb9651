"""Whether a collector is running and what it receives: one small file, rewritten every few seconds.

Belongs here: its form. Does not: judging it (`orchestration`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ingestion.domain.errors import IngestionError
from ingestion.raw.durable import atomic_write

STATUS_NAME: Final = "collector.json"


@dataclass(frozen=True)
class ConnectionStatus:
    """One subscription. `is_up`: connected and subscribed. `last_frame_at`: last message or pong; None before any.

    `last_message_at`: last message alone; a connection that only answers pings for hours may have a wrong address.
    `up_since`: since when it is up without an interruption. `is_venue_wide`: it carries the liquidations of every
    symbol of its venue, so that hours without any are not to be expected.
    """

    name: str
    venue: str
    is_up: bool
    last_frame_at: datetime | None
    last_message_at: datetime | None = None
    up_since: datetime | None = None
    is_venue_wide: bool = False


@dataclass(frozen=True)
class CollectorStatus:
    """The collector's own status at `beat_at`, UTC. It is left unchanged when a collector is killed or fails.

    `stopped_at`: when it ended on request (SIGTERM, Ctrl-C, the end of its time); None until then.
    """

    started_at: datetime
    beat_at: datetime
    pid: int
    connections: tuple[ConnectionStatus, ...]
    stopped_at: datetime | None = None


def write_status(spool_dir: Path, status: CollectorStatus) -> None:
    """Replace the file: a reader sees the old status or the new one."""
    with atomic_write(spool_dir / STATUS_NAME) as staged:
        staged.write_text(json.dumps(asdict(status), default=lambda value: value.isoformat()))


class StatusDamaged(IngestionError):
    """The file is there and holds no status: it was torn, or another program wrote it."""


def read_status(spool_dir: Path) -> CollectorStatus | None:
    """The last status; None where no collector ever ran. StatusDamaged."""
    path = spool_dir / STATUS_NAME
    try:
        raw = json.loads(path.read_bytes())
        return CollectorStatus(
            started_at=_of_utc(raw["started_at"]),
            beat_at=_of_utc(raw["beat_at"]),
            pid=int(raw["pid"]),
            connections=tuple(
                ConnectionStatus(
                    name=each["name"],
                    venue=each["venue"],
                    is_up=each["is_up"],
                    last_frame_at=_instant(each["last_frame_at"]),
                    last_message_at=_instant(each["last_message_at"]),
                    up_since=_instant(each.get("up_since")),
                    is_venue_wide=each.get("is_venue_wide", False),
                )
                for each in raw["connections"]
            ),
            stopped_at=_instant(raw.get("stopped_at")),
        )
    except OSError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise StatusDamaged(
            f"{path} is damaged, so that nothing is known of the collector; `taker collect` writes it anew"
        ) from error


def _instant(text: str | None) -> datetime | None:
    return _of_utc(text) if text else None


def _of_utc(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return found
