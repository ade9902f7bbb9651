"""Two machines on one lake, the catalog in PostgreSQL and the files on S3: on both, each command reads what was
published last, whichever of them published it.

Each test goes on from where the one before it left the lake, as days do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingestion.raw.s3 import S3Options
from ingestion.simulator.simulated import publish_correction, simulate
from tests.support.commands import Taker
from tests.support.lakes import new_catalog
from tests.support.planted import FIRST, LAST, MARKET
from tests.support.postgres import PASSWORD, PostgresServer
from tests.support.readers import RUN_ID, answers
from tools.postgres import free_port

# The last day of the archive is left for the last of the runs.
RUN = ("run", "-q", "--from", str(FIRST), "--to", str(LAST - timedelta(days=1)))

pytestmark = [pytest.mark.xdist_group("lake"), pytest.mark.postgres]


@dataclass
class Machines:
    """`early` publishes first, `late` after a correction of the archive. `seen`: what was answered in between."""

    archive: Path
    early: Taker
    late: Taker
    seen: dict[str, str]
    between: datetime


@pytest.fixture(scope="module")
def machines(
    seaweedfs: S3Options, bucket: str, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Machines:
    folder = tmp_path_factory.mktemp("machines")
    simulate(folder / "archive", last_day=LAST, days=20, trades_days=7, rows_per_day=240)
    shared = {
        "TAKER_ARCHIVE_URL": (folder / "archive").as_uri(),
        "TAKER_MARKETS": MARKET,
        "TAKER_TARGET": "lake",
        "TAKER_LAKE_CATALOG_URL": new_catalog(postgres_server),
        "TAKER_STORAGE_URL": f"s3://{bucket}/readers",
        "AWS_ENDPOINT_URL": str(seaweedfs.endpoint_url),
        "AWS_REGION": str(seaweedfs.region),
        "AWS_ACCESS_KEY_ID": str(seaweedfs.access_key_id),
        "AWS_SECRET_ACCESS_KEY": str(seaweedfs.secret_access_key),
    }
    early, late = (Taker(folder / name, shared | {"TAKER_STATE_DIR": str(folder / name)}) for name in ("early", "late"))
    return Machines(folder / "archive", early, late, {}, datetime.now(UTC))


def test_a_machine_that_has_published_nothing_answers_as_the_one_that_has(machines: Machines) -> None:
    nothing = machines.late.run("sql", RUN_ID)
    assert nothing.returncode == 1
    assert "nothing is published in the lake at 127.0.0.1" in nothing.stderr
    assert machines.early.run(*RUN).returncode == 0
    machines.between = datetime.now(UTC)
    machines.seen = answers(machines.late, MARKET, LAST)
    assert not machines.late.marts.exists()
    assert machines.seen == answers(machines.early, MARKET, LAST)


def test_a_correction_that_one_machine_publishes_is_read_by_the_one_that_published_before(machines: Machines) -> None:
    publish_correction(machines.archive)
    assert machines.late.run(*RUN).returncode == 0
    found = answers(machines.early, MARKET, LAST)
    assert found == answers(machines.late, MARKET, LAST)
    assert found["report"] == machines.late.query(RUN_ID)[0][0]
    changed = {command for command in found if found[command] != machines.seen[command]}
    assert {"sql", "status", "report"} <= changed
    assert machines.early.query(RUN_ID)[0][0] == machines.seen["report"]


def test_a_machine_that_runs_after_another_one_finds_nothing_to_do(machines: Machines) -> None:
    """And goes on from what that one has published, as if it had published it itself."""
    standing = machines.late.query(RUN_ID)
    done = machines.early.run(*RUN, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["up_to_date"], done.stdout + done.stderr
    assert "was made anew of the Parquet files" in done.stdout
    assert machines.early.query(RUN_ID) == standing
    assert machines.late.run("sql", "--csv", RUN_ID).stdout == machines.early.run("sql", "--csv", RUN_ID).stdout


def test_a_following_day_is_built_and_judged_by_what_it_changed_whichever_machine_published_before(
    machines: Machines,
) -> None:
    standing = machines.early.query(RUN_ID)
    done = machines.early.run("run", "-q", "--from", str(FIRST), "--to", str(LAST))
    assert done.returncode == 0, done.stdout + done.stderr
    assert machines.early.query(RUN_ID) != standing
    (((audited,),)) = machines.early.query("select settings -> 'audited' ->> 'judged' from publication")
    assert audited.startswith("what was built since the publication of")
    assert machines.late.run("sql", "--csv", RUN_ID).stdout == machines.early.run("sql", "--csv", RUN_ID).stdout


def test_what_was_published_before_is_read_as_of_then(machines: Machines) -> None:
    as_of = machines.early.run("sql", "--csv", "--as-of", machines.between.isoformat(), RUN_ID)
    assert as_of.stdout.splitlines()[1] == machines.seen["report"]


@pytest.mark.parametrize("gone", ["catalog", "storage"])
def test_without_the_lake_a_reader_states_it_and_reads_its_own_publication_where_a_setting_requests_it(
    machines: Machines, gone: str
) -> None:
    url = machines.early.environment["TAKER_LAKE_CATALOG_URL"]
    port = url.rpartition(":")[2].partition("/")[0]
    cut_off = {
        "catalog": {"TAKER_LAKE_CATALOG_URL": url.replace(port, str(free_port()))},
        "storage": {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"},
    }[gone]
    reader = Taker(machines.early.storage, machines.early.environment | cut_off)
    for command in (("sql", "select count(*) from fct_net_taker_volume_hourly where net_taker_usd > 0"), ("brief",)):
        failed = reader.run(*command)
        assert failed.returncode == 1, failed.stdout
        (sentence,) = failed.stderr.splitlines()
        assert "the lake at 127.0.0.1" in sentence
        assert "read with TAKER_READ_FROM=machine" in sentence
        assert PASSWORD not in sentence
        own = reader.run(*command, read_from="machine")
        assert own.returncode == 0, own.stderr
    for command in (("verify",), ("alerts", "--dry-run")):
        assert "and not from the lake" in reader.run(*command, read_from="machine").stderr
