"""Whole runs over a small simulated archive: what is published, what is reported, what a failed audit leaves."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from ingestion.domain.periods import days_between
from ingestion.simulator.simulated import MARKER, simulate
from orchestration.cli.app import app
from orchestration.config.settings import Settings, load_settings
from orchestration.resources import StorageResource
from orchestration.runs.comparison import compared
from orchestration.runs.ranges import ingest_ranges
from orchestration.runs.unchanged import Unchanged, unchanged
from orchestration.state.whole import note_whole
from orchestration.warehouse.audit import gx
from orchestration.warehouse.publish import inputs
from tests.support.forked import fork_dbt_here

# Whole runs in this process: the tracer would cost half of their CPU again, and their lines have tests of their own.
pytestmark = pytest.mark.no_cover

LAST_DAY = date(2026, 3, 10)
FIRST_DAY = date(2026, 2, 20)
MARKET = "simulated:BTCUSDT"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a simulated archive and the settings that point at it, shared by the runs of this module."""
    folder = tmp_path_factory.mktemp("house")
    simulate(folder / "archive", last_day=LAST_DAY, days=45, trades_days=7, rows_per_day=500)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("TAKER_", "AWS_"))]:
            patch.delenv(name)
        patch.chdir(folder)
        patch.setenv("DAGSTER_HOME", "")
        patch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
        fork_dbt_here(patch)
        yield folder


@pytest.fixture(scope="module")
def first_run(house: Path) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the run that finds nothing there yet."""
    with pytest.MonkeyPatch.context() as patch:
        point_at(house, patch)
        return run("--json")


@pytest.fixture(autouse=True)
def settings_of_the_house(
    house: Path, first_run: tuple[int, str, str], no_settings_from_outside: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(house, monkeypatch)


def point_at(house: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("TAKER_ARCHIVE_URL", (house / "archive").as_uri())
    patch.setenv("TAKER_MARKETS", MARKET)


def run(*extra: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["run", "--from", str(FIRST_DAY), "--to", str(LAST_DAY), *extra])
    return done.exit_code, done.stdout, done.stderr


def serving(house: Path) -> Path:
    return house / "var" / "serving" / "marts.duckdb"


def published_at(house: Path) -> object:
    with duckdb.connect(str(serving(house)), read_only=True) as connection:
        row = connection.execute("select published_at from publication").fetchone()
    assert row is not None
    return row[0]


def dailies(house: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(serving(house)), read_only=True) as connection:
        return connection.execute("select * from fct_net_taker_volume_daily order by all").fetchall()


def recorded(house: Path) -> list[tuple[str, str]]:
    """The dataset and the day or month of each partition of the archive that Dagster's history has a record of."""
    with contextlib.closing(sqlite3.connect(house / "var" / "dagster" / "history" / "runs" / "index.db")) as history:
        found = history.execute(
            "select asset_key, partition from event_logs "
            "where dagster_event_type = 'ASSET_MATERIALIZATION' and partition is not null order by 1, 2"
        ).fetchall()
    return [(json.loads(key)[-1], partition) for key, partition in found]


def audited(house: Path) -> dict[str, Any]:
    """What the publication states of its audit."""
    with duckdb.connect(str(serving(house)), read_only=True) as connection:
        row = connection.execute("select settings -> 'audited' from publication").fetchone()
    assert row is not None
    stated: dict[str, Any] = json.loads(row[0])
    return stated


def test_a_run_publishes_and_ends_with_facts(first_run: tuple[int, str, str]) -> None:
    code, out, err = first_run
    assert code == 0, err
    facts = json.loads(out)
    assert facts["published"]
    assert facts["simulated"]
    (day,) = facts["markets"]
    assert (day["market_id"], day["bar_date"], day["is_simulated"]) == (MARKET, str(LAST_DAY), True)
    assert {rank["definition_id"] for rank in day["ranks"]} >= {"daily_usd", "4h_usd", "hourly_ma7_usd"}


def what_is_there(house: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every stored and published file."""
    var = house / "var"
    found = [*(var / "raw").rglob("*.parquet"), *(var / "raw").rglob("*.json"), *(var / "serving").rglob("*")]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found if path.is_file()}


def test_a_run_without_anything_to_do_writes_nothing_and_gives_the_same_answer(
    house: Path, first_run: tuple[int, str, str]
) -> None:
    before = what_is_there(house)
    code, out, err = run("--json")
    assert code == 0, err
    facts, former = json.loads(out), json.loads(first_run[1])
    assert (former["up_to_date"], facts["up_to_date"], facts["published"]) == (False, True, True)
    assert facts["objects"] == {"unchanged": former["objects"]["stored"], "absent": former["objects"]["absent"]}
    of_the_run = ("objects", "run_ids", "bytes_downloaded", "up_to_date")
    assert {k: v for k, v in facts.items() if k not in of_the_run} == {
        k: v for k, v in former.items() if k not in of_the_run
    }
    assert (facts["run_ids"], facts["bytes_downloaded"]) == ([], 0)
    assert what_is_there(house) == before
    _, shown, _ = run()
    assert shown.replace("\n", " ").startswith(
        "up to date: no source, setting or model changed since the publication of"
    )


def published_inputs(house: Path) -> str:
    with duckdb.connect(str(serving(house)), read_only=True) as connection:
        row = connection.execute(f"select settings ->> '{inputs.INPUTS}' from publication").fetchone()
    assert row is not None
    return str(row[0])


def inputs_now() -> str:
    settings = load_settings()
    store = StorageResource(settings.storage).store()
    scope = replace(settings.scope, first_day=min(settings.first_day, FIRST_DAY))
    stated = inputs.published_settings(scope, settings.dbt.target)
    return inputs.inputs_sha256(inputs.index_sha256(store), stated, settings.dbt.variables(), None)


def is_up_to_date(**other: Any) -> bool:
    settings = load_settings(**other)
    return found_unchanged(settings, with_today=False) is not None


def found_unchanged(settings: Settings, *, with_today: bool) -> Unchanged | None:
    ranges = ingest_ranges(settings.scope, FIRST_DAY, LAST_DAY)
    scope = replace(settings.scope, first_day=min(settings.first_day, FIRST_DAY))
    postgres = settings.publish_postgres_url.get_secret_value() if settings.publish_postgres_url else None
    with compared(scope, settings.endpoints, settings.storage, settings.paths, ranges) as found:
        if found is None:
            return None
        return unchanged(scope, settings.endpoints, settings.dbt, found, postgres, with_today=with_today)


@contextlib.contextmanager
def altered(path: Path, payload: bytes | None) -> Iterator[None]:
    """The file with other content, or without the file, while the block runs; then as it was, to the time."""
    kept, times = path.read_bytes(), path.stat()
    try:
        path.unlink() if payload is None else path.write_bytes(payload)
        yield
    finally:
        path.write_bytes(kept)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize(
    ("pattern", "payload"),
    [
        ("var/warehouse.duckdb", None),
        ("var/warehouse.duckdb", b"torn"),
        ("var/serving/marts.duckdb", None),
        ("var/serving/marts.duckdb", b"torn"),
        ("var/serving/latest.json", None),
        ("var/serving/latest.json", b"{"),
        ("var/serving/parquet/fct_taker_spike_ranks/data.parquet", None),
        ("var/serving/versions/*/dim_markets.parquet", b"torn"),
        ("var/serving/latest.json", b'{"run_id": 1, "marts": []}'),
        ("var/serving/report/index.html", None),
        ("var/last_run.json", None),
        ("var/last_run.json", b'{"run_id": "another", "checks": []}'),
        ("var/raw/receipts.parquet", None),
        ("var/raw/coverage.parquet", b"torn"),
        (f"archive/**/BTCUSDT-aggTrades-{LAST_DAY}.zip.CHECKSUM", b"0" * 64),
        (f"archive/{MARKER}", None),
    ],
)
def test_whatever_is_lost_or_differs_is_something_to_do(house: Path, pattern: str, payload: bytes | None) -> None:
    assert is_up_to_date()
    (path,) = house.glob(pattern)
    with altered(path, payload):
        assert not is_up_to_date()


@pytest.mark.parametrize(
    ("pattern", "payload"),
    [
        ("var/serving/report/index.html", None),
        ("var/last_run.json", None),
        ("var/last_run.json", b'{"run_id": "another", "checks": []}'),
    ],
)
def test_a_page_or_a_note_that_is_lost_is_made_anew_and_nothing_is_built(
    house: Path, pattern: str, payload: bytes | None
) -> None:
    (path,) = house.glob(pattern)
    note_whole(serving(house))  # as its run has left it: other tests wrote to it
    before, content = published_at(house), path.read_text()
    with altered(path, payload):
        code, out, err = run()
        assert (code, published_at(house), path.read_text()) == (0, before, content), err
    assert "up to date" in out


def test_a_publication_that_this_machine_lacks_is_made_of_the_files_on_the_storage_and_nothing_is_built(
    house: Path,
) -> None:
    before, note = published_at(house), house / "var" / "last_run.json"
    with altered(serving(house), None), altered(note, None):
        code, out, err = run()
        assert (code, published_at(house)) == (0, before), err
    assert "up to date" in out
    assert "made anew of the Parquet files" in " ".join((out + err).split())


@pytest.mark.parametrize(
    "pattern", ["var/serving/marts.duckdb", "var/serving/versions/*/fct_taker_spike_ranks.parquet"]
)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_one_flipped_bit_in_what_readers_have_is_something_to_do(house: Path, pattern: str, share: float) -> None:
    """`taker verify` and readers that find it advise `taker run`."""
    (path,) = house.glob(pattern)
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 1
    with altered(path, bytes(content)):
        assert not is_up_to_date()


@pytest.mark.parametrize(
    "other",
    [
        {"markets": f"{MARKET},simulated:BTCUSD_PERP"},
        {"kline_interval": "4h"},
        {"trades_dataset": "trades"},
        {"first_day": "2026-02-19"},
        {"publish_postgres_url": "postgresql://someone@127.0.0.1:1/none"},
    ],
)
def test_another_setting_is_something_to_do(other: dict[str, str]) -> None:
    assert not is_up_to_date(**other)


def test_other_code_or_models_are_something_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "code_sha256", lambda: "another version")
    assert not is_up_to_date()


def test_a_market_that_is_behind_is_reported_though_nothing_changed(house: Path) -> None:
    found = found_unchanged(load_settings(), with_today=True)
    assert found is not None
    assert next(check.description for check in found.checks if check.name == "is_fresh").startswith(
        f"{MARKET}: its newest published day is {LAST_DAY}"
    )


DERIVED = (
    "warehouse.duckdb",
    "serving/marts.duckdb",
    "dagster/history/runs.db",
    "dagster/history/runs/index.db",
    "dagster/schedules/schedules.db",
)


@pytest.fixture(scope="module")
def run_over_damage(house: Path, first_run: tuple[int, str, str]) -> tuple[int, str, str]:
    """The run after every file that is derived was torn or became garbage."""
    var = house / "var"
    for name in (*DERIVED, "dbt/profiles.yml", "dbt/target/partial_parse.msgpack"):
        (var / name).write_bytes(random.Random(name).randbytes(9000))
    for name in ("dagster/dagster.yaml", "dbt/target/manifest.json"):
        (var / name).write_bytes(b"")
    (var / "serving" / "latest.json").write_text('{"torn')
    with pytest.MonkeyPatch.context() as patch:
        point_at(house, patch)
        return run()


def test_one_run_makes_every_damaged_file_anew_and_reports_each_once(
    house: Path, run_over_damage: tuple[int, str, str]
) -> None:
    code, _, err = run_over_damage
    assert code == 0, err
    reported = err.replace("\n", "")
    for name in DERIVED:
        assert reported.count(f"{house / 'var' / name} was damaged") == 1
        assert len(list((house / "var" / name).parent.glob(f"{Path(name).name}.damaged-*"))) == 1
    assert "history of revised ranks comes from the Parquet files of" in reported
    # The history is new: what it lost is recorded anew, though nothing of it changed.
    assert {day for dataset, day in recorded(house) if dataset == "metrics"} == {
        f"{day}" for day in days_between(FIRST_DAY, LAST_DAY)
    }
    assert published_at(house)
    assert "telemetry:\n  enabled: false" in (house / "var" / "dagster" / "dagster.yaml").read_text()
    assert list((house / "var" / "tmp").glob("*/*")) == []


def test_the_closing_table_states_simulated_and_shows_every_definition(run_over_damage: tuple[int, str, str]) -> None:
    code, out, err = run_over_damage
    assert code == 0, err
    assert "SIMULATED" in out
    assert "daily_usd" in out


def test_when_nothing_at_all_could_be_fetched_the_run_ends_with_the_reason(
    house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = published_at(house)
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / MARKER).write_text("simulated")
    for published in (house / "archive").rglob("*.CHECKSUM"):
        checksum = tmp_path / "archive" / published.relative_to(house / "archive")
        checksum.parent.mkdir(parents=True, exist_ok=True)
        checksum.write_text("<html>a page for every address</html>")
    monkeypatch.setenv("TAKER_ARCHIVE_URL", (tmp_path / "archive").as_uri())
    done = CliRunner().invoke(app, ["run", "--from", "2026-02-20", "--to", "2026-02-28"])
    code, err = done.exit_code, done.stderr
    assert code == 1
    assert "nothing could be ingested, the former publication stands" in err
    assert published_at(house) == before


def test_a_failed_audit_publishes_nothing_shows_the_evidence_and_a_full_refresh_mends_it(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And an index that another state folder writes meanwhile is not the one that a run states to have built from."""
    before, published, judge = dailies(house), serving(house).read_bytes(), gx.verdicts
    with duckdb.connect(str(house / "var" / "warehouse.duckdb")) as warehouse:
        # In both, or the trades would contradict the klines, which would be used.
        for table in ("int_flow_bars", "int_archive_bars"):
            warehouse.execute(f"update {table} set high_price = 1 where bar_date = ?", [LAST_DAY])
    for note in ("last_run.json", "serving/last_run.json"):  # so that the run has something to do
        (house / "var" / note).unlink(missing_ok=True)
    code, out, err = run("--json")
    assert code == 1
    facts, printed = json.loads(out), " ".join(err.split())
    assert not facts["published"]
    assert facts["bytes_downloaded"] == 0  # nothing has changed since the former run
    assert "no open or close above the high" in printed
    assert str(LAST_DAY) in printed
    assert "the former publication stands" in printed
    assert serving(house).read_bytes() == published
    alerts = json.loads(CliRunner().invoke(app, ["alerts", "--dry-run", "--json"]).stdout)
    (refused,) = [alert for alert in alerts["new"] if alert["kind"] == "audit"]
    assert refused["text"].startswith("SIMULATED: Nothing was published at")
    assert re.search(r"\[critical\] no open or close above the high: \d+ of \d+ rows break the rule", refused["text"])

    index = house / "var" / "raw" / "receipts.parquet"
    written = index.read_bytes()

    def beside_another_writer(*about: Any) -> Any:
        index.write_bytes(written + b"of another state folder on the same storage")
        return judge(*about)

    monkeypatch.setattr(gx, "verdicts", beside_another_writer)
    code, _, err = run("--json", "--full-refresh")
    index.write_bytes(written)
    assert code == 0, err
    assert dailies(house) == before
    assert published_inputs(house) == inputs_now()
    assert audited(house)["full_audit"]
    # Why everything is judged after a refusal, and else: tests/orchestration/audit/test_window.py.
    assert audited(house)["judged"] == "everything: the tables were built anew"


def test_status_reports_what_the_raw_zone_holds(house: Path) -> None:
    done = CliRunner().invoke(app, ["status", "--json"])
    assert done.exit_code == 0, done.stderr
    series = {(one["dataset"], one["interval"]): one for one in json.loads(done.stdout)}
    klines = series["klines", "1h"]
    assert (klines["first_day"], klines["last_day"]) == (str(FIRST_DAY), str(LAST_DAY))
    assert (klines["stored"], klines["missing"]) == (19, 0)
