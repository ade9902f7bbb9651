"""What a message of a venue's feed is read with: strictly, so that anything undocumented is Malformed and counted.

Belongs here: JSON, exact numbers, instants, and telling equal events of one message apart.
Does not: what a venue calls its fields, or which side is which (the venue's own module).
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from ingestion.venues.venue import Malformed

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Instants are milliseconds. Seconds or microseconds in their place would lie outside of these years.
_FIRST_MS: Final = 1_230_768_000_000  # 2009
_LAST_MS: Final = 4_102_444_800_000  # 2100
# Beyond these a value cannot be stored, and is none that a venue documents.
_LONGEST_TEXT: Final = 100
_LONGEST_WHOLE: Final = 20
_WHOLE_LIMIT: Final = 2**63


def parsed(message: str | bytes) -> Any:
    """The message as JSON, its fractions exact."""
    try:
        return json.loads(message, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"no JSON: {error}") from None


def answer(message: str | bytes, word: str) -> dict[str, Any]:
    """The fields of a message that holds `word`; none of another, or of one that cannot be read."""
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
    """A field that must be there and hold something that can be written down."""
    value = fields.get(name)
    if not isinstance(value, str) or not value or len(value) > _LONGEST_TEXT:
        raise Malformed(f"`{name}` is no text: {_shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise Malformed(f"`{name}` is no text: {_shown(value)}") from None
    return value


def number(fields: dict[str, Any], name: str) -> Decimal:
    """An exact number that is not negative. Venues write them as text, so that nobody rounds them."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Malformed(f"`{name}` is no number: {_shown(value)}")
    try:
        exact = Decimal(value)
    except InvalidOperation:
        raise Malformed(f"`{name}` is no number: {_shown(value)}") from None
    if not exact.is_finite() or exact < 0:
        raise Malformed(f"`{name}` is no amount: {_shown(value)}")
    return exact


def whole(fields: dict[str, Any], name: str) -> int:
    """A whole number of 64 bits, also where it is written as text."""
    value = fields.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _LONGEST_WHOLE:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _WHOLE_LIMIT:
        raise Malformed(f"`{name}` is no whole number: {_shown(value)}")
    return value


def flag(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name)
    if not isinstance(value, bool):
        raise Malformed(f"`{name}` is neither true nor false: {_shown(value)}")
    return value


def instant(fields: dict[str, Any], name: str) -> datetime:
    """Milliseconds since 1970 as an instant, UTC."""
    milliseconds = whole(fields, name)
    if not _FIRST_MS <= milliseconds < _LAST_MS:
        raise Malformed(f"`{name}` is no time in milliseconds: {milliseconds}")
    return _EPOCH + timedelta(milliseconds=milliseconds)


class Occurrences:
    """Numbers what is equal within one message.

    Venues without an id for a liquidation can send two equal ones at once, and both count; the same message heard on
    another connection numbers them alike.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def event_id(self, *parts: object) -> str:
        identity = ":".join(str(part) for part in parts)
        self._seen[identity] += 1
        return f"{identity}:{self._seen[identity]}"


def _shown(value: object) -> str:
    return repr(value)[:80]


def holds(message: str | bytes, key: str) -> bool:
    """Whether the message has that key somewhere, at a glance and without parsing it."""
    return f'"{key}"' in message if isinstance(message, str) else f'"{key}"'.encode() in message
