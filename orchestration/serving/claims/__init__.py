"""Claims about a spike, as people write them, and their verdicts from the published marts.

Belongs here: reading a claim (`parse`) and evaluating it (`evaluate`). Does not: printing (`orchestration.cli.render`).
Imports no dagster and no dbt.
"""
