"""The store of the raw zone and of the published Parquet files: a folder, or a bucket with its credentials.

Belongs here: the same S3 in the words of boto3, of DuckDB and of dbt. Does not: reading or writing objects
(`ingestion.raw.store`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from ingestion.domain.redaction import redacted
from orchestration.config.errors import SettingsError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ingestion.raw.s3 import S3Options

# dbt hides the values of variables with this prefix from its logs.
SECRET_KEY_ID: Final = "DBT_ENV_SECRET_S3_KEY_ID"
SECRET_KEY: Final = "DBT_ENV_SECRET_S3_SECRET"
SECRET_TOKEN: Final = "DBT_ENV_SECRET_S3_SESSION_TOKEN"
SECRET_ENDPOINT: Final = "DBT_ENV_SECRET_S3_ENDPOINT"
_PATTERN_CHARACTERS: Final = frozenset("*?[]{}")


def storage_root(value: str) -> str:
    """TAKER_STORAGE_URL as an absolute folder or `s3://bucket/prefix`. ValueError states what is allowed."""
    parts = urlsplit(value)
    if parts.scheme == "s3":
        if "@" in parts.netloc:  # dbt gets the address on its command line; and the secret is not quoted
            raise ValueError("it holds a user or key before @; write s3://bucket/prefix, and keys as AWS_* variables")
        if not parts.netloc:
            raise ValueError(f"`{value}` names no bucket; write s3://bucket/prefix")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("it holds more than bucket and prefix; write s3://bucket/prefix, and keys into AWS_…")
        return value.rstrip("/")
    if parts.scheme != "file" and "://" in value:
        raise ValueError(f"`{redacted(value)}` is neither a folder nor s3://bucket/prefix")
    folder = Path(unquote(parts.path) if parts.scheme == "file" else value).expanduser().absolute()
    if _PATTERN_CHARACTERS & set(str(folder)):
        raise ValueError(f"`{folder}` holds one of * ? [ ] {{ }}, which engines read as patterns; rename it")
    return str(folder)


@dataclass(frozen=True)
class Storage:
    """`url`: an absolute folder or `s3://bucket/prefix`, without a trailing slash. The rest only concerns S3; what is
    None is looked up by boto3.

    `only_noted`: the index of the raw zone is brought up to date with what writers have noted (`ingestion.raw.notes`).
    """

    url: str
    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None
    only_noted: bool = False

    @property
    def is_s3(self) -> bool:
        return self.url.startswith("s3://")

    @property
    def raw_url(self) -> str:
        """Root of the raw zone, without a trailing slash: the dbt variable `raw_url`."""
        return f"{self.url}/raw"

    def s3_options(self) -> S3Options | None:
        """How boto3 reaches the bucket; None for a folder. `duckdb_secret` states the same for DuckDB."""
        if not self.is_s3:
            return None
        from ingestion.raw.s3 import S3Options

        return S3Options(
            endpoint_url=self.endpoint_url,
            region=self.region,
            access_key_id=self.access_key_id,
            secret_access_key=revealed(self.secret_access_key),
            session_token=revealed(self.session_token),
        )

    def duckdb_secret(self, keys: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The same S3 as a DuckDB secret, for dbt-duckdb.

        Keys and endpoint are `env_var()` references, so that no secret is written to disk, unless `keys`
        (`dbt_environment()`) are given.
        """
        names = (SECRET_KEY_ID, SECRET_KEY, SECRET_TOKEN, SECRET_ENDPOINT)
        keys = keys or {name: _env_var(name) for name in names}
        secret: dict[str, Any] = {
            "type": "s3",
            "name": "taker_storage",
            "region": self.region or _profile_region() or "us-east-1",
            "key_id": keys[SECRET_KEY_ID],
            "secret": keys[SECRET_KEY],
            "session_token": keys[SECRET_TOKEN],
        }
        if self.endpoint_url:
            parts = urlsplit(self.endpoint_url)
            # A server other than AWS finds the bucket by path, not by host name.
            secret |= {"endpoint": keys[SECRET_ENDPOINT], "use_ssl": parts.scheme != "http", "url_style": "path"}
        return secret

    def dbt_environment(self) -> dict[str, str]:
        """The variables that the generated profile refers to: the credentials that boto3 uses, wherever it found them.

        Raises SettingsError when there are none.
        """
        if not self.is_s3:
            return {}
        # DuckDB takes host and port alone.
        endpoint = {SECRET_ENDPOINT: urlsplit(self.endpoint_url or "").netloc.rpartition("@")[2]}
        key_id, secret, token = self.access_key_id, self.secret_access_key, self.session_token
        if key_id is not None and secret is not None:
            keys = {SECRET_KEY_ID: key_id, SECRET_KEY: secret.get_secret_value(), SECRET_TOKEN: revealed(token) or ""}
            return keys | endpoint
        import boto3

        found = boto3.Session().get_credentials()
        if found is None:
            raise SettingsError(
                f"TAKER_STORAGE_URL is {self.url} but there are no S3 credentials; "
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile that boto3 finds"
            )
        held = found.get_frozen_credentials()
        return {SECRET_KEY_ID: held.access_key, SECRET_KEY: held.secret_key, SECRET_TOKEN: held.token or ""} | endpoint

    def aws_environment(self) -> dict[str, str]:
        """These options as AWS_* variables, for a process that does not read `.env`."""
        given = {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": revealed(self.secret_access_key),
            "AWS_SESSION_TOKEN": revealed(self.session_token),
        }
        return {name: value for name, value in given.items() if value}


def revealed(secret: SecretStr | None) -> str | None:
    """The text of a secret; None without one."""
    return secret.get_secret_value() if secret else None


def _profile_region() -> str | None:
    """The region of boto3's own chain, so that DuckDB and boto3 use the same one."""
    import boto3

    region: str | None = boto3.session.Session().region_name
    return region


def _env_var(name: str) -> str:
    # `as_text`: dbt would read a key made of digits as a number.
    return f"{{{{ env_var('{name}', '') | as_text }}}}"
