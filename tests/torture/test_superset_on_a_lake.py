"""Superset on a machine that has published nothing itself: its dashboard reads the lake, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from ingestion.simulator.simulated import simulate
from tests.end_to_end.conftest import browser as browser
from tests.end_to_end.test_superset import CHARTS, NET
from tests.support.browser import new_page
from tests.support.commands import Taker
from tests.support.lakes import new_catalog
from tests.support.planted import LAST, MARKET, RUN
from tests.support.postgres import PASSWORD, PostgresServer
from tests.support.superset import VENV, Dashboard, Superset, running_superset

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.xdist_group("lake"), pytest.mark.postgres]


@pytest.fixture(scope="module")
def reader(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Taker:
    """A machine beside the one that has published to the lake."""
    folder = tmp_path_factory.mktemp("superset_lake")
    simulate(folder / "archive", last_day=LAST, days=20, trades_days=7, rows_per_day=240)
    shared = {
        "TAKER_ARCHIVE_URL": (folder / "archive").as_uri(),
        "TAKER_MARKETS": MARKET,
        "TAKER_TARGET": "lake",
        "TAKER_LAKE_CATALOG_URL": new_catalog(postgres_server),
        "TAKER_STORAGE_URL": str(folder / "shared"),
    }
    builder, beside = (
        Taker(folder / name, shared | {"TAKER_STATE_DIR": str(folder / name)}) for name in ("one", "two")
    )
    done = builder.run(*RUN)
    assert done.returncode == 0, done.stdout + done.stderr
    return beside


@pytest.fixture(scope="module")
def superset(reader: Taker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    if not (VENV / "bin" / "gunicorn").is_file():
        pytest.skip("no Superset: `make superset-setup` installs it into .venv-superset")
    with running_superset(reader, tmp_path_factory.mktemp("served")) as running:
        yield running


def test_every_chart_is_drawn_of_what_the_lake_has(
    superset: Superset, reader: Taker, browser: Browser, tmp_path: Path
) -> None:
    page = new_page(browser, viewport={"width": 1440, "height": 6400})
    view = Dashboard(page, superset).look()
    page.screenshot(path=str(tmp_path / "dashboard.png"))
    assert (view.refused, view.console_errors, view.foreign_answers) == ([], [], [])
    assert set(view.answers) == {yaml.safe_load(path.read_text())["slice_name"] for path in CHARTS}
    shown = {datetime.fromtimestamp(row["bar_date"] / 1000, UTC).date() for row in view.answers[NET]}
    published = reader.run("sql", "--csv", "select distinct bar_date from fct_net_taker_volume_daily order by 1")
    assert [str(day) for day in sorted(shown)] == published.stdout.splitlines()[1:]
    assert not reader.marts.exists()
    assert PASSWORD not in superset.printed.read_text()
