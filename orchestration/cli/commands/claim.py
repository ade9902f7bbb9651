"""`taker claim`: a sentence about a spike, checked.

Belongs here: options and exit codes. Does not: the check (`orchestration.serving.claims`).
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from orchestration.cli.errors import USAGE, reporting_errors
from orchestration.cli.options import AsJson, Debug, Demo, marts_of

# Of `taker claim`, where 1 and 2 are verdicts.
CLAIM_CODES = {"HOLDS": 0, "FAILS": 1, "UNKNOWN": 2}
NOT_ANSWERED = 3


class ClaimCommand(TyperCommand):
    """A misspelt option is no verdict either."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if getattr(error, "exit_code", None) == USAGE:
                error.exit_code = NOT_ANSWERED  # type: ignore[attr-defined]
            raise


def claim(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="CLAIM", help='Such as "BTCUSDT 2026-01-31 bearish rank 3 in 730 days".'),
    ] = None,
    market: Annotated[str | None, typer.Option(help="Market, or its symbol where only one venue has it.")] = None,
    day: Annotated[str | None, typer.Option("--date", metavar="DAY", help="UTC day of the spike.")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DAY", help="First UTC day of a range.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last UTC day of a range.")] = None,
    side: Annotated[str | None, typer.Option(help="bearish or bullish.")] = None,
    rank: Annotated[str | None, typer.Option(metavar="N", help="Claimed rank, 1 = the largest.")] = None,
    days: Annotated[str | None, typer.Option(metavar="N", help="Window in days. Default: 730.")] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="DAY", help="Day of the claim. Default: the end of the spike's day."),
    ] = None,
    demo: Demo = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Each definition's sentence, and the larger events.")
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check a sentence such as "BTCUSDT yesterday: the third-largest selling day in two years".

    Exit codes: 0 it holds under at least one spike definition, 1 under none, 2 the data cannot tell, 3 the claim was
    not understood or nothing is published.
    """
    with reporting_errors(debug, failed=NOT_ANSWERED, usage=NOT_ANSWERED):
        from orchestration.cli.render.claim import show_claim
        from orchestration.cli.render.console import stdout
        from orchestration.serving.claims.evaluate import check, facts
        from orchestration.serving.claims.parse import understand
        from orchestration.serving.formats import to_json

        claim_made = understand(
            " ".join(words or ()),
            market=market,
            day=day,
            first=first,
            last=last,
            side=side,
            rank=rank,
            window_days=days,
            as_of=as_of,
        )
        answered = check(marts_of(demo), claim_made)
        if as_json:
            print(to_json(facts(answered)))
        else:
            show_claim(stdout(), answered, is_verbose=verbose)
        raise typer.Exit(CLAIM_CODES[answered.outcome.name])
