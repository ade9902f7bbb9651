"""Reading venues' JSON: the fields of feed messages, strictly, so that anything undocumented is Malformed and counted.

Belongs here: exact numbers, instants in milliseconds, and distinguishing equal events of one message.
Does not: JSON itself (`ingestion.domain.exact_json`), field names, or the meaning of sides (the venue's own package).
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from ingestion.domain.exact_json import read_json
from ingestion.venues.venue import Malformed

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
# Instants are milliseconds. Seconds or microseconds in their place would lie outside of these years.
_FIRST_MS: Final = 1_230_768_000_000  # 2009
_LAST_MS: Final = 4_102_444_800_000  # 2100
# Values beyond these cannot be stored, and no venue documents them.
_LONGEST_TEXT: Final = 100
# The largest real ones are bursts of a few hundred kilobytes.
LONGEST_MESSAGE: Final = 4 << 20
_LONGEST_INTEGER: Final = 20
_INTEGER_LIMIT: Final = 2**63


def parsed(message: str | bytes) -> Any:
    """The message as JSON, its fractions exact. Of a longer one than any venue sends, the values would fill memory."""
    if len(message) > LONGEST_MESSAGE:
        raise Malformed(f"{len(message)} bytes, more than the {LONGEST_MESSAGE} that a message may have")
    try:
        return read_json(message)
    except ValueError as error:
        raise Malformed(f"no JSON: {error}") from None


def fields_if(message: str | bytes, word: str) -> dict[str, Any]:
    """The fields of a message that contains `word`; none for any other message, or for an unreadable one."""
    if (word.encode() if isinstance(message, bytes) else word) not in message:  # type: ignore[operator]
        return {}
    try:
        return mapping(parsed(message), "the message")
    except Malformed:
        return {}


def mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"{what} is no object: {_shown(value)}")
    return value


def listed(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise Malformed(f"{what} is no list: {_shown(value)}")
    return value


def text(fields: dict[str, Any], name: str) -> str:
    """A required field with text that can be stored."""
    value = fields.get(name)
    if not isinstance(value, str) or not value or len(value) > _LONGEST_TEXT:
        raise Malformed(f"`{name}` is no text: {_shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise Malformed(f"`{name}` is no text: {_shown(value)}") from None
    return value


def number(fields: dict[str, Any], name: str) -> Decimal:
    """An exact number that is not negative. Venues write them as text, which avoids rounding."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Malformed(f"`{name}` is no number: {_shown(value)}")
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        raise Malformed(f"`{name}` is no number: {_shown(value)}")
    try:
        exact = Decimal(value)
    except InvalidOperation:
        raise Malformed(f"`{name}` is no number: {_shown(value)}") from None
    if not exact.is_finite() or exact < 0:
        raise Malformed(f"`{name}` is no amount: {_shown(value)}")
    return exact


def integer(fields: dict[str, Any], name: str) -> int:
    """An integer of 64 bits, also where it is written as text."""
    value = fields.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _LONGEST_INTEGER:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _INTEGER_LIMIT:
        raise Malformed(f"`{name}` is no whole number: {_shown(value)}")
    return value


def flag(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name)
    if not isinstance(value, bool):
        raise Malformed(f"`{name}` is neither true nor false: {_shown(value)}")
    return value


def instant(fields: dict[str, Any], name: str) -> datetime:
    """Milliseconds since 1970 as an instant, UTC."""
    value = integer(fields, name)
    if not _FIRST_MS <= value < _LAST_MS:
        raise Malformed(f"`{name}` is no time in milliseconds: {value}")
    return _EPOCH + timedelta(milliseconds=value)


def moment(milliseconds: int | str) -> datetime:
    """The instant that an API gives as milliseconds since the epoch, UTC, exact."""
    return _EPOCH + int(milliseconds) * _MILLISECOND


def milliseconds(at: datetime) -> int:
    """The instant as an API expects it: whole milliseconds since the epoch."""
    return (at - _EPOCH) // _MILLISECOND


class Occurrences:
    """Numbers equal events within one message.

    Venues without an id for a liquidation can send two equal ones at once, and both count; the same message received on
    another connection numbers them identically.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def event_id(self, *parts: object) -> str:
        identity = ":".join(str(part) for part in parts)
        self._seen[identity] += 1
        return f"{identity}:{self._seen[identity]}"


def _shown(value: object) -> str:
    return repr(value)[:80]


def has_key(message: str | bytes, key: str) -> bool:
    """Whether the message has that key somewhere, without parsing it."""
    return f'"{key}"' in message if isinstance(message, str) else f'"{key}"'.encode() in message
