"""A small warehouse and its publication, without Dagster and dbt.

Belongs here: building marts with SQL and publishing them. Does not: expectations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from ingestion.raw.store import ObjectStore
from ingestion.raw.stores import open_store
from orchestration.state.whole import note_whole
from orchestration.warehouse.lake.catalog import TeamLake
from orchestration.warehouse.opening import WarehouseFile
from orchestration.warehouse.publish.publication import Publication, publish
from orchestration.warehouse.standing import NOTHING_STANDS, Standing

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MARKETS, DAILY = "dim_markets", "fct_net_taker_volume_daily"
# A table of every type that a mart may have, with the values that are lost most easily.
EVERY_TYPE = (
    "create table every_type (big bigint, small integer, label varchar, ratio double, flag boolean, traded_on date, "
    "bar_at timestamp, known_at timestamptz, amount decimal(38, 8), price decimal(18, 8), names varchar[], facts json)",
    """insert into every_type values (
        1, 1, 'a, "b"\nc', 1.5, true, date '2024-02-29', timestamp '2024-02-29 23:59:59.123456',
        timestamptz '2024-02-29 23:59:59.123456+02', 123456789012345678901234567890.12345678, 0.00000001,
        ['x, y', '"q" \\ {}', '', null], '{"a": [1, "é"]}'
    )""",
    """insert into every_type values (
        2, -1, '', 'nan', false, date '1969-12-31', timestamp '1969-12-31 00:00:00',
        timestamptz '1969-12-31 00:00:00Z', -0.00000001, -1, [], 'null'
    )""",
    "insert into every_type (big) values (3)",
    """insert into every_type values (
        9223372036854775807, 7, '\\.', '-inf', true, date '9999-12-31', timestamp '9999-12-31 23:59:59',
        null, 0, 0, ['NULL'], '1'
    )""",
    "insert into every_type (big, label, ratio) values (5, 'NULL', 5e-324)",
)
KEYS = {MARKETS: ("market_id",), DAILY: ("market_id", "bar_date")}


@dataclass
class Publisher:
    """Publishes the warehouse in `folder`; each publication is a second after the one before."""

    folder: Path
    store: ObjectStore
    postgres_url: str | None = None
    team: TeamLake | None = None
    now: datetime = field(default=NOW)

    @classmethod
    def on(cls, folder: Path, postgres_url: str | None = None) -> Publisher:
        return cls(folder, open_store(folder), postgres_url)

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def serving(self) -> Path:
        return self.folder / "serving" / "marts.duckdb"

    def build(self, *statements: str) -> None:
        """Run SQL in the warehouse, as dbt would."""
        with duckdb.connect(str(self.warehouse)) as connection:
            for statement in statements:
                connection.execute(statement)

    def build_days(self, days: int) -> None:
        """One market and so many days of it, from 2026-01-01."""
        self.build(
            f"create or replace table {MARKETS} as select 'simulated:BTCUSDT' as market_id, true as is_ingested",
            f"create or replace table {DAILY} as "
            "select 'simulated:BTCUSDT' as market_id, date '2026-01-01' + cast(n as integer) as bar_date, "
            f"cast(n as decimal(38, 8)) as net_taker_usd from range({days}) as r(n)",
            f"comment on table {DAILY} is 'It''s the day'",
            f"comment on column {DAILY}.net_taker_usd is 'buys − sells'",
        )

    def publish(
        self,
        marts: Sequence[str] = (MARKETS, DAILY),
        *,
        settings: Mapping[str, Any] | None = None,
        keys: Mapping[str, Sequence[str]] = KEYS,
        standing: Standing = NOTHING_STANDS,
    ) -> Publication:
        now = self.now
        self.now += timedelta(seconds=1)
        publication = publish(
            WarehouseFile(self.warehouse),
            self.serving,
            self.store,
            marts,
            run_id="run-1",
            settings=settings or {"target": "duckdb"},
            audit={"suite": "passed"},
            now=now,
            keys=keys,
            postgres_url=self.postgres_url,
            team=self.team,
            standing=standing,
        )
        note_whole(self.serving, publication.contents.statement())  # as a run does
        return publication

    def publish_days(self, days: int) -> Publication:
        self.build_days(days)
        return self.publish()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the published file."""
        with duckdb.connect(str(self.serving), read_only=True) as connection:
            return connection.execute(sql).fetchall()
