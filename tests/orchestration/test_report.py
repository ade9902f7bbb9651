"""The report as a pure function: its texts for full, empty and hostile content, and how it is swapped in."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.config.marts import Marts
from orchestration.report import charts, command, rows, texts
from orchestration.report.content import ReportContent, largest
from orchestration.report.page import render
from orchestration.report.previews import previews
from orchestration.report.write import report_path, write_report
from orchestration.serving.published import NothingPublished
from orchestration.warehouse.audit.suites.reconciliation import VERDICTS
from tests.support import reports


@pytest.fixture(autouse=True)
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bundling Vega takes seconds and is not what is tested here."""
    monkeypatch.setattr(charts, "library", lambda kept_in=None: "/* vega */")


@pytest.fixture(scope="module")
def full() -> ReportContent:
    return reports.content()


class Text(HTMLParser):
    """The words of a page as a reader sees them, and its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._within: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within.append(tag)

    def handle_data(self, data: str) -> None:
        if self._within[-1:] not in (["script"], ["style"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def embedded(page: str, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.S)
    assert found is not None
    return json.loads(found.group(1))


def test_the_same_content_gives_the_same_bytes() -> None:
    assert render(reports.content()) == render(reports.content())


def test_title_headline_and_market_are_labelled_simulated(full: ReportContent) -> None:
    page = render(full)
    assert re.search(r"<title>SIMULATED", page)
    assert re.search(r"<h1>SIMULATED", page)
    assert "simulated:BTCUSDT is an invented market" in Text(page).text


def test_a_real_market_is_not_called_simulated() -> None:
    real = reports.market(market_id="binance_um:BTCUSDT", brief=None)
    page = render(reports.content(markets=[real], claims=reports.claims("binance_um:BTCUSDT"), revisions=[], screen=[]))
    assert "simulated" not in Text(page).text.lower()


def test_every_chart_has_a_label_and_a_specification(full: ReportContent) -> None:
    page = render(full)
    figures = [attributes for attributes in Text(page).all("div") if attributes.get("data-chart")]
    specs = embedded(page, "specs")
    assert len(figures) == 10
    for figure in figures:
        assert figure["aria-label"]
        assert figure["data-chart"] in specs or f"{figure['data-market']}:{figure['data-chart']}" in specs


def test_no_day_is_left_out_of_the_charts(full: ReportContent) -> None:
    daily = embedded(render(full), "markets")["m1"]["tables"]["daily"]
    days = [row[daily["columns"].index("day")] for row in daily["rows"]]
    assert days == [str(reports.FIRST_DAY + timedelta(days=number)) for number in range(reports.DAYS)]


def test_a_day_without_any_row_is_a_cell_without_data() -> None:
    holed = [row for row in map(reports.daily_row, range(reports.DAYS)) if row["bar_date"] != reports.day(5)]
    days = rows.calendar_days(reports.market(daily=holed))
    assert (days[5]["day"], days[5]["verdict"], days[5]["cover"]) == (str(reports.day(5)), "no data", "no bar")


@pytest.mark.parametrize(
    ("day", "week", "line"),
    [
        (date(2024, 1, 1), 0, "2024-0"),
        (date(2024, 1, 7), 0, "2024-6"),
        (date(2024, 1, 8), 1, "2024-0"),
        (date(2023, 1, 1), 0, "2023-6"),
        (date(2023, 1, 2), 1, "2023-0"),
        (date(2024, 12, 31), 52, "2024-1"),
    ],
)
def test_weeks_of_the_calendar_begin_on_monday(day: date, week: int, line: str) -> None:
    (cell,) = rows.calendar_days(reports.market(daily=[{**reports.daily_row(0), "bar_date": day}]))
    assert (cell["week"], cell["line"]) == (week, line)


def odd_days(page: str) -> list[str]:
    """The rows of the list of incomplete days, as a reader sees them."""
    (found,) = re.findall(r"<caption><span>[^<]*: days that are incomplete, contradicted.*?</table>", page, re.S)
    return [Text(row).text for row in re.findall(r"<tr>(.*?)</tr>", found.partition("<tbody>")[2], re.S)]


def test_days_that_are_incomplete_contradicted_or_not_used_as_published_are_listed_with_the_reason(
    full: ReportContent,
) -> None:
    assert odd_days(render(full)) == [
        f"{reports.day(300)} coverage 50.00% 50.00% klines klines only – single interval",
        f"{reports.day(250)} rows quarantined: {reports.SET_ASIDE} 100.00% klines klines only – single interval",
        f"{reports.day(200)} as published 100.00% klines conflict – single interval",
        f"{reports.day(100)} no bar – no bar klines only – single interval",
    ]


def test_every_such_day_is_listed_however_many_there_are() -> None:
    daily = [{**reports.daily_row(number), "coverage_ratio": 0.99} for number in range(40)]
    assert len(odd_days(render(reports.content(markets=[reports.market(daily=daily)])))) == 40


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({}, None),
        ({"coverage_ratio": 0.999999}, "coverage 99.99%"),
        ({"coverage_ratio": None}, "no bar"),
        ({"coverage_ratio": None, "flow_quality": None, "defect_reason": "refused"}, "no bar: refused"),
        ({"flow_quality": "replaced_source"}, "replaced source"),
        ({"defect_reason": "a file was refused"}, "not used: a file was refused"),
        (
            {"coverage_ratio": 0.5, "flow_quality": "trades_implausible", "defect_reason": "one side"},
            "coverage 50.00%; trades implausible: one side",
        ),
    ],
)
def test_a_day_is_noted_when_it_is_incomplete_or_not_used_as_published(changes: dict[str, Any], note: str) -> None:
    (cell,) = rows.calendar_days(reports.market(daily=[{**reports.daily_row(0), **changes}]))
    assert cell["note"] == note


def test_noted_days_are_lighter_and_signed_in_the_chart_of_net_volume() -> None:
    bars, _, noted, *_ = charts.net_volume()["layer"]
    assert bars["encoding"]["opacity"]["condition"]["test"] == "isValid(datum.note)"
    assert noted["mark"]["text"] == "!"
    assert "isValid(datum.note)" in json.dumps(noted["transform"])


def test_a_provisional_day_is_marked_in_chart_and_table() -> None:
    provisional = {**reports.daily_row(749), "flow_source": "rest_klines", "is_provisional": True}
    shown = reports.market(daily=[provisional])

    assert [cell["source"] for cell in rows.calendar_days(shown)] == ["rest klines (provisional)"]
    assert "rest klines (provisional)" in Text(render(reports.content(markets=[shown]))).text


def test_a_sum_over_venues_has_no_reconciliation_of_its_own() -> None:
    total = reports.market(facts={**reports.market().facts, "contract_type": "aggregate"})
    text = Text(render(reports.content(markets=[total]))).text

    assert "A sum over venues has no sources of its own" in text
    assert "Do trades and the venue's own bars agree?" not in text
    assert str(reports.day(300)) in odd_days(render(reports.content(markets=[total])))[0]


def test_a_claim_lists_the_definitions_under_which_it_holds(full: ReportContent) -> None:
    text = Text(render(full)).text
    assert "✓ True under 1 of 2 definitions: 4-hour bars, USD." in text
    assert "It is number 10 under daily_usd." in text


def test_a_claim_about_a_market_that_is_not_held_is_not_judged() -> None:
    text = Text(render(reports.content(claims=reports.claims("binance_um:BTCUSDT")))).text
    assert "Cannot be checked here: this publication does not hold binance_um:BTCUSDT." in text
    assert "1 claim about markets that this publication does not hold" in text
    assert "True under" not in text


def test_every_market_stands_in_one_table_and_what_is_not_known_of_it_is_a_dash(full: ReportContent) -> None:
    text = Text(render(full)).text
    assert "simulated:BTCUSDT (SIMULATED) 2026-06-30 −2,014.6 M −22.38% 100.00% 3 of 730, bearish UTC days, USD" in text
    assert "≥ 312.0 M –" in text
    assert "simulated:ETHUSDT (SIMULATED) 2026-06-30 −108.0 M −1.20% – – – –" in text
    one = Text(render(reports.content(screen=[reports.screened(reports.MARKET, 1, 3)]))).text
    assert "Every market at a glance" not in one


def test_of_many_markets_those_with_the_greatest_volume_have_a_section() -> None:
    volumes = {f"m{number:02}": number for number in range(30)}
    screen = [{"market_id": market, "volume_usd": volume or None} for market, volume in volumes.items()]
    assert largest(list(volumes), screen) == {f"m{number:02}" for number in range(10, 30)}
    assert largest(["a", "b"], []) == {"a", "b"}
    text = Text(render(reports.content(other_markets=80))).text
    assert "The 1 market with the greatest volume has a section below. The other 80 are in this table" in text
    assert "has a section" not in Text(render(reports.content())).text


def test_positions_of_the_last_days_leave_out_what_is_not_published_yet(full: ReportContent) -> None:
    text = Text(render(full)).text
    assert "2026-06-30 6,500.0 M −1.20% – – – 1.20 1.60" in text
    assert "2026-06-29 6,500.0 M −1.20% +0.0300% +10.95% +8.12% 1.20 1.60" in text


def test_the_context_of_an_event_states_bounds_and_coverage(full: ReportContent) -> None:
    assert "bearish 2026-05-02 00:00 1 −8.10% −0.0200% ≥ 312.0 M – 50.00%" in Text(render(full)).text


def test_the_most_one_sided_hours_of_the_week_are_named(full: ReportContent) -> None:
    assert "sold on Saturday, 18:00 UTC (−3.00% of the volume)" in Text(render(full)).text


def test_the_page_has_the_ranks_of_every_ranked_day(full: ReportContent) -> None:
    table = embedded(render(full), "markets")["m1"]["tables"]["ranks"]
    ranked = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    assert [(row["day"], row["definition"], row["event"]) for row in ranked] == [
        ("2026-06-29", "4h_usd", 2),
        ("2026-06-29", "daily_usd", 2),
        ("2026-06-30", "4h_usd", "not known yet"),
        ("2026-06-30", "daily_usd", "not known yet"),
    ]


def test_terms_are_explained_where_they_stand(full: ReportContent) -> None:
    page = Text(render(full))
    assert len([attributes for attributes in page.all("p") if attributes.get("class") == "gloss"]) >= 6
    assert "Rank : 1 is the most extreme bar of the trailing window" in page.text


def test_an_empty_table_is_a_sentence_and_not_an_empty_chart() -> None:
    bare = reports.market(
        positions=[],
        context=[],
        profile=[],
        ranks=[],
        events=[],
        study=[],
        returns=[],
        brief=None,
        daily=[
            {**reports.daily_row(number), "sell_dominance_percentile": None, "liquidations_coverage_ratio": None}
            for number in range(30)
        ],
    )
    page = render(reports.content(markets=[bare], claims=[], revisions=[], revision_count=0, definitions=[]))
    shown = Text(page)
    for sentence in (
        "so there is no headline",
        "No day of this market has a percentile yet",
        "There are no liquidations of simulated:BTCUSDT",
        "There is no open interest of simulated:BTCUSDT",
        "fct_spike_context is empty for this market",
        "fct_hour_of_week_profile is empty for this market",
        "there is no ranked event yet whose next days are known",
        "no claim is recorded in this publication",
        "No published rank has been revised",
    ):
        assert sentence in shown.text
    drawn = {attributes["data-chart"] for attributes in shown.all("div") if attributes.get("data-chart")}
    assert drawn == {"net", "price", "verdict", "cover"}


def test_liquidations_of_the_last_24_hours_state_how_much_was_received(full: ReportContent) -> None:
    text = Text(render(full)).text
    assert "all of binance_um, bybit and okx 2026-06-30 14:00 ≥ 484.0 M ≥ 300.0 M 4,321 7 50.00%" in text
    assert "bybit:ALL 2026-06-30 14:00 484.0 M 300.0 M 4,321 0 100.00%" in text
    assert "okx:ALL 2026-06-30 14:00 – – – – 0.00%" in text
    invented = [replace(row, market_id="simulated_all:ALL", venue_set="simulated") for row in full.liquidations[:1]]
    assert "SIMULATED · all of simulated 2026-" in Text(render(reports.content(liquidations=invented))).text
    some = [replace(row, subscribed_symbol_count=3) for row in full.liquidations[:1]]
    subscribed = Text(render(reports.content(liquidations=some))).text
    assert "all of binance_um, bybit and okx (3 subscribed symbols, not every symbol) 2026-06-30 14:00" in subscribed
    none = Text(render(reports.content(liquidations=[], liquidation_days=[]))).text
    assert "No venue's liquidation feed was received" in none
    no_sums = Text(render(reports.content(liquidation_days=[]))).text
    assert "No venue's feed was received as a whole" in no_sums
    assert "Liquidations per UTC day" not in no_sums


def test_a_check_that_warned_is_listed_first(full: ReportContent) -> None:
    text = Text(render(full)).text
    assert "Outcome gx_fct" not in text
    assert "Outcome fct_flow_reconciliation_daily ! warned fct_taker_spike_ranks ✓ passed" in text


def test_a_publication_without_markets_still_has_a_page() -> None:
    text = Text(render(reports.content(markets=[], claims=[], revisions=[]))).text
    assert "This publication holds no market." in text


def test_numbers_carry_their_definition_window_source_and_coverage(full: ReportContent) -> None:
    text = Text(render(full)).text
    assert "Net taker volume in USD: bought − sold ." in text
    assert "bars from klines on" in text
    assert "758 of 759 days are covered in full; the least is 50.00%" in text


def test_text_of_the_tables_cannot_become_markup() -> None:
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    page = render(
        reports.content(
            markets=[reports.market(brief={**reports.brief(), "headline": hostile})],
            claims=[{**row, "note": hostile, "verdict_sentence": hostile} for row in reports.claims()],
            revisions=[{**row, "source_keys": hostile} for row in reports.revisions()],
        )
    )
    assert "alert(1)</script>" not in page
    assert "<img" not in page


@pytest.mark.parametrize(
    "symbol",
    ["</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onmouseover='alert(1)", "<!--<script>",
     "javascript:alert(1)", "]]></style><svg onload=alert(1)>", "${alert(1)}{{7*7}}"],
)  # fmt: skip
def test_no_symbol_leaves_its_place_in_text_attributes_scripts_or_links(symbol: str) -> None:
    def shape(symbol: str) -> tuple[list[tuple[str, list[str]]], str]:
        hostile = f"bybit:{symbol}"
        market = reports.market(market_id=hostile, facts={"market_id": hostile, "base_asset": symbol})
        totals = [replace(reports.last_liquidations()[3], market_id=hostile)]
        page = render(
            reports.content(markets=[market], claims=reports.claims(hostile), liquidations=totals, definitions=[])
        )
        assert embedded(page, "markets")["m1"]["tables"]["daily"]["rows"]
        return [(tag[0], sorted(tag[1])) for tag in Text(page).tags], page

    tags, page = shape(symbol)
    assert tags == shape("BTCUSDT")[0]
    links = [value for _, given in Text(page).tags for name, value in given.items() if name in ("href", "src")]
    assert not any("javascript:" in (link or "") for link in links)


def test_a_symbol_of_a_venue_cannot_become_markup() -> None:
    hostile = "bybit:<script>alert('1')</script>"
    market = reports.market(market_id=hostile, facts={"market_id": hostile, "base_asset": "<b>"})
    totals = [replace(reports.last_liquidations()[3], market_id=hostile)]
    page = render(
        reports.content(markets=[market], claims=reports.claims(hostile), liquidations=totals, definitions=[])
    )
    assert "<script>alert" not in page
    assert "bybit:&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;" in page
    assert hostile in Text(page).text
    assert embedded(page, "markets")["m1"]["tables"]["daily"]["rows"]


def test_nothing_on_the_page_refers_to_another_host(full: ReportContent) -> None:
    page = render(full)
    links = [value for tag in Text(page).tags for name, value in tag[1].items() if name in ("href", "src") and value]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "default-src 'none'" in page


def test_every_table_has_a_caption_and_can_be_scrolled_with_the_keyboard(full: ReportContent) -> None:
    page = Text(render(full))
    regions = [attributes for attributes in page.all("div") if attributes.get("role") == "region"]
    assert len(regions) == len(page.all("table")) == len(page.all("caption"))
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in regions)


def test_ids_are_unique_and_links_lead_somewhere(full: ReportContent) -> None:
    two = [reports.market(), reports.market(market_id="simulated:BTCUSD_PERP")]
    page = Text(render(reports.content(markets=two)))
    ids = [str(attributes["id"]) for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [str(link["href"])[1:] for link in page.all("a")]
    assert set(targets) <= set(ids)


def test_a_preview_is_a_small_picture_for_each_mart_it_is_about(full: ReportContent) -> None:
    shown = previews(full)
    assert set(shown) == {
        "fct_net_taker_volume_daily",
        "fct_taker_dominance_daily",
        "fct_liquidations_daily",
        "fct_flow_reconciliation_daily",
        "fct_taker_spike_ranks",
        "agg_spike_event_study",
        "fct_claim_verdicts",
    }
    assert shown["fct_net_taker_volume_daily"].startswith("**SIMULATED · simulated:BTCUSDT**")
    assert "](data:image/png;base64,iVBOR" in shown["fct_net_taker_volume_daily"]
    assert max(map(len, shown.values())) < 120_000


def test_a_page_that_cannot_be_rendered_leaves_the_former_one(
    full: ReportContent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = report_path(tmp_path / "serving" / "marts.duckdb")
    size = write_report(full, page)
    assert page.stat().st_size == size
    monkeypatch.setattr("ingestion.raw.durable.os.replace", _broken)
    with pytest.raises(OSError, match="disk"):
        write_report(full, page)
    assert page.stat().st_size == size
    assert list(page.parent.iterdir()) == [page]


def _broken(*_: Any) -> None:
    raise OSError("disk")


def test_the_charts_library_is_bundled_once_and_again_when_its_file_is_torn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled: list[str] = []

    def bundle() -> str:
        bundled.append("/* vega */\n…")
        return bundled[-1]

    monkeypatch.undo()
    monkeypatch.setattr(charts, "_bundle", bundle)
    former = tmp_path / ".vega-1.0-1.0.0.js"
    former.write_text("of another version")
    assert charts.library(tmp_path) == charts.library(tmp_path) == bundled[0]
    assert len(bundled) == 1
    (kept,) = tmp_path.iterdir()
    assert kept != former
    kept.write_text(kept.read_text()[:-1])
    assert charts.library(tmp_path) == bundled[0]
    assert len(bundled) == 2


def test_before_anything_is_published_the_error_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(NothingPublished, match="taker demo"):
        command.show_report(tmp_path / "serving" / "marts.duckdb", tmp_path / "index.html")


def test_the_command_makes_the_page_when_another_publication_stands(
    full: ReportContent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marts, page = tmp_path / "marts.duckdb", tmp_path / "report" / "index.html"
    publish_run(marts, full.publication["run_id"])
    read: list[Marts] = []
    monkeypatch.setattr(command, "read_content", lambda marts: read.append(marts) or full)
    assert command.show_report(marts, page, browser=False) == (page, False)
    assert page.is_file()
    command.show_report(marts, page, browser=False)
    assert read == [marts]
    publish_run(marts, "another")
    command.show_report(marts, page, browser=False)
    assert read == [marts, marts]


def publish_run(marts: Path, run: str) -> None:
    with duckdb.connect(str(marts)) as connection:
        connection.execute("create or replace table publication as select ?::varchar as run_id", [run])


def test_without_a_browser_the_command_only_returns_the_path(
    full: ReportContent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marts, page = tmp_path / "marts.duckdb", tmp_path / "index.html"
    publish_run(marts, "run")
    urls: list[str] = []
    monkeypatch.setattr(command, "read_content", lambda marts: full)
    monkeypatch.setattr("webbrowser.open", lambda url: bool(urls.append(url)))
    assert command.show_report(marts, page) == (page, False)
    assert urls == [page.as_uri()]


@pytest.mark.parametrize(
    ("price", "shown"),
    [
        (Decimal("61234.5"), "61,234.50"),
        (Decimal("1.239"), "1.24"),
        (Decimal("0.5"), "0.5000"),
        (Decimal("0.00000001265"), "0.00000001265"),
        (Decimal(0), "0.00"),
        (None, "–"),
    ],
)
def test_a_price_of_a_cheap_coin_is_not_shown_as_nothing(price: Decimal | None, shown: str) -> None:
    assert texts.price(price) == shown


def test_every_verdict_of_a_day_has_a_colour_and_all_but_agreement_a_sign_of_its_own() -> None:
    assert set(VERDICTS) <= set(charts.VERDICTS)
    signs = [sign for _, sign in charts.VERDICTS.values() if sign]
    assert len(signs) == len(set(signs))


def test_a_day_of_implausible_trades_is_among_the_listed_ones() -> None:
    content = reports.content()
    (market, *rest) = content.markets
    daily = [*market.daily[:-1], {**market.daily[-1], "verdict": "trades_implausible"}]
    page = render(replace(content, markets=(replace(market, daily=daily), *rest)))
    assert odd_days(page)[0].startswith("2026-06-30 ")
    assert "trades implausible" in odd_days(page)[0]
