"""What is published, for readers on the cluster: a branch of each mart's table, and a view of it.

Belongs here: sending them to the snapshots that were audited. Does not: which these are, as the copy of the tables
states (`orchestration.warehouse.spark.image`); the files that are published beside (`orchestration.warehouse.publish`).

    lake.main.<mart>, branch `published`     the rows that were audited: no expiry of snapshots takes them
    lake.published.<mart>                    a view of that snapshot by its number, with its columns of then
    lake.published.publication               one row, as in every other target

No session of Spark, and no worker: a JVM with Spark's class path and Iceberg's own interface, three seconds. Each table
is a commit of its own, so that for a second or two a reader may see two publications; the row of `publication` is the
last to change. A reader of several marts that must agree has the Parquet files.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestration.warehouse.publish.database import PUBLICATION
from orchestration.warehouse.publish.tables import PublicationError, Table
from orchestration.warehouse.spark.conf import CATALOG, SCHEMA
from orchestration.warehouse.spark.image import SNAPSHOTS

if TYPE_CHECKING:
    import duckdb
    from py4j.java_gateway import JavaGateway

BRANCH: Final = "published"
PUBLISHED: Final = "published"

_CONF: Final = "SPARK_CONF_DIR"
_CATALOG_SETTINGS: Final = f"spark.sql.catalog.{CATALOG}."
_COLUMNS: Final = {
    "published_at": "timestamptz",
    "run_id": "string",
    "first_day": "date",
    "last_day": "date",
    "markets": "string",
    "settings": "string",
    "audit": "string",
}


@dataclass(frozen=True)
class Cluster:
    """The catalog that `spark-defaults.conf` in the folder `conf` states."""

    conf: Path


@dataclass(frozen=True)
class ClusterReport:
    """Where readers on the cluster have the marts."""

    schema: str = f"{CATALOG}.{PUBLISHED}"


def audited_snapshots(warehouse: duckdb.DuckDBPyConnection, name: str = "warehouse") -> dict[str, int]:
    """The snapshot of each table that was copied into the attached warehouse, which is what its audit has judged.
    PublicationError where the copy does not state them."""
    import duckdb

    known = f"select table_name, snapshot_id from {name}.{SNAPSHOTS} where snapshot_id is not null"
    try:
        return dict(warehouse.execute(known).fetchall())
    except duckdb.CatalogException:
        raise PublicationError(
            "nothing was published and the former publication stands: a former version of Taker has copied the tables "
            "that Spark built, and did not note their snapshots; run `build_and_publish`"
        ) from None


@contextlib.contextmanager
def shown(
    cluster: Cluster,
    tables: Sequence[Table],
    snapshots: Mapping[str, int],
    span: tuple[date | None, date | None, Sequence[str]],
    *,
    run_id: str,
    settings: Mapping[str, Any],
    audit: Mapping[str, str],
    now: datetime,
) -> Iterator[ClusterReport]:
    """Send branch and view of each of the `tables` that has a snapshot to it when the block ends well, and none of them
    otherwise.

    PublicationError, before the block where the catalog cannot be used, or a snapshot is no longer in it.
    """
    marts = {table.name: snapshots[table.name] for table in tables if table.name in snapshots}
    with contextlib.ExitStack() as until_shown:
        with _one_sentence("Nothing was published, the former publication stands"):
            catalog = until_shown.enter_context(_opened(cluster))
            held = {name: catalog.table(name, snapshot) for name, snapshot in marts.items()}
        yield ClusterReport()
        with _one_sentence(
            "The files are published; readers on the cluster may have the former publication of some marts"
        ):
            for name, table in held.items():
                catalog.move(table, marts[name])
            for name, table in held.items():
                schema = table.schemas().get(table.snapshot(marts[name]).schemaId())
                catalog.view(name, schema, f"select * from {CATALOG}.{SCHEMA}.{name} version as of {marts[name]}")
            catalog.drop_other_views({*marts, PUBLICATION})
            catalog.view(PUBLICATION, catalog.schema(_COLUMNS), _statement(now, run_id, span, settings, audit))


def _statement(
    now: datetime,
    run_id: str,
    span: tuple[date | None, date | None, Sequence[str]],
    settings: Mapping[str, Any],
    audit: Mapping[str, str],
) -> str:
    """The row of `publication` as a query of no table. Texts in base64: Spark reads backslashes in its literals."""
    first, last, markets = span

    def text(value: str) -> str:
        return f"cast(unbase64('{base64.b64encode(value.encode()).decode()}') as string)"

    def day(value: date | None) -> str:
        return f"date '{value}'" if value else "cast(null as date)"

    microseconds = (now.astimezone(UTC) - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
    values = [f"timestamp_micros({microseconds})", text(run_id), day(first), day(last)]
    values += [text(json.dumps(value)) for value in (list(markets), settings, audit)]
    return "select " + ", ".join(f"{value} as {name}" for value, name in zip(values, _COLUMNS, strict=True))


class _Catalog:
    """The catalog of the tables, by Iceberg's own interface in a JVM behind `gateway`."""

    def __init__(self, gateway: JavaGateway) -> None:
        from py4j.java_gateway import JavaPackage

        self._gateway, self._jvm = gateway, gateway.jvm
        settings = self._jvm.org.apache.spark.SparkConf(True)
        stated = self._jvm.java.util.HashMap()
        for each in settings.getAllWithPrefix(_CATALOG_SETTINGS):
            stated.put(each._1(), each._2())
        hadoop = self._jvm.org.apache.spark.deploy.SparkHadoopUtil.get().newConfiguration(settings)
        catalogs = self._jvm.org.apache.iceberg.CatalogUtil
        if isinstance(catalogs, JavaPackage):
            raise OSError("Iceberg is not in its spark.driver.extraClassPath")
        self._catalog = catalogs.buildIcebergCatalog(CATALOG, stated, hadoop)

    def table(self, name: str, snapshot: int) -> Any:
        """The table; PublicationError where it no longer has this snapshot."""
        table = self._catalog.loadTable(self._identifier(SCHEMA, name))
        if table.snapshot(snapshot) is None:
            raise PublicationError(
                f"the table {CATALOG}.{SCHEMA}.{name} no longer has the snapshot {snapshot} that was audited; run "
                "`build_and_publish`"
            )
        return table

    def move(self, table: Any, snapshot: int) -> None:
        """The branch to this snapshot."""
        if table.refs().containsKey(BRANCH):
            if table.refs().get(BRANCH).snapshotId() != snapshot:
                table.manageSnapshots().replaceBranch(BRANCH, snapshot).commit()
        else:
            table.manageSnapshots().createBranch(BRANCH, snapshot).commit()

    def view(self, name: str, schema: Any, query: str) -> None:
        """A view of this query, in the place of the former one, where that is another."""
        namespace, identifier = self._namespace(PUBLISHED), self._identifier(PUBLISHED, name)
        if not self._catalog.namespaceExists(namespace):
            self._catalog.createNamespace(namespace)
        if self._catalog.viewExists(identifier) and self._sql_of(identifier) == query:
            return
        builder = self._catalog.buildView(identifier).withSchema(schema).withQuery("spark", query)
        builder.withDefaultCatalog(CATALOG).withDefaultNamespace(self._namespace(SCHEMA)).createOrReplace()

    def drop_other_views(self, names: Collection[str]) -> None:
        """Of marts that are no longer published: the schema is of what is published alone."""
        for view in list(self._catalog.listViews(self._namespace(PUBLISHED))):
            if view.name() not in names:
                self._catalog.dropView(view)

    def _sql_of(self, view: Any) -> str:
        return str(self._catalog.loadView(view).sqlFor("spark").sql())

    def schema(self, columns: Mapping[str, str]) -> Any:
        """A schema of optional columns of these types."""
        fields = [
            {"id": number, "name": name, "required": False, "type": kind}
            for number, (name, kind) in enumerate(columns.items(), 1)
        ]
        return self._jvm.org.apache.iceberg.SchemaParser.fromJson(json.dumps({"type": "struct", "fields": fields}))

    def _namespace(self, name: str) -> Any:
        levels = self._gateway.new_array(self._jvm.java.lang.String, 1)
        levels[0] = name
        return self._jvm.org.apache.iceberg.catalog.Namespace.of(levels)

    def _identifier(self, schema: str, name: str) -> Any:
        return self._jvm.org.apache.iceberg.catalog.TableIdentifier.of(self._namespace(schema), name)


@contextlib.contextmanager
def _opened(cluster: Cluster) -> Iterator[_Catalog]:
    """A JVM that reads `spark-defaults.conf`, and the catalog that it states, until the block ends."""
    from py4j.protocol import Py4JError
    from pyspark.java_gateway import launch_gateway

    from orchestration.warehouse.spark.build import reason_of

    os.environ[_CONF] = str(cluster.conf)
    gateway = launch_gateway(popen_kwargs={"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL})
    try:
        try:
            catalog = _Catalog(gateway)
        except Py4JError as error:
            # Its text is in the JVM, which ends with this block.
            raise OSError(reason_of(error)) from None
        yield catalog
    finally:
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait()


@contextlib.contextmanager
def _one_sentence(state: str) -> Iterator[None]:
    """An error of Java or of the catalog as one sentence."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    from orchestration.warehouse.spark.build import reason_of

    try:
        yield
    except (Py4JError, PySparkException, OSError) as error:
        raise PublicationError(
            f"the catalog {CATALOG} of spark-defaults.conf: {reason_of(error).rstrip('.')}; check the catalog, and "
            f"publish again. {state}"
        ) from None
