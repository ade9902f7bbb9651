"""September 2024 of Binance in which every market has faults of its own, and the one run that tests look at.

Belongs here: which files are published with which faults, and the run. Does not: expectations. Three modules have
markets in it: `test_published_faults.py` (faults that users of public archives have reported),
`test_contradicted_facts.py` (wrong facts with valid checksums) and `test_reported_defects.py` (what people read of
files that cannot be used). No two have a base asset in common, so that none is a witness of another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from tests.support.archives import KLINE_HEADER, LIQUIDATION_HEADER, millis
from tests.support.commands import Taker
from tests.support.faulty_archives import DAYS, MIDDLE, SEPTEMBER, Faulty, bar, bars, hour_of

PUBLISHED = tuple(f"binance_um:{name}USDT" for name in ("AAA", "BBB", "CCC", "DDD"))
# Open interest and fundings of two markets are contradicted, and liquidations of a third.
LINEAR, OTHER, INVERSE = "binance_um:EEEUSDT", "binance_um:FFFUSDT", "binance_cm:BTCUSD_PERP"
CONTRADICTED = SEPTEMBER[9:21]
THOUSANDFOLD, WORTH, GLITCH, LATEST = CONTRADICTED[2], CONTRADICTED[5], CONTRADICTED[8], CONTRADICTED[11]
NAMED, RELABELLED = CONTRADICTED[2], CONTRADICTED[6]  # open interest in rows of another symbol
RATE = CONTRADICTED[4]
LARGE, REVERSED, ELSEWHERE, MANY = CONTRADICTED[1], CONTRADICTED[3], CONTRADICTED[5], CONTRADICTED[7]  # liquidations
UNUSABLE = "binance_um:GGGUSDT"


@dataclass(frozen=True)
class FaultyMonth:
    """What the run published, and what it printed: standard output and standard error."""

    taker: Taker
    shown: str
    notes: str

    @property
    def printed(self) -> str:
        """All that a person read of the run, on one line."""
        return " ".join((self.shown + self.notes).split())


def published_month(folder: Path) -> FaultyMonth:
    archive = Faulty(folder / "archive")
    _publish_faults(archive)
    _publish_contradictions(archive)
    _publish_liquidations(archive)
    _publish_unusable(archive)
    taker = Taker(folder / "storage", {"TAKER_ARCHIVE_URL": archive.url, "TAKER_REST": "off", "COLUMNS": "200"})
    markets = ",".join((*PUBLISHED, LINEAR, OTHER, INVERSE, UNUSABLE))
    done = taker.run("run", "--markets", markets, "--from", str(SEPTEMBER[0]), "--to", str(SEPTEMBER[-1]))
    assert done.returncode == 0, done.stdout + done.stderr
    return FaultyMonth(taker, done.stdout, done.stderr)


def _publish_faults(archive: Faulty) -> None:
    # Its zip differs from its checksum; the thirty days lie beside it.
    broken = archive.month_of_bars("AAAUSDT", [row for day in SEPTEMBER for row in bars(day)])
    archive.claim(broken, "0" * 64)
    for day in SEPTEMBER:
        archive.day_of_bars("AAAUSDT", day)
    # One bar of 720 has a taker's share above its volume by the last digit.
    too_much = hour_of(MIDDLE, 7).bought + hour_of(MIDDLE, 7).sold + Decimal("0.00000001")
    with_a_bad_bar = [
        bar(day, hour, bought=too_much) if (day, hour) == (MIDDLE, 7) else bar(day, hour)
        for day in SEPTEMBER
        for hour in range(24)
    ]
    archive.month_of_bars("BBBUSDT", with_a_bad_bar)
    archive.day_of_bars("BBBUSDT", MIDDLE)
    archive.month_of_bars("CCCUSDT", with_a_bad_bar)
    # Days of auxiliary data that are unusable.
    archive.month_of_bars("DDDUSDT", [row for day in SEPTEMBER for row in bars(day)])
    archive.metrics("DDDUSDT", MIDDLE, ["1,2"], header="what,ever")
    archive.metrics(
        "DDDUSDT",
        DAYS[0],
        [
            f"{DAYS[0]} 00:00:00,DDDUSDT,1.5E+3,150000,NaN,,1.2,6.1e-05",
            f"{DAYS[0]} 00:05:00,DDDUSDT,1500,150000,1.1,1.2,1.3,1.4",
        ],
    )
    eight_hours = [
        f"{millis(day, hour * 3600) + jitter},8,0.0001"
        for day, hour, jitter in [
            (day, hour, -2 if (day, hour) == (SEPTEMBER[0], 0) else 1) for day in SEPTEMBER for hour in (0, 8, 16)
        ]
    ]
    archive.funding("DDDUSDT", eight_hours)


def _even_bars(*, inverse: bool) -> Iterator[str]:
    """A month at 99 to 101: 60 of base, or contracts of 100 USD, an hour, 20 of them bought."""
    for day in SEPTEMBER:
        for hour in range(24):
            volume, bought = ("60,{},60", "20,20") if inverse else ("60,{},6000", "20,2000")
            ends = millis(day, (hour + 1) * 3600) - 1
            yield f"{millis(day, hour * 3600)},100,101,99,100,{volume.format(ends)},40,{bought},0"


def _observations(day: date, symbol: str, *, amount: int = 300, price: int = 100, last: int | None = None) -> list[str]:
    """Open interest every five minutes; `last`: the amount of the last of them."""
    rows = []
    for n in range(288):
        held = last if last is not None and n == 287 else amount
        rows.append(f"{day} {n // 12:02d}:{n % 12 * 5:02d}:00,{symbol},{held},{held * price},1.1,1.2,1.3,1.4")
    return rows


def _publish_contradictions(archive: Faulty) -> None:
    faults: dict[tuple[str, date], list[str]] = {
        ("EEEUSDT", THOUSANDFOLD): _observations(THOUSANDFOLD, "EEEUSDT", amount=300_000),
        ("EEEUSDT", WORTH): _observations(WORTH, "EEEUSDT", price=100_000),
        ("EEEUSDT", GLITCH): _observations(GLITCH, "EEEUSDT", last=3_000),
        ("EEEUSDT", LATEST): _observations(LATEST, "EEEUSDT", amount=300_000),
        ("FFFUSDT", NAMED): _observations(NAMED, "EEEUSDT"),
        ("FFFUSDT", RELABELLED): _observations(RELABELLED, "FFFUSDT", amount=4, price=42_000),
    }
    for symbol in ("EEEUSDT", "FFFUSDT"):
        archive.month_of_bars(symbol, list(_even_bars(inverse=False)))
        for day in CONTRADICTED:
            archive.metrics(symbol, day, faults.get((symbol, day), _observations(day, symbol)))
    fundings = [
        f"{millis(day, hour * 3600)},8,{'0.9' if (day, hour) == (RATE, 8) else '0.0001'}"
        for day in SEPTEMBER
        for hour in (0, 8, 16)
    ]
    archive.funding("EEEUSDT", fundings)


def _orders(day: date, *faulty: str, flipped: bool = False) -> list[str]:
    """Three longs of 2 contracts at 99.5, in minutes of their own, and what else is given; every row twice."""
    sell, limit = ("BUY", "99.4") if flipped else ("SELL", "99.4")
    rows = [
        f"{millis(day, 7 * 3600 + minute * 60)},{sell},LIMIT,IOC,2,{limit},99.{5 + minute},FILLED,2,2"
        for minute in (0, 1, 2)
    ]
    return [row for row in [*rows, *faulty] for _ in range(2)]


def _order(day: date, quantity: int, price: str, *, second: int = 0) -> str:
    return f"{millis(day, 15 * 3600 + second)},BUY,LIMIT,IOC,{quantity},{price},{price},FILLED,{quantity},{quantity}"


def _publish_liquidations(archive: Faulty) -> None:
    key = "data/futures/cm/monthly/klines/BTCUSD_PERP/1h/BTCUSD_PERP-1h-2024-09.zip"
    archive.put(key, list(_even_bars(inverse=True)), KLINE_HEADER)
    liquidated = {
        LARGE: _orders(LARGE, _order(LARGE, 5_000, "100")),
        REVERSED: _orders(REVERSED, flipped=True),
        ELSEWHERE: _orders(ELSEWHERE, _order(ELSEWHERE, 2, "1000")),
        MANY: _orders(MANY, *(_order(MANY, 15, "100", second=second) for second in range(0, 20, 5))),
    }
    for day in CONTRADICTED:
        key = f"data/futures/cm/daily/liquidationSnapshot/BTCUSD_PERP/BTCUSD_PERP-liquidationSnapshot-{day}.zip"
        archive.put(key, liquidated.get(day, _orders(day)), LIQUIDATION_HEADER)


def _publish_unusable(archive: Faulty) -> None:
    """The month of bars is damaged, and four of its days have no file; two days of metrics are damaged, one is absent.

    Trades only of the 29th, all of them on one side.
    """
    symbol = UNUSABLE.partition(":")[2]
    archive.put_bytes(archive.month_of_bars(symbol, []), b"no zip")
    for day in SEPTEMBER:
        if day.day not in (12, 13, 29, 30):
            archive.day_of_bars(symbol, day)
        if day.day != 3:
            rows = [f"{day} 00:{minute:02}:00,{symbol},100,1000,1,1,1,1" for minute in range(0, 60, 5)]
            key = archive.metrics(symbol, day, rows)
        if day.day in (7, 8):
            archive.put_bytes(key, b"no zip")
    one_side = [f"{n},42000.{n % 9},0.00{1 + n % 8},{n},{n},{millis(SEPTEMBER[28], n)},true" for n in range(1, 2001)]
    archive.agg_trades(SEPTEMBER[28], one_side, symbol=symbol)
