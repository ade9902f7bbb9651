"""The sections of one market: its latest day, its history, what followed its spikes, how complete it is.

Belongs here: what is shown of a market, in which words. Does not: markup (`parts`) or the rows of charts (`rows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from html import escape

from orchestration.report import charts, parts, rows
from orchestration.report.content import MARKED_EVENTS, MarketContent, ReportContent, Row
from orchestration.serving.liquidations import of_symbols


def section(key: str, market: MarketContent, content: ReportContent) -> str:
    return (
        f'<section id="{key}" aria-labelledby="{key}-title"><h2 id="{key}-title">{parts.market_name(market)}</h2>'
        + _latest(market, content)
        + "".join(
            f'<section aria-labelledby="{key}-{name}"><h3 '
            f'id="{key}-{name}">{title}</h3>{body(key, market, content)}</section>'
            for name, title, body in (
                ("net", "Net taker volume, day by day", _net_volume),
                ("dominance", "How one-sided: sell dominance percentile", _dominance),
                ("liquidations", "Liquidations, long and short", _liquidations),
                ("study", "What followed the spikes", _study),
                ("coverage", "How complete the numbers are", _completeness),
            )
        )
        + "</section>"
    )


def _latest(market: MarketContent, content: ReportContent) -> str:
    day, brief = market.latest, market.brief
    if day is None:
        return parts.empty("There is no daily bar of this market.")
    headline = (
        f'<p class="headline">{escape(str(brief["headline"]))}</p>'
        if brief
        else parts.empty("<code>rpt_market_brief_daily</code> is empty for this market, so there is no headline.")
    )
    cards = [
        (
            "Net taker volume, USD",
            parts.toned(day.net_taker_usd, parts.usd(day.net_taker_usd)),
            f"{day.trade_date} · bought − sold · from {day.flow_source} · coverage {parts.share(day.coverage_ratio)}",
        ),
        (
            "Taker sell ratio",
            parts.number(day.taker_sell_ratio, 4),
            f"percentile {parts.share(day.sell_dominance_percentile)} of the trailing 730 days",
        ),
    ]
    if brief:
        cards += _brief_cards(brief)
    ranks = parts.table(
        f"{market.market_id}: the most extreme bar of {day.trade_date} under each definition",
        ["Definition", "Side", "Bar (UTC)", "#Value", "#Rank", "#of bars", "#Percentile", "#Event rank"],
        [
            [
                parts.code(rank.definition_id),
                rank.side or "–",
                parts.instant(rank.bar_at),
                parts.value(rank.value, rank.unit, market),
                parts.whole(rank.rank),
                f"{rank.window_bars:,}",
                parts.share(rank.percentile),
                "not known yet"
                if rank.is_event is None
                else "no event"
                if not rank.is_event
                else parts.whole(rank.event_rank),
            ]
            for rank in day.ranks
        ],
    )
    return (
        headline
        + '<dl class="cards">'
        + "".join(
            f'<div class="card"><dt>{escape(name)}</dt><dd class="number">{number}</dd><dd '
            f'class="note">{escape(note)}</dd></div>'
            for name, number, note in cards
        )
        + "</dl>"
        + (
            ranks
            if day.ranks
            else parts.empty("No definition ranks the latest day: too little history, or too little coverage.")
        )
        + parts.proof(
            content,
            [("fct_taker_spike_ranks", name) for name in ("spike_rank", "percentile", "event_rank", "value")]
            + [
                ("rpt_market_brief_daily", name)
                for name in (
                    "price_change_ratio",
                    "distance_from_high_ratio",
                    "long_liquidations_usd",
                    "open_interest_usd",
                    "funding_rate",
                )
            ],
            window=f"The UTC day {day.trade_date}, ranked in the trailing window of each definition; nothing later "
            "is looked at.",
            source="<code>rpt_market_brief_daily</code>, <code>fct_net_taker_volume_daily</code>, "
            f"<code>fct_taker_spike_ranks</code>; bars from {day.flow_source}.",
            coverage=f"{parts.share(day.coverage_ratio)} of the day. Nothing is ranked below 95 % of a day or of "
            "its window.",
        )
    )


def _brief_cards(brief: Row) -> list[tuple[str, str, str]]:
    covered = brief["liquidations_coverage_ratio"]
    symbols = brief.get("all_liquidations_subscribed_symbol_count")
    liquidated = (
        f"{parts.usd(brief['long_liquidations_usd'])} / {parts.usd(brief['short_liquidations_usd'])}"
        if covered
        else "not known"
    )
    return [
        (
            "Close",
            parts.price(brief["close_price"]),
            f"{parts.change(brief['price_change_ratio'])} in a day · "
            f"{parts.change(brief['distance_from_high_ratio'])} from the high of 365 days",
        ),
        (
            "Liquidated, long / short",
            liquidated,
            f"{'USD, lower bounds · ' if covered else ''}coverage {parts.share(covered)}",
        ),
        *(
            [
                (
                    "Liquidated on all markets, long / short, USD"
                    if symbols is None
                    else "Liquidated of the symbols heard, long / short, USD",
                    f"{parts.usd(brief['all_long_liquidations_usd'])} / "
                    f"{parts.usd(brief['all_short_liquidations_usd'])}",
                    f"lower bounds · {parts.listed(brief['all_liquidations_venue_set'].split(','))} · "
                    f"{parts.share(brief['all_liquidations_coverage_ratio'])} of the day heard"
                    f"{of_symbols(symbols)}",
                )
            ]
            if brief.get("all_liquidations_coverage_ratio")
            else []
        ),
        (
            "Open interest, USD",
            parts.usd(brief["open_interest_usd"]),
            "last of the day, from the venue's metrics · funding of the day "
            + ("not known" if brief["funding_rate"] is None else parts.change(brief["funding_rate"], 4)),
        ),
    ]


def _net_volume(key: str, market: MarketContent, content: ReportContent) -> str:
    bars = [row for row in market.daily if row["net_taker_usd"] is not None]
    if not bars:
        return parts.empty("<code>fct_net_taker_volume_daily</code> holds no day of this market.")
    lowest, highest = (pick(bars, key=lambda row: row["net_taker_usd"]) for pick in (min, max))
    said = (
        f"Daily net taker volume of {market.market_id} from {bars[0]['trade_date']} to {bars[-1]['trade_date']}. "
        f"Most selling: {parts.usd(lowest['net_taker_usd'])} USD on {lowest['trade_date']}; most buying: "
        f"{parts.usd(highest['net_taker_usd'])} USD on {highest['trade_date']}."
    )
    events = sorted(market.events, key=lambda row: (row["bar_at"], row["definition_id"], row["side"]), reverse=True)
    units = {row["definition_id"]: row["unit"] for row in content.definitions}
    return (
        parts.keys(
            [
                (charts.BUY, "", "takers bought more (up)"),
                (charts.SELL, "", "takers sold more (down)"),
                ("", "▼", f"bearish event and its rank among events, to {MARKED_EVENTS}"),
                ("", "▲", "bullish event"),
            ]
        )
        + parts.figure(
            key,
            "net",
            said,
            "USD per UTC day. Marked are events under "
            f'<span class="definition">{escape(content.first_definition)}</span>, '
            "with the rank that each had in its own window; before 95 % of a window is covered there are none.",
        )
        + parts.figure(
            key,
            "price",
            f"Daily close of {market.market_id} on the same days.",
            "Close of the same days, in the quote asset.",
        )
        + parts.table(
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
                    parts.code(row["definition_id"]),
                    row["side"],
                    parts.instant(row["bar_at"]),
                    parts.value(row["value"], units.get(row["definition_id"], "usd"), market),
                    parts.whole(row["event_rank"]),
                    parts.whole(row["spike_rank"]),
                    parts.whole(row["window_bars"]),
                    parts.share(row["coverage_ratio"]),
                ]
                for row in events
            ],
            definitions=[str(row["definition_id"]) for row in events],
            none="No event under this definition is ranked so high yet: a rank needs 95 % of its window.",
            tall=True,
        )
        + parts.table(
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
                    parts.toned(row["net_taker_usd"], parts.usd(row["net_taker_usd"])),
                    parts.usd(row["volume_usd"]),
                    parts.number(row["taker_sell_ratio"], 4),
                    parts.share(row["sell_dominance_percentile"]),
                    parts.price(row["close_price"]),
                    parts.source(row),
                    parts.share(row["coverage_ratio"]),
                    parts.words(row["verdict"]),
                ]
                for row in reversed(bars[-7:])
            ],
        )
        + parts.proof(
            content,
            [("fct_net_taker_volume_daily", name) for name in ("net_taker_usd", "close_price", "flow_source")]
            + [("fct_taker_spike_ranks", name) for name in ("is_event", "event_rank")],
            window=f"UTC days, {bars[0]['trade_date']} to {bars[-1]['trade_date']}; the chart shows the period "
            "chosen above. An event is ranked among the events of its own trailing window.",
            source="<code>fct_net_taker_volume_daily</code>, <code>fct_taker_spike_ranks</code>; bars from "
            f"{_sources(bars)}.",
            coverage=_covered(bars),
        )
    )


def _dominance(key: str, market: MarketContent, content: ReportContent) -> str:
    ranked = [row for row in market.daily if row["sell_dominance_percentile"] is not None]
    if not ranked:
        return parts.empty(
            "No day of this market has a percentile yet: <code>fct_taker_dominance_daily</code> ranks a day once "
            "95 % of its trailing 730 days are covered."
        )
    top = [row for row in ranked if row["sell_dominance_percentile"] >= 0.99]
    bottom = [row for row in ranked if row["sell_dominance_percentile"] <= 0.01]
    last = ranked[-1]
    outermost = f"{len(top)} of {parts.day_count(len(ranked))} are in the top hundredth, {len(bottom)} in the lowest."
    said = (
        f"Sell dominance percentile of {market.market_id}. {outermost} The latest, {last['trade_date']}: "
        f"{parts.share(last['sell_dominance_percentile'])}."
    )
    extreme = sorted([*top, *bottom], key=lambda row: row["trade_date"], reverse=True)
    return (
        parts.keys(
            [
                (charts.SELL, "▼", "99 % or more: among the days takers sold the largest share"),
                (charts.BUY, "▲", "1 % or less: among the days they bought the largest share"),
                (charts.QUIET, "•", "any other day"),
            ]
        )
        + parts.figure(
            key,
            "dominance",
            said,
            f"One mark per UTC day: share of the other days of its trailing 730 with a smaller sell ratio. {outermost}",
        )
        + (
            parts.table(
                f"{market.market_id}: days in the outermost hundredths, newest first, {min(10, len(extreme))} of "
                f"{len(extreme)}",
                ["UTC day", "Side", "#Taker sell ratio", "#Sell percentile", "#Window coverage"],
                [
                    [
                        str(row["trade_date"]),
                        {"bearish": "selling", "bullish": "buying", None: "–"}[row["side"]],
                        parts.number(row["taker_sell_ratio"], 4),
                        parts.share(row["sell_dominance_percentile"]),
                        parts.share(row["window_coverage_ratio"]),
                    ]
                    for row in extreme[:10]
                ],
            )
            if extreme
            else ""
        )
        + parts.proof(
            content,
            [("fct_taker_dominance_daily", name) for name in ("taker_sell_ratio", "sell_dominance_percentile")],
            window=f"The trailing 730 days of each day; days {ranked[0]['trade_date']} to {last['trade_date']} "
            "have one.",
            source=f"<code>fct_taker_dominance_daily</code>; bars from {_sources(ranked)}.",
            coverage=f"Windows are covered {parts.share(min(row['window_coverage_ratio'] for row in ranked))} or "
            "more; below 95 % there is no percentile.",
        )
    )


def _liquidations(key: str, market: MarketContent, content: ReportContent) -> str:
    asked = [row for row in market.daily if row["liquidations_coverage_ratio"] is not None]
    if not asked:
        return parts.empty(
            f"There are no liquidations of {escape(market.market_id)}: <code>fct_liquidations_daily</code> holds no "
            "day of it. Venues stopped publishing them in their archives, and nobody listened to their feed."
        )
    known = [row for row in asked if row["long_usd"] is not None]
    longs, shorts = (sum((row[name] for row in known), Decimal(0)) for name in ("long_usd", "short_usd"))
    absent = len(asked) - len(known)
    said = (
        f"Liquidations of {market.market_id} on {parts.day_count(len(known))}: longs at least {parts.usd(longs)} USD, "
        f"shorts at least {parts.usd(shorts)} USD."
        + (f" Nothing is known of {parts.day_count(absent)}." if absent else "")
    )
    largest = sorted(known, key=lambda row: (row["long_usd"] + row["short_usd"], row["trade_date"]), reverse=True)[:7]
    return (
        parts.keys(
            [
                (charts.BUY, "", "shorts liquidated (up)"),
                (charts.SELL, "", "longs liquidated (down)"),
                ("", "×", "a day that nothing is known of"),
            ]
        )
        + parts.figure(key, "liquidations", said, f"USD per UTC day, lower bounds. {said}")
        + parts.table(
            f"{market.market_id}: the days of most liquidations",
            ["UTC day", "#Longs, USD", "#Shorts, USD", "#Orders", "#Coverage"],
            [
                [
                    str(row["trade_date"]),
                    parts.usd(row["long_usd"]),
                    parts.usd(row["short_usd"]),
                    parts.whole(row["order_count"]),
                    parts.share(row["liquidations_coverage_ratio"]),
                ]
                for row in largest
            ],
        )
        + parts.proof(
            content,
            [("fct_liquidations_daily", name) for name in ("long_usd", "short_usd", "is_lower_bound")],
            window=f"UTC days, {asked[0]['trade_date']} to {asked[-1]['trade_date']}.",
            source="<code>fct_liquidations_daily</code>, from the venue's archived liquidation orders, or its feed.",
            coverage=f"Of {len(known):,} of {len(asked):,} days something is known; the table has the share of each. "
            "A total is a lower bound, unless the feed carries every order and all of the day was heard.",
        )
    )


def _study(key: str, market: MarketContent, content: ReportContent) -> str:
    if not market.study:
        return parts.empty(
            "<code>agg_spike_event_study</code> is empty for this market: there is no ranked event yet whose next "
            "days are known."
        )
    figures = "".join(
        f"<h4>{title}</h4>"
        + parts.figure(
            key,
            side,
            f"Returns of the contrarian position 1, 3, 7, 14 and 30 days after {side} events of "
            f"{market.market_id}, and their medians against those of all days; the numbers are in the table below.",
            caption,
        )
        for side, title, caption in (
            (
                "bearish",
                "Long after bearish spikes",
                "Each dot is one event; above zero, going against the crowd gained.",
            ),
            (
                "bullish",
                "Short after bullish spikes",
                "Each dot is one event; above zero, going against the crowd gained.",
            ),
        )
    )
    conclusive = [row for row in market.study if row["is_conclusive"]]
    return (
        "<p>“Historically, price moves against the crowd”: a number, beside what any other day would have given, "
        f"or no conclusion. {len(conclusive):,} of {len(market.study):,} combinations of definition, side and horizon "
        "have ten events or more; from fewer nothing can be concluded, whatever the chart looks like.</p>"
        + parts.keys(
            [
                ("", "━", "median after the events"),
                ("", "◇", "median of all days: the null"),
                (charts.SELL, "•", "one bearish event"),
                (charts.BUY, "•", "one bullish event"),
            ]
        )
        + figures
        + parts.table(
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
                    parts.code(row["definition_id"]),
                    row["side"],
                    parts.whole(row["horizon_days"]),
                    parts.whole(row["sample_size"]),
                    parts.share(row["hit_rate"], 1),
                    parts.share(row["baseline_hit_rate"], 1),
                    parts.change(row["median_return"]),
                    parts.change(row["baseline_median"]),
                    parts.change(row["mean_return"]),
                    parts.change(row["baseline_mean"]),
                    parts.number(row["p_value"], 3),
                    parts.number(row["p_value_when_known"], 3),
                ]
                for row in market.study
            ],
            definitions=[str(row["definition_id"]) for row in market.study],
            none="Under this definition no event has a known outcome yet.",
            tall=True,
        )
        + parts.in_words(
            "The same in words, with what can be concluded",
            [
                (
                    str(row["definition_id"]),
                    f"{row['side']}, {parts.day_count(row['horizon_days'])}. {row['conclusion']}",
                )
                for row in market.study
            ],
            filtered=True,
        )
        + parts.proof(
            content,
            [
                ("agg_spike_event_study", name)
                for name in (
                    "sample_size",
                    "hit_rate",
                    "baseline_hit_rate",
                    "baseline_median",
                    "p_value",
                    "p_value_when_known",
                )
            ]
            + [("fct_spike_forward_returns", name) for name in ("entry_price", "forward_return", "return_when_known")],
            window="1, 3, 7, 14 and 30 days from the entry; events and null are of the same market and period.",
            source="<code>agg_spike_event_study</code>, <code>fct_spike_forward_returns</code>; prices are those "
            "of the bars.",
            coverage="Only events whose horizon has passed, with both prices known, are counted.",
        )
    )


def _completeness(key: str, market: MarketContent, content: ReportContent) -> str:
    if not market.daily:
        return parts.empty("There is no day to show.")
    if market.facts.get("contract_type") == "aggregate":
        covered = _covered([row for row in market.daily if row["coverage_ratio"] is not None])
        return parts.empty(
            "A sum over venues has no sources of its own: each of its markets says what its bars stand on, and a bar "
            f"is covered as its least covered market is. {covered}"
        )
    days = rows.calendar_days(market)
    covers, verdicts = (parts.counted(row[name] for row in days) for name in ("cover", "verdict"))
    odd = [
        row
        for row in market.daily
        if row["verdict"] in ("trades_incomplete", "trades_implausible", "conflict")
        or row["interval_verdict"] == "conflict"
        or row["coverage_ratio"] is None
        or row["coverage_ratio"] < 1
    ]
    told = ", ".join(f"{parts.words(name)} {count:,}" for name, count in verdicts.items())
    covered = ", ".join(f"{name} {count:,}" for name, count in covers.items())
    return (
        "<h4>Do trades and the venue's own bars agree?</h4>"
        + parts.keys(
            [
                (colour, sign, f"{parts.words(name)}: {parts.day_count(verdicts[name])}")
                for name, (colour, sign) in charts.VERDICTS.items()
                if name in verdicts
            ],
            cells=True,
        )
        + parts.figure(
            key,
            "verdict",
            f"Calendar of the reconciliation of {market.market_id}, one cell per day: {told}.",
            "One cell per UTC day: a column per week, Monday on top.",
        )
        + "<h4>How much of each day is there?</h4>"
        + parts.keys(
            [
                (colour, sign, f"{name}: {parts.day_count(covers[name])}")
                for name, (colour, sign) in charts.COVERAGES.items()
                if name in covers
            ],
            cells=True,
        )
        + parts.figure(
            key,
            "cover",
            f"Calendar of the coverage of the daily bars of {market.market_id}: {covered}.",
            "One cell per UTC day: share of the day's bar that is proven to be there.",
        )
        + (
            parts.table(
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
                        parts.words(row["verdict"]),
                        parts.usd(row["difference_usd"]),
                        parts.words(row["interval_verdict"]),
                        parts.source(row),
                        parts.share(row["coverage_ratio"]),
                    ]
                    for row in reversed(odd[-12:])
                ],
            )
            if odd
            else "<p>No day of this market is incomplete or contradicted.</p>"
        )
        + parts.proof(
            content,
            [("fct_flow_reconciliation_daily", name) for name in ("verdict", "difference_usd", "interval_verdict")]
            + [("fct_net_taker_volume_daily", "coverage_ratio")],
            window=f"UTC days, {market.daily[0]['trade_date']} to {market.daily[-1]['trade_date']}, all of them "
            "whatever period is chosen.",
            source="<code>fct_flow_reconciliation_daily</code>, <code>fct_net_taker_volume_daily</code>.",
            coverage=f"{_covered([row for row in market.daily if row['coverage_ratio'] is not None])}",
        )
    )


def _sources(rows: Sequence[Row]) -> str:
    counts = parts.counted(row["flow_source"] for row in rows if row["flow_source"])
    return " and ".join(f"{source} on {parts.day_count(count)}" for source, count in counts.items()) or "none"


def _covered(rows: Sequence[Row]) -> str:
    short = [row for row in rows if row["coverage_ratio"] < 1]
    if not short:
        return f"All {len(rows):,} days are covered in full."
    lowest = min(short, key=lambda row: (row["coverage_ratio"], row["trade_date"]))
    return (
        f"{len(rows) - len(short):,} of {len(rows):,} days are covered in full; the least is "
        f"{parts.share(lowest['coverage_ratio'])} on {lowest['trade_date']}."
    )
