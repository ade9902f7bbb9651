"""The market model: simulated markets of two assets on two exchanges, hour by hour.

Belongs here: the arguments of a simulation, prices and flow of each hour, integer arithmetic.
Does not: which markets there are and their planned crashes (`ingestion.simulator.listings`), single trades
(`ingestion.simulator.trades`), what else is published of the model (`ingestion.simulator.derived`), files
(`ingestion.simulator.archive_files`).

* Every price, quantity and sum is an integer of the venue's smallest unit from the moment it is drawn. Floats shape the
  model and are never summed into a published amount. `_MAX_HOUR_USD` keeps every product inside 64 bits.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from ingestion.domain.periods import Period
from ingestion.simulator.listings import BITCOIN, CONTRACT_USD, Asset, Crash, Listing

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
MAX_DAYS: Final = 1500
EDITION: Final = 4  # of the model: part of the marker, so that an archive of an older model is rewritten
HOUR_MS: Final = 3_600_000
EPOCH: Final = date(1970, 1, 1)
_MAX_HOUR_USD: Final = 6e9


@dataclass(frozen=True)
class Arguments:
    last_day: date
    days: int
    trades_days: int
    rows_per_day: int
    seed: int

    @property
    def first_day(self) -> date:
        return self.last_day - timedelta(days=self.days - 1)

    @property
    def first_trades_day(self) -> date:
        return self.last_day - timedelta(days=self.trades_days - 1)

    def as_json(self) -> dict[str, object]:
        return {
            "edition": EDITION,
            "last_day": self.last_day.isoformat(),
            "days": self.days,
            "trades_days": self.trades_days,
            "rows_per_day": self.rows_per_day,
            "seed": self.seed,
        }


# Share of a crash day's net flow by hour: 70 % within 16:00-20:00, one 4h bar; no other 4h bar of it has over 12 %.
_CRASH_PROFILE: Final = np.array([0.10 / 12] * 12 + [0.02] * 4 + [0.15, 0.22, 0.20, 0.13] + [0.03] * 4)
_ORDINARY_HOUR_NET_USD: Final = 0.16e9
_ORDINARY_DAY_NET_USD: Final = 1.05e9
# Trend of the price by days before the last one; the path stays within 12 % of it, hence within 60-120 thousand.
_TREND_DAYS: Final = np.array([1500, 1100, 760, 640, 520, 410, 300, 170, 116, 60, 0], dtype=np.float64)
_TREND_PRICE: Final = np.array([70, 69, 71, 69, 84, 98, 86, 104, 106, 92, 80], dtype=np.float64) * 1000


@dataclass(frozen=True)
class _Bars:
    """Published hours: prices in ticks of 0.1, volumes in lots, quotes in units of 10^-quote_scale."""

    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    quote: Ints
    count: Ints
    buy_volume: Ints
    buy_quote: Ints

    def hours(self, span: slice) -> _Bars:
        """Views, so that a day's bars can be filled in place."""
        return _Bars(**{name: getattr(self, name)[span] for name in self.__dataclass_fields__})

    def coarser(self, hours: int) -> _Bars:
        """Bars of `hours` hours; their number must divide the bars held."""
        shape = (-1, hours)
        total = {
            name: getattr(self, name).reshape(shape).sum(axis=1)
            for name in ("volume", "quote", "count", "buy_volume", "buy_quote")
        }
        return _Bars(
            open=self.open[::hours],
            high=self.high.reshape(shape).max(axis=1),
            low=self.low.reshape(shape).min(axis=1),
            close=self.close[hours - 1 :: hours],
            **total,
        )


@dataclass(frozen=True)
class Market:
    """One market's model, hour by hour over MAX_DAYS days that end with the last day, whatever part of them is written.

    `bars` hold the modelled flow; writing a day's trades replaces its bars by the sums of those trades.
    `aggs`, `trades`: rows per hour; `first_agg_id`, `first_trade_id`: ids are contiguous over days.
    """

    listing: Listing
    arguments: Arguments
    bars: _Bars
    aggs: Ints
    trades: Ints
    first_agg_id: Ints
    first_trade_id: Ints
    hourly_return: Floats
    open_interest: Ints

    def days_of(self, period: Period) -> list[date]:
        """The period's days, cut to those that are written."""
        return [day for day in period.days() if self.arguments.first_day <= day <= self.arguments.last_day]

    def hours_of(self, period: Period) -> slice:
        """Index of the hours of `days_of(period)`."""
        days = self.days_of(period)
        zero = self.arguments.last_day - timedelta(days=MAX_DAYS - 1)
        return slice((days[0] - zero).days * 24, ((days[-1] - zero).days + 1) * 24)


def generator_of(seed: int, purpose: str, symbol: str, day: int) -> np.random.Generator:
    """The randomness of one purpose, market and day (days since 1970): independent of every other day's."""
    entropy = [seed, zlib.crc32(purpose.encode()), zlib.crc32(symbol.encode()), day]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def _model_days(arguments: Arguments) -> range:
    last = (arguments.last_day - EPOCH).days
    return range(last - MAX_DAYS + 1, last + 1)


def _by_hour(crashes: Sequence[Crash], crash_value: Callable[[Crash], Floats]) -> Floats:
    """`crash_value` on the hours of crash days, 0 elsewhere."""
    hours = np.zeros((MAX_DAYS, 24))
    for crash in crashes:
        hours[MAX_DAYS - 1 - crash.days_before] = crash_value(crash)
    return hours


def _rebounds(crashes: Sequence[Crash]) -> Floats:
    """What the log price gains back, evenly over the day after each crash."""
    hours = np.zeros((MAX_DAYS, 24))
    for crash in crashes:
        if crash.days_before:
            hours[MAX_DAYS - crash.days_before] = crash.rebound / 24
    return hours


@dataclass(frozen=True)
class PricePath:
    """What the markets of an asset share, in arrays of (MAX_DAYS, 24). `shock`: hourly return in units of its
    volatility."""

    asset: Asset
    close: Ints
    step: Floats
    shock: Floats
    log_volatility: Floats
    season: Floats


def _steps(arguments: Arguments, asset: Asset) -> tuple[Floats, Floats]:
    """Standard steps of each day's volatility and of each hour's price; those of bitcoin are part of every other's."""
    daily, hourly = np.empty(MAX_DAYS), np.empty((MAX_DAYS, 24))
    for index, day in enumerate(_model_days(arguments)):
        generator = generator_of(arguments.seed, "path", asset.name, day)
        daily[index] = generator.standard_normal()
        hourly[index] = generator.standard_t(5, 24)
    if asset.follows:
        own = np.sqrt(1 - asset.follows**2)
        of_bitcoin = _steps(arguments, BITCOIN)
        daily, hourly = asset.follows * of_bitcoin[0] + own * daily, asset.follows * of_bitcoin[1] + own * hourly
    return daily, hourly


def draw_path(arguments: Arguments, asset: Asset) -> PricePath:
    daily, hourly = _steps(arguments, asset)
    # Volatility clusters: the log of a day's volatility remembers about a fortnight.
    log_volatility = np.empty(MAX_DAYS)
    level = 0.0
    for index in range(MAX_DAYS):
        level = 0.93 * level + 0.18 * daily[index]
        log_volatility[index] = level
    clock = np.arange(24)
    season = 0.75 + 0.6 * np.exp(-(((clock - 15) / 4.5) ** 2))
    shock = np.clip(hourly / np.sqrt(5 / 3), -4.5, 4.5)
    step = 0.0040 * np.exp(log_volatility)[:, None] * season * np.ones((MAX_DAYS, 24))
    planned = _rebounds(asset.crashes) - _by_hour(asset.crashes, lambda crash: crash.fall * _CRASH_PROFILE)
    moves = (step * shock + planned).ravel()
    # Deviations from the trend fade within weeks, and the tangent keeps them within 12 %.
    deviation = np.empty(moves.size)
    level = 0.0
    for index, move in enumerate(moves.tolist()):
        level = 0.996 * level + move
        deviation[index] = level
    days_before = MAX_DAYS - (np.arange(moves.size) + 1) / 24
    trend = np.interp(-days_before, -_TREND_DAYS, np.log(_TREND_PRICE))
    price = asset.price * np.exp(trend + 0.12 * np.tanh(deviation / 0.12))
    return PricePath(
        asset=asset,
        close=np.rint(10 * price).astype(np.int64).reshape(MAX_DAYS, 24),
        step=step,
        shock=shock + planned / step,
        log_volatility=np.repeat(log_volatility, 24).reshape(MAX_DAYS, 24),
        season=np.broadcast_to(season, (MAX_DAYS, 24)),
    )


def draw_market(listing: Listing, arguments: Arguments, path: PricePath) -> Market:
    """The market's hours: prices, flow in lots, numbers of trades, open interest."""
    noise = np.empty((7, MAX_DAYS, 24))
    tail, uniform, leaning = np.empty((MAX_DAYS, 24)), np.empty((MAX_DAYS, 24)), np.empty(MAX_DAYS)
    for index, day in enumerate(_model_days(arguments)):
        generator = generator_of(arguments.seed, "hours", listing.drawn_as, day)
        noise[:, index] = generator.standard_normal((7, 24))
        tail[index] = generator.standard_t(4, 24)
        uniform[index] = generator.random(24)
        leaning[index] = generator.standard_normal()
    weekday = (np.array(_model_days(arguments)) + 3) % 7
    quiet = np.where(weekday >= 5, -0.45, 0.0)[:, None]

    basis = np.rint(path.close * 0.00008 * noise[0]) if listing.inverse else 0
    close = (path.close + basis).astype(np.int64).ravel()
    open_ = np.concatenate([close[:1], close[:-1]])
    reach = (0.35 * path.step * path.close).ravel()
    high = np.maximum(open_, close) + 2 + (np.abs(noise[1]).ravel() * reach).astype(np.int64)
    low = np.minimum(open_, close) - 2 - (np.abs(noise[2]).ravel() * reach).astype(np.int64)

    usd, net = _flow(listing, path, noise[3], tail, leaning, quiet)
    price = (open_ + close) / 20
    lots_per_usd = 1 / CONTRACT_USD if listing.inverse else 1000 / price
    volume = np.rint(usd * lots_per_usd).astype(np.int64)
    buy = (volume + np.rint(net * lots_per_usd).astype(np.int64)) // 2
    smaller_side = np.minimum(buy, volume - buy)

    busy = (usd / (0.45e9 * listing.share)) ** 0.6
    wanted = arguments.rows_per_day * listing.rows_share / 24 * np.clip(busy, 0.4, 3.0)
    # Every trade takes at least one lot of its side.
    aggs = np.clip(wanted.astype(np.int64), 4, smaller_side // 3)
    trades = np.minimum(aggs + (aggs * (0.4 + 0.4 * uniform.ravel())).astype(np.int64), smaller_side)

    tilt = noise[4:6].reshape(2, -1) * 0.08 * (high - low)
    buy_price, sell_price = (
        np.clip(np.rint((open_ + close) / 2 + t).astype(np.int64), low, high - 1) for t in (tilt[0], tilt[1])
    )
    quote, buy_quote = _quotes(listing, (volume, buy), (buy_price, sell_price), uniform.ravel())
    falls = _by_hour(path.asset.crashes, lambda crash: crash.fall * _CRASH_PROFILE)
    growth = np.cumsum(0.004 * noise[6].ravel() - 1.2 * falls.ravel())
    return Market(
        listing=listing,
        arguments=arguments,
        bars=_Bars(open_, high, low, close, volume, quote, trades.copy(), buy, buy_quote),
        aggs=aggs,
        trades=trades,
        first_agg_id=1_000_000_000 + np.cumsum(aggs) - aggs,
        first_trade_id=2_000_000_000 + np.cumsum(trades) - trades,
        hourly_return=np.log(close / open_),
        open_interest=np.rint(listing.open_interest * np.exp(0.3 * np.tanh(growth))).astype(np.int64),
    )


def _flow(
    listing: Listing, path: PricePath, noise: Floats, tail: Floats, leaning: Floats, quiet: Floats
) -> tuple[Floats, Floats]:
    """How much is traded in each hour, and how much of it net by takers who buy; in USD."""
    excitement = 0.5 * path.log_volatility + 0.3 * np.minimum(np.abs(path.shock), 5) + 0.2 * np.clip(tail, -5, 5)
    usd = 0.60e9 * listing.share * path.season * np.exp(excitement + quiet - 0.2)
    crash_net = _by_hour(path.asset.crashes, lambda crash: crash.net_usd * _CRASH_PROFILE) * listing.share
    usd = np.clip(usd, 0.03e9 * listing.share, 3.5e9 * listing.share)
    usd = np.minimum(np.maximum(usd, 5.5 * np.abs(crash_net)), _MAX_HOUR_USD * listing.share)
    lean = -0.003 + 0.030 * np.clip(path.shock, -4, 4) + 0.02 * noise + 0.022 * leaning[:, None]
    most = _ORDINARY_HOUR_NET_USD * listing.share
    net = np.clip(usd * np.clip(lean, -0.16, 0.16), -most, most)
    excess = np.abs(net.sum(axis=1)) / (_ORDINARY_DAY_NET_USD * listing.share)
    net /= np.maximum(excess, 1.0)[:, None]
    net = np.where(crash_net < 0, crash_net * (1 + 0.03 * np.tanh(noise)), net).ravel()
    return usd.ravel(), net


def _quotes(
    listing: Listing, lots: tuple[Ints, Ints], prices: tuple[Ints, Ints], fraction: Floats
) -> tuple[Ints, Ints]:
    """Quote volume of each hour, and its bought part. `lots`: all and bought; `prices`: mean of bought and sold."""
    (volume, buy), (buy_price, sell_price) = lots, prices
    if listing.inverse:
        buy_quote = rounded_base(*base_parts(buy, buy_price))
        quote = buy_quote + rounded_base(*base_parts(volume - buy, sell_price))
    else:
        # A mean price lies between two ticks: the fraction makes the last digits of a sum of many products.
        buy_quote = buy * buy_price + (buy * fraction).astype(np.int64)
        quote = buy_quote + (volume - buy) * sell_price + ((volume - buy) * (1 - fraction)).astype(np.int64)
    return quote, buy_quote


def base_parts(contracts: Ints, ticks: Ints) -> tuple[Ints, Ints, Ints]:
    """contracts * 100 / price to 24 decimals, in three parts of 8 decimals each: long division that fits 64 bits.

    An hour has at most 3.6 million contracts (`_MAX_HOUR_USD`), so the first product is below 4 * 10^17.
    """
    first, rest = np.divmod(contracts * (CONTRACT_USD * 10 * 10**8), ticks)
    second, rest = np.divmod(rest * 10**8, ticks)
    return first, second, rest * 10**8 // ticks


def rounded_base(first: Ints, second: Ints, third: Ints) -> Ints:
    """Parts (or sums of parts) of `base_parts`, rounded half up to 8 decimals. What a billion parts lose is 10^-15."""
    second = second + third // 10**8
    return first + second // 10**8 + (second % 10**8 >= 5 * 10**7)
