"""A publication with what deserves an alert in it, and a clock that a test turns.

Belongs here: writing the few marts that alerts read. Does not: expectations.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

BTC, ETH, SIMULATED = "binance_um:BTCUSDT", "binance_um:ETHUSDT", "simulated:BTCUSDT"
# Half an hour after a bar of four hours has ended.
NOW = datetime(2026, 2, 1, 0, 30, tzinfo=UTC)
SPIKE = datetime(2026, 1, 31, 16, tzinfo=UTC)

_TABLES = """
create table dim_spike_definitions as
select * from (values
    ('4h_usd', '4h', 1, 'usd', 730, 24), ('4h_ma2_usd', '4h', 2, 'usd', 730, 24),
    ('daily_sell_ratio', '1d', 1, 'sell_ratio', 730, 24)
) as definitions (definition_id, grain, smoothing_bars, unit, window_days, decluster_hours);
create table fct_taker_spike_ranks (
    definition_id varchar, market_id varchar, side varchar, bar_at timestamp, value decimal(38, 8), spike_rank bigint,
    percentile double, window_bars bigint, coverage_ratio double, is_event boolean, event_rank bigint,
    bar_coverage_ratio double, is_provisional boolean, is_running boolean
);
create table fct_liquidations_rolling_24h (
    venue varchar, market_id varchar, as_of_at timestamp, long_usd decimal(38, 8), short_usd decimal(38, 8),
    total_usd decimal(38, 8), order_count bigint, unvalued_order_count bigint, largest_order_usd decimal(38, 8),
    coverage_ratio double, is_lower_bound boolean, liquidation_source varchar, venue_set varchar,
    subscribed_symbol_count bigint
);
create table fct_net_taker_volume_daily (
    market_id varchar, bar_date date, net_taker_usd decimal(38, 8), coverage_ratio double, is_running boolean
);
create table rpt_market_brief_daily (market_id varchar, bar_date date, headline varchar);
"""


@dataclass
class Clock:
    """Stands until it is turned."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **passed: float) -> datetime:
        self.now += timedelta(**passed)
        return self.now


@dataclass
class Marts:
    """What the next publication will hold. Each method adds to it; `publish` puts it in place at once."""

    path: Path
    statements: list[str] = field(default_factory=lambda: [_TABLES])

    def spike(
        self,
        at: datetime = SPIKE,
        rank: int = 3,
        *,
        value: float = -1416e6,
        market: str = BTC,
        side: str = "bearish",
        definition: str = "4h_usd",
        event: tuple[bool, int | None] | None = None,
        provisional: bool = False,
        running: bool = False,
        coverage: float = 1.0,
    ) -> Marts:
        """A bar of that rank. `event`: whether it is one, and its rank among them; None while that is not known."""
        is_event, event_rank = event or (None, None)
        row = [definition, market, side, at, value, rank, 0.999, 4380, coverage, is_event, event_rank, 1.0, provisional]
        row.append(running)
        return self._add("fct_taker_spike_ranks", row)

    def totals(
        self,
        hours: int,
        until: datetime,
        total: float,
        *,
        market: str = BTC,
        coverage: float = 1.0,
        is_lower_bound: bool = False,
        venue_set: str = "binance_um",
        unvalued: int = 0,
        symbols: int | None = None,
    ) -> Marts:
        """So many hours of 24 h liquidations up to `until`, each of that total. `symbols`: subscribed, None for all."""
        first = until - timedelta(hours=hours - 1)
        self.statements.append(
            f"insert into fct_liquidations_rolling_24h select '{market.split(':')[0]}', '{market}', "
            f"timestamp '{first}' + to_hours(cast(n as integer)), {total * 0.9}, {total * 0.1}, {total}, 7, "
            f"{unvalued}, {total / 3}, {coverage}, {is_lower_bound}, 'live', '{venue_set}', "
            f"{'null' if symbols is None else symbols} "
            f"from range({hours}) as hours (n)"
        )
        return self

    def day(self, day: date, market: str = BTC, *, coverage: float = 1.0, running: bool = False) -> Marts:
        """A daily bar and its brief."""
        self._add("fct_net_taker_volume_daily", [market, day, -1, coverage, running])
        label = "SIMULATED: " if market.startswith("simulated") else ""
        return self._add("rpt_market_brief_daily", [market, day, f"{label}{market} on {day}: takers sold <more>."])

    def sql(self, statement: str) -> Marts:
        """Any other change of them."""
        self.statements.append(statement)
        return self

    def publish(self) -> None:
        """As publishing does it: a new file in the place of the former one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        staged = self.path.with_suffix(".building")
        staged.unlink(missing_ok=True)
        with duckdb.connect(str(staged)) as out:
            for statement in self.statements:
                out.execute(statement)
            out.execute("create table publication as select uuid()::varchar as run_id")
        os.replace(staged, self.path)

    def _add(self, table: str, row: list[object]) -> Marts:
        values = ", ".join("null" if value is None else f"'{value}'" for value in row)
        return self.sql(f"insert into {table} values ({values})")
