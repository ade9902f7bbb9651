"""Dagster assets: thin sentences over plain functions.

Belongs here: keys, partitions, metadata. Does not: work that can be tested without Dagster.
"""
