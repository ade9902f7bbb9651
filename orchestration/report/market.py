"""The sections of one market: its latest day, its history, what followed its spikes, how complete it is.

Belongs here: what is shown of a market, as values and texts. Does not: markup (`templates/market.html.j2`) or the rows
of charts (`rows`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from orchestration.report import charts, rows, texts
from orchestration.report.content import MARKED_EVENTS, MarketContent, ReportContent, Row
from orchestration.report.elements import Card, Cell, Defined, Key, Table, code, column_comments, table, toned
from orchestration.serving.days import MarketDay
from orchestration.serving.liquidations import of_symbols


@dataclass(frozen=True)
class LatestView:
    """The newest day. `headline` is None without a brief, `ranks` where no definition ranks the day."""

    day: str
    flow_source: str
    coverage: str
    headline: str | None
    cards: tuple[Card, ...]
    ranks: Table | None
    definitions: tuple[Defined, ...]


@dataclass(frozen=True)
class NetVolumeView:
    label: str
    price_label: str
    keys: tuple[Key, ...]
    definition: str
    events: Table
    last_days: Table
    first_day: str
    last_day: str
    sources: str
    coverage: str
    definitions: tuple[Defined, ...]


@dataclass(frozen=True)
class DominanceView:
    """`extremes` is None when no day is in an outermost hundredth."""

    label: str
    keys: tuple[Key, ...]
    outermost: str
    extremes: Table | None
    first_day: str
    last_day: str
    sources: str
    window_coverage: str
    definitions: tuple[Defined, ...]


@dataclass(frozen=True)
class LiquidationsView:
    label: str
    keys: tuple[Key, ...]
    largest: Table
    first_day: str
    last_day: str
    known_days: str
    requested_days: str
    definitions: tuple[Defined, ...]


@dataclass(frozen=True)
class StudyFigure:
    side: str
    title: str
    label: str


@dataclass(frozen=True)
class StudyView:
    conclusive: str
    combinations: str
    keys: tuple[Key, ...]
    figures: tuple[StudyFigure, ...]
    returns: Table
    conclusions: tuple[Defined, ...]
    definitions: tuple[Defined, ...]


@dataclass(frozen=True)
class CompletenessView:
    """`odd_days` is None when every day is complete and used as it was published."""

    verdict_label: str
    verdict_keys: tuple[Key, ...]
    cover_label: str
    cover_keys: tuple[Key, ...]
    odd_days: Table | None
    first_day: str
    last_day: str
    coverage: str
    definitions: tuple[Defined, ...]


@dataclass(frozen=True)
class MarketView:
    """A part is None where this publication holds nothing of it. `sum_coverage`: of a sum over venues, else None."""

    key: str
    market_id: str
    is_simulated: bool
    latest: LatestView | None
    net_volume: NetVolumeView | None
    dominance: DominanceView | None
    liquidations: LiquidationsView | None
    study: StudyView | None
    sum_coverage: str | None
    completeness: CompletenessView | None


def market_view(key: str, market: MarketContent, content: ReportContent) -> MarketView:
    is_sum = bool(market.daily) and market.facts.get("contract_type") == "aggregate"
    return MarketView(
        key=key,
        market_id=market.market_id,
        is_simulated=market.is_simulated,
        latest=_latest(market, market.latest, content) if market.latest is not None else None,
        net_volume=_net_volume(market, content),
        dominance=_dominance(market, content),
        liquidations=_liquidations(market, content),
        study=_study(market, content) if market.study else None,
        sum_coverage=_covered(_with_bars(market.daily)) if is_sum else None,
        completeness=_completeness(market, content) if market.daily and not is_sum else None,
    )


def _latest(market: MarketContent, day: MarketDay, content: ReportContent) -> LatestView:
    brief = market.brief
    cards = [
        Card(
            "Net taker volume, USD",
            toned(day.net_taker_usd, texts.usd(day.net_taker_usd)),
            f"{day.trade_date} · bought − sold · from {day.flow_source} · coverage {texts.share(day.coverage_ratio)}",
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
        day=str(day.trade_date),
        flow_source=day.flow_source,
        coverage=texts.share(day.coverage_ratio),
        headline=str(brief["headline"]) if brief else None,
        cards=tuple(cards),
        ranks=_ranks(market, day) if day.ranks else None,
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
        return "not known yet" if is_event is None else texts.whole(rank) if is_event else "no event"

    return table(
        f"{market.market_id}: the most extreme bar of {day.trade_date} under each definition",
        ["Definition", "Side", "Bar (UTC)", "#Value", "#Rank", "#of bars", "#Percentile", "#Event rank"],
        [
            [
                code(rank.definition_id),
                rank.side or texts.NONE,
                texts.instant(rank.bar_at),
                texts.value(rank.value, rank.unit, market),
                texts.whole(rank.rank),
                texts.whole(rank.window_bars),
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
        f"{'USD, lower bounds · ' if covered else ''}coverage {texts.share(covered)}",
    )
    if brief.get("all_liquidations_coverage_ratio"):
        yield _all_markets_card(brief)
    funding = "not known" if brief["funding_rate"] is None else texts.change(brief["funding_rate"], 4)
    yield Card(
        "Open interest, USD",
        Cell(texts.usd(brief["open_interest_usd"])),
        f"last of the day, from the venue's metrics · funding of the day {funding}",
    )


def _all_markets_card(brief: Row) -> Card:
    symbols = brief.get("all_liquidations_subscribed_symbol_count")
    which = "on all markets" if symbols is None else "of the symbols heard"
    longs, shorts = (texts.usd(brief[f"all_{side}_liquidations_usd"]) for side in ("long", "short"))
    venues = texts.listed(brief["all_liquidations_venue_set"].split(","))
    return Card(
        f"Liquidated {which}, long / short, USD",
        Cell(f"{longs} / {shorts}"),
        f"lower bounds · {venues} · {texts.share(brief['all_liquidations_coverage_ratio'])} of the day heard"
        f"{of_symbols(symbols)}",
    )


def _net_volume(market: MarketContent, content: ReportContent) -> NetVolumeView | None:
    bars = [row for row in market.daily if row["net_taker_usd"] is not None]
    if not bars:
        return None
    first, last = str(bars[0]["trade_date"]), str(bars[-1]["trade_date"])
    lowest, highest = (pick(bars, key=lambda row: row["net_taker_usd"]) for pick in (min, max))
    return NetVolumeView(
        label=f"Daily net taker volume of {market.market_id} from {first} to {last}. "
        f"Most selling: {texts.usd(lowest['net_taker_usd'])} USD on {lowest['trade_date']}; most buying: "
        f"{texts.usd(highest['net_taker_usd'])} USD on {highest['trade_date']}.",
        price_label=f"Daily close of {market.market_id} on the same days.",
        keys=(
            Key(charts.BUY, "", "takers bought more (up)"),
            Key(charts.SELL, "", "takers sold more (down)"),
            Key("", "▼", f"bearish event and its rank among events, to {MARKED_EVENTS}"),
            Key("", "▲", "bullish event"),
        ),
        definition=content.first_definition,
        events=_events(market, content),
        last_days=_last_days(market, bars[-7:]),
        first_day=first,
        last_day=last,
        sources=_sources(bars),
        coverage=_covered(bars),
        definitions=column_comments(
            content,
            [
                *(("fct_net_taker_volume_daily", name) for name in ("net_taker_usd", "close_price", "flow_source")),
                *(("fct_taker_spike_ranks", name) for name in ("is_event", "event_rank")),
            ],
        ),
    )


def _events(market: MarketContent, content: ReportContent) -> Table:
    events = sorted(market.events, key=lambda row: (row["bar_at"], row["definition_id"], row["side"]), reverse=True)
    units = content.units
    return table(
        f"{market.market_id}: events ranked 1 to {MARKED_EVENTS} in their own window, newest first",
        [
            "Definition",
            "Side",
            "Bar (UTC)",
            "#Value",
            "#Event rank",
            "#Rank among bars",
            "#of bars",
            "#Window coverage",
        ],
        [
            [
                code(row["definition_id"]),
                row["side"],
                texts.instant(row["bar_at"]),
                texts.value(row["value"], units.get(row["definition_id"], "usd"), market),
                texts.whole(row["event_rank"]),
                texts.whole(row["spike_rank"]),
                texts.whole(row["window_bars"]),
                texts.share(row["coverage_ratio"]),
            ]
            for row in events
        ],
        definitions=[str(row["definition_id"]) for row in events],
        none="No event under this definition is ranked so high yet: a rank needs 95 % of its window.",
        is_tall=True,
    )


def _last_days(market: MarketContent, bars: Sequence[Row]) -> Table:
    return table(
        f"{market.market_id}: the last seven days",
        [
            "UTC day",
            "#Net taker USD",
            "#Volume USD",
            "#Sell ratio",
            "#Sell percentile",
            "#Close",
            "Source",
            "#Coverage",
            "Reconciliation",
        ],
        [
            [
                str(row["trade_date"]),
                toned(row["net_taker_usd"], texts.usd(row["net_taker_usd"])),
                texts.usd(row["volume_usd"]),
                texts.number(row["taker_sell_ratio"], 4),
                texts.share(row["sell_dominance_percentile"]),
                texts.price(row["close_price"]),
                texts.source(row),
                texts.share(row["coverage_ratio"]),
                texts.words(row["verdict"]),
            ]
            for row in reversed(bars)
        ],
    )


def _dominance(market: MarketContent, content: ReportContent) -> DominanceView | None:
    ranked = [row for row in market.daily if row["sell_dominance_percentile"] is not None]
    if not ranked:
        return None
    top = [row for row in ranked if row["sell_dominance_percentile"] >= 0.99]
    bottom = [row for row in ranked if row["sell_dominance_percentile"] <= 0.01]
    last = ranked[-1]
    outermost = f"{len(top)} of {texts.day_count(len(ranked))} are in the top hundredth, {len(bottom)} in the lowest."
    extremes = sorted([*top, *bottom], key=lambda row: row["trade_date"], reverse=True)
    return DominanceView(
        label=f"Sell dominance percentile of {market.market_id}. {outermost} The latest, {last['trade_date']}: "
        f"{texts.share(last['sell_dominance_percentile'])}.",
        keys=(
            Key(charts.SELL, "▼", "99 % or more: among the days takers sold the largest share"),
            Key(charts.BUY, "▲", "1 % or less: among the days they bought the largest share"),
            Key(charts.QUIET, "•", "any other day"),
        ),
        outermost=outermost,
        extremes=_extremes(market, extremes) if extremes else None,
        first_day=str(ranked[0]["trade_date"]),
        last_day=str(last["trade_date"]),
        sources=_sources(ranked),
        window_coverage=texts.share(min(row["window_coverage_ratio"] for row in ranked)),
        definitions=column_comments(
            content,
            [("fct_taker_dominance_daily", name) for name in ("taker_sell_ratio", "sell_dominance_percentile")],
        ),
    )


def _extremes(market: MarketContent, extremes: Sequence[Row]) -> Table:
    return table(
        f"{market.market_id}: days in the outermost hundredths, newest first, {min(10, len(extremes))} of "
        f"{len(extremes)}",
        ["UTC day", "Side", "#Taker sell ratio", "#Sell percentile", "#Window coverage"],
        [
            [
                str(row["trade_date"]),
                {"bearish": "selling", "bullish": "buying", None: texts.NONE}[row["side"]],
                texts.number(row["taker_sell_ratio"], 4),
                texts.share(row["sell_dominance_percentile"]),
                texts.share(row["window_coverage_ratio"]),
            ]
            for row in extremes[:10]
        ],
    )


def _liquidations(market: MarketContent, content: ReportContent) -> LiquidationsView | None:
    requested = [row for row in market.daily if row["liquidations_coverage_ratio"] is not None]
    if not requested:
        return None
    known = [row for row in requested if row["long_usd"] is not None]
    longs, shorts = (sum((row[name] for row in known), Decimal(0)) for name in ("long_usd", "short_usd"))
    absent = len(requested) - len(known)
    return LiquidationsView(
        label=f"Liquidations of {market.market_id} on {texts.day_count(len(known))}: longs at least "
        f"{texts.usd(longs)} USD, shorts at least {texts.usd(shorts)} USD."
        + (f" Nothing is known of {texts.day_count(absent)}." if absent else ""),
        keys=(
            Key(charts.BUY, "", "shorts liquidated (up)"),
            Key(charts.SELL, "", "longs liquidated (down)"),
            Key("", "×", "a day that nothing is known of"),
        ),
        largest=_largest(market, known),
        first_day=str(requested[0]["trade_date"]),
        last_day=str(requested[-1]["trade_date"]),
        known_days=f"{len(known):,}",
        requested_days=f"{len(requested):,}",
        definitions=column_comments(
            content, [("fct_liquidations_daily", name) for name in ("long_usd", "short_usd", "is_lower_bound")]
        ),
    )


def _largest(market: MarketContent, known: Sequence[Row]) -> Table:
    largest = sorted(known, key=lambda row: (row["long_usd"] + row["short_usd"], row["trade_date"]), reverse=True)
    return table(
        f"{market.market_id}: the days of most liquidations",
        ["UTC day", "#Longs, USD", "#Shorts, USD", "#Orders", "#Coverage"],
        [
            [
                str(row["trade_date"]),
                texts.usd(row["long_usd"]),
                texts.usd(row["short_usd"]),
                texts.whole(row["order_count"]),
                texts.share(row["liquidations_coverage_ratio"]),
            ]
            for row in largest[:7]
        ],
    )


def _study(market: MarketContent, content: ReportContent) -> StudyView:
    studied = ("sample_size", "hit_rate", "baseline_hit_rate", "baseline_median", "p_value", "p_value_when_known")
    return StudyView(
        conclusive=f"{sum(bool(row['is_conclusive']) for row in market.study):,}",
        combinations=f"{len(market.study):,}",
        keys=(
            Key("", "━", "median after the events"),
            Key("", "◇", "median of all days: the null"),
            Key(charts.SELL, "•", "one bearish event"),
            Key(charts.BUY, "•", "one bullish event"),
        ),
        figures=tuple(
            StudyFigure(
                side,
                title,
                f"Returns of the contrarian position 1, 3, 7, 14 and 30 days after {side} events of "
                f"{market.market_id}, and their medians against those of all days; the numbers are in the table below.",
            )
            for side, title in (("bearish", "Long after bearish spikes"), ("bullish", "Short after bullish spikes"))
        ),
        returns=_returns(market),
        conclusions=tuple(
            Defined(
                str(row["definition_id"]),
                f"{row['side']}, {texts.day_count(row['horizon_days'])}. {row['conclusion']}",
            )
            for row in market.study
        ),
        definitions=column_comments(
            content,
            [
                *(("agg_spike_event_study", name) for name in studied),
                *(
                    ("fct_spike_forward_returns", name)
                    for name in ("entry_price", "forward_return", "return_when_known")
                ),
            ],
        ),
    )


def _returns(market: MarketContent) -> Table:
    return table(
        f"{market.market_id}: returns of the contrarian position after events, against all days of the market",
        [
            "Definition",
            "Side",
            "#Days",
            "#Events",
            "#Hit rate",
            "#of all days",
            "#Median",
            "#of all days",
            "#Mean",
            "#of all days",
            "#p",
            "#p when known",
        ],
        [
            [
                code(row["definition_id"]),
                row["side"],
                texts.whole(row["horizon_days"]),
                texts.whole(row["sample_size"]),
                texts.share(row["hit_rate"], 1),
                texts.share(row["baseline_hit_rate"], 1),
                texts.change(row["median_return"]),
                texts.change(row["baseline_median"]),
                texts.change(row["mean_return"]),
                texts.change(row["baseline_mean"]),
                texts.number(row["p_value"], 3),
                texts.number(row["p_value_when_known"], 3),
            ]
            for row in market.study
        ],
        definitions=[str(row["definition_id"]) for row in market.study],
        none="Under this definition no event has a known outcome yet.",
        is_tall=True,
    )


def _completeness(market: MarketContent, content: ReportContent) -> CompletenessView:
    days = rows.calendar_days(market)
    covers, verdicts = (texts.counted(row[name] for row in days) for name in ("cover", "verdict"))
    verdict_list = ", ".join(f"{texts.words(name)} {count:,}" for name, count in verdicts.items())
    cover_list = ", ".join(f"{name} {count:,}" for name, count in covers.items())
    odd = [row for row in market.daily if _is_odd(row)]
    return CompletenessView(
        verdict_label=f"Calendar of the reconciliation of {market.market_id}, one cell per day: {verdict_list}.",
        verdict_keys=tuple(
            Key(colour, sign, f"{texts.words(name)}: {texts.day_count(verdicts[name])}")
            for name, (colour, sign) in charts.VERDICTS.items()
            if name in verdicts
        ),
        cover_label=f"Calendar of the coverage of the daily bars of {market.market_id}: {cover_list}.",
        cover_keys=tuple(
            Key(colour, sign, f"{name}: {texts.day_count(covers[name])}")
            for name, (colour, sign) in charts.COVERAGES.items()
            if name in covers
        ),
        odd_days=_odd_days(market, odd) if odd else None,
        first_day=str(market.daily[0]["trade_date"]),
        last_day=str(market.daily[-1]["trade_date"]),
        coverage=_covered(_with_bars(market.daily)),
        definitions=column_comments(
            content,
            [
                *(
                    ("fct_flow_reconciliation_daily", name)
                    for name in ("verdict", "difference_usd", "interval_verdict")
                ),
                ("fct_net_taker_volume_daily", "coverage_ratio"),
            ],
        ),
    )


def _is_odd(row: Row) -> bool:
    return (
        row["verdict"] in ("trades_incomplete", "trades_implausible", "conflict")
        or row["interval_verdict"] == "conflict"
        or row["coverage_ratio"] is None
        or row["coverage_ratio"] < 1
    )


def _odd_days(market: MarketContent, odd: Sequence[Row]) -> Table:
    return table(
        f"{market.market_id}: days that are incomplete or contradicted, newest first, {min(len(odd), 12)} "
        f"of {len(odd)}",
        [
            "UTC day",
            "Trades against klines",
            "#Trades − klines, USD",
            "Klines among each other",
            "Bars from",
            "#Coverage",
        ],
        [
            [
                str(row["trade_date"]),
                texts.words(row["verdict"]),
                texts.usd(row["difference_usd"]),
                texts.words(row["interval_verdict"]),
                texts.source(row),
                texts.share(row["coverage_ratio"]),
            ]
            for row in reversed(odd[-12:])
        ],
    )


def _with_bars(daily: Sequence[Row]) -> list[Row]:
    return [row for row in daily if row["coverage_ratio"] is not None]


def _sources(bars: Sequence[Row]) -> str:
    counts = texts.counted(row["flow_source"] for row in bars if row["flow_source"])
    return " and ".join(f"{source} on {texts.day_count(count)}" for source, count in counts.items()) or "none"


def _covered(bars: Sequence[Row]) -> str:
    short = [row for row in bars if row["coverage_ratio"] < 1]
    if not short:
        return f"All {len(bars):,} days are covered in full."
    lowest = min(short, key=lambda row: (row["coverage_ratio"], row["trade_date"]))
    return (
        f"{len(bars) - len(short):,} of {len(bars):,} days are covered in full; the least is "
        f"{texts.share(lowest['coverage_ratio'])} on {lowest['trade_date']}."
    )
