"""The lake as a target, on a real PostgreSQL: one transaction, undisturbed readers, a history, one builder.
The longer part: tests/torture/test_lake_publications.py.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import psycopg
import pytest
from pydantic import SecretStr

from ingestion.domain.errors import StorageError
from orchestration.config.dbt import DbtConfig
from orchestration.config.marts import MACHINE, LakeMarts, NoHistory, published_marts
from orchestration.config.paths import Paths
from orchestration.serving.published import (
    NothingPublished,
    PublicationUnreadable,
    QueryFailed,
    attach,
    opening,
    query,
)
from orchestration.state.locks import Busy
from orchestration.warehouse.lake.catalog import LakeUnusable, TeamLake
from orchestration.warehouse.lake.expiry import superfluous, tidy
from orchestration.warehouse.lake.server import alone_in, require_usable
from orchestration.warehouse.publish import publication
from tests.support.lakes import Look, files_below, lake_config, new_catalog, opened_lakes
from tests.support.lakes import config as config
from tests.support.lakes import published as published
from tests.support.lakes import publisher as publisher
from tests.support.lakes import team as team
from tests.support.postgres import PASSWORD, PostgresServer
from tests.support.publications import DAILY, EVERY_TYPE, MARKETS, Publisher
from tools.postgres import free_port

pytestmark = pytest.mark.xdist_group("postgres")

DAYS = f"select count(*) from {DAILY}"


class TestAPublication:
    def test_is_in_the_lake_with_its_types_values_and_descriptions(self, publisher: Publisher, published: Look) -> None:
        publisher.build_days(40)
        publisher.build(*EVERY_TYPE)
        report = publisher.publish([MARKETS, DAILY, "every_type"]).lake
        assert report is not None
        assert report.place.startswith("127.0.0.1:")
        assert PASSWORD not in report.place
        for table in (MARKETS, DAILY, "every_type", "publication", "publication_tables"):
            for sql in (
                f"select columns(*)::varchar from {table} order by all",
                f"select column_name, column_type from (describe {table})",
            ):
                assert str(published.query(sql)) == str(publisher.query(sql)), table
        texts = f"select comment from duckdb_tables() where table_name = '{DAILY}' union all " + (
            f"select comment from duckdb_columns() where table_name = '{DAILY}' and column_name = 'net_taker_usd'"
        )
        assert published.query(texts) == [("It's the day",), ("buys − sells",)]

    def test_is_one_snapshot_for_a_reader_that_is_in_a_transaction(self, publisher: Publisher, published: Look) -> None:
        publisher.publish_days(1)
        with published.reading() as reader:
            reader.execute("begin")
            assert reader.execute(DAYS).fetchall() == [(1,)]
            publisher.publish_days(2)
            assert reader.execute(DAYS).fetchall() == [(1,)]
            assert reader.execute("select row_count from publication_tables order by 1 desc").fetchall()[0] == (1,)
            reader.execute("commit")
            assert reader.execute(DAYS).fetchall() == [(2,)]

    def test_that_fails_before_the_switch_leaves_the_former_one_in_the_lake(
        self, publisher: Publisher, published: Look, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publisher.publish_days(1)
        before = published.snapshots()

        def refuse(*args: object) -> None:
            raise StorageError("the disk is gone")

        with monkeypatch.context() as patched:
            patched.setattr(publication, "_switch", refuse)
            with pytest.raises(StorageError, match="the disk is gone"):
                publisher.publish_days(2)
        assert (published.snapshots(), published.query(DAYS)) == (before, [(1,)])
        publisher.publish_days(2)
        assert published.query(DAYS) == [(2,)]


class TestWhatIsRead:
    """On every machine: what the team's lake has published last, whatever the machine has published itself."""

    def test_is_the_publication_of_another_machine_also_where_this_one_has_an_older_one(
        self, config: DbtConfig, publisher: Publisher, tmp_path: Path
    ) -> None:
        here = replace(config, paths=Paths(tmp_path / "here"))
        opened_lakes(here)
        own = replace(publisher, folder=here.paths.state)
        for reader in (here, config):
            with pytest.raises(NothingPublished, match=r"nothing is published in the lake at 127.*`taker run`"):
                query(published_marts(reader), DAYS)
        own.publish_days(1)
        publisher.publish_days(2)
        assert query(here.paths.serving, DAYS)[1] == [(1,)]
        for reader in (here, config):
            assert query(published_marts(reader), DAYS)[1] == [(2,)]

    def test_is_attached_beside_other_data(self, config: DbtConfig, publisher: Publisher) -> None:
        publisher.publish_days(2)
        with duckdb.connect() as connection:
            attach(published_marts(config), connection, "published")
            assert connection.execute(f"select count(*) from published.{DAILY}").fetchall() == [(2,)]
            with pytest.raises(duckdb.Error, match="read-only"):
                connection.execute(f"delete from published.{DAILY}")

    def test_is_opened_by_superset_s_process_read_only_and_nothing_else_is(
        self, config: DbtConfig, publisher: Publisher
    ) -> None:
        publisher.publish_days(2)
        with duckdb.connect() as connection:
            for statement in opening(published_marts(config), "marts"):
                connection.execute(statement)
            assert connection.execute(f"{DAYS} where bar_date > date '2026-01-01'").fetchall() == [(1,)]
            for sql in (
                f"delete from {DAILY}",
                f"from '{publisher.serving}'",
                "set threads = 1",
                "attach 'other.duckdb'",
            ):
                with pytest.raises(duckdb.Error):
                    connection.execute(sql)

    def test_is_an_error_that_names_the_lake_where_it_cannot_be_reached(
        self, config: DbtConfig, publisher: Publisher, postgres_server: PostgresServer
    ) -> None:
        assert config.lake is not None
        url = config.lake.catalog_url.get_secret_value().replace(str(postgres_server.port), str(free_port()))
        cut_off = replace(config, lake=replace(config.lake, catalog_url=SecretStr(url)))
        with pytest.raises(PublicationUnreadable, match=r"the lake at 127.*check TAKER_LAKE_CATALOG_URL") as why:
            query(published_marts(cut_off), DAYS)
        assert "TAKER_READ_FROM" not in str(why.value)
        assert PASSWORD not in str(why.value)
        publisher.publish_days(1)
        with pytest.raises(PublicationUnreadable, match=r"published last itself is read with TAKER_READ_FROM=machine"):
            query(published_marts(cut_off), DAYS)
        assert query(published_marts(cut_off, read_from=MACHINE), DAYS)[1] == [(1,)]


class TestAFormerPublication:
    def test_is_read_as_of_a_time(self, config: DbtConfig, publisher: Publisher, team: TeamLake) -> None:
        publisher.publish_days(1)
        between = datetime.now(UTC)
        publisher.publish_days(2)
        assert query(LakeMarts(config, between), DAYS)[1] == [(1,)]
        ((first,),) = Look(team.published).query(
            "select min(snapshot_time) from ducklake_snapshots('warehouse') where commit_message = 'publication'"
        )
        assert query(LakeMarts(config, first.astimezone(UTC)), DAYS)[1] == [(1,)]
        assert query(LakeMarts(config, datetime.now(UTC)), DAYS)[1] == [(2,)]

    def test_that_was_never_made_is_an_error_that_states_since_when_there_is_one(
        self, config: DbtConfig, publisher: Publisher
    ) -> None:
        publisher.publish_days(1)
        with pytest.raises(NoHistory, match=r"the first known is of 20.*TAKER_LAKE_HISTORY_DAYS"):
            query(LakeMarts(config, datetime(2020, 1, 1, tzinfo=UTC)), DAYS)

    def test_cannot_be_changed_by_a_query_and_lets_no_other_file_be_read(
        self, config: DbtConfig, publisher: Publisher
    ) -> None:
        publisher.publish_days(1)
        now = LakeMarts(config)
        for sql, why in (
            ("select * from ducklake_cleanup_old_files('warehouse', cleanup_all => true)", "read-only"),
            ("select * from postgres_query('__ducklake_metadata_warehouse', 'select 1')", "read-only"),
            (f"delete from {DAILY}", "read-only"),
            (f"from read_csv('{publisher.folder / 'serving' / 'latest.json'}')", "Cannot access file"),
        ):
            with pytest.raises(QueryFailed, match=why):
                query(now, sql)

    def test_stays_for_its_days_and_then_ends_with_the_files_that_only_it_needs(
        self, config: DbtConfig, publisher: Publisher, team: TeamLake, published: Look
    ) -> None:
        for days in (1, 2, 3):
            publisher.publish_days(days)
        now = datetime.now(UTC)
        tidy(team, now + timedelta(days=6), memory_limit="512MiB", readers=timedelta())
        assert [message for _, message in published.snapshots()].count("publication") == 3
        tidy(team, now + timedelta(days=8), memory_limit="512MiB", readers=timedelta())
        assert [message for _, message in published.snapshots()].count("publication") == 1
        assert query(LakeMarts(config, now), DAYS)[1] == [(3,)]
        folder = Path(team.published.data_url)
        assert files_below(folder) == published.needed()


@pytest.mark.parametrize(
    ("snapshots", "stays_from", "ended"),
    [
        # number, time, whether it is a publication
        ([(1, 10, None), (2, 20, None), (3, 30, None)], None, [1, 2]),
        ([(1, 10, True), (2, 20, None), (3, 30, True)], 0, [2]),
        ([(1, 10, True), (2, 20, True), (3, 30, True)], 25, [1]),
        ([(1, 10, True), (2, 20, True), (3, 30, None)], 99, [1]),
        ([(1, 10, None)], 5, []),
        ([], 5, []),
    ],
)
def test_a_publication_stays_while_it_stood_within_the_history(
    snapshots: list[tuple[int, int, bool | None]], stays_from: int | None, ended: list[int]
) -> None:
    assert superfluous(snapshots, stays_from) == ended


class TestOneBuilder:
    def test_excludes_others_and_is_named_to_them(self, config: DbtConfig) -> None:
        assert config.lake is not None
        reported: list[str] = []
        with (
            alone_in(config.lake, wait=5, run_id="0123456789"),
            pytest.raises(Busy, match=r"the lake at 127.* is in use by `taker \d+ on .* run 01234567`.*SECONDS"),
            alone_in(config.lake, wait=0.6, report=reported.append),
        ):
            pytest.fail("two builders at once")
        assert "waiting since" in reported[0]
        with alone_in(config.lake, wait=0):
            pass

    def test_who_waits_goes_on_when_the_other_has_ended(self, config: DbtConfig) -> None:
        assert config.lake is not None
        first = alone_in(config.lake, wait=0)
        first.__enter__()

        def end(text: str) -> None:
            first.__exit__(None, None, None)

        with alone_in(config.lake, wait=30, report=end) as refuse_unless_alone:
            refuse_unless_alone()

    def test_that_lost_its_lock_publishes_nothing(self, config: DbtConfig, publisher: Publisher) -> None:
        assert config.lake is not None
        with alone_in(config.lake, wait=0) as refuse_unless_alone:
            with psycopg.connect(config.lake.catalog_url.get_secret_value(), autocommit=True) as administrator:
                administrator.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'taker %'"
                )
            with pytest.raises(Busy, match=r"the lock over the lake at .* was lost"):
                refuse_unless_alone()

    def test_of_another_lake_on_the_same_server_is_no_obstacle(
        self, config: DbtConfig, postgres_server: PostgresServer, tmp_path: Path
    ) -> None:
        other = lake_config(new_catalog(postgres_server), tmp_path / "other")
        assert config.lake is not None
        assert other.lake is not None
        with alone_in(config.lake, wait=0), alone_in(other.lake, wait=0):
            pass


class TestWhatIsFoundOutBeforeARun:
    def test_a_lake_that_can_be_used(self, config: DbtConfig) -> None:
        require_usable(config)

    @pytest.mark.parametrize("fault", ["password", "server", "database"])
    def test_a_catalog_that_cannot_be_used(
        self, config: DbtConfig, postgres_server: PostgresServer, fault: str
    ) -> None:
        assert config.lake is not None
        url = config.lake.catalog_url.get_secret_value()
        wrong, why = {
            "password": (url.replace("s3cret", "0ther"), "password authentication failed"),
            "server": (url.replace(str(postgres_server.port), str(free_port())), "Connection refused"),
            "database": (url.rpartition("/")[0] + "/none", 'database "none" does not exist'),
        }[fault]
        lake_of_it = replace(config.lake, catalog_url=SecretStr(wrong))
        with pytest.raises(LakeUnusable, match=f"{why}.*Check TAKER_LAKE_CATALOG_URL") as raised:
            require_usable(replace(config, lake=lake_of_it))
        assert "0ther" not in str(raised.value)
        assert PASSWORD not in str(raised.value)

    def test_a_user_who_may_not_create_the_catalog(self, config: DbtConfig, postgres_server: PostgresServer) -> None:
        assert config.lake is not None
        url = config.lake.catalog_url.get_secret_value()
        with psycopg.connect(url, autocommit=True) as administrator:
            administrator.execute("drop role if exists ordinary")
            administrator.execute("create role ordinary login password 'x'")
        ordinary = f"postgresql://ordinary:x@{url.rpartition('@')[2]}"
        with pytest.raises(LakeUnusable, match=r"may not create schemas.*grant create on database"):
            require_usable(replace(config, lake=replace(config.lake, catalog_url=SecretStr(ordinary))))

    def test_files_that_lie_elsewhere_than_the_settings_state(
        self, publisher: Publisher, config: DbtConfig, tmp_path: Path
    ) -> None:
        publisher.publish_days(1)
        assert config.lake is not None
        moved = replace(config, lake=replace(config.lake, data_url=str(tmp_path / "moved")))
        with pytest.raises(LakeUnusable, match="lie elsewhere than TAKER_STORAGE_URL states") as refused:
            lake_query(opened_lakes(moved))
        with pytest.raises(LakeUnusable, match="lie elsewhere than TAKER_STORAGE_URL states"):
            require_usable(moved)
        assert "overrid" not in str(refused.value).lower()


def lake_query(team: TeamLake) -> None:
    Look(team.published).query(DAYS)
