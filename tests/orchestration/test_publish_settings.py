"""TAKER_PUBLISH_POSTGRES_URL: what is refused, in words that never quote it, and who never gets it."""

from __future__ import annotations

import contextlib
import traceback
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr

from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from orchestration.config.settings import Settings, SettingsError, load_settings
from orchestration.defs.publish import PUBLISHED_KEY, published_asset
from orchestration.progress import Progress
from orchestration.resources import StorageResource
from orchestration.runs.demo import demo_settings
from orchestration.state.locks import Workplace
from orchestration.warehouse.audit.gx import HERE
from orchestration.warehouse.publish import publication
from orchestration.warehouse.publish.postgres import place_of
from orchestration.warehouse.standing import NOTHING_STANDS, Standing
from tests.ingestion.test_index import an_object, put
from tests.support.publications import DAILY, KEYS, MARKETS, Publisher

NAME = "TAKER_PUBLISH_POSTGRES_URL"
GOOD = "postgresql://taker:geheim@db.example:5433/warehouse?sslmode=require"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("value", [None, "", "off", "OFF"])
def test_without_it_nothing_goes_to_postgres(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is not None:
        monkeypatch.setenv(NAME, value)
    assert load_settings().publish_postgres_url is None


def test_an_address_is_kept_and_shown_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, GOOD)
    settings = load_settings()
    assert settings.publish_postgres_url is not None
    assert settings.publish_postgres_url.get_secret_value() == GOOD
    assert "geheim" not in f"{settings!r} {settings}"
    assert place_of(GOOD) == "db.example:5433/warehouse, schema taker"
    assert place_of("postgresql:///marts?host=/run/postgresql") == "/run/postgresql/marts, schema taker"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("mysql://taker:geheim@db/x", "does not begin with postgresql://"),
        ("postgresql+psycopg://taker:geheim@db/x", "does not begin with postgresql://"),
        ("host=db user=taker password=geheim", "does not begin with postgresql://"),
        ("postgresql://taker:geheim/1@db:5432/x", "its port is not a number|cannot be read as an address"),
        ("postgresql://taker:geheim%zz@db/x", "cannot be read as an address"),
        ("postgresql://taker:geheim@db:99999/x", "its port is not a number from 1 to 65535"),
        ("postgresql://taker:geheim@db", "names no database"),
        ("postgresql://taker:geheim@db/x?colour=red", "cannot be read as an address"),
    ],
)
def test_a_wrong_one_is_one_sentence_that_does_not_quote_it(
    value: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, value)
    with pytest.raises(SettingsError, match=reason) as refused:
        load_settings()
    text = "".join(traceback.format_exception(refused.value))
    assert "geheim" not in text
    assert str(refused.value).startswith((f"{NAME}: it ", f"{NAME}: its port"))
    assert "write postgresql://user:password@host:5432/database" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_it_goes_to_the_processes_of_the_same_settings_and_its_absence_does_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings(publish_postgres_url=GOOD).environment()[NAME] == GOOD
    silent = load_settings().environment()
    (tmp_path / ".env").write_text(f"{NAME}={GOOD}\n")
    for name, value in silent.items():
        monkeypatch.setenv(name, value)
    assert load_settings().publish_postgres_url is None


def test_the_demo_never_publishes_to_the_database_of_real_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, GOOD)
    assert demo_settings().publish_postgres_url is None


def materialized(
    settings: Settings, instance: dg.DagsterInstance, standing: Standing | None = None
) -> dg.ExecuteInProcessResult:
    Publisher.on(Path(settings.storage_url)).build_days(2)
    url = settings.publish_postgres_url.get_secret_value() if settings.publish_postgres_url else None
    marts = {MARKETS: KEYS[MARKETS], DAILY: KEYS[DAILY]}
    asset = published_asset(marts, [], scope=settings.scope, dbt=settings.dbt, postgres_url=url)
    resources = {
        "storage": StorageResource(settings.storage),
        "progress": Progress(),
        "workplace": Workplace(settings.paths),
        "judge": HERE,
    }
    resources["workplace"].standing = standing  # type: ignore[attr-defined]
    with contextlib.closing(resources["workplace"]):  # type: ignore[type-var]
        return dg.materialize([asset], resources=resources, instance=instance, raise_on_error=False)


def test_the_asset_states_what_is_published_where(settings: Settings) -> None:
    Path(settings.storage_url).mkdir()
    with dg.DagsterInstance.ephemeral() as instance:
        assert materialized(settings, instance).success
        event = instance.get_latest_materialization_event(PUBLISHED_KEY)
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["revised_ranks"].value == 0
    assert metadata["latest"].value == f"{settings.storage_url}/serving/latest.json"
    assert "postgres" not in metadata


@pytest.mark.parametrize("found", [Standing((datetime.now(UTC), "run"), {DAILY: date(2026, 1, 2)}), None])
def test_what_the_audit_of_the_run_found_to_stand_is_known_to_the_publication(
    settings: Settings, found: Standing | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[Standing] = []
    publish = publication.publish
    monkeypatch.setattr(
        publication, "publish", lambda *args, **stated: (known.append(stated["standing"]), publish(*args, **stated))[1]
    )
    Path(settings.storage_url).mkdir()
    with dg.DagsterInstance.ephemeral() as instance:
        assert materialized(settings, instance, found).success
    assert known == [found or NOTHING_STANDS]


def test_the_rows_of_the_publication_and_of_each_mart_are_numbers_that_can_be_plotted(settings: Settings) -> None:
    Path(settings.storage_url).mkdir()
    with dg.DagsterInstance.ephemeral() as instance:
        assert materialized(settings, instance).success
        event = instance.get_latest_materialization_event(PUBLISHED_KEY)
        (seen,) = instance.fetch_observations(dg.AssetKey(DAILY), limit=2).records
    assert event is not None
    assert event.asset_materialization is not None
    published = event.asset_materialization.metadata
    rows = {record.data["mart"]: record.data["rows"] for record in published["rows"].records}  # type: ignore[attr-defined]
    assert published["dagster/row_count"].value == sum(rows.values())
    assert seen.asset_observation is not None
    assert seen.asset_observation.metadata["dagster/row_count"].value == rows[DAILY] == 2


def test_a_failed_load_shows_no_password_in_dagsters_log(settings: Settings) -> None:
    Path(settings.storage_url).mkdir()
    unreachable = settings.model_copy(
        update={"publish_postgres_url": SecretStr(GOOD.replace("db.example:5433", "127.0.0.1:1"))}
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialized(unreachable, instance)
        logged = "\n".join(str(record) for record in instance.all_logs(result.run_id))
    assert not result.success
    assert "PostgreSQL at 127.0.0.1:1/warehouse, schema taker" in logged
    assert "geheim" not in logged


@pytest.mark.parametrize("built_from", ["nothing at all", "an empty zone", "an absent day"])
def test_a_warehouse_that_was_built_from_nothing_is_not_published_beside_a_full_raw_zone(
    settings: Settings, built_from: str
) -> None:
    folder = Path(settings.storage_url)
    folder.mkdir()
    put(RawZone(open_store(folder)), an_object(0, 0), b"a day")
    RawZone(open_store(folder)).write_index()
    status = "absent" if built_from == "an absent day" else "stored"
    table = f"create table base_raw__receipts as select '{status}' as status"
    if built_from != "nothing at all":
        Publisher.on(folder).build(f"{table} where false" if built_from == "an empty zone" else table)
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialized(settings, instance)
        logged = "\n".join(str(record) for record in instance.all_logs(result.run_id))
        assert not result.success
        assert "was built from no day of the raw zone, in which 1 are stored" in logged
        assert not (folder / "serving").exists()
        Publisher.on(folder).build("create or replace table base_raw__receipts as select 'stored' as status")
        assert materialized(settings, instance).success
