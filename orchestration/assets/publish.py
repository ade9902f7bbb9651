"""Publication: audited marts become the file that people read, all at once or not at all.

Belongs here: building aside and swapping, comments, the `publication` table, Parquet copies.
Does not: what makes a mart good (`orchestration.checks`, dbt tests).
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from orchestration.assets.raw import OWNERS, simulated_label
from orchestration.progress import Progress
from orchestration.resources import StorageResource
from orchestration.settings import Settings

if TYPE_CHECKING:
    import duckdb

    from ingestion.object_store import ObjectStore

PUBLISHED_KEY: Final = dg.AssetKey(["published", "marts"])
PARQUET_PREFIX: Final = "serving/parquet"

_PUBLICATION_COMMENTS: Final = {
    "published_at": "When these marts were published, UTC.",
    "run_id": "Dagster run that built and audited them.",
    "first_day": "First UTC day with a daily bar of any market.",
    "last_day": "Last UTC day with a daily bar of any market.",
    "markets": "Markets that the marts hold.",
    "settings": "Settings of the build, as JSON.",
    "audit": "Outcome of every audit check, as JSON: passed, or warned.",
}


@dataclass(frozen=True)
class Publication:
    """What was published: `rows` per mart, the days covered (None when there is no bar at all) and the markets."""

    rows: Mapping[str, int]
    first_day: date | None
    last_day: date | None
    markets: tuple[str, ...]


def published_asset(
    settings: Settings, marts: Sequence[str], audits: Sequence[dg.AssetCheckKey], progress: Progress
) -> dg.AssetsDefinition:
    """The asset at the end of the graph. It runs only after every blocking check on the marts has let it."""

    @dg.asset(
        key=PUBLISHED_KEY,
        deps=[dg.AssetKey(mart) for mart in marts],
        pool="warehouse",
        group_name="published",
        kinds={"duckdb", "parquet"},
        owners=OWNERS,
        description=simulated_label(settings)
        + "The audited marts: `serving/marts.duckdb`, swapped in atomically, and `serving/parquet`.",
    )
    def published(
        context: dg.AssetExecutionContext, storage: dg.ResourceParam[StorageResource]
    ) -> dg.MaterializeResult[None]:
        audit = audit_summary(context.instance, audits)
        refused = sorted(name for name, outcome in audit.items() if outcome in ("failed", "not run"))
        if refused:
            raise dg.Failure(
                f"nothing was published and the former publication stands: {_and(refused)} did not pass; "
                "materialize the marts together with their checks (job `build_and_publish`)",
                allow_retries=False,
            )
        progress.publishing(len(marts))
        publication = publish(
            settings.warehouse_path,
            settings.serving_path,
            storage.store(),
            marts,
            run_id=context.run_id,
            settings=published_settings(settings),
            audit=audit,
            now=datetime.now(UTC),
        )
        return dg.MaterializeResult(
            metadata={
                "rows": dict(publication.rows),
                "first_day": str(publication.first_day),
                "last_day": str(publication.last_day),
                "markets": list(publication.markets),
                "database": dg.MetadataValue.path(str(settings.serving_path)),
                "parquet": f"{settings.storage_url}/{PARQUET_PREFIX}/",
            }
        )

    return published


def audit_summary(instance: dg.DagsterInstance, audits: Sequence[dg.AssetCheckKey]) -> dict[str, str]:
    """Latest outcome of each audit: `passed`, `warned`, `failed`, or `not run` on the mart as it is now."""
    return {key.name: _latest(instance, key) for key in audits}


def _latest(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> str:
    # A queued run has planned its checks already: the latest record is not always an evaluation.
    for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=25):
        event = record.event.dagster_event if record.event is not None else None
        evaluation = event.event_specific_data if event is not None else None
        if record.event is None or not isinstance(evaluation, dg.AssetCheckEvaluation):
            continue
        mart = instance.get_latest_materialization_event(key.asset_key)
        if mart is not None and record.event.timestamp < mart.timestamp:
            return "not run"
        if evaluation.passed:
            return "passed"
        return "warned" if evaluation.severity is dg.AssetCheckSeverity.WARN else "failed"
    return "not run"


def published_settings(settings: Settings) -> dict[str, Any]:
    """The settings a number depends on. No address that could carry a password, no key."""
    return {
        "markets": [market.market_id for market in settings.markets],
        "kline_interval": list(settings.kline_interval),
        "trades_dataset": settings.trades_dataset,
        "first_day": settings.first_day.isoformat(),
        "target": settings.target,
    }


def publish(
    warehouse: Path,
    serving: Path,
    store: "ObjectStore",
    marts: Sequence[str],
    *,
    run_id: str,
    settings: Mapping[str, Any],
    audit: Mapping[str, str],
    now: datetime,
) -> Publication:
    """Copy the marts with their comments into a new file, swap it in, and store each mart as Parquet.

    Readers that hold the former file open keep reading it; new ones get the new file. When anything fails, the former
    file is untouched. The Parquet copies change one mart at a time, each of them whole: whoever needs several marts of
    one publication reads the file.
    """
    import duckdb

    serving.parent.mkdir(parents=True, exist_ok=True)
    staged = serving.with_name(f".{serving.name}.building")
    staged.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="taker-publish-") as scratch:
        try:
            with duckdb.connect(str(staged)) as out:
                out.execute("set timezone = 'UTC'")
                out.execute(f"attach {_text(str(warehouse))} as warehouse (read_only)")
                rows = {mart: _copy_mart(out, mart, Path(scratch)) for mart in marts}
                out.execute("detach warehouse")
                publication = _publication(out, rows, run_id, settings, audit, now)
            for mart in marts:
                store.put_file(f"{PARQUET_PREFIX}/{mart}/data.parquet", Path(scratch) / f"{mart}.parquet")
            os.replace(staged, serving)
        finally:
            staged.unlink(missing_ok=True)
            staged.with_name(f"{staged.name}.wal").unlink(missing_ok=True)
    return publication


def _copy_mart(out: "duckdb.DuckDBPyConnection", mart: str, scratch: Path) -> int:
    schema = _schema_of(out, mart)
    source = f"warehouse.{_name(schema)}.{_name(mart)}"
    out.execute(f"create table {_name(mart)} as from {source}")
    comments = "where database_name = 'warehouse' and schema_name = ? and table_name = ? and comment is not null"
    for (comment,) in out.execute(f"select comment from duckdb_tables() {comments}", [schema, mart]).fetchall():
        out.execute(f"comment on table {_name(mart)} is {_text(comment)}")
    described = out.execute(f"select column_name, comment from duckdb_columns() {comments}", [schema, mart]).fetchall()
    for column, comment in described:
        out.execute(f"comment on column {_name(mart)}.{_name(column)} is {_text(comment)}")
    target = scratch / f"{mart}.parquet"
    out.execute(f"copy {_name(mart)} to {_text(str(target))} (format parquet, compression zstd)")
    counted = out.execute(f"select count(*) from {_name(mart)}").fetchone()
    return int(counted[0]) if counted else 0


def _schema_of(out: "duckdb.DuckDBPyConnection", mart: str) -> str:
    found = out.execute(
        "select schema_name from duckdb_tables() where database_name = 'warehouse' and table_name = ?", [mart]
    ).fetchone()
    if found is None:
        raise dg.Failure(f"mart `{mart}` is not in the warehouse; run `build_and_publish`", allow_retries=False)
    return str(found[0])


def _publication(
    out: "duckdb.DuckDBPyConnection",
    rows: Mapping[str, int],
    run_id: str,
    settings: Mapping[str, Any],
    audit: Mapping[str, str],
    now: datetime,
) -> Publication:
    first = last = None
    if "fct_net_taker_volume_daily" in rows:
        span = out.execute("select min(trade_date), max(trade_date) from fct_net_taker_volume_daily").fetchone()
        first, last = span or (None, None)
    markets: tuple[str, ...] = ()
    if "dim_markets" in rows:
        found = out.execute("select market_id from dim_markets order by market_id").fetchall()
        markets = tuple(market for (market,) in found)
    out.execute(
        "create table publication (published_at timestamp, run_id varchar, first_day date, last_day date, "
        "markets varchar[], settings json, audit json)"
    )
    out.execute(
        "insert into publication values (?, ?, ?, ?, ?, ?, ?)",
        [
            now.astimezone(UTC).replace(tzinfo=None),
            run_id,
            first,
            last,
            list(markets),
            json.dumps(settings),
            json.dumps(audit),
        ],
    )
    out.execute("comment on table publication is 'One row: where the marts in this file come from.'")
    for column, comment in _PUBLICATION_COMMENTS.items():
        out.execute(f"comment on column publication.{column} is {_text(comment)}")
    return Publication(rows, first, last, markets)


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
