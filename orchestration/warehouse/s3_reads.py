"""S3 as DuckDB reads it: how patient it is, and what its errors mean.

Belongs here: the options of DuckDB's HTTP client, the statements that make a bucket readable, recognising that a build
failed because the bucket did, and the sentence about it. Does not: how the bucket is addressed
(`orchestration.config.storage`), boto3's own reads and writes (`ingestion.raw.store`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from orchestration.config.storage import Storage
from orchestration.warehouse.sql import literal

if TYPE_CHECKING:
    import duckdb

# As patient as boto3 is in `ingestion.raw.s3`: DuckDB's own three attempts within half a second would end a build
# for a server that is busy for a second. Six attempts: 0.2, 0.6, 1.8, 5.4 and 16 s apart.
PATIENCE: Final[dict[str, Any]] = {
    "http_timeout": 20,
    "http_retries": 5,
    "http_retry_wait_ms": 200,
    "http_retry_backoff": 3,
}
_ERROR: Final = re.compile(
    r"(?:HTTP Error|IO Error|HTTPException|IOException): (?P<reason>[^\n]*\bHTTP (?:HEAD|GET|PUT|POST)\b[^\n]*)"
)
_WRITE: Final = re.compile(r"\bHTTP (?:PUT|POST)\b")
_CODE: Final = re.compile(r"^\s*(?P<code>[A-Z]\w+): (?P<text>[^\n]+)$", re.MULTILINE)
_QUERY: Final = re.compile(r"\?[^'\s]*")


def reach_bucket(connection: duckdb.DuckDBPyConnection, storage: Storage) -> None:
    """Let the connection read and write the storage; nothing where that is a folder."""
    for statement in reaching_bucket(storage):
        connection.execute(statement)


def reaching_bucket(storage: Storage) -> list[str]:
    """The statements that do so, with the credentials in the last one; none where the storage is a folder."""
    if not storage.is_s3:
        return []
    patience = [f"set {name} = {value}" for name, value in PATIENCE.items()]
    return ["load httpfs", *patience, create_secret(storage.duckdb_secret(storage.dbt_environment()))]


def create_secret(secret: Mapping[str, Any]) -> str:
    """The statement that makes a secret of the session."""
    options = [f"{name} {literal(str(value))}" for name, value in secret.items() if name != "name"]
    return f"create or replace secret {secret['name']} ({', '.join(options)})"


def failed_read(text: str) -> str | None:
    """What DuckDB reports of a request to S3 that failed, one line; None for any other error."""
    found = _ERROR.search(text)
    if found is None:
        return None
    code = _CODE.match(text[found.end() :].lstrip("\r\n"))
    reason = _QUERY.sub("", found["reason"]).strip()
    return f"{reason} ({code['code']}: {code['text'].strip()})" if code else reason


def failed_read_sentence(step: str, url: str, reason: str) -> str:
    """What could not be read or written, why, and what to do."""
    verb = "written" if _WRITE.search(reason) else "read"
    return (
        f"{step}: {url} failed while it was {verb}: {reason}; nothing of this build is published. Check the bucket, "
        "AWS_ENDPOINT_URL and the AWS_* credentials, then run the same command again"
    )
