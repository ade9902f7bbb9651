"""The verdicts on claims, and what the event study concludes.

Belongs here: `orchestration.serving.judged` as text. Does not: queries.
"""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from ingestion.venues import is_simulated
from orchestration.serving.judged import Judged, JudgedClaim, more_extreme_text, other_verdicts_text


def show_judged(console: Console, found: Judged) -> None:
    """A line for each claim, its verdict first, and one sentence of each kind of the event study."""
    if found.claims:
        console.print("\n[bold]claims, judged under every definition")
    for claim in found.claims:
        about = f"{_label(claim.market_id)}{escape(claim.market_id)}"
        console.print(f"{verdict_line(claim)} · {about} · {escape(claim.note or claim.claim_id)}")
    if found.studied:
        console.print("\n[bold]after spikes: what a position against the crowd gained")
    for row in found.studied:
        about = f"{_label(row.market_id)}{escape(row.market_id)}"
        console.print(f"{about} · {escape(row.of_what)} · {escape(row.conclusion)}")


def _label(market_id: str) -> str:
    return "[bold yellow]SIMULATED[/] " if is_simulated(market_id) else ""


def verdict_line(claim: JudgedClaim) -> str:
    """`TRUE under 4 of 8`, as `taker claim` gives the verdict."""
    of_all = claim.true_count + claim.false_count + claim.undecided_count
    more = more_extreme_text(claim.more_extreme_count)
    if claim.true_count:
        others = other_verdicts_text(claim.false_count, claim.more_extreme_count, claim.undecided_count)
        return f"[green]TRUE[/] under {claim.true_count} of {of_all}{others}"
    if claim.undecided_count:
        return f"[yellow]CANNOT TELL[/] under {claim.undecided_count} of {of_all}{more}"
    return f"[red]FALSE[/] under all {of_all}{more}"
