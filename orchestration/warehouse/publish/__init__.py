"""From audited marts to the places where readers find them: a DuckDB file, Parquet files, PostgreSQL.

Belongs here: what a publication consists of, and one module per target. Does not: Dagster
(`orchestration.defs.publish`), what makes a mart good (`orchestration.checks`, dbt tests).
"""
