"""Read-only queries over the published marts and the raw zone's index.

Belongs here: facts as plain values. Does not: how they are printed (`orchestration.cli`, `orchestration.report`).
Imports no Dagster, so that the command line answers at once.
"""
