"""Hostile statements through `taker sql` and Superset's connection: nothing is read, written, loaded or changed."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pytest

from bi.superset.serve import superset_environment
from orchestration.serving import published

ROOT = Path(__file__).resolve().parents[2]
# What reaches beyond the database: files, addresses, extensions, other databases, the configuration.
REACHING = [
    "attach 'other.duckdb'",
    "attach 'other.duckdb' as other (read_only)",
    "attach 'postgresql://127.0.0.1/x' as p (type postgres)",
    "copy marts.t to 'written.csv'",
    "copy marts.t from 'input.csv'",
    "copy (select 1) to 'written.parquet' (format parquet)",
    "copy (select 1) to '../outside.parquet' (format parquet)",
    "export database 'written'",
    "import database 'written'",
    "install httpfs",
    "force install httpfs",
    "install x from 'http://127.0.0.1:9/x'",
    "load httpfs",
    "load './x.so'",
    "update extensions",
    "from read_csv('input.csv')",
    "from read_csv_auto('/etc/passwd')",
    "from sniff_csv('/etc/passwd')",
    "from read_parquet('input.parquet')",
    "from parquet_metadata('input.parquet')",
    "from read_json('input.json')",
    "from read_ndjson('input.json')",
    "from read_text('/etc/passwd')",
    "from read_blob('/etc/passwd')",
    "from '/etc/passwd'",
    "from 'input.csv'",
    "from 'http://127.0.0.1:9/x.parquet'",
    "from 's3://bucket/x.parquet'",
    "from read_parquet('https://127.0.0.1:9/x')",
    "from glob('/*')",
    "from query('from read_text(''/etc/passwd'')')",
    "select (select content from read_text('/etc/passwd'))",
    "explain analyze from read_csv('input.csv')",
    "select getenv('HOME')",
    "select getvariable('x'), getenv('AWS_SECRET_ACCESS_KEY')",
    "set enable_external_access = true",
    "set global enable_external_access = true",
    "reset enable_external_access",
    "set lock_configuration = false",
    "reset lock_configuration",
    "set threads = 64",
    "set memory_limit = '1TB'",
    "set temp_directory = 'elsewhere'",
    "set allowed_directories = ['/']",
    "set allowed_paths = ['/etc/passwd']",
    "set secret_directory = 'elsewhere'",
    "set extension_directory = 'elsewhere'",
    "set autoinstall_known_extensions = true",
    "set allow_unsigned_extensions = true",
    "set custom_extension_repository = 'http://127.0.0.1:9'",
    "set http_proxy = '127.0.0.1:9'",
    "set python_enable_replacements = true",
    "pragma profiling_output = 'written.json'",
    "set log_query_path = 'written.log'",
    "create persistent secret s (type s3, key_id 'a', secret 'b')",
    "from a_variable_of_this_program",
]
# What changes the marts.
WRITING = [
    "create table marts.x as select 1",
    "create or replace view marts.v as select 1",
    "create or replace macro marts.m(a) as a",
    "create sequence marts.s",
    "create schema marts.x",
    "insert into marts.t values (2)",
    "update marts.t set a = 2",
    "delete from marts.t",
    "truncate marts.t",
    "drop table marts.t",
    "alter table marts.t add column b int",
    "alter table marts.t rename to u",
    "comment on table marts.t is 'x'",
]
# What `taker sql` refuses although it would do no harm: it is no query.
NO_QUERY = [
    "",
    ";",
    "select 1; drop table t",
    "begin",
    "checkpoint",
    "vacuum",
    "attach ':memory:' as other",
    "detach marts",
    "use memory",
    "call pragma_version()",
    "call enable_logging(storage = 'file', storage_config = {'path': 'written'})",
    "from enable_logging(storage = 'file', storage_config = {'path': 'written'})",
    "from enable_profiling(save_location = 'written.json')",
    "pragma enable_profiling",
    "create temp table x as select 1",
    "create secret s (type s3, key_id 'a', secret 'b')",
    "set variable x = 1",
    "prepare x as select 1",
    "set timezone = 'Asia/Tokyo'",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    with duckdb.connect(str(folder / "marts.duckdb")) as connection:
        connection.execute("create table t as select 1 as a")
    (folder / "input.csv").write_text("a\n1\n")
    (folder / "input.json").write_text('{"a": 1}\n')
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 1 as a) to '{folder / 'input.parquet'}' (format parquet)")
        connection.execute(f"attach '{folder / 'other.duckdb'}'")
    return folder


@pytest.fixture(autouse=True)
def nothing_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every file of the folder is as it was, and there is no other."""
    monkeypatch.chdir(folder)
    before = _contents(folder)
    yield
    assert _contents(folder) == before
    assert not (folder.parent / "outside.parquet").exists()


def _contents(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in os.listdir(folder)}


@pytest.mark.parametrize("statement", [*REACHING, *WRITING, *NO_QUERY])
def test_taker_sql_refuses_it_in_one_line(folder: Path, statement: str) -> None:
    a_variable_of_this_program = [1]
    with pytest.raises(published.QueryFailed) as refused:
        published.query(folder / "marts.duckdb", statement)
    assert len(str(refused.value).splitlines()) == 1
    assert a_variable_of_this_program


def test_the_connection_itself_refuses_them_for_brief_report_claims_and_alerts_too(folder: Path) -> None:
    with published.connect(folder / "marts.duckdb") as connection:
        for statement in [*REACHING, *WRITING]:
            with pytest.raises(duckdb.Error):
                connection.execute(statement)


def test_superset_refuses_them(superset: ModuleType) -> None:
    connection: Any = superset._open_current_marts()
    assert connection.execute("select a, current_setting('timezone') from t").fetchall() == [(1, "UTC")]
    for statement in [*REACHING, *WRITING]:
        with pytest.raises(duckdb.Error):
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("statement", ["from enable_logging()", "select * from postgres_execute('x', 'drop table t')"])
def test_superset_refuses_functions_that_change_what_is_read(superset: ModuleType, statement: str) -> None:
    with pytest.raises(ValueError, match="read-only; write a query, without"):
        superset.SQL_QUERY_MUTATOR(statement, security_manager=None, database=None)
    assert superset.SQL_QUERY_MUTATOR("from t") == "from t"


def test_superset_has_a_key_of_its_own_and_takes_no_form_of_another_page(superset: ModuleType) -> None:
    assert superset.SECRET_KEY == "k" * 42, "the one in the file that serve.py makes at random"
    assert (superset.WTF_CSRF_ENABLED, superset.SESSION_COOKIE_SAMESITE) == (True, "Strict")


@pytest.fixture(scope="module")
def superset(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """Superset's configuration as its process imports it, with a stand-in for what only its venv has."""
    home = tmp_path_factory.mktemp("superset")
    (home / "secret_key").write_text("k" * 42)
    engine = ModuleType("duckdb_engine")
    engine.ConnectionWrapper = lambda connection: connection  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "duckdb_engine", engine)
        for name, value in superset_environment(folder / "marts.duckdb", home).items():
            patch.setenv(name, value)
        spec = importlib.util.spec_from_file_location("superset_config", ROOT / "bi/superset/superset_config.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


@pytest.mark.parametrize(
    "statement",
    ["from t", "show tables", "describe t", "summarize t", "explain select 1", "values (1)",
     "with x as (from t) from x", "from t -- ; drop table t",
     "select 'drop table t; copy t to ''x''' as text", "pragma table_info('t')"],
)  # fmt: skip
def test_what_reads_is_answered(folder: Path, statement: str) -> None:
    assert published.query(folder / "marts.duckdb", statement)[1]


def test_two_connections_of_one_process_are_both_locked_and_in_utc(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    marts = folder / "marts.duckdb"
    with published.connect(marts) as first, published.connect(marts) as second:
        for connection in (first, second):
            assert connection.execute("select current_setting('timezone')").fetchall() == [("UTC",)]
            with pytest.raises(duckdb.Error, match="locked"):
                connection.execute("set threads = 1")
