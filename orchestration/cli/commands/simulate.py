"""`taker simulate`: an archive of simulated exchanges."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestration.cli.errors import reporting_errors
from orchestration.cli.options import AsJson, Debug, Quiet, day_of


def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write the archive to.")],
    days: Annotated[int, typer.Option(min=1, help="Days of klines, metrics and funding.")] = 760,
    trades_days: Annotated[int, typer.Option(min=0, help="Last days that get trades and liquidations.")] = 30,
    rows_per_day: Annotated[int, typer.Option(min=1, help="aggTrades of an ordinary day.")] = 4000,
    seed: Annotated[int, typer.Option(help="The same seed and days give the same bytes.")] = 7,
    last_day: Annotated[
        date | None, typer.Option(parser=day_of, metavar="DAY", help="Last simulated UTC day. Default: yesterday.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write the archive of two simulated exchanges, laid out like a real one."""
    with reporting_errors(debug):
        from dataclasses import asdict

        from ingestion.simulator.simulated import simulate as write_archive
        from orchestration.config.settings import yesterday
        from orchestration.serving.formats import to_json

        with simulation_progress(quiet or as_json) as progress:
            summary = write_archive(
                out,
                last_day=last_day or yesterday(),
                days=days,
                trades_days=trades_days,
                rows_per_day=rows_per_day,
                seed=seed,
                progress=progress,
            )
        if as_json:
            print(to_json(asdict(summary)))
        elif not quiet:
            markets = ",".join(summary.markets)
            print(
                f"SIMULATED archive of {markets}, {summary.first_day} to {summary.last_day}: "
                f"{summary.objects:,} objects, {summary.bytes / 1e6:,.1f} MB in {out}\n"
                f"Use it: TAKER_ARCHIVE_URL={out.absolute().as_uri()} TAKER_MARKETS={markets} taker run"
            )


@contextlib.contextmanager
def simulation_progress(quiet: bool) -> Iterator[Any]:
    """A bar for the simulation: `progress(fraction, text)`."""
    if quiet:
        yield lambda fraction, text: None
        return
    from rich.progress import Progress

    from orchestration.cli.render.console import stderr

    with Progress(console=stderr(), transient=True) as bars:
        task = bars.add_task("simulate", total=1.0)
        yield lambda fraction, text: bars.update(task, completed=fraction, description=f"simulate {text}")
