"""A market of three days, from its archive to the terminal: published, not ranked, and on the side of its numbers."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.support.archives import KLINE_HEADER, ArchiveFolder, millis
from tests.support.commands import Taker

MARKET = "binance_um:BTCUSDT"
LAST = date(2026, 7, 30)
DAYS = [LAST - timedelta(days=back) for back in (2, 1, 0)]
# Bought of every 1,000 USD of a day; the last one's sell ratio is 0.5368.
BOUGHT = dict(zip(DAYS, (612.5, 500, 463.2), strict=True))

pytestmark = pytest.mark.xdist_group("young_market")


def rows(day: date) -> list[str]:
    """Six bars alike, of 1,000 USD and 10 base each."""
    usd = BOUGHT[day]
    return [
        f"{millis(day, start)},100,110,90,105,10,{millis(day, start + 4 * 3600) - 1},1000,7,{usd / 100:.3f},{usd:.1f},0"
        for start in range(0, 24 * 3600, 4 * 3600)
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Taker, str]:
    """The market after its first run, and what the run printed."""
    folder = tmp_path_factory.mktemp("young")
    archive = ArchiveFolder(folder / "archive")
    for day in DAYS:
        key = f"data/futures/um/daily/klines/BTCUSDT/4h/BTCUSDT-4h-{day}.zip"
        archive.put(key, rows(day), header=KLINE_HEADER)
    taker = Taker(folder / "var", {"TAKER_ARCHIVE_URL": archive.url, "TAKER_KLINE_INTERVAL": "4h", "TAKER_REST": "off"})
    done = taker.run("run", "--markets", MARKET, "--from", str(DAYS[0]), "--to", str(LAST))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return taker, done.stdout


def test_every_day_is_published_and_none_is_ranked(run: tuple[Taker, str]) -> None:
    taker, _ = run
    assert taker.query("select bar_date, coverage_ratio from fct_net_taker_volume_daily order by 1") == [
        (day, 1.0) for day in DAYS
    ]
    assert taker.query("select count(spike_rank), count(percentile) from fct_taker_spike_ranks") == [(0, 0)]
    assert taker.query("select count(sell_dominance_percentile) from fct_taker_dominance_daily") == [(0,)]


def test_no_claim_can_be_judged_and_none_is_given_a_reason(run: tuple[Taker, str]) -> None:
    taker, _ = run
    assert taker.query("select distinct holds, holds_by from fct_claim_verdicts") == [(None, None)]


def test_a_sell_ratio_above_one_half_is_shown_as_bearish(run: tuple[Taker, str]) -> None:
    _, printed = run
    shown = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if "│" in line]
    sides = {definition: (side, value, rank) for _, definition, side, _, value, rank, *_ in shown}
    assert sides["daily_sell_ratio"] == ("bearish", "0.5368", "–")
    assert {side for side, *_ in sides.values()} == {"bearish"}
    assert "not ranked under daily_usd, since 0 % of the 730 days to it are covered" in printed


def test_the_claim_of_its_own_last_day_is_undecided(run: tuple[Taker, str]) -> None:
    taker, _ = run
    done = taker.run("claim", f"BTCUSDT {LAST} bearish rank 1 in 730 days")
    assert done.returncode not in (0, 1), done.stdout
    assert "less than 95 % of the window is covered" in done.stdout
