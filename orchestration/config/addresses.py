"""Addresses that may hold a secret: what is wrong with one, in words that quote nothing of it.

Belongs here: the checks of TAKER_PUBLISH_POSTGRES_URL and TAKER_ALERT_WEBHOOK_URL. Does not: connecting.

pydantic's own types do not fit these two. `PostgresDsn` accepts `postgresql+psycopg://`, which libpq does not, and
refuses `postgresql:///marts?host=/run/postgresql`, which libpq does accept. `HttpUrl` escapes spaces and translates
letters instead of refusing them, and both quote the value in their errors.
"""

from __future__ import annotations

from urllib.parse import urlsplit


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
