"""A claim in words or options, as values.

Belongs here: which words mean what, and what is missing or contradictory. Does not: the verdict
(`orchestration.serving.claims.evaluate`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from orchestration.serving.formats import ORDINALS
from orchestration.serving.published import closest
from orchestration.serving.written_days import NoDay, day_from

EXAMPLE: Final = "BTCUSDT 2026-01-31 bearish rank 3 in 730 days"
DEFAULT_WINDOW_DAYS: Final = 730


class ClaimNotUnderstood(ValueError):
    """The claim cannot be read. The text names what to write instead."""


@dataclass(frozen=True)
class Claim:
    """ "In the `window_days` before, the spike of these days was the `rank`-largest on its side."

    `market`: as it was written, None when it was left out. `event_from`, `event_to`: UTC days, both included. `side`:
    bearish or bullish. `as_of`: the day that the claim was made, None for the end of the event.
    """

    market: str | None
    event_from: date
    event_to: date
    side: str
    rank: int
    window_days: int
    as_of: date | None = None


_NUMBERS: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DAYS_IN: Final = {"day": 1, "week": 7, "month": 30, "year": 365}
_FILLERS: Final = re.compile(
    "the|an?|was|were|is|had|on|in|of|its?|by|net|taker|volume|spikes?|day|largest|biggest|event|utc|ever",
    re.IGNORECASE,
)
_DAY: Final = r"(?:\d{4}-\d{1,2}-\d{1,2}|today|yesterday|-\d{1,5}d)"
_COUNT: Final = rf"(?:\d+|a|{'|'.join(_NUMBERS)})"
_AS_OF: Final = re.compile(rf"\bas[ -]of\s+({_DAY})(?!\S)", re.IGNORECASE)
_SPAN: Final = re.compile(rf"(?<!\S)({_DAY})\s*(?:\.\.+|to|until|–|—)\s*({_DAY})(?!\S)", re.IGNORECASE)
_ONE_DAY: Final = re.compile(rf"(?<!\S)({_DAY})(?!\S)")
_WINDOW: Final = re.compile(rf"(?<!\S)({_COUNT})[ -](day|week|month|year)s?(?!\S)", re.IGNORECASE)
_RANK: Final = re.compile(
    rf"(?<!\S)(?:rank(?:ed|s)?\s*#?\s*(\d+)|#(\d+)|(\d+)(?:st|nd|rd|th)|({'|'.join(ORDINALS)}))"
    r"(?:[ -](?:largest|biggest))?(?!\S)",
    re.IGNORECASE,
)
_SIDE: Final = re.compile(r"(?<!\S)(bearish|bullish|selling|buying)(?!\S)", re.IGNORECASE)
# As the headline of the brief has them: "the third-largest selling day".
_SIDE_OF: Final = {"selling": "bearish", "buying": "bullish"}
_WORDS: Final = (
    "bearish",
    "bullish",
    "selling",
    "buying",
    "rank",
    "days",
    "weeks",
    "months",
    "years",
    "largest",
    "as of",
    *ORDINALS,
)


def understand(
    text: str = "",
    *,
    market: str | None = None,
    day: str | None = None,
    first: str | None = None,
    last: str | None = None,
    side: str | None = None,
    rank: str | None = None,
    window_days: str | None = None,
    as_of: str | None = None,
) -> Claim:
    """The claim that `text` and the options make together; ClaimNotUnderstood when they do not make one.

    An option and the text may not contradict each other. Without a window it is two years, 730 days.
    """
    terms = _read(text)
    if day is not None and (first is not None or last is not None):
        raise ClaimNotUnderstood("--date is one day and --from and --to are a range; give one or the other")
    first, last = (day, day) if day is not None else (first or last, last or first)
    options = {
        "market": market,
        "event_from": _to_day(first) if first else None,
        "event_to": _to_day(last) if last else None,
        "side": _to_side(side) if side else None,
        "rank": _to_count(rank, "rank") if rank else None,
        "window_days": _to_count(window_days, "window in days") if window_days else None,
        "as_of": _to_day(as_of) if as_of else None,
    }
    for name, option in options.items():
        if option is not None and terms.setdefault(name, option) != option:
            raise ClaimNotUnderstood(f"the claim has {terms[name]} and the option has {option}; leave one of them out")
    needed = {
        "event_from": "a day such as 2026-01-31 or yesterday",
        "side": "`bearish` or `bullish`",
        "rank": "a rank such as `rank 3`",
    }
    missing = [what for name, what in needed.items() if name not in terms]
    if missing:
        raise ClaimNotUnderstood(f'the claim lacks {_and(missing)}; write it like this: taker claim "{EXAMPLE}"')
    claim = Claim(
        market=terms.get("market"),
        event_from=terms["event_from"],
        event_to=terms["event_to"],
        side=terms["side"],
        rank=terms["rank"],
        window_days=terms.get("window_days", DEFAULT_WINDOW_DAYS),
        as_of=terms.get("as_of"),
    )
    if claim.event_from > claim.event_to:
        raise ClaimNotUnderstood(f"the first day {claim.event_from} is after the last day {claim.event_to}; swap them")
    if claim.as_of is not None and claim.as_of < claim.event_to:
        raise ClaimNotUnderstood(f"a claim of {claim.as_of} cannot be about {claim.event_to}, which came later")
    return claim


def _read(text: str) -> dict[str, Any]:
    """Take out what is recognised, piece by piece; what is left must be the market."""
    rest = re.sub(r"[\"'“”.,;:!?]+(?=\s|$)|(?<!\S)[\"'“”(]+|\)", " ", text)
    terms: dict[str, Any] = {}
    rest, found = _take(_AS_OF, rest, "day of the claim")
    if found:
        terms["as_of"] = _to_day(found[1])
    rest, found = _take(_SPAN, rest, "range of days")
    if found:
        terms["event_from"], terms["event_to"] = _to_day(found[1]), _to_day(found[2])
    rest, found = _take(_ONE_DAY, rest, "day")
    if found:
        if "event_from" in terms:
            raise ClaimNotUnderstood(f"`{found[1]}` is one day too many; a range is written 2025-10-01..2025-10-31")
        terms["event_from"] = terms["event_to"] = _to_day(found[1])
    rest, found = _take(_WINDOW, rest, "window")
    if found:
        terms["window_days"] = _to_count(found[1], "window") * _DAYS_IN[found[2].lower()]
    rest, found = _take(_RANK, rest, "rank")
    if found:
        word = next(group for group in found.groups() if group)
        terms["rank"] = _to_count(word, "rank")
    elif re.search(r"(?<!\S)(?:largest|biggest)(?!\S)", rest, re.IGNORECASE):
        terms["rank"] = 1
    rest, found = _take(_SIDE, rest, "side")
    if found:
        side = found[1].lower()
        terms["side"] = _SIDE_OF.get(side, side)
    left = [word for word in rest.split() if not _FILLERS.fullmatch(word)]
    # What is close to one of our words is that word, misspelt; anything else can only be the market.
    for word in left:
        if close := closest(word.lower(), _WORDS):
            raise ClaimNotUnderstood(f"`{word}` is not understood; did you mean `{close}`?")
        if not re.fullmatch(r"[A-Za-z_]+:[A-Za-z0-9_-]+|[A-Za-z][A-Za-z0-9_-]*|[A-Za-z0-9_]+", word) or word.isdigit():
            raise ClaimNotUnderstood(f'`{word}` is not understood; write the claim like this: taker claim "{EXAMPLE}"')
    if len(left) > 1:
        words = _and([f"`{word}`" for word in left])
        raise ClaimNotUnderstood(
            f'{words} cannot all be the market; write the claim like this: taker claim "{EXAMPLE}"'
        )
    if left:
        terms["market"] = left[0]
    return terms


def _take(pattern: re.Pattern[str], text: str, what: str) -> tuple[str, re.Match[str] | None]:
    """The text without the match, and the match; more than one is a claim too many."""
    matches = list(pattern.finditer(text))
    if len(matches) > 1:
        given = _and([f"`{match[0].strip()}`" for match in matches])
        raise ClaimNotUnderstood(f"a claim has one {what}, and this one has {given}; check them one by one")
    if not matches:
        return text, None
    return f"{text[: matches[0].start()]} {text[matches[0].end() :]}", matches[0]


def _to_day(text: str) -> date:
    try:
        return day_from(text)
    except NoDay as error:
        raise ClaimNotUnderstood(str(error)) from None


def _to_side(text: str) -> str:
    if text.lower() in ("bearish", "bullish"):
        return text.lower()
    close = closest(text.lower(), ("bearish", "bullish"))
    hint = f"; did you mean `{close}`?" if close else ", only `bearish` and `bullish` are"
    raise ClaimNotUnderstood(f"`{text}` is no side{hint}")


def _to_count(text: str, what: str) -> int:
    words = {
        **{word: n for n, word in enumerate(ORDINALS, 1)},
        **{word: n for n, word in enumerate(_NUMBERS, 1)},
        "a": 1,
    }
    number = words.get(text.lower()) or (int(text) if text.isdecimal() and len(text) < 6 else 0)
    if number < 1:
        raise ClaimNotUnderstood(f"`{text}` is no {what}; write a whole number from 1 to 99999")
    return number


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
