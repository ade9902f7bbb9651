"""What several end-to-end modules start from. Belongs here: fixtures that cost much. Does not: what is asserted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ingestion.simulator.simulated import simulate
from tests.support.browser import running_chromium
from tests.support.commands import Taker
from tests.support.demos import Demo, made_demo
from tests.support.faulty_month import FaultyMonth, published_month
from tests.support.installed import Installed, installed_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REAL_RANGE = ("run", "--markets", "binance_um:BTCUSDT", "--from", "2022-01-01", "--to", "2026-07-30")


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel, for the modules of the xdist group `demo`."""
    return installed_in(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="session")
def finished_demo(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """One for all modules of the xdist group `demo`: look at it, and change only a copy."""
    return made_demo(tmp_path_factory.mktemp("demo"), installed)


@dataclass(frozen=True)
class Week:
    """A week of one simulated market in `folder`: its archive, and below `var` what `taker RUN` made of it."""

    folder: Path
    first_day = date(2026, 3, 4)
    last_day = date(2026, 3, 10)
    market = "simulated:BTCUSD_PERP"
    run = ("run", "--from", str(first_day), "--to", str(last_day))

    @property
    def taker(self) -> Taker:
        settings = {
            "TAKER_ARCHIVE_URL": (self.folder / "archive").as_uri(),
            "TAKER_MARKETS": self.market,
            "TAKER_FIRST_DAY": str(self.first_day),
        }
        return Taker(self.folder / "var", settings)

    def copied_to(self, folder: Path) -> Week:
        """The same in another place, to be changed there."""
        return Week(Path(shutil.copytree(self.folder, folder, dirs_exist_ok=True)))


@pytest.fixture(scope="session")
def published_week(tmp_path_factory: pytest.TempPathFactory) -> Week:
    """One for all modules of the xdist group `week`: look at it, and change only a copy."""
    week = Week(tmp_path_factory.mktemp("week"))
    simulate(week.folder / "archive", last_day=week.last_day, days=45, trades_days=7, rows_per_day=300)
    week.taker.done(*week.run)
    return week


@pytest.fixture(scope="session")
def faulty_month(tmp_path_factory: pytest.TempPathFactory) -> FaultyMonth:
    """One for all modules of the xdist group `published_faults`, which look at it alone."""
    return published_month(tmp_path_factory.mktemp("faulty_month"))


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
