"""One market: its latest day, and the views of its history.

Belongs here: the view of a market's section, and of its latest day. Does not: its other parts (`flow`, `aftermath`,
`completeness`) or markup (`templates/market.html.j2`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestration.report import texts
from orchestration.report.aftermath import LiquidationsView, StudyView, liquidations_view, study_view
from orchestration.report.completeness import CompletenessView, completeness_view, odd_days_table, with_bars
from orchestration.report.content import MarketContent, ReportContent, Row
from orchestration.report.elements import Card, Cell, Defined, Table, column_comments, table, toned
from orchestration.report.flow import DominanceView, NetVolumeView, dominance_view, net_volume_view
from orchestration.report.gloss import glossed
from orchestration.report.screen import (
    ContextView,
    PositionsView,
    ProfileView,
    context_view,
    positions_view,
    profile_view,
)
from orchestration.serving.days import MarketDay
from orchestration.serving.liquidations import of_symbols
from orchestration.serving.reasons import missing_text


@dataclass(frozen=True)
class LatestView:
    """The newest day. `headline` is None without a brief, `ranks` where no definition ranks the day."""

    day: str
    flow_source: str
    coverage: str
    headline: str | None
    cards: tuple[Card, ...]
    ranks: Table | None
    gloss: tuple[Defined, ...]
    definitions: tuple[Defined, ...]


@dataclass(frozen=True)
class MarketView:
    """A part is None where this publication holds nothing of it.

    `sum_coverage`: of a sum over venues, which has no reconciliation of its own; `sum_odd_days`: its days to look at.
    """

    key: str
    market_id: str
    is_simulated: bool
    latest: LatestView | None
    net_volume: NetVolumeView | None
    dominance: DominanceView | None
    liquidations: LiquidationsView | None
    study: StudyView | None
    positions: PositionsView | None
    context: ContextView | None
    profile: ProfileView | None
    sum_coverage: str | None
    sum_odd_days: Table | None
    completeness: CompletenessView | None


def market_view(key: str, market: MarketContent, content: ReportContent) -> MarketView:
    is_sum = bool(market.daily) and market.facts.get("contract_type") == "aggregate"
    return MarketView(
        key=key,
        market_id=market.market_id,
        is_simulated=market.is_simulated,
        latest=_latest(market, market.latest, content) if market.latest is not None else None,
        net_volume=net_volume_view(market, content),
        dominance=dominance_view(market, content),
        liquidations=liquidations_view(market, content),
        study=study_view(market, content) if market.study else None,
        positions=positions_view(market, content),
        context=context_view(market, content),
        profile=profile_view(market, content),
        sum_coverage=texts.days_covered(with_bars(market.daily)) if is_sum else None,
        sum_odd_days=odd_days_table(market) if is_sum else None,
        completeness=completeness_view(market, content) if market.daily and not is_sum else None,
    )


def _latest(market: MarketContent, day: MarketDay, content: ReportContent) -> LatestView:
    brief = market.brief
    cards = [
        Card(
            "Net taker volume, USD",
            toned(day.net_taker_usd, texts.usd(day.net_taker_usd)),
            f"{day.bar_date} · bought − sold · from {day.flow_source} · coverage {texts.share(day.coverage_ratio)}",
        ),
        Card(
            "Taker sell ratio",
            Cell(texts.number(day.taker_sell_ratio, 4)),
            f"percentile {texts.share(day.sell_dominance_percentile)} of the trailing 730 days",
        ),
        *(_brief_cards(brief) if brief else ()),
    ]
    ranked = ("spike_rank", "percentile", "event_rank", "value")
    briefed = (
        "price_change_ratio",
        "distance_from_high_ratio",
        "long_liquidations_usd",
        "open_interest_usd",
        "funding_rate",
    )
    return LatestView(
        day=str(day.bar_date),
        flow_source=day.flow_source,
        coverage=texts.share(day.coverage_ratio),
        headline=str(brief["headline"]) if brief else None,
        cards=tuple(cards),
        ranks=_ranks(market, day) if day.ranks else None,
        gloss=glossed("Net taker volume", "Sell ratio", "Rank", "Event"),
        definitions=column_comments(
            content,
            [
                *(("fct_taker_spike_ranks", name) for name in ranked),
                *(("rpt_market_brief_daily", name) for name in briefed),
            ],
        ),
    )


def _ranks(market: MarketContent, day: MarketDay) -> Table:
    def event_rank(is_event: bool | None, rank: int | None) -> str:
        return "not known yet" if is_event is None else texts.whole_number(rank) if is_event else "no event"

    return table(
        f"{market.market_id}: the most extreme bar of {day.bar_date} under each definition",
        ["Definition", "Side", "Bar (UTC)", "#Value", "#Rank", "#of bars", "#Percentile", "#Event rank"],
        [
            [
                f"{rank.definition_name} ({rank.definition_id})",
                rank.side or texts.NONE,
                texts.instant(rank.bar_at),
                texts.value(rank.value, rank.unit, market),
                texts.whole_number(rank.rank),
                texts.whole_number(rank.window_bars),
                texts.share(rank.percentile),
                event_rank(rank.is_event, rank.event_rank),
            ]
            for rank in day.ranks
        ],
    )


def _brief_cards(brief: Row) -> Iterable[Card]:
    covered = brief["liquidations_coverage_ratio"]
    yield Card(
        "Close",
        Cell(texts.price(brief["close_price"])),
        f"{texts.change(brief['price_change_ratio'])} in a day · "
        f"{texts.change(brief['distance_from_high_ratio'])} from the high of 365 days",
    )
    longs, shorts = (texts.usd(brief[f"{side}_liquidations_usd"]) for side in ("long", "short"))
    yield Card(
        "Liquidated, long / short",
        Cell(f"{longs} / {shorts}" if covered else "not known"),
        f"{'USD, lower bounds' if covered else _not_known(brief, 'liquidations')} · coverage {texts.share(covered)}",
    )
    if brief.get("all_liquidations_coverage_ratio"):
        yield _all_markets_card(brief)
    is_known = brief["open_interest_usd"] is not None
    interest = "last of the day, from the venue's metrics" if is_known else _not_known(brief, "open_interest")
    funding = _not_known(brief, "funding") if brief["funding_rate"] is None else texts.change(brief["funding_rate"], 4)
    yield Card(
        "Open interest, USD",
        Cell(texts.usd(brief["open_interest_usd"]) if is_known else "not known"),
        f"{interest} · funding of the day {funding}",
    )
    conflicts = [brief.get(f"{name}_conflict") for name in ("open_interest", "funding", "liquidations")]
    if any(conflicts):
        yield Card(
            "In conflict with other data",
            Cell("not used"),
            " · ".join(str(conflict) for conflict in conflicts if conflict),
        )


def _not_known(brief: Row, figure: str) -> str:
    """That the figure is not known, and why where the publication states it."""
    return texts.colon("not known", missing_text(brief.get(f"{figure}_missing_reason"), figure) or None)


def _all_markets_card(brief: Row) -> Card:
    symbols = brief.get("all_liquidations_subscribed_symbol_count")
    which = "on all markets" if symbols is None else "of the subscribed symbols"
    longs, shorts = (texts.usd(brief[f"all_{side}_liquidations_usd"]) for side in ("long", "short"))
    venues = texts.listed(brief["all_liquidations_venue_set"].split(","))
    return Card(
        f"Liquidated {which}, long / short, USD",
        Cell(f"{longs} / {shorts}"),
        f"lower bounds · {venues} · {texts.share(brief['all_liquidations_coverage_ratio'])} of the day received"
        f"{of_symbols(symbols)}",
    )
