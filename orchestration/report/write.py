"""The page as a file: rendered aside, swapped in at once.

Belongs here: where the page lies, and replacing it. Does not: what is on it.
"""

from __future__ import annotations

from pathlib import Path

from ingestion.raw.durable import atomic_write
from orchestration.report.content import ReportContent
from orchestration.report.page import render


def report_path(serving: Path) -> Path:
    """Where the page of the marts at `serving` (marts.duckdb) lies."""
    return serving.parent / "report" / "index.html"


def write_report(content: ReportContent, target: Path) -> int:
    """Render `content` and put it in the place of the former page. Size in bytes.

    A reader sees the former page or this one, never half of one; if rendering fails, the former one stands.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    page = render(content, library_kept_in=target.parent).encode()
    with atomic_write(target) as staged:
        staged.write_bytes(page)
    return len(page)
