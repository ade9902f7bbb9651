"""`taker alerts`: deliver what deserves an alert."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.cli.errors import fail, reporting_errors
from orchestration.cli.options import AsJson, Debug, Demo, note_own_publication, settings_of

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from orchestration.alerts.evaluation import LatestRun
    from orchestration.config.settings import Settings


def alerts(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent; record and send nothing.")
    ] = False,
    retry_refused: Annotated[
        bool, typer.Option("--retry-refused", help="Also send again what the receiver refused.")
    ] = False,
    demo: Demo = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Send new alerts to TAKER_ALERT_WEBHOOK_URL, and those that are undelivered.

    Exit codes: 0 everything is delivered, 1 something is undelivered or could not be evaluated, 2 there is no receiver.
    """
    with reporting_errors(debug):
        from orchestration.alerts import evaluation
        from orchestration.cli.render.alerts import show_alerts
        from orchestration.cli.render.console import stdout
        from orchestration.serving.formats import to_json

        settings = settings_of(demo)
        note_own_publication(settings, settings.marts)
        with instance_if_any(settings) as instance:
            latest_run = _latest_run(instance) if instance is not None else None
            if dry_run:
                done = evaluation.dry_run(settings.alerts, latest_run=latest_run)
            else:
                done = evaluation.evaluate(settings.alerts, latest_run=latest_run, retry_refused=retry_refused)
        if as_json:
            print(to_json(evaluation.facts(done)))
        else:
            show_alerts(stdout(), done)
        if done.faults:
            fail("; ".join(done.faults))
        if done.undelivered and not dry_run:
            fail(f"{len(done.undelivered)} alert(s) undelivered; the sensor `alerts` and this command try again")


def _latest_run(instance: DagsterInstance) -> LatestRun:
    from orchestration.automation.publishing_runs import latest_publishing_run

    return lambda: latest_publishing_run(instance)


@contextlib.contextmanager
def instance_if_any(settings: Settings) -> Iterator[Any]:
    """Where runs are recorded; None where there is none yet: it is not created here."""
    if not (settings.dagster_home / "dagster.yaml").is_file():
        yield None
        return
    from orchestration.cli.render.console import stderr
    from orchestration.runs.instance import open_instance

    with open_instance(settings.paths.dagster_home, report=stderr().print) as instance:
        yield instance
