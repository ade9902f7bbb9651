"""Fixtures of the tests on Spark. Belongs here: the one cluster that all of them share."""

from tests.support.spark import spark_cluster as spark_cluster
