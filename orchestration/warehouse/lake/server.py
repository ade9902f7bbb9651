"""The PostgreSQL server of the lake's catalog, by its own protocol: whether it can be used, and the lock over builds.

Belongs here: what is found out before anything is ingested, and the lock in the catalog. Does not: DuckDB's way to the
catalog (`catalog`), the locks of a state folder (`orchestration.state.locks`).

The lock is PostgreSQL's advisory lock, held by a connection: a builder that dies, or whose machine goes, holds it no
longer. The same server keeps the catalog, so a builder that loses the lock for the server's sake cannot commit either.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from orchestration.config.dbt import DbtConfig
from orchestration.config.lake import LakeConfig
from orchestration.state.locks import Busy, Report, Waiting
from orchestration.warehouse.extensions import extensions_fault
from orchestration.warehouse.lake.catalog import (
    BUILT,
    CONNECT_SECONDS,
    ELSEWHERE,
    PUBLISHED,
    LakeUnusable,
    lake_of,
    place_of,
    without_password,
)

if TYPE_CHECKING:
    import psycopg

_TRIED_EVERY: Final = 0.5
# "takerlake" does not fit: "takerlak" in ASCII.
_BUILDERS: Final = 0x74616B65726C616B
# So that the server notices within two minutes that the machine of a builder is gone.
_KEEPALIVE: Final = "-c tcp_keepalives_idle=60 -c tcp_keepalives_interval=15 -c tcp_keepalives_count=4"
# What libpq states of a server that ends a connection, or that there is none to; and what DuckDB does where it states
# nothing: a transaction of the catalog that can neither be committed nor rolled back has no server any more.
_GONE: Final = re.compile(
    r"[^\n]*(?:server closed the connection|terminating connection|connection to server at|no connection to the server|"
    r"SSL connection has been closed|could not receive data from server|connection not open|"
    r'Failed to execute query "(?:COMMIT|ROLLBACK)")[^\n]*',
    re.IGNORECASE,
)
_HOLDER: Final = """
    select application_name, backend_start from pg_stat_activity
    where pid = (
        select pid from pg_locks
        where locktype = 'advisory' and granted and objsubid = 1
            and database = (select oid from pg_database where datname = current_database())
            and (classid::bigint << 32) | objid::bigint = %s
        limit 1
    )
"""


def require_usable(config: DbtConfig) -> None:
    """LakeUnusable where DuckDB's extensions are missing, the catalog's server cannot be used by this user, or the lake
    there is one of other storage."""
    import psycopg

    assert config.lake is not None, config.target
    if fault := extensions_fault(config):
        raise LakeUnusable(f"TAKER_TARGET is lake, and {fault}")
    lake = config.lake
    try:
        with _connect(lake) as connection:
            may_create = connection.execute(
                "select has_database_privilege(current_database(), 'create') "
                "or (select count(*) from pg_namespace where nspname = any(%s)) = 2",
                [[BUILT[0], PUBLISHED[0]]],
            ).fetchone()
            places = {place: _data_path(connection, place[0]) for place in (BUILT, PUBLISHED)}
    except psycopg.Error as error:
        raise LakeUnusable(_sentence(lake, error)) from None
    for place, held in places.items():
        if held not in (None, lake_of(config, place).data_url):
            raise LakeUnusable(f"the lake at {place_of(lake)} has its files at {held}: {ELSEWHERE}")
    if may_create != (True,):
        raise LakeUnusable(
            f"the user of TAKER_LAKE_CATALOG_URL may not create schemas in {place_of(lake)}; grant it once: "
            "grant create on database … to …"
        )


def _data_path(connection: psycopg.Connection[Any], schema: str) -> str | None:
    """Where the files of the lake with its catalog in this schema lie; None for no lake."""
    from psycopg.sql import SQL, Identifier

    if connection.execute("select to_regclass(%s)", [f"{schema}.ducklake_metadata"]).fetchone() == (None,):
        return None
    found = connection.execute(
        SQL("select value from {}.ducklake_metadata where key = 'data_path'").format(Identifier(schema))
    ).fetchone()
    return str(found[0]) if found else None


@contextlib.contextmanager
def alone_in(
    lake: LakeConfig, *, wait: float, report: Report = lambda text: None, run_id: str | None = None
) -> Iterator[Callable[[], None]]:
    """Be the only one that builds in the lake and publishes to it; yields a check whether this still holds (Busy).

    While another builder holds the lock, `report` gets a sentence at once and every half minute. After `wait` seconds:
    Busy. LakeUnusable where the server cannot be used.
    """
    import psycopg

    what = f"the lake at {place_of(lake)}"
    try:
        connection = _connect(lake, _description(run_id))
    except psycopg.Error as error:
        raise LakeUnusable(_sentence(lake, error)) from None
    with contextlib.closing(connection):
        waiting = Waiting(what, wait, report)
        try:
            while connection.execute("select pg_try_advisory_lock(%s)", [_BUILDERS]).fetchone() != (True,):
                waiting.go_on(_holder(connection))
                time.sleep(_TRIED_EVERY)
        except psycopg.Error as error:
            raise LakeUnusable(_sentence(lake, error)) from None

        def refuse_unless_alone() -> None:
            try:
                connection.execute("select 1")
            except psycopg.Error:
                raise Busy(
                    f"the lock over {what} was lost, since its server ended the connection; nothing was published and "
                    "the former publication stands. Run the same command again"
                ) from None

        yield refuse_unless_alone


def failed_catalog(text: str) -> str | None:
    """What DuckDB reports of a catalog whose server went, one line; None for any other error."""
    found = _GONE.search(text)
    return found[0].strip().rstrip(".:") if found else None


def failed_catalog_sentence(step: str, lake: LakeConfig, reason: str) -> str:
    """What failed, why, and what to do."""
    return (
        f"{step}: the lake's catalog at {place_of(lake)} failed: {without_password(reason, lake)}; nothing of this "
        "build is published. Check the server, then run the same command again"
    )


def _connect(lake: LakeConfig, name: str = "taker") -> psycopg.Connection[Any]:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    given = conninfo_to_dict(lake.catalog_url.get_secret_value())
    options = f"{given.get('options') or ''} {_KEEPALIVE}".strip()
    usual = {"connect_timeout": CONNECT_SECONDS} | given | {"application_name": name, "options": options}
    return psycopg.connect(make_conninfo("", **usual), autocommit=True)


def _description(run_id: str | None) -> str:
    """Of this process, in the 63 bytes that the server keeps of a name."""
    run = f" run {run_id[:8]}" if run_id else ""
    return f"taker {os.getpid()} on {socket.gethostname()[:30]}{run}"


def _holder(connection: psycopg.Connection[Any]) -> str:
    found = connection.execute(_HOLDER, [_BUILDERS]).fetchone()
    if found is None:
        return "another process"
    name, since = found
    return f"`{name or 'another process'}` (connected since {since:%Y-%m-%d %H:%M:%S %Z})"


def _sentence(lake: LakeConfig, error: Exception) -> str:
    reason = without_password(" ".join(str(error).split()), lake).rstrip(".")
    return (
        f"the lake's catalog at {place_of(lake)} cannot be used ({reason}); nothing was built, and what is "
        "published stands. Check TAKER_LAKE_CATALOG_URL and the server, then run the same command again"
    )
