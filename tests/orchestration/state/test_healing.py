"""Every derived file, torn or garbage: it is set aside and made anew. A healthy file stays, whatever else is wrong."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from ingestion.live.status import STATUS_NAME, StatusDamaged, read_status
from ingestion.raw.durable import boot
from orchestration.alerts import outbox
from orchestration.config.days import yesterday
from orchestration.config.paths import Paths
from orchestration.config.settings import Settings
from orchestration.resources import ApiResource
from orchestration.runs import demo
from orchestration.runs.instance import open_instance, prepare_home
from orchestration.state.healing import NotDamaged, duckdb_fault, heal, sqlite_fault
from orchestration.state.whole import note_whole
from orchestration.warehouse import dbt, opening
from orchestration.warehouse.profile import write_profile
from orchestration.warehouse.publish.parquet import LATEST
from orchestration.warehouse.publish.revisions import REVISIONS
from tests.support.publications import Publisher

Damage = Callable[[Path], None]


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def torn(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(max(5000, path.stat().st_size)))


def set_aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.damaged-*"))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user may enter, as pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def as_another_user() -> Iterator[None]:
    """Without the rights of root, where the test has them."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


# ---- Dagster's files


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Dagster home that was used once."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.delenv("DAGSTER_DISABLE_TELEMETRY", raising=False)
    with open_instance(settings.paths.dagster_home) as instance:
        instance.get_runs()
        instance.all_instigator_state()
    return settings.paths.dagster_home


@pytest.mark.parametrize("damage", [torn, garbage])
@pytest.mark.parametrize("name", ["history/runs.db", "history/runs/index.db", "schedules/schedules.db"])
def test_a_damaged_database_of_dagster_is_set_aside_and_made_anew(name: str, damage: Damage, home: Path) -> None:
    damage(home / name)
    reported: list[str] = []
    with open_instance(home, report=reported.append) as instance:
        assert instance.get_runs() == []
        assert list(instance.all_instigator_state()) == []
        assert instance.get_asset_keys() == []
    (kept,) = set_aside(home / name)
    (sentence,) = reported
    assert kept.name in sentence
    assert "lost" in sentence or "as delivered again" in sentence
    assert prepare_home(home) == []  # reported once


def test_a_database_that_is_locked_or_may_not_be_read_is_left_where_it_is(home: Path, open_folder: Path) -> None:
    runs = Path(shutil.copy(home / "history" / "runs.db", open_folder))
    with closing(sqlite3.connect(runs)) as connection:
        connection.execute("begin exclusive")
        assert sqlite_fault(runs) is None
    runs.chmod(0)
    with as_another_user():
        assert sqlite_fault(runs) is None
        assert heal(runs, sqlite_fault, "made anew") is None
    assert set_aside(runs) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"telemetry:\n",
        b"telemetry:\n  enabled: true\nrun_monitoring:\n  enabled: true\n",
        b"event_log_storage:\n  module: orch",
        b"telemetry:\n  enabled: fal",
        b"a list, no mapping",
        b"concurrency:\n  runs:\n    max_conc",
        b"{unclosed",
        b"\xff\xfe\x00garbage",
    ],
)
def test_telemetry_stays_off_whatever_dagster_yaml_has_become(content: bytes, home: Path) -> None:
    (home / "dagster.yaml").write_bytes(content)
    with open_instance(home) as instance:
        assert not instance.telemetry_enabled
        assert type(instance.event_log_storage).__name__ == "BatchingSqliteEventLogStorage"
    written = (home / "dagster.yaml").read_text()
    assert "enabled: true" not in written.partition("run_monitoring")[0]
    assert os.environ["DAGSTER_DISABLE_TELEMETRY"]
    assert prepare_home(home) == []
    assert (home / "dagster.yaml").read_text() == written


# ---- the warehouse and dbt's files


@pytest.fixture
def warehouse(settings: Settings) -> Path:
    path = settings.warehouse_path
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table int_flow_bars as select n, hash(n) as h from range(200000) as r(n)")
    return path


@pytest.mark.parametrize("damage", [emptied, torn, garbage])
def test_a_damaged_warehouse_is_set_aside(damage: Damage, settings: Settings, warehouse: Path) -> None:
    damage(warehouse)
    sentence = opening.await_warehouse(settings.paths, patience=0)
    assert sentence is not None
    assert "everything in it is built again from the raw zone" in sentence
    assert len(sentence.splitlines()) == 1
    assert len(set_aside(warehouse)) == 1
    assert not warehouse.exists()


def test_one_flipped_bit_in_the_bars_that_a_build_goes_on_from_is_found(warehouse: Path) -> None:
    content = bytearray(warehouse.read_bytes())
    content[len(content) // 2] ^= 1
    warehouse.write_bytes(content)
    assert "Corrupt database file" in (duckdb_fault(warehouse, ["int_flow_bars"]) or "")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each look at the warehouse, whether it was read from end to end."""
    found: list[bool] = []

    def looked(path: Path, tables: Collection[str] = (), **options: bool) -> str | None:
        found.append(bool(tables))
        return duckdb_fault(path, tables, **options)

    monkeypatch.setattr(opening, "duckdb_fault", looked)
    return found


def test_a_warehouse_that_the_last_run_left_whole_is_not_read_from_end_to_end(
    settings: Settings, warehouse: Path, read: list[bool]
) -> None:
    note_whole(warehouse)
    opening.await_warehouse(settings.paths, patience=0)
    # Nothing has noted it again: the run that began here has failed.
    opening.await_warehouse(settings.paths, patience=0)
    assert read == [False, True]


def written_again(warehouse: Path) -> None:
    """Under the same time, size and name."""
    found = warehouse.stat()
    with warehouse.open("r+b") as file:
        file.write(file.read(1))
    os.utime(warehouse, ns=(found.st_atime_ns, found.st_mtime_ns))


def restored(warehouse: Path) -> None:
    copy = Path(shutil.copy2(warehouse, warehouse.with_name("copy")))
    os.replace(copy, warehouse)


def restarted(warehouse: Path) -> None:
    note = warehouse.with_name(f".{warehouse.name}.whole")
    note.write_text(note.read_text().replace(boot(), "another boot"))


@pytest.mark.parametrize("happened", [written_again, restored, restarted])
def test_whatever_happened_to_the_warehouse_since_it_is_read_from_end_to_end(
    happened: Callable[[Path], None], settings: Settings, warehouse: Path, read: list[bool]
) -> None:
    note_whole(warehouse)
    happened(warehouse)
    opening.await_warehouse(settings.paths, patience=0)
    assert read == [True]


def test_a_torn_log_beside_a_healthy_warehouse_goes_with_it(settings: Settings, warehouse: Path) -> None:
    log = warehouse.with_name("warehouse.duckdb.wal")
    log.write_bytes(random.Random(2).randbytes(5000))
    if (fault := opening.await_warehouse(settings.paths, patience=0)) is not None:
        assert "is kept as" in fault
        assert not log.exists()


def test_a_healthy_warehouse_is_left_where_it_is(settings: Settings, warehouse: Path, open_folder: Path) -> None:
    assert opening.await_warehouse(settings.paths, patience=0) is None
    unreadable = Path(shutil.copy(warehouse, open_folder))
    unreadable.chmod(0)
    with as_another_user(), pytest.raises(opening.WarehouseUnusable, match=r"cannot be opened \(.*Permission denied"):
        opening.await_warehouse(Paths(open_folder), patience=0)
    assert set_aside(unreadable) == []
    with pytest.raises(NotDamaged):
        duckdb_fault(warehouse.parent)  # a folder


@pytest.mark.parametrize("damage", [emptied, garbage])
def test_a_damaged_profile_or_manifest_is_written_anew(damage: Damage, settings: Settings, tmp_path: Path) -> None:
    profile = write_profile(settings.dbt) / "profiles.yml"
    written = profile.read_bytes()
    damage(profile)
    write_profile(settings.dbt)
    assert profile.read_bytes() == written
    manifest = tmp_path / "target" / "manifest.json"
    manifest.parent.mkdir()
    manifest.write_text('{"nodes": {}}')
    damage(manifest)
    assert dbt.manifest_is_stale(tmp_path, manifest)
    with pytest.raises(dbt.ManifestMissing, match="is damaged; run `make manifest`"):
        dbt.load_manifest(manifest)


# ---- the publication


@pytest.fixture
def published(tmp_path: Path) -> Publisher:
    """A publication whose history of revised ranks has a row."""
    publisher = Publisher.on(tmp_path)
    publisher.build_days(3)
    publisher.publish()
    with duckdb.connect(str(publisher.serving)) as connection:
        connection.execute(
            f"insert into {REVISIONS} (definition_id, market_id, side, bar_at, cause, published_at) "
            "values ('daily_usd', 'm', 'bearish', '2026-01-01', 'rules', '2026-01-02')"
        )
    publisher.publish()
    return publisher


@pytest.mark.parametrize("damage", [emptied, torn, garbage, Path.unlink])
def test_the_history_of_a_damaged_publication_comes_from_its_parquet_files(
    damage: Damage, published: Publisher
) -> None:
    damage(published.serving)
    (sentence,) = published.publish().notices
    assert "the history of revised ranks comes from the Parquet files of 2026" in sentence
    assert published.query(f"select cause from {REVISIONS}") == [("rules",)]
    assert len(set_aside(published.serving)) == (damage is not Path.unlink)
    assert published.publish().notices == ()


def test_a_wrong_parquet_file_of_the_latest_version_leaves_the_version_before(published: Publisher) -> None:
    garbage(published.serving)
    latest = json.loads((published.folder / LATEST).read_text())
    # Parquet that can be read, and is not what was published.
    oldest = min((published.folder / "serving" / "versions").glob(f"*/{REVISIONS}.parquet"))
    shutil.copyfile(oldest, published.folder / "serving" / latest["marts"][REVISIONS]["file"])
    (published.folder / LATEST).write_text("{torn")
    (sentence,) = published.publish().notices
    assert latest["version"] not in sentence
    # The version before had no row yet: what is lost is the one publication that is.
    assert published.query(f"select count(*) from {REVISIONS}") == [(0,)]


def test_a_history_that_nothing_holds_any_more_is_reported_as_lost(published: Publisher) -> None:
    garbage(published.serving)
    for manifest in (published.folder / "serving").rglob("*.json"):
        manifest.write_text("")
    (sentence,) = published.publish().notices
    assert "the history of revised ranks is lost" in sentence
    assert f"{REVISIONS} starts again" in sentence


# ---- the outbox, the demo's record


@pytest.mark.parametrize("damage", [torn, garbage])
def test_a_damaged_outbox_is_set_aside_with_what_is_lost(damage: Damage, tmp_path: Path) -> None:
    path = tmp_path / "alerts" / "outbox.sqlite"
    with outbox.opened(path) as box:
        box.record([], datetime(2026, 1, 1, tzinfo=UTC), remember={"name": "value"})
    damage(path)
    with outbox.opened(path) as box:
        assert "those of the last week are sent again" in (box.healed or "")
        assert box.undelivered() == []
    garbage(path)
    reported: list[str] = []
    assert outbox.undelivered(path, reported.append) is None
    assert len(reported) == 1


@pytest.mark.parametrize("damage", [emptied, garbage])
def test_a_damaged_record_of_the_demo_counts_as_none(
    damage: Damage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record = tmp_path / "var" / "demo" / "demo.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"last_day": "2026-03-10"}))
    assert demo.last_day() == date(2026, 3, 10)
    damage(record)
    assert demo.last_day() == yesterday()


@pytest.mark.parametrize("content", [b"", b'{"http://ven', b"[]", b"null", b"\xff\x00", b"[" * 100_000])
def test_a_damaged_record_of_bans_is_set_aside_once_and_reported(content: bytes, settings: Settings) -> None:
    path = settings.paths.bans
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    reported: list[str] = []
    apis = ApiResource(settings.endpoints, path)
    for _ in range(2):
        with apis.open(report=reported.append):
            pass
    (kept,) = set_aside(path)
    (sentence,) = reported
    assert kept.name in sentence
    assert "is queried again" in sentence


@pytest.mark.parametrize(
    "content",
    [
        b"", b'{"started_at": "20', b"[]", b"null", b"\xff\x00", b"[" * 100_000,
        b'{"started_at": "2026-01-01T00:00:00", "beat_at": "2026-01-01T00:00:00", "pid": 1, "connections": []}',
        b'{"started_at": "2026-01-01T00:00:00Z", "beat_at": "2026-01-01T00:00:00Z", "pid": 1e999, "connections": []}',
        b'{"started_at": 1, "beat_at": 2, "pid": 1, "connections": [{}]}',
    ],
)  # fmt: skip
def test_a_damaged_status_of_the_collector_is_reported_and_not_taken_for_none(content: bytes, tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    (tmp_path / STATUS_NAME).write_bytes(content)
    with pytest.raises(StatusDamaged, match="`taker collect` writes it anew"):
        read_status(tmp_path)


def test_of_two_processes_that_find_a_damaged_file_one_sets_it_aside(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    path.write_bytes(b"x")
    faults = iter(["broken", None])  # the second look, under the lock: the other has made it anew
    assert heal(path, lambda _: next(faults), "made anew") is None
    assert path.exists()
