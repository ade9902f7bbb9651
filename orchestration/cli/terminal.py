"""How a run looks in a terminal: progress while it runs, tables and sentences when it is over.

Belongs here: rich, number formats, words. Does not: facts (`orchestration.serving.answer`,
`orchestration.runs.execution`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from ingestion.domain.datasets import ARCHIVED
from ingestion.domain.markets import is_simulated
from orchestration.progress import Progress
from orchestration.serving.answer import of_symbols
from orchestration.serving.defects import days_text, is_flow

if TYPE_CHECKING:
    from ingestion.archive import Outcome
    from orchestration.alerts.evaluation import Evaluation
    from orchestration.alerts.outbox import Undelivered
    from orchestration.runs.report import RunReport
    from orchestration.serving.answer import Liquidated, MarketDay, Rank, RunningDay, SeriesStatus
    from orchestration.serving.claims import Answer, Verdict
    from orchestration.serving.defects import Losses, MissingLatest


_ROWS_SHOWN = 500
# A venue that is down fails hundreds of objects in one way.
_FAILURES_SHOWN = 10
# What is not of the flow, and what `taker status` lists, is folded after so many lines.
_NOTES_SHOWN = 20
_DEFECTS_SHOWN = 12
_STATES = {
    "absent": "no file in the archive",
    "empty": "a file without rows",
    "not ingested": "not ingested",
    "refused": "refused",
    "implausible": "implausible",
}


def stdout() -> Console:
    """Where answers go. Piped output is as wide as it needs to be."""
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False, soft_wrap=not sys.stdout.isatty())


def stderr() -> Console:
    """Where progress and complaints go: the standard error of now, also while a run keeps others from writing to it."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=not sys.stderr.isatty())


class TerminalProgress(Progress):
    """One bar per dataset, one for dbt, one for the audit. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
        )
        self._current: TaskID | None = None
        self._bytes = 0
        self._failed = 0
        self._refused = 0

    def __enter__(self) -> TerminalProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finish()
        self._bars.stop()

    def preparing(self) -> None:
        self._begin("load Dagster and dbt", None)

    def ingesting(self, dataset: str, objects: int) -> None:
        self._finish()  # says what failed of the dataset before
        self._bytes = self._failed = self._refused = 0
        if objects:  # a venue that publishes no such data deserves no bar
            self._begin(f"ingest {dataset}", objects)

    def ingested(self, outcome: Outcome) -> None:
        self._bytes += outcome.bytes_downloaded
        self._failed += outcome.status == "failed"
        self._refused += outcome.status == "refused"
        self._step(", ".join([f"{self._bytes / 1e6:,.1f} MB", *self._faults()]))

    def building(self, nodes: int) -> None:
        self._begin("build", nodes)

    def built(self, node: str, status: str) -> None:
        self._step(node if status in ("success", "pass") else f"{node}: {status}")

    def auditing(self, suite: str) -> None:
        if self._current is None or self._bars.tasks[self._current].description != "audit":
            self._begin("audit", None)
        self._step(suite)

    def publishing(self, marts: int) -> None:
        self._begin("publish", None)

    def _begin(self, what: str, total: int | None) -> None:
        self._finish()
        self._current = self._bars.add_task(what, total=total, note="")

    def _step(self, note: str) -> None:
        if self._current is not None:
            self._bars.update(self._current, advance=1, note=note)

    def _faults(self) -> list[str]:
        failed = [f"[red]{self._failed} failed[/]"] if self._failed else []
        return [*failed, *([f"[yellow]{self._refused} refused[/]"] if self._refused else [])]

    def _finish(self) -> None:
        if self._current is not None:
            done = max(1, self._bars.tasks[self._current].completed)
            self._bars.update(self._current, total=done, completed=done, note=", ".join(self._faults()))
            self._failed = self._refused = 0
            self._bars.stop_task(self._current)
            self._current = None


def show_days(console: Console, days: Sequence[MarketDay]) -> None:
    """The closing tables: for each market its latest day, and the rank of that day under each definition."""
    for day in days:
        simulated = "[bold yellow]SIMULATED[/], not a real market · " if day.is_simulated else ""
        venues = f" over {day.venue_set.replace(',', ', ')}" if "," in day.venue_set else ""
        console.print(f"\n{simulated}[bold]{escape(day.market_id)}[/]{escape(venues)} · {day.trade_date} UTC")
        console.print(
            f"net taker volume [bold]{millions(day.net_taker_usd)}[/] USD"
            f" · sell ratio {number(day.taker_sell_ratio, 4)}"
            f" (sell dominance percentile {share(day.sell_dominance_percentile)})"
            f" · source {day.flow_source}{' (provisional)' if day.is_provisional else ''}"
            f" · coverage {share(day.coverage_ratio)}"
        )
        if day.headline is not None:
            console.print(escape(day.headline))
        table = Table()
        for name in ("definition", "side", "bar (UTC)"):
            table.add_column(name)
        for name in ("value", "rank", "of", "percentile", "event"):
            table.add_column(name, justify="right")
        for rank in day.ranks:
            table.add_row(*rank_row(rank), style="bold" if rank.rank is not None and rank.rank <= 10 else None)
        console.print(table)
        if day.running is not None:
            console.print(running_line(day.running))


def running_line(day: RunningDay) -> str:
    """What is known of the day that is running, and that it is not all of it."""
    return (
        f"[yellow]today so far, provisional[/] · {day.trade_date} UTC · net taker volume "
        f"[bold]{millions(day.net_taker_usd)}[/] USD of {day.volume_usd / 1_000_000:,.1f} M traded"
        f" · source {day.flow_source} · {share(day.coverage_ratio)} of the day · not ranked"
    )


def show_liquidations(console: Console, rows: Sequence[Liquidated]) -> None:
    """What was liquidated in the last 24 hours, each total beside the share of them that was heard."""
    if not rows:
        return
    table = Table(title="[bold]liquidations of the last 24 hours, USD", title_justify="left")
    for name in ("", "to (UTC)"):
        table.add_column(name)
    for name in ("longs", "shorts", "orders", "largest", "heard"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows:
        table.add_row(*liquidation_row(row))
    console.print()
    console.print(table)


def liquidation_row(row: Liquidated) -> list[str]:
    """The row as text. A bound is said to be one, and what nobody heard is a dash."""
    label = "SIMULATED " if is_simulated(row.market_id) else ""
    is_over_venues = row.market_id in ("all:ALL", "simulated_all:ALL")
    name = f"all of {row.venue_set.replace(',', ', ')}" if is_over_venues else row.market_id
    least = "≥ " if row.is_lower_bound else ""
    return [
        escape(label + name + of_symbols(row.heard_symbol_count)),
        _bar(row.as_of_at, "1h"),
        *("–" if usd is None else f"{least}{usd / 1_000_000:,.1f} M" for usd in (row.long_usd, row.short_usd)),
        _count(row.order_count),
        "–" if row.largest_order_usd is None else f"{row.largest_order_usd / 1_000_000:,.2f} M",
        share(row.coverage_ratio),
        f"{row.unvalued_order_count:,} orders without a value in USD" if row.unvalued_order_count else "",
    ]


def rank_row(rank: Rank) -> list[str]:
    at = _bar(rank.bar_at, "1d" if rank.definition_id.startswith("daily") else "")
    event = "not known yet" if rank.is_event is None else _count(rank.event_rank)
    return [
        rank.definition_id,
        rank.side or "–",
        at,
        amount(rank.value, rank.unit),
        _count(rank.rank),
        str(rank.window_bars),
        share(rank.percentile),
        event,
    ]


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
    said = {True: f"[green]holds[/] by {verdict.holds_by}", False: "[red]does not hold[/]", None: "cannot tell"}
    return [
        verdict.definition_id,
        "–" if verdict.bar_at is None else _bar(verdict.bar_at, verdict.grain),
        "–" if verdict.value is None else amount(verdict.value, verdict.unit),
        _count(verdict.actual_rank),
        _count(verdict.actual_event_rank),
        _count(verdict.window_bars),
        share(verdict.coverage_ratio),
        said[verdict.holds] if verdict.is_measured else "no bars of this grain",
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


def show_briefs(console: Console, briefs: Sequence[Mapping[str, Any]]) -> None:
    """Each brief: its headline, then what the headline is made of."""
    for brief in briefs:
        console.print(f"\n[bold]{escape(brief['headline'])}[/]")
        table = Table(show_header=False)
        table.add_column()
        table.add_column(overflow="fold")
        for name, said in brief_rows(brief):
            table.add_row(name, escape(said))
        console.print(table)


def brief_rows(brief: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The brief as label and text. What nobody measured is a dash and never a zero."""
    ranks = {
        name.removesuffix("_rank"): value
        for name, value in brief.items()
        if name.endswith("_rank") and not name.endswith("_event_rank")
    }
    longs, shorts = brief["long_liquidations_usd"], brief["short_liquidations_usd"]
    covered = brief["liquidations_coverage_ratio"]
    all_longs, all_shorts = brief.get("all_long_liquidations_usd"), brief.get("all_short_liquidations_usd")
    symbols = brief.get("all_liquidations_heard_symbol_count")
    return [
        ("net taker volume", f"{millions(brief['net_taker_usd'])} USD, {brief['side']}"),
        (
            "taker sell ratio",
            f"{number(brief['taker_sell_ratio'], 4)}, percentile {share(brief['sell_dominance_percentile'])}",
        ),
        (f"{brief['side']} ranks", ", ".join(f"{name} {_count(rank)}" for name, rank in ranks.items())),
        ("rank among events", f"daily_usd {_count(brief['daily_usd_event_rank'])}"),
        ("larger events", brief["larger_events"] or "–"),
        (
            "close",
            f"{cell(brief['close_price'])}, {change(brief['price_change_ratio'])} in a day, "
            f"{change(brief['distance_from_high_ratio'])} from the 365-day high",
        ),
        (
            "liquidations",
            "–"
            if longs is None or shorts is None
            else f"at least {longs / 1_000_000:,.1f} M USD long, {shorts / 1_000_000:,.1f} M USD short; "
            f"coverage {share(covered)}",
        ),
        (
            "on all markets heard" if symbols is None else "of the symbols heard",
            "–"
            if all_longs is None or all_shorts is None
            else f"at least {all_longs / 1_000_000:,.1f} M USD long, {all_shorts / 1_000_000:,.1f} M USD short; "
            f"{brief['all_liquidations_venue_set'].replace(',', ', ')}, "
            f"{share(brief['all_liquidations_coverage_ratio'])} of the day{of_symbols(symbols)}",
        ),
        (
            "open interest",
            "–"
            if brief["open_interest_usd"] is None
            else f"{brief['open_interest_usd'] / 1_000_000:,.1f} M USD"
            + ("" if brief["open_interest"] is None else f", {brief['open_interest']:,.2f} base"),
        ),
        ("funding of the day", "–" if brief["funding_rate"] is None else f"{brief['funding_rate']:+.4%}"),
        ("source", f"{brief['flow_source']}, coverage {share(brief['coverage_ratio'])}"),
    ]


def change(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2%}"


def show_report(
    console: Console, report: RunReport, disagreements: Sequence[str], *, problems_only: bool = False
) -> None:
    """What went wrong or deserves a look: failed objects, failed steps, checks, disagreements between sources."""
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
    for check in report.checks:
        if problems_only and not check.blocks:
            continue
        if check.name == "no_unused_data" and report.losses is not None:
            continue  # each of its findings has a line of its own
        for line in check.description.splitlines():
            blocks = check.blocks and not line.startswith("[warning] ")
            word = "[red]blocked[/]" if blocks else "[yellow]warning[/]"
            # Of a warning the rule is enough here; failing rows are in the UI and in --json.
            said = line if blocks else line.partition("; first: ")[0].removeprefix("[warning] ")
            console.print(f"{word} {escape(check.name)}: {escape(said)}")
    if report.losses is not None and not problems_only:
        _show_losses(console, report.losses)
    for dataset, absent in () if problems_only else report.absent.items():
        if absent and not (dataset in ARCHIVED and report.losses is not None):
            asked = report.requested[dataset]
            count = "none" if absent == asked else f"{asked - absent:,}"
            what = "files asked for are in the archive" if dataset in ARCHIVED else "days asked for are in the api"
            console.print(f"[yellow]note[/]    {dataset}: {count} of {asked:,} {what}")
    for text in () if problems_only else report.notices:
        console.print(f"[yellow]note[/]    {escape(text)}")
    for text in disagreements:
        console.print(f"[yellow]note[/]    {escape(text)}")


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
            again = f"; `taker run --from {lost.days[0]} --to {lost.days[-1]}` asks for what was not ingested"
        console.print(f"[red]missing[/] {escape(f'{lost.market_id}: {count}, {days_text(lost.days)} ({why}){again}')}")


def _show_losses(console: Console, losses: Losses) -> None:
    """What was not used as published and what the archive does not have; what is not of the flow is folded."""
    lines = [("warning", one.dataset, f"{one.series} {one.when}: {one.what}") for one in losses.unused]
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


def show_status(console: Console, series: Sequence[SeriesStatus], *, every_defect: bool = False) -> None:
    """The days of each dataset by market, and what was not used as published. Columns without a number are left out."""
    counts = ("stored", "missing", "absent", "refused", "partial", "corrected")
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
                    *(_dash(getattr(one, name)) for name in shown),
                    style="yellow" if one.missing or one.partial or one.refused else None,
                )
        console.print(table)
    _show_defects(console, series, every_defect)


def _aligned(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    """A table without lines, of which only the headings of numbers may break."""
    table = Table(title=f"\n[bold]{escape(title)}[/]", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for name in ("", *texts):
        table.add_column(name, no_wrap=True, header_style="dim")
    for name in numbers:
        table.add_column(name, justify="right", header_style="dim", overflow="fold")
    return table


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
                table.add_row(f"{one.dataset} {one.interval}".strip(), *map(_dash, counts))
        console.print(table)
    lines = [defect for one in defective for defect in one.defects]
    shown = lines if every_defect else lines[:_DEFECTS_SHOWN]
    for name in dict.fromkeys(defect.series for defect in shown):
        table = Table.grid(padding=(0, 2, 0, 0))
        table.title, table.title_justify = f"\n{escape(name)}", "left"
        table.add_column(max_width=24, overflow="fold")
        table.add_column(overflow="fold")
        for defect in shown:
            if defect.series == name:
                table.add_row(f"[yellow]{defect.when}[/]", escape(defect.what))
        console.print(table)
    if len(lines) > len(shown):
        console.print(f"… and {len(lines) - len(shown):,} more (`taker status --defects` lists all of them)")
    kept_in = list(dict.fromkeys(place for one in defective for defect in one.defects for place in defect.kept_in))
    if kept_in:
        more = f" and {len(kept_in) - 1:,} more" if len(kept_in) > 1 else ""
        console.print(f"\nrows set aside are kept beside the data: {escape(kept_in[0])}{more}")


def _dash(count: int) -> str:
    return f"{count:,}" if count else "–"


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


def show_rows(console: Console, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A query's result as an aligned table, numbers to the right; of a very long one the beginning."""
    table = Table()
    for position, name in enumerate(names):
        numeric = any(isinstance(row[position], int | float | Decimal) for row in rows)
        table.add_column(escape(name), justify="right" if numeric else "left", overflow="fold", no_wrap=False)
    for row in rows[:_ROWS_SHOWN]:
        table.add_row(*(escape(cell(value)) for value in row))
    console.print(table)
    if len(rows) > _ROWS_SHOWN:
        console.print(f"[dim]the first {_ROWS_SHOWN:,} of {len(rows):,} rows; --csv or --json gives all of them")
    else:
        console.print(f"[dim]{len(rows)} row{'' if len(rows) == 1 else 's'}")


def cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        # Every digit that says something, and at least two decimals.
        whole, _, decimals = f"{value:,f}".partition(".")
        return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def millions(value: Decimal) -> str:
    return f"{value / 1_000_000:+,.1f} M"


def amount(value: Decimal, unit: str) -> str:
    """USD in millions, base to two places, ratios to four."""
    if unit == "usd":
        return millions(value)
    return f"{value:,.4f}" if unit == "sell_ratio" else f"{value:+,.2f}"


def share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _bar(at: datetime, grain: str) -> str:
    return f"{at:%Y-%m-%d}" if grain == "1d" else f"{at:%Y-%m-%d %H:%M}"


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def number(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:.{places}f}"
