"""Numbers, days and names as the page shows them.

Belongs here: formats, and lists of names in words. Does not: sentences about a market (`market`) or markup (templates).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from orchestration.report.content import MarketContent, Row

NONE: Final = "–"


def counted(values: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return dict(sorted(counts.items()))


def span(publication: Row) -> str:
    return between(publication["first_day"], publication["last_day"])


def between(first: Any, last: Any) -> str:
    return str(first) if first == last else f"{first} to {last}"


def day_count(count: int) -> str:
    return f"{count:,} day{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""


def words(name: Any) -> str:
    return NONE if name is None else str(name).replace("_", " ")


def source(row: Row) -> str:
    """Where a day's bar comes from, and whether the archive has yet to confirm it."""
    if row.get("flow_source") is None:
        return "no bar"
    return words(row["flow_source"]) + (" (provisional)" if row.get("is_provisional") else "")


def instant(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M}"


def _minus(text: str) -> str:
    return text.replace("-", "−")


def usd(value: Decimal | float | None) -> str:
    return NONE if value is None else _minus(f"{float(value) / 1e6:,.1f} M")


def price(value: Decimal | float | None) -> str:
    return NONE if value is None else f"{float(value):,.{price_digits(value)}f}"


def price_digits(value: Decimal | float) -> int:
    """Decimals that show a price: two, and for prices below 1 as many as four significant digits need."""
    size = abs(float(value))
    return 2 if size == 0 or size >= 1 else 3 - math.floor(math.log10(size))


def number(value: Decimal | float | None, digits: int) -> str:
    return NONE if value is None else _minus(f"{float(value):,.{digits}f}")


def whole_number(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def share(value: float | None, digits: int = 2) -> str:
    return NONE if value is None else f"{float(value):.{digits}%}"


def covered(value: float) -> str:
    """A share of coverage, rounded down: what is almost complete is not shown as complete."""
    return share(math.floor(round(float(value) * 10_000, 6)) / 10_000)


def colon(title: str, text: str | None) -> str:
    return title if text is None else f"{title}: {text}"


def change(value: float | None, digits: int = 2) -> str:
    return NONE if value is None else _minus(f"{float(value):+.{digits}%}")


def value(value: Decimal | None, unit: str, market: MarketContent | None) -> str:
    """A ranked value in the unit of its definition."""
    if value is None:
        return NONE
    if unit == "usd":
        return f"{usd(value)} USD"
    if unit == "base":
        asset = f" {market.facts['base_asset']}" if market else ""
        return f"{number(value, 0)}{asset}"
    return number(value, 4)


def day_sources(bars: Sequence[Row]) -> str:
    """How many days are built from each source."""
    counts = counted(row["flow_source"] for row in bars if row["flow_source"])
    return " and ".join(f"{source} on {day_count(count)}" for source, count in counts.items()) or "none"


def days_covered(bars: Sequence[Row]) -> str:
    """How many of the days are covered in full, and the least covered one."""
    short = [row for row in bars if row["coverage_ratio"] < 1]
    if not short:
        return f"All {len(bars):,} days are covered in full."
    lowest = min(short, key=lambda row: (row["coverage_ratio"], row["bar_date"]))
    return (
        f"{len(bars) - len(short):,} of {len(bars):,} days are covered in full; the least is "
        f"{share(lowest['coverage_ratio'])} on {lowest['bar_date']}."
    )
