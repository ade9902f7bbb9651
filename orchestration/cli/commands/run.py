"""`taker run`: ingest, build, audit, publish, and show the latest day.

Belongs here: a run with its progress and its result. Does not: the run (`orchestration.runs`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.cli.errors import fail, reporting_errors
from orchestration.cli.options import AsJson, Debug, FullAudit, FullRefresh, Quiet, day_of

if TYPE_CHECKING:
    from orchestration.config.settings import Settings
    from orchestration.runs.report import RunReport
    from orchestration.serving.days import MarketDay
    from orchestration.serving.liquidations import Liquidated


def run(
    markets: Annotated[
        str | None,
        typer.Option(help="Comma-separated, such as binance_um:BTCUSDT or binance_um:top50. Default: TAKER_MARKETS."),
    ] = None,
    first: Annotated[
        date | None, typer.Option("--from", parser=day_of, metavar="DAY", help="First UTC day, included.")
    ] = None,
    last: Annotated[
        date | None, typer.Option("--to", parser=day_of, metavar="DAY", help="Last UTC day, included.")
    ] = None,
    full_refresh: FullRefresh = False,
    full_audit: FullAudit = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Ingest, build, audit, publish, and show the latest day.

    Without days: two years of klines, metrics and funding, and the last 7 days of trades and liquidations, up to
    yesterday (UTC), then the hours since, from the venues' REST apis. With --from, every dataset from that day. With
    --to, nothing later than that day.
    """
    with reporting_errors(debug):
        from orchestration.config.settings import load_settings

        settings = load_settings(markets=markets)
        run_and_show(
            settings,
            first,
            last,
            full_refresh=full_refresh,
            full_audit=full_audit,
            quiet=quiet,
            as_json=as_json,
            debug=debug,
        )


def run_and_show(
    settings: Settings,
    first: date | None,
    last: date | None,
    *,
    quiet: bool,
    as_json: bool,
    debug: bool,
    full_refresh: bool = False,
    full_audit: bool = False,
    begins: Mapping[str, date] | None = None,
) -> None:
    """Run, print the result, and end with an exit code other than 0 where something failed."""
    from orchestration.cli.render.console import stderr
    from orchestration.cli.render.progress import TerminalProgress, WaitingOnly
    from orchestration.runs import execution

    shown = not (quiet or as_json or debug)
    with TerminalProgress(stderr()) if shown else contextlib.nullcontext(WaitingOnly(stderr())) as progress:
        report = execution.run(
            settings,
            first,
            last,
            begins=begins,
            progress=progress,
            full_refresh=full_refresh,
            full_audit=full_audit,
            debug=debug,
        )
    _show(settings, report, quiet=quiet, as_json=as_json)
    _fail_unless_published(report, settings)


def _show(settings: Settings, report: RunReport, *, quiet: bool, as_json: bool) -> None:
    from orchestration.cli.render.console import stderr, stdout
    from orchestration.cli.render.days import show_days, show_liquidations
    from orchestration.cli.render.run_report import show_latest, show_report, show_up_to_date
    from orchestration.serving.formats import to_json

    published = _published(settings, report)
    if report.up_to_date is not None and not (quiet or as_json):
        show_up_to_date(stdout(), report.up_to_date)
    show_latest(stderr() if quiet or as_json else stdout(), report.losses)
    if as_json:
        print(to_json(_facts(settings, report, published)))
    elif not quiet:
        show_days(stdout(), published.days)
        show_liquidations(stdout(), published.liquidations)
    notes = [] if quiet or as_json else [*published.unvalued, *published.disagreements, *published.unfilled]
    show_report(stderr(), report, notes, problems_only=quiet or as_json)


def _standing(settings: Settings) -> str:
    """What readers have after a run that published nothing. A lake's publication may be another machine's."""
    from orchestration.config.dbt import LAKE

    if settings.target == LAKE:
        return "what the lake has published stands"
    return "the former publication stands" if settings.serving_path.exists() else "nothing is published yet"


def _fail_unless_published(report: RunReport, settings: Settings) -> None:
    from orchestration.serving.published import run_if_any

    if not report.published:
        if run_if_any(settings.serving_path) in report.run_ids:
            fail("the files are published, and not every other target is; the reasons are above; run it again")
        standing = _standing(settings)
        if report.nothing_ingested:
            fail(f"nothing could be ingested, {standing}; the reason is above")
        fail(f"the marts were not published, {standing}; the reasons are above")
    if not report.succeeded:
        failed = len(report.failed_objects) + len(report.problems)
        fail(f"published, but {failed} thing(s) failed, listed above; run the same command again to retry")


@dataclass(frozen=True)
class _Published:
    """What the run published of its markets; empty where it published nothing."""

    days: Sequence[MarketDay] = ()
    liquidations: Sequence[Liquidated] = ()
    disagreements: Sequence[str] = ()
    unvalued: Sequence[str] = ()
    unfilled: Sequence[str] = ()


def _published(settings: Settings, report: RunReport) -> _Published:
    from orchestration.serving.days import disagreements, latest_days, unfilled, unvalued
    from orchestration.serving.liquidations import last_liquidations

    if not report.published:
        return _Published()
    serving, markets = settings.serving_path, settings.scope.market_ids
    return _Published(
        latest_days(serving, markets),
        last_liquidations(serving, markets),
        disagreements(serving, markets),
        unvalued(serving, markets),
        unfilled(serving, markets),
    )


def _facts(settings: Settings, report: RunReport, published: _Published) -> dict[str, Any]:
    return {
        "published": report.published,
        "up_to_date": report.up_to_date is not None,
        "simulated": settings.is_simulated,
        "objects": dict(report.outcomes),
        "absent_objects": {dataset: count for dataset, count in report.absent.items() if count},
        "bytes_downloaded": report.bytes_downloaded,
        "failed_objects": [{"object": name, "fault": fault} for name, fault in report.failed_objects],
        "refused_objects": [{"object": name, "reason": reason} for name, reason in report.refused],
        "losses": asdict(report.losses) if report.losses is not None else None,
        "notices": report.notices,
        "damaged_files": report.healed,
        "problems": report.problems,
        "checks": [asdict(check) for check in report.checks],
        "disagreements": published.disagreements,
        "run_ids": report.run_ids,
        "database": str(settings.serving_path),
        "markets": published.days,
        "liquidations_24h": published.liquidations,
        "unvalued_markets": published.unvalued,
        "unfilled_definitions": published.unfilled,
    }
