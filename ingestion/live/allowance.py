"""How much one connection may put into the spool in an hour: what a venue sends fits many times, and junk does not fill
the disk.

Belongs here: which messages count against which limit, and the counts of what was not kept. Does not: reading sockets
(`ingestion.live.connection`), what becomes of the counts (`ingestion.live.rows`).
"""

from __future__ import annotations

from typing import Final

from ingestion.live.spool import HOUR_NS, DroppedMessages
from ingestion.venues.messages import LONGEST_MESSAGE

# Messages without market data: a pong or two every 20 seconds, and the answers to some hundred subscriptions.
MOST_OTHER_MESSAGES: Final = 10_000
MOST_OTHER_BYTES: Final = 4 << 20
# Everything: a connection with the trades of 200 symbols receives 5000 messages of 300 bytes a second in a crash.
MOST_BYTES: Final = 16 << 30


class Allowance:
    """What one connection has put into the spool in the current hour, and what it could not."""

    def __init__(self, connection: str) -> None:
        self._connection = connection
        self._hour = -1
        self._bytes = self._other_messages = self._other_bytes = 0
        self._dropped: dict[int, DroppedMessages] = {}

    def allows(self, at: int, size: int, *, is_market_data: bool) -> bool:
        """Whether the message is kept that was received at `at`; else it is counted."""
        if at // HOUR_NS != self._hour:
            self._hour = at // HOUR_NS
            self._bytes = self._other_messages = self._other_bytes = 0
        is_other = not is_market_data or size > LONGEST_MESSAGE  # no longer one is ever read
        is_allowed = self._bytes + size <= MOST_BYTES and not (
            is_other and (self._other_messages >= MOST_OTHER_MESSAGES or self._other_bytes + size > MOST_OTHER_BYTES)
        )
        if not is_allowed:
            before = self._dropped.get(self._hour, DroppedMessages(at, self._connection, 0, 0))
            self._dropped[self._hour] = DroppedMessages(at, self._connection, before.messages + 1, before.size + size)
            return False
        self._bytes += size
        if is_other:
            self._other_messages += 1
            self._other_bytes += size
        return True

    def taken(self) -> list[DroppedMessages]:
        """What was dropped since the last call, by hour."""
        found, self._dropped = list(self._dropped.values()), {}
        return found
