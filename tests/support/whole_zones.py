"""A raw zone in which no table of the warehouse stays empty, small enough to be built by every engine.

Belongs here: its rows, by the stored columns, and the correction that one of its files and one of its days get. Does
not: building it (`tests/dbt/warehouse.py`, `tests/spark/build.py`), what is asserted.

Binance and OKX have bars of a day for five years, so that a window of 730 days is full and more than ten events lie
behind it; two days also have every trade, one has the venues' API alone, and the last day is running. None of the
values is real: prices wander with fractions of eight digits, so that no sum and no quotient is a round number.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from tests.dbt.warehouse import RawFolder, Record

BINANCE, OKX, COIN = "binance_um:BTCUSDT", "okx:BTC-USDT-SWAP", "binance_cm:BTCUSD_PERP"
DAYS = 1800
FIRST = date(2021, 1, 4)
LAST = FIRST + timedelta(days=DAYS - 1)
TRADED = (LAST - timedelta(days=1), LAST)
RECENT = LAST + timedelta(days=1)
EIGHT = Decimal("1e-8")


def whole_zone(root: Path) -> RawFolder:
    """The zone with its index, in `root`."""
    raw = RawFolder(root)
    rng = random.Random("a whole zone")
    for market in (BINANCE, OKX):
        for month, rows in _months(_klines(rng)).items():
            raw.store("klines", market, month, rows, interval="1d")
    for day in TRADED:
        raw.store("aggTrades", BINANCE, day, list(_agg_trades(rng, day)))
        raw.store("aggTrades", COIN, day, list(_agg_trades(rng, day)))
        raw.store("liquidationSnapshot", COIN, day, list(_liquidation_states(rng, day)))
    for day in (FIRST, *TRADED):
        raw.store("metrics", BINANCE, day, list(_metrics(rng, day)))
    raw.store("fundingRate", BINANCE, TRADED[0], _fundings(TRADED[0]))
    raw.store("restKlines", OKX, RECENT, list(_hours(rng, RECENT)), interval="1h")
    raw.store("restTrades", BINANCE, RECENT, list(_recent_trades(rng, RECENT)))
    raw.store("takerRatio", BINANCE, TRADED[1], list(_ratios(rng, TRADED[1])))
    for venue in ("binance_um", "okx"):
        raw.store("liquidations", f"{venue}:ALL", RECENT, list(_liquidations(rng, venue, RECENT)))
        for hour in range(24):
            raw.covered(f"{venue}:ALL", _at(RECENT, hour), 60 if hour else 41, all_orders=venue == "okx")
    raw.store("instruments", "okx:ALL", TRADED[1], _instruments(TRADED[1]))
    raw.defect("quarantined_rows", "aggTrades", BINANCE, TRADED[0], hour_at=_at(TRADED[0], 3), rows=2)
    raw.write_index()
    return raw


def correct(raw: RawFolder) -> None:
    """The archive replaces one day of trades, and withdraws another."""
    rng = random.Random("a correction")
    raw.store("aggTrades", BINANCE, TRADED[1], list(_agg_trades(rng, TRADED[1])))
    raw.absent("aggTrades", COIN, TRADED[0])
    raw.write_index()


def _at(day: date, hour: int = 0, **more: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC) + timedelta(**more)


def _some(rng: random.Random, most: int) -> Decimal:
    """Up to `most`, with eight decimals."""
    return (Decimal(rng.randint(1, most * 10**8)) * EIGHT).quantize(EIGHT)


def _months(rows: Iterator[Record]) -> dict[date, list[Record]]:
    found: dict[date, list[Record]] = {}
    for row in rows:
        found.setdefault(row["opened_at"].date().replace(day=1), []).append(row)
    return found


def _bar(rng: random.Random, opened_at: datetime, hours: int) -> Record:
    low = 20_000 + _some(rng, 300)
    volume, share = _some(rng, 900) * hours, Decimal(rng.randint(300, 700)) / 1000
    price = low + _some(rng, 200)
    return {
        "opened_at": opened_at,
        "closed_at": opened_at + timedelta(hours=hours, milliseconds=-1),
        "open_price": low + _some(rng, 200),
        "high_price": low + 200 + _some(rng, 100),
        "low_price": low,
        "close_price": low + _some(rng, 200),
        "volume": volume.quantize(EIGHT),
        "taker_buy_volume": (volume * share).quantize(EIGHT),
        "quote_volume": (volume * price).quantize(EIGHT),
        "taker_buy_quote_volume": (volume * share * price).quantize(EIGHT),
        "trade_count": rng.randint(1000, 9000) * hours,
    }


def _klines(rng: random.Random) -> Iterator[Record]:
    for n in range(DAYS):
        yield _bar(rng, _at(FIRST + timedelta(days=n)), 24)


def _hours(rng: random.Random, day: date) -> Iterator[Record]:
    for hour in range(20):
        yield _bar(rng, _at(day, hour), 1)


def _agg_trades(rng: random.Random, day: date) -> Iterator[Record]:
    for minute in range(1440):
        number = day.toordinal() * 10_000 + minute * 2
        for n in range(2):
            yield {
                "agg_trade_id": number + n,
                "first_trade_id": (number + n) * 3,
                "last_trade_id": (number + n) * 3 + rng.randint(0, 2),
                "price": 20_100 + _some(rng, 90),
                "quantity": _some(rng, 2) if rng.random() < 0.99 else _some(rng, 400),
                "traded_at": _at(day, minutes=minute, seconds=n * 20),
                "is_buyer_maker": rng.random() < 0.6,
            }


def _recent_trades(rng: random.Random, day: date) -> Iterator[Record]:
    for minute in range(600):
        quantity = _some(rng, 3)
        yield {
            "trade_id": str(10**9 + minute),
            "trade_number": 10**9 + minute,
            "price": 20_100 + _some(rng, 90),
            "quantity": quantity,
            "normal_quantity": quantity,
            "trade_count": 1,
            "traded_at": _at(day, minutes=minute),
            "is_taker_buy": rng.random() < 0.5,
            "execution": "MARKET" if minute % 50 else "ADL",
        }


def _metrics(rng: random.Random, day: date) -> Iterator[Record]:
    for n in range(288):
        held = 50_000 + _some(rng, 500)
        yield {
            "observed_at": _at(day, minutes=5 * n),
            "symbol_name": "BTCUSDT",
            "open_interest": held,
            "open_interest_value": (held * 20_150).quantize(EIGHT),
            "taker_buy_sell_ratio": _ratio(rng),
            "top_trader_account_long_short_ratio": _ratio(rng),
            "top_trader_position_long_short_ratio": _ratio(rng),
            "account_long_short_ratio": _ratio(rng),
        }


def _ratio(rng: random.Random) -> Decimal:
    """With eighteen decimals, as venues report it."""
    return (Decimal(rng.randint(500, 1900)) / 997).quantize(Decimal("1e-18"))


def _fundings(day: date) -> list[Record]:
    first = day.replace(day=1)
    days = [first + timedelta(days=n) for n in range(28) if (first + timedelta(days=n)).month == first.month]
    rates = {0: Decimal("-0.00086415"), 8: Decimal("0.00012345"), 16: Decimal("0.00111105")}
    return [
        {"calculated_at": _at(each, hour), "funding_interval_hours": 8, "funding_rate": rate}
        for each in days
        for hour, rate in rates.items()
    ]


def _ratios(rng: random.Random, day: date) -> Iterator[Record]:
    for hour in range(24):
        buy, sell = _some(rng, 900), _some(rng, 900)
        yield {"observed_at": _at(day, hour), "buy_volume": buy, "sell_volume": sell}


def _liquidation_states(rng: random.Random, day: date) -> Iterator[Record]:
    for n in range(60):
        quantity = _some(rng, 40)
        yield {
            "liquidated_at": _at(day, n % 24, minutes=n % 50),
            "side": "SELL" if n % 3 else "BUY",
            "order_type": "LIMIT",
            "time_in_force": "IOC",
            "original_quantity": quantity,
            "price": 20_100 + _some(rng, 90),
            "average_price": 20_100 + _some(rng, 90),
            "order_status": "FILLED",
            "last_fill_quantity": quantity,
            "accumulated_fill_quantity": quantity,
        }


def _liquidations(rng: random.Random, venue: str, day: date) -> Iterator[Record]:
    symbol = BINANCE.split(":")[1] if venue == "binance_um" else OKX.split(":")[1]
    for n in range(80):
        quantity = _some(rng, 5)
        yield {
            "symbol_name": symbol,
            "liquidated_at": _at(day, n % 24, minutes=n % 60, seconds=n),
            "received_at": _at(day, n % 24, minutes=n % 60, seconds=n + 1),
            "is_long_liquidated": n % 3 == 0,
            "venue_side": "SELL" if n % 3 == 0 else "BUY",
            "price": 20_100 + _some(rng, 90),
            "quantity": quantity,
            "original_quantity": quantity,
            "limit_price": 20_100 + _some(rng, 90),
            "order_status": "FILLED",
            "event_id": f"{venue}-{n}",
            "base_asset": "BTC",
            "quote_asset": "USDT",
            "contract_type": "linear",
            "contract_size": Decimal("0.01") if venue == "okx" else Decimal(1),
            "base_multiplier": 1,
        }


def _instruments(day: date) -> list[Record]:
    return [
        {
            "symbol_name": OKX.split(":")[1],
            "observed_at": _at(day),
            "base_asset": "BTC",
            "quote_asset": "USDT",
            "contract_type": "linear",
            "contract_size": Decimal("0.01"),
            "base_multiplier": 1,
            "listed_at": _at(FIRST),
            "delivers_at": None,
            "is_trading": True,
        }
    ]
