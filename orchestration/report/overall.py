"""The sections about all markets: liquidations, claims, revisions, definitions, and where the numbers come from.

Belongs here: what is shown of them, as values and texts. Does not: markup (`templates`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Final

from ingestion.domain.markets import SUMS_OF_VENUES
from ingestion.venues import is_simulated
from orchestration.report import texts
from orchestration.report.content import ReportContent, Row
from orchestration.report.elements import Defined, Table, code, column_comments, table
from orchestration.serving.liquidations import each_once, of_symbols

_SHOWN_TABLES: Final = ("dim_", "fct_", "agg_", "rpt_", "publication")
_UNITS: Final = {"usd": "net taker volume in USD", "base": "net taker volume in base", "sell_ratio": "taker sell ratio"}
_OUTCOMES: Final = {"passed": "✓ passed", "warned": "! warned", "failed": "✗ failed"}


@dataclass(frozen=True)
class AllLiquidationsView:
    """`days` is None where no venue was received as a whole."""

    last_24_hours: Table
    days: Table | None
    definitions: tuple[Defined, ...]


@dataclass(frozen=True)
class ClaimView:
    """`verdicts` and `sentences` are empty for a claim about a market that this publication does not hold."""

    name: str
    title: str
    about: str
    verdict: str
    verdicts: Table | None
    sentences: tuple[Defined, ...]


@dataclass(frozen=True)
class ClaimsView:
    claims: tuple[ClaimView, ...]
    definitions: tuple[Defined, ...]


@dataclass(frozen=True)
class TableComments:
    name: str
    comment: str
    columns: tuple[Defined, ...]


@dataclass(frozen=True)
class DefinitionsView:
    """`comment`: of the table of definitions, None where the database has none."""

    comment: str | None
    definitions: Table
    tables: tuple[TableComments, ...]


@dataclass(frozen=True)
class PublicationView:
    published_at: str
    run_id: str
    settings: tuple[Defined, ...]
    checks: Table


def liquidations_view(content: ReportContent) -> AllLiquidationsView | None:
    """The last 24 hours, and the days before, over whole venues. What was not received is unknown, not zero."""
    if not content.liquidations and not content.liquidation_days:
        return None
    columns = ["#Longs, USD", "#Shorts, USD", "#Orders", "#Without a value", "#Received"]
    described = ("long_usd", "short_usd", "unvalued_order_count", "coverage_ratio", "is_lower_bound")
    days = table(
        "Liquidations per UTC day, newest first",
        ["Where", "UTC day", *columns],
        [
            [
                _where(row["market_id"], row["venue_set"], row.get("subscribed_symbol_count")),
                str(row["bar_date"]),
                *(_bound(row[name], row["is_lower_bound"]) for name in ("long_usd", "short_usd")),
                texts.whole_number(row["order_count"]),
                texts.whole_number(row["unvalued_order_count"]),
                texts.share(row["coverage_ratio"]),
            ]
            for row in content.liquidation_days
        ],
        is_tall=len(content.liquidation_days) > 12,
    )
    return AllLiquidationsView(
        last_24_hours=table(
            "Liquidations of the last 24 hours",
            ["Where", "Until (UTC)", *columns],
            [
                [
                    _where(row.market_id, row.venue_set, row.subscribed_symbol_count),
                    texts.instant(row.as_of_at),
                    *(_bound(usd, row.is_lower_bound) for usd in (row.long_usd, row.short_usd)),
                    texts.whole_number(row.order_count),
                    texts.whole_number(row.unvalued_order_count),
                    texts.share(row.coverage_ratio),
                ]
                for row in each_once(content.liquidations)
            ],
        ),
        days=days if content.liquidation_days else None,
        definitions=column_comments(content, [("fct_liquidations_rolling_24h", name) for name in described]),
    )


def _where(market_id: str, venue_set: str, symbols: int | None) -> str:
    """A market or a sum over venues: labelled where it is simulated, with the number of symbols where they are few."""
    label = "SIMULATED · " if is_simulated(market_id) else ""
    where = (
        f"all of {texts.listed(venue_set.split(','))}" if market_id.partition(":")[0] in SUMS_OF_VENUES else market_id
    )
    return f"{label}{where}{of_symbols(symbols)}"


def _bound(usd: Decimal | None, is_lower_bound: bool) -> str:
    return texts.NONE if usd is None else f"{'≥ ' if is_lower_bound else ''}{texts.usd(usd)}"


def claims_view(content: ReportContent) -> ClaimsView:
    described = ("as_of_at", "bar_at", "actual_rank", "actual_event_rank", "holds")
    return ClaimsView(
        claims=tuple(
            _claim(list(rows), content) for _, rows in groupby(content.claims, key=lambda row: row["claim_id"])
        ),
        definitions=column_comments(content, [("fct_claim_verdicts", name) for name in described]),
    )


def _claim(rows: Sequence[Row], content: ReportContent) -> ClaimView:
    claim = rows[0]
    is_held = any(market.market_id == claim["market_id"] for market in content.markets)
    days = texts.between(claim["event_from"], claim["event_to"])
    published = f", published {claim['published_on']}" if claim["published_on"] else ""
    return ClaimView(
        name=str(claim["claim_id"]),
        title=str(claim["note"] or claim["claim_id"]),
        about=f"{claim['source']}{published} · claims rank {claim['claimed_rank']}, {claim['side']}, of "
        f"{claim['market_id']} on {days} within {claim['window_days']} days",
        verdict=_verdict(rows, content)
        if is_held
        else f"Cannot be checked here: this publication does not hold {claim['market_id']}.",
        verdicts=_verdicts(rows, content) if is_held else None,
        sentences=tuple(
            Defined(
                content.name_of(row["definition_id"]),
                row["verdict_sentence"] + (f" Larger events: {row['larger_events']}." if row["larger_events"] else ""),
            )
            for row in rows
        )
        if is_held
        else (),
    )


def _verdict(rows: Sequence[Row], content: ReportContent) -> str:
    names = {str(row["definition_id"]): str(row["definition_name"]) for row in content.definitions}
    true = [names.get(str(row["definition_id"]), str(row["definition_id"])) for row in rows if row["holds"]]
    false = [row for row in rows if row["holds"] is False]
    of_all = f"of {len(rows)} {'definition' if len(rows) == 1 else 'definitions'}"
    if true:
        return f"✓ True under {len(true)} {of_all}: {'; '.join(true)}."
    if len(false) == len(rows):
        return f"✗ False under every definition ({len(rows)})."
    if false:
        return f"✗ False under {len(false)} {of_all}; the data cannot tell under the others."
    return "? The data cannot tell: too little of the window is covered."


def _verdicts(rows: Sequence[Row], content: ReportContent) -> Table:
    market = next(market for market in content.markets if market.market_id == rows[0]["market_id"])
    units = content.units
    return table(
        f"{rows[0]['claim_id']}: verdict under each definition",
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
                content.name_of(row["definition_id"]),
                {True: "✓ yes", False: "✗ no", None: "? cannot tell"}[row["holds"]]
                + (f" (by {row['holds_by']})" if row["holds_by"] else ""),
                texts.instant(row["bar_at"]) if row["bar_at"] else texts.NONE,
                texts.value(row["value"], units.get(row["definition_id"], "usd"), market),
                texts.whole_number(row["actual_rank"]),
                texts.whole_number(row["actual_event_rank"]),
                texts.whole_number(row["window_bars"]),
                texts.share(row["coverage_ratio"]),
            ]
            for row in rows
        ],
    )


def revisions_view(content: ReportContent) -> Table | None:
    """The newest revisions of published ranks; None when there has been none."""
    if not content.revisions:
        return None
    units = content.units
    markets = {market.market_id: market for market in content.markets}
    return table(
        f"The {len(content.revisions)} newest of {content.revision_count:,} revisions",
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
                texts.instant(row["published_at"]),
                row["market_id"],
                content.name_of(row["definition_id"]),
                row["side"],
                texts.instant(row["bar_at"]),
                *(
                    texts.value(row[name], units.get(row["definition_id"], "usd"), markets.get(row["market_id"]))
                    for name in ("old_value", "new_value")
                ),
                *(
                    texts.whole_number(row[name])
                    for name in ("old_rank", "new_rank", "old_event_rank", "new_event_rank")
                ),
                texts.words(row["cause"]),
                row["source_keys"] or texts.NONE,
            ]
            for row in content.revisions
        ],
        is_tall=True,
    )


def definitions_view(content: ReportContent) -> DefinitionsView | None:
    """Every definition, and every table and column by its comment; None without definitions."""
    if not content.definitions:
        return None
    described = content.tables.get("dim_spike_definitions")
    return DefinitionsView(
        comment=described.comment if described else None,
        definitions=table(
            "Spike definitions of this publication",
            ["Definition", "Grain", "#Smoothing, bars", "Unit", "#Window, days", "#Events apart, hours", "Markets"],
            [
                [
                    content.name_of(row["definition_id"]),
                    row["grain"],
                    texts.whole_number(row["smoothing_bars"]),
                    _UNITS.get(row["unit"], row["unit"]),
                    texts.whole_number(row["window_days"]),
                    texts.whole_number(row["decluster_hours"]),
                    f"of {row['venue']}" if row.get("venue") else "every one",
                ]
                for row in content.definitions
            ],
        ),
        tables=tuple(
            TableComments(
                name, held.comment, tuple(Defined(column, comment) for column, comment in held.columns.items())
            )
            for name, held in content.tables.items()
            if name.startswith(_SHOWN_TABLES)
        ),
    )


def publication_view(content: ReportContent) -> PublicationView:
    publication, audit = content.publication, content.publication["audit"]
    # What did not pass comes first: the table scrolls.
    checks = sorted(audit.items(), key=lambda check: check[1] == "passed")
    return PublicationView(
        published_at=texts.instant(publication["published_at"]),
        run_id=str(publication["run_id"]),
        settings=tuple(Defined(name, json.dumps(value)) for name, value in publication["settings"].items()),
        checks=table(
            f"{len(audit)} audit checks of this publication",
            ["Check", "Outcome"],
            [[code(name), _OUTCOMES.get(outcome, outcome)] for name, outcome in checks],
            is_tall=len(audit) > 12,
        ),
    )
