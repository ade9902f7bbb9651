"""PostgreSQL as a target, on a real server: one transaction, exact types, undisturbed readers, no password shown."""

from __future__ import annotations

import struct
import threading
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random

import psycopg
import pytest
from psycopg import IsolationLevel

from ingestion.domain.errors import StorageError
from orchestration.warehouse.publish.postgres import postgres_type
from orchestration.warehouse.publish.tables import PublicationError
from tests.support.postgres import PASSWORD, PostgresServer
from tests.support.publications import DAILY, EVERY_TYPE, MARKETS, Publisher

pytestmark = pytest.mark.xdist_group("postgres")


@pytest.fixture
def url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty database of the test's own."""
    name = f"t_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as administrator:
        administrator.execute(f"create database {name}".encode())
        yield postgres_server.url(name)
        administrator.execute(f"drop database {name} with (force)".encode())
        administrator.execute("drop role if exists taker_reader")


@pytest.fixture
def publisher(tmp_path: Path, url: str) -> Publisher:
    return Publisher.on(tmp_path, url)


@pytest.fixture
def reader(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def days_in(connection: psycopg.Connection) -> int:
    row = connection.execute(f"select count(*) from taker.{DAILY}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_every_type_arrives_exactly(publisher: Publisher, reader: psycopg.Connection) -> None:
    publisher.build(*EVERY_TYPE)
    publisher.publish(["every_type"], keys={"every_type": ("big",)})
    kinds = reader.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute "
        "where attrelid = 'taker.every_type'::regclass and attnum > 0 order by attnum"
    ).fetchall()
    assert dict(kinds) == {
        "big": "bigint",
        "small": "integer",
        "label": "text",
        "ratio": "double precision",
        "flag": "boolean",
        "traded_on": "date",
        "bar_at": "timestamp without time zone",
        "known_at": "timestamp with time zone",
        "amount": "numeric(38,8)",
        "price": "numeric(18,8)",
        "names": "text[]",
        "facts": "jsonb",
    }
    columns = "big, small, label, ratio, flag, traded_on, bar_at, epoch(known_at), amount, price, names"
    published = publisher.query(f"select {columns} from every_type order by big")
    loaded = reader.execute(
        f"select {columns.replace('epoch(known_at)', 'extract(epoch from known_at)::float8')} from taker.every_type "
        "order by big".encode()
    ).fetchall()
    assert [str(row) for row in loaded] == [str(row) for row in published]
    assert reader.execute("select facts from taker.every_type where big = 1").fetchone() == ({"a": [1, "é"]},)


def test_doubles_and_decimals_survive_to_the_last_bit(publisher: Publisher, reader: psycopg.Connection) -> None:
    random = Random(7)
    doubles = [value for value in struct.unpack("<500d", random.randbytes(4000)) if value == value]
    rows = ", ".join(f"({n}, '{value!r}'::double)" for n, value in enumerate(doubles))
    publisher.build(
        f"create table numbers as from (values {rows}) as v(n, ratio)",
        "create table amounts as select n, cast(hash(n) as decimal(38, 8)) * 12345678 + 0.12345678 as amount "
        "from range(500) as r(n)",
    )
    publisher.publish(["numbers", "amounts"], keys={})
    assert [value for (value,) in reader.execute("select ratio from taker.numbers order by n")] == doubles
    amounts = [value for (value,) in publisher.query("select amount from amounts order by n")]
    assert isinstance(amounts[0], Decimal)
    assert [value for (value,) in reader.execute("select amount from taker.amounts order by n")] == amounts


def test_a_type_without_a_counterpart_is_named() -> None:
    with pytest.raises(PublicationError, match=r"type INTERVAL cannot be published to PostgreSQL; allowed are"):
        postgres_type("INTERVAL")


def test_comments_and_keys_are_carried_over(publisher: Publisher, reader: psycopg.Connection) -> None:
    publisher.publish_days(2)
    described = f"select obj_description('taker.{DAILY}'::regclass), col_description('taker.{DAILY}'::regclass, 3)"
    assert reader.execute(described.encode()).fetchone() == ("It's the day", "buys − sells")
    key = "select pg_get_constraintdef(oid) from pg_constraint where contype = 'p' and conrelid = %s::regclass"
    assert reader.execute(key, [f"taker.{DAILY}"]).fetchone() == ("PRIMARY KEY (market_id, bar_date)",)
    publisher.build(f"comment on table {DAILY} is 'Another text'")
    publisher.publish()
    assert reader.execute(described.encode()).fetchone() == ("Another text", "buys − sells")


def test_rows_that_have_not_changed_are_not_replaced(publisher: Publisher, reader: psycopg.Connection) -> None:
    def written(table: str) -> list[tuple[object, ...]]:
        return reader.execute(f"select xmin::text, * from taker.{table} order by 2, 3".encode()).fetchall()

    publisher.publish_days(40)
    markets, days = written(MARKETS), written(DAILY)
    publisher.publish_days(41)
    assert written(MARKETS) == markets
    assert written(DAILY)[:31] == days[:31]
    assert {row[0] for row in written(DAILY)[31:]} != {days[0][0]}
    assert [row[2] for row in written(DAILY)] == [row[1] for row in publisher.query(f"from {DAILY} order by 1, 2")]


def test_what_the_server_lost_or_has_from_elsewhere_is_replaced(
    publisher: Publisher, reader: psycopg.Connection, tmp_path: Path, url: str
) -> None:
    publisher.publish_days(40)
    reader.execute(f"delete from taker.{DAILY} where bar_date = '2026-01-05'".encode())
    publisher.publish_days(40)
    assert days_in(reader) == 40
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Publisher.on(tmp_path / "elsewhere", url)
    elsewhere.build_days(40)
    elsewhere.build(f"update {DAILY} set net_taker_usd = 7")
    elsewhere.publish()
    publisher.publish_days(40)
    assert reader.execute(f"select count(*) from taker.{DAILY} where net_taker_usd = 7".encode()).fetchone() == (1,)


def test_the_publication_itself_is_there_to_read(publisher: Publisher, reader: psycopg.Connection) -> None:
    report = publisher.publish_days(2).postgres
    assert report is not None
    row = reader.execute("select run_id, markets, settings ->> 'target' from taker.publication").fetchone()
    assert row == ("run-1", ["simulated:BTCUSDT"], "duckdb")
    listed = reader.execute(
        "select row_count, key_columns from taker.publication_tables where table_name = %s", [DAILY]
    )
    assert listed.fetchone() == (2, ["market_id", "bar_date"])
    assert report.rows >= 3
    assert "schema taker" in report.place


def test_a_reader_keeps_its_snapshot_and_the_publication_does_not_wait_for_it(
    publisher: Publisher, reader: psycopg.Connection
) -> None:
    publisher.publish_days(2)
    reader.isolation_level = IsolationLevel.REPEATABLE_READ
    with reader.transaction():
        reader.execute(f"select * from taker.{MARKETS}".encode())
        publisher.publish_days(5)
        # A table it had not touched before: after a swap by name it would be empty here.
        assert days_in(reader) == 2
    assert days_in(reader) == 5


def test_no_reader_ever_sees_half_a_publication(publisher: Publisher, url: str) -> None:
    def build(rows: int) -> None:
        publisher.build(
            *(f"create or replace table {t} as select n from range({rows}) as r(n)" for t in ("one", "two"))
        )

    build(10)
    publisher.publish(["one", "two"], keys={})
    seen: set[tuple[int, int]] = set()
    over = threading.Event()

    def watch() -> None:
        with psycopg.connect(url, autocommit=True) as watcher:
            while not over.is_set():
                pair = watcher.execute("select (select count(*) from taker.one), (select count(*) from taker.two)")
                seen.add(pair.fetchone() or (-1, -1))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        for rows in (20_000, 30, 40_000):
            build(rows)
            publisher.publish(["one", "two"], keys={})
    finally:
        over.set()
        watching.join()
    assert seen <= {(10, 10), (20_000, 20_000), (30, 30), (40_000, 40_000)}
    assert len(seen) > 1


def test_a_failed_load_leaves_the_former_publication_on_every_target(
    publisher: Publisher, reader: psycopg.Connection, tmp_path: Path
) -> None:
    publisher.publish_days(2)
    manifest = (tmp_path / "serving" / "latest.json").read_bytes()
    publisher.build_days(5)
    publisher.build(f"insert into {DAILY} from {DAILY} limit 1")
    with pytest.raises(PublicationError, match="duplicate key value") as refused:
        publisher.publish()
    assert "the former publication stands" in str(refused.value)
    assert days_in(reader) == 2
    assert publisher.query(f"select count(*) from {DAILY}") == [(2,)]
    assert (tmp_path / "serving" / "latest.json").read_bytes() == manifest


def test_when_the_files_cannot_be_switched_the_database_is_not_either(
    publisher: Publisher, reader: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.publish_days(2)

    def full(store: object, files: object, contents: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr("orchestration.warehouse.publish.parquet.make_latest", full)
    with pytest.raises(StorageError):
        publisher.publish_days(5)
    assert days_in(reader) == 2


def test_a_server_that_goes_away_before_the_commit_is_reported_to_be_behind_the_files(
    publisher: Publisher, reader: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.publish_days(2)

    def end_its_session(store: object, files: object, contents: object) -> None:
        reader.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'taker publish'"
        )

    with monkeypatch.context() as broken:
        broken.setattr("orchestration.warehouse.publish.parquet.make_latest", end_its_session)
        with pytest.raises(PublicationError, match="The files are published, PostgreSQL keeps the former publication"):
            publisher.publish_days(5)
    assert days_in(reader) == 2
    publisher.publish_days(5)
    assert days_in(reader) == 5


def test_the_reading_role_may_read_every_table_and_write_none(publisher: Publisher, reader: psycopg.Connection) -> None:
    publisher.publish_days(2)
    publisher.build("create table fct_new as select 1 as n")
    report = publisher.publish([MARKETS, DAILY, "fct_new"]).postgres
    assert report is not None
    assert report.reader == "the role taker_reader may read"
    reader.execute("set role taker_reader")
    assert days_in(reader) == 2
    assert reader.execute("select n from taker.fct_new").fetchone() == (1,)
    for forbidden in ("delete from taker.fct_new", "create table taker.mine (n int)", "drop table taker.fct_new"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(forbidden.encode())


@pytest.fixture
def ordinary(reader: psycopg.Connection) -> Iterator[str]:
    """A user with no rights beyond connecting; the name is the password."""
    name = f"u_{uuid.uuid4().hex[:8]}"
    reader.execute(f"create role {name} login password '{name}'".encode())
    yield name
    reader.execute(f"drop owned by {name} cascade".encode())
    reader.execute(f"drop role {name}".encode())


def test_a_member_of_the_reading_role_reads_every_later_publication_without_another_grant(
    publisher: Publisher, reader: psycopg.Connection, ordinary: str, url: str
) -> None:
    publisher.publish_days(2)
    reader.execute(f"grant taker_reader to {ordinary}".encode())
    publisher.build("create table fct_new as select 1 as n")
    publisher.publish([MARKETS, DAILY, "fct_new"])
    publisher.build("create or replace table fct_new as select 'other columns' as text")  # a new table in PostgreSQL
    publisher.publish([MARKETS, DAILY, "fct_new"])
    with psycopg.connect(as_user(url, ordinary), autocommit=True) as member:
        assert member.execute("select text from taker.fct_new").fetchone() == ("other columns",)
        assert days_in(member) == 2
        for forbidden in (
            "insert into taker.fct_new values ('x')",
            "truncate taker.fct_new",
            "create table taker.mine (n int)",
            "alter table taker.fct_new add column n int",
            "create schema mine",
            "copy taker.fct_new to '/nowhere/x'",
            "select pg_read_file('/etc/passwd')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                member.execute(forbidden.encode())


def as_user(url: str, name: str) -> str:
    return f"postgresql://{name}:{name}@{url.split('@')[1]}"


def test_a_user_who_may_not_create_roles_still_publishes_and_learns_what_is_missing(
    publisher: Publisher, reader: psycopg.Connection, ordinary: str, url: str
) -> None:
    reader.execute(f"create schema taker authorization {ordinary}".encode())
    publisher.postgres_url = as_user(url, ordinary)
    report = publisher.publish_days(2).postgres
    assert report is not None
    assert "may not create it; once, as an administrator: create role taker_reader nologin" in report.reader
    assert days_in(reader) == 2
    reader.execute("create role taker_reader nologin")
    report = publisher.publish_days(3).postgres
    assert report is not None
    assert report.reader == "the role taker_reader may read"


def test_an_error_names_the_rights_that_a_user_lacks(publisher: Publisher, ordinary: str, url: str) -> None:
    publisher.postgres_url = as_user(url, ordinary)
    with pytest.raises(PublicationError, match="must own the schema taker or be allowed to create it"):
        publisher.publish_days(2)


def test_views_on_the_tables_survive_publications(publisher: Publisher, reader: psycopg.Connection) -> None:
    publisher.publish_days(2)
    reader.execute(f"create view public.mine as select count(*) as days from taker.{DAILY}".encode())
    publisher.publish_days(5)
    assert reader.execute("select days from public.mine").fetchone() == (5,)


def test_a_table_whose_columns_change_is_made_anew_and_a_view_on_it_is_not_dropped_silently(
    publisher: Publisher, reader: psycopg.Connection
) -> None:
    publisher.publish_days(2)
    reader.execute(f"create view public.mine as select count(*) as days from taker.{DAILY}".encode())
    publisher.build(f"alter table {DAILY} add column flow_source varchar default 'klines'")
    with pytest.raises(PublicationError, match=r"public\.mine|mine depends.*drop what depends on it"):
        publisher.publish()
    reader.execute("drop view public.mine")
    publisher.publish()
    assert reader.execute(f"select distinct flow_source from taker.{DAILY}".encode()).fetchall() == [("klines",)]
    reader.execute("set role taker_reader")
    assert days_in(reader) == 2


def test_tables_no_longer_published_are_dropped_and_foreign_ones_stay(
    publisher: Publisher, reader: psycopg.Connection
) -> None:
    publisher.publish_days(2)
    reader.execute("create table taker.mine as select 1 as n")
    publisher.publish([DAILY])
    tables = {name for (name,) in reader.execute("select tablename from pg_tables where schemaname = 'taker'")}
    assert {DAILY, "mine", "publication"} <= tables
    assert MARKETS not in tables


@pytest.mark.parametrize("fault", ["wrong password", "no server"])
def test_a_password_is_in_no_error_and_in_no_file(
    fault: str, publisher: Publisher, url: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    secret = "not-the-password"
    address = f"127.0.0.1:{postgres_server.port if fault == 'wrong password' else 1}"
    publisher.postgres_url = f"postgresql://taker:{secret}@{address}/{url.rsplit('/', 1)[1]}"
    with pytest.raises(PublicationError) as refused:
        publisher.publish_days(2)
    assert address in str(refused.value)
    assert "check TAKER_PUBLISH_POSTGRES_URL" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert secret not in str(refused.value)
    publisher.postgres_url = url
    publisher.publish_days(2)
    held = [path for path in tmp_path.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert held == []
