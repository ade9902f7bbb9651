"""What runs, when, in which order and with which proof: Dagster, the settings and the `taker` command.

Belongs here: everything that knows the environment. Does not: how bytes become Parquet (`ingestion`) or what a number
means (`dbt_project`).
"""

import ingestion  # noqa: F401  # first of all: it sets what numpy reads when it is imported
