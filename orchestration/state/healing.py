"""Files that can be made anew: a torn one is set aside, kept and reported, and the run goes on.

Belongs here: what makes a database file damaged rather than locked, unreadable or full, and setting a file aside. Does
not: what is lost with it and how it is made anew (the room that writes it).

Only damage sets a file aside. A file that another program has locked, that may not be read, or that a full disk keeps
from being written, is healthy: its error goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from orchestration.state.kernel import try_lock

# What belongs to a database file and would be applied to the new one.
_COMPANIONS: Final = ("-wal", "-shm", "-journal", ".wal")
_MOST_CHECKED: Final = 256 * 1024 * 1024
# DuckDB's errors that speak of the system or of another program, not of the file's content.
_NOT_DAMAGE: Final = re.compile(
    r"Conflicting lock|set lock on file|Permission denied|Read-only file system|Too many open files|No space left|"
    r"Is a directory|Input/output error|Stale file handle|Operation not permitted|Quota exceeded|Out of Memory|"
    r"version number|newer version|No such file",
    re.IGNORECASE,
)


class NotDamaged(Exception):
    """A database cannot be opened, and not for its content. The text is the reason, one line."""


def set_aside(path: Path, why: str, consequence: str) -> str:
    """Rename the file, with what belongs to it, so that it can be made anew; the sentence to report. OSError.

    `consequence`: what is made anew, and what is lost. The renamed file is kept for a person to look at or delete.
    """
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    kept = path.with_name(f"{path.name}.damaged-{stamp}")
    os.replace(path, kept)
    for companion in _COMPANIONS:
        beside = path.with_name(path.name + companion)
        with contextlib.suppress(FileNotFoundError):
            os.replace(beside, kept.with_name(kept.name + companion))
    return f"{path} was damaged ({why}) and is kept as {kept.name}; {consequence}"


def heal(path: Path, fault_of: Callable[[Path], str | None], consequence: str) -> str | None:
    """Set the file aside if `fault_of` finds a fault; the sentence to report, None for a healthy or missing file.

    Of several processes that find the same fault, one sets the file aside.
    """
    if not path.exists() or fault_of(path) is None:
        return None
    lock = path.with_name(f".{path.name}.healing")
    descriptor = try_lock(lock)
    if descriptor is None:
        return None  # another process is at it
    try:
        why = fault_of(path) if path.exists() else None
        return None if why is None else set_aside(path, why, consequence)
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def sqlite_fault(path: Path) -> str | None:
    """Why SQLite cannot use the content of this file; None when it can, or when that cannot be known now."""
    try:
        # The check reads the whole file; a history of that size is looked at and no more.
        question = "pragma quick_check(1)" if path.stat().st_size <= _MOST_CHECKED else "select 'ok' from sqlite_master"
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=5, uri=True)) as opened:
            found = next(iter(opened.execute(question).fetchone() or ("ok",)))
    except (sqlite3.OperationalError, OSError):
        return None  # locked, read-only, or no right to read it
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == "ok" else str(found)


def json_fault(path: Path) -> str | None:
    """Why the file is no JSON object; None for one that is, or that cannot be read now."""
    try:
        return None if isinstance(json.loads(path.read_bytes()), dict) else "no object of names and values"
    except (ValueError, RecursionError):
        return "no JSON"
    except OSError:
        return None


def duckdb_fault(path: Path, read: Collection[str] = (), *, read_only: bool = False) -> str | None:
    """Why DuckDB cannot read this file, with every table's rows counted and those of `read` read; None when it can.

    NotDamaged when the reason is another than the file's content: a lock, a permission, a newer version of DuckDB.
    """
    import duckdb

    try:
        with duckdb.connect(str(path), read_only=read_only) as connection:
            connection.execute("set enable_progress_bar = false")
            for name, quoted in connection.execute(_EVERY_TABLE).fetchall():
                what = "max(hash(row))" if name in read else "count(*)"
                connection.execute(f"select {what} from {quoted} as row").fetchall()
    except (duckdb.Error, RuntimeError, UnicodeDecodeError) as error:
        return damage_in(error)
    return None


_EVERY_TABLE: Final = """
    select table_name, format('"{}"."{}"', replace(schema_name, '"', '""'), replace(table_name, '"', '""'))
    from duckdb_tables() where database_name = current_database() and not internal and not temporary
"""


def damage_in(error: Exception) -> str:
    """The first line of an error that speaks of damaged content; NotDamaged for any other."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, MemoryError) or _NOT_DAMAGE.search(reason):
        raise NotDamaged(reason) from error
    return reason
