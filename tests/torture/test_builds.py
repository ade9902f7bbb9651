"""Promise 1 for the warehouse: whatever happens to the raw zone, the settings and the seeds between builds, every table
ends as a full refresh makes it, row for row.

The tables are those that the warehouse has, so a model that becomes incremental is guarded from then on. `-s` prints
what happened; `--torture-seed` repeats it.
"""

from __future__ import annotations

import csv
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.dbt import warehouse as dbt_warehouse
from tests.dbt.test_builds import INVERSE, LINEAR, klines_of, trades_of
from tests.dbt.warehouse import PROJECT, RawFolder, Record, Warehouse

FIRST = date(2024, 8, 1)
LATE_MARKET = "binance_um:ETHUSDT"
STEPS = 3
# What a build states of itself: which days it took.
OF_A_BUILD = {"int_build_window"}


@dataclass
class History:
    """What the raw zone holds: the edition of each market's day of trades and klines; 0 is a file that is absent."""

    rng: random.Random
    last: date = FIRST + timedelta(days=2)
    trades: dict[tuple[str, date], int] = field(default_factory=dict)
    klines: dict[tuple[str, date], int] = field(default_factory=dict)
    intervals: tuple[str, ...] = ("1h",)
    dataset: str = "aggTrades"
    window_days: int = 730
    happened: list[str] = field(default_factory=list)

    def begin(self) -> History:
        for market in (LINEAR, INVERSE):
            self._add_days(market)
        return self

    def happen(self) -> None:
        """Some of what may happen between two builds."""
        events: list[Callable[[], str]] = [
            *(self.new_day, self.correct, self.correct, self.withdraw, self.come_late),
            *(self.new_market, self.change_definitions, self.switch_trades, self.switch_intervals),
        ]
        for event in self.rng.sample(events, self.rng.randint(1, 3)):
            self.happened.append(event())

    def new_day(self) -> str:
        self.last += timedelta(days=1)
        for market in sorted({market for market, _ in self.klines}):
            self._add(market, self.last)
        return f"new day {self.last}"

    def correct(self) -> str:
        files = self.rng.choice([self.trades, self.klines])
        key = self.rng.choice(sorted(files))
        files[key] += 1
        return f"corrected {self._name(files)} {key}"

    def withdraw(self) -> str:
        files = self.rng.choice([self.trades, self.klines])
        key = self.rng.choice(sorted(files))
        files[key] = 0
        return f"withdrawn {self._name(files)} {key}"

    def come_late(self) -> str:
        for files in (self.trades, self.klines):
            for key in sorted(files):
                if not files[key]:
                    files[key] = self.rng.randint(1, 3)
                    return f"late {self._name(files)} {key}"
        return "nothing late"

    def new_market(self) -> str:
        self._add_days(LATE_MARKET)
        return f"new market {LATE_MARKET}"

    def change_definitions(self) -> str:
        self.window_days = self.rng.choice([2, 3, 730])
        return f"windows of {self.window_days} days"

    def switch_trades(self) -> str:
        self.dataset = "trades" if self.dataset == "aggTrades" else "aggTrades"
        return f"flow from {self.dataset}"

    def switch_intervals(self) -> str:
        self.intervals = self.rng.choice([("1h",), ("1h", "4h"), ("4h",)])
        return f"klines of {self.intervals}"

    def write(self, root: Path) -> RawFolder:
        """The raw zone of this moment. The same days give the same bytes."""
        shutil.rmtree(root, ignore_errors=True)
        zone = RawFolder(root)
        for (market, day), edition in self.trades.items():
            for dataset in ("aggTrades", "trades"):
                if edition:
                    zone.store(dataset, market, day, rows_of(day, edition, dataset))
                else:
                    zone.absent(dataset, market, day)
        for market in sorted({market for market, _ in self.klines}):
            held = {day: trades_of(day, scale=n) for (of, day), n in sorted(self.klines.items()) if of == market and n}
            bars = klines_of(market, list(held), held)
            for interval, hours in (("1h", 1), ("4h", 4)):
                if bars:
                    zone.store("klines", market, FIRST, joined(bars, hours), interval=interval)
        zone.absent("liquidationSnapshot", INVERSE, FIRST)
        zone.write_index()
        return zone

    def write_seeds(self, project: Path) -> None:
        path = project / "seeds" / "spike_definitions.csv"
        with path.open() as file:
            rows = list(csv.DictReader(file))
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(row | {"window_days": str(self.window_days)} for row in rows)

    def _add_days(self, market: str) -> None:
        for n in range((self.last - FIRST).days + 1):
            self._add(market, FIRST + timedelta(days=n))

    def _add(self, market: str, day: date) -> None:
        self.trades.setdefault((market, day), self.rng.randint(0, 2))
        self.klines.setdefault((market, day), self.rng.randint(1, 2))

    def _name(self, files: dict[tuple[str, date], int]) -> str:
        return "trades" if files is self.trades else "klines"


def rows_of(day: date, edition: int, dataset: str) -> list[Record]:
    rows = trades_of(day, scale=edition)
    return rows if dataset == "aggTrades" else [row | {"trade_id": row["agg_trade_id"]} for row in rows]


def joined(bars: list[Record], hours: int) -> list[Record]:
    """Longer bars of the same klines."""
    found = []
    for n in range(0, len(bars), hours):
        some = bars[n : n + hours]
        sums = ("volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume", "trade_count")
        prices = {"open_price": some[0]["open_price"], "close_price": some[-1]["close_price"]}
        prices |= {"high_price": max(b["high_price"] for b in some), "low_price": min(b["low_price"] for b in some)}
        times = {"opened_at": some[0]["opened_at"], "closed_at": some[-1]["closed_at"]}
        found.append({**times, **prices, **{name: sum(bar[name] for bar in some) for name in sums}})
    return found


def tables_of(warehouse: Warehouse) -> list[str]:
    return sorted({name for (name,) in warehouse.rows("select table_name from duckdb_tables()")} - OF_A_BUILD)


def test_every_table_ends_as_a_full_refresh_makes_it(
    tmp_path: Path, rng: random.Random, scaled: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setattr(dbt_warehouse, "PROJECT", project)
    for number in range(scaled(20)):
        history = History(random.Random(rng.random())).begin()
        zone = history.write(tmp_path / f"zone{number}")
        warehouse = Warehouse(tmp_path / f"built{number}", zone.url)
        for step in range(STEPS + 1):
            if step:
                history.happen()
                history.write(tmp_path / f"zone{number}")
            history.write_seeds(project)
            now = replace(warehouse, kline_intervals=history.intervals, trades_dataset=history.dataset)
            now.build()
        fresh = replace(now, folder=tmp_path / f"fresh{number}")
        fresh.build("--full-refresh")
        print(f"history {number}: {'; '.join(history.happened)}")
        tables = tables_of(fresh)
        assert tables_of(now) == tables
        assert now.records("int_flow_bars")
        differing = [table for table in tables if now.records(table) != fresh.records(table)]
        assert differing == []
    print(f"{len(tables)} tables in each of {number + 1} histories, built {STEPS + 1} times")
