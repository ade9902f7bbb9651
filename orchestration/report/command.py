"""`taker report`: the page of the standing publication, in the browser.

Belongs here: making sure that it is there, and showing it. Does not: options and exit codes (`orchestration.cli.app`).
"""

from __future__ import annotations

import webbrowser
from pathlib import Path

from orchestration.config.marts import Marts
from orchestration.report.content import read_content
from orchestration.report.write import run_on, write_report
from orchestration.serving.published import run_of


def show_report(marts: Marts, page: Path, *, browser: bool = True) -> tuple[Path, bool]:
    """The page, and whether a browser took it. Raises NothingPublished.

    It is made here where the page is of another publication: that of a run whose page failed, or of another machine.
    """
    if run_on(page) != run_of(marts):
        write_report(read_content(marts), page)
    return page, browser and webbrowser.open(page.absolute().as_uri())
