"""The page as a file: rendered aside, swapped in at once.

Belongs here: where the page lies, and replacing it. Does not: what is on it.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Final

from ingestion.raw.durable import atomic_write
from orchestration.report.content import ReportContent
from orchestration.report.page import render

# How the page states its publication, within so many characters.
_RUN: Final = re.compile(r'<meta name="publication" content="([^"]*)">')
_HEAD: Final = 4096


def report_path(serving: Path) -> Path:
    """Where the page of the marts at `serving` (marts.duckdb) lies."""
    return serving.parent / "report" / "index.html"


def run_on(page: Path) -> str | None:
    """The run whose publication the page shows; None where there is no page, or one that does not state it."""
    try:
        with page.open(encoding="utf-8", errors="replace") as text:
            found = _RUN.search(text.read(_HEAD))
    except OSError:
        return None
    return html.unescape(found[1]) if found else None


def write_report(content: ReportContent, target: Path) -> int:
    """Render `content` and put it in the place of the former page. Size in bytes.

    A reader sees the former page or this one, never half of one; if rendering fails, the former one stands.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    page = render(content, library_kept_in=target.parent).encode()
    with atomic_write(target) as staged:
        staged.write_bytes(page)
    return len(page)
