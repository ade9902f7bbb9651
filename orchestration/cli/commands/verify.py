"""`taker verify`: is what is stored and published still what it was?"""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.errors import fail, reporting_errors
from orchestration.cli.options import AsJson, Debug, Demo, Quiet, note_own_publication, settings_of


def verify(
    raw_only: Annotated[
        bool, typer.Option("--raw-only", help="Only the raw zone against its receipts, not the published marts.")
    ] = False,
    demo: Demo = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Hash every stored object against its receipt, and compare the published marts with the raw zone.

    Changes nothing. Names each missing, damaged or unreceipted file with what to do, and then ends with exit code 1.
    """
    with reporting_errors(debug):
        from orchestration.cli.render.console import stderr, stdout
        from orchestration.cli.render.verification import HashProgress, show_verification
        from orchestration.runs.verify import verify as verified
        from orchestration.serving.formats import to_json

        settings = settings_of(demo)
        note_own_publication(settings, settings.marts)
        with HashProgress(stderr(), is_shown=not (quiet or as_json)) as report:
            found = verified(settings, raw_only=raw_only, report=report)
        if as_json:
            facts = {"raw": found.raw, "marts": found.marts, "uncompared": found.uncompared}
            print(to_json({"sound": found.is_sound, **facts}))
        else:
            show_verification(stdout(), found.raw, found.marts, faults_only=quiet)
        faults = len(found.raw.faults) + len(found.marts.faults if found.marts else ())
        if found.uncompared and not faults:
            fail(found.uncompared)
        if faults:
            if found.uncompared:
                stderr().print(found.uncompared, markup=False, highlight=False)
            fail(f"{faults:,} thing(s) are not as they should be, listed above")
