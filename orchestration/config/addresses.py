"""Addresses that may hold a secret: what is wrong with one, in words that quote nothing of it.

Belongs here: the checks of the addresses of archives, venues, S3, PostgreSQL and the webhook. Does not: connecting, or
hiding the secrets of a valid address (`ingestion.domain.redaction`).

pydantic's own types do not fit these two. `PostgresDsn` accepts `postgresql+psycopg://`, which libpq does not, and
refuses `postgresql:///marts?host=/run/postgresql`, which libpq does accept. `HttpUrl` escapes spaces and translates
letters instead of refusing them, and both quote the value in their errors.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from ingestion.domain.redaction import redacted


def postgres_fault(url: str) -> str | None:
    """What is wrong with a PostgreSQL address; None when libpq can use it."""
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
    # libpq would silently use a database named like the user.
    return None if parts.get("dbname") else "it names no database"


def archive_fault(url: str) -> str | None:
    """What is wrong with the address of an archive; None when it can be used."""
    if urlsplit_or_none(url) is None:
        return "it cannot be read as an address; characters such as / @ # in its password are written as %2F %40 %23"
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return None
    if parts.scheme not in ("https", "http"):
        return f"`{redacted(url)}` is not an archive"
    if parts.query or parts.fragment:
        return "it holds a ? or #, and keys are appended to it"
    return None if parts.hostname else "it names no host"


def listing_fault(url: str) -> str | None:
    """What is wrong with the address of a bucket that is to be listed; None when it can be used."""
    fault = archive_fault(url)
    return fault or ("it is a folder, and folders are not listed" if urlsplit(url).scheme == "file" else None)


def venue_fault(url: str, schemes: Collection[str]) -> str | None:
    """What is wrong with the address of a part of a venue; None when it can be used."""
    parts = urlsplit_or_none(url)
    if parts is None or parts.scheme not in schemes:
        return f"`{redacted(url)}` is no address of it" if parts else "it cannot be read as an address"
    return None if parts.hostname or parts.scheme == "file" else "it names no host"


def endpoint_fault(url: str) -> str | None:
    """What is wrong with the address of an S3 server; None when boto3 and DuckDB can use it."""
    parts = urlsplit_or_none(url)
    if parts is None or parts.scheme not in ("https", "http") or not parts.hostname:
        return "it is no address of a server"
    # Neither boto3 nor DuckDB would use them, and both would print them.
    return "it holds a user or password" if "@" in parts.netloc else None


def urlsplit_or_none(url: str) -> SplitResult | None:
    """The parts of an address; None when it cannot be read, by its port or its brackets."""
    try:
        parts = urlsplit(url)
        return parts if parts.port is None or parts.port > 0 else None
    except ValueError:
        return None


def webhook_fault(url: str) -> str | None:
    """What is wrong with a receiver's address; None when it can be used."""
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
