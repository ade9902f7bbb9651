"""The page as a file: rendered aside, swapped in at once.

Belongs here: where the page lies, and replacing it. Does not: what is on it.
"""

from __future__ import annotations

import os
from pathlib import Path

from orchestration.report.content import ReportContent
from orchestration.report.page import render


def report_path(serving: Path) -> Path:
    """Where the page of the marts at `serving` (marts.duckdb) lies."""
    return serving.parent / "report" / "index.html"


def write_report(content: ReportContent, target: Path) -> int:
    """Render `content` and put it in the place of the former page. Size in bytes.

    A reader sees the former page or this one, never half of one; if rendering fails, the former one stands.
    """
    page = render(content).encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f".{target.name}.building")
    try:
        staged.write_bytes(page)
        os.replace(staged, target)
    finally:
        staged.unlink(missing_ok=True)
    return len(page)
