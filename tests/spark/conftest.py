"""Fixtures of the tests on Spark. Belongs here: the one cluster that all of them share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.spark import missing, running_spark
from tools.spark.cluster import Cluster


@pytest.fixture(scope="session")
def spark_cluster() -> Iterator[Cluster]:
    """A cluster of one master, two workers and a catalog; the tests skip where something for it is missing."""
    if reason := missing():
        pytest.skip(reason)
    with running_spark() as cluster:
        yield cluster
