"""A venue's data becomes raw Parquet, with proof.

Belongs here: everything between a venue's bytes and a receipted object of the raw zone, in plain Python.
Does not: Dagster, dbt, Great Expectations, or any metric. Nothing here imports them (`tests/test_project_shape.py`).
"""

import os

# numpy's linear algebra, which nothing here uses, starts a thread per core that waits for work by spinning: 0.06 s of
# CPU of every process that imports numpy. It reads this when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
