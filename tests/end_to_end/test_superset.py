"""The dashboard that people look at: Superset over the published marts, in a real Chromium.

The first class needs only the marts: every dataset of the dashboard still fits them. The second boots Superset from its
own venv (`make superset-setup`) and skips where that or Chromium is missing. The publication is the simulated one.
"""

from __future__ import annotations

import json
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
import yaml

from ingestion.simulator.simulated import publish_correction
from tests.support.browser import new_page
from tests.support.commands import ROOT, Taker
from tests.support.demos import INVERSE, LINEAR, Demo
from tests.support.superset import VENV, Dashboard, Superset, View, running_superset

BUNDLE = ROOT / "bi" / "superset" / "dashboard"
DATASETS = sorted((BUNDLE / "datasets").rglob("*.yaml"))
CHARTS = sorted((BUNDLE / "charts").glob("*.yaml"))

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NET = "Net taker volume by UTC day, with the events that ranked 1 to 10"
DOMINANCE = "Sell dominance: percentile of the sell ratio in its two years"
LIQUIDATIONS = "Liquidations by UTC day: lower bounds"
BY_DEFINITION = "The most extreme bar of the time range, under each definition"
CLAIMS = "Published claims, judged under every definition"
RECONCILIATION = "Do trades and klines agree? Days per month by verdict"
BRIEF = "Latest day in the time range"
STUDY = "What followed: returns against the crowd, and against chance"
SCREEN = "Every market, its last complete day"
INTEREST = "Open interest by UTC day, USD"
FUNDING = "Funding by UTC day"
CONTEXT = "What surrounded the events: liquidations, or new positions?"
HOURS = "Net taker volume by hour of the week, as a share of volume"

pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture(scope="module")
def demo(finished_demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return finished_demo.copied_to(tmp_path_factory.mktemp("superset"))


@pytest.fixture(scope="module")
def taker(demo: Demo) -> Taker:
    """A publication of the simulated markets."""
    return demo.taker


class TestTheBundle:
    @pytest.mark.parametrize("path", DATASETS, ids=lambda path: path.stem)
    def test_every_dataset_has_the_columns_it_declares_over_the_published_marts(self, taker: Taker, path: Path) -> None:
        dataset = yaml.safe_load(path.read_text())
        with duckdb.connect(str(taker.marts), read_only=True) as marts:
            found = marts.execute(dataset["sql"]).description
            rows = marts.execute(f"select count(*) from ({dataset['sql']})").fetchone()
        declared = [(column["column_name"], column["type"]) for column in dataset["columns"]]
        assert [(column[0], str(column[1])) for column in found or []] == declared
        assert rows is not None
        assert rows[0] > 0

    def test_every_chart_has_its_dataset_and_its_place(self) -> None:
        datasets = {yaml.safe_load(path.read_text())["uuid"] for path in DATASETS}
        charts = {chart["uuid"]: chart for chart in (yaml.safe_load(path.read_text()) for path in CHARTS)}
        assert {chart["dataset_uuid"] for chart in charts.values()} <= datasets
        dashboard = yaml.safe_load((BUNDLE / "dashboards" / "taker.yaml").read_text())
        placed = Counter(
            item["meta"]["uuid"]
            for item in dashboard["position"].values()
            if isinstance(item, dict) and item["type"] == "CHART"
        )
        assert placed == Counter(list(charts))


@pytest.fixture(scope="module")
def superset(browser: Browser, taker: Taker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    if not (VENV / "bin" / "gunicorn").is_file():
        pytest.skip("no Superset: `make superset-setup` installs it into .venv-superset")
    with running_superset(taker, tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture(scope="module")
def dashboard(superset: Superset, browser: Browser) -> Iterator[Dashboard]:
    """On a page tall enough for every chart to be in view and therefore loaded."""
    page = new_page(browser, viewport={"width": 1440, "height": 6400})
    yield Dashboard(page, superset)
    page.close()


@pytest.fixture(scope="module")
def view(dashboard: Dashboard) -> View:
    """The first look, at the first market."""
    return dashboard.look()


def _days(rows: list[dict[str, Any]], *columns: str) -> dict[date, Any]:
    """Values by day; a chart's time is in milliseconds."""
    found = {}
    for row in rows:
        values = tuple(row[column] for column in columns if row.get(column) is not None)
        if len(values) == len(columns):
            found[datetime.fromtimestamp(row["bar_date"] / 1000, UTC).date()] = values if values[1:] else values[0]
    return found


def _market(view: View) -> str:
    """Which market the view shows: the headline names it."""
    headline = view.answers[BRIEF][0]["headline"]
    return next(market for market in (INVERSE, LINEAR) if market in headline)


def assert_equal_to_the_marts(view: View, taker: Taker, market: str) -> None:
    """Every number the charts were answered, against SQL over the published file."""
    assert view.refused == []
    flows = taker.query(f"select bar_date, net_taker_usd from fct_net_taker_volume_daily where market_id = '{market}'")
    drawn: Any = {
        day: bought + sold
        for day, (bought, sold) in _days(view.answers[NET], "Net buying, USD", "Net selling, USD").items()
    }
    assert drawn == {day: pytest.approx(float(net), abs=0.01) for day, net in flows}

    percentiles = taker.query(
        "select bar_date, sell_dominance_percentile from fct_taker_dominance_daily "
        f"where market_id = '{market}' and sell_dominance_percentile is not null"
    )
    assert _days(view.answers[DOMINANCE], "Sell dominance percentile") == dict(percentiles)

    liquidated = taker.query(
        "select bar_date, long_usd, short_usd from fct_liquidations_daily "
        f"where market_id = '{market}' and coverage_ratio > 0"
    )
    drawn = _days(view.answers[LIQUIDATIONS], "Longs liquidated, USD", "Shorts liquidated, USD")
    assert drawn == {day: (pytest.approx(float(long)), pytest.approx(float(short))) for day, long, short in liquidated}

    ranks = taker.query(
        "select definition_id, side, min(spike_rank), "
        "strftime(max(bar_at) filter (where spike_rank = best), '%Y-%m-%d %H:%M') from ("
        "select *, min(spike_rank) over (partition by definition_id, side) as best from fct_taker_spike_ranks "
        f"where market_id = '{market}' and spike_rank is not null) group by all"
    )
    drawn = {(r["definition_id"], r["side"], r["Rank"], r["Bar (UTC)"]) for r in view.answers[BY_DEFINITION]}
    assert drawn == set(ranks)

    verdicts = taker.query(
        f"select verdict, count(*) from fct_flow_reconciliation_daily where market_id = '{market}' group by all"
    )
    drawn = Counter()
    for row in view.answers[RECONCILIATION]:
        drawn.update({name: days for name, days in row.items() if name != "bar_date" and days is not None})
    assert drawn == Counter(dict(verdicts))

    claims = taker.query("select claim_id, definition_id, verdict_sentence from fct_claim_verdicts")
    drawn = Counter((row["definition_id"], row["verdict_sentence"]) for row in view.answers[CLAIMS])
    assert drawn == Counter((definition, sentence) for _, definition, sentence in claims)

    study = taker.query(
        "select definition_id, side, horizon_days, sample_size, conclusion from agg_spike_event_study "
        f"where market_id = '{market}'"
    )
    columns = ("definition_id", "side", "horizon_days", "sample_size", "conclusion")
    assert {tuple(row[column] for column in columns) for row in view.answers[STUDY]} == set(study)

    screened = taker.query("select market_id, best_rank, robust_z from rpt_market_screen")
    assert {(r["market_id"], r["best_rank"], r["robust_z"]) for r in view.answers[SCREEN]} == set(screened)

    interest = taker.query(
        "select bar_date, open_interest_usd from fct_open_interest_daily "
        f"where market_id = '{market}' and open_interest_usd is not null"
    )
    assert _days(view.answers[INTEREST], "Open interest, USD") == {
        day: pytest.approx(float(usd)) for day, usd in interest
    }
    fundings = taker.query(
        "select bar_date, sum(funding_rate) from fct_funding_rates "
        f"where market_id = '{market}' and funding_rate is not null group by bar_date"
    )
    assert _days(view.answers[FUNDING], "Funding of the day") == {
        day: pytest.approx(float(rate)) for day, rate in fundings
    }

    surrounded = taker.query(
        "select definition_id, side, event_rank, open_interest_change_ratio from fct_spike_context "
        f"where market_id = '{market}' and horizon_hours = 24 and event_rank <= 10"
    )
    around = ("definition_id", "side", "event_rank", "open_interest_change_ratio")
    assert Counter(tuple(row[column] for column in around) for row in view.answers[CONTEXT]) == Counter(surrounded)

    ((hours,),) = taker.query(f"select count(*) from fct_hour_of_week_profile where market_id = '{market}'")
    assert len(view.answers[HOURS]) == hours == 168

    headline = taker.query(
        f"select headline from rpt_market_brief_daily where market_id = '{market}' order by bar_date desc limit 1"
    )
    assert [(row["headline"],) for row in view.answers[BRIEF]] == headline


class TestTheDashboard:
    """In this order."""

    def test_0_claims_about_the_markets_at_hand_come_first_and_the_definitions_have_names(self, view: View) -> None:
        markets = [row["market_id"].partition(":")[0] for row in view.answers[CLAIMS]]
        assert markets == sorted(markets, key=lambda venue: venue != "simulated")
        named = {row["definition_id"]: row["definition_name"] for row in view.answers[CLAIMS]}
        assert named["4h_usd"] == "4-hour bars, USD"

    def test_1_the_first_look_shows_the_numbers_of_the_marts(self, view: View, taker: Taker) -> None:
        assert_equal_to_the_marts(view, taker, _market(view))

    def test_2_it_states_that_the_market_is_simulated(self, view: View, dashboard: Dashboard) -> None:
        assert dashboard.page.title().startswith("SIMULATED")
        assert "SIMULATED — not a real market" in dashboard.text()
        assert view.answers[BRIEF][0]["headline"].startswith("SIMULATED: ")
        assert view.answers[BRIEF][0]["headline"] in dashboard.text()

    def test_3_every_chart_is_drawn_and_no_other_host_answers(self, view: View, dashboard: Dashboard) -> None:
        assert dashboard.page.locator(".dashboard-component-chart-holder canvas").count() >= 4
        assert dashboard.page.locator(".dashboard-component-chart-holder table").count() >= 4
        assert view.foreign_answers == []
        assert view.console_errors == []

    def test_4_the_market_filter_changes_every_number(self, view: View, dashboard: Dashboard, taker: Taker) -> None:
        other = LINEAR if _market(view) == INVERSE else INVERSE
        chosen = dashboard.choose_market(other)
        # Claims name their own market, and the screen has them all: these charts are not queried again.
        for name in (CLAIMS, SCREEN):
            chosen.answers.setdefault(name, view.answers[name])
        assert_equal_to_the_marts(chosen, taker, other)

    def test_5_a_run_publishes_while_the_dashboard_is_open_and_a_refresh_shows_it(
        self, view: View, dashboard: Dashboard, taker: Taker, demo: Demo
    ) -> None:
        before = taker.query("select published_at from publication")
        publish_correction(demo.simulated.root)
        # A look when the run has begun, and one when the file has been replaced: each queries and draws every chart.
        former = taker.marts.stat().st_ino
        moments: list[Callable[[], bool]] = [lambda: True, lambda: taker.marts.stat().st_ino != former]
        with ThreadPoolExecutor(1) as aside:
            run = aside.submit(taker.run, "run", "--json", *demo.days)
            while not run.done():
                if moments and moments[0]():
                    del moments[0]
                    assert dashboard.refresh().refused == []
                dashboard.page.wait_for_timeout(500)
        result = run.result()
        assert result.returncode == 0, result.stdout + result.stderr
        assert json.loads(result.stdout)["objects"]["stored"] == 1
        assert taker.query("select published_at from publication") > before
        # The run may have ended before its second look: the file has been replaced by now.
        after = dashboard.refresh()
        assert after.refused == []
        assert after.answers[RECONCILIATION] != view.answers[RECONCILIATION]
        assert_equal_to_the_marts(after, taker, _market(after))

    def test_6_overlapping_readers_of_the_former_file_do_not_keep_it_in_sight(
        self, dashboard: Dashboard, taker: Taker
    ) -> None:
        """Superset's threads query all charts at once: the file is replaced between two of their answers."""
        staged = taker.marts.with_name("staged.duckdb")
        staged.write_bytes(taker.marts.read_bytes())
        with duckdb.connect(str(staged)) as changed:
            changed.execute("update fct_net_taker_volume_daily set net_taker_usd = net_taker_usd - 1000000")
        dashboard.page.reload(wait_until="commit")
        staged.replace(taker.marts)
        after = dashboard.refresh()
        assert_equal_to_the_marts(after, taker, _market(after))

    def test_7_the_password_is_printed_once_and_readable_by_its_owner_alone(self, superset: Superset) -> None:
        assert superset.password in superset.printed.read_text()
        for secret in ("admin_password", "secret_key"):
            assert stat.S_IMODE((superset.home / secret).stat().st_mode) == 0o600
