"""Alerts in the terminal: new, known, undelivered.

Belongs here: an `Evaluation` as lines. Does not: what deserves an alert (`orchestration.alerts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from orchestration.alerts.evaluation import Evaluation
    from orchestration.alerts.outbox import Undelivered


def show_undelivered(console: Console, undelivered: Undelivered | None) -> None:
    """That alerts wait, since when and why; nothing where none does."""
    if undelivered is None:
        return
    refused = f", {undelivered.refused} of them refused" if undelivered.refused else ""
    error = f"; last error: {undelivered.last_error}" if undelivered.last_error else ""
    console.print(
        f"[yellow]alerts[/]  {undelivered.count} undelivered{refused}, the oldest of "
        f"{undelivered.oldest_at:%Y-%m-%d %H:%M} UTC{escape(error)}; `taker alerts --dry-run` shows them"
    )


def show_alerts(console: Console, done: Evaluation) -> None:
    """What is news, what is known already, why there is nothing else, and what is undelivered."""
    for alert in done.new:
        verb = "would send" if done.is_dry else "new"
        console.print(f"[bold]{verb}[/]  [dim]{escape(alert.key)}[/]\n{escape(alert.text)}\n")
    if not done.new:
        console.print("nothing new")
    for fact, alert in done.known:
        same = "" if fact.key == alert.key else f"the same as {alert.key}, "
        console.print(f"[dim]known[/]  {escape(f'{fact.key}: {same}{alert.state}')}")
    for alert in done.ended:
        console.print(f"[dim]over[/]    {escape(alert.key)}")
    for one in done.said:
        console.print(f"[dim]{one.kind}[/]: {escape(one.said)}")
    if done.delivery.delivered:
        console.print(f"{done.delivery.delivered} delivered")
    for alert in done.undelivered:
        why = f"; {alert.last_error}" if alert.last_error else ""
        again = f"; again after {alert.next_attempt_at:%H:%M:%S} UTC" if alert.next_attempt_at else ""
        if alert.state == "refused":
            again = "; `taker alerts --retry-refused` sends it again"
        console.print(f"[yellow]undelivered[/]  {escape(f'{alert.key}: {alert.attempts} attempt(s){why}{again}')}")
