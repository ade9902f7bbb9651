"""What several end-to-end modules start from. Belongs here: fixtures that cost much. Does not: what is asserted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import running_chromium
from tests.support.commands import Taker
from tests.support.demos import Demo, made_demo

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REAL_RANGE = ("run", "--markets", "binance_um:BTCUSDT", "--from", "2022-01-01", "--to", "2026-07-30")


@pytest.fixture(scope="session")
def finished_demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """One for all modules of the xdist group `demo`: look at it, and change only a copy."""
    return made_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="session")
def cross_checked(mirror: str, tmp_path_factory: pytest.TempPathFactory) -> Taker:
    """4h bars cross-checked by 1d ones, and single trades."""
    taker = Taker(
        tmp_path_factory.mktemp("cross_checked"),
        {"TAKER_ARCHIVE_URL": mirror, "TAKER_KLINE_INTERVAL": "4h,1d", "TAKER_TRADES_DATASET": "trades"},
    )
    taker.done(*REAL_RANGE)
    return taker


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium; tests that need it skip where there is none.

    It ends with its module: as long as Playwright runs, its event loop is that of the thread, and no later test of the
    same worker could run one of its own.
    """
    with running_chromium() as started:
        yield started
