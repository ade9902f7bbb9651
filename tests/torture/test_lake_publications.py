"""The lake as a target, the rest of it: what changes in its tables, and what becomes of its files. The short part:
tests/orchestration/test_publish_lake.py.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from pydantic import SecretStr

from orchestration.config.dbt import DbtConfig
from orchestration.config.marts import LakeMarts
from orchestration.serving.published import PublicationUnreadable, query
from orchestration.warehouse.lake.catalog import LakeUnusable, TeamLake
from orchestration.warehouse.lake.expiry import tidy
from orchestration.warehouse.publish import lake, publication
from orchestration.warehouse.publish.tables import PublicationError
from tests.support.lakes import Look, files_below
from tests.support.lakes import config as config
from tests.support.lakes import published as published
from tests.support.lakes import publisher as publisher
from tests.support.lakes import team as team
from tests.support.postgres import PASSWORD
from tests.support.publications import DAILY, MARKETS, Publisher

pytestmark = [pytest.mark.xdist_group("lake"), pytest.mark.postgres]

DAYS = f"select count(*) from {DAILY}"


class TestAPublication:
    def test_replaces_the_rows_that_changed_and_no_others(self, publisher: Publisher, published: Look) -> None:
        publisher.publish_days(90)
        publisher.publish_days(91)
        ((last,),) = published.query(
            "select max(snapshot_id) from ducklake_snapshots('warehouse') where commit_message = 'publication'"
        )
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
    def test_whose_files_are_gone_cannot_be_read_and_this_is_stated(
        self, config: DbtConfig, publisher: Publisher, team: TeamLake
    ) -> None:
        publisher.publish_days(1)
        for path in Path(team.published.data_url).rglob("*.parquet"):
            path.unlink()
        with pytest.raises(PublicationUnreadable, match="check the catalog and the storage"):
            query(LakeMarts(config), f"from {DAILY}")

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
        while not ended.wait(0.1):
            seen.update(published.query(both))  # type: ignore[arg-type]

    reading = threading.Thread(target=read)
    reading.start()
    for days in (2, 40, 3):
        publisher.publish_days(days)
    ended.set()
    reading.join()
    assert {days for days, stated in seen if days != stated} == set()
    assert len(seen) > 1
