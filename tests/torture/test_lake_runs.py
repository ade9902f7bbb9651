"""`taker run` with TAKER_TARGET=lake, the catalog in PostgreSQL and the files on S3, beside the same runs on a laptop:
what is published is the same, on whichever machine it is built and whatever fails meanwhile.

Each test goes on from where the one before it left the lake, as days do.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from ingestion.raw.s3 import S3Options
from ingestion.simulator.simulated import publish_correction, simulate
from orchestration.config.storage import Storage
from orchestration.warehouse.lake.catalog import TeamLake, place_of
from tests.support.commands import ROOT, Taker
from tests.support.fingerprints import differences, fingerprints
from tests.support.killing import NODE, Aim, children_running_dbt, taker_with_aim
from tests.support.lakes import Look, lake_config, new_catalog, opened_lakes
from tests.support.planted import LAST, MARKET, RUN
from tests.support.postgres import PASSWORD, PostgresServer
from tests.support.s3_proxy import S3Proxy
from tests.torture.test_faulty_models import run_from
from tools import postgres

pytestmark = [pytest.mark.xdist_group("lake"), pytest.mark.postgres]

# A row of each of two tables, and which publication they are of: in one transaction.
STATE = (
    "select (select run_id from publication), (select sum(net_taker_usd) from fct_net_taker_volume_hourly), "
    "(select sum(net_taker_usd) from fct_net_taker_volume_daily)"
)


@dataclass(frozen=True)
class Team:
    """One archive: what a laptop makes of it, and two builders of one lake on machines of their own."""

    archive: Path
    laptop: Taker
    first: Taker
    second: Taker
    lakes: TeamLake
    proxy: S3Proxy
    postgres_server: PostgresServer

    def laptop_runs(self) -> None:
        done = run_from(ROOT, self.laptop)
        assert done.returncode == 0, done.stdout + done.stderr

    def different(self, builder: Taker, scratch: Path) -> list[str]:
        """What differs from the laptop's: in the file that the builder published, and in the lake."""
        expected = fingerprints(self.laptop.marts)
        copied = Look(self.lakes.published).copied(scratch / "copied.duckdb")
        return differences(expected, fingerprints(builder.marts)) + differences(expected, fingerprints(copied))

    def state(self) -> list[tuple[object, ...]]:
        return Look(self.lakes.published).query(STATE)


@pytest.fixture(scope="module")
def proxy(seaweedfs: S3Options) -> Iterator[S3Proxy]:
    with S3Proxy(str(seaweedfs.endpoint_url)).running() as running:
        yield running


@pytest.fixture(scope="module")
def team(
    seaweedfs: S3Options,
    bucket: str,
    proxy: S3Proxy,
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Team:
    folder = tmp_path_factory.mktemp("team")
    simulate(folder / "archive", last_day=LAST, days=20, trades_days=7, rows_per_day=240)
    settings = {
        "TAKER_ARCHIVE_URL": (folder / "archive").as_uri(),
        "TAKER_MARKETS": MARKET,
    }
    catalog, storage_url = new_catalog(postgres_server), f"s3://{bucket}/team"
    shared = settings | {
        "TAKER_TARGET": "lake",
        "TAKER_LAKE_CATALOG_URL": catalog,
        "TAKER_STORAGE_URL": storage_url,
        "AWS_ENDPOINT_URL": proxy.url,
        "AWS_REGION": str(seaweedfs.region),
        "AWS_ACCESS_KEY_ID": str(seaweedfs.access_key_id),
        "AWS_SECRET_ACCESS_KEY": str(seaweedfs.secret_access_key),
    }
    storage = Storage(
        storage_url,
        endpoint_url=str(seaweedfs.endpoint_url),
        region=seaweedfs.region,
        access_key_id=seaweedfs.access_key_id,
        secret_access_key=SecretStr(str(seaweedfs.secret_access_key)),
    )
    first, second = (
        Taker(folder / name, shared | {"TAKER_STATE_DIR": str(folder / name)}) for name in ("first", "second")
    )
    lakes = opened_lakes(lake_config(catalog, folder / "looking", storage))
    return Team(folder / "archive", Taker(folder / "laptop", settings), first, second, lakes, proxy, postgres_server)


def is_one_sentence(done: subprocess.CompletedProcess[str], *stated: str) -> bool:
    """The command failed, stated these, and neither a traceback nor the password."""
    printed = done.stdout + done.stderr
    assert done.returncode == 1, printed
    assert all(text in printed for text in stated), printed
    assert "Traceback" not in printed
    assert PASSWORD not in printed
    return True


def test_what_is_published_is_what_a_laptop_publishes(team: Team, tmp_path: Path) -> None:
    team.laptop_runs()
    done = run_from(ROOT, team.first)
    assert done.returncode == 0, done.stdout + done.stderr
    assert team.different(team.first, tmp_path) == []


def test_of_a_build_one_snapshot_stays_and_no_file_that_it_does_not_need(team: Team) -> None:
    assert len(Look(team.lakes.built).snapshots()) == 1
    assert [message for _, message in Look(team.lakes.published).snapshots()] == ["publication"]


def test_a_run_that_has_nothing_to_do_builds_nothing(team: Team) -> None:
    before = team.state()
    assert team.first.done(*RUN[:1], *RUN[2:])["up_to_date"]
    assert team.state() == before


def test_a_wrong_password_and_an_unreachable_catalog_end_a_run_before_anything_is_built(team: Team) -> None:
    before, url = team.state(), team.lakes.built.config.catalog_url.get_secret_value()
    for wrong, why in (
        (url.replace("s3cret", "0ther"), "password authentication failed"),
        (url.replace(str(team.postgres_server.port), str(postgres.free_port())), "Connection refused"),
    ):
        failed = team.first.run(*RUN, "--full-refresh", lake_catalog_url=wrong)
        assert is_one_sentence(failed, "the lake's catalog at 127.0.0.1", why, "Check TAKER_LAKE_CATALOG_URL")
    assert team.state() == before


def test_a_catalog_that_goes_in_the_middle_of_a_build_is_one_sentence(team: Team) -> None:
    publish_correction(team.archive)
    before = team.state()
    with after_snapshots(team, 20, lambda: _end_connections(team)) as done:
        failed = team.first.run(*RUN)
        assert done.is_set()
    # Of dbt, or of the lock, whichever notices it first.
    assert is_one_sentence(failed, place_of(team.lakes.built.config), "un the same command again")
    assert team.state() == before


def test_a_bucket_that_goes_in_the_middle_of_a_build_is_one_sentence(team: Team) -> None:
    before = team.state()
    with after_snapshots(team, 20, lambda: team.proxy.fails("broken")) as done:
        failed = team.first.run(*RUN)
        assert done.is_set()
    team.proxy.heals()
    assert is_one_sentence(failed, team.first.environment["TAKER_STORAGE_URL"])
    assert team.state() == before


def test_a_build_that_is_killed_leaves_the_former_publication(team: Team, tmp_path: Path) -> None:
    """When some of the tables of which a build keeps rows are of the correction already, and some are not."""
    before, log = team.state(), tmp_path / "stage"
    log.write_text("start")
    killed = team.first.run_as(partial(taker_with_aim, Aim(NODE, 100, 0.5, "group"), log), *RUN)
    assert (killed.returncode, log.read_text()) == (-9, "dbt build"), killed.stderr
    assert not children_running_dbt(mention=str(team.first.storage))
    assert team.state() == before


def test_another_builder_heals_all_that_while_readers_see_one_state_and_the_first_is_kept_out(
    team: Team, tmp_path: Path
) -> None:
    team.laptop_runs()
    before = team.state()
    seen: list[tuple[object, ...]] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.wait(0.5):
            seen.extend(team.state())

    runs: list[subprocess.CompletedProcess[str]] = []
    building = threading.Thread(target=lambda: runs.append(run_from(ROOT, team.second)))
    reading = threading.Thread(target=read)
    reading.start()
    building.start()
    try:
        with psycopg.connect(team.lakes.built.config.catalog_url.get_secret_value(), autocommit=True) as watching:
            taken = "select count(*) from pg_locks where locktype = 'advisory' and granted"
            while watching.execute(taken).fetchone() == (0,) and building.is_alive():
                time.sleep(0.1)
        refused = team.first.run(*RUN, lock_wait_seconds="0")
        building.join()
    finally:
        ended.set()
        reading.join()
    assert is_one_sentence(refused, "the lake at 127.0.0.1", "is in use by `taker ", "waited 0 s")
    assert runs[0].returncode == 0, runs[0].stdout + runs[0].stderr
    after = team.state()
    assert set(seen) <= {*before, *after}
    assert len(seen) > 10
    assert before != after
    assert team.different(team.second, tmp_path) == []


def test_what_was_published_before_the_correction_can_still_be_queried(team: Team) -> None:
    published = Look(team.lakes.published)
    ((first, second),) = published.query(
        "select min(snapshot_time), max(snapshot_time) from ducklake_snapshots('warehouse') "
        "where commit_message = 'publication'"
    )
    query = "select run_id from publication"
    answers = [
        team.second.run("sql", query, "--csv", "--as-of", time.astimezone(UTC).isoformat()).stdout
        for time in (second, datetime.now(UTC))
    ]
    answers.append(team.second.run("sql", query, "--csv").stdout)
    assert len(set(answers)) == 1
    former = team.second.run("sql", query, "--csv", "--as-of", first.isoformat())
    assert former.returncode == 0, former.stderr
    assert former.stdout not in answers


def test_a_refused_audit_leaves_the_former_publication_in_the_lake(
    team: Team, tmp_path_factory: pytest.TempPathFactory
) -> None:
    checkout = tmp_path_factory.mktemp("checkout")
    for name in ("ingestion", "orchestration", "dbt_project"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__", "logs"))
    before = team.state()
    (model,) = (checkout / "dbt_project/models").rglob("fct_net_taker_volume_hourly.sql")
    # By the whole name: dbt's connection is to a database in memory, beside which the lake is attached.
    hook = "update {{ this }} set net_taker_usd = net_taker_usd + 1"
    model.write_text(f'{{{{ config(post_hook="{hook}") }}}}\n{model.read_text()}')
    refused = run_from(checkout, team.first)
    assert refused.returncode != 0
    assert "blocked gx_fct_net_taker_volume_hourly: [critical]" in refused.stdout + refused.stderr
    assert team.state() == before
    # What it compared itself with: the publication that stands, which the other one has made.
    assert differences(fingerprints(team.first.marts), fingerprints(team.second.marts)) == []


@contextlib.contextmanager
def after_snapshots(team: Team, count: int, action: object) -> Iterator[threading.Event]:
    """Do something once, as soon as a build has made so many snapshots."""
    url, done, ended = team.lakes.built.config.catalog_url.get_secret_value(), threading.Event(), threading.Event()

    def watch() -> None:
        with psycopg.connect(url, autocommit=True, application_name="watching") as catalog:
            made = f"select max(snapshot_id) from {team.lakes.built.schema}.ducklake_snapshot".encode()
            (first,) = catalog.execute(made).fetchone()
            while not ended.wait(0.1):
                if catalog.execute(made).fetchone()[0] >= first + count:
                    action()  # type: ignore[operator]
                    done.set()
                    return

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield done
    finally:
        ended.set()
        watching.join()


def _end_connections(team: Team) -> None:
    """As a server does that is started again."""
    with psycopg.connect(team.lakes.built.config.catalog_url.get_secret_value(), autocommit=True) as catalog:
        catalog.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid() and application_name <> 'watching'"
        )
