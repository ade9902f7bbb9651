"""A claim's verdicts as a table and in words.

Belongs here: `orchestration.serving.claims` as text. Does not: judging.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestration.serving.formats import amount, bar_time, count, share

if TYPE_CHECKING:
    from orchestration.serving.claims.evaluate import Answer, Verdict


def show_claim(console: Console, answer: Answer, *, is_verbose: bool = False) -> None:
    """The verdict, the claim as it was understood, and a line of each definition.

    Why the data cannot tell is always stated; with `is_verbose` every definition's sentence and the larger events.
    """
    claim = answer.claim
    days = f"{claim.event_from}" if claim.event_from == claim.event_to else f"{claim.event_from} to {claim.event_to}"
    console.print(f"[bold]{escape(claim_verdict(answer))}[/]")
    console.print(
        ("[bold yellow]SIMULATED[/], not a real market · " if answer.is_simulated else "")
        + f"{escape(answer.market_id)} · {days} UTC · {claim.side}, rank {claim.rank} in {claim.window_days} days"
        + (f" · as of {claim.as_of}" if claim.as_of else "")
    )
    table = Table()
    for name in ("definition", "id", "bar (UTC)"):
        table.add_column(name)
    for name in ("value", "rank", "event", "of", "coverage"):
        table.add_column(name, justify="right")
    table.add_column("the claim")
    for verdict in answer.verdicts:
        table.add_row(*verdict_row(verdict), style="dim" if verdict.holds is None else None)
    console.print(table)
    for verdict in answer.verdicts:
        if verdict.is_measured and (is_verbose or verdict.holds is None):
            larger = f" Larger: {verdict.larger_events}." if verdict.larger_events and is_verbose else ""
            console.print(f"{escape(verdict.sentence)}[dim]{escape(larger)}[/]")


def verdict_row(verdict: Verdict) -> list[str]:
    texts = {True: f"[green]true[/] by {verdict.holds_by}", False: "[red]false[/]", None: "cannot tell"}
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
    of_all = f"of {len(measured)} definition{'' if len(measured) == 1 else 's'}"
    if names[True]:
        return f"TRUE under {len(names[True])} {of_all}: {'; '.join(names[True])}"
    if names[None]:
        return f"CANNOT TELL under {len(names[None])} {of_all}" + (", false under the others" if names[False] else "")
    return f"FALSE under {'the only definition' if len(measured) == 1 else f'all {len(measured)} definitions'}"
