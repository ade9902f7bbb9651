"""Random histories of the bars that ranks are made of, in a warehouse of their own, and the build of what follows.

Belongs here: the archive's bars, their receipts and what else is judged of them, written as tables; what may happen to
them; the part of dbt's project between them and the marts. Does not: the raw zone, which such a history would need a
build of everything for (`tests/dbt/warehouse.py`).
"""

from __future__ import annotations

import gc
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from orchestration.warehouse.parsed import load_parsed, parsed_path
from tests.dbt.warehouse import PROJECT, Warehouse
from tests.support.forked import completed

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

# In the order of the graph; the note comes last.
MODELS = (
    "int_source_days",
    "int_price_changes",
    "int_flow_price_levels",
    "int_flow_trade_days",
    "int_judged_days",
    "int_flow_klines",
    "int_kline_days",
    "int_flow_days",
    "int_kline_buckets",
    "int_market_bar_days",
    "int_market_bars",
    "int_aggregate_bars",
    "int_bar_days",
    "int_flow_changes",
    "int_closes_daily",
    "fct_net_taker_volume_hourly",
    "fct_net_taker_volume_daily",
    "fct_hour_of_week_profile",
    "int_entry_changes",
    "int_forward_returns",
    "int_spike_changes",
    "int_spike_values",
    "int_rank_changes",
    "int_spike_ranks",
    "fct_taker_spike_ranks",
    "int_brief_changes",
    "int_brief_ranks",
    "int_study_positions",
    "fct_spike_forward_returns",
    "int_metrics_days",
    "int_open_interest_daily",
    "int_metrics_changes",
    "fct_open_interest_hourly",
    "fct_long_short_ratios",
    "int_built_days",
)
# What states which rows are replaced differs from a full refresh by its nature.
TABLES = tuple(name for name in MODELS if name == "int_flow_days" or not name.endswith(("_days", "_changes")))
MARKETS = ("binance_um:BTCUSDT", "binance_cm:BTCUSD_PERP", "okx:BTC-USDT-SWAP", "bybit:ETHUSDT")
# One of six weeks without a gap, in which little happens at a time; one that hardly trades; and one with weeks between.
LONG, THIN, APART = "okx:SOL-USDT-SWAP", "okx:XRP-USDT-SWAP", "okx:ADA-USDT-SWAP"
FIRST = date(2024, 3, 1)

Row = dict[str, Any]


@dataclass
class Definition:
    """A row of `spike_definitions`. Windows of a few days slide within the histories; some look ahead far."""

    grain: str
    smoothing_bars: int
    unit: str
    window_days: int
    decluster_hours: int
    venue: str = ""


def definitions() -> dict[str, Definition]:
    return {
        "hourly_usd": Definition("1h", 3, "usd", 2, 6),
        "4h_ratio": Definition("4h", 1, "sell_ratio", 3, 12),
        "4h_far": Definition("4h", 2, "base", 2, 60),
        "daily_usd": Definition("1d", 1, "usd", 5, 24),
        "daily_of_one_venue": Definition("1d", 1, "base", 3, 48, "binance_um"),
    }


@dataclass
class BarHistories:
    """What the warehouse is to be built from: hours by market and day, of klines and of trades, and what is known of
    days."""

    rng: random.Random
    hours: dict[tuple[str, date], dict[int, Row]] = field(default_factory=dict)
    trades: dict[tuple[str, date], dict[int, Row]] = field(default_factory=dict)
    running: dict[tuple[str, date], dict[int, Row]] = field(default_factory=dict)
    defects: dict[tuple[str, date], Row] = field(default_factory=dict)
    contradicted: set[tuple[str, date, int]] = field(default_factory=set)
    metrics: dict[tuple[str, date], dict[int, Row]] = field(default_factory=dict)
    parts: set[str] = field(default_factory=lambda: set(MARKETS[:2]))
    definitions: dict[str, Definition] = field(default_factory=definitions)

    @property
    def markets(self) -> list[str]:
        return sorted({market for market, _ in self.hours})

    def days(self, market: str) -> list[date]:
        return sorted(day for held, day in self.hours if held == market)

    def begin(self, days: int = 12) -> BarHistories:
        """Three markets with a history each, with gaps."""
        for market in MARKETS[:3]:
            for n in range(days):
                if self.rng.random() < 0.9:
                    self.add_day(market, FIRST + timedelta(days=n))
                if self.rng.random() < 0.9:
                    self.observe(market, FIRST + timedelta(days=n))
        for n in range(42):
            self.add_day(LONG, FIRST + timedelta(days=n))
        self.hours[THIN, FIRST] = {hour: _quiet() | ({"buy": 9, "count": 90} if hour < 2 else {}) for hour in range(24)}
        for n in (0, 20, 21, 22):
            day = FIRST + timedelta(days=n)
            self.hours[APART, day] = {hour: _quiet() | {"buy": 1, "count": 10} for hour in range(24)}
            self.metrics[APART, day] = {23: {"base": 100 if n == 20 else 90000, "price": 100, "ratio": 1}}
        return self

    def add_day(self, market: str, day: date) -> None:
        self.running.pop((market, day), None)  # what an API has of a day is not read once the archive has it
        self.hours[market, day] = {hour: self.hour() for hour in range(24) if self.rng.random() < 0.99}

    def hour(self) -> Row:
        """Small amounts, so that values tie. Some hours are quiet, which is doubted where the market trades often."""
        buy, sell, price = self.rng.randint(0, 9), self.rng.randint(1, 9), self.rng.randint(90, 110)
        row = {"buy": buy, "sell": sell, "open": price, "close": self.rng.randint(90, 110), "count": (buy + sell) * 10}
        return row if self.rng.random() < 0.97 else _quiet()

    def observe(self, market: str, day: date) -> None:
        """Open interest and a ratio at the end of some hours; the file ends with the first moment of the next day.
        Amounts jump by more than is traded, and some are worth what no price of the market explains."""
        usual = self.rng.choice((100, 110, 120, 120, 900))
        self.metrics[market, day] = {
            hour: {
                "base": usual * 9 if self.rng.random() < 0.03 else usual + self.rng.randint(0, 9),
                "price": 9000 if self.rng.random() < 0.02 else 100,
                "ratio": self.rng.randint(1, 9),
            }
            for hour in range(25)
            if self.rng.random() < 0.9
        }

    def observe_next(self, market: str) -> None:
        self.observe(market, self.days(market)[-1])

    def correct_observations(self, market: str) -> None:
        observed = sorted(day for held, day in self.metrics if held == market)
        self.observe(market, self.rng.choice(observed or [FIRST]))

    def withdraw_observations(self, market: str) -> None:
        observed = sorted(day for held, day in self.metrics if held == market)
        if len(observed) > 3:
            del self.metrics[market, self.rng.choice(observed)]

    def append(self, market: str) -> None:
        self.add_day(market, (self.days(market) or [FIRST])[-1] + timedelta(days=self.rng.choice((1, 1, 1, 4))))
        self.running = {key: rows for key, rows in self.running.items() if key[0] != market}

    def arrive_late(self, market: str) -> None:
        days = self.days(market)
        missing = [day for day in _between(days[0] - timedelta(days=1), days[-1]) if day not in days]
        self.add_day(market, self.rng.choice(missing))

    def correct(self, market: str) -> None:
        day = self.rng.choice(self.days(market))
        hours = sorted(self.hours[market, day])
        for hour in self.rng.sample(hours, min(2, len(hours))):
            self.hours[market, day][hour] = self.hour()

    def correct_latest(self, market: str) -> None:
        latest = self.hours[market, self.days(market)[-1]]
        latest[max(latest)] = self.hour()

    def make_extreme(self, market: str) -> None:
        """A bar that takes the place of the events around it."""
        latest = self.hours[market, self.days(market)[-1]]
        latest[min(latest)] = self.hour() | {"buy": 0, "sell": self.rng.randint(10, 400)}

    def withdraw(self, market: str) -> None:
        if len(self.days(market)) > 3:
            del self.hours[market, self.rng.choice(self.days(market))]

    def withdraw_latest(self, market: str) -> None:
        if len(self.days(market)) > 3:
            del self.hours[market, self.days(market)[-1]]

    def doubt(self, market: str) -> None:
        day = self.rng.choice(self.days(market))
        self.rng.choice(list(self.hours[market, day].values())).update(buy=0, sell=0, count=7)

    def store_trades(self, market: str) -> None:
        """A file of trades: as the klines, with more in some hours; or at prices that are none of the market's."""
        day = self.rng.choice(self.days(market))
        held = self.hours[market, day]
        price = self.rng.choice((100, 100, 100, 900))
        self.trades[market, day] = {
            hour: held.get(hour, self.hour())
            | {"open": price, "close": price}
            | ({"buy": 30, "count": 400} if self.rng.random() < 0.1 else {})
            for hour in range(24)
            if self.rng.random() < 0.95
        }

    def lose_trades(self, market: str) -> None:
        stored = sorted(key for key in self.trades if key[0] == market)
        if stored:
            del self.trades[self.rng.choice(stored)]

    def run_on(self, market: str) -> None:
        """Hours of a day that has not ended, which is never ranked."""
        day = self.days(market)[-1] + timedelta(days=1)
        self.running[market, day] = {hour: self.hour() for hour in range(self.rng.randint(1, 20))}

    def judge(self, market: str) -> None:
        """Something is wrong with a file, or no longer."""
        day = self.rng.choice(self.days(market))
        if self.defects.pop((market, day), None) is None:
            kind = self.rng.choice(("quarantined_rows", "replaced_source", "refused_source", "implausible"))
            source = self.rng.choice(("klines", "trades"))
            self.defects[market, day] = {"kind": kind, "source": source, "row_count": self.rng.randint(1, 3)}

    def contradict(self, market: str) -> None:
        """A witness contradicts an hour, or no longer: it need not change with the files of its day."""
        found = (market, self.rng.choice(self.days(market)), self.rng.randrange(24))
        self.contradicted ^= {found}

    def list_market(self, market: str) -> None:
        """Another market of the same days, or one that goes."""
        new = self.rng.choice(MARKETS)
        if new in self.markets and len(self.markets) > 2:
            self.hours = {key: rows for key, rows in self.hours.items() if key[0] != new}
            self.running = {key: rows for key, rows in self.running.items() if key[0] != new}
        elif new not in self.markets:
            for day in self.days(market)[-8:]:
                self.add_day(new, day)

    def sum_others(self, market: str) -> None:
        self.parts ^= {market}

    def redefine(self, market: str) -> None:
        name = self.rng.choice(sorted(self.definitions))
        one = self.definitions[name]
        change = self.rng.choice(("window_days", "decluster_hours", "smoothing_bars", "unit", "gone", "new"))
        if change == "gone" and len(self.definitions) > 2:
            del self.definitions[name]
        elif change == "new":
            self.definitions[f"added_{len(self.definitions)}"] = Definition("4h", 1, "usd", 2, 8)
        elif change == "unit":
            one.unit = {"usd": "base", "base": "sell_ratio", "sell_ratio": "usd"}[one.unit]
        elif change != "gone":
            setattr(one, change, getattr(one, change) + 1)

    @property
    def events(self) -> Sequence[Callable[[str], None]]:
        """What may happen to a market, or to everything."""
        return (
            self.append,
            self.arrive_late,
            self.correct,
            self.correct_latest,
            self.make_extreme,
            self.withdraw,
            self.withdraw_latest,
            self.doubt,
            self.store_trades,
            self.lose_trades,
            self.run_on,
            self.judge,
            self.contradict,
            self.observe_next,
            self.correct_observations,
            self.withdraw_observations,
            self.list_market,
            self.sum_others,
            self.redefine,
        )

    def happen(self, count: int) -> str:
        """So many events; their names, for the text of a failure."""
        happened = []
        for _ in range(count):
            event, market = self.rng.choice(self.events), self.rng.choice(self.markets)
            event(market)
            happened.append(f"{event.__name__}({market})")
        return ", ".join(happened)

    def happen_all(self, step: int) -> str:
        """Everything that may happen, each to some market. Some are left to one thing at a time, which the rest would
        hide: the first has a last day after a gap, and loses it; of the second an early day is corrected; the long one
        goes on, and then an early hour is contradicted; of the thin one a third bar shows that it is not quiet; and one
        loses the day weeks before its others."""
        first, second, *_ = self.markets
        alone = (first, second, LONG, THIN, APART)
        self.hours.pop((APART, FIRST), None)
        self.add_day(LONG, self.days(LONG)[-1] + timedelta(days=1))
        if step:
            self.contradicted.add((LONG, FIRST + timedelta(days=3), 1))
        self.hours[THIN, FIRST + timedelta(days=5)] = {0: _quiet() | {"buy": 9 - step, "count": 90}}
        if step % 2:
            self.withdraw_latest(first)
            self.hours[second, self.days(second)[1]] |= {0: self.hour() | {"sell": 300}}
        else:
            self.add_day(first, self.days(first)[-1] + timedelta(days=4))
        for event in self.events:
            others = [market for market in self.markets if market not in alone]
            event(self.rng.choice(others or self.markets))
        return "every event"

    def write(self, warehouse: Path) -> None:
        """The tables that the models read."""
        with duckdb.connect(str(warehouse)) as connection:
            _replace(connection, "int_flow_bars", self._bars())
            _replace(connection, "int_archive_bars", map(_numbers, self._bars()))
            _replace(connection, "int_flow_receipts", self._receipts())
            _replace(connection, "int_flow_defects", self._defects())
            _replace(connection, "int_recent_buckets", self._recent())
            _replace(connection, "int_flow_contradictions", self._contradictions())
            _replace(connection, "int_metrics_receipts", self._metrics_receipts())
            _replace(connection, "int_metrics_hours", self._metrics_hours())
            parts = [part for part in self.markets if part in self.parts]
            known = {"market_id": "all:BTC", "venue": "all", "base_asset": "BTC", "is_simulated": False}
            _replace(connection, "int_aggregate_markets", [known | {"part_market_id": part} for part in parts])
            rows = [{"definition_id": name, **vars(one)} for name, one in self.definitions.items()]
            _replace(connection, "spike_definitions", rows)

    @property
    def _files(self) -> Iterable[tuple[str, str, date, dict[int, Row]]]:
        for source, files in (("klines", self.hours), ("trades", self.trades)):
            for (market, day), rows in files.items():
                yield source, market, day, rows

    def _bars(self) -> Iterable[Row]:
        for source, market, day, rows in self._files:
            for hour, row in rows.items():
                yield _bar(market, day, hour, row) | {"source": source, "bar_hours": 1, "reported_minutes": 60}

    def _receipts(self) -> Iterable[Row]:
        for source, market, day, rows in self._files:
            yield {
                "dataset": "klines" if source == "klines" else "aggTrades",
                "source": source,
                "market_id": market,
                "kline_interval": "1h" if source == "klines" else "",
                "bar_date": day,
                "status": "stored",
                "row_count": len(rows),
                "id_gaps": 0,
                "build_state": str(rows).replace("'", ""),
            }

    def _defects(self) -> Iterable[Row]:
        for (market, day), defect in self.defects.items():
            yield defect | {
                "market_id": market,
                "bar_date": day,
                "hour_at": _instant(day, 3),
                "reason": "invented",
                "source_key": "file",
                "used_instead": "",
            }

    def _recent(self) -> Iterable[Row]:
        for (market, day), rows in self.running.items():
            for hour, row in rows.items():
                yield _bar(market, day, hour, row) | {
                    "source_bar_hours": 1,
                    "grain_hours": 1,
                    "source": "rest_klines",
                    "coverage_ratio": 1,
                    "is_running": hour == max(rows),
                }

    def _metrics_receipts(self) -> Iterable[Row]:
        for (market, day), rows in self.metrics.items():
            yield {"market_id": market, "bar_date": day, "source_state": str(rows).replace("'", "")}

    def _metrics_hours(self) -> Iterable[Row]:
        for (market, day), rows in self.metrics.items():
            for hour, row in rows.items():
                hour_at = _instant(day, 0) + timedelta(hours=hour)
                observed_at = hour_at + timedelta(minutes=55 if hour < 24 else 0)
                yield {
                    "market_id": market,
                    "bar_date": day,
                    "hour_at": hour_at,
                    "observed_at": observed_at,
                    "open_interest_base": row["base"],
                    "open_interest_usd": row["base"] * row["price"],
                    "first_observed_at": observed_at,
                    "first_open_interest_base": row["base"],
                    "observation_count": 1,
                    "ratios_observed_at": observed_at,
                    "long_short_count": 1,
                    "account_ratio": row["ratio"],
                }

    def _contradictions(self) -> Iterable[Row]:
        for market, day, hour in self.contradicted:
            yield {
                "market_id": market,
                "source": "klines" if hour % 3 else "trades",
                "bar_date": day,
                "bar_at": _instant(day, hour),
                "bar_hours": 1,
                "witness": "own_prices" if hour % 3 else "klines",
                "measure": "price",
                "effect": ("stated", "uncovered")[hour % 2] if hour % 3 else "replaced",
            }


class HistoryDiffers(AssertionError):
    """An incremental build ended elsewhere than a full refresh. The text names the history, tables and rows."""


def differing(folder: Path, empty: Warehouse, seed: str, steps: int, events_per_step: int) -> str:
    """What differs after some step of a random history, as a text; empty when nothing does.

    `events_per_step`: 0 for each of the events once, in one step. In a process of its own, since dbt runs in it many
    times and each start of dbt would cost more than all of its models.
    """
    arguments = [str(folder), str(empty.path), empty.raw_url, seed, str(steps), str(events_per_step)]
    done = completed(_main, arguments, os.environ, PROJECT)
    assert done.returncode in (0, 1), done.stderr
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _main() -> None:
    folder, empty, raw_url, seed, steps, events_per_step = sys.argv[1:]
    try:
        _live(Path(folder), Path(empty), raw_url, random.Random(seed), int(steps), int(events_per_step))
    except HistoryDiffers as error:
        print(error)
        sys.exit(1)


def _live(folder: Path, empty: Path, raw_url: str, rng: random.Random, steps: int, events_per_step: int) -> None:
    kept = _copy(empty, folder / "kept")
    histories = BarHistories(rng).begin()
    histories.write(kept)
    _build(kept, raw_url)
    for step in range(steps):
        happened = histories.happen(events_per_step) if events_per_step else histories.happen_all(step)
        histories.write(kept)
        if step % 3 == 1:
            # A build that dies somewhere, and what it was built from is no longer so.
            _build(kept, raw_url, models=MODELS[: rng.randrange(1, len(MODELS) - 1)])
            happened += f", a build that died, {histories.happen(2)}"
            histories.write(kept)
        _build(kept, raw_url)
        fresh = _copy(kept, folder / "fresh")
        _build(fresh, raw_url, "--full-refresh")
        found = _differences(kept, fresh)
        if found:
            rows = "\n".join(f"{table}: {len(apart)} rows, such as {apart[:3]}" for table, apart in found.items())
            raise HistoryDiffers(f"step {step}: {happened}\n{rows}")
        shutil.rmtree(fresh.parent)


def _copy(warehouse: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    return Path(shutil.copy(warehouse, folder / warehouse.name))


def _build(warehouse: Path, raw_url: str, *args: str, models: Sequence[str] = MODELS) -> None:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import reset_adapters
    from dbt.cli.main import dbtRunner

    of = Warehouse(warehouse.parent, raw_url)
    of.write_profile()
    command = ["--quiet", "run", "--select", *models, *args, "--project-dir", str(PROJECT), "--vars", of.variables()]
    command += ["--profiles-dir", str(of.folder), "--target-path", str(of.folder), "--log-level-file", "none"]
    done = dbtRunner(manifest=_parsed()).invoke(command)
    assert done.success, done.exception or [one.message for one in done.result if one.status != "success"]  # type: ignore[union-attr]
    # dbt keeps the file open for the next model, and reads it by its name.
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    DuckDBConnectionManager._ENV = None
    reset_adapters()  # type: ignore[no-untyped-call]
    gc.collect()


def _parsed() -> Manifest | None:
    """The parsed project as if dbt had not run in this process: of a model that it has compiled it would take the
    ephemeral ones in it for given, and leave them out."""
    from dbt.contracts.graph.nodes import CompiledNode

    manifest = _loaded()
    for node in manifest.nodes.values() if manifest else ():
        if isinstance(node, CompiledNode):
            node.extra_ctes, node.extra_ctes_injected = [], False
    return manifest


@cache
def _loaded() -> Manifest | None:
    return load_parsed(parsed_path(PROJECT))


def _differences(warehouse: Path, fresh: Path) -> Mapping[str, list[Any]]:
    """By table, the rows that only one of the two has."""
    found = {}
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute(f"attach '{fresh}' as fresh (read_only)")
        for table in TABLES:
            apart = connection.execute(
                f"(from {table} except all from fresh.{table}) union all (from fresh.{table} except all from {table})"
            ).fetchall()
            if apart:
                found[table] = apart
    return found


def _replace(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Row]) -> None:
    connection.execute(f"delete from {table}")
    held = list(rows)
    if not held:
        return
    columns = list(held[0])
    values = ", ".join("(" + ", ".join(_literal(row[column]) for column in columns) + ")" for row in held)
    connection.execute(f"insert into {table} ({', '.join(columns)}) values {values}")


def _literal(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str | date) else str(value)


def _bar(market: str, day: date, hour: int, row: Row) -> Row:
    buy, sell, opened, closed = (row[name] for name in ("buy", "sell", "open", "close"))
    return {
        "market_id": market,
        "bar_date": day,
        "bar_at": _instant(day, hour),
        "taker_buy_usd": buy * opened,
        "taker_sell_usd": sell * opened,
        "taker_buy_base": buy,
        "taker_sell_base": sell,
        "open_price": opened,
        "high_price": max(opened, closed),
        "low_price": min(opened, closed),
        "close_price": closed,
        "trade_count": row["count"],
        "covered_minutes": 60,
    }


def _numbers(bar: Row) -> Row:
    """The bar as `int_archive_bars` has it."""
    kept = {name: value for name, value in bar.items() if not name.startswith(("taker_", "covered_"))}
    buy, sell = bar["taker_buy_base"], bar["taker_sell_base"]
    amounts = {"buy_base": buy, "sell_base": sell, "volume_base": buy + sell}
    return kept | amounts | {"volume_usd": bar["taker_buy_usd"] + bar["taker_sell_usd"]}


def _quiet() -> Row:
    """An hour without a trade."""
    return {"buy": 0, "sell": 0, "open": 100, "close": 100, "count": 0}


def _instant(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour))


def _between(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days)]
