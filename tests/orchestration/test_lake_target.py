"""The target `lake` as far as it needs no server: what dbt is given, and what is refused before anything starts."""

from __future__ import annotations

import importlib.util
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import psycopg
import pytest

from ingestion.raw.stores import open_store
from orchestration.config.dbt import DUCKDB
from orchestration.config.settings import SettingsError, load_settings
from orchestration.runs.demo import demo_settings
from orchestration.runs.verify import verify
from orchestration.serving.written_days import NoDay, time_from
from orchestration.warehouse.engines import team_lake, warehouse_of
from orchestration.warehouse.extensions import extensions_fault, install_extensions
from orchestration.warehouse.lake.catalog import Lake, attach_path
from orchestration.warehouse.lake.server import failed_catalog, failed_catalog_sentence
from orchestration.warehouse.opening import WarehouseFile, WarehouseUnusable
from orchestration.warehouse.profile import engine_environment, profile, write_profile
from orchestration.warehouse.publish.former import former_publication
from tests.support.dagster_web import free_port
from tests.support.lakes import lake_config
from tests.support.publications import DAILY, Publisher

URL = "postgresql://taker:s3cret%2Fword@db.example:5433/lake?sslmode=require"


def test_dbt_is_given_the_lake_in_the_place_of_the_file_and_one_thread(tmp_path: Path) -> None:
    given = profile(lake_config(URL, tmp_path))["taker"]
    output = given["outputs"][given["target"]]
    assert (given["target"], output["path"], output["database"], output["threads"]) == (
        "lake",
        ":memory:",
        "warehouse",
        1,
    )
    (attached,) = output["attach"]
    assert attached["alias"] == "warehouse"
    assert attached["options"]["data_path"] == f"{tmp_path}/lake/warehouse/"


def test_the_password_is_in_the_environment_of_dbt_and_not_in_the_profile(tmp_path: Path) -> None:
    config = lake_config(URL, tmp_path)
    written = (write_profile(config) / "profiles.yml").read_text()
    assert "s3cret" not in written
    assert engine_environment(config)["DBT_ENV_SECRET_LAKE_PASSWORD"] == "s3cret/word"
    assert "s3cret" not in repr(config)


def test_what_the_secret_cannot_hold_is_in_the_address_of_the_catalog(tmp_path: Path) -> None:
    lake = lake_config(URL, tmp_path).lake
    assert lake is not None
    assert attach_path(lake) == "ducklake:postgres:connect_timeout=10 sslmode=require"


def test_without_an_extension_its_wheel_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, found = lake_config(URL, tmp_path), importlib.util.find_spec
    assert extensions_fault(config) is None
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name.endswith("postgres_scanner") else found(name)
    )
    with pytest.raises(WarehouseUnusable, match="make setup`, or install duckdb-extension-postgres-scanner"):
        install_extensions(config)


def test_a_lake_needs_the_address_of_its_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKER_TARGET", "lake")
    with pytest.raises(SettingsError, match="TAKER_LAKE_CATALOG_URL is not set; write the PostgreSQL database"):
        load_settings()
    monkeypatch.setenv("TAKER_LAKE_CATALOG_URL", "mysql://user:planted-secret@host/db")
    with pytest.raises(SettingsError, match="TAKER_LAKE_CATALOG_URL: it does not begin with postgresql://") as refused:
        load_settings()
    assert "planted-secret" not in str(refused.value)


def test_a_lake_in_a_folder_is_not_the_state_folder_of_a_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TAKER_TARGET", "lake")
    monkeypatch.setenv("TAKER_LAKE_CATALOG_URL", URL)
    for storage in (str(tmp_path / "shared"), (tmp_path / "shared").as_uri()):
        monkeypatch.setenv("TAKER_STORAGE_URL", storage)
        with pytest.raises(SettingsError, match="which the team shares; set TAKER_STATE_DIR to a folder of this mach"):
            load_settings()
    monkeypatch.setenv("TAKER_STATE_DIR", str(tmp_path / "own"))
    assert load_settings().paths.serving.is_relative_to(tmp_path / "own")
    monkeypatch.delenv("TAKER_STATE_DIR")
    monkeypatch.setenv("TAKER_STORAGE_URL", "s3://bucket/taker")
    assert load_settings().target == "lake"


def test_a_lake_that_cannot_be_reached_is_no_difference_between_what_is_stored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TAKER_TARGET", "lake")
    monkeypatch.setenv("TAKER_LAKE_CATALOG_URL", f"postgresql://taker:x@127.0.0.1:{free_port()}/taker")
    monkeypatch.setenv("TAKER_STORAGE_URL", str(tmp_path / "shared"))
    monkeypatch.setenv("TAKER_STATE_DIR", str(tmp_path / "own"))
    found = verify(load_settings(), raw_only=False, report=lambda done, total: None)
    assert (found.is_sound, found.raw.faults, found.marts) == (False, (), None)
    assert "the lake at 127.0.0.1" in found.uncompared


def test_the_history_is_a_number_of_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKER_LAKE_HISTORY_DAYS", "-1")
    with pytest.raises(SettingsError, match="TAKER_LAKE_HISTORY_DAYS: `-1` is not allowed; write a whole number"):
        load_settings()


def test_the_settings_of_a_lake_lie_below_the_storage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAKER_TARGET", "lake")
    monkeypatch.setenv("TAKER_LAKE_CATALOG_URL", URL)
    monkeypatch.setenv("TAKER_STORAGE_URL", str(tmp_path))
    monkeypatch.setenv("TAKER_STATE_DIR", str(tmp_path / "own"))
    settings = load_settings()
    team = team_lake(settings.dbt)
    assert team is not None
    assert (team.built.data_url, team.published.data_url) == (
        f"{tmp_path}/lake/warehouse/",
        f"{tmp_path}/lake/published/",
    )
    assert isinstance(warehouse_of(settings.dbt), Lake)
    assert load_settings(**{}).environment()["TAKER_LAKE_CATALOG_URL"] == URL


def test_other_targets_have_no_lake_though_its_address_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKER_LAKE_CATALOG_URL", URL)
    config = load_settings().dbt
    assert team_lake(config) is None
    assert isinstance(warehouse_of(config), WarehouseFile)


def test_the_demo_is_never_built_where_others_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKER_TARGET", "lake")
    monkeypatch.setenv("TAKER_LAKE_CATALOG_URL", URL)
    assert demo_settings().dbt.target == DUCKDB


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-03-01T12:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01T12:00:30+02:00", datetime(2026, 3, 1, 10, 0, 30, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 2, tzinfo=UTC)),
        ("yesterday", datetime(2026, 3, 10, tzinfo=UTC)),
    ],
)
def test_a_time_is_in_utc_and_a_day_means_its_end(text: str, time: datetime) -> None:
    assert time_from(text, date(2026, 3, 10)) == time


def test_what_is_no_time_is_refused_with_how_to_write_one() -> None:
    with pytest.raises(NoDay, match="`noon` is no time; write YYYY-MM-DDTHH:MM, or a day"):
        time_from("noon")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "IO Error: Failed to commit:\nterminating connection due to administrator command\nmore",
            "terminating connection due to administrator command",
        ),
        (
            'IO Error: Unable to connect to Postgres at "": connection to server at "h", port 1 failed: refused',
            'IO Error: Unable to connect to Postgres at "": connection to server at "h", port 1 failed: refused',
        ),
        (
            'TransactionContext Error: Failed to commit: Failed to execute query "ROLLBACK":',
            'TransactionContext Error: Failed to commit: Failed to execute query "ROLLBACK"',
        ),
        ("Binder Error: no such column", None),
    ],
)
def test_an_error_of_the_catalog_is_known_by_what_libpq_states(text: str, reason: str | None) -> None:
    assert failed_catalog(text) == reason


def test_an_error_of_the_catalog_is_a_sentence_without_the_password(tmp_path: Path) -> None:
    lake = lake_config(URL, tmp_path).lake
    assert lake is not None
    sentence = failed_catalog_sentence("warehouse", lake, "refused s3cret/word and s3cret%2Fword")
    assert sentence.startswith("warehouse: the lake's catalog at db.example:5433/lake failed: refused *** and ***;")
    assert not [
        part for part in psycopg.conninfo.conninfo_to_dict(URL).values() if str(part) == "s3cret/word" in sentence
    ]


class TestTheFormerPublication:
    """Of a state folder whose storage another one publishes to as well."""

    def test_is_that_of_the_storage_where_this_is_later(self, tmp_path: Path) -> None:
        here = Publisher.on(tmp_path)
        here.publish_days(1)
        there = Publisher(tmp_path / "there", open_store(tmp_path), now=here.now)
        there.folder.mkdir()
        there.publish_days(2)
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        found, notices, _ = former_publication(here.serving, here.store, scratch)
        assert (found, notices) == (scratch / "former.duckdb", [])
        with duckdb.connect(str(found), read_only=True) as connection:
            ((at,),) = connection.execute("select published_at from publication").fetchall()
        assert at.replace(tzinfo=UTC) == here.now
        here.now = there.now
        here.publish_days(3)
        assert here.query(f"select count(*) from {DAILY}") == [(3,)]

    def test_is_the_file_where_the_storage_has_the_same(self, tmp_path: Path) -> None:
        here = Publisher.on(tmp_path)
        here.publish_days(1)
        assert former_publication(here.serving, here.store, tmp_path)[:2] == (here.serving, [])
