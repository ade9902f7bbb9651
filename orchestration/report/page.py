"""The page: content in, one HTML document out, the same bytes for the same content.

Belongs here: what stands where. Does not: the sections (`market`, `overall`), queries (`content`), charts (`charts`).

Nothing in it asks another host for anything: scripts, styles and rows are inside, and its policy forbids the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any, Final

from orchestration.report import charts, market, overall, parts, rows
from orchestration.report.content import MarketContent, ReportContent

PERIODS: Final = {"90": "90 days", "365": "one year", "730": "two years", "100000": "all days"}
_DEFAULT_DAYS: Final = "730"
_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


def render(content: ReportContent) -> str:
    """The whole page."""
    title = f"{'SIMULATED · ' if content.is_simulated else ''}Taker report, {parts.span(content.publication)}"
    markets = {f"m{number}": held for number, held in enumerate(content.markets, 1)}
    pieces = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        '<link rel="icon" href="data:,">',
        f"<style>{_asset('page.css')}</style></head><body>",
        '<a class="skip" href="#content">Skip to the numbers</a>',
        _header(content),
        _navigation(content, markets),
        '<main id="content" tabindex="-1">',
        *(market.section(key, held, content) for key, held in markets.items()),
        "" if markets else parts.empty("This publication holds no market."),
        overall.liquidations(content),
        overall.claims(content),
        overall.revisions(content),
        overall.definitions(content),
        overall.publication(content),
        "</main>",
        '<footer class="page"><p>The charts are drawn by Vega, inside this page. It asks no other host for '
        "anything. Nothing here is investment advice.</p></footer>",
        _data("specs", rows.specs(markets)),
        _data("markets", {key: rows.tables(held) for key, held in markets.items()}),
        f"<script>{charts.library()}</script>",
        f"<script>{_asset('page.js')}</script>",
        "</body></html>\n",
    ]
    return "\n".join(piece for piece in pieces if piece)


def _header(content: ReportContent) -> str:
    publication = content.publication
    simulated = [held.market_id for held in content.markets if held.is_simulated]
    banner = (
        f'<p class="simulated" role="note">SIMULATED: {escape(parts.listed(simulated))} '
        f"{'is an invented market' if len(simulated) == 1 else 'are invented markets'} of a simulated exchange. "
        "These numbers say nothing about a real one.</p>"
        if simulated
        else ""
    )
    return (
        '<header class="page">'
        f"<h1>{'SIMULATED: ' if simulated else ''}Who was the aggressor, and how unusual was "
        f"that?</h1>{banner}<p>Net taker volume in crypto futures: what takers bought minus what they sold. Every "
        "number has its definition, its window, its source and its coverage beside it; all come from audited "
        "tables.</p>"
        f'<p class="quiet">Days {parts.span(publication)} (UTC) · published '
        f"{parts.instant(publication['published_at'])} UTC · run "
        f"<code>{escape(str(publication['run_id'])[:8])}</code></p></header>"
    )


def _navigation(content: ReportContent, markets: Mapping[str, MarketContent]) -> str:
    links = [(key, parts.market_name(held)) for key, held in markets.items()]
    links += [
        ("liquidations", "Liquidations"),
        ("claims", "Claims"),
        ("revisions", "Revisions"),
        ("definitions", "Definitions"),
        ("publication", "Audit"),
    ]
    items = "".join(f'<li><a href="#{target}">{text}</a></li>' for target, text in links)
    names = [row["definition_id"] for row in content.definitions]
    return (
        '<nav class="bar" aria-label="Sections and what the charts show"><div>'
        f"<ul>{items}</ul>"
        '<div class="controls">'
        f"<label>Period {_select('days', PERIODS, _DEFAULT_DAYS)}</label><label>Spikes by "
        f"{_select('definition', {name: name for name in names}, content.first_definition)}</label></div></div></nav>"
    )


def _select(name: str, options: Mapping[str, str], chosen: str) -> str:
    items = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(text)}</option>'
        for value, text in options.items()
    )
    return f'<select id="{name}" autocomplete="off">{items}</select>'


def _asset(name: str) -> str:
    return files("orchestration.report").joinpath(name).read_text(encoding="utf-8")


def _data(name: str, value: Any) -> str:
    # `<` written out: no text from a table may end the element it is in.
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'
