"""The sections about all markets: claims, revisions, definitions, and where the numbers come from.

Belongs here: what is shown of them, in which words. Does not: markup (`parts`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from html import escape
from itertools import groupby
from typing import Final

from ingestion.domain.markets import is_simulated
from orchestration.report import parts
from orchestration.report.content import Described, ReportContent, Row
from orchestration.serving.liquidations import of_symbols

_ALL: Final = ("all:ALL", "simulated_all:ALL")


def liquidations(content: ReportContent) -> str:
    """The last 24 hours, and the days before, over whole venues. What nobody heard is not known, and no zero."""
    if not content.liquidations and not content.liquidation_days:
        return parts.section(
            "liquidations",
            "Liquidations, all markets",
            parts.empty(
                "No venue's liquidation feed was listened to, so that there are no totals over markets. "
                "<code>taker collect</code> listens."
            ),
        )
    columns = ["#Longs, USD", "#Shorts, USD", "#Orders", "#Without a value", "#Heard"]
    now = parts.table(
        "Liquidations of the last 24 hours",
        ["Where", "Until (UTC)", *columns],
        [
            [
                _where(row.market_id, row.venue_set, row.subscribed_symbol_count),
                parts.instant(row.as_of_at),
                *(_bound(usd, row.is_lower_bound) for usd in (row.long_usd, row.short_usd)),
                parts.whole(row.order_count),
                parts.whole(row.unvalued_order_count),
                parts.share(row.coverage_ratio),
            ]
            for row in content.liquidations
        ],
    )
    days = parts.table(
        "Liquidations per UTC day, newest first",
        ["Where", "UTC day", *columns],
        [
            [
                _where(row["market_id"], row["venue_set"], row.get("subscribed_symbol_count")),
                str(row["trade_date"]),
                *(_bound(row[name], row["is_lower_bound"]) for name in ("long_usd", "short_usd")),
                parts.whole(row["order_count"]),
                parts.whole(row["unvalued_order_count"]),
                parts.share(row["coverage_ratio"]),
            ]
            for row in content.liquidation_days
        ],
        tall=len(content.liquidation_days) > 12,
    )
    proof = parts.proof(
        content,
        [
            ("fct_liquidations_rolling_24h", name)
            for name in ("long_usd", "short_usd", "unvalued_order_count", "coverage_ratio", "is_lower_bound")
        ],
        window="The 24 hours before the hour named; UTC days.",
        source="<code>fct_liquidations_rolling_24h</code>, <code>fct_liquidations_daily</code>: the venues' feeds, and "
        "their archives where they have the day.",
        coverage="In each row: the share of the time in which a connection was up and answering. A day that is not "
        "over is not covered yet. ≥ marks a lower bound. Where symbols are counted, a venue that must be told each one "
        "was heard for so many only, and the total is of these.",
    )
    if not content.liquidation_days:
        days = parts.empty(
            "No venue's feed was listened to as a whole, so that there are no days of a venue or of all of them; the "
            "days of each market are in its own section."
        )
    return parts.section("liquidations", "Liquidations, all markets", now + days + proof)


def _where(market_id: str, venue_set: str, symbols: int | None) -> str:
    """Invented numbers are never told without that word, nor those of some symbols without how many they are."""
    label = "SIMULATED · " if is_simulated(market_id) else ""
    where = f"all of {parts.listed(venue_set.split(','))}" if market_id in _ALL else market_id
    return f"{label}{where}{of_symbols(symbols)}"


def _bound(usd: Decimal | None, is_lower_bound: bool) -> str:
    return parts.NONE if usd is None else f"{'≥ ' if is_lower_bound else ''}{parts.usd(usd)}"


def claims(content: ReportContent) -> str:
    body = "".join(_claim(list(rows), content) for _, rows in groupby(content.claims, key=lambda row: row["claim_id"]))
    return parts.section(
        "claims",
        "Claims, checked",
        (
            body
            + parts.proof(
                content,
                [
                    ("fct_claim_verdicts", name)
                    for name in ("as_of_at", "bar_at", "actual_rank", "actual_event_rank", "holds")
                ],
                window="The claim's own window, ending when the claim was made.",
                source="<code>fct_claim_verdicts</code>, from the seed <code>claims.csv</code> and the published "
                "ranks.",
                coverage="In each row. Where too little is covered the verdict is “cannot tell”.",
            )
            if body
            else parts.empty("<code>fct_claim_verdicts</code> is empty: no claim is recorded in this publication.")
        ),
    )


def _claim(rows: Sequence[Row], content: ReportContent) -> str:
    claim = rows[0]
    held = {market.market_id for market in content.markets}
    units = {row["definition_id"]: row["unit"] for row in content.definitions}
    market = next((market for market in content.markets if market.market_id == claim["market_id"]), None)
    days = parts.between(claim["event_from"], claim["event_to"])
    true = [row["definition_id"] for row in rows if row["holds"]]
    false = [row["definition_id"] for row in rows if row["holds"] is False]
    if claim["market_id"] not in held:
        verdict = f"Cannot be checked here: this publication does not hold {claim['market_id']}."
    elif true:
        verdict = f"✓ Holds under {parts.listed(true)}" + (f"; ✗ not under {parts.listed(false)}." if false else ".")
    elif false:
        verdict = f"✗ Holds under no definition that can tell ({parts.listed(false)})."
    else:
        verdict = "? The data cannot tell: too little of the window is covered."
    table = parts.table(
        f"{claim['claim_id']}: verdict under each definition",
        [
            "Definition",
            "Holds",
            "Bar found (UTC)",
            "#Value",
            "#Rank by bars",
            "#Rank by events",
            "#of bars",
            "#Coverage",
        ],
        [
            [
                parts.code(row["definition_id"]),
                {True: "✓ yes", False: "✗ no", None: "? cannot tell"}[row["holds"]]
                + (f" (by {row['holds_by']})" if row["holds_by"] else ""),
                parts.instant(row["bar_at"]) if row["bar_at"] else parts.NONE,
                parts.value(row["value"], units.get(row["definition_id"], "usd"), market),
                parts.whole(row["actual_rank"]),
                parts.whole(row["actual_event_rank"]),
                parts.whole(row["window_bars"]),
                parts.share(row["coverage_ratio"]),
            ]
            for row in rows
        ],
    )
    words = parts.in_words(
        "The same in words, with the larger events",
        [
            (
                str(row["definition_id"]),
                row["verdict_sentence"] + (f" Larger events: {row['larger_events']}." if row["larger_events"] else ""),
            )
            for row in rows
        ],
        opened=True,
    )
    name = escape(str(claim["claim_id"]))
    return (
        f'<section aria-labelledby="claim-{name}"><h3 '
        f'id="claim-{name}">{escape(str(claim["note"] or claim["claim_id"]))}</h3><p '
        f'class="quiet">{escape(str(claim["source"]))}'
        f"{', published ' + str(claim['published_on']) if claim['published_on'] else ''} · claims rank "
        f"{claim['claimed_rank']}, {claim['side']}, of {escape(claim['market_id'])} on {days} within "
        f"{claim['window_days']} days</p>"
        f'<p class="headline">{escape(verdict)}</p>' + (table + words if market else "") + "</section>"
    )


def revisions(content: ReportContent) -> str:
    rows = content.revisions
    if not rows:
        body = parts.empty(
            "No published rank has been revised: <code>fct_spike_rank_revisions</code> is empty. It grows when a "
            "corrected file changes what an earlier publication said."
        )
    else:
        units = {row["definition_id"]: row["unit"] for row in content.definitions}
        markets = {market.market_id: market for market in content.markets}
        body = parts.table(
            f"The {len(rows)} newest of {content.revision_count:,} revisions",
            [
                "Published (UTC)",
                "Market",
                "Definition",
                "Side",
                "Bar (UTC)",
                "#Value before",
                "#after",
                "#Rank before",
                "#after",
                "#Event rank before",
                "#after",
                "Cause",
                "Corrected files",
            ],
            [
                [
                    parts.instant(row["published_at"]),
                    row["market_id"],
                    parts.code(row["definition_id"]),
                    row["side"],
                    parts.instant(row["bar_at"]),
                    *(
                        parts.value(
                            row[f"{age}_value"],
                            units.get(row["definition_id"], "usd"),
                            markets.get(row["market_id"]),
                        )
                        for age in ("old", "new")
                    ),
                    *(parts.whole(row[f"{age}_rank"]) for age in ("old", "new")),
                    *(parts.whole(row[f"{age}_event_rank"]) for age in ("old", "new")),
                    parts.words(row["cause"]),
                    row["source_keys"] or parts.NONE,
                ]
                for row in rows
            ],
            tall=True,
        )
    return parts.section("revisions", "What earlier publications said", body)


def definitions(content: ReportContent) -> str:
    if not content.definitions:
        return parts.section("definitions", "Definitions", parts.empty("<code>dim_spike_definitions</code> is empty."))
    units = {"usd": "net taker volume in USD", "base": "net taker volume in base", "sell_ratio": "taker sell ratio"}
    table = parts.table(
        "Spike definitions of this publication",
        ["Definition", "Grain", "#Smoothing, bars", "Unit", "#Window, days", "#Events apart, hours", "Markets"],
        [
            [
                parts.code(row["definition_id"]),
                row["grain"],
                parts.whole(row["smoothing_bars"]),
                units.get(row["unit"], row["unit"]),
                parts.whole(row["window_days"]),
                parts.whole(row["decluster_hours"]),
                f"of {row['venue']}" if row.get("venue") else "every one",
            ]
            for row in content.definitions
        ],
    )
    shown = [name for name in content.tables if name.startswith(("dim_", "fct_", "agg_", "rpt_", "publication"))]
    words = "".join(_described(name, content.tables[name]) for name in shown)
    described = content.tables.get("dim_spike_definitions")
    return parts.section(
        "definitions",
        "How each number is defined",
        (f"<p>{parts.marked(described.comment)}</p>" if described else "")
        + table
        + "<h3>Every table and column, in its own words</h3>"
        + words,
    )


def _described(name: str, table: Described) -> str:
    columns = "".join(
        f"<dt><code>{escape(column)}</code></dt><dd>{parts.marked(comment)}</dd>"
        for column, comment in table.columns.items()
    )
    return (
        f"<details><summary><code>{escape(name)}</code></summary><p>{parts.marked(table.comment)}</p>"
        f'<dl class="proof">{columns}</dl></details>'
    )


def publication(content: ReportContent) -> str:
    audit = content.publication["audit"]
    signs = {"passed": "✓ passed", "warned": "! warned", "failed": "✗ failed"}
    table = parts.table(
        f"{len(audit)} audit checks of this publication",
        ["Check", "Outcome"],
        [[parts.code(name), signs.get(outcome, outcome)] for name, outcome in audit.items()],
        tall=len(audit) > 12,
    )
    settings = "".join(
        f"<dt>{escape(name)}</dt><dd><code>{escape(json.dumps(value))}</code></dd>"
        for name, value in content.publication["settings"].items()
    )
    return parts.section(
        "publication",
        "Where these numbers come from",
        f"<p>Published {parts.instant(content.publication['published_at'])} UTC by run "
        f"<code>{escape(str(content.publication['run_id']))}</code>, from venue files whose checksums were "
        "verified, by models whose tests passed. A critical finding of an audit would have kept this "
        f'page from being made; a warning is told here.</p><dl class="proof">{settings}</dl>{table}',
    )
