"""The report of a demo in a real Chromium: drawn, silent, self-contained, readable on a phone and with a keyboard."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import new_page
from tests.support.demos import Demo

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}

pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture(scope="module")
def report(browser: Browser, finished_demo: Demo) -> Path:
    """The path of a demo's page, as `taker report` prints it. After `browser`: without one nothing has to run."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestration.cli", "report", "--demo", "--no-open"],
        cwd=finished_demo.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = Path(done.stdout.strip())
    assert page == finished_demo.taker.storage / "serving" / "report" / "index.html"
    return page


@dataclass
class Visit:
    """An open page, the messages of its console, and its requests."""

    page: Page
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def visit(browser: Browser, report: Path, viewport: ViewportSize, **options: Any) -> Visit:
    seen = Visit(new_page(browser, viewport=viewport, **options))
    seen.page.on("console", lambda message: seen.console.append(f"{message.type}: {message.text}"))
    seen.page.on("pageerror", lambda error: seen.console.append(str(error)))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.goto(report.as_uri())
    seen.page.wait_for_selector("html[data-drawn]", state="attached")
    return seen


@pytest.fixture(scope="module")
def desktop(browser: Browser, report: Path) -> Visit:
    return visit(browser, report, DESKTOP)


@pytest.fixture(scope="module")
def phone(browser: Browser, report: Path) -> Visit:
    return visit(browser, report, PHONE)


def test_the_title_and_the_headline_are_labelled_simulated(desktop: Visit) -> None:
    assert desktop.page.title().startswith("SIMULATED")
    assert desktop.page.inner_text("h1").startswith("SIMULATED")
    headlines = desktop.page.locator("main .headline").all_inner_texts()
    assert [text for text in headlines if text.startswith("SIMULATED: ")]


@pytest.mark.parametrize("visited", ["desktop", "phone"])
def test_every_chart_is_drawn(visited: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(visited).page
    width = page.viewport_size["width"] if page.viewport_size else 0
    charts = page.locator(".chart")
    # Of each of three markets: net, price, dominance, positions, liquidations, two sides of the study, the hours of the
    # week, two calendars.
    assert charts.count() == 44
    with unfolded(page):
        for number in range(charts.count()):
            box = charts.nth(number).locator("svg").bounding_box()
            assert box is not None
            assert box["height"] > 80
            assert width * 0.7 < box["width"] <= width


@contextmanager
def unfolded(page: Page) -> Iterator[None]:
    """Everything that is folded on the page is open while the block runs."""
    folded = page.evaluate_handle("[...document.querySelectorAll('details:not([open])')]")
    folded.evaluate("all => all.forEach(each => { each.open = true; })")
    try:
        yield
    finally:
        folded.evaluate("all => all.forEach(each => { each.open = false; })")


@contextmanager
def chosen(page: Page, select: str, value: str) -> Iterator[None]:
    """Another value is chosen while the block runs."""
    former = page.input_value(select)
    page.select_option(select, value)
    try:
        yield
    finally:
        page.select_option(select, former)


def test_what_is_not_unfolded_is_at_most_six_screens_of_a_laptop(desktop: Visit) -> None:
    assert desktop.page.evaluate("document.documentElement.scrollHeight") <= 6 * DESKTOP["height"]


def test_marks_of_events_do_not_lie_on_each_other_on_a_phone(phone: Visit) -> None:
    for market in ("m1", "m2", "m3"):
        marks = phone.page.eval_on_selector_all(
            f'.chart[data-market="{market}"][data-chart="net"] .mark-symbol path',
            "all => all.map(e => { const b = e.getBoundingClientRect(); return [b.left, b.right, b.top, b.bottom] })",
        )
        boxes = sorted(tuple(box) for box in marks)
        assert all(
            later[0] >= earlier[1] or later[2] >= earlier[3] or later[3] <= earlier[2]
            for earlier, later in pairwise(boxes)
        ), market


def test_every_ranked_day_opens_with_its_ranks(desktop: Visit) -> None:
    page = desktop.page
    panel = page.locator("#day-panel")
    ranked = page.evaluate(
        "(() => { const t = JSON.parse(document.getElementById('markets').textContent).m1.tables.ranks;"
        " return [...new Set(t.rows.map(row => row[t.columns.indexOf('day')]))] })()"
    )
    assert len(ranked) > 60
    for day in (ranked[0], ranked[len(ranked) // 2], ranked[-1]):
        page.fill("#day-date", day)
        page.dispatch_event("#day-date", "change")
        assert panel.locator("caption").inner_text().endswith(f"the most extreme bar of {day} under each definition")
        assert panel.locator("tbody tr").count() == 8
    page.click("#day-before")
    assert page.input_value("#day-date") == ranked[-2]


def test_a_day_before_any_rank_states_why_it_has_none(desktop: Visit) -> None:
    page = desktop.page
    page.fill("#day-date", page.get_attribute("#day-date", "min"))
    page.dispatch_event("#day-date", "change")
    assert "No definition ranks this day" in page.locator("#day-panel").inner_text()


def test_a_click_on_a_bar_opens_its_day(desktop: Visit) -> None:
    page = desktop.page
    shown = page.locator("#day-panel .note").first.inner_text()
    page.locator('.chart[data-market="m1"][data-chart="net"] .mark-rect path').nth(600).click(force=True)
    page.wait_for_function("former => document.querySelector('#day-panel .note').innerText !== former", arg=shown)


def test_marks_are_as_many_as_the_days_shown(desktop: Visit) -> None:
    bars = desktop.page.locator('.chart[data-market="m1"][data-chart="net"] .mark-rect path')
    assert bars.count() == 730
    cells = desktop.page.locator('.chart[data-market="m1"][data-chart="verdict"] .mark-rect path')
    assert cells.count() == 760


@pytest.mark.parametrize("visited", ["desktop", "phone"])
def test_the_console_is_silent_and_no_other_host_is_contacted(
    visited: str, report: Path, request: pytest.FixtureRequest
) -> None:
    seen: Visit = request.getfixturevalue(visited)
    assert seen.console == []
    assert [url for url in seen.requests if not url.startswith("data:")] == [report.as_uri()]


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_link_to_a_section_lands_there_though_charts_are_drawn_above_it(
    browser: Browser, report: Path, viewport: ViewportSize
) -> None:
    page = new_page(browser, viewport=viewport)
    page.goto(f"{report.as_uri()}#liquidations")
    page.wait_for_selector("html[data-drawn]", state="attached")
    heading = page.locator("#liquidations-title").bounding_box()
    bar = page.locator(".bar").bounding_box()
    assert heading is not None
    assert bar is not None
    hidden = max(0, bar["y"] + bar["height"])
    assert hidden <= heading["y"] + 1 < viewport["height"] / 3
    page.close()


def test_nothing_on_a_phone_is_wider_than_the_phone(phone: Visit) -> None:
    assert phone.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_the_keyboard_reaches_the_numbers_every_section_and_every_table(browser: Browser, report: Path) -> None:
    page = visit(browser, report, DESKTOP).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the numbers"
    assert page.locator(".skip").bounding_box()["x"] >= 0  # type: ignore[index]
    # What is reached is noted where it happens: to ask after each key costs more than the key.
    page.evaluate(
        "window.reached = new Set();document.addEventListener('focusin', ({target}) => { window.reached.add(target) })"
    )
    with unfolded(page):
        for _ in range(45):
            for _ in range(20):
                page.keyboard.press("Tab")
            if page.evaluate("window.reached.has(document.querySelector('.skip'))"):
                break  # after the last element comes the first one again
    for _ in range(20):
        if page.evaluate("document.activeElement.className") == "skip":
            break
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    links, regions, selects = (
        page.evaluate(f"[...window.reached].filter(e => {condition}).map(e => {value})")
        for condition, value in (
            ("e.hasAttribute('href')", "e.getAttribute('href')"),
            ("e.getAttribute('role') === 'region'", "1"),
            ("e.tagName === 'SELECT'", "e.id"),
        )
    )
    assert {"#m1", "#m2", "#claims", "#revisions", "#definitions", "#publication"} <= set(links)
    assert len(regions) == page.locator("[role=region]").count()
    assert set(selects) == {"days", "definition", "day-market", "day-ranked"}
    page.close()


def test_the_page_has_one_first_heading_and_no_level_is_skipped(desktop: Visit) -> None:
    levels = desktop.page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map(h => Number(h.tagName[1]))")
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_choosing_a_period_redraws_the_charts_with_its_days(desktop: Visit) -> None:
    page = desktop.page
    bars = page.locator('.chart[data-market="m1"][data-chart="net"] .mark-rect path')
    drawn = "days => document.querySelectorAll('[data-market=m1][data-chart=net] .mark-rect path').length === days"
    before = bars.count()
    for period, days in (("90", 90), ("100000", 760)):
        with chosen(page, "#days", period):
            page.wait_for_function(drawn, arg=days)
            assert bars.count() == days
    page.wait_for_function(drawn, arg=before)


def test_choosing_a_definition_shows_its_events_and_no_others(desktop: Visit) -> None:
    page = desktop.page
    with unfolded(page), chosen(page, "#definition", "4h_usd"):
        rows = page.locator("tbody[data-filtered] tr[data-definition]:visible")
        assert rows.count() > 0
        assert set(rows.locator("td:first-child").all_inner_texts()) == {"4-hour bars, USD (4h_usd)"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Browser, report: Path, scheme: str) -> None:
    page = visit(browser, report, DESKTOP, color_scheme=scheme).page
    for selector in ("p", "td", "summary", ".card dt", ".simulated", "figcaption", "a[href]"):
        ink, ground = page.locator(f"main {selector}, header {selector}, nav {selector}").first.evaluate(_COLOURS)
        assert contrast(ink, ground) >= 4.5, (scheme, selector, ink, ground)
    axis = page.locator(".role-axis-label text").first.evaluate("e => getComputedStyle(e).fill")
    assert contrast(axis, page.evaluate("getComputedStyle(document.body).backgroundColor")) >= 4.5
    page.close()


_COLOURS = """element => {
  const opaque = colour => !/rgba\\(.*, 0\\)/.test(colour);
  let ground = element;
  while (ground.parentElement && !opaque(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement;
  return [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor];
}"""


def contrast(first: str, second: str) -> float:
    """WCAG's contrast ratio of two `rgb(…)` colours."""
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_without_scripts_the_tables_are_all_there(browser: Browser, report: Path) -> None:
    page = new_page(browser, java_script_enabled=False)
    page.goto(report.as_uri())
    assert page.locator("table").count() > 10
    for summary in page.locator("#m1 summary").all():
        if summary.is_visible():
            summary.click()
    assert page.locator(".controls").first.is_hidden()
    assert page.locator("#day").is_hidden()
    page.close()


def test_the_page_is_small_enough_to_send(report: Path) -> None:
    assert report.stat().st_size < 4_000_000
