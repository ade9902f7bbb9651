"""What went wrong in a run or deserves a look: failed objects and steps, checks, days without flow, notes.

Belongs here: a `RunReport` as lines. Does not: the latest days (`orchestration.cli.render.days`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from ingestion.domain.datasets import ARCHIVED
from orchestration.serving.defects import days_text, is_flow

if TYPE_CHECKING:
    from orchestration.runs.report import RunReport
    from orchestration.serving.defects import Losses, MissingLatest


# A venue that is down fails hundreds of objects in one way.
_FAILURES_SHOWN = 10
# What is not of the flow, and what `taker status` lists, is folded after so many lines.
_NOTES_SHOWN = 20
_STATES = {
    "absent": "no file in the archive",
    "empty": "a file without rows",
    "not ingested": "not ingested",
    "refused": "refused",
    "damaged": "what was stored is damaged",
    "implausible": "implausible",
}


def show_report(
    console: Console, report: RunReport, disagreements: Sequence[str], *, problems_only: bool = False
) -> None:
    """What went wrong or deserves a look: failed objects, failed steps, checks, disagreements between sources."""
    for text in report.healed:
        console.print(f"[yellow]damaged[/] {escape(text)}")
    if report.losses is not None:
        _show_lost_flow(console, report.losses)
    shown = 1 if report.nothing_ingested else _FAILURES_SHOWN
    # "market dataset …": what the flow is made of first, so that nothing else hides it.
    failed = sorted(report.failed_objects, key=lambda one: not any(map(is_flow, one[0].split()[1:2])))
    for name, fault in failed[:shown]:
        console.print(f"[red]failed[/]  {escape(name)}: {escape(fault)}")
    if len(report.failed_objects) > shown:
        more = len(report.failed_objects) - shown
        console.print(
            f"[red]failed[/]  … and {more:,} more objects; `--json` and the runs in Dagster name each of them"
        )
    for problem in report.problems:
        console.print(f"[red]failed[/]  {escape(problem)}")
    words = set()
    for check in report.checks:
        if problems_only and not check.blocks:
            continue
        if check.name == "no_unused_data" and report.losses is not None:
            continue  # each of its findings has a line of its own
        if check.name == "no_damaged_objects" and not problems_only:
            continue  # each is among the notices
        for line in check.description.splitlines():
            blocks = check.blocks and not line.startswith("[warning] ")
            word = "[red]blocked[/]" if blocks else "[yellow]warning[/]"
            words.add("blocked" if blocks else "warning")
            # Of a warning the rule is enough here; failing rows are in the UI and in --json.
            text = line if blocks else line.partition("; first: ")[0].removeprefix("[warning] ")
            console.print(f"{word} {escape(check.name)}: {escape(_finding(text))}")
    if report.losses is not None and not problems_only:
        words |= _show_losses(console, report.losses)
    for dataset, absent in () if problems_only else report.absent.items():
        if absent and not (dataset in ARCHIVED and report.losses is not None):
            requested = report.requested[dataset]
            count = "none" if absent == requested else f"{requested - absent:,}"
            what = "requested files are in the archive" if dataset in ARCHIVED else "requested days are in the API"
            console.print(f"[yellow]note[/]    {dataset}: {count} of {requested:,} {what}")
            words.add("note")
    for text in [*(() if problems_only else report.notices), *disagreements]:
        console.print(f"[yellow]note[/]    {escape(text)}")
        words.add("note")
    if not problems_only:
        _explain(console, words)


# "rule: how many rows break it", as the audit states it: read on its own, the rule would pass for a fact.
_BROKEN = re.compile(r"^(?P<rule>.+): (?P<count>[\d,]+ of [\d,]+ rows?) breaks? the rule$")
_MEANINGS = {
    "blocked": "a rule is broken that no venue can break: nothing was published, the former publication stands",
    "warning": "the venue's data contradict themselves or lack something: published, and marked where it matters",
    "note": "nothing is wrong: it explains a number or a gap",
}


def _finding(text: str) -> str:
    """`broken by 2 of 1,520 rows: the rule “the day's trades are complete”`; any other text as it is."""
    found = _BROKEN.match(text)
    return f"{found['count']} break the rule “{found['rule']}”" if found else text


def _explain(console: Console, words: Collection[str]) -> None:
    """What the first words of the lines above mean."""
    for word, meaning in _MEANINGS.items():
        if word in words:
            console.print(f"[dim]{word}: {meaning}[/]")


def show_up_to_date(console: Console, published_at: datetime) -> None:
    """That a run had nothing to do, and since when what readers have stands."""
    console.print(
        f"[green]up to date[/]: no source, setting or model changed since the publication of "
        f"{published_at:%Y-%m-%d %H:%M:%S} UTC, which stands; nothing was built or published anew"
    )


def missing_latest_sentence(missing: MissingLatest) -> str:
    """That a market has no flow of the latest requested day, why, and how far it goes."""
    datasets = " and ".join(f"no {dataset}" for dataset, _ in missing.why)
    why = ", ".join(f"{dataset}: {_STATES[state]}" for dataset, state in missing.why)
    newest = "there is no bar of it at all" if missing.newest is None else f"the newest bar is of {missing.newest}"
    return f"{missing.market_id}: {datasets} of {missing.day} ({why}); {newest}"


def show_latest(console: Console, losses: Losses | None) -> None:
    """Which markets have no flow of the latest requested day: before any table, since these show an earlier day."""
    for missing in losses.latest if losses is not None else ():
        console.print(f"[red]missing[/] {escape(missing_latest_sentence(missing))}")


def _show_lost_flow(console: Console, losses: Losses) -> None:
    """Every day without flow, however many there are."""
    for lost in losses.flow:
        why = ", ".join(f"{dataset}: {_STATES[state]}" for dataset, state in lost.why)
        count = f"{len(lost.days):,} day{'' if len(lost.days) == 1 else 's'} without flow"
        again = ""
        if any(state == "not ingested" for _, state in lost.why):
            again = f"; `taker run --from {lost.days[0]} --to {lost.days[-1]}` ingests what was not"
        console.print(f"[red]missing[/] {escape(f'{lost.market_id}: {count}, {days_text(lost.days)} ({why}){again}')}")


def _show_losses(console: Console, losses: Losses) -> set[str]:
    """What was not used as published and what the archive does not have; what is not of the flow is folded. Returns
    the words that the lines begin with."""
    used_otherwise = [one for one in losses.unused if one.kind != "damaged_object"]  # those are among the notices
    lines = [("warning", one.dataset, f"{one.series} {one.when}: {one.what}") for one in used_otherwise]
    for absent in losses.absent:
        most = None if is_flow(absent.dataset) else 6
        text = f"no file in the archive of {days_text(absent.days, most)} ({len(absent.days):,} of "
        lines.append(("note", absent.dataset, f"{absent.market_id} {absent.dataset}: {text}{absent.requested:,} days)"))
    of_flow = [line for line in lines if is_flow(line[1])]
    others = [line for line in lines if not is_flow(line[1])]
    for word, _, text in [*of_flow, *others[:_NOTES_SHOWN]]:
        console.print(f"[yellow]{word:7}[/] {escape(text)}")
    if len(others) > _NOTES_SHOWN:
        console.print(
            f"[yellow]note[/]    … and {len(others) - _NOTES_SHOWN:,} more; `taker status --defects` lists them"
        )
    return {word for word, _, _ in lines}
