"""A UTC day as people write it: `2026-01-31`, `yesterday`, `today`, `-7d`; and a time: `2026-01-31T12:00`.

Belongs here: its meaning. Does not: sentences that hold days (`orchestration.serving.claims.parse`), the options of
commands (`orchestration.cli.options`).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

_NAMED: Final = {"today": 0, "yesterday": 1}
_DAYS_AGO: Final = re.compile(r"-(\d{1,5})d", re.IGNORECASE)

FORMS: Final = "YYYY-MM-DD, `yesterday`, `today` or `-7d` (seven days ago), in UTC"


class NoDay(ValueError):
    """The text is no day. It states how to write one."""


def day_from(text: str, today: date | None = None) -> date:
    """The day that `text` means, as of `today` (default: the running UTC day). Raises NoDay."""
    days_ago = _NAMED.get(text.lower())
    if found := _DAYS_AGO.fullmatch(text):
        days_ago = int(found[1])
    try:
        if days_ago is not None:
            return (today or datetime.now(UTC).date()) - timedelta(days=days_ago)
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except (ValueError, OverflowError):
        raise NoDay(f"`{text}` is not a day; write {FORMS}") from None


def time_from(text: str, today: date | None = None) -> datetime:
    """The instant, in UTC, that `text` means: a time, in UTC where it states no zone, or a day, which means its end.
    Raises NoDay."""
    try:
        return datetime.combine(day_from(text, today) + timedelta(days=1), datetime.min.time(), UTC)
    except (NoDay, OverflowError):  # the last day of the calendar has no end that can be written
        pass
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise NoDay(f"`{text}` is no time; write YYYY-MM-DDTHH:MM, or a day: {FORMS}") from None
