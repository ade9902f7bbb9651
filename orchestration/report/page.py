"""The page: content in, one HTML document out, the same bytes for the same content.

Belongs here: the view model of the whole page, and its rendering by `templates/page.html.j2`. Does not: the sections
(`market`, `overall`), queries (`content`), charts (`charts`).

The page makes no network request: scripts, styles and rows are embedded, and its security policy forbids the rest.
Templates escape every text; only the embedded scripts, styles and JSON are marked as safe.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestration.report import charts, overall, rows, texts
from orchestration.report.content import MarketContent, ReportContent
from orchestration.report.elements import Defined, Table
from orchestration.report.gloss import glossed
from orchestration.report.market import MarketView, market_view
from orchestration.report.screen import ScreenView, screen_view

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

PERIODS: Final = {"90": "90 days", "365": "one year", "730": "two years", "100000": "all days"}
_DEFAULT_DAYS: Final = "730"


@dataclass(frozen=True)
class Choice:
    """One option of a control."""

    value: str
    text: str
    is_chosen: bool


@dataclass(frozen=True)
class PageView:
    """Everything on the page. `specs` and `rows` are JSON; `simulated` names the simulated markets."""

    title: str
    span: str
    published_at: str
    short_run_id: str
    simulated: tuple[str, ...]
    simulated_names: str
    periods: tuple[Choice, ...]
    definition_choices: tuple[Choice, ...]
    markets: tuple[MarketView, ...]
    screen: ScreenView | None
    day_choices: tuple[Choice, ...]
    day_gloss: tuple[Defined, ...]
    liquidations: overall.AllLiquidationsView | None
    claims: overall.ClaimsView
    revisions: Table | None
    definitions: overall.DefinitionsView | None
    publication: overall.PublicationView
    specs: str
    rows: str
    definition_names: str
    style: str
    script: str
    library: str


def render(content: ReportContent, library_kept_in: Path | None = None) -> str:
    """The whole page. `library_kept_in`: the folder that keeps the charts' library from one page to the next."""
    page = page_view(content, charts.library(library_kept_in))
    return _templates().get_template("page.html.j2").render(page=page) + "\n"


def page_view(content: ReportContent, library: str) -> PageView:
    markets = {f"m{number}": held for number, held in enumerate(content.markets, 1)}
    simulated = tuple(held.market_id for held in content.markets if held.is_simulated)
    span = texts.span(content.publication)
    return PageView(
        title=f"{'SIMULATED · ' if content.is_simulated else ''}Taker report, {span}",
        span=span,
        published_at=texts.instant(content.publication["published_at"]),
        short_run_id=str(content.publication["run_id"])[:8],
        simulated=simulated,
        simulated_names=texts.listed(simulated),
        periods=_choices(PERIODS, _DEFAULT_DAYS),
        definition_choices=_choices(content.definition_names, content.first_definition),
        markets=tuple(market_view(key, held, content) for key, held in markets.items()),
        screen=screen_view(content),
        day_choices=_choices({key: held.market_id for key, held in markets.items()}, "m1"),
        day_gloss=glossed("Sell ratio", "Sell percentile", "Rank", "Event", "Coverage"),
        liquidations=overall.liquidations_view(content),
        claims=overall.claims_view(content),
        revisions=overall.revisions_view(content),
        definitions=overall.definitions_view(content),
        publication=overall.publication_view(content),
        specs=_json(rows.specs(markets)),
        rows=_json(_chart_rows(markets)),
        definition_names=_json(content.definition_names),
        style=_asset("page.css"),
        script=_asset("page.js"),
        library=library,
    )


def _chart_rows(markets: Mapping[str, MarketContent]) -> dict[str, Any]:
    return {key: {"name": held.market_id, **rows.tables(held)} for key, held in markets.items()}


def _choices(options: Mapping[str, str], chosen: str) -> tuple[Choice, ...]:
    return tuple(Choice(value, text, value == chosen) for value, text in options.items())


def _asset(name: str) -> str:
    return files("orchestration.report").joinpath(name).read_text(encoding="utf-8")


def _json(value: Any) -> str:
    # `<` written out: no text from a table may end the element it is in.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("orchestration.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["comment"] = _comment
    return templates


def _comment(text: str) -> Markup:
    """A comment of the database as HTML: `code` and **bold** are all the markup that comments use."""
    from markupsafe import Markup, escape

    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", marked))
