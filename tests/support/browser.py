"""A real Chromium, the machine's own.

Belongs here: finding and starting it, and how long a page may take. Does not: what is on pages, or expectations.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# On a busy machine the browser's own 30 s are too few; what is wrong fails by what the page shows, not by this.
_PATIENCE_MS: Final = 180_000
# A page that only waits would cost a third of a core for a graphics card that is computed.
_WITHOUT_GPU: Final = ("--disable-gpu", "--disable-software-rasterizer")


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Skips the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        # Chromium's sandbox refuses to run as root, which is what containers are.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=executable, args=[*sandbox, *_WITHOUT_GPU])
        try:
            yield browser
        finally:
            browser.close()


def new_page(browser: Browser, **options: Any) -> Page:
    """A page in a context of its own, with the options of Playwright's `Browser.new_page`."""
    page = browser.new_page(**options)
    page.set_default_timeout(_PATIENCE_MS)
    return page
