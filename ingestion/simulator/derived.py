"""What else is published of the model: klines, funding, metrics, liquidations.

Belongs here: their values and columns.
Does not: trades (`ingestion.simulator.trades`), which periods are published (`ingestion.simulator.simulated`).

On days with trades the klines are sums of them; on other days they are the model's own. Linear quote volume is the
exact sum of price times quantity, inverse volume the exact number of contracts. An inverse hour's base volume is the
exact sum of contracts * 100 / price, rounded half up to 8 decimals once per hour (and once for its bought part);
`base_qty` of the trades file is rounded per trade, so its sum may differ in the last digits. Bars of 4h and 1d are sums
of the published hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np

from ingestion.domain.datasets import KLINE_INTERVALS
from ingestion.domain.periods import Period
from ingestion.simulator.archive_files import Column, CsvZip, archive_key, csv_text, epoch_ms
from ingestion.simulator.model import EPOCH, HOUR_MS, Flags, Ints, Market, base_parts, generator_of, rounded_base

_KLINE_HEADER: Final = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
_FUNDING_HEADER: Final = "calc_time,funding_interval_hours,last_funding_rate"
_METRICS_HEADER: Final = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
_LIQUIDATION_HEADER: Final = (
    "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,"
    "last_fill_quantity,accumulated_fill_quantity"
)


def write_klines(out: Path, market: Market, periods: Sequence[Period]) -> list[int]:
    """Every interval of every period (days or months)."""
    return [_write_bars(out, market, *pair) for pair in product(periods, KLINE_INTERVALS.items())]


def _write_bars(out: Path, market: Market, period: Period, interval: tuple[str, int]) -> int:
    name, hours = interval
    listing = market.listing
    bars = market.bars.hours(market.hours_of(period)).coarser(hours)
    opens_ms = epoch_ms(market.days_of(period)[0]) + np.arange(bars.open.size) * hours * HOUR_MS
    file = CsvZip(out, archive_key(listing, "klines", period, name), _KLINE_HEADER)
    prices = [Column(values, 1) for values in (bars.open, bars.high, bars.low, bars.close)]
    file.add(
        [
            Column(opens_ms),
            *prices,
            Column(bars.volume, listing.lot_scale),
            Column(opens_ms + hours * HOUR_MS - 1),
            Column(bars.quote, listing.quote_scale),
            Column(bars.count),
            Column(bars.buy_volume, listing.lot_scale),
            Column(bars.buy_quote, listing.quote_scale),
            Column(np.zeros(bars.open.size, dtype=np.int64)),
        ]
    )
    return file.close()


def write_funding(out: Path, market: Market, month: Period) -> list[int]:
    """Three fundings a day: near the usual 0.01 %, less after falls."""
    listing, hours = market.listing, market.hours_of(month)
    recent = np.convolve(market.hourly_return, np.ones(72))[hours.start : hours.stop : 8]
    times, rates = [], []
    for index, day in enumerate(market.days_of(month)):
        generator = generator_of(market.arguments.seed, "funding", listing.drawn_as, (day - EPOCH).days)
        times.append(epoch_ms(day) + np.arange(3) * 8 * HOUR_MS + generator.integers(0, 15, 3))
        rates.append(0.00006 + 0.0015 * recent[index * 3 : index * 3 + 3] + 0.00004 * generator.standard_normal(3))
    published = np.rint(np.clip(np.concatenate(rates), -0.003, 0.003) * 1e8).astype(np.int64)
    file = CsvZip(out, archive_key(listing, "fundingRate", month), _FUNDING_HEADER)
    file.add([Column(np.concatenate(times)), Column(np.full(recent.size, 8)), Column(published, 8)])
    return [file.close()]


def write_metrics(out: Path, market: Market, month: Period) -> list[int]:
    """Open interest and ratios every five minutes, labelled with the start of the five minutes, a file per day.

    They follow the model's hours and are no sums of the trades. The inverse market leaves three ratios empty, as the
    venue does.
    """
    listing, bars, hours = market.listing, market.bars, market.hours_of(month)
    days = market.days_of(month)
    of_day = 24 * 12
    seed = market.arguments.seed
    drawn = [generator_of(seed, "metrics", listing.drawn_as, (day - EPOCH).days) for day in days]
    noise = np.stack([each.standard_normal((5, of_day)) for each in drawn], axis=1)
    slow = 0.002 * np.cumsum(noise[1:4], axis=2).reshape(3, -1)
    rows = len(days) * of_day
    of_hour = np.repeat(np.arange(hours.start, hours.stop), 12)
    twelfth = np.arange(rows) % 12
    ticks = (bars.open[of_hour] * (12 - twelfth) + bars.close[of_hour] * twelfth) // 12
    interest = np.rint(market.open_interest[of_hour] * (1 + 0.001 * noise[0].ravel())).astype(np.int64)
    if listing.inverse:
        value, interest_units = rounded_base(*base_parts(interest, ticks)), interest * 10**8
    else:
        value, interest_units = interest * ticks * 10**4, interest * 10**5
    ratios = [np.rint(level * np.exp(slow[n]) * 1e8).astype(np.int64) for n, level in enumerate((1.4, 1.2, 1.6))]
    taker = bars.buy_volume[of_hour] / (bars.volume[of_hour] - bars.buy_volume[of_hour])
    columns = [
        Column(epoch_ms(days[0]) // 1000 + 300 * np.arange(rows), is_clock=True),
        Column.repeated(listing.symbol, rows),
        Column(interest_units, 8),
        Column(value, 8),
        *(Column.repeated("", rows) if listing.inverse else Column(ratio, 8) for ratio in ratios),
        Column(np.rint(taker * np.exp(0.25 * noise[4].ravel()) * 1e8).astype(np.int64), 8),
    ]
    # Formatted a month at a time and cut into days at their last line's end.
    text = memoryview(csv_text([columns]))
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n"))[of_day - 1 :: of_day] + 1
    sizes = []
    for day, start, end in zip(days, [0, *ends[:-1]], ends, strict=True):
        file = CsvZip(out, archive_key(listing, "metrics", Period.of_day(day)), _METRICS_HEADER)
        file.add_text(text[start:end])
        sizes.append(file.close())
    return sizes


@dataclass(frozen=True)
class ForcedOrders:
    """The forced orders of a day, at most one per second. `time`: milliseconds since 1970; `average`, `limit`: ticks.

    `of_hour`: hour of the day. `kept`: the places of those that exist: an order is known by its side, quantity and
    limit, and no two of a day share them.
    """

    time: Ints
    is_sell: Flags
    lots: Ints
    average: Ints
    limit: Ints
    kept: Ints


def forced_orders(market: Market, day: date, generator: np.random.Generator) -> ForcedOrders:
    """In cascades when the price falls."""
    hours = market.hours_of(Period.of_day(day))
    moves = market.hourly_return[hours]
    orders = np.clip(2 + (np.abs(moves) / 0.004) ** 1.8 * 8, 2, 900).astype(np.int64)
    of_hour = np.repeat(np.arange(24), orders)
    seconds = [np.sort(generator.permutation(3600)[:count]) for count in orders.tolist()]
    within_hour = np.concatenate(seconds) * 1000 + generator.integers(0, 800, of_hour.size)
    time = epoch_ms(day) + of_hour * HOUR_MS + within_hour
    is_sell = generator.random(of_hour.size) < 0.5 - 0.42 * np.tanh(moves[of_hour] / 0.004)

    bars = market.bars.hours(hours)
    along = within_hour / HOUR_MS
    average = np.rint(bars.open[of_hour] * (1 - along) + bars.close[of_hour] * along).astype(np.int64)
    distance = (average * (0.003 + 0.005 * generator.random(of_hour.size))).astype(np.int64)
    limit = average + np.where(is_sell, -distance, distance)
    spread = np.exp(1.6 * generator.standard_normal(of_hour.size) + 40 * np.abs(moves[of_hour]))
    lots = 1 + (market.listing.liquidated * spread).astype(np.int64)
    identity = np.stack([is_sell.astype(np.int64), lots, limit])
    kept = np.sort(np.unique(identity, axis=1, return_index=True)[1])
    return ForcedOrders(time, is_sell, lots, average, limit, kept)


def generator_of_liquidations(market: Market, day: date) -> np.random.Generator:
    return generator_of(market.arguments.seed, "liquidations", market.listing.drawn_as, (day - EPOCH).days)


def write_liquidations(out: Path, market: Market, day: date) -> list[int]:
    """Forced orders of a day; every row stands twice.

    An order filled in parts has a row per fill with a growing accumulated quantity, or, as often at the venue, only its
    last row.
    """
    listing, period = market.listing, Period.of_day(day)
    generator = generator_of_liquidations(market, day)
    drawn = forced_orders(market, day, generator)
    order, number, of, rows = _fills(generator, drawn.lots, drawn.kept)
    ordered = drawn.lots[order]
    accumulated, before = ordered * (number + 1) // of, ordered * number // of
    is_last = number + 1 == of
    worse = np.where(drawn.is_sell[order], of - 1 - number, number + 1 - of)

    scale = listing.lot_scale
    file = CsvZip(out, archive_key(listing, "liquidationSnapshot", period), _LIQUIDATION_HEADER)
    file.add(
        [
            Column(drawn.time[order] + number * 37),
            Column(drawn.is_sell[order].astype(np.int64), words=("BUY", "SELL")),
            Column.repeated("LIMIT", order.size),
            Column.repeated("IOC", order.size),
            Column(ordered, scale),
            Column(drawn.limit[order], 1),
            Column(drawn.average[order] + worse, 1),
            Column(is_last.astype(np.int64), words=("PARTIALLY_FILLED", "FILLED")),
            Column(accumulated - before, scale),
            Column(accumulated, scale),
        ],
        rows,
    )
    return [file.close()]


def _fills(generator: np.random.Generator, lots: Ints, kept: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """The fills of the orders `kept`: their order, number within it, number of fills, and which rows are published."""
    fills = np.minimum(1 + generator.choice(4, kept.size, p=[0.70, 0.15, 0.10, 0.05]), lots[kept])
    order = np.repeat(kept, fills)
    number = np.arange(order.size) - np.repeat(np.cumsum(fills) - fills, fills)
    of = np.repeat(fills, fills)
    shown = (number + 1 == of) | np.repeat(generator.random(kept.size) < 0.7, fills)
    return order, number, of, np.repeat(np.flatnonzero(shown), 2)
