"""Single trades of the model: what is drawn for a day, and the two files that it is published as.

Belongs here: drawing trades, aggregates, what the files of a day lack or repeat on purpose, and the hours that the
trades sum to.
Does not: the model of an hour (`ingestion.simulator.model`), which days have planned defects
(`ingestion.simulator.simulated`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np

from ingestion.domain.periods import Period
from ingestion.simulator.archive_files import Column, CsvZip, archive_key, epoch_ms
from ingestion.simulator.model import (
    EPOCH,
    HOUR_MS,
    Flags,
    Floats,
    Ints,
    Market,
    base_parts,
    generator_of,
    rounded_base,
)

_AGG_HEADER: Final = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"


class DefectKind(StrEnum):
    DUPLICATED_BLOCK = "duplicated block"
    MISSING_HOUR = "missing hour"
    HEADERLESS = "headerless file"
    ABSENT_DAY = "absent day"
    REPLACED_FILE = "replaced file"


_IS_BUYER_MAKER: Final = ("true", "false")  # by whether the taker bought
# Times of day that the planned defects cut out or double, in milliseconds.
_MISSING_SPAN: Final = (14 * HOUR_MS, 15 * HOUR_MS)
_DOUBLED_SPAN: Final = (9 * HOUR_MS, 9 * HOUR_MS + HOUR_MS // 2)
_FIRST_EDITION_LACKS: Final = (10 * HOUR_MS + HOUR_MS // 2, 11 * HOUR_MS)


@dataclass(frozen=True)
class Edition:
    """How the files of a day differ from what happened. Spans are in milliseconds of the day."""

    lacks: tuple[int, int] | None = None
    doubles: tuple[int, int] | None = None
    header: bool = True
    exists: bool = True

    def rows(self, time_of_day: Ints) -> Ints:
        """Which rows the file has, in its order."""
        times = np.ones(time_of_day.size, dtype=np.int64)
        for span, count in ((self.lacks, 0), (self.doubles, 2)):
            if span is not None:
                times[(time_of_day >= span[0]) & (time_of_day < span[1])] = count
        return np.repeat(np.arange(time_of_day.size), times)


EDITIONS: Final = {
    DefectKind.DUPLICATED_BLOCK: Edition(doubles=_DOUBLED_SPAN),
    DefectKind.MISSING_HOUR: Edition(lacks=_MISSING_SPAN),
    DefectKind.HEADERLESS: Edition(header=False),
    DefectKind.ABSENT_DAY: Edition(exists=False),
    DefectKind.REPLACED_FILE: Edition(lacks=_FIRST_EDITION_LACKS),
}


@dataclass(frozen=True)
class _HourTrades:
    """The trades of one hour. Of aggregates: price, is_buy, time_of_day, size (trades in it). Of trades: lots."""

    price: Ints
    is_buy: Flags
    time_of_day: Ints
    size: Ints
    lots: Ints

    @property
    def first(self) -> Ints:
        """Index of the first trade of each aggregate."""
        return np.cumsum(self.size) - self.size


def _draw_trades(market: Market, hour: int, generator: np.random.Generator) -> _HourTrades:
    bars = market.bars
    aggs, trades = int(market.aggs[hour]), int(market.trades[hour])
    volume, bought = int(bars.volume[hour]), int(bars.buy_volume[hour])
    time_of_day = np.sort(generator.integers(0, HOUR_MS, aggs)) + hour % 24 * HOUR_MS

    is_buy = generator.random(aggs) < bought / volume
    is_buy[0], is_buy[-1] = True, False  # both sides trade in every hour
    size = 1 + np.bincount(generator.integers(0, aggs, trades - aggs), minlength=aggs)

    # A bridge from the hour's open to its close: a taker's buy is filled at the ask, a tick above the bid.
    position = np.linspace(0.0, 1.0, aggs)
    walk = np.cumsum(generator.standard_normal(aggs)) / np.sqrt(aggs)
    opened, closed = float(bars.open[hour]), float(bars.close[hour])
    reach = 0.35 * float(bars.high[hour] - bars.low[hour])
    middle = opened + (closed - opened) * position + reach * (walk - walk[0] - (walk[-1] - walk[0]) * position)
    bid = np.clip(np.rint(middle), bars.low[hour], bars.high[hour] - 1).astype(np.int64)

    lots = np.empty(trades, dtype=np.int64)
    weight = np.exp(1.5 * generator.standard_normal(trades))
    of_buy = np.repeat(is_buy, size)
    for side, total in ((of_buy, bought), (~of_buy, volume - bought)):
        lots[side] = _share_out(total, weight[side])
    return _HourTrades(bid + is_buy, is_buy, time_of_day, size.astype(np.int64), lots)


def _share_out(total: int, weight: Floats) -> Ints:
    """`total` lots in parts that go with `weight`: each at least one, together exactly `total`."""
    spare = total - weight.size
    reached = np.cumsum(weight)
    ends = np.minimum(np.floor(reached / reached[-1] * spare).astype(np.int64), spare)
    ends[-1] = spare
    parts: Ints = np.diff(ends, prepend=0) + 1
    return parts


def write_trades(out: Path, market: Market, day: date, edition: Edition) -> list[int]:
    """Draw a day's trades, write both of its files, and put the hours they sum to in the market's bars.

    Hour by hour, so that memory does not grow with the day.
    """
    listing, period = market.listing, Period.of_day(day)
    hours = market.hours_of(period)
    starts_ms = epoch_ms(day)
    generator = generator_of(market.arguments.seed, "trades", listing.drawn_as, (day - EPOCH).days)
    files = [
        CsvZip(out, archive_key(listing, dataset, period), header if edition.header else None)
        for dataset, header in (("aggTrades", _AGG_HEADER), ("trades", listing.trades_header))
    ]
    for hour in range(hours.start, hours.stop):
        drawn = _draw_trades(market, hour, generator)
        agg_lots = np.add.reduceat(drawn.lots, drawn.first)
        _fill_bar(market, hour, drawn, agg_lots)
        if edition.exists:
            rows = edition.rows(drawn.time_of_day)
            files[0].add(_agg_columns(market, hour, drawn, agg_lots, starts_ms), rows)
            aggregate = np.repeat(np.arange(drawn.size.size), drawn.size)
            rows = edition.rows(drawn.time_of_day[aggregate])
            files[1].add(_trade_columns(market, hour, drawn, aggregate, starts_ms), rows)
    return [file.close() for file in files] if edition.exists else []


def _fill_bar(market: Market, hour: int, drawn: _HourTrades, lots: Ints) -> None:
    bars = market.bars
    bars.open[hour], bars.close[hour] = drawn.price[0], drawn.price[-1]
    bars.high[hour], bars.low[hour] = drawn.price.max(), drawn.price.min()
    if market.listing.inverse:
        parts = base_parts(lots, drawn.price)
        every = [part.sum(keepdims=True) for part in parts]
        bought = [part[drawn.is_buy].sum(keepdims=True) for part in parts]
        bars.quote[hour], bars.buy_quote[hour] = rounded_base(*every)[0], rounded_base(*bought)[0]
    else:
        notional = lots * drawn.price
        bars.quote[hour], bars.buy_quote[hour] = notional.sum(), notional[drawn.is_buy].sum()


def _agg_columns(market: Market, hour: int, drawn: _HourTrades, lots: Ints, starts_ms: int) -> list[Column]:
    first_id = int(market.first_trade_id[hour]) + drawn.first
    return [
        Column(int(market.first_agg_id[hour]) + np.arange(lots.size)),
        Column(drawn.price, 1),
        Column(lots, market.listing.lot_scale),
        Column(first_id),
        Column(first_id + drawn.size - 1),
        Column(starts_ms + drawn.time_of_day),
        Column(drawn.is_buy.astype(np.int64), words=_IS_BUYER_MAKER),
    ]


def _trade_columns(market: Market, hour: int, drawn: _HourTrades, aggregate: Ints, starts_ms: int) -> list[Column]:
    price, lots, listing = drawn.price[aggregate], drawn.lots, market.listing
    return [
        Column(int(market.first_trade_id[hour]) + np.arange(lots.size)),
        Column(price, 1),
        Column(lots, listing.lot_scale),
        Column(rounded_base(*base_parts(lots, price)) if listing.inverse else lots * price, listing.quote_scale),
        Column(starts_ms + drawn.time_of_day[aggregate]),
        Column(drawn.is_buy[aggregate].astype(np.int64), words=_IS_BUYER_MAKER),
    ]
