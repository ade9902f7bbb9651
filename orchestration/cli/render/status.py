"""The raw zone in tables: days by dataset, which of them lack something, and what was not used as published.

Belongs here: `orchestration.serving.raw_status` as text. Does not: counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestration.config.choices import dropped_out
from orchestration.serving.defects import days_text, flow_first
from orchestration.serving.formats import nonzero

if TYPE_CHECKING:
    from orchestration.config.choices import Choices
    from orchestration.serving.incomplete import IncompleteDays
    from orchestration.serving.raw_status import SeriesStatus


_DEFECTS_SHOWN = 12


def show_choices(console: Console, choices: Choices) -> None:
    """Which markets each pattern of TAKER_MARKETS stands for, since when; nothing where there is no pattern."""
    for pattern, made in choices.items():
        if not made:
            console.print(f"[yellow]{escape(pattern)}: not chosen yet; `taker run` chooses[/]")
            continue
        last, gone = made[-1], dropped_out(made)
        stay = f"; {len(gone):,} of earlier choices stay: {', '.join(gone)}" if gone else ""
        aside = f"; {len(last.left_out):,} symbols left out" if last.left_out else ""
        console.print(
            escape(
                f"{pattern}: {len(last.symbols):,} of {len(last.usd):,} markets, chosen {last.chosen_at} by their "
                f"volume of {last.month}{stay}{aside}"
            ),
            highlight=False,
        )


def show_status(
    console: Console,
    series: Sequence[SeriesStatus],
    *,
    every_defect: bool = False,
    bars: Sequence[IncompleteDays] = (),
) -> None:
    """The days of each dataset by market, which of them lack something, and what was not used as published.

    `bars`: the published days that are not covered whole. Columns without a number are left out.
    """
    counts = ("stored", "missing", "absent", "refused", "damaged", "partial", "corrected")
    shown = [name for name in counts if name == "stored" or any(getattr(one, name) for one in series)]
    console.print("[bold]raw zone, in UTC days[/]")
    for market_id in dict.fromkeys(sorted(one.market_id for one in series)):
        table = _aligned(market_id, ("first", "last"), shown)
        for one in series:
            if one.market_id == market_id:
                table.add_row(
                    f"{one.dataset} {one.interval}".strip(),
                    str(one.first_day),
                    str(one.last_day),
                    *(nonzero(getattr(one, name)) for name in shown),
                    style="yellow" if one.missing or one.partial or one.refused or one.damaged else None,
                )
        console.print(table)
    _show_incomplete(console, [*(part for one in series for part in one.incomplete), *bars], every_defect)
    _show_defects(console, series, every_defect)


def _aligned(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    """A table without lines, of which only the headings of numbers may break."""
    table = Table(title=f"\n[bold]{escape(title)}[/]", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for name in ("", *texts):
        table.add_column(name, no_wrap=True, header_style="dim")
    for name in numbers:
        table.add_column(name, justify="right", header_style="dim", overflow="fold")
    return table


def _show_incomplete(console: Console, found: Sequence[IncompleteDays], every_day: bool) -> None:
    """Which days lack something, what and why; nothing where none does. The flow of each market comes first."""
    if not found:
        return
    if not every_day:
        count = sum(len(part.days) for part in found)
        console.print(
            f"\n{count:,} days of single datasets lack something, which another dataset may have: "
            "`taker status --defects` lists them with the reason"
        )
        return
    console.print("\n[bold]days that lack something[/]")
    found = sorted(
        found, key=lambda part: (part.market_id, part.dataset != "bars", flow_first(part.dataset), part.days)
    )
    _show_days(console, [(part.series, days_text(part.days), f"{part.state}: {part.what}") for part in found])


def _show_days(console: Console, lines: Sequence[tuple[str, str, str]]) -> None:
    """The days of each series and what is of them, readable at 80 columns: a line is series, days and text."""
    for name in dict.fromkeys(series for series, _, _ in lines):
        table = Table.grid(padding=(0, 2, 0, 0))
        table.title, table.title_justify = f"\n{escape(name)}", "left"
        table.add_column(max_width=24, overflow="fold")
        table.add_column(overflow="fold")
        for series, days, text in lines:
            if series == name:
                table.add_row(f"[yellow]{days}[/]", escape(text))
        console.print(table)


def _show_defects(console: Console, series: Sequence[SeriesStatus], every_defect: bool) -> None:
    """How much was not used as published, on which days and why; nothing where everything was."""
    defective = sorted((one for one in series if one.defects), key=lambda one: one.market_id)
    if not defective:
        return
    console.print("\n[bold]published, and not used as published[/]")
    for market_id in dict.fromkeys(one.market_id for one in defective):
        table = _aligned(market_id, (), ("rows set aside", "files refused", "files replaced", "days implausible"))
        for one in defective:
            if one.market_id == market_id:
                counts = (one.quarantined_rows, one.refused_files, one.replaced_files, one.implausible_days)
                table.add_row(f"{one.dataset} {one.interval}".strip(), *map(nonzero, counts))
        console.print(table)
    lines = [defect for one in defective for defect in one.defects]
    shown = lines if every_defect else lines[:_DEFECTS_SHOWN]
    _show_days(console, [(defect.series, defect.when, defect.what) for defect in shown])
    if len(lines) > len(shown):
        console.print(f"… and {len(lines) - len(shown):,} more (`taker status --defects` lists all of them)")
    kept_in = list(dict.fromkeys(place for one in defective for defect in one.defects for place in defect.kept_in))
    if kept_in:
        more = f" and {len(kept_in) - 1:,} more" if len(kept_in) > 1 else ""
        console.print(f"\nrows set aside are kept beside the data: {escape(kept_in[0])}{more}")
