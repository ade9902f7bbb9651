"""Markets by pattern: `binance_um:*`, `binance_um:top50`; and the record of which markets each pattern stands for.

Belongs here: the patterns, and reading and writing the record. Does not: choosing (`orchestration.defs.choosing`).

The record is a file of the state folder, and not a setting: every process that reads TAKER_MARKETS has the same markets
until the next choice. A choice adds markets and removes none, so that a series does not end where a market drops out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from ingestion.domain.markets import Market, UnknownMarket
from ingestion.raw.durable import atomic_write
from ingestion.venues import VENUES, parse_market, venue_of
from orchestration.config.errors import SettingsError

_COUNT: Final = re.compile(r"top([1-9]\d{0,3})")
# What no symbol is, and a pattern may have been meant by.
_LIKE_A_PATTERN: Final = re.compile(r".*\*.*|top\d*|all", re.IGNORECASE)


@dataclass(frozen=True)
class Pattern:
    """Markets of a venue by what they traded in a month: the `count` largest, or every one (None)."""

    venue: str
    count: int | None

    def __str__(self) -> str:
        return f"{self.venue}:{'*' if self.count is None else f'top{self.count}'}"


@dataclass(frozen=True)
class Choice:
    """One choice of a pattern: by the volumes of which `month` (`2026-10`), when, and from which archive.

    `symbols`: what was chosen, the largest first. `usd`: by symbol, what every market that traded did in that month, in
    USD. `left_out`: by symbol, why it could not be chosen.
    """

    month: str
    chosen_at: str
    archive: str
    symbols: tuple[str, ...]
    usd: Mapping[str, Decimal]
    left_out: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        return {
            "month": self.month,
            "chosen_at": self.chosen_at,
            "archive": self.archive,
            "symbols": list(self.symbols),
            "usd": {symbol: str(amount) for symbol, amount in self.usd.items()},
            "left_out": dict(self.left_out),
        }


Choices = Mapping[str, Sequence[Choice]]


def parse_wanted(text: str) -> Market | Pattern:
    """`venue:SYMBOL`, `venue:*` or `venue:top50`. Raises UnknownMarket, which states why."""
    venue, _, symbol = text.strip().partition(":")
    if not _LIKE_A_PATTERN.fullmatch(symbol) or venue not in VENUES:
        return parse_market(text)
    count = _COUNT.fullmatch(symbol)
    if symbol != "*" and count is None:
        raise UnknownMarket(
            f"market `{text}`: `{symbol}` is no pattern; write `{venue}:*` for every market, or `{venue}:top50` for "
            "the 50 of the largest volume (1 to 9999)"
        )
    if not venue_of(venue).symbol_folders:
        able = [name for name in VENUES if venue_of(name).symbol_folders]
        raise UnknownMarket(
            f"market `{text}`: the archive of {venue} has no klines by symbol to choose by; name its markets, such as "
            f"`{venue}:…`, or choose of {', '.join(able)}"
        )
    return Pattern(venue, int(count[1]) if count else None)


def read_choices(path: Path) -> Choices:
    """The record; empty where nothing was chosen yet. SettingsError where it cannot be read."""
    try:
        stored = json.loads(path.read_bytes())
        return {pattern: tuple(map(_choice, choices)) for pattern, choices in stored.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise SettingsError(
            f"{path}, the record of which markets TAKER_MARKETS stands for, cannot be read ({error}); put a copy back, "
            "or remove it: the next `taker run` chooses anew, and markets that had dropped out are no longer ingested"
        ) from error


def _choice(stored: Mapping[str, Any]) -> Choice:
    return Choice(
        str(stored["month"]),
        str(stored["chosen_at"]),
        str(stored["archive"]),
        tuple(map(str, stored["symbols"])),
        {str(symbol): Decimal(amount) for symbol, amount in stored["usd"].items()},
        {str(symbol): str(why) for symbol, why in stored["left_out"].items()},
    )


def add_choice(path: Path, pattern: Pattern, choice: Choice) -> None:
    """Add a choice to the record; nothing where another process has added that of the same month. OSError.

    Not locked: of two processes that add at the same instant one may lose its choice, which the next one makes again.
    """
    known = read_choices(path)
    made = known.get(str(pattern), ())
    if any(each.month == choice.month for each in made):
        return
    record = {**known, str(pattern): [*made, choice]}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as staged:
        stored = {name: [each.as_json() for each in choices] for name, choices in sorted(record.items())}
        staged.write_text(json.dumps(stored, indent=1) + "\n")


def chosen(wanted: Iterable[Market | Pattern], path: Path) -> tuple[Market, ...]:
    """The markets that are meant, each once. SettingsError where a pattern was not chosen yet."""
    wanted = tuple(wanted)
    if all(isinstance(each, Market) for each in wanted):
        return tuple(each for each in wanted if isinstance(each, Market))
    choices = read_choices(path)
    markets: dict[Market, None] = {}
    for each in wanted:
        if isinstance(each, Market):
            markets[each] = None
            continue
        made = choices.get(str(each), ())
        if not made:
            raise SettingsError(
                f"TAKER_MARKETS: which markets `{each}` stands for was not chosen yet; `taker run` chooses them, and "
                f"records them in {path}"
            )
        for symbol in dict.fromkeys(symbol for choice in made for symbol in choice.symbols):
            markets[parse_market(f"{each.venue}:{symbol}")] = None
    return tuple(markets)


def dropped_out(made: Sequence[Choice]) -> list[str]:
    """The symbols of earlier choices that the last one would not have chosen, and that stay."""
    return sorted({symbol for choice in made for symbol in choice.symbols} - set(made[-1].symbols))
