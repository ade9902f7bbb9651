"""Which minutes were covered: proven by what was received, not by the absence of errors.

Belongs here: the rule. Does not: connecting (`ingestion.live.connection`), where it is written (`spool`).

A minute counts when a connection was up before it began and something (a message or a pong) came over that connection
after it ended, with no silence in between longer than the window. A half-open connection proves nothing after its
last frame, and a clock that jumps proves nothing across the jump. Two connections that overlap prove together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ingestion.live.spool import GRACE_SECONDS, MINUTE_NS, CoveredMinute

_SECOND_NS: Final = 1_000_000_000
# A clock that is corrected by less than this while a connection is up did not jump.
_SET_BACK_NS: Final = _SECOND_NS


@dataclass
class Proof:
    """What one connection proves: that it received from the venue from `since` to `until`; local clock, nanoseconds."""

    silence_ns: int
    since: int
    until: int

    def received(self, at: int) -> bool:
        """Something was received at `at`. False when it proves nothing about the time before: begin a new proof."""
        if at - self.until > self.silence_ns or self.until - at > _SET_BACK_NS:
            return False
        self.until = max(self.until, at)
        return True


@dataclass
class ConnectionCoverage:
    """What all connections ever made for one subscription prove."""

    silence_seconds: float
    proofs: list[Proof] = field(default_factory=list)

    def began(self, at: int) -> Proof:
        """A connection is up and subscribed since `at`."""
        proof = Proof(int(self.silence_seconds * _SECOND_NS), at, at)
        self.proofs.append(proof)
        return proof

    def received(self, proof: Proof, at: int) -> Proof:
        """Something was received over the connection of `proof` at `at`; returns the proof to continue with."""
        return proof if proof.received(at) else self.began(at)

    def covers(self, since: int, until: int) -> bool:
        reached = since
        for proof in sorted(self.proofs, key=lambda each: each.since):
            if proof.since > reached:
                break
            reached = max(reached, proof.until)
        return reached >= until

    def forget(self, before: int) -> None:
        """Drop proofs of no time since `before` that cannot continue: they were silent too long."""
        oldest = before - int(self.silence_seconds * _SECOND_NS)
        self.proofs = [proof for proof in self.proofs if proof.until >= oldest]


class VenueCoverage:
    """The covered minutes of one venue's dataset: those in which every one of its connections was covered."""

    def __init__(
        self, dataset: str, symbols: Sequence[str], connections: Sequence[ConnectionCoverage], now: int
    ) -> None:
        self.dataset = dataset
        self.symbols = tuple(symbols)
        self.connections = connections
        # A minute that had begun before the collector is not covered.
        self._undecided = -(-now // MINUTE_NS) * MINUTE_NS

    def newly_covered(self, now: int) -> list[CoveredMinute]:
        """The minutes proven since the last call; each is returned once.

        A minute that nothing proves within the grace after its end is given up.
        """
        covered = []
        minute = self._undecided
        while minute + MINUTE_NS <= now:
            if all(each.covers(minute, minute + MINUTE_NS) for each in self.connections):
                covered.append(CoveredMinute(minute, self.dataset, self.symbols))
            elif now < minute + MINUTE_NS + (GRACE_SECONDS - 5) * _SECOND_NS:
                break  # it may still be proven, and so may those after it
            minute += MINUTE_NS
        self._undecided = minute
        for each in self.connections:
            each.forget(min(minute, now))
        return covered
