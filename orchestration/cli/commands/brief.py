"""`taker brief`: a day in one sentence, and its numbers."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from orchestration.cli.errors import reporting_errors
from orchestration.cli.options import AsJson, AsOfTime, Debug, Demo, day_of, marts_of


def brief(
    day: Annotated[
        date | None,
        typer.Option("--date", parser=day_of, metavar="DAY", help="UTC day. Default: each market's latest."),
    ] = None,
    market: Annotated[str | None, typer.Option(help="Market, or its symbol. Default: every published one.")] = None,
    demo: Demo = False,
    as_of: AsOfTime = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """A day in one sentence, and the numbers behind it."""
    with reporting_errors(debug):
        from orchestration.cli.render.brief import show_briefs
        from orchestration.cli.render.console import stdout
        from orchestration.cli.render.days import show_liquidations
        from orchestration.serving import briefs
        from orchestration.serving.days import ended_days
        from orchestration.serving.formats import to_json
        from orchestration.serving.liquidations import last_liquidations

        serving = marts_of(demo, as_of)
        found = briefs.briefs(serving, day, market)
        if as_json:
            print(to_json(found))
        else:
            markets = [row["market_id"] for row in found]
            show_briefs(stdout(), found, ended_days(serving, day, markets))
            if day is None:
                show_liquidations(stdout(), last_liquidations(serving, markets))
