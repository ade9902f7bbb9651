"""`taker merge-months`: fewer objects for the same days."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final

import typer

from orchestration.cli.errors import reporting_errors
from orchestration.cli.options import AsJson, Debug, Demo, Quiet, settings_of


def _days(text: str) -> timedelta:
    if not re.fullmatch(r"\d{1,5}d", text, re.ASCII):
        raise typer.BadParameter(f"`{text}` is no number of days such as 62d")
    return timedelta(days=int(text[:-1]))


def _hours(text: str) -> timedelta:
    if not re.fullmatch(r"\d{1,5}h", text, re.ASCII):
        raise typer.BadParameter(f"`{text}` is no number of hours such as 24h")
    return timedelta(hours=int(text[:-1]))


def _datasets(text: str) -> tuple[str, ...]:
    from ingestion.domain.datasets import MERGEABLE

    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in MERGEABLE:
            raise typer.BadParameter(f"`{name}` has no daily files of the past; choose of {', '.join(MERGEABLE)}")
    return names


def _market_ids(text: str) -> tuple[str, ...]:
    from ingestion.domain.markets import UnknownMarket
    from ingestion.venues import parse_market

    try:
        return tuple(dict.fromkeys(parse_market(each).market_id for each in text.split(",")))
    except UnknownMarket as error:
        raise typer.BadParameter(str(error)) from None


_KEEP: Final = typer.Option(
    parser=_hours,
    metavar="HOURS",
    help="Keep the files of merged days so long, for builds on other machines. Default: 0h in a folder, 24h on S3.",
)


def merge_months(
    older_than: Annotated[
        timedelta,
        typer.Option("--older-than", parser=_days, metavar="DAYS", help="Only months that ended so long ago."),
    ] = "62d",  # type: ignore[assignment]
    markets: Annotated[
        str | None, typer.Option(help="Comma-separated, such as binance_um:BTCUSDT. Default: every stored market.")
    ] = None,
    datasets: Annotated[
        str | None, typer.Option(help="Comma-separated, such as aggTrades,metrics. Default: each with daily files.")
    ] = None,
    keep: Annotated[timedelta | None, _KEEP] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only state what would be merged.")] = False,
    demo: Demo = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Merge the daily files of each settled month of the raw zone into one. No number changes.

    A month stays as it is while a day of it is missing, refused or damaged. Run it again at any time, also after a
    kill.
    """
    with reporting_errors(debug):
        from ingestion.domain.datasets import MERGEABLE
        from orchestration.cli.render.console import stderr, stdout
        from orchestration.cli.render.merged import MergeProgress, merge_facts, show_merged
        from orchestration.runs.merging import merge
        from orchestration.serving.formats import to_json

        chosen = _datasets(datasets) if datasets is not None else tuple(MERGEABLE)
        market_ids = _market_ids(markets) if markets is not None else None
        settings = settings_of(demo)
        with MergeProgress(stderr(), is_shown=not (quiet or as_json)) as progress:
            outcomes = merge(
                settings,
                settled_for=older_than,
                kept_for=keep,
                datasets=chosen,
                market_ids=market_ids,
                is_dry=dry_run,
                report=progress.month,
                notice=progress.notice,
            )
        if as_json:
            print(to_json(merge_facts(outcomes)))
        elif not quiet:
            show_merged(stdout(), outcomes, is_dry=dry_run)
