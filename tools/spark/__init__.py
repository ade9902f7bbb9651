"""A small Spark cluster with an Iceberg catalog on this machine: `make spark-up`, `make spark-down`.

Belongs here: what takes the place of a team's own cluster in development and in the tests. Does not: anything that
Taker itself needs to run on a cluster (`orchestration.warehouse.spark`).
"""
