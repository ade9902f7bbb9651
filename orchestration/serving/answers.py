"""Was a day unusual? One line that answers, from the ranks of its most extreme bars.

Belongs here: which rank answers, and the sentence. Does not: queries (`orchestration.serving.days`), what the answer
rests on (printed below it).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from orchestration.serving.formats import amount, bar_time, ordinal, span

if TYPE_CHECKING:
    from orchestration.serving.days import MarketDay, Rank

# A rank that is worth a sentence, as analysts write them.
NOTABLE_RANK: Final = 10
# The share of its window that a rank needs (docs/metrics/fct_taker_spike_ranks.md).
COVERED_ENOUGH: Final = 0.95
# The definition that answers where several could: the day itself, in USD.
_FIRST_CHOICE: Final = "daily_usd"

_BARS: Final = {"1d": "day", "4h": "4-hour bar", "1h": "hour"}
_CURRENCIES: Final = {"usd": " USD", "base": " base asset", "sell_ratio": ""}


def answer(day: MarketDay) -> str:
    """`Yes: third-largest selling day in two years (…)`, `No: …`, or that the data cannot tell."""
    ranked = [rank for rank in day.ranks if rank.rank is not None]
    # Stable: of equal ranks the first definition answers.
    ranked.sort(key=lambda one: (not _is_notable(one), one.definition_id != _FIRST_CHOICE, one.rank))
    if not ranked:
        return f"Cannot tell: not ranked{_reason(day)}"
    best = ranked[0]
    position = f"{ordinal(best.rank)}-" if best.rank and best.rank > 1 else ""
    word = "Yes" if _is_notable(best) else "No"
    return f"{word}: {position}{_extreme(best)} {_what(best)} in {span(best.window_days)} ({_proof(best)})"


def _reason(day: MarketDay) -> str:
    """Of the definition that would have answered."""
    if not day.ranks:
        return ", since no definition has a bar of this day"
    first = min(day.ranks, key=lambda one: one.definition_id != _FIRST_CHOICE)
    if first.coverage_ratio >= COVERED_ENOUGH:
        return f" under {first.definition_id}, since too little of the day itself is covered"
    covered = math.floor(100 * first.coverage_ratio)  # what is short of the limit is not shown as the limit
    return f" under {first.definition_id}, since {covered} % of the {first.window_days} days to it are covered"


def _is_notable(rank: Rank) -> bool:
    return rank.rank is not None and rank.rank <= NOTABLE_RANK


def _what(rank: Rank) -> str:
    bar = _BARS.get(rank.grain, f"bar of {rank.grain}")
    if rank.unit == "sell_ratio":
        return f"taker sell ratio of a {bar}"
    return f"{'selling' if rank.side == 'bearish' else 'buying'} {bar}"


def _extreme(rank: Rank) -> str:
    if rank.unit == "sell_ratio":
        return "highest" if rank.side == "bearish" else "lowest"
    return "largest"


def _proof(rank: Rank) -> str:
    at = "" if rank.grain == "1d" else f", bar of {bar_time(rank.bar_at, rank.grain)} UTC"
    value = f"{amount(rank.value, rank.unit)}{_CURRENCIES.get(rank.unit, '')}"
    return f"{value}, rank {rank.rank:,} of {rank.window_bars:,}, {rank.definition_name}{at}"
