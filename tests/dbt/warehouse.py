"""A throw-away raw zone and a throw-away warehouse, so that a test can build the dbt project for real.

Belongs here: writing raw files and receipts the way the zone holds them, running dbt, reading results.
Does not: what is asserted about them. Nothing is written outside the folder given.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from ingestion.domain.datasets import DATASETS
from ingestion.domain.periods import Period
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market, simulated_venues
from orchestration.warehouse.events import take_events
from orchestration.warehouse.parsed import keep_parsed, load_parsed, parsed_path
from tests.support.forked import completed

Record = dict[str, Any]
PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
# Marts and what they stand on; the receipt tables are compared through what they cause.
RESULTS = (
    "dim_markets",
    "int_trade_minutes",
    "int_flow_bars",
    "int_bars",
    "fct_net_taker_volume_minute",
    "fct_net_taker_volume_hourly",
    "fct_net_taker_volume_daily",
    "fct_taker_dominance_daily",
    "fct_taker_spike_ranks",
    "fct_flow_reconciliation_daily",
    "fct_liquidations_hourly",
    "fct_open_interest_hourly",
    "fct_open_interest_daily",
    "fct_long_short_ratios",
    "fct_funding_rates",
    "int_market_bars",
    "fct_liquidations_daily",
    "fct_liquidations_rolling_24h",
    "int_closes_daily",
    "int_forward_returns",
    "agg_spike_event_study",
    "rpt_market_brief_daily",
    "rpt_market_screen",
    "fct_hour_of_week_profile",
)


def read_yaml(path: Path) -> Any:
    """The values of a YAML file. By libyaml: in Python alone the files of the models take seconds."""
    return yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)


@dataclass
class RawFolder:
    """`raw/` with files, a receipt index, a table of defects and, of what was collected, a coverage table.

    Rows are dictionaries by the stored column names. The market of a venue-wide object is `venue:ALL`.
    """

    root: Path
    receipts: dict[tuple[str, str, str, date], dict[str, Any]] = field(default_factory=dict)
    coverage: dict[tuple[str, str, datetime], dict[str, Any]] = field(default_factory=dict)
    defects: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return str(self.root / "raw")

    def path(self, dataset: str, market_id: str, period: Period, interval: str = "") -> Path:
        market = parse_market(market_id)
        parts = [dataset, f"venue={market.venue}", f"symbol={market.symbol}"]
        parts += [f"interval={interval}"] if interval else []
        return self.root / "raw" / Path(*parts) / f"{DATASETS[dataset].span.value}={period.label}" / "data.parquet"

    def store(
        self, dataset: str, market_id: str, day: date, rows: Sequence[Mapping[str, Any]], *, interval: str = ""
    ) -> Path:
        """Store the period that holds `day`. Columns a row leaves out are filled with something harmless."""
        period = Period.holding(day, DATASETS[dataset].span)
        schema = DATASETS[dataset].schema
        complete = [{name: row.get(name, _harmless(schema.field(name).type)) for name in schema.names} for row in rows]
        path = self.path(dataset, market_id, period, interval)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(complete, schema=schema), path)
        time_column = DATASETS[dataset].time_column
        held = [row[time_column].date() for row in complete]
        days = [day] if period.first_day == period.last_day else sorted(set(held))
        for each in days:
            self._receipt(dataset, market_id, each, interval, "stored", period, held.count(each), path.read_bytes())
        return path

    def absent(self, dataset: str, market_id: str, day: date) -> None:
        """The venue has no file of this day. Whatever was stored of it is gone."""
        period = Period.holding(day, DATASETS[dataset].span)
        self.path(dataset, market_id, period).unlink(missing_ok=True)
        self._receipt(dataset, market_id, day, "", "absent", period, 0, b"")

    def covered(
        self,
        market_id: str,
        hour_at: datetime,
        minutes: int = 60,
        *,
        dataset: str = "liquidations",
        all_orders: bool = False,
        heard_symbols: str = "",
        lost_messages: int = 0,
    ) -> None:
        """So many minutes of the hour had a connection that was up and answering.

        `heard_symbols`: those alone, parted by blanks (empty: every symbol); `lost_messages` could not be used.
        """
        market = parse_market(market_id)
        self.coverage[dataset, market_id, hour_at] = {
            "dataset": dataset,
            "venue": market.venue,
            "symbol": market.symbol,
            "hour_at": hour_at,
            "covered_minutes": minutes,
            "is_every_order": all_orders,
            "lost_messages": lost_messages,
            "heard_symbols": heard_symbols,
            "known_at": datetime(2026, 1, 1, tzinfo=UTC),
        }

    def defect(
        self,
        kind: str,
        dataset: str,
        market_id: str,
        day: date,
        *,
        hour_at: datetime | None = None,
        rows: int = 0,
        reason: str = "a reason",
        source_key: str = "a/file.zip",
        used_instead: str = "",
        interval: str = "",
    ) -> None:
        """Something published that was not used as published (`ingestion.raw.zone.Defect`)."""
        market = parse_market(market_id)
        self.defects.append(
            {
                "dataset": dataset,
                "venue": market.venue,
                "symbol": market.symbol,
                "market_id": market_id,
                "interval": interval,
                "period": Period.holding(day, DATASETS[dataset].span).label,
                "kind": kind,
                "reason": reason,
                "day": day,
                "hour_at": hour_at,
                "row_count": rows,
                "source_key": source_key,
                "used_instead": used_instead,
                "known_at": datetime(2026, 1, 1, tzinfo=UTC),
            }
        )

    def _receipt(
        self,
        dataset: str,
        market_id: str,
        day: date,
        interval: str,
        status: str,
        period: Period,
        rows: int,
        data: bytes,
    ) -> None:
        market = parse_market(market_id)
        self.receipts[dataset, market_id, interval, day] = {
            "dataset": dataset,
            "venue": market.venue,
            "symbol": market.symbol,
            "market_id": market_id,
            "base_asset": market.base_asset,
            "quote_asset": market.quote_asset,
            "contract_type": market.contract_type.value,
            "contract_size": market.contract_size,
            "base_multiplier": market.base_multiplier,
            "delivered_at": market.delivers_at,
            "interval": interval,
            "period": period.label,
            "day": day,
            "status": status,
            "row_count": rows,
            "id_gaps": 0,
            "duplicate_rows": 0,
            "zero_rows": 0,
            "out_of_order_rows": 0,
            "stored_sha256": hashlib.sha256(data).hexdigest() if data else None,
            "revision": 1,
            "known_at": datetime(2026, 1, 1, tzinfo=UTC),
        }

    def write_index(self) -> None:
        (self.root / "raw").mkdir(parents=True, exist_ok=True)
        zone = RawZone(open_store(self.root))
        table = pa.Table.from_pylist(list(self.receipts.values()), schema=zone.index().schema)
        pq.write_table(table, self.root / "raw" / "receipts.parquet")
        if self.coverage:
            coverage = pa.Table.from_pylist(list(self.coverage.values()), schema=zone.coverage().schema)
            pq.write_table(coverage, self.root / "raw" / "coverage.parquet")
        if self.defects:
            defects = pa.Table.from_pylist(self.defects, schema=zone.defects().schema)
            pq.write_table(defects, self.root / "raw" / "defects.parquet")


def _harmless(type_: pa.DataType) -> Any:
    if pa.types.is_string(type_):
        return ""
    if pa.types.is_timestamp(type_):
        return datetime(2024, 1, 1, tzinfo=UTC)
    return False if pa.types.is_boolean(type_) else 1


def _dbt() -> None:
    """dbt's own interface, in the process forked for it: the status and message of every node as `results.json`.

    dbt's artifacts and the debug lines of its log take a third of a small build, and no test reads them.
    """
    from dbt.cli.main import dbtRunner

    from orchestration.warehouse.dbt_nodes import cheapen_nodes

    take_events()
    began, path, target = time.time(), parsed_path(PROJECT), Path(sys.argv[-1])
    manifest = load_parsed(path)
    if manifest is not None:
        cheapen_nodes()
    done = dbtRunner(manifest=manifest).invoke(sys.argv[1:])
    if manifest is None:
        keep_parsed(path, target, began)
    if done.exception:
        raise done.exception
    # What dbt returns depends on the command; of these it is what it did with each node.
    results = [(one.node.unique_id, one.status, one.message) for one in done.result]  # type: ignore[union-attr]
    (target / "results.json").write_text(json.dumps(results))


@dataclass(frozen=True)
class Warehouse:
    """A DuckDB file of its own, and dbt to build it from a raw zone."""

    folder: Path
    raw_url: str
    kline_intervals: tuple[str, ...] = ("1h",)
    trades_dataset: str = "aggTrades"
    own_claims: tuple[Mapping[str, str], ...] = ()
    memory_limit: str = ""

    @property
    def path(self) -> Path:
        return self.folder / "warehouse.duckdb"

    def dbt(self, *args: str) -> dict[str, str]:
        """Run dbt; the status of each node by its name. An error that is no node's fails the test with dbt's output."""
        target = self.folder / "target"
        results = target / "results.json"
        results.unlink(missing_ok=True)
        self.write_profile()
        command = ["--no-use-colors", "--log-level-file", "info", *args, "--no-write-json"]
        command += ["--vars", self.variables(), "--project-dir", str(PROJECT), "--profiles-dir", str(self.folder)]
        command += ["--log-path", str(self.folder / "logs"), "--target-path", str(target)]
        quiet = {**os.environ, "DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        done = completed(_dbt, command, quiet, PROJECT)
        assert results.is_file(), done.stdout + done.stderr
        reported = json.loads(results.read_text())
        broken = {name: message for name, status, message in reported if status in ("error", "fail", "skipped")}
        if "test_type:unit" not in args:
            assert not broken, json.dumps(broken, indent=1)
        return {
            name: status if status in ("success", "pass") else f"{status}: {message}"
            for name, status, message in reported
        }

    def build(self, *args: str) -> None:
        """Everything but the unit tests, as in production."""
        self.dbt("build", "--exclude-resource-type", "unit_test", *args)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def records(self, relation: str) -> list[Record]:
        """Every row of a table as a dictionary, in an order that depends on nothing but the rows."""
        with duckdb.connect(str(self.path), read_only=True) as connection:
            found = connection.execute(f"select * from {relation} order by all")
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def results(self) -> dict[str, list[Record]]:
        return {name: self.records(name) for name in RESULTS}

    def variables(self) -> str:
        """The value of `--vars`."""
        dbt_vars = {
            "raw_url": self.raw_url,
            "kline_intervals": list(self.kline_intervals),
            "trades_dataset": self.trades_dataset,
            "simulated_venues": list(simulated_venues()),
            "own_claims": list(self.own_claims),
        }
        return json.dumps(dbt_vars)

    def write_profile(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {"TimeZone": "UTC"} | ({"memory_limit": self.memory_limit} if self.memory_limit else {})
        output = {"type": "duckdb", "path": str(self.path), "threads": 2, "settings": settings}
        profile = {"taker": {"target": "duckdb", "outputs": {"duckdb": output}}}
        (self.folder / "profiles.yml").write_text(json.dumps(profile))  # JSON is YAML
