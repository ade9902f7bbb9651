"""Which configured markets lack a day that they should have by now: one rule, for the check and for the alert.

Belongs here: each market's newest published day, the day that is expected, which market lacks it. Does not: how it is
reported (`orchestration.alerts.conditions`, `orchestration.checks.completeness`). No import of dagster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from ingestion.domain.markets import UnknownMarket
from ingestion.venues import parse_market

if TYPE_CHECKING:
    import duckdb

_DAILY: Final = "fct_net_taker_volume_daily"
# Archives are up by then on all but bad days; a run at night brings the day in hours before.
EXPECTED_FROM_HOUR: Final = 12


def newest_days(connection: duckdb.DuckDBPyConnection, markets: Iterable[str]) -> dict[str, date | None]:
    """Newest published UTC day of each of `markets`; None for a market without any."""
    # No bound parameters: for them DuckDB imports pandas.
    columns = connection.execute(f"select column_name from duckdb_columns() where table_name = '{_DAILY}'").fetchall()
    if not columns:
        return dict.fromkeys(markets)
    # A day that only the running hours of a venue's api have touched is no day yet.
    ended = "not is_running" if ("is_running",) in columns else "true"
    rows = connection.execute(f"select market_id, max(bar_date) from {_DAILY} where {ended} group by market_id")
    found = dict(rows.fetchall())
    return {market: found.get(market) for market in markets}


def expected_day(now: datetime) -> date:
    """The newest day that every market must have at `now`: yesterday from noon (UTC) on, until then the day before."""
    at = now.astimezone(UTC)
    return at.date() - timedelta(days=1 if at.hour >= EXPECTED_FROM_HOUR else 2)


def stale(newest: Mapping[str, date | None], now: datetime) -> dict[str, str]:
    """How far each market is behind, in words; markets that are not are left out."""
    due = {market: _last_day(market, expected_day(now)) for market in newest}
    return {market: _behind(day, due[market]) for market, day in newest.items() if day is None or day < due[market]}


def _last_day(market: str, expected: date) -> date:
    """`expected`, or the day of its delivery for a contract that was delivered before: it has no later one."""
    try:
        delivers_at = parse_market(market).delivers_at
    except UnknownMarket:
        return expected
    return min(expected, delivers_at.date()) if delivers_at is not None else expected


def _behind(day: date | None, expected: date) -> str:
    if day is None:
        return "it has no published day at all"
    behind = (expected - day).days
    return f"its newest published day is {day}, {behind} day{'' if behind == 1 else 's'} behind {expected}"
