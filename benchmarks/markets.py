"""An archive of many markets with two years of hourly klines: BTCUSDT and copies of it under names that say so.

Belongs here: writing it as the venue lays out its own. Does not: trades and defects (`ingestion.simulator`).

Prices and volumes are random walks, drawn from the number of the market: the same archive each time. What matters is
how many rows there are, and that each market passes the audit.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

HEADER: Final = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore\n"
)
FIRST: Final = date(2024, 10, 1)
LAST: Final = date(2026, 10, 12)


def symbols(count: int) -> list[str]:
    """BTCUSDT and its copies."""
    return ["BTCUSDT", *(f"COPY{number:03d}USDT" for number in range(1, count))]


def market_ids(count: int) -> str:
    """The same as TAKER_MARKETS."""
    return ",".join(f"binance_um:{symbol}" for symbol in symbols(count))


def write(root: Path, count: int) -> None:
    """Write what is missing of the archive of `count` markets: months up to the last one, then days."""
    for number, symbol in enumerate(symbols(count)):
        done = root / f"{symbol}.done"
        if done.is_file():
            continue
        texts: dict[str, list[str]] = {}
        for opened, line in _lines(number):
            day = opened.date()
            is_last_month = (day.year, day.month) == (LAST.year, LAST.month)
            span, name = ("daily", f"{day}") if is_last_month else ("monthly", f"{day:%Y-%m}")
            key = f"data/futures/um/{span}/klines/{symbol}/1h/{symbol}-1h-{name}.zip"
            texts.setdefault(key, []).append(line)
        for key, lines in texts.items():
            _put(root / key, HEADER + "".join(lines))
        done.touch()


def _lines(number: int) -> Iterator[tuple[datetime, str]]:
    import numpy as np

    hours = ((LAST - FIRST).days) * 24
    random = np.random.default_rng(number)
    closes = np.exp(np.cumsum(random.normal(0, 0.004, hours))) * (60_000 if number == 0 else 10 + number)
    opens = np.concatenate([closes[:1], closes[:-1]])
    highs = np.maximum(opens, closes) * (1 + np.abs(random.normal(0, 0.001, hours)))
    lows = np.minimum(opens, closes) * (1 - np.abs(random.normal(0, 0.001, hours)))
    volumes = np.round(random.lognormal(5, 1, hours), 3)
    bought = np.round(volumes * np.clip(random.normal(0.5, 0.06, hours), 0.05, 0.95), 3)
    counts = random.integers(2_000, 90_000, hours)
    start = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    for hour in range(hours):
        opened = start + timedelta(hours=hour)
        at = int(opened.timestamp() * 1000)
        open_, high, low, close = (round(float(series[hour]), 2) for series in (opens, highs, lows, closes))
        price = min(max((open_ + close) / 2, low), high)
        quote, bought_quote = float(volumes[hour]) * price, float(bought[hour]) * price
        yield (
            opened,
            f"{at},{open_:.2f},{high:.2f},{low:.2f},{close:.2f},{volumes[hour]:.3f},{at + 3_599_999},{quote:.6f},"
            f"{counts[hour]},{bought[hour]:.3f},{bought_quote:.6f},0\n",
        )


def _put(path: Path, text: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
        zipped.writestr(f"{path.stem}.csv", text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed.getvalue())
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    path.with_name(f"{path.name}.CHECKSUM").write_text(f"{digest}  {path.name}\n")
