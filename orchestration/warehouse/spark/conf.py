"""How Spark must compute, so that every value is DuckDB's; and the name of the catalog.

Belongs here: settings of a session that decide on values. Does not: where the cluster, its jars and its catalog are,
which `spark-defaults.conf` states.
"""

from __future__ import annotations

from typing import Final

# The Iceberg catalog in which the warehouse's tables are, and their schema.
CATALOG: Final = "lake"
SCHEMA: Final = "main"

SEMANTICS: Final = {
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.sql.defaultCatalog": CATALOG,
    # A naive timestamp of DuckDB is Spark's timestamp in UTC.
    "spark.sql.session.timeZone": "UTC",
    # An overflow is an error and not a NULL; and identifiers in double quotes are standard SQL.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    # Otherwise a product of two DECIMAL(38,…) loses decimals, silently.
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    # Folders such as `symbol=1000` stay texts.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
}
