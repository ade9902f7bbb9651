"""The target `spark` as far as it needs no Spark: what dbt is given, and what is refused before anything starts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestration.config.dbt import DUCKDB, SPARK, DbtConfig
from orchestration.config.paths import Paths
from orchestration.config.settings import load_settings
from orchestration.config.storage import Storage
from orchestration.warehouse.parsed import parsed_path
from orchestration.warehouse.profile import engine_environment, profile, variables
from orchestration.warehouse.spark.build import reason_of
from orchestration.warehouse.spark.reach import SparkUnusable, configured, java_fault
from orchestration.warehouse.spark.session import spark_address


def config(folder: Path, target: str = SPARK) -> DbtConfig:
    return DbtConfig(Paths(folder), Storage(str(folder)), target, "aggTrades", ("1h",), spark_conf=folder / "conf")


def test_dbt_is_given_a_session_and_the_file_that_its_tables_are_copied_to(tmp_path: Path) -> None:
    given = profile(config(tmp_path))["taker"]
    assert given["outputs"][given["target"]]["method"] == "session"
    assert variables(config(tmp_path))["warehouse_file"] == str(tmp_path / "warehouse.duckdb")
    assert "warehouse_file" not in variables(config(tmp_path, DUCKDB))


def test_without_a_configuration_of_a_cluster_nothing_is_started(tmp_path: Path) -> None:
    with pytest.raises(SparkUnusable, match=r"no spark-defaults\.conf in .*/conf; run `make spark-up`, or"):
        engine_environment(config(tmp_path))


def test_without_spark_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "spark-defaults.conf").touch()
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(SparkUnusable, match="Spark is not installed; run `make spark-setup`"):
        engine_environment(config(tmp_path))


def test_without_java_nothing_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java_fault() == "java is missing; install a Java runtime 17"


def test_a_setting_of_spark_is_read_however_it_is_parted(tmp_path: Path) -> None:
    (tmp_path / "spark-defaults.conf").write_text(
        "# spark.a 0\nspark.a 1\nspark.b=jdbc:postgresql://h:1/x\nspark.c : 3\n\n"
    )
    assert configured(tmp_path) == {"spark.a": "1", "spark.b": "jdbc:postgresql://h:1/x", "spark.c": "3"}


def test_of_an_error_of_java_the_first_cause_is_reported() -> None:
    text = (
        "An error occurred while calling o47.sql.\n: org.apache.iceberg.jdbc.UncheckedSQLException: Failed to connect\n"
        "\tat org.apache.iceberg.jdbc.JdbcCatalog.initialize(JdbcCatalog.java:170)\n"
        "Caused by: org.postgresql.util.PSQLException: FATAL: password authentication failed\n"
        "\tat org.postgresql.core.v3.ConnectionFactoryImpl.doAuthentication(ConnectionFactoryImpl.java:693)\n"
    )
    assert reason_of(RuntimeError(text)) == "FATAL: password authentication failed"
    assert reason_of(RuntimeError("[TABLE_OR_VIEW_NOT_FOUND] no t\nmore")) == "[TABLE_OR_VIEW_NOT_FOUND] no t"
    assert reason_of(RuntimeError()) == "RuntimeError"


def test_a_cluster_of_ones_own_is_a_setting_and_the_local_one_its_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TAKER_TARGET", "spark")
    monkeypatch.setenv("TAKER_STATE_DIR", str(tmp_path))
    assert load_settings().dbt.spark_conf == tmp_path / "spark" / "conf"
    monkeypatch.setenv("TAKER_SPARK_CONF", "/etc/spark")
    assert load_settings().dbt.spark_conf == Path("/etc/spark")


def test_each_target_keeps_the_project_as_its_own_adapter_parsed_it(tmp_path: Path) -> None:
    assert parsed_path(tmp_path, SPARK) != parsed_path(tmp_path) == parsed_path(tmp_path, DUCKDB)


@pytest.mark.parametrize(
    ("url", "address"), [("/var/a b/raw", "file:///var/a%20b/raw"), ("s3://bucket/x/raw", "s3a://bucket/x/raw")]
)
def test_spark_names_the_raw_zone_by_its_own_file_systems(url: str, address: str) -> None:
    assert spark_address(url) == address
