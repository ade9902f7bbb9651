"""`taker demo`: two simulated exchanges through everything."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from orchestration.cli.commands.run import run_and_show
from orchestration.cli.commands.simulate import simulation_progress
from orchestration.cli.errors import reporting_errors
from orchestration.cli.hints import hint_at_demo
from orchestration.cli.options import AsJson, Debug, Quiet


def demo(
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw the former demo away and simulate anew.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Simulate two exchanges, archive and feed, in ./var/demo and run everything on it."""
    with reporting_errors(debug):
        hint_at_demo(True)
        from orchestration.runs import demo as demonstration

        if fresh:
            demonstration.forget(lambda text: print(text, file=sys.stderr, flush=True))
        last_day = demonstration.last_day()
        with simulation_progress(quiet or as_json) as progress:
            simulated = demonstration.simulate_archive(last_day, progress)
        settings = demonstration.demo_settings(simulated.first_day)
        demonstration.receive_liquidations(settings, simulated)
        demonstration.write_claims(settings, simulated)
        begins = demonstration.first_days(simulated)
        run_and_show(settings, None, last_day, quiet=quiet, as_json=as_json, debug=debug, begins=begins)
        if not (quiet or as_json):
            from orchestration.cli.render.console import stdout
            from orchestration.cli.render.judged import show_judged
            from orchestration.serving.judged import judged

            show_judged(stdout(), judged(settings.marts))
            stdout().print(demonstration.next_steps())
