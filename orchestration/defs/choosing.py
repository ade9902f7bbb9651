"""Choosing the markets that the patterns of TAKER_MARKETS stand for, once a month.

Belongs here: when a choice is due, by which month, and what is recorded. Does not: what an archive lists and what its
markets traded (`ingestion.archive.turnover`), or the record (`orchestration.config.choices`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ingestion.domain.errors import IngestionError, NotListed, StorageError
from ingestion.domain.periods import Period
from ingestion.domain.redaction import redacted
from orchestration.config.choices import Choice, Pattern, add_choice, read_choices
from orchestration.config.days import today
from orchestration.config.endpoints import Endpoints

if TYPE_CHECKING:
    from ingestion.domain.markets import Market

# Archives publish a month's files in the first days of the next one.
_DAYS_UNTIL_PUBLISHED: Final = 3
# Daily klines say the same as hourly ones in a tenth of the bytes.
_SMALLEST: Final = "1d"


class NothingToChoose(IngestionError):
    """A pattern fits no market of the archive."""


def month_to_choose_by(day: date) -> Period:
    """The last month that had ended three days before `day`: its files are out."""
    running = Period.of_month(day - timedelta(days=_DAYS_UNTIL_PUBLISHED))
    return Period.of_month(running.first_day - timedelta(days=1))


def due(patterns: Sequence[Pattern], record: Path) -> tuple[Pattern, ...]:
    """The patterns whose last choice is not of the last month. SettingsError for a damaged record."""
    month = month_to_choose_by(today()).label
    choices = read_choices(record) if patterns else {}
    return tuple(
        pattern for pattern in patterns if not any(choice.month >= month for choice in choices.get(str(pattern), ()))
    )


def choose(
    patterns: Sequence[Pattern],
    record: Path,
    endpoints: Endpoints,
    kline_intervals: Sequence[str],
    notice: Callable[[str], None],
) -> None:
    """Choose the markets of each pattern that is due, and record them.

    Where that fails and there is an earlier choice, it stays, and `notice` gets the reason. Raises NothingToChoose,
    ArchiveUnavailable or StorageError where there is none, SettingsError for a damaged record.
    """
    month = month_to_choose_by(today())
    for pattern in due(patterns, record):
        try:
            choice = _choice(pattern, month, endpoints, kline_intervals)
        except IngestionError as error:
            made = read_choices(record).get(str(pattern))
            if not made:
                raise
            notice(f"{pattern}: not chosen anew for {month} ({error}); the choice of {made[-1].month} stays")
            continue
        try:
            add_choice(record, pattern, choice)
        except OSError as error:
            raise StorageError(f"{record} cannot be written: {error.strerror}") from error


def _choice(pattern: Pattern, month: Period, endpoints: Endpoints, kline_intervals: Sequence[str]) -> Choice:
    from ingestion.archive.turnover import listed_symbols, turnover
    from ingestion.http.archives import Archives

    archives = Archives(endpoints.archive_location_of)
    try:
        url = redacted(archives.of(pattern.venue).url)
        try:
            listed = listed_symbols(pattern.venue, archives)
        except NotListed as error:
            raise NotListed(
                f"`{pattern}`: {error}; set TAKER_ARCHIVE_LISTING_URL to the bucket that lists it, use a folder "
                "(file:///…), or name the markets in TAKER_MARKETS"
            ) from error
        intervals = tuple(dict.fromkeys((_SMALLEST, *kline_intervals)))
        found = turnover(listed.markets, month, intervals, archives)
    finally:
        archives.close()
    ranked = sorted(found.usd, key=lambda market: (-found.usd[market], market.symbol))
    symbols = tuple(market.symbol for market in ranked[: pattern.count])
    if not symbols:
        raise NothingToChoose(_nothing(pattern, month, url, listed.markets))
    return Choice(
        month.label,
        f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        url,
        symbols,
        {market.symbol: found.usd[market] for market in ranked},
        {**listed.left_out, **{market.symbol: why for market, why in found.unusable.items()}},
    )


def _nothing(pattern: Pattern, month: Period, url: str, markets: tuple[Market, ...]) -> str:
    lists = f"lists {len(markets):,} markets of {pattern.venue}" if markets else f"lists no market of {pattern.venue}"
    klines = f", and none with klines of {month}" if markets else ""
    return (
        f"`{pattern}` stands for no market: {url} {lists}{klines}. Check TAKER_ARCHIVE_URL, or name the markets in "
        "TAKER_MARKETS"
    )
