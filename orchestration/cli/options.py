"""Options that several commands share, and what they stand for.

Belongs here: an option, its help, the settings it selects. Does not: options of a single command.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.serving.written_days import NoDay, day_from, time_from

if TYPE_CHECKING:
    from orchestration.config.settings import Settings
    from orchestration.serving.published import Source


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
    if demo:
        from orchestration.runs.demo import demo_settings

        return demo_settings()
    from orchestration.config.settings import load_settings

    return load_settings()


def source_of(demo: bool, as_of: datetime | None) -> Source:
    """What is queried: the published file, or what the lake had published `as_of` a time. NoHistory where there is no
    lake.

    A machine of a team that has published nothing itself reads what the team has published.
    """
    settings = settings_of(demo)
    if as_of is None:
        from orchestration.config.dbt import LAKE

        if settings.target != LAKE or settings.serving_path.is_file():
            return settings.serving_path
        as_of = datetime.now(UTC)
    from orchestration.warehouse.engines import team_lake
    from orchestration.warehouse.extensions import install_extensions
    from orchestration.warehouse.lake.history import AsOf, NoHistory

    team = team_lake(settings.dbt)
    if team is None:
        raise NoHistory(
            f"TAKER_TARGET is {settings.target}, and only the target `lake` keeps former publications; leave out "
            "--as-of"
        )
    install_extensions(settings.dbt)
    return AsOf(team.published, as_of)
