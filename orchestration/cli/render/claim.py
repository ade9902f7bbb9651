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


def show_claim(console: Console, answer: Answer) -> None:
    """The verdict of each definition as a table and in words, and what they come to."""
    claim = answer.claim
    days = f"{claim.event_from}" if claim.event_from == claim.event_to else f"{claim.event_from} to {claim.event_to}"
    if answer.is_simulated:
        console.print("[bold yellow]SIMULATED[/], not a real market")
    console.print(
        f"[bold]{escape(answer.market_id)}[/] · {days} UTC · {claim.side}, rank {claim.rank} "
        f"in {claim.window_days} days" + (f" · as of {claim.as_of}" if claim.as_of else "")
    )
    table = Table()
    for name in ("definition", "bar (UTC)"):
        table.add_column(name)
    for name in ("value", "rank", "event", "of", "coverage"):
        table.add_column(name, justify="right")
    table.add_column("the claim")
    for verdict in answer.verdicts:
        table.add_row(*verdict_row(verdict), style="dim" if verdict.holds is None else None)
    console.print(table)
    for verdict in answer.verdicts:
        if verdict.is_measured:
            larger = f" Larger: {verdict.larger_events}." if verdict.larger_events else ""
            console.print(f"{escape(verdict.sentence)}[dim]{escape(larger)}[/]")
    console.print(f"[bold]{escape(claim_sentence(answer))}[/]")


def verdict_row(verdict: Verdict) -> list[str]:
    texts = {True: f"[green]holds[/] by {verdict.holds_by}", False: "[red]does not hold[/]", None: "cannot tell"}
    return [
        verdict.definition_id,
        "–" if verdict.bar_at is None else bar_time(verdict.bar_at, verdict.grain),
        "–" if verdict.value is None else amount(verdict.value, verdict.unit),
        count(verdict.actual_rank),
        count(verdict.actual_event_rank),
        count(verdict.window_bars),
        share(verdict.coverage_ratio),
        texts[verdict.holds] if verdict.is_measured else "no bars of this grain",
    ]


def claim_sentence(answer: Answer) -> str:
    """What the verdicts come to, naming every definition."""
    of_kind = {
        holds: ", ".join(v.definition_id for v in answer.verdicts if v.is_measured and v.holds is holds)
        for holds in (True, False, None)
    }
    parts = []
    if of_kind[True]:
        parts.append(f"The claim holds under {of_kind[True]}")
    if of_kind[False]:
        parts.append(f"{'it' if parts else 'The claim'} does not hold under {of_kind[False]}")
    if of_kind[None]:
        parts.append(f"{'the data' if parts else 'The data'} cannot tell under {of_kind[None]}")
    if not parts:
        return "The data cannot tell: this market has no bars of any definition."
    return "; ".join(parts) + "."
