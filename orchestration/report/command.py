"""`taker report`: the page of the standing publication, in the browser.

Belongs here: making sure that it is there, and showing it. Does not: options and exit codes (`orchestration.cli.app`).
"""

from __future__ import annotations

import webbrowser
from pathlib import Path

from orchestration.report.content import read_content
from orchestration.report.write import report_path, write_report
from orchestration.serving.published import NothingPublished


def show_report(serving: Path, *, browser: bool = True) -> tuple[Path, bool]:
    """The page, and whether a browser took it. Raises NothingPublished.

    It is made here when the marts at `serving` are newer than it: published by a run whose page failed.
    """
    page = report_path(serving)
    if not serving.is_file():
        raise NothingPublished(f"nothing is published at {serving}; run `taker run`, or `taker demo` for a first look")
    if not page.is_file() or page.stat().st_mtime_ns < serving.stat().st_mtime_ns:
        write_report(read_content(serving), page)
    return page, browser and webbrowser.open(page.absolute().as_uri())
