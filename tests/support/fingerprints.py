"""Fingerprints of a published DuckDB file: row counts and one order-free hash per column, and how two of them differ.

Belongs here: computing, storing, reading and comparing fingerprints. Does not: which runs are compared
(`tests/end_to_end/test_golden.py`).

A column's hash is the sum, modulo 2^64, of a 64-bit hash of every cell; a cell is hashed together with the key of its
row, as the file's own `publication_tables` states it (all columns where no key is stated). So the hash
- does not depend on the order of rows, nor on the column's name or position: to rename a published column, edit its
  name in the JSON and nothing else;
- changes when two rows exchange their values, so that equal hashes of all columns mean equal rows.
Two files are compared at once by DuckDB's own `hash()`. It may change between versions: what is kept in a JSON is the
lower half of the MD5, of each value's text, which takes twenty times as long (21 s of CPU for the demo's marts).
Decimals, dates and times are hashed to the last digit. Floating-point values are hashed
to 10 significant digits and at most 12 decimals: their last bits depend on the order in which threads add.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pytest

GOLDEN: Final = Path(__file__).resolve().parents[1] / "golden"

# Tables that describe the run and nothing else: when it ended, its id, its paths.
TABLES_OF_THE_RUN: Final = frozenset({"publication"})

# Columns whose values differ between two runs of the same archive. Their type is compared, their values are not.
COLUMNS_OF_THE_RUN: Final = {
    ("fct_spike_rank_revisions", "previous_published_at"): "time of a run",
    ("fct_spike_rank_revisions", "published_at"): "time of a run",
    ("fct_spike_rank_revisions", "run_id"): "random",
    ("publication_sources", "known_at"): "time of a run",
    ("publication_sources", "source_sha256"): "checksum of a zip file: depends on the machine's zlib",
}

_NOT_HASHED: Final = "not hashed"
_SEPARATOR: Final = "chr(31)"
_NULL: Final = "chr(0)"


@dataclass(frozen=True)
class TableFingerprint:
    """`columns`: by name the type and the hash, as one text; the same text is what the JSON holds."""

    rows: int
    columns: Mapping[str, str]


Fingerprints = Mapping[str, TableFingerprint]


def fingerprints(marts: Path, only: Collection[str] = (), *, kept: bool = False) -> dict[str, TableFingerprint]:
    """By table, of every table of the published file (or `only` these) that does not describe the run itself.

    `kept`: to be stored, and compared with what another version of DuckDB finds.
    """
    with duckdb.connect(str(marts), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        keys = dict(connection.execute("select table_name, key_columns from publication_tables").fetchall())
        tables = connection.execute(
            "select table_name from duckdb_tables() where not internal order by table_name"
        ).fetchall()
        return {
            table: _fingerprint(connection, table, keys.get(table) or [], kept)
            for (table,) in tables
            if table not in TABLES_OF_THE_RUN and (not only or table in only)
        }


def _fingerprint(connection: duckdb.DuckDBPyConnection, table: str, key: list[str], kept: bool) -> TableFingerprint:
    types = dict(
        connection.execute(
            "select column_name, data_type from duckdb_columns() where table_name = ? order by column_index", [table]
        ).fetchall()
    )
    hashed = [column for column in types if (table, column) not in COLUMNS_OF_THE_RUN]
    stable_key = [column for column in key if column in hashed] or hashed
    cells = {column: _cell(column, types[column], kept) for column in hashed}
    keys = ", ".join(cells[column] for column in stable_key)
    if kept:
        row_key, of_cell = f"concat_ws({_SEPARATOR}, {keys})", f"md5_number_lower(concat_ws({_SEPARATOR}, row_key, %s))"
    else:
        row_key, of_cell = f"hash({keys})", "hash(row_key, %s)"
    sums = [f"coalesce(sum({of_cell % cells[column]}), 0)" for column in hashed]
    found = connection.execute(
        f"select count(*), {', '.join(sums)} from (select *, {row_key} as row_key from {_quoted(table)})"
    ).fetchone()
    assert found is not None
    rows, *totals = found
    hashes = {column: f"{int(total) % 2**64:016x}" for column, total in zip(hashed, totals, strict=True)}
    return TableFingerprint(
        rows, {column: f"{data_type} {hashes.get(column, _NOT_HASHED)}" for column, data_type in types.items()}
    )


def _cell(column: str, data_type: str, as_text: bool) -> str:
    """SQL of one value as it is hashed; NULL as a text is one that no value has."""
    name = _quoted(column)
    if data_type in ("DOUBLE", "FLOAT"):
        # Adding zero makes a negative zero positive.
        name = f"format('{{:.9e}}', round({name}, 12) + 0.0)"
    return f"coalesce({name}::varchar, {_NULL})" if as_text else name


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def assert_unchanged(marts: Path, golden: str, config: pytest.Config) -> None:
    """Fail when the published file differs from `tests/golden/GOLDEN.json`; with `--write-golden`, store it there."""
    path, found = GOLDEN / f"{golden}.json", fingerprints(marts, kept=True)
    if config.getoption("--write-golden"):
        write_golden(path, found)
    different = differences(read_golden(path), found)
    if different:
        lines = "\n  ".join(different)
        pytest.fail(
            f"Published data differs from tests/golden/{path.name}:\n  {lines}\n"
            "If that is intended, store it anew: run this test with the option --write-golden, read what changed in "
            "tests/golden/ and commit it with its reason. For a renamed column, rename its entry in the file by hand.",
            pytrace=False,
        )


def write_golden(path: Path, found: Fingerprints) -> None:
    """Store fingerprints as JSON, one column a line."""
    contents = {table: {"rows": one.rows, "columns": dict(one.columns)} for table, one in sorted(found.items())}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")


def read_golden(path: Path) -> dict[str, TableFingerprint]:
    """What `write_golden` stored."""
    contents = json.loads(path.read_text(encoding="utf-8"))
    return {table: TableFingerprint(one["rows"], one["columns"]) for table, one in contents.items()}


def differences(golden: Fingerprints, found: Fingerprints) -> list[str]:
    """One line per table that differs, with its row counts and the columns concerned; empty when nothing differs."""
    return [line for table in sorted({*golden, *found}) for line in _differences(table, golden, found)]


def _differences(table: str, golden: Fingerprints, found: Fingerprints) -> Iterator[str]:
    if table not in found:
        yield f"{table}: no longer published ({golden[table].rows} rows in the golden)"
        return
    if table not in golden:
        yield f"{table}: published, not in the golden ({found[table].rows} rows)"
        return
    was, now = golden[table], found[table]
    if was == now:
        return
    rows = f"{was.rows} rows, unchanged" if was.rows == now.rows else f"{was.rows} rows -> {now.rows}"
    common = [column for column in was.columns if column in now.columns]
    kinds = {
        "other values in": [c for c in common if _values(was.columns[c]) != _values(now.columns[c])],
        "other types of": [
            f"{c} ({_type(was.columns[c])} -> {_type(now.columns[c])})"
            for c in common
            if _type(was.columns[c]) != _type(now.columns[c])
        ],
        "gone:": [c for c in was.columns if c not in now.columns],
        "new:": [c for c in now.columns if c not in was.columns],
    }
    parts = [f"{kind} {', '.join(columns)}" for kind, columns in kinds.items() if columns]
    yield f"{table}: {'; '.join([rows, *parts])}"


def _split(text: str) -> tuple[str, str]:
    if text.endswith(_NOT_HASHED):
        return text.removesuffix(f" {_NOT_HASHED}"), _NOT_HASHED
    data_type, _, value = text.rpartition(" ")
    return data_type, value


def _type(text: str) -> str:
    return _split(text)[0]


def _values(text: str) -> str:
    return _split(text)[1]
