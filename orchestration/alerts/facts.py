"""What an alert is about, as plain facts.

Belongs here: kinds, identities, and the words that several kinds share. Does not: finding facts, or sending them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

# Older facts are history: a first start does not send two years of it.
RECENT: Final = timedelta(days=7)


class Kind(StrEnum):
    """What kinds of alerts there are, in the order in which they are shown."""

    SPIKE = "spike"
    LIQUIDATIONS = "liquidations"
    AUDIT = "audit"
    STALE = "stale"
    COLLECTOR = "collector"


@dataclass(frozen=True)
class Fact:
    """Something that deserves one message.

    `series`: the group it belongs to, such as the bearish spikes of a market under a definition. `key`: and when.

    An *occurrence* has a place in the data, `from_at` to `until_at` (UTC), and one of its series no further away than
    `belongs_within` is the same thing. A *condition* has none: it is the same thing for as long as every evaluation
    finds it, and another when it ended in between. `parts`: what a condition consists of; a part that was not part of
    a recorded alert makes it new.
    """

    kind: Kind
    series: str
    key: str
    subject: str
    text: str
    from_at: datetime | None = None
    until_at: datetime | None = None
    belongs_within: timedelta = timedelta(0)
    parts: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_condition(self) -> bool:
        return self.from_at is None


@dataclass(frozen=True)
class Found:
    """What was found of one kind.

    `summary`: what was examined and why there is nothing (else), one sentence. `is_judged`: False where it could not be
    decided, so that conditions neither begin nor end. `fault`: what must be corrected, if that is why.
    """

    kind: Kind
    facts: tuple[Fact, ...]
    summary: str
    is_judged: bool = True
    fault: str | None = None


def unjudged(kind: Kind, summary: str, *, is_fault: bool = False) -> Found:
    """Nothing can be decided about this kind now."""
    return Found(kind, (), summary, is_judged=False, fault=summary if is_fault else None)


def condition(kind: Kind, series: str, subject: str, text: str, now: datetime, *parts: str) -> Fact:
    """A condition that is found at `now`; its key counts only if it is new."""
    return Fact(kind, series, f"{series}:{now:%Y-%m-%dT%H:%M:%S}", subject, text, parts=frozenset(parts))


def labelled(text: str, *, is_simulated: bool) -> str:
    """Simulated numbers are never reported without that word."""
    return f"SIMULATED: {text}" if is_simulated else text


def covered(ratio: float) -> str:
    """A share of coverage, rounded down: 99.9 % covered is not all."""
    return f"{math.floor(round(ratio * 100, 6))} %"


def moment(at: datetime) -> str:
    """`2026-01-31 16:00 UTC`; naive times are UTC."""
    return f"{utc(at):%Y-%m-%d %H:%M} UTC"


def utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
