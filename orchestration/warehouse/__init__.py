"""dbt, the audit and the publication of the marts.

Belongs here: what turns the raw zone into published tables. Does not: Dagster (`orchestration.defs`), SQL of the models
(`dbt_project`).
"""
