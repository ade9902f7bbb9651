"""The warehouse on Spark and Iceberg: the target `spark`.

Belongs here: what a Spark session needs to compute what DuckDB computes, and to find the raw zone. Does not: SQL
(`dbt_project/macros/engine/`), or a cluster of one's own (`tools.spark`).
"""
