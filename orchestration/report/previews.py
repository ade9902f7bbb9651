"""Charts of the page as small pictures, for the assets that they are about.

Belongs here: chart and rows → PNG, and which chart belongs to which mart. Does not: Dagster
(`orchestration.defs.report`).
"""

from __future__ import annotations

import base64
import copy
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from orchestration.report import charts, rows
from orchestration.report.content import MarketContent, ReportContent, Row

# Every preview is kept with its event: the first markets are enough to see that a number looks as it should.
_MARKETS: Final = 2
_WIDTH: Final = 720
_DAYS: Final = 730
_INK: Final = "#333333"


def previews(content: ReportContent) -> dict[str, str]:
    """Markdown by mart, a picture or a table for each market. Marts without anything to show are left out."""
    shown: dict[str, list[str]] = {}
    for market in content.markets[:_MARKETS]:
        for mart, markdown in _of_market(market, content.first_definition).items():
            shown.setdefault(mart, []).append(f"**{market_title(market)}**\n\n{markdown}")
    found = {mart: "\n\n".join(pictures) for mart, pictures in shown.items()}
    if content.claims:
        found["fct_claim_verdicts"] = _claims(content.claims)
    return found


def load_charts(page_folder: Path) -> None:
    """Make what the first charts of a process wait for: their specifications, and the library that draws them.

    `page_folder`: where the page will be, and keeps the script of its charts; nothing is made there.
    """
    import vl_convert

    charts.make_all()
    charts.library(page_folder if page_folder.is_dir() else None)
    vl_convert.vegalite_to_svg(charts.net_volume(), vl_version=charts.library_version())


def market_title(market: MarketContent) -> str:
    return f"SIMULATED · {market.market_id}" if market.is_simulated else market.market_id


def _of_market(market: MarketContent, definition: str) -> dict[str, str]:
    held = rows.tables(market)
    shown: dict[str, tuple[str, charts.Spec]] = {}
    if any(row["net_taker_usd"] is not None for row in market.daily):
        shown["fct_net_taker_volume_daily"] = ("Net taker volume per day, USD", charts.net_volume())
    if any(row["sell_dominance_percentile"] is not None for row in market.daily):
        shown["fct_taker_dominance_daily"] = ("Sell dominance percentile", charts.dominance())
    if any(row["long_usd"] is not None for row in market.daily):
        shown["fct_liquidations_daily"] = ("Liquidated shorts (up) and longs (down), USD", charts.liquidations())
    if market.daily:
        shown["fct_flow_reconciliation_daily"] = (
            "Reconciliation, one cell per day",
            charts.calendar("verdict", rows.years_of(market)),
        )
    if market.returns:
        shown["agg_spike_event_study"] = ("Returns after bearish events, long", charts.event_study("bearish"))
    found = {mart: _picture(title, spec, held, definition) for mart, (title, spec) in shown.items()}
    if market.latest is not None and market.latest.ranks:
        found["fct_taker_spike_ranks"] = _ranks(market)
    return found


def _picture(title: str, spec: charts.Spec, held: dict[str, Any], definition: str) -> str:
    image = base64.b64encode(png(spec, held, definition)).decode()
    return f"{title}\n\n![{title}](data:image/png;base64,{image})"


def png(spec: charts.Spec, held: dict[str, Any], definition: str, *, width: int = _WIDTH) -> bytes:
    """A chart as a picture on white, as the page first shows it. `held` is what `rows.tables` gives."""
    import vl_convert

    drawn = copy.deepcopy(spec)
    last = rows.milliseconds(held["last"])
    for parameter in drawn.get("params", []):
        parameter["value"] = {"days": _DAYS, "definition": definition, "last": last}[parameter["name"]]
    drawn |= {"width": width, "background": "white"}
    drawn["datasets"] = drawn.get("datasets", {}) | {
        name: [_timed(dict(zip(table["columns"], row, strict=True))) for row in table["rows"]]
        for name, table in held["tables"].items()
    }
    # There is no style sheet here that sets the current colour.
    text = json.dumps(drawn).replace("currentColor", _INK)
    return _deflated(vl_convert.vegalite_to_png(text, vl_version=charts.library_version()))


def _deflated(picture: bytes) -> bytes:
    """The same PNG at a fifth of its size: the renderer hardly compresses, and each build keeps its previews."""
    head, pixels, at = picture[:8], b"", 8
    while at < len(picture):
        size = int.from_bytes(picture[at : at + 4], "big")
        kind, body = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + size]
        if kind == b"IDAT":
            pixels += body
        elif kind == b"IEND":
            head += _chunk(b"IDAT", zlib.compress(zlib.decompress(pixels), 9)) + _chunk(kind, body)
        else:
            head += _chunk(kind, body)
        at += size + 12
    return head


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def _timed(row: Row) -> Row:
    """With the instant that the page's script adds: midnight of a day, noon of an event's day."""
    if "day" not in row:
        return row
    noon = charts.DAY_MS // 2 if "event_rank" in row else 0
    return {**row, "t": rows.milliseconds(row["day"]) + noon}


def _ranks(market: MarketContent) -> str:
    day = market.latest
    assert day is not None
    lines = ["| definition | side | bar (UTC) | rank | of bars |", "|---|---|---|---|---|"]
    lines += [
        f"| {rank.definition_id} | {rank.side} | {rank.bar_at:%Y-%m-%d %H:%M} | {rank.rank or 'none'} "
        f"| {rank.window_bars} |"
        for rank in day.ranks
    ]
    return "\n".join(lines)


def _claims(verdicts: Sequence[Row]) -> str:
    words = {True: "yes", False: "no", None: "cannot tell"}
    lines = ["| claim | definition | holds | rank by bars | by events |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['claim_id']} | {row['definition_id']} | {words[row['holds']]} | {row['actual_rank'] or ''} "
        f"| {row['actual_event_rank'] or ''} |"
        for row in verdicts
    ]
    return "\n".join(lines)
