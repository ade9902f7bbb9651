"""Spools as collectors leave them.

Belongs here: records, and writing them. Does not: messages (`tests.support.messages`), sealing, expectations.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from ingestion.live.spool import MINUTE_NS, CoveredMinute, ReceivedMessage, Record, SpoolWriter

NOON = datetime(2026, 9, 21, 12, tzinfo=UTC)


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def ns(at: datetime) -> int:
    return ms(at) * 1_000_000


def received(message: str | bytes, at: datetime) -> ReceivedMessage:
    return ReceivedMessage(ns(at), "a connection", message if isinstance(message, bytes) else message.encode())


def covered(at: datetime, dataset: str = "liquidations", *symbols: str) -> CoveredMinute:
    return CoveredMinute(ns(at) // MINUTE_NS * MINUTE_NS, dataset, symbols)


def spooled(folder: Path, *records: Record, venue: str = "binance_um", collector: str = "") -> None:
    """As a collector of this name would have left it, in a run of its own."""

    async def write() -> None:
        writer = SpoolWriter(folder, collector=collector, clock=lambda: ns(NOON))
        for record in records:
            writer.append(venue, record)
        writer.finish()
        await writer.run()

    asyncio.run(write())
