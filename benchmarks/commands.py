"""Whole commands as a user runs them, on archives larger than the demo.

Belongs here: `taker run` at first, with one following day, and with nothing new; over days of trades and over markets.
Does not: the table's layout (`measured`), parts of a command (`subjects`).

Each trial has a state folder of its own, which goes when it ends. A run of the whole, then one of the following day:
`--to` holds it back.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from benchmarks import markets
from benchmarks.measured import ROOT, Finished, run

TAKER = str(Path(sys.executable).with_name("taker"))


@dataclass(frozen=True)
class Trial:
    """Three runs on one state folder."""

    first: Finished
    following_day: Finished
    nothing_changed: Finished


@contextmanager
def state_folder() -> Iterator[Path]:
    """Beside the project, not in /tmp: that may be memory."""
    folder = ROOT / "var" / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="state-", dir=folder) as made:
        yield Path(made)


def trial(environment: Mapping[str, str], last: date, *options: str) -> Trial:
    """Run up to the day before `last`, then up to `last`, then the same again."""
    with state_folder() as state:
        settings = {"TAKER_STORAGE_URL": str(state), "TAKER_STATE_DIR": str(state), "TAKER_REST": "off", **environment}
        command = [TAKER, "run", "-q", *options, "--to"]
        return Trial(
            run([*command, str(last - timedelta(days=1))], settings, state),
            run([*command, str(last)], settings, state),
            run([*command, str(last)], settings, state),
        )


def of_trades(archive: Path, first: date, last: date, **settings: str) -> Trial:
    """Over the simulated trades from `first` to `last`, with the klines of two months or more beside them."""
    named = {"TAKER_ARCHIVE_URL": archive.as_uri(), "TAKER_MARKETS": "simulated:BTCUSDT", **settings}
    return trial(named, last, "--from", str(first))


def of_markets(archive: Path, count: int, **settings: str) -> Trial:
    """Over `count` markets with two years of hourly klines and no trades."""
    markets.write(archive, count)
    named = {"TAKER_ARCHIVE_URL": archive.as_uri(), "TAKER_MARKETS": markets.market_ids(count), **settings}
    return trial(named, markets.LAST - timedelta(days=1))
