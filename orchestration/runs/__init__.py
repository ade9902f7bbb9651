"""Runs of the asset graph in this process, and Dagster's own storage that records them.

Belongs here: from requested days to a report of the run. Does not: what a step does (`orchestration.defs`).
"""
