"""Options that several commands share, and what they stand for.

Belongs here: an option, its help, the settings it selects. Does not: options of a single command.
"""

from __future__ import annotations

import sys
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.hints import hint_at_demo
from orchestration.serving.written_days import NoDay, day_from, time_from

if TYPE_CHECKING:
    from orchestration.config.marts import Marts
    from orchestration.config.settings import Settings


def day_of(text: str) -> date:
    try:
        return day_from(text)
    except NoDay as error:
        raise typer.BadParameter(str(error)) from None


def time_of(text: str) -> datetime:
    try:
        return time_from(text)
    except NoDay as error:
        raise typer.BadParameter(str(error)) from None


Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and the logs of Dagster and dbt.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no tables: errors only.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable facts on standard output.")]
Demo = Annotated[bool, typer.Option("--demo", help="Of the demo's data instead of yours.")]
AsOfTime = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        parser=time_of,
        metavar="TIME",
        help="What was published then: a UTC time, or a day for its end. Only a lake keeps former publications.",
    ),
]
FullRefresh = Annotated[bool, typer.Option("--full-refresh", help="Rebuild every day, not only what changed.")]
FullAudit = Annotated[
    bool, typer.Option("--full-audit", help="Judge every row of every mart, not only what was built.")
]


def settings_of(demo: bool) -> Settings:
    hint_at_demo(demo)
    if demo:
        from orchestration.runs.demo import demo_settings

        return demo_settings()
    from orchestration.config.settings import load_settings

    return load_settings()


def marts_of(demo: bool, as_of: datetime | None = None) -> Marts:
    """What is read: what is published, or was `as_of` a time. NoHistory where the target keeps no history."""
    settings = settings_of(demo)
    marts = settings.marts_at(as_of)
    note_own_publication(settings, marts)
    return marts


def note_own_publication(settings: Settings, marts: Marts) -> None:
    """Where others publish too and this machine's own publication is read, standard error states it."""
    from orchestration.config.dbt import LAKE

    if settings.target == LAKE and marts == settings.paths.serving:
        print(f"note: read from {marts}, which this machine published last, and not from the lake", file=sys.stderr)
