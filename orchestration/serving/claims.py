"""A claim about a spike, as people write it, and what the published marts say to it.

Belongs here: understanding the claim, finding its market, running the dbt models of claims over it, the outcome. Does
not: the rule (these models, `int_claim_windows` to `fct_claim_verdicts`, whose text is run as it is), printing
(`orchestration.cli.render`). Imports no dagster and no dbt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestration.serving.published import closest, connect, outdated, resolve_market
from orchestration.warehouse.sql import literal

if TYPE_CHECKING:
    import duckdb

EXAMPLE: Final = "BTCUSDT 2026-01-31 bearish rank 3 in 730 days"
DEFAULT_WINDOW_DAYS: Final = 730


class ClaimNotUnderstood(ValueError):
    """The claim cannot be read. The text names what to write instead."""


class Outcome(Enum):
    """`HOLDS`: under at least one definition. `FAILS`: under none. `UNKNOWN`: the data cannot tell."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNKNOWN = "cannot tell"


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


@dataclass(frozen=True)
class Verdict:
    """The verdict of one definition: a row of `fct_claim_verdicts`, with the definition's grain and unit.

    `is_measured`: the market has bars of this definition at all; where it has none, the definition has no say.
    `holds`: None when the data cannot tell; `sentence` gives the reason.
    """

    definition_id: str
    grain: str
    unit: str
    is_measured: bool
    as_of_at: datetime
    bar_at: datetime | None
    value: Decimal | None
    actual_rank: int | None
    actual_event_rank: int | None
    window_bars: int
    coverage_ratio: float
    holds: bool | None
    holds_by: str | None
    larger_events: str | None
    sentence: str


@dataclass(frozen=True)
class Answer:
    """The claim, the market that it is about, and every definition's verdict."""

    claim: Claim
    market_id: str
    is_simulated: bool
    verdicts: tuple[Verdict, ...]

    @property
    def outcome(self) -> Outcome:
        """One definition that confirms it is enough; one that cannot tell could have been it."""
        outcomes = [verdict.holds for verdict in self.verdicts if verdict.is_measured]
        if True in outcomes:
            return Outcome.HOLDS
        return Outcome.UNKNOWN if None in outcomes or not outcomes else Outcome.FAILS


# --- understanding --------------------------------------------------------------------------------

_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_NUMBERS: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DAYS_IN: Final = {"day": 1, "week": 7, "month": 30, "year": 365}
_FILLERS: Final = re.compile(
    "the|an?|was|were|is|had|on|in|of|its?|by|net|taker|volume|spikes?|largest|biggest|event|utc|ever", re.IGNORECASE
)
_DAY: Final = r"\d{4}-\d{1,2}-\d{1,2}"
_COUNT: Final = rf"(?:\d+|a|{'|'.join(_NUMBERS)})"
_AS_OF: Final = re.compile(rf"\bas[ -]of\s+({_DAY})(?!\S)", re.IGNORECASE)
_SPAN: Final = re.compile(rf"(?<!\S)({_DAY})\s*(?:\.\.+|to|until|–|—)\s*({_DAY})(?!\S)", re.IGNORECASE)
_ONE_DAY: Final = re.compile(rf"(?<!\S)({_DAY})(?!\S)")
_WINDOW: Final = re.compile(rf"(?<!\S)({_COUNT})[ -](day|week|month|year)s?(?!\S)", re.IGNORECASE)
_RANK: Final = re.compile(
    rf"(?<!\S)(?:rank(?:ed|s)?\s*#?\s*(\d+)|#(\d+)|(\d+)(?:st|nd|rd|th)|({'|'.join(_ORDINALS)}))"
    r"(?:[ -](?:largest|biggest))?(?!\S)",
    re.IGNORECASE,
)
_SIDE: Final = re.compile(r"(?<!\S)(bearish|bullish)(?!\S)", re.IGNORECASE)
_WORDS: Final = ("bearish", "bullish", "rank", "days", "weeks", "months", "years", "largest", "as of", *_ORDINALS)


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
        "event_from": "a day such as 2026-01-31",
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
        terms["side"] = found[1].lower()
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
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise ClaimNotUnderstood(f"`{text}` is not a day; write YYYY-MM-DD") from None


def _to_side(text: str) -> str:
    if text.lower() in ("bearish", "bullish"):
        return text.lower()
    close = closest(text.lower(), ("bearish", "bullish"))
    hint = f"; did you mean `{close}`?" if close else ", only `bearish` and `bullish` are"
    raise ClaimNotUnderstood(f"`{text}` is no side{hint}")


def _to_count(text: str, what: str) -> int:
    words = {
        **{word: n for n, word in enumerate(_ORDINALS, 1)},
        **{word: n for n, word in enumerate(_NUMBERS, 1)},
        "a": 1,
    }
    number = words.get(text.lower()) or (int(text) if text.isdecimal() and len(text) < 6 else 0)
    if number < 1:
        raise ClaimNotUnderstood(f"`{text}` is no {what}; write a whole number from 1 to 99999")
    return number


# --- evaluating ---------------------------------------------------------------------------------------


def check(serving: Path, claim: Claim) -> Answer:
    """Every definition's verdict, from the published marts.

    Raises NothingPublished before the first publication, MarketNotPublished, and QueryFailed when the publication is
    from before claims could be checked.
    """
    import duckdb

    with connect(serving) as connection:
        try:
            markets = dict(connection.execute("select market_id, is_simulated from dim_markets").fetchall())
            market_id = resolve_market(claim.market, sorted(markets))
            rows = _verdicts(connection, claim, market_id)
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise outdated(error) from error
    return Answer(claim, market_id, markets[market_id], tuple(rows))


# The models of claims, each reading those before it, and what stands for their other inputs in the published marts.
CLAIM_MODELS: Final = (
    "intermediate/int_claim_windows.sql",
    "intermediate/int_claim_bars.sql",
    "intermediate/int_claim_evidence.sql",
    "marts/analysis/fct_claim_verdicts.sql",
)
_PUBLISHED_AS: Final = {"int_spike_ranks": "fct_taker_spike_ranks", "spike_definitions": "dim_spike_definitions"}
_REF: Final = re.compile(r"\{\{ ref\('(\w+)'\) \}\}")
_MODELS_DIR: Final = Path(__file__).resolve().parents[2] / "dbt_project" / "models"

# One claim, made of the connection's variables. Bound parameters would make DuckDB import pandas, which takes longer
# than the answer.
_CLAIM: Final = """
    select
        'ad hoc' as claim_id,
        cast(getvariable('published_on') as date) as published_on,
        cast(getvariable('market_id') as varchar) as market_id,
        cast(getvariable('event_from') as date) as event_from,
        cast(getvariable('event_to') as date) as event_to,
        cast(getvariable('side') as varchar) as side,
        cast(getvariable('claimed_rank') as bigint) as claimed_rank,
        cast(getvariable('window_days') as bigint) as window_days
"""

_VERDICTS: Final = """
    select
        verdicts.definition_id, definitions.grain, definitions.unit,
        exists (
            select 1 from fct_taker_spike_ranks as ranks
            where ranks.definition_id = verdicts.definition_id and ranks.market_id = verdicts.market_id
        ) as is_measured,
        verdicts.as_of_at, verdicts.bar_at, verdicts.value, verdicts.actual_rank, verdicts.actual_event_rank,
        verdicts.window_bars, verdicts.coverage_ratio, verdicts.holds, verdicts.holds_by, verdicts.larger_events,
        verdicts.verdict_sentence
    from fct_claim_verdicts as verdicts
    inner join dim_spike_definitions as definitions on verdicts.definition_id = definitions.definition_id
    order by verdicts.definition_id
"""


def over_published_marts(claims: str, query: str) -> str:
    """`query` over `fct_claim_verdicts` as dbt would build it if `claims` (SQL) were its seed of claims.

    The text of each model becomes a common table expression of its name: the models use nothing of dbt but `ref`.
    """
    steps = {"claims": claims}
    for path in CLAIM_MODELS:
        text = (_MODELS_DIR / path).read_text(encoding="utf-8")
        steps[Path(path).stem] = _REF.sub(lambda found: _PUBLISHED_AS.get(found[1], found[1]), text)
    return "with " + ",\n".join(f"{name} as (\n{text}\n)" for name, text in steps.items()) + query


def _verdicts(connection: duckdb.DuckDBPyConnection, claim: Claim, market_id: str) -> list[Verdict]:
    parameters = {
        "published_on": None if claim.as_of is None else str(claim.as_of),
        "market_id": market_id,
        "event_from": str(claim.event_from),
        "event_to": str(claim.event_to),
        "side": claim.side,
        "claimed_rank": str(claim.rank),
        "window_days": str(claim.window_days),
    }
    for name, value in parameters.items():
        connection.execute(f"set variable {name} = {'null' if value is None else literal(value)}")
    rows = connection.execute(over_published_marts(_CLAIM, _VERDICTS)).fetchall()
    return [Verdict(*row) for row in rows]


def facts(answer: Answer) -> Mapping[str, Any]:
    """The answer as plain facts, for --json."""
    from dataclasses import asdict

    claim = {**asdict(answer.claim), "market": answer.market_id}
    return {
        "claim": claim,
        "outcome": answer.outcome.value,
        "is_simulated": answer.is_simulated,
        "verdicts": [asdict(verdict) for verdict in answer.verdicts],
    }


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
