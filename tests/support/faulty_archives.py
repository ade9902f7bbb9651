"""Archives of Binance whose markets have faults, and what their good files hold.

Belongs here: amounts that differ in every hour, their bars and trades, and writing them. Does not: the faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from tests.support.archives import KLINE_HEADER, METRIC_HEADER, ArchiveFolder, millis
from tests.support.commands import Taker

# One of the months of which Binance published liquidations.
SEPTEMBER = [date(2024, 9, 1) + timedelta(days=n) for n in range(30)]
DAYS = SEPTEMBER[9:12]
MIDDLE = DAYS[1]
PRICE = Decimal(100)
FUNDING_HEADER = "calc_time,funding_interval_hours,last_funding_rate"


@dataclass(frozen=True)
class Hour:
    """What takers did in an hour, in base; every trade is at 100 quote."""

    bought: Decimal
    sold: Decimal

    @property
    def net_usd(self) -> Decimal:
        return (self.bought - self.sold) * PRICE


def hour_of(day: date, hour: int) -> Hour:
    """Different in every hour, so that an hour lost or taken twice shows in every sum."""
    return Hour(Decimal(day.day) + Decimal(hour) / 8, Decimal(10) + Decimal(hour * hour) / 16)


def net_usd(day: date, hours: Sequence[int] = range(24)) -> Decimal:
    return sum((hour_of(day, hour).net_usd for hour in hours), Decimal(0))


def bar(day: date, hour: int, *, bought: Decimal | None = None, volume: Decimal | None = None, count: int = 400) -> str:
    """A bar of an hour as Binance writes it for a linear contract."""
    flow = hour_of(day, hour)
    bought = flow.bought if bought is None else bought
    volume = flow.bought + flow.sold if volume is None else volume
    starts, ends = millis(day, hour * 3600), millis(day, (hour + 1) * 3600) - 1
    return (
        f"{starts},{PRICE},{PRICE + 1},{PRICE - 1},{PRICE},{volume},{ends},{volume * PRICE},{count},"
        f"{bought},{bought * PRICE},0"
    )


def bars(day: date) -> list[str]:
    return [bar(day, hour) for hour in range(24)]


def trades(day: date, *, one_sided: bool = False, first_id: int = 1) -> list[str]:
    """Forty aggregates an hour, half of them on each side, that sum up to the hour's bar."""
    rows = []
    for hour in range(24):
        flow = hour_of(day, hour)
        for n in range(40):
            sells = n % 2 == 0
            quantity = (flow.sold if sells else flow.bought) / 20
            # Prices move, and by the hour are 100 on average weighted by quantity: one up, one down, on each side.
            price = PRICE + (Decimal(1) if n % 4 < 2 else Decimal(-1))
            number = first_id + hour * 40 + n
            at = millis(day, hour * 3600 + n * 80)
            maker = "true" if sells or one_sided else "false"
            rows.append(f"{number},{price},{quantity},{number},{number},{at},{maker}")
    return rows


class Faulty(ArchiveFolder):
    """Writes the files of a market of linear contracts."""

    def month_of_bars(self, symbol: str, rows: Sequence[str]) -> str:
        return self.put(f"data/futures/um/monthly/klines/{symbol}/1h/{symbol}-1h-2024-09.zip", list(rows), KLINE_HEADER)

    def day_of_bars(self, symbol: str, day: date, rows: Sequence[str] | None = None) -> str:
        key = f"data/futures/um/daily/klines/{symbol}/1h/{symbol}-1h-{day}.zip"
        return self.put(key, bars(day) if rows is None else rows, KLINE_HEADER)

    def metrics(self, symbol: str, day: date, rows: Sequence[str], header: str = METRIC_HEADER) -> str:
        return self.put(f"data/futures/um/daily/metrics/{symbol}/{symbol}-metrics-{day}.zip", list(rows), header)

    def funding(self, symbol: str, rows: Sequence[str]) -> str:
        key = f"data/futures/um/monthly/fundingRate/{symbol}/{symbol}-fundingRate-2024-09.zip"
        return self.put(key, list(rows), FUNDING_HEADER)


def sentences(taker: Taker, *arguments: str, code: int = 0) -> str:
    """All that a person reads of `taker ARGUMENTS`."""
    done = taker.run(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())
