"""A venue's data becomes raw Parquet, with proof.

Belongs here: everything between a venue's bytes and a receipted object of the raw zone, in plain Python.
Does not: Dagster, dbt, Great Expectations, or any metric. Nothing here imports them (`tests/test_project_shape.py`).
"""
