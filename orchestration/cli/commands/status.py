"""`taker status`: the state of the raw zone."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.errors import reporting_errors
from orchestration.cli.options import AsJson, Debug, Demo, marts_of, settings_of


def status(
    every_defect: Annotated[
        bool,
        typer.Option(
            "--defects",
            help="List every day that lacks something, and everything that was not used as published, with the reason.",
        ),
    ] = False,
    demo: Demo = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Per dataset and market: first and last day, what is missing, refused, partial or corrected.

    Then, with --defects, each day that lacks something, what and why. Then what was published and not used as
    published: rows set aside, files refused or replaced, implausible days. And alerts not delivered.
    """
    with reporting_errors(debug):
        from orchestration.alerts import outbox
        from orchestration.cli.render.alerts import show_undelivered
        from orchestration.cli.render.console import stderr, stdout
        from orchestration.cli.render.status import show_choices, show_status
        from orchestration.config.choices import read_choices
        from orchestration.resources import StorageResource
        from orchestration.serving.formats import to_json
        from orchestration.serving.incomplete import uncovered_bars
        from orchestration.serving.published import PublicationOutdated
        from orchestration.serving.raw_status import raw_status

        settings, marts = settings_of(demo), marts_of(demo)
        # Before what may fail, and beside the series: those are a list that others parse.
        show_undelivered(stderr(), outbox.undelivered(settings.alerts_path, stderr().print))
        series = raw_status(
            StorageResource(settings.storage).raw_zone(),
            marts,
            lambda text: stderr().print(f"note: {text}", markup=False, highlight=False, soft_wrap=True),
        )
        if as_json:
            print(to_json(series))
        else:
            choices = read_choices(settings.paths.choices) if settings.patterns else {}
            show_choices(stdout(), {str(each): choices.get(str(each), ()) for each in settings.patterns})
            try:
                bars = uncovered_bars(marts) if every_defect else ()
            except PublicationOutdated:
                bars = ()  # `raw_status` has stated it
            show_status(stdout(), series, every_defect=every_defect, bars=bars)
