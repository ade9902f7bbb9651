"""Every market's last complete day in one table, and what surrounds the flow of one market: positions, the hours around
its events, the hours of the week.

Belongs here: these views as values and texts. Does not: markup (`templates/screen.html.j2`, `market_positions.html.j2`,
`market_context.html.j2`, `market_profile.html.j2`).
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.report import charts, texts
from orchestration.report.content import CONTEXT_HOURS, MARKED_EVENTS, MarketContent, ReportContent, Row
from orchestration.report.elements import Defined, Key, Table, column_comments, table, toned
from orchestration.report.gloss import glossed

_LAST_DAYS = 7


@dataclass(frozen=True)
class ScreenView:
    """`others`: how many markets have no section of their own."""

    days: Table
    gloss: tuple[Defined, ...]
    others: int


@dataclass(frozen=True)
class PositionsView:
    label: str
    days: Table
    first_day: str
    last_day: str
    gloss: tuple[Defined, ...]
    definitions: tuple[Defined, ...]


@dataclass(frozen=True)
class ContextView:
    events: Table
    hours: int
    gloss: tuple[Defined, ...]
    definitions: tuple[Defined, ...]


@dataclass(frozen=True)
class ProfileView:
    label: str
    keys: tuple[Key, ...]
    gloss: tuple[Defined, ...]
    definitions: tuple[Defined, ...]


def screen_view(content: ReportContent) -> ScreenView | None:
    """None where the publication has no such table, or one market that needs no comparison."""
    if len(content.screen) < 2:
        return None
    return ScreenView(
        days=table(
            "Every market, its last complete day; the most unusual first",
            [
                "Market",
                "UTC day",
                "#Net taker volume, USD",
                "#Net ratio",
                "#Sell percentile",
                "#Best rank",
                "under",
                "#z",
                "#Price",
                "#Open interest, 24 h",
                "#Funding",
                "#Longs liquidated",
                "#Shorts",
            ],
            [_screened(row) for row in content.screen],
        ),
        gloss=glossed("Net taker volume", "Net ratio", "Best rank", "z", "Funding", "≥"),
        others=content.other_markets,
    )


def _screened(row: Row) -> list[object]:
    rank = texts.NONE
    if row["best_rank"] is not None:
        rank = f"{row['best_rank']:,} of {row['best_rank_window_bars']:,}, {row['best_rank_side']}"
    return [
        f"{row['market_id']}{' (SIMULATED)' if row['is_simulated'] else ''}",
        str(row["bar_date"]),
        toned(row["net_taker_usd"], texts.usd(row["net_taker_usd"])),
        texts.change(row["net_taker_ratio"]),
        texts.share(row["sell_dominance_percentile"]),
        rank,
        row["best_rank_definition_name"] or texts.NONE,
        texts.number(row["robust_z"], 1),
        texts.change(row["price_change_ratio"]),
        texts.change(row["open_interest_change_24h_ratio"]),
        texts.change(row["funding_rate"], 4),
        *(
            texts.NONE if row[name] is None else f"≥ {texts.usd(row[name])}"
            for name in ("long_liquidations_usd", "short_liquidations_usd")
        ),
    ]


def positions_view(market: MarketContent, content: ReportContent) -> PositionsView | None:
    if not market.positions:
        return None
    held = [row for row in market.positions if row["open_interest_usd"] is not None]
    first, last = market.positions[0]["bar_date"], market.positions[-1]["bar_date"]
    newest = f"; {texts.usd(held[-1]['open_interest_usd'])} USD on {held[-1]['bar_date']}" if held else ""
    return PositionsView(
        label=f"Open interest of {market.market_id}, last of each UTC day{newest}.",
        days=table(
            f"{market.market_id}: positions of the last seven days",
            [
                "UTC day",
                "#Open interest, USD",
                "#24 h",
                "#Funding",
                "#a year of it",
                "#since the first",
                "#Top traders",
                "#Accounts",
            ],
            [
                [
                    str(row["bar_date"]),
                    texts.usd(row["open_interest_usd"]),
                    texts.change(row["change_24h_ratio"]),
                    texts.change(row["funding_rate"], 4),
                    texts.change(row["annualised_rate"]),
                    texts.change(row["cumulative_rate"]),
                    texts.number(row["top_ratio"], 2),
                    texts.number(row["account_ratio"], 2),
                ]
                for row in reversed(market.positions[-_LAST_DAYS:])
            ],
        ),
        first_day=str(first),
        last_day=str(last),
        gloss=glossed("Open interest", "Funding", "Top traders, accounts"),
        definitions=column_comments(
            content,
            [
                ("fct_open_interest_daily", "open_interest_usd"),
                ("fct_open_interest_daily", "change_24h_ratio"),
                *(("fct_funding_rates", name) for name in ("funding_rate", "annualised_rate", "cumulative_rate")),
                *(
                    ("fct_long_short_ratios", name)
                    for name in ("top_trader_position_long_short_ratio", "account_long_short_ratio")
                ),
            ],
        ),
    )


def context_view(market: MarketContent, content: ReportContent) -> ContextView | None:
    """Was it liquidations, or new shorts?"""
    if not market.context:
        return None

    def bound(row: Row, name: str) -> str:
        return texts.NONE if row[name] is None else f"{'≥ ' if row['is_lower_bound'] else ''}{texts.usd(row[name])}"

    return ContextView(
        events=table(
            f"{market.market_id}: from {CONTEXT_HOURS} hours before to {CONTEXT_HOURS} hours after the events ranked 1 "
            f"to {MARKED_EVENTS}",
            [
                "Definition",
                "Side",
                "Event (UTC)",
                "#Event rank",
                "#Open interest",
                "#Funding",
                "#Longs liquidated, USD",
                "#Shorts, USD",
                "#Coverage",
            ],
            [
                [
                    content.name_of(row["definition_id"]),
                    row["side"],
                    texts.instant(row["event_at"]),
                    texts.whole_number(row["event_rank"]),
                    texts.change(row["open_interest_change_ratio"]),
                    texts.change(row["funding_rate"], 4),
                    bound(row, "long_liquidations_usd"),
                    bound(row, "short_liquidations_usd"),
                    texts.share(row["liquidations_coverage_ratio"]),
                ]
                for row in market.context
            ],
            definitions=[str(row["definition_id"]) for row in market.context],
            none="No event under this definition is ranked so high yet.",
            is_tall=True,
        ),
        hours=CONTEXT_HOURS,
        gloss=glossed("Event", "Open interest", "Funding", "≥"),
        definitions=column_comments(
            content,
            [
                ("fct_spike_context", name)
                for name in ("open_interest_change_ratio", "funding_rate", "long_liquidations_usd")
            ],
        ),
    )


def profile_view(market: MarketContent, content: ReportContent) -> ProfileView | None:
    if not market.profile:
        return None
    lowest, highest = (pick(market.profile, key=lambda row: row["net_taker_ratio"] or 0) for pick in (min, max))
    return ProfileView(
        label=f"Net taker volume by hour of the week of {market.market_id}. Most one-sided: sold "
        f"{_hour(lowest)} ({texts.change(lowest['net_taker_ratio'])} of the volume), bought {_hour(highest)} "
        f"({texts.change(highest['net_taker_ratio'])}).",
        keys=(
            Key(charts.BUY, "+", "takers bought more"),
            Key(charts.SELL, "−", "takers sold more"),
        ),
        gloss=glossed("Net ratio"),
        definitions=column_comments(
            content,
            [("fct_hour_of_week_profile", name) for name in ("net_taker_ratio", "bought_ratio", "mean_return")],
        ),
    )


def _hour(row: Row) -> str:
    return f"on {WEEKDAYS[row['weekday'] - 1]}, {row['hour_of_day']:02}:00 UTC"


WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
