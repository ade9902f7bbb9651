"""A claim's verdicts as a table and in words.

Belongs here: `orchestration.serving.claims` as text. Does not: judging.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.markup import escape

from orchestration.cli.render.fitted import Column, Row, fitted
from orchestration.serving.formats import amount, bar_time, count, share
from orchestration.serving.judged import is_more_extreme, more_extreme_text, other_verdicts_text

if TYPE_CHECKING:
    from orchestration.serving.claims.evaluate import Answer, Verdict


def show_claim(console: Console, answer: Answer, *, is_verbose: bool = False) -> None:
    """The verdict, the claim as it was understood, and a line of each definition.

    Why the data cannot tell is always stated, once where the days are not published yet; with `is_verbose` every
    definition's sentence and the larger events.
    """
    claim = answer.claim
    days = f"{claim.event_from}" if claim.event_from == claim.event_to else f"{claim.event_from} to {claim.event_to}"
    console.print(f"[bold]{escape(claim_verdict(answer))}[/]")
    console.print(
        ("[bold yellow]SIMULATED[/], not a real market · " if answer.is_simulated else "")
        + f"{escape(answer.market_id)} · {days} UTC · {claim.side}, rank {claim.rank} in {claim.window_days} days"
        + (f" · as of {claim.as_of}" if claim.as_of else "")
    )
    if answer.is_of_later_days and not is_verbose:
        return  # every definition would state the same
    rows = [
        Row(verdict_row(verdict, claim.rank), "dim" if verdict.holds is None else None) for verdict in answer.verdicts
    ]
    console.print(fitted(console, _COLUMNS, rows))
    for verdict in answer.verdicts:
        if verdict.is_measured and (is_verbose or verdict.holds is None):
            larger = f" Larger: {verdict.larger_events}." if verdict.larger_events and is_verbose else ""
            console.print(f"{escape(verdict.sentence)}[dim]{escape(larger)}[/]")


_COLUMNS: Final = (
    Column("definition"),
    Column("id", spare=2),
    Column("bar (UTC)", spare=1),
    Column("value", is_number=True),
    Column("rank", is_number=True),
    Column("event", is_number=True, spare=3),
    Column("of", is_number=True),
    Column("coverage", is_number=True, spare=4),
    Column("the claim"),
)


def verdict_row(verdict: Verdict, claimed_rank: int) -> list[str]:
    is_more = is_more_extreme(verdict.holds, verdict.actual_rank, claimed_rank)
    texts = {
        True: f"[green]true[/] by {verdict.holds_by}",
        False: f"[red]false[/]{': is larger' if is_more else ''}",
        None: "cannot tell",
    }
    return [
        escape(verdict.definition_name),
        verdict.definition_id,
        "–" if verdict.bar_at is None else bar_time(verdict.bar_at, verdict.grain),
        "–" if verdict.value is None else amount(verdict.value, verdict.unit),
        count(verdict.actual_rank),
        count(verdict.actual_event_rank),
        count(verdict.window_bars),
        share(verdict.coverage_ratio),
        texts[verdict.holds] if verdict.is_measured else "no bars of this grain",
    ]


def claim_verdict(answer: Answer) -> str:
    """`TRUE under 1 of 7 definitions: 4-hour bars, USD`. Definitions without a bar of this market are not counted."""
    measured = [verdict for verdict in answer.verdicts if verdict.is_measured]
    names = {
        holds: [verdict.definition_name for verdict in measured if verdict.holds is holds]
        for holds in (True, False, None)
    }
    if not measured:
        return "CANNOT TELL: this market has no bars of any definition"
    if answer.is_of_later_days:
        return f"CANNOT TELL: the latest published day of this market is {answer.latest_day}"
    more = sum(is_more_extreme(verdict.holds, verdict.actual_rank, answer.claim.rank) for verdict in measured)
    of_all = f"of {len(measured)} definition{'' if len(measured) == 1 else 's'}"
    if names[True]:
        others = other_verdicts_text(len(names[False]), more, len(names[None]))
        return f"TRUE under {len(names[True])} {of_all}: {'; '.join(names[True])}{others}"
    if names[None]:
        others = ", false under the others" if names[False] else ""
        return f"CANNOT TELL under {len(names[None])} {of_all}{others}{more_extreme_text(more)}"
    every = "the only definition" if len(measured) == 1 else f"all {len(measured)} definitions"
    return f"FALSE under {every}{more_extreme_text(more)}"
