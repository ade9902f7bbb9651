"""`taker collect`: receive liquidations and trades until it is stopped."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.errors import reporting_errors
from orchestration.cli.options import Debug


def collect(
    trades: Annotated[bool, typer.Option("--trades", help="Also the trades of TAKER_MARKETS.")] = False,
    venues: Annotated[
        str | None, typer.Option(help="Comma-separated, such as binance_um,okx. Default: every venue with a feed.")
    ] = None,
    every_symbol: Annotated[
        bool,
        typer.Option(
            "--every-symbol",
            help="For venues that require per-symbol subscriptions: every symbol, not only TAKER_MARKETS.",
        ),
    ] = False,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after so long. Default: never.")] = None,
    debug: Debug = False,
) -> None:
    """Receive the venues' liquidations and store them until they are sealed. Ctrl-C or SIGTERM ends it."""
    with reporting_errors(debug):
        from orchestration.config.settings import load_settings
        from orchestration.runs.collection import collect as receive

        receive(load_settings(), trades=trades, venues=venues, every_symbol=every_symbol, seconds=seconds)
