"""Settings: defaults, what is refused and in which words, and that boto3 and DuckDB get the same credentials."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from ingestion.domain.errors import ArchiveUnavailable
from ingestion.http.archives import ArchiveLocation
from orchestration.config.days import today
from orchestration.config.settings import Settings, SettingsError, load_settings
from orchestration.runs.demo import demo_settings
from orchestration.runs.preflight import check_reachable
from orchestration.warehouse.profile import write_profile


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_any_setting_the_defaults_are_binance_bitcoin_and_two_years(tmp_path: Path) -> None:
    settings = load_settings()
    assert [market.market_id for market in settings.markets] == ["binance_um:BTCUSDT"]
    assert settings.archive_url == "https://data.binance.vision"
    assert settings.kline_interval == ("1h",)
    assert settings.trades_dataset == "aggTrades"
    assert settings.first_day == today() - timedelta(days=760)
    assert settings.storage.raw_url == str(tmp_path / "var" / "raw")
    assert settings.paths.warehouse == tmp_path / "var" / "warehouse.duckdb"
    assert settings.paths.serving == tmp_path / "var" / "serving" / "marts.duckdb"
    assert settings.paths.dagster_home == tmp_path / "var" / "dagster"


def test_the_environment_and_the_env_file_are_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("TAKER_TRADES_DATASET=trades\nTAKER_FIRST_DAY=2024-01-01\nOTHER=1\n")
    monkeypatch.setenv("TAKER_FIRST_DAY", "2024-02-02")
    settings = load_settings()
    assert (settings.trades_dataset, settings.first_day) == ("trades", date(2024, 2, 2))


def test_lists_are_comma_separated_deduplicated_and_intervals_begin_with_the_finest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAKER_MARKETS", "binance_um:ETHUSDT, binance_cm:BTCUSD_PERP,binance_um:ETHUSDT")
    monkeypatch.setenv("TAKER_KLINE_INTERVAL", "1d,4h")
    settings = load_settings()
    assert [market.market_id for market in settings.markets] == ["binance_um:ETHUSDT", "binance_cm:BTCUSD_PERP"]
    assert settings.kline_interval == ("4h", "1d")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("TAKER_MARKETS", "kraken:XBT", "unknown venue `kraken`; known venues are"),
        ("TAKER_MARKETS", " , ", "name at least one market"),
        ("TAKER_ARCHIVE_URL", "ftp://x/y", "write https://…, http://… or file:///folder"),
        ("TAKER_STORAGE_URL", "gs://x/y", "neither a folder nor s3://bucket/prefix"),
        ("TAKER_STORAGE_URL", "s3://", "names no bucket"),
        ("TAKER_KLINE_INTERVAL", "2h", "write one or more of 1h, 4h, 1d"),
        ("TAKER_TRADES_DATASET", "ticks", "`aggTrades` or `trades`"),
        ("TAKER_FIRST_DAY", "2024-13-01", "is not a day; write YYYY-MM-DD"),
        ("TAKER_FIRST_DAY", "2999-01-01", "has not ended yet"),
        ("TAKER_TARGET", "oracle", "`duckdb`"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_the_setting_and_what_is_allowed(
    name: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert name in str(refused.value)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_name_is_refused_with_the_nearest_known_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKER_MARKET", "binance_um:BTCUSDT")
    with pytest.raises(SettingsError, match="TAKER_MARKET is not a setting; did you mean TAKER_MARKETS"):
        load_settings()
    monkeypatch.delenv("TAKER_MARKET")
    (tmp_path / ".env").write_text("TAKER_STORAGE=./x\n")
    with pytest.raises(SettingsError, match="did you mean TAKER_STORAGE_URL"):
        load_settings()


def test_a_simulated_market_contradicts_the_real_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKER_MARKETS", "simulated:BTCUSDT")
    with pytest.raises(SettingsError, match="taker simulate OUT"):
        load_settings()
    monkeypatch.setenv("TAKER_ARCHIVE_URL", "file:///some/archive")
    assert load_settings().scope.is_simulated


def test_a_simulated_market_may_stand_beside_real_ones_at_an_archive_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAKER_MARKETS", "simulated:BTCUSDT,binance_um:BTCUSDT")
    monkeypatch.setenv("TAKER_VENUE_URLS", "simulated.archive=file:///simulated/archive")
    settings = load_settings()
    assert settings.endpoints.archive_url_of("simulated") == "file:///simulated/archive"
    assert settings.endpoints.archive_url_of("binance_um") == "https://data.binance.vision"


def location(url: str, has_checksums: bool, setting: str) -> ArchiveLocation:
    return ArchiveLocation(url, has_checksums, setting, redirect_setting="TAKER_ARCHIVE_REDIRECT_HOSTS")


def test_each_venue_has_its_own_archive_and_messages_name_its_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAKER_MARKETS", "binance_um:BTCUSDT,binance_cm:BTCUSD_PERP,bybit:BTCUSD,okx:BTC-USDT-SWAP")
    monkeypatch.setenv("TAKER_ARCHIVE_URL", "file:///mirror")
    endpoints = load_settings().endpoints
    assert endpoints.archive_venues == ("binance_um", "binance_cm", "bybit", "okx")
    assert endpoints.archive_location_of("binance_um") == endpoints.archive_location_of("binance_cm")
    assert endpoints.archive_location_of("binance_um") == location("file:///mirror", True, "TAKER_ARCHIVE_URL")
    elsewhere = "TAKER_VENUE_URLS (bybit.archive=…)"
    assert endpoints.archive_location_of("bybit") == location("https://public.bybit.com", False, elsewhere)
    monkeypatch.setenv("TAKER_VENUE_URLS", "bybit.archive=file:///other,binance_cm.archive=https://example.org")
    endpoints = load_settings().endpoints
    assert endpoints.archive_location_of("bybit") == location("file:///other", False, elsewhere)
    own = location("https://example.org", True, "TAKER_VENUE_URLS (binance_cm.archive=…)")
    assert endpoints.archive_location_of("binance_cm") == own


def test_the_demo_is_the_demo_whatever_is_set_for_real_venues(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAKER_VENUE_URLS", "simulated.archive=file:///elsewhere")
    settings = demo_settings()
    assert settings.endpoints.archive_url_of("simulated") == (tmp_path / "var" / "demo" / "archive").as_uri()


def check(settings: Settings) -> None:
    check_reachable(settings.endpoints, settings.storage, settings.paths.state)


def test_every_archive_that_a_run_would_read_is_looked_for_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "binance").mkdir()
    monkeypatch.setenv("TAKER_MARKETS", "binance_um:BTCUSDT,bybit:BTCUSDT,okx:BTC-USDT-SWAP")
    monkeypatch.setenv("TAKER_ARCHIVE_URL", (tmp_path / "binance").as_uri())
    okx = f"okx.archive={(tmp_path / 'binance').as_uri()}"
    monkeypatch.setenv("TAKER_VENUE_URLS", f"bybit.archive={(tmp_path / 'bybit').as_uri()},{okx}")
    with pytest.raises(ArchiveUnavailable, match=r"bybit does not exist; check TAKER_VENUE_URLS \(bybit.archive=…\)"):
        check(load_settings())
    (tmp_path / "bybit").mkdir()
    check(load_settings())


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKER_MARKETS", "")
    assert load_settings().markets[0].market_id == "binance_um:BTCUSDT"


def test_state_stays_local_when_storage_is_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKER_STORAGE_URL", "s3://bucket/prefix/")
    settings = load_settings()
    assert settings.storage.raw_url == "s3://bucket/prefix/raw"
    assert settings.state_dir == tmp_path / "var"
    monkeypatch.setenv("TAKER_STATE_DIR", "elsewhere")
    assert load_settings().state_dir == tmp_path / "elsewhere"


def test_settings_survive_the_way_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(markets="binance_cm:BTCUSD_PERP", kline_interval="1h,1d", first_day=date(2024, 3, 1))
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def s3_settings(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("TAKER_STORAGE_URL", "s3://bucket/prefix")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:8333")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "1234567890")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    return load_settings()


def test_boto3_and_duckdb_reach_the_same_s3_with_the_same_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = s3_settings(monkeypatch)
    boto3, duckdb, environment = (
        settings.storage.s3_options(),
        settings.storage.duckdb_secret(),
        settings.storage.dbt_environment(),
    )
    assert duckdb["endpoint"] == "{{ env_var('DBT_ENV_SECRET_S3_ENDPOINT', '') | as_text }}"
    assert f"http://{environment['DBT_ENV_SECRET_S3_ENDPOINT']}" == boto3.endpoint_url
    assert (duckdb["use_ssl"], duckdb["url_style"], duckdb["region"]) == (False, "path", boto3.region)
    assert environment["DBT_ENV_SECRET_S3_KEY_ID"] == boto3.access_key_id == "1234567890"
    assert environment["DBT_ENV_SECRET_S3_SECRET"] == boto3.secret_access_key == "very-secret"


def test_no_secret_is_written_to_the_profile_or_shown_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = s3_settings(monkeypatch)
    profile = (write_profile(settings.dbt) / "profiles.yml").read_text()
    assert "very-secret" not in profile
    assert "1234567890" not in profile
    assert "8333" not in profile
    assert "very-secret" not in repr(settings)
    output = yaml.safe_load(profile)["taker"]["outputs"]["duckdb"]
    assert output["extensions"] == ["httpfs"]
    assert output["config_options"]["autoinstall_known_extensions"] == "false"


def test_half_a_pair_of_keys_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "only-one")
    with pytest.raises(SettingsError, match="belong together"):
        load_settings()


def test_a_key_in_the_storage_address_is_refused_and_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """dbt gets that address on its command line."""
    monkeypatch.setenv("TAKER_STORAGE_URL", "s3://AKIA1:planted-secret@bucket/prefix")
    with pytest.raises(SettingsError, match="AWS_") as refused:
        load_settings()
    assert "planted-secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("TAKER_ARCHIVE_URL", "htp://user:planted-secret@host"),
        ("TAKER_ARCHIVE_URL", "https://user:plan/ted-secret@host"),
        ("TAKER_ARCHIVE_URL", "https://user:planted-secret@host/?token=planted-secret"),
        ("TAKER_STORAGE_URL", "https://user:planted-secret@bucket/prefix"),
        ("TAKER_STORAGE_URL", "s3://user:planted-secret@bucket/prefix"),
        ("TAKER_VENUE_URLS", "okx.rest=ftp://user:planted-secret@host"),
        ("TAKER_VENUE_URLS", "nowhere.rest=https://user:planted-secret@host"),
        ("TAKER_VENUE_URLS", "https://user:planted-secret@host"),
        ("TAKER_ALERT_WEBHOOK_URL", "ftp://host/planted-secret"),
        ("TAKER_PUBLISH_POSTGRES_URL", "mysql://user:planted-secret@host/db"),
        ("AWS_ENDPOINT_URL", "https://user:planted-secret@host"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_secret(
    monkeypatch: pytest.MonkeyPatch, name: str, wrong: str
) -> None:
    monkeypatch.setenv(name, wrong)
    with pytest.raises(SettingsError, match=name) as refused:
        load_settings()
    assert "ted-secret" not in str(refused.value)


@pytest.mark.parametrize("wrong", ["https://mirror.example", "mirror.example:443", "*", "a b"])
def test_a_redirect_host_is_a_name(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("TAKER_ARCHIVE_REDIRECT_HOSTS", f"cdn.example,{wrong}")
    with pytest.raises(SettingsError, match=r"TAKER_ARCHIVE_REDIRECT_HOSTS: .* is no host"):
        load_settings()


@pytest.mark.parametrize(
    ("archive", "listing", "expected"),
    [
        ("https://data.binance.vision", "auto", "https://s3-ap-northeast-1.amazonaws.com/data.binance.vision"),
        ("https://data.binance.vision", "off", ""),
        ("https://mirror.example", "auto", ""),
        ("https://mirror.example", "https://s3.example/bucket/", "https://s3.example/bucket"),
        ("file:///mirror", "auto", ""),
    ],
)
def test_the_bucket_of_an_archive_is_listed_where_it_is_known(
    monkeypatch: pytest.MonkeyPatch, archive: str, listing: str, expected: str
) -> None:
    monkeypatch.setenv("TAKER_ARCHIVE_URL", archive)
    monkeypatch.setenv("TAKER_ARCHIVE_LISTING_URL", listing)
    endpoints = load_settings().endpoints
    assert endpoints.archive_location_of("binance_um").listing_url == expected
    assert endpoints.archive_location_of("bybit").listing_url == ""


@pytest.mark.parametrize("listing", ["file:///folder", "ftp://host/bucket", "https://host/bucket?prefix=a", "bucket"])
def test_what_cannot_be_listed_is_refused(monkeypatch: pytest.MonkeyPatch, listing: str) -> None:
    monkeypatch.setenv("TAKER_ARCHIVE_LISTING_URL", listing)
    with pytest.raises(SettingsError, match=r"TAKER_ARCHIVE_LISTING_URL: .*; write the address of a bucket"):
        load_settings()


def test_no_archive_that_answers_ends_a_run_before_it_starts(tmp_path: Path) -> None:
    settings = load_settings(archive_url="http://user:planted-secret@127.0.0.1:1", storage_url=str(tmp_path))
    with pytest.raises(
        ArchiveUnavailable, match=r"cannot be reached \(.*refused\).*TAKER_ARCHIVE_URL to a mirror"
    ) as error:
        check_reachable(settings.endpoints, settings.storage, settings.paths.state)
    assert "planted-secret" not in str(error.value)


def test_owners_and_tags_are_what_the_catalog_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (load_settings().owners, load_settings().tags) == (("team:taker",), {})
    monkeypatch.setenv("TAKER_OWNERS", "team:research, a@taker.example")
    monkeypatch.setenv("TAKER_TAGS", "domain=flow,cost_center=42")
    settings = load_settings()
    assert settings.owners == ("team:research", "a@taker.example")
    assert settings.tags == {"domain": "flow", "cost_center": "42"}
    assert settings.environment()["TAKER_TAGS"] == "domain=flow,cost_center=42"
    monkeypatch.setenv("TAKER_OWNERS", "research")
    with pytest.raises(SettingsError, match="TAKER_OWNERS: `research` is no owner; write team:name"):
        load_settings()
    monkeypatch.setenv("TAKER_OWNERS", "off")
    monkeypatch.setenv("TAKER_TAGS", "domain")
    with pytest.raises(SettingsError, match="TAKER_TAGS: `domain` is no tag; write name=value"):
        load_settings()
