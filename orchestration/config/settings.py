"""Settings: the only reader of the environment and of `.env`.

Belongs here: names, defaults, allowed values, and what follows from them (paths, S3 options, dbt variables).
Does not: opening anything that a setting names.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings.sources import DotEnvSettingsSource

from ingestion.domain.markets import SIMULATED_VENUE, Market
from ingestion.venues import VENUES, venue_of
from orchestration.config.alerts import AlertConfig

if TYPE_CHECKING:
    from ingestion.http.fetch import Place
    from ingestion.raw.store import S3Options

PREFIX: Final = "TAKER_"
ENV_FILE: Final = ".env"
BINANCE_ARCHIVE_URL: Final = "https://data.binance.vision"
HISTORY_DAYS: Final = 760
OFF: Final = "off"
# The parts of a venue that TAKER_VENUE_URLS can send elsewhere, and how their addresses begin.
_VENUE_PARTS: Final = {"archive": ("https", "http", "file"), "rest": ("https", "http"), "live": ("wss", "ws")}
_INTERVAL_HOURS: Final = {"1h": 1, "4h": 4, "1d": 24}


class SettingsError(Exception):
    """A setting is unknown, malformed or contradicts another. The text is one sentence that says what is allowed."""


def today() -> date:
    """The running UTC day."""
    return datetime.now(UTC).date()


def yesterday() -> date:
    """The last UTC day that has ended: the newest day a venue can have published."""
    return today() - timedelta(days=1)


class Settings(BaseSettings):
    """Every setting, checked. Build it with `load_settings`, which speaks in sentences."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        # A refused value may hold a password, and pydantic's own text ends up in tracebacks.
        hide_input_in_errors=True,
    )

    markets: Annotated[tuple[Market, ...], NoDecode] = (Market.parse("binance_um:BTCUSDT"),)
    archive_url: str = BINANCE_ARCHIVE_URL
    storage_url: str = "./var"
    kline_interval: Annotated[tuple[str, ...], NoDecode] = ("1h",)
    trades_dataset: Literal["aggTrades", "trades"] = "aggTrades"
    first_day: date = Field(default_factory=lambda: today() - timedelta(days=HISTORY_DAYS))
    target: Literal["duckdb"] = "duckdb"
    state_dir: Path = Path()
    publish_postgres_url: SecretStr | None = None
    venue_urls: Annotated[Mapping[str, str], NoDecode] = Field(default_factory=dict)
    rest: Literal["auto", "on", "off"] = "auto"
    alert_webhook_url: SecretStr | None = None
    alert_definition: str = "4h_usd"
    alert_rank: int = 3
    alert_liquidation_percentile: float = 0.99

    aws_endpoint_url: str | None = Field(
        None, validation_alias=AliasChoices("aws_endpoint_url", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    )
    aws_region: str | None = Field(
        None, validation_alias=AliasChoices("aws_region", "AWS_REGION", "AWS_DEFAULT_REGION")
    )
    aws_access_key_id: str | None = Field(None, validation_alias=AliasChoices("AWS_ACCESS_KEY_ID"))
    aws_secret_access_key: SecretStr | None = Field(None, validation_alias=AliasChoices("AWS_SECRET_ACCESS_KEY"))
    aws_session_token: SecretStr | None = Field(None, validation_alias=AliasChoices("AWS_SESSION_TOKEN"))

    @field_validator("markets", mode="before")
    @classmethod
    def _markets(cls, value: Any) -> Any:
        texts = _listed(value)
        markets = tuple(text if isinstance(text, Market) else Market.parse(text) for text in texts)
        if not markets:
            raise ValueError("it is empty; name at least one market, for example `binance_um:BTCUSDT`")
        return tuple(dict.fromkeys(markets))

    @field_validator("kline_interval", mode="before")
    @classmethod
    def _kline_interval(cls, value: Any) -> Any:
        intervals = tuple(dict.fromkeys(_listed(value)))
        unknown = [text for text in intervals if text not in _INTERVAL_HOURS]
        if unknown or not intervals:
            raise ValueError(f"`{value}` is not allowed; write one or more of {', '.join(_INTERVAL_HOURS)}")
        return tuple(sorted(intervals, key=_INTERVAL_HOURS.__getitem__))

    @field_validator("archive_url")
    @classmethod
    def _archive_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http", "file") or not (parts.netloc or parts.path.startswith("/")):
            raise ValueError(f"`{value}` is not an archive; write https://…, http://… or file:///folder")
        return value.rstrip("/")

    @field_validator("storage_url")
    @classmethod
    def _storage_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme == "s3":
            if not parts.netloc:
                raise ValueError(f"`{value}` names no bucket; write s3://bucket/prefix")
            return value.rstrip("/")
        if parts.scheme != "file" and "://" in value:
            raise ValueError(f"`{value}` is neither a folder nor s3://bucket/prefix")
        folder = Path(unquote(parts.path) if parts.scheme == "file" else value).expanduser().absolute()
        if set("*?[]{}") & set(str(folder)):
            raise ValueError(f"`{folder}` holds one of * ? [ ] {{ }}, which engines read as patterns; rename it")
        return str(folder)

    @field_validator("venue_urls", mode="before")
    @classmethod
    def _venue_urls(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=")[::2] for pair in _listed(value) if pair.lower() != OFF]
        places = [f"{venue}.{part}" for venue in VENUES for part in _VENUE_PARTS]
        for place, url in pairs:
            if place not in places:
                raise ValueError(
                    f"`{place}` is no place of a venue; write `venue.part=URL`, such as bybit.archive=file:///folder, "
                    f"with a venue of {', '.join(VENUES)} and a part of {', '.join(_VENUE_PARTS)}"
                )
            if urlsplit(url).scheme not in _VENUE_PARTS[place.partition(".")[2]]:
                allowed = ", ".join(f"{scheme}://" for scheme in _VENUE_PARTS[place.partition(".")[2]])
                raise ValueError(f"`{url}` is no address of {place}; it begins with one of {allowed}")
        return {place: url.rstrip("/") for place, url in pairs}

    @field_validator("first_day")
    @classmethod
    def _first_day(cls, value: date) -> date:
        if value >= today():
            raise ValueError(f"{value} has not ended yet; the newest possible day is {yesterday()}")
        return value

    @field_validator("publish_postgres_url")
    @classmethod
    def _publish_postgres_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or value.get_secret_value().strip().lower() in ("", OFF):
            return None
        fault = _postgres_fault(value.get_secret_value().strip())
        if fault:
            raise ValueError(
                f"{fault}; write postgresql://user:password@host:5432/database, with @ : / ? # % in the password as "
                f"%40 %3A %2F %3F %23 %25, or `{OFF}`"
            )
        return SecretStr(value.get_secret_value().strip())

    @field_validator("alert_webhook_url")
    @classmethod
    def _alert_webhook_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or value.get_secret_value().strip().lower() in ("", OFF):
            return None
        fault = _webhook_fault(value.get_secret_value().strip())
        if fault:
            raise ValueError(f"{fault}; write https://host/path as the receiver gave it to you, or `{OFF}`")
        return SecretStr(value.get_secret_value().strip())

    @field_validator("alert_definition")
    @classmethod
    def _alert_definition(cls, value: str) -> str:
        # Which definitions there are is a matter of the published marts, so that alerts say when it is none of them.
        if not re.fullmatch(r"[A-Za-z0-9_]+", value):
            raise ValueError(f"`{value}` is no name of a definition; write one of dim_spike_definitions, as `4h_usd`")
        return value

    @field_validator("alert_rank", mode="before")
    @classmethod
    def _alert_rank(cls, value: Any) -> Any:
        if not re.fullmatch(r"[1-9][0-9]{0,5}", str(value).strip()):
            raise ValueError(f"`{value}` is not allowed; write a whole number from 1, as 3 for the three largest")
        return int(value)

    @field_validator("alert_liquidation_percentile", mode="before")
    @classmethod
    def _alert_liquidation_percentile(cls, value: Any) -> Any:
        try:
            share = float(value)
        except (TypeError, ValueError):
            share = 0.0
        if not 0 < share < 1:
            raise ValueError(f"`{value}` is not allowed; write a share between 0 and 1, as 0.99")
        return share

    @model_validator(mode="before")
    @classmethod
    def _state_beside_local_storage(cls, values: dict[str, Any]) -> dict[str, Any]:
        if not values.get("state_dir"):
            storage = str(values.get("storage_url") or "./var")
            parts = urlsplit(storage)
            local = unquote(parts.path) if parts.scheme == "file" else storage
            values["state_dir"] = "./var" if parts.scheme == "s3" else local
        values["state_dir"] = Path(values["state_dir"]).expanduser().absolute()
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        simulated = [market.market_id for market in self.markets if market.venue == SIMULATED_VENUE]
        if simulated and urlsplit(self.archive_url_of(SIMULATED_VENUE)).netloc == "data.binance.vision":
            raise ValueError(
                f"market `{simulated[0]}` is simulated but TAKER_ARCHIVE_URL is Binance's own archive; run "
                "`taker simulate OUT` and set TAKER_ARCHIVE_URL to that folder as file:///…"
            )
        if (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            raise ValueError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: set both or none")
        return self

    @property
    def is_s3(self) -> bool:
        return self.storage_url.startswith("s3://")

    @property
    def raw_url(self) -> str:
        """Root of the raw zone, without a trailing slash: what dbt gets as `raw_url`."""
        return f"{self.storage_url}/raw"

    @property
    def warehouse_path(self) -> Path:
        """The DuckDB file that dbt alone writes."""
        return self.state_dir / "warehouse.duckdb"

    @property
    def serving_path(self) -> Path:
        """The DuckDB file that people read."""
        return self.state_dir / "serving" / "marts.duckdb"

    def archive_url_of(self, venue: str) -> str:
        """Where the venue's files are. TAKER_ARCHIVE_URL says it of Binance's archive, copied by the simulated one."""
        own = venue_of(venue).archive
        if own is None or own.url == BINANCE_ARCHIVE_URL:
            return self.venue_urls.get(f"{venue}.archive", self.archive_url)
        return self.venue_urls.get(f"{venue}.archive", own.url)

    def archive_place_of(self, venue: str) -> Place:
        """The same as what `ingestion.http.fetch` opens, with the setting that messages are to name."""
        from ingestion.http.fetch import Place

        own = venue_of(venue).archive
        is_common = (own is None or own.url == BINANCE_ARCHIVE_URL) and f"{venue}.archive" not in self.venue_urls
        return Place(
            self.archive_url_of(venue),
            has_checksums=own is None or own.has_checksums,
            setting=f"{PREFIX}ARCHIVE_URL" if is_common else f"{PREFIX}VENUE_URLS ({venue}.archive=…)",
        )

    @property
    def archive_venues(self) -> tuple[str, ...]:
        """The venues of the configured markets that have an archive."""
        return tuple(v for v in dict.fromkeys(market.venue for market in self.markets) if venue_of(v).archive)

    def rest_url_of(self, venue: str) -> str | None:
        """Where the venue's REST api is asked; None where it is not, or there is none.

        `auto`: a venue whose archive is read from a mirror is not asked either, unless its address is given.
        """
        given = self.venue_urls.get(f"{venue}.rest")
        own = venue_of(venue)
        if own.api is None or self.rest == "off":
            return None
        is_at_home = own.archive is None or self.archive_url_of(venue) == own.archive.url
        return given or (own.api.url if self.rest == "on" or is_at_home else None)

    @property
    def rest_urls(self) -> dict[str, str]:
        """Where the apis of the configured markets' venues are asked, by venue; without those that are not."""
        return self.rest_urls_with(())

    def rest_urls_with(self, heard: Iterable[str]) -> dict[str, str]:
        """The same with venues that were only listened to: not at home, where their feed was heard elsewhere."""
        own = dict.fromkeys(market.venue for market in self.markets)
        urls = {venue: self.rest_url_of(venue) for venue in own}
        for venue in heard:
            is_at_home = f"{venue}.live" not in self.venue_urls or f"{venue}.rest" in self.venue_urls
            if venue not in own and (is_at_home or self.rest == "on"):
                urls[venue] = self.rest_url_of(venue)
        return {venue: url for venue, url in urls.items() if url is not None}

    def live_url_of(self, venue: str) -> str | None:
        """Where the venue's WebSocket is; None where there is none."""
        feed = venue_of(venue).feed
        return self.venue_urls.get(f"{venue}.live", feed.url) if feed is not None else None

    @property
    def spool_dir(self) -> Path:
        """What the collector has heard and nobody has sealed yet."""
        return self.state_dir / "spool"

    @property
    def refusals_path(self) -> Path:
        """Which venue wants nothing from us until when."""
        return self.state_dir / "refusals.json"

    @property
    def alerts_path(self) -> Path:
        """What was found worth an alert, and whether it was delivered."""
        return self.state_dir / "alerts" / "outbox.sqlite"

    @property
    def dagster_home(self) -> Path:
        return self.state_dir / "dagster"

    @property
    def dbt_dir(self) -> Path:
        """Generated profile and dbt's artefacts."""
        return self.state_dir / "dbt"

    @property
    def docs_path(self) -> Path:
        """dbt's documentation, one page."""
        return self.state_dir / "docs" / "index.html"

    @property
    def alerts(self) -> AlertConfig:
        return AlertConfig(
            serving=self.serving_path,
            spool=self.spool_dir,
            outbox=self.alerts_path,
            market_ids=tuple(market.market_id for market in self.markets),
            is_simulated=self.is_simulated,
            webhook_url=self.alert_webhook_url,
            definition=self.alert_definition,
            rank=self.alert_rank,
            liquidation_percentile=self.alert_liquidation_percentile,
        )

    @property
    def is_simulated(self) -> bool:
        return any(market.venue == SIMULATED_VENUE for market in self.markets)

    def environment(self) -> dict[str, str]:
        """These settings as TAKER_* variables, for a process that is to read the same."""
        return {
            "TAKER_MARKETS": ",".join(market.market_id for market in self.markets),
            "TAKER_ARCHIVE_URL": self.archive_url,
            "TAKER_STORAGE_URL": self.storage_url,
            "TAKER_KLINE_INTERVAL": ",".join(self.kline_interval),
            "TAKER_TRADES_DATASET": self.trades_dataset,
            "TAKER_FIRST_DAY": self.first_day.isoformat(),
            "TAKER_TARGET": self.target,
            "TAKER_STATE_DIR": str(self.state_dir),
            "TAKER_VENUE_URLS": ",".join(f"{place}={url}" for place, url in self.venue_urls.items()) or OFF,
            "TAKER_REST": self.rest,
            # Said even when there is none: a variable that is empty or missing would be looked up in `.env`.
            "TAKER_PUBLISH_POSTGRES_URL": _revealed(self.publish_postgres_url) or OFF,
            "TAKER_ALERT_WEBHOOK_URL": _revealed(self.alert_webhook_url) or OFF,
            "TAKER_ALERT_DEFINITION": self.alert_definition,
            "TAKER_ALERT_RANK": str(self.alert_rank),
            "TAKER_ALERT_LIQUIDATION_PERCENTILE": str(self.alert_liquidation_percentile),
        }

    def aws_environment(self) -> dict[str, str]:
        """The AWS_* variables among these settings, for a process that does not read our `.env`."""
        given = {
            "AWS_ENDPOINT_URL": self.aws_endpoint_url,
            "AWS_REGION": self.aws_region,
            "AWS_ACCESS_KEY_ID": self.aws_access_key_id,
            "AWS_SECRET_ACCESS_KEY": _revealed(self.aws_secret_access_key),
            "AWS_SESSION_TOKEN": _revealed(self.aws_session_token),
        }
        return {name: value for name, value in given.items() if value}

    def dbt_vars(self) -> dict[str, Any]:
        """What dbt gets with `--vars`."""
        return {
            "raw_url": self.raw_url,
            "trades_dataset": self.trades_dataset,
            "kline_intervals": list(self.kline_interval),
        }

    def s3_options(self) -> S3Options:
        """How boto3 reaches the storage. `duckdb_secret` says the same to DuckDB."""
        from ingestion.raw.store import S3Options

        return S3Options(
            endpoint_url=self.aws_endpoint_url,
            region=self.aws_region,
            access_key_id=self.aws_access_key_id,
            secret_access_key=_revealed(self.aws_secret_access_key),
            session_token=_revealed(self.aws_session_token),
        )

    def duckdb_secret(self, keys: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The same S3 as a DuckDB secret, for dbt-duckdb.

        Keys are `env_var()` references, so that no secret is written to disk, unless `keys` (`dbt_environment()`) are
        given.
        """
        keys = keys or {name: _env_var(name) for name in (SECRET_KEY_ID, SECRET_KEY, SECRET_TOKEN)}
        secret: dict[str, Any] = {
            "type": "s3",
            "name": "taker_storage",
            "region": self.aws_region or _profile_region() or "us-east-1",
            "key_id": keys[SECRET_KEY_ID],
            "secret": keys[SECRET_KEY],
            "session_token": keys[SECRET_TOKEN],
        }
        if self.aws_endpoint_url:
            parts = urlsplit(self.aws_endpoint_url)
            # DuckDB wants the host alone, and a server other than AWS knows the bucket by path, not by host name.
            secret |= {"endpoint": parts.netloc, "use_ssl": parts.scheme != "http", "url_style": "path"}
        return secret

    def dbt_environment(self) -> dict[str, str]:
        """Environment that the generated profile refers to: the very credentials that boto3 uses, from wherever."""
        if not self.is_s3:
            return {}
        key_id, secret, token = self.aws_access_key_id, self.aws_secret_access_key, self.aws_session_token
        if key_id is not None and secret is not None:
            return {SECRET_KEY_ID: key_id, SECRET_KEY: secret.get_secret_value(), SECRET_TOKEN: _revealed(token) or ""}
        import boto3

        found = boto3.Session().get_credentials()
        if found is None:
            raise SettingsError(
                f"TAKER_STORAGE_URL is {self.storage_url} but there are no S3 credentials; "
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile that boto3 finds"
            )
        keys = found.get_frozen_credentials()
        return {SECRET_KEY_ID: keys.access_key, SECRET_KEY: keys.secret_key, SECRET_TOKEN: keys.token or ""}


# dbt hides the values of variables with this prefix from its logs.
SECRET_KEY_ID: Final = "DBT_ENV_SECRET_S3_KEY_ID"
SECRET_KEY: Final = "DBT_ENV_SECRET_S3_SECRET"
SECRET_TOKEN: Final = "DBT_ENV_SECRET_S3_SESSION_TOKEN"

NAMES: Final = tuple(f"{PREFIX}{name.upper()}" for name in Settings.model_fields if not name.startswith("aws_"))


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process; an override that is None is ignored. SettingsError says what is allowed."""
    _refuse_unknown_names({**_dotenv(), **os.environ})
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(fault) for fault in error.errors())) from error


def _dotenv() -> Mapping[str, str | None]:
    if not Path(ENV_FILE).is_file():
        return {}
    source = DotEnvSettingsSource(Settings, env_file=ENV_FILE, case_sensitive=True)
    return source._read_env_files()


def _refuse_unknown_names(environment: Mapping[str, str | None]) -> None:
    for name in environment:
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in NAMES:
            close = difflib.get_close_matches(upper, NAMES, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known names are {', '.join(NAMES)}"
            raise SettingsError(f"{name} is not a setting; {hint}")


def _sentence(fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    name = where.upper() if where.lower().startswith("aws_") else f"{PREFIX}{where.upper()}"
    if fault["type"] == "literal_error":
        reason = f"`{fault['input']}` is not allowed; write {fault['ctx']['expected'].replace(chr(39), '`')}"
    elif fault["type"].startswith("date"):
        reason = f"`{fault['input']}` is not a day; write YYYY-MM-DD"
    else:
        reason = fault["msg"].removeprefix("Value error, ")
    return f"{name}: {reason}" if where else reason


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value)


def _postgres_fault(url: str) -> str | None:
    """What is wrong with a PostgreSQL address, in words that quote nothing of it: it holds a password."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    scheme = url.split("://")[0] if "://" in url else ""
    if scheme not in ("postgresql", "postgres"):
        return "it does not begin with postgresql://"
    try:
        parts = conninfo_to_dict(url)
        ports = str(parts.get("port") or "5432").split(",")
    except psycopg.Error:
        return "it cannot be read as an address"
    if not all(port.isdigit() and 0 < int(port) < 65536 for port in ports):
        return "its port is not a number from 1 to 65535"
    # libpq would fall back to a database named like the user, which is nobody's wish.
    return None if parts.get("dbname") else "it names no database"


def _webhook_fault(url: str) -> str | None:
    """What is wrong with a receiver's address, in words that quote nothing of it: it holds a token."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return "it holds spaces or letters that no address has"
    try:
        parts = urlsplit(url)
        is_address = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return "it cannot be read as an address"
    if parts.scheme not in ("https", "http"):
        return "it does not begin with https://"
    return None if is_address else "it names no host"


def _profile_region() -> str | None:
    """The region of boto3's own chain, so that DuckDB and boto3 mean the same."""
    import boto3

    region: str | None = boto3.session.Session().region_name
    return region


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _env_var(name: str) -> str:
    # `as_text`: dbt would read a key made of digits as a number.
    return f"{{{{ env_var('{name}', '') | as_text }}}}"
