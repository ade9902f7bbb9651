"""The running UTC day and the last complete one.

Belongs here: the two days that defaults and limits are derived from. Does not: periods and partitions
(`ingestion.domain.periods`, `orchestration.defs.partitions`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta


def today() -> date:
    """The running UTC day."""
    return datetime.now(UTC).date()


def yesterday() -> date:
    """The last UTC day that has ended: the newest day a venue can have published."""
    return today() - timedelta(days=1)
