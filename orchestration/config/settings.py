"""Every setting: its name, default and allowed values.

Belongs here: the `Settings` model, the sentences of its errors, and the narrow values it hands out. Does not: what
follows from a setting, which the value's own module states.

Longer than 400 lines: one list of all settings, so that each is found, checked and handed out in one place.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import unquote, urlsplit

from pydantic import (
    AliasChoices,
    Field,
    PositiveInt,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings.sources import DotEnvSettingsSource

from ingestion.domain.datasets import KLINE_INTERVALS
from ingestion.domain.markets import Market
from ingestion.http.bounds import FILE_SECONDS
from ingestion.live.spool import COLLECTOR_NAME
from ingestion.venues import parse_market, venue_of
from orchestration.config.addresses import archive_fault, endpoint_fault, listing_fault, postgres_fault, webhook_fault
from orchestration.config.alerts import AlertConfig
from orchestration.config.choices import Pattern, chosen, parse_wanted
from orchestration.config.days import today as today
from orchestration.config.days import yesterday as yesterday
from orchestration.config.dbt import LAKE, DbtConfig
from orchestration.config.endpoints import AUTO, BINANCE_ARCHIVE_URL, Endpoints, venue_urls
from orchestration.config.errors import SettingsError as SettingsError
from orchestration.config.hosts import allowed_hosts
from orchestration.config.lake import HISTORY_DAYS as LAKE_HISTORY_DAYS
from orchestration.config.lake import LakeConfig
from orchestration.config.marts import Marts, published_marts
from orchestration.config.memory import default_mebibytes, mebibytes
from orchestration.config.paths import Paths
from orchestration.config.scope import Scope
from orchestration.config.storage import Storage, revealed, storage_root

if TYPE_CHECKING:
    from ingestion.raw.s3 import S3Options

PREFIX: Final = "TAKER_"
ENV_FILE: Final = ".env"
HISTORY_DAYS: Final = 760
OFF: Final = "off"
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\[?[0-9a-f:.]+\]?")
# As Dagster takes them.
_OWNER: Final = re.compile(r"team:[A-Za-z0-9_]+|[^\s@,]+@[^\s@,]+\.[^\s@,]+")
_TAG: Final = re.compile(r"[A-Za-z0-9_.-]{1,63}")
_INTERVAL_HOURS: Final = KLINE_INTERVALS
# Of settings whose type alone decides: what to write instead of a value that does not fit.
_ALLOWED: Final = {
    "alert_definition": "write one of dim_spike_definitions, such as `4h_usd`",
    "collector": "write at most 32 small letters, digits and hyphens, such as tokyo-1",
    "lock_wait_seconds": "write a whole number of seconds, such as 3600; 0 fails at once",
    "lake_history_days": "write a whole number of days, such as 7; 0 keeps the publication that stands alone",
    "archive_file_seconds": "write a number of seconds from 1 to 86400, such as 1800",
    "alert_rank": "write a whole number from 1, such as 3 for the three largest",
    "alert_liquidation_percentile": "write a share between 0 and 1, such as 0.99",
}


class Settings(BaseSettings):
    """Every setting, checked. Build it with `load_settings`, whose errors are sentences."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        # A refused value may hold a password, and pydantic's own text ends up in tracebacks.
        hide_input_in_errors=True,
    )

    # As written: `scope.markets` are the markets that the patterns stand for.
    markets: Annotated[tuple[Market | Pattern, ...], NoDecode] = (parse_market("binance_um:BTCUSDT"),)
    archive_url: str = BINANCE_ARCHIVE_URL
    storage_url: str = "./var"
    raw_listing: Literal["all", "noted"] = "all"
    kline_interval: Annotated[tuple[str, ...], NoDecode] = ("1h",)
    trades_dataset: Literal["aggTrades", "trades"] = "aggTrades"
    first_day: date = Field(default_factory=lambda: today() - timedelta(days=HISTORY_DAYS))
    target: Literal["duckdb", "spark", "lake"] = "duckdb"
    spark_conf: Path = Path()
    lake_catalog_url: SecretStr | None = None
    lake_history_days: Annotated[int, Field(ge=0, le=36_500)] = LAKE_HISTORY_DAYS
    read_from: Literal["target", "machine"] = "target"
    state_dir: Path = Path()
    lock_wait_seconds: Annotated[int, Field(ge=0)] = 3600
    collector: Annotated[str, StringConstraints(pattern=rf"^({COLLECTOR_NAME})?$")] = ""
    # In MiB.
    memory_limit: int = Field(default_factory=default_mebibytes)
    publish_postgres_url: SecretStr | None = None
    venue_urls: Annotated[Mapping[str, str], NoDecode] = Field(default_factory=dict)
    rest: Literal["auto", "on", "off"] = "auto"
    archive_redirect_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    # Empty: none.
    archive_listing_url: str = AUTO
    archive_file_seconds: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = FILE_SECONDS
    alert_webhook_url: SecretStr | None = None
    # Which definitions exist depends on the published marts: an alert reports an unknown one.
    alert_definition: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$")] = "4h_usd"
    alert_rank: Annotated[PositiveInt, Field(le=999_999)] = 3
    alert_liquidation_percentile: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.99
    ui_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    owners: Annotated[tuple[str, ...], NoDecode] = ("team:taker",)
    tags: Annotated[Mapping[str, str], NoDecode] = Field(default_factory=dict)

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
        markets = tuple(parse_wanted(text) if isinstance(text, str) else text for text in texts)
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
        if fault := archive_fault(value):
            raise ValueError(f"{fault}; write https://…, http://… or file:///folder")
        return value.rstrip("/")

    @field_validator("archive_listing_url")
    @classmethod
    def _archive_listing_url(cls, value: str) -> str:
        if value == OFF:
            return ""
        if value == AUTO:
            return value
        if fault := listing_fault(value):
            raise ValueError(f"{fault}; write the address of a bucket such as https://s3.example/bucket, auto or off")
        return value.rstrip("/")

    @field_validator("archive_redirect_hosts", mode="before")
    @classmethod
    def _archive_redirect_hosts(cls, value: Any) -> Any:
        hosts = tuple(dict.fromkeys(host.lower() for host in _listed(value) if host.lower() != OFF))
        wrong = [host for host in hosts if not _HOST.fullmatch(host)]
        if wrong:
            raise ValueError(f"`{wrong[0]}` is no host; write names such as mirror.example, without https:// and port")
        return hosts

    @field_validator("storage_url")
    @classmethod
    def _storage_url(cls, value: str) -> str:
        return storage_root(value)

    @field_validator("memory_limit", mode="before")
    @classmethod
    def _memory_limit(cls, value: Any) -> Any:
        return mebibytes(value) if isinstance(value, str) else value

    @field_validator("venue_urls", mode="before")
    @classmethod
    def _venue_urls(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return venue_urls(pair for pair in _listed(value) if pair.lower() != OFF)

    @field_validator("ui_allowed_hosts", mode="before")
    @classmethod
    def _ui_allowed_hosts(cls, value: Any) -> Any:
        return allowed_hosts(host for host in _listed(value) if host.lower() != OFF)

    @field_validator("owners", mode="before")
    @classmethod
    def _owners(cls, value: Any) -> Any:
        owners = tuple(dict.fromkeys(owner for owner in _listed(value) if owner.lower() != OFF))
        wrong = [owner for owner in owners if not _OWNER.fullmatch(owner)]
        if wrong:
            raise ValueError(f"`{wrong[0]}` is no owner; write team:name or an e-mail address, or `{OFF}`")
        return owners

    @field_validator("tags", mode="before")
    @classmethod
    def _tags(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in _listed(value) if pair.lower() != OFF]
        wrong = ["".join(pair) for pair in pairs if not (_TAG.fullmatch(pair[0]) and _TAG.fullmatch(pair[2]))]
        if wrong:
            raise ValueError(
                f"`{wrong[0]}` is no tag; write name=value, each of at most 63 letters, digits, _ - and ., or `{OFF}`"
            )
        return {name: text for name, _, text in pairs}

    @field_validator("collector")
    @classmethod
    def _collector(cls, value: str) -> str:
        return "" if value == OFF else value

    @field_validator("first_day")
    @classmethod
    def _first_day(cls, value: date) -> date:
        # pydantic's PastDate takes the day of the local time zone, not of UTC.
        if value >= today():
            raise ValueError(f"{value} has not ended yet; the newest possible day is {yesterday()}")
        return value

    @field_validator("aws_endpoint_url")
    @classmethod
    def _aws_endpoint_url(cls, value: str | None) -> str | None:
        if value and (fault := endpoint_fault(value)):
            raise ValueError(f"{fault}; write https://host:port, and the keys into AWS_ACCESS_KEY_ID and the others")
        return value

    @field_validator("publish_postgres_url", "lake_catalog_url", "alert_webhook_url", mode="after")
    @classmethod
    def _off_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value().strip() if value else ""
        return None if text.lower() in ("", OFF) else SecretStr(text)

    @field_validator("publish_postgres_url", "lake_catalog_url")
    @classmethod
    def _postgres_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value and (fault := postgres_fault(value.get_secret_value())):
            raise ValueError(
                f"{fault}; write postgresql://user:password@host:5432/database, with @ : / ? # % in the password as "
                f"%40 %3A %2F %3F %23 %25, or `{OFF}`"
            )
        return value

    @field_validator("alert_webhook_url")
    @classmethod
    def _alert_webhook_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value and (fault := webhook_fault(value.get_secret_value())):
            raise ValueError(f"{fault}; write https://host/path as the receiver gave it to you, or `{OFF}`")
        return value

    @model_validator(mode="before")
    @classmethod
    def _state_beside_local_storage(cls, values: dict[str, Any]) -> dict[str, Any]:
        if not values.get("state_dir"):
            values["state_dir"] = _local_folder(str(values.get("storage_url") or "./var")) or "./var"
        values["state_dir"] = Path(values["state_dir"]).expanduser().absolute()
        values["spark_conf"] = Path(values.get("spark_conf") or Paths(values["state_dir"]).spark_conf).absolute()
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        real = urlsplit(BINANCE_ARCHIVE_URL).netloc
        misplaced = [
            str(market)
            for market in self.markets
            if venue_of(market.venue).is_simulated
            and urlsplit(self.endpoints.archive_url_of(market.venue)).netloc == real
        ]
        if misplaced:
            raise ValueError(
                f"market `{misplaced[0]}` is simulated but TAKER_ARCHIVE_URL is Binance's own archive; run "
                "`taker simulate OUT` and set TAKER_ARCHIVE_URL to that folder as file:///…"
            )
        if (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            raise ValueError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: set both or none")
        if self.target == LAKE and self.lake_catalog_url is None:
            raise ValueError(
                "TAKER_TARGET is lake and TAKER_LAKE_CATALOG_URL is not set; write the PostgreSQL database of the "
                "catalog, postgresql://user:password@host:5432/database"
            )
        if self.target == LAKE and self.state_dir == _local_folder(self.storage_url):
            raise ValueError(
                f"TAKER_TARGET is lake and TAKER_STATE_DIR is the storage, {self.state_dir}, which the team shares; "
                "set TAKER_STATE_DIR to a folder of this machine alone"
            )
        return self

    # ---- the narrow values that other rooms take

    @property
    def scope(self) -> Scope:
        """SettingsError where a pattern of TAKER_MARKETS was not chosen yet, or the record of it cannot be read."""
        markets = chosen(self.markets, self.paths.choices)
        return Scope(markets, self.kline_interval, self.trades_dataset, self.first_day)

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """What of TAKER_MARKETS stands for markets that an archive lists."""
        return tuple(each for each in self.markets if isinstance(each, Pattern))

    @property
    def endpoints(self) -> Endpoints:
        venues = tuple(dict.fromkeys(market.venue for market in self.markets))
        return Endpoints(
            venues,
            self.archive_url,
            self.venue_urls,
            self.rest,
            self.archive_redirect_hosts,
            self.archive_listing_url,
            self.archive_file_seconds,
        )

    @property
    def storage(self) -> Storage:
        return Storage(
            self.storage_url,
            endpoint_url=self.aws_endpoint_url,
            region=self.aws_region,
            access_key_id=self.aws_access_key_id,
            secret_access_key=self.aws_secret_access_key,
            session_token=self.aws_session_token,
            only_noted=self.raw_listing == "noted",
        )

    @property
    def paths(self) -> Paths:
        return Paths(self.state_dir)

    @property
    def dbt(self) -> DbtConfig:
        return DbtConfig(
            self.paths,
            self.storage,
            self.target,
            self.trades_dataset,
            self.kline_interval,
            self.memory_limit,
            self.spark_conf,
            self._lake,
        )

    @property
    def marts(self) -> Marts:
        """What readers read."""
        return self.marts_at(None)

    def marts_at(self, at: datetime | None) -> Marts:
        """The same as it was published at that time; NoHistory where the target keeps no history."""
        return published_marts(self.dbt, read_from=self.read_from, at=at)

    @property
    def _lake(self) -> LakeConfig | None:
        if self.target != LAKE or self.lake_catalog_url is None:
            return None
        return LakeConfig(self.lake_catalog_url, f"{self.storage_url}/lake", self.lake_history_days)

    @property
    def alerts(self) -> AlertConfig:
        return AlertConfig(
            marts=self.marts,
            spool=self.paths.spool,
            outbox=self.paths.alerts,
            market_ids=tuple(self.scope.market_ids),
            is_simulated=self.scope.is_simulated,
            webhook_url=self.alert_webhook_url,
            definition=self.alert_definition,
            rank=self.alert_rank,
            liquidation_percentile=self.alert_liquidation_percentile,
        )

    # ---- shortcuts of the command line into these values

    @property
    def is_simulated(self) -> bool:
        return self.scope.is_simulated

    @property
    def is_s3(self) -> bool:
        return self.storage.is_s3

    @property
    def raw_url(self) -> str:
        return self.storage.raw_url

    def s3_options(self) -> S3Options | None:
        return self.storage.s3_options()

    @property
    def warehouse_path(self) -> Path:
        return self.paths.warehouse

    @property
    def serving_path(self) -> Path:
        return self.paths.serving

    @property
    def spool_dir(self) -> Path:
        return self.paths.spool

    @property
    def alerts_path(self) -> Path:
        return self.paths.alerts

    @property
    def dagster_home(self) -> Path:
        return self.paths.dagster_home

    def live_url_of(self, venue: str) -> str | None:
        return self.endpoints.live_url_of(venue)

    def aws_environment(self) -> dict[str, str]:
        return self.storage.aws_environment()

    def environment(self) -> dict[str, str]:
        """These settings as TAKER_* variables, for a process that is to read the same."""
        return {
            "TAKER_MARKETS": ",".join(map(str, self.markets)),
            "TAKER_ARCHIVE_URL": self.archive_url,
            "TAKER_STORAGE_URL": self.storage_url,
            "TAKER_RAW_LISTING": self.raw_listing,
            "TAKER_KLINE_INTERVAL": ",".join(self.kline_interval),
            "TAKER_TRADES_DATASET": self.trades_dataset,
            "TAKER_FIRST_DAY": self.first_day.isoformat(),
            "TAKER_TARGET": self.target,
            "TAKER_SPARK_CONF": str(self.spark_conf),
            "TAKER_LAKE_CATALOG_URL": revealed(self.lake_catalog_url) or OFF,
            "TAKER_LAKE_HISTORY_DAYS": str(self.lake_history_days),
            "TAKER_READ_FROM": self.read_from,
            "TAKER_STATE_DIR": str(self.state_dir),
            "TAKER_LOCK_WAIT_SECONDS": str(self.lock_wait_seconds),
            "TAKER_COLLECTOR": self.collector or OFF,
            "TAKER_MEMORY_LIMIT": f"{self.memory_limit}MiB",
            "TAKER_VENUE_URLS": ",".join(f"{part}={url}" for part, url in self.venue_urls.items()) or OFF,
            "TAKER_REST": self.rest,
            "TAKER_ARCHIVE_REDIRECT_HOSTS": ",".join(self.archive_redirect_hosts) or OFF,
            "TAKER_ARCHIVE_LISTING_URL": self.archive_listing_url or OFF,
            "TAKER_ARCHIVE_FILE_SECONDS": str(self.archive_file_seconds),
            # Written even when there is none: a variable that is empty or missing would be looked up in `.env`.
            "TAKER_PUBLISH_POSTGRES_URL": revealed(self.publish_postgres_url) or OFF,
            "TAKER_ALERT_WEBHOOK_URL": revealed(self.alert_webhook_url) or OFF,
            "TAKER_ALERT_DEFINITION": self.alert_definition,
            "TAKER_ALERT_RANK": str(self.alert_rank),
            "TAKER_ALERT_LIQUIDATION_PERCENTILE": str(self.alert_liquidation_percentile),
            "TAKER_UI_ALLOWED_HOSTS": ",".join(self.ui_allowed_hosts) or OFF,
            "TAKER_OWNERS": ",".join(self.owners) or OFF,
            "TAKER_TAGS": ",".join(f"{name}={text}" for name, text in self.tags.items()) or OFF,
        }


NAMES: Final = tuple(f"{PREFIX}{name.upper()}" for name in Settings.model_fields if not name.startswith("aws_"))


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process; an override that is None is ignored. SettingsError states what is allowed."""
    _refuse_unknown_names({**_dotenv(), **os.environ})
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(fault) for fault in error.errors())) from error


def _dotenv() -> Mapping[str, str | None]:
    """Every variable of `.env`, as written there, empty ones too."""
    if not Path(ENV_FILE).is_file():
        return {}
    return DotEnvSettingsSource(Settings, env_file=ENV_FILE, case_sensitive=True, env_ignore_empty=False).env_vars


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
    if where in _ALLOWED:
        reason = f"`{fault['input']}` is not allowed; {_ALLOWED[where]}"
    elif fault["type"] == "literal_error":
        reason = f"`{fault['input']}` is not allowed; write {fault['ctx']['expected'].replace(chr(39), '`')}"
    elif fault["type"].startswith("date"):
        reason = f"`{fault['input']}` is not a day; write YYYY-MM-DD"
    else:
        reason = fault["msg"].removeprefix("Value error, ")
    return f"{name}: {reason}" if where else reason


def _local_folder(storage_url: str) -> Path | None:
    """The folder that is the storage; None for a bucket."""
    parts = urlsplit(storage_url)
    if parts.scheme == "s3":
        return None
    return Path(unquote(parts.path) if parts.scheme == "file" else storage_url).expanduser().absolute()


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value)
