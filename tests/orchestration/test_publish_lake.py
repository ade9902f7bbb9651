"""The lake as a target, on a real PostgreSQL: one transaction, undisturbed readers, a history, one builder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from ingestion.domain.errors import StorageError
from orchestration.config.dbt import DbtConfig
from orchestration.serving.published import PublicationUnreadable, QueryFailed, query
from orchestration.state.locks import Busy
from orchestration.warehouse.lake.catalog import LakeUnusable, TeamLake
from orchestration.warehouse.lake.expiry import superfluous, tidy
from orchestration.warehouse.lake.history import AsOf, NoHistory
from orchestration.warehouse.lake.server import alone_in, require_usable
from orchestration.warehouse.publish import lake, publication
from orchestration.warehouse.publish.tables import PublicationError
from tests.support.lakes import Look, lake_config, new_catalog, opened_lakes
from tests.support.postgres import PASSWORD, PostgresServer, running_postgres, server_programs
from tests.support.publications import DAILY, EVERY_TYPE, MARKETS, Publisher
from tools.postgres import free_port

pytestmark = pytest.mark.xdist_group("postgres")

DAYS = f"select count(*) from {DAILY}"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    programs = server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server here (initdb is neither on the PATH nor in /usr/lib/postgresql)")
    with running_postgres(programs) as started:
        yield started


@pytest.fixture
def config(server: PostgresServer, tmp_path: Path) -> DbtConfig:
    return lake_config(new_catalog(server), tmp_path)


@pytest.fixture
def team(config: DbtConfig) -> TeamLake:
    return opened_lakes(config)


@pytest.fixture
def publisher(tmp_path: Path, team: TeamLake) -> Publisher:
    return replace(Publisher.on(tmp_path), team=team)


@pytest.fixture
def published(team: TeamLake) -> Look:
    return Look(team.published)


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.parquet"))


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

    def test_replaces_the_rows_that_changed_and_no_others(self, publisher: Publisher, published: Look) -> None:
        publisher.publish_days(90)
        publisher.publish_days(91)
        ((last,),) = published.query("select max(snapshot_id) from ducklake_snapshots('warehouse')")
        changes = (
            f"select change_type, rowid from ducklake_table_changes('warehouse', 'main', '{DAILY}', {last}, {last})"
        )
        assert [kind for kind, _ in published.query(changes)] == ["insert"]
        assert published.query(f"select count(*), count(distinct bar_date) from {DAILY}") == [(91, 91)]

    def test_is_laid_whole_where_the_lake_has_another_one_than_the_file(
        self, publisher: Publisher, published: Look, tmp_path: Path
    ) -> None:
        """As after a publication by another machine of the team."""
        publisher.publish_days(3)
        elsewhere = replace(Publisher.on(tmp_path / "elsewhere"), team=publisher.team, now=publisher.now)
        (tmp_path / "elsewhere").mkdir()
        elsewhere.publish_days(40)
        publisher.publish_days(4)
        assert published.query(DAYS) == [(4,)]

    def test_drops_a_mart_that_is_published_no_longer_and_takes_new_columns(
        self, publisher: Publisher, published: Look
    ) -> None:
        publisher.publish_days(1)
        publisher.build(f"alter table {DAILY} add column volume_usd decimal(38, 8)")
        publisher.publish([DAILY])
        names = published.query("select table_name from duckdb_tables() where database_name = 'warehouse'")
        assert (MARKETS,) not in names
        assert published.query(f"select volume_usd from {DAILY}") == [(None,)]

    def test_states_the_catalog_and_not_its_password_when_it_fails(self, publisher: Publisher, team: TeamLake) -> None:
        url = team.published.config.catalog_url.get_secret_value().replace("s3cret", "0ther")
        wrong = replace(team.published, config=replace(team.published.config, catalog_url=SecretStr(url)))
        publisher.team = TeamLake(team.built, wrong)
        with pytest.raises(PublicationError, match=r"password authentication failed.*former publication stands") as why:
            publisher.publish_days(1)
        assert "0ther" not in str(why.value)
        assert not publisher.serving.exists()


class TestAFormerPublication:
    def test_is_read_as_of_a_time(self, publisher: Publisher, team: TeamLake) -> None:
        publisher.publish_days(1)
        between = datetime.now(UTC)
        publisher.publish_days(2)
        assert query(AsOf(team.published, between), DAYS)[1] == [(1,)]
        assert query(AsOf(team.published, datetime.now(UTC)), DAYS)[1] == [(2,)]

    def test_that_was_never_made_is_an_error_that_states_since_when_there_is_one(
        self, publisher: Publisher, team: TeamLake
    ) -> None:
        publisher.publish_days(1)
        with pytest.raises(NoHistory, match=r"the first known is of 20.*TAKER_LAKE_HISTORY_DAYS"):
            query(AsOf(team.published, datetime(2020, 1, 1, tzinfo=UTC)), DAYS)

    def test_cannot_be_changed_by_a_query_and_lets_no_other_file_be_read(
        self, publisher: Publisher, team: TeamLake
    ) -> None:
        publisher.publish_days(1)
        now = AsOf(team.published, datetime.now(UTC))
        for sql, why in (
            ("select * from ducklake_cleanup_old_files('warehouse', cleanup_all => true)", "read-only"),
            ("select * from postgres_query('__ducklake_metadata_warehouse', 'select 1')", "read-only"),
            (f"delete from {DAILY}", "read-only"),
            (f"from read_csv('{publisher.folder / 'serving' / 'latest.json'}')", "Cannot access file"),
        ):
            with pytest.raises(QueryFailed, match=why):
                query(now, sql)

    def test_whose_files_are_gone_cannot_be_read_and_this_is_stated(self, publisher: Publisher, team: TeamLake) -> None:
        publisher.publish_days(1)
        for path in Path(team.published.data_url).rglob("*.parquet"):
            path.unlink()
        with pytest.raises(PublicationUnreadable, match="check the catalog and the storage"):
            query(AsOf(team.published, datetime.now(UTC)), f"from {DAILY}")

    def test_stays_for_its_days_and_then_ends_with_the_files_that_only_it_needs(
        self, publisher: Publisher, team: TeamLake, published: Look
    ) -> None:
        for days in (1, 2, 3):
            publisher.publish_days(days)
        now = datetime.now(UTC)
        tidy(team, now + timedelta(days=6), memory_limit="512MiB", readers=timedelta())
        assert [message for _, message in published.snapshots()].count("publication") == 3
        tidy(team, now + timedelta(days=8), memory_limit="512MiB", readers=timedelta())
        assert [message for _, message in published.snapshots()].count("publication") == 1
        assert query(AsOf(team.published, now), DAYS)[1] == [(3,)]
        folder = Path(team.published.data_url)
        assert files_below(folder) == published.needed()

    def test_keeps_its_files_for_an_hour_since_someone_may_be_reading_them(
        self, publisher: Publisher, team: TeamLake, published: Look
    ) -> None:
        for days in (1, 2):
            publisher.publish_days(days)
        before = files_below(Path(team.published.data_url))
        tidy(replace_history(team, 0), datetime.now(UTC), memory_limit="512MiB")
        assert [message for _, message in published.snapshots()].count("publication") == 1
        assert set(before) <= set(files_below(Path(team.published.data_url)))

    def test_of_the_lake_that_dbt_builds_only_the_last_state_stays(self, team: TeamLake, publisher: Publisher) -> None:
        import duckdb

        with duckdb.connect() as builder:
            team.built.attach(builder, read_only=False)
            for number in range(5):
                builder.execute(f"create or replace table warehouse.main.t as select {number} as n from range(1000)")
        publisher.publish_days(1)
        built = Look(team.built)
        assert len(built.snapshots()) == 1
        tidy(team, datetime.now(UTC) + timedelta(hours=2), memory_limit="512MiB")
        assert files_below(Path(team.built.data_url)) == built.needed()
        assert built.query("select distinct n from t") == [(4,)]

    def test_that_cannot_be_ended_is_a_notice_of_the_publication(
        self, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*args: object, **options: object) -> None:
            raise LakeUnusable(f"no server, {PASSWORD}")

        monkeypatch.setattr(publication, "tidy", refuse)
        notices = publisher.publish_days(1).notices
        assert notices == ("former snapshots of the lake stay until the next publication: no server, ***",)


def replace_history(team: TeamLake, days: int) -> TeamLake:
    config = replace(team.published.config, history_days=days)
    return TeamLake(replace(team.built, config=config), replace(team.published, config=config))


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
        self, config: DbtConfig, server: PostgresServer, tmp_path: Path
    ) -> None:
        other = lake_config(new_catalog(server), tmp_path / "other")
        assert config.lake is not None
        assert other.lake is not None
        with alone_in(config.lake, wait=0), alone_in(other.lake, wait=0):
            pass


class TestWhatIsFoundOutBeforeARun:
    def test_a_lake_that_can_be_used(self, config: DbtConfig) -> None:
        require_usable(config)

    @pytest.mark.parametrize("fault", ["password", "server", "database"])
    def test_a_catalog_that_cannot_be_used(self, config: DbtConfig, server: PostgresServer, fault: str) -> None:
        assert config.lake is not None
        url = config.lake.catalog_url.get_secret_value()
        wrong, why = {
            "password": (url.replace("s3cret", "0ther"), "password authentication failed"),
            "server": (url.replace(str(server.port), str(free_port())), "Connection refused"),
            "database": (url.rpartition("/")[0] + "/none", 'database "none" does not exist'),
        }[fault]
        lake_of_it = replace(config.lake, catalog_url=SecretStr(wrong))
        with pytest.raises(LakeUnusable, match=f"{why}.*Check TAKER_LAKE_CATALOG_URL") as raised:
            require_usable(replace(config, lake=lake_of_it))
        assert "0ther" not in str(raised.value)
        assert PASSWORD not in str(raised.value)

    def test_a_user_who_may_not_create_the_catalog(self, config: DbtConfig, server: PostgresServer) -> None:
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
        with pytest.raises(LakeUnusable, match="lie elsewhere than TAKER_STORAGE_URL states"):
            lake_query(opened_lakes(moved))


def lake_query(team: TeamLake) -> None:
    Look(team.published).query(DAYS)


def test_the_run_of_a_publication_is_known_and_unknown_without_one(publisher: Publisher, team: TeamLake) -> None:
    assert lake.published_run(team.published) is None
    publisher.publish_days(1)
    assert lake.published_run(team.published) == "run-1"


def test_readers_never_see_half_of_a_publication(publisher: Publisher, published: Look) -> None:
    publisher.publish_days(1)
    seen: set[tuple[int, int]] = set()
    ended = threading.Event()

    def read() -> None:
        both = f"select ({DAYS}), (select row_count from publication_tables where table_name = '{DAILY}')"
        while not ended.is_set():
            seen.update(published.query(both))  # type: ignore[arg-type]

    reading = threading.Thread(target=read)
    reading.start()
    for days in (2, 40, 3):
        publisher.publish_days(days)
    ended.set()
    reading.join()
    assert {days for days, stated in seen if days != stated} == set()
    assert len(seen) > 1
