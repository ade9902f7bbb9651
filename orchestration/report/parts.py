"""The small parts that the page is put together from: tables, figures, keys, and numbers as text.

Belongs here: HTML of one thing, escaping, number formats. Does not: which things are shown (`market`, `overall`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from html import escape
from typing import Any, Final

from orchestration.report.content import MarketContent, ReportContent, Row

NONE: Final = "–"


class Html(str):
    """A cell that is HTML already."""


def section(name: str, title: str, body: str) -> str:
    return f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{title}</h2>{body}</section>'


def empty(sentence: str) -> str:
    return f'<p class="empty">{sentence}</p>'


def figure(key: str, chart: str, said: str, caption: str) -> str:
    return (
        f'<figure><div class="chart" role="img" aria-label="{escape(said)}" data-market="{key}" '
        f'data-chart="{chart}"></div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def keys(entries: Sequence[tuple[str, str, str]], *, cells: bool = False) -> str:
    """What colours and signs mean: (colour or none, sign or none, words). `cells`: the sign stands on the colour."""
    return f'<ul class="keys">{"".join(_key(*entry, cells=cells) for entry in entries)}</ul>'


def _key(colour: str, sign: str, words: str, *, cells: bool) -> str:
    kind = "square" if cells or not sign else "drawn"
    style = f' style="--mark:{colour}"' if colour else ""
    return f'<li><span class="sign {kind}"{style} aria-hidden="true">{sign}</span>{escape(words)}</li>'


def table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    definitions: Sequence[str] | None = None,
    none: str = "",
    tall: bool = False,
) -> str:
    """A table that scrolls by itself. A column named # holds numbers; `definitions` are one per row, to filter by."""
    numeric = [name.startswith("#") for name in columns]
    head = "".join(
        f'<th scope="col"{" class=n" if is_number else ""}>{escape(name.removeprefix("#"))}</th>'
        for name, is_number in zip(columns, numeric, strict=True)
    )
    names = definitions or [""] * len(rows)
    body = "".join(
        (f'<tr data-definition="{escape(name)}">' if definitions is not None else "<tr>")
        + "".join(_cell(cell, is_number) for cell, is_number in zip(row, numeric, strict=True))
        + "</tr>"
        for name, row in zip(names, rows, strict=True)
    )
    if definitions is not None:
        body += f'<tr class="none"{" hidden" if rows else ""}><td colspan="{len(columns)}">{escape(none)}</td></tr>'
    return (
        f'<div class="scroll{" tall" if tall else ""}" role="region" tabindex="0" aria-label="{escape(caption)}">'
        f"<table><caption><span>{escape(caption)}</span></caption><thead><tr>{head}</tr></thead>"
        f"<tbody{' data-filtered' if definitions is not None else ''}>{body}</tbody></table></div>"
    )


def in_words(title: str, sentences: Sequence[tuple[str, str]], *, filtered: bool = False, opened: bool = False) -> str:
    """Sentences too long for a table, one per (definition, sentence), below a title to unfold them."""
    items = "".join(
        (f'<li data-definition="{escape(name)}">' if filtered else "<li>")
        + f"<code>{escape(name)}</code>: {escape(text)}</li>"
        for name, text in sentences
    )
    opening = "<ul class=words data-filtered>" if filtered else "<ul class=words>"
    return f"<details{' open' if opened else ''}><summary>{escape(title)}</summary>{opening}{items}</ul></details>"


def _cell(cell: Any, is_number: bool) -> str:
    kind = " class=n" if is_number else ""
    return f"<td{kind}>{cell if isinstance(cell, Html) else escape(str(cell))}</td>"


def proof(
    content: ReportContent, columns: Sequence[tuple[str, str]], *, window: str, source: str, coverage: str
) -> str:
    """Definition (the tables' own words), window, source and coverage of the numbers above."""
    words = "".join(
        f"<div><code>{escape(column)}</code>: {marked(content.tables[table].columns[column])}</div>"
        for table, column in columns
        if table in content.tables and content.tables[table].columns.get(column)
    )
    return (
        "<details><summary>Definition, window, source, coverage</summary>"
        f'<dl class="proof"><dt>Definition</dt><dd>{words or "Not described."}</dd><dt>Window</dt><dd>{window}</dd>'
        f"<dt>Source</dt><dd>{source}</dd><dt>Coverage</dt><dd>{coverage}</dd></dl></details>"
    )


def marked(comment: str) -> str:
    """A comment of the database as HTML: `code` and **bold** are all that it uses."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(comment))
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)


def counted(values: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return dict(sorted(counts.items()))


def span(publication: Row) -> str:
    return between(publication["first_day"], publication["last_day"])


def between(first: Any, last: Any) -> str:
    return str(first) if first == last else f"{first} to {last}"


def day_count(count: int) -> str:
    return f"{count:,} day{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""


def code(text: Any) -> Html:
    return Html(f"<code>{escape(str(text))}</code>")


def words(name: Any) -> str:
    return NONE if name is None else str(name).replace("_", " ")


def source(row: Row) -> str:
    """Where a day's bar comes from, and whether the archive has yet to confirm it."""
    if row.get("flow_source") is None:
        return "no bar"
    return words(row["flow_source"]) + (" (provisional)" if row.get("is_provisional") else "")


def instant(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M}"


def _minus(text: str) -> str:
    return text.replace("-", "−")


def usd(value: Decimal | float | None) -> str:
    return NONE if value is None else _minus(f"{float(value) / 1e6:,.1f} M")


def price(value: Decimal | float | None) -> str:
    return NONE if value is None else f"{float(value):,.{price_digits(value)}f}"


def price_digits(value: Decimal | float) -> int:
    """Decimals that show a price: two, and of prices below 1 as many as four digits that say something take."""
    size = abs(float(value))
    return 2 if size == 0 or size >= 1 else 3 - math.floor(math.log10(size))


def number(value: Decimal | float | None, digits: int) -> str:
    return NONE if value is None else _minus(f"{float(value):,.{digits}f}")


def whole(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def share(value: float | None, digits: int = 2) -> str:
    return NONE if value is None else f"{float(value):.{digits}%}"


def change(value: float | None, digits: int = 2) -> str:
    return NONE if value is None else _minus(f"{float(value):+.{digits}%}")


def value(value: Decimal | None, unit: str, market: MarketContent | None) -> str:
    """A ranked value in the unit of its definition."""
    if value is None:
        return NONE
    if unit == "usd":
        return f"{usd(value)} USD"
    if unit == "base":
        asset = f" {market.facts['base_asset']}" if market else ""
        return f"{number(value, 0)}{asset}"
    return number(value, 4)


def toned(value: Decimal | None, text: str) -> Html:
    """A signed amount; the sign says what the colour says."""
    return Html(
        escape(text) if value is None else f'<span class="{"sell" if value < 0 else "buy"}">{escape(text)}</span>'
    )


def market_name(market: MarketContent) -> str:
    tag = ' <span class="tag">SIMULATED</span>' if market.is_simulated else ""
    return f"{escape(market.market_id)}{tag}"
