"""Numbers as text, and facts as JSON: the same in the terminal, the report and the alerts.

Belongs here: formats. Does not: sentences or tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_SPANS: Final = {730: "two years", 365: "a year", 30: "a month", 7: "a week"}

# Colours of a terminal, as themselves or as a program that logs JSON writes them.
_COLOURS: Final = re.compile(r"(?:\x1b|\\u001b|\\x1b|\\033|\\e)\[[0-9;:]*[A-Za-z]", re.IGNORECASE)


def to_json(value: Any) -> str:
    """Facts as JSON: exact decimals and times as text, and no colours of programs that are quoted."""
    return json.dumps(_uncoloured(value), default=_plain, indent=1, ensure_ascii=False)


def without_colours(text: str) -> str:
    return _COLOURS.sub("", text)


def _uncoloured(value: Any) -> Any:
    if isinstance(value, str):
        return without_colours(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _uncoloured(asdict(value))
    if isinstance(value, Mapping):
        return {_uncoloured(name): _uncoloured(part) for name, part in value.items()}
    return [_uncoloured(part) for part in value] if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)


def cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        # Every significant digit, and at least two decimals.
        whole, _, decimals = f"{value:,f}".partition(".")
        return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def millions(value: Decimal) -> str:
    return f"{value / 1_000_000:+,.1f} M"


def amount(value: Decimal, unit: str) -> str:
    """USD in millions, base to two places, ratios to four."""
    if unit == "usd":
        return millions(value)
    return f"{value:,.4f}" if unit == "sell_ratio" else f"{value:+,.2f}"


def share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def number(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:.{places}f}"


def change(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2%}"


def count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def ordinal(rank: int) -> str:
    """`third`, `11th`, `22nd`."""
    if rank <= len(ORDINALS):
        return ORDINALS[rank - 1]
    ending = "th" if rank % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank:,}{ending}"


def span(days: int) -> str:
    """A window of so many days, as people write it: `two years`, `90 days`."""
    return _SPANS.get(days, f"{days:,} days")


def nonzero(count: int) -> str:
    return f"{count:,}" if count else "–"


def bar_time(at: datetime, grain: str) -> str:
    return f"{at:%Y-%m-%d}" if grain == "1d" else f"{at:%Y-%m-%d %H:%M}"
