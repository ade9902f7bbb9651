"""Superset's configuration: one person's server on 127.0.0.1 over what is published.

Belongs here: what Superset reads at start. Does not: charts (`dashboard/`), who starts it (`serve.py`).

Superset imports this file in its own venv; `serve.py` sets the two variables it reads.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import duckdb
from duckdb_engine import ConnectionWrapper
from sqlalchemy.pool import NullPool

HOME = Path(os.environ["SUPERSET_HOME"])
# The statements that open the marts in an empty DuckDB, and what of SQL is refused beside them.
OPENING = json.loads(os.environ["SUPERSET_OPENING"])
REFUSED = re.compile(os.environ["SUPERSET_REFUSED"], re.IGNORECASE)

SECRET_KEY = (HOME / "secret_key").read_text().strip()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME / 'superset.db'}?check_same_thread=false"

APP_NAME = "Taker"
LOGO_TARGET_PATH = "/superset/dashboard/taker/"
LOGO_TOOLTIP = "Taker"
LANGUAGES: dict[str, dict[str, str]] = {}
# The metadata database is one SQLite file and one process serves it: no Celery, no Redis, no result cache.
# Numbers are never cached, so a refresh shows the publication that stands at that moment.
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
FILTER_STATE_CACHE_CONFIG = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 90 * 24 * 3600}
EXPLORE_FORM_DATA_CACHE_CONFIG = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 7 * 24 * 3600}
SUPERSET_WEBSERVER_TIMEOUT = 120
ROW_LIMIT = 10_000
SQL_MAX_ROW = 100_000

# Several people's browsers share "127.0.0.1": its other servers must not overwrite this one's session.
SESSION_COOKIE_NAME = "taker_superset"
SESSION_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_HTTPONLY = True
# Superset's default, and the reason why no other page's form is obeyed. A page that lets a name of its own point here
# (DNS rebinding) finds a login: the session's cookie belongs to 127.0.0.1, and is not sent under another name.
WTF_CSRF_ENABLED = True
FAB_API_SWAGGER_UI = False  # loads its scripts from another host

# Nothing is fetched from another host: the wheel's telemetry pixel, map tiles and web fonts are refused by the browser.
# Handlebars (the headline) compiles its template in the browser, which needs 'unsafe-eval'.
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "connect-src": ["'self'"],
        "font-src": ["'self'", "data:"],
        "img-src": ["'self'", "blob:", "data:"],
        "object-src": "'none'",
        "script-src": ["'self'", "'strict-dynamic'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "worker-src": ["'self'", "blob:"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}
HTML_SANITIZATION_SCHEMA_EXTENSIONS = {"attributes": {"*": ["className"]}}


def _open_current_marts() -> ConnectionWrapper:
    """A read-only connection to the publication that stands right now.

    DuckDB keeps one instance per path and process for as long as any connection to it is open: two overlapping charts
    would keep a replaced file alive, and with it the former numbers. An in-memory instance belongs to its connection
    alone, so attaching the file to one always opens what stands there (13 ms).
    """
    connection = duckdb.connect(":memory:")
    # The last of them keep SQL Lab from reading any other file of this machine.
    for statement in OPENING:
        connection.execute(statement)
    return ConnectionWrapper(connection)


def SQL_QUERY_MUTATOR(sql: str, **_: Any) -> str:  # noqa: N802 - Superset's name
    """Refuse what a SELECT could change with the rights of the connection."""
    if found := REFUSED.search(sql):
        raise ValueError(f"the published marts are read-only; write a query, without {found[0]}")
    return sql


def DB_CONNECTION_MUTATOR(  # noqa: N802 - Superset's name
    uri: Any, params: dict[str, Any], username: str, security_manager: Any, source: Any
) -> tuple[Any, dict[str, Any]]:
    """Every DuckDB engine opens the current publication and keeps no connection."""
    if uri.get_backend_name() == "duckdb":
        params = {"creator": _open_current_marts, "poolclass": NullPool}
    return uri, params
