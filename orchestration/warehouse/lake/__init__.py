"""The warehouse in a DuckLake: the target `lake`.

Belongs here: opening the lake, who builds in it, what becomes of its former snapshots. Does not: SQL
(`dbt_project/macros/engine/`), what is published into it (`orchestration.warehouse.publish.lake`).
"""
