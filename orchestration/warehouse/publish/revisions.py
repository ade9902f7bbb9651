"""What each publication states differently from the one before: the history of revised ranks.

Belongs here: comparing two publications, naming the files behind a difference, carrying the history over; the
statements are in `sql/`. Does not: copying marts and swapping files (`orchestration.warehouse.publish.publication`),
what makes a history good (`orchestration.warehouse.audit.suites.rank_revisions`).

Nothing published is rewritten silently: a bar whose value, rank or event rank was stated once and is now stated
differently, or is gone, becomes a row. What was labelled provisional is no revision. What was unknown (NULL: too little
coverage, an event not settled yet) and now is known is no revision, and neither is a bar that is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestration.warehouse.publish.changes import (
    EVERYTHING,
    NOTHING,
    Change,
    Contents,
    at_once,
    columns_of,
    comment,
    exists,
    replace_changed,
)
from orchestration.warehouse.sql import identifier, literal, render

if TYPE_CHECKING:
    import duckdb

    from orchestration.warehouse.audit.gx import Judge

REVISIONS: Final = "fct_spike_rank_revisions"
SOURCES: Final = "publication_sources"
RANKS: Final = "fct_taker_spike_ranks"
TABLES: Final = (REVISIONS, SOURCES)
KEYS: Final = {
    REVISIONS: ("definition_id", "market_id", "side", "bar_at", "published_at"),
    SOURCES: ("market_id", "dataset", "kline_interval", "bar_date", "source_key"),
}

# Of the files behind one revision, the nearest are named and the others counted.
_NAMED_FILES: Final = 5
_STAGED_SOURCES: Final = "staged_sources"
_SQL: Final = Path(__file__).with_name("sql")

_REVISIONS_TABLE: Final = {
    "definition_id": ("varchar", "Spike definition, see dim_spike_definitions."),
    "market_id": ("varchar", "Market, `venue:symbol`."),
    "side": ("varchar", "`bearish` or `bullish`."),
    "bar_at": ("timestamp", "First instant of the bar, UTC."),
    "old_value": ("decimal(38, 8)", "Value that the former publication gave, in the definition's unit."),
    "new_value": ("decimal(38, 8)", "Value that this publication gives; NULL when it no longer has the bar."),
    "old_rank": ("bigint", "Rank among bars in the former publication; NULL when it gave none."),
    "new_rank": ("bigint", "Rank among bars in this publication; NULL when it gives none."),
    "old_event_rank": ("bigint", "Rank among events in the former publication; NULL for a bar that was no event."),
    "new_event_rank": ("bigint", "Rank among events in this publication; NULL for a bar that is no event."),
    "cause": (
        "varchar",
        "Why: `corrected_file` (the venue replaced a file), `late_file` (a file that was not there yet), "
        "`withdrawn_file` (a file that no longer exists), `rules` (no file changed: settings, definitions or code did, "
        "or the former publication did not record which files it was built from).",
    ),
    "source_keys": (
        "varchar",
        "The venue's files behind it, nearest day first, separated by spaces: those of days with other values that "
        f"this bar is ranked among. At most {_NAMED_FILES}, then how many more. NULL when the cause is `rules`.",
    ),
    "previous_published_at": ("timestamp", "When the former publication was published, UTC."),
    "published_at": ("timestamp", "When the publication that changed it was published, UTC."),
    "run_id": ("varchar", "Dagster run of the publication that changed it."),
}
_SOURCES_TABLE: Final = {
    "market_id": ("varchar", "Market, `venue:symbol`."),
    "dataset": ("varchar", "Dataset of the raw zone: klines, aggTrades or trades."),
    "kline_interval": ("varchar", "Interval of klines; empty for trades."),
    "bar_date": ("date", "UTC day that the file holds rows of."),
    "source_key": ("varchar", "The venue's file, as its key in the archive."),
    "source_sha256": ("varchar", "Checksum of the file that these marts were built from."),
    "revision": ("integer", "How often the stored object changed, from 1."),
    "known_at": ("timestamp", "When the stored object was stored, UTC."),
}


class HistoryBroken(Exception):
    """The history of revised ranks cannot be carried over or contradicts the marts. The text states how."""


@dataclass(frozen=True)
class Carried:
    """How many revisions were added, and what changed in the two tables."""

    revised: int
    changes: Mapping[str, Change]


def carry_revisions(
    new: duckdb.DuckDBPyConnection,
    former: Path | None,
    *,
    published_at: datetime,
    run_id: str,
    warehouse: str = "warehouse",
    former_keys: Mapping[str, Sequence[str]] | None = None,
    ranks: Change = EVERYTHING,
    contents: Contents | None = None,
) -> Carried:
    """Bring both tables of the publication that is being built to what is known now.

    `new`: a connection to the staged file with the marts in it and the warehouse attached under the name `warehouse`.
    `former`: the publication that people read now, None for the first one. Its history is copied unchanged, and what
    this publication states differently is appended. Raises HistoryBroken when `former` cannot be read.
    `former_keys`: of the tables that the staged file has from `former`; `ranks`: what differs in the ranks; `contents`:
    of the staged file, where they are kept.
    """
    keys = former_keys or {}
    receipts = _relation(new, warehouse, "stg_raw__receipts")
    stands = keys.get(REVISIONS) == KEYS[REVISIONS] and _has_columns(new, REVISIONS, _REVISIONS_TABLE)
    with at_once(new):
        if not stands:
            new.execute(f"create or replace table {REVISIONS} ({_declared(_REVISIONS_TABLE)})")
        _describe(new, REVISIONS, _REVISIONS_TABLE, "Append-only: every rank that a publication changed, and why.")
        sources = _carry_sources(new, receipts, keys.get(SOURCES), contents or Contents())
    revised = 0
    if former is not None:
        _attach(new, former)
        try:
            if not stands and (history := _relation(new, "former", REVISIONS)) is not None:
                new.execute(f"insert into {REVISIONS} by name select * from {history}")
            revised = _append(new, published_at, run_id, ranks)
        finally:
            new.execute("detach former")
    # The history has no source but the former file: its copies are made anew, however that file came to its rows.
    return Carried(revised, {REVISIONS: EVERYTHING, SOURCES: sources})


def _carry_sources(
    new: duckdb.DuckDBPyConnection, receipts: str | None, former_key: Sequence[str] | None, contents: Contents
) -> Change:
    new.execute(f"create or replace temp table {_STAGED_SOURCES} ({_declared(_SOURCES_TABLE)})")
    staged = f"temp.main.{_STAGED_SOURCES}"
    if receipts is not None:
        new.execute(f"insert into {staged}\n{_sql('sources', receipts=receipts)}")
    change = replace_changed(new, SOURCES, staged, KEYS[SOURCES], former_key, contents)
    new.execute(f"drop table {staged}")
    what = "The venue's files that the bars of these marts were built from, day by day."
    _describe(new, SOURCES, _SOURCES_TABLE, what)
    return change


def _append(new: duckdb.DuckDBPyConnection, published_at: datetime, run_id: str, ranks_changed: Change) -> int:
    if ranks_changed == NOTHING:
        return 0
    ranks, publication = _relation(new, "former", RANKS), _relation(new, "former", "publication")
    staged = [_relation(new, _current(new), name) for name in (RANKS, "dim_spike_definitions")]
    if ranks is None or publication is None or None in staged:
        return 0
    has_provisional = _has_column(new, ranks, "is_provisional")
    differing = _sql(
        "differing_bars",
        former=ranks,
        revisions=REVISIONS,
        has_provisional=has_provisional,
        changed=ranks_changed.rows,
    )
    new.execute(f"create temp table differing_bars as\n{differing}")
    try:
        sources = _former_sources(new)
        revisions = _sql(
            "revisions",
            former=sources or f"(select * from {SOURCES} where false)",
            is_comparable=sources is not None,
            markets=_relation(new, _current(new), "dim_markets"),
            publication=publication,
            named_files=_NAMED_FILES,
        )
        done = new.execute(
            f"insert into {REVISIONS} by name\n{revisions}",
            {"published_at": published_at.astimezone(UTC).replace(tzinfo=None), "run_id": run_id},
        ).fetchone()
    finally:
        new.execute("drop table differing_bars")
    return int(done[0]) if done else 0


def _former_sources(new: duckdb.DuckDBPyConnection) -> str | None:
    """The files of the former publication, a relation; None where it does not state them. Former versions called the
    day `trade_date`."""
    sources = _relation(new, "former", SOURCES)
    if sources is None or _has_column(new, sources, "bar_date"):
        return sources
    return f"(select * rename (trade_date as bar_date) from {sources})"


def refuse_broken(new: duckdb.DuckDBPyConnection, judge: Judge | None = None) -> None:
    """Judge the history in the staged publication; HistoryBroken names the rules that it breaks. By this process, where
    there is no other `judge`."""
    ranks, counted = _relation(new, _current(new), RANKS), f"select count(*) from {REVISIONS}"
    if ranks is None or new.execute(counted).fetchone() == (0,):
        return
    from orchestration.warehouse.audit.gx import HERE, audit
    from orchestration.warehouse.audit.suites import HISTORY_SUITE

    verdict = audit(new, HISTORY_SUITE, judge=judge or HERE)
    if not verdict.blocking:
        return
    failed = [result for result in verdict.results if not result["success"]]
    raise HistoryBroken(
        f"the history of revised ranks ({REVISIONS}) contradicts itself: "
        + "; ".join(f"{result['rule']} ({result['observed']})" for result in failed)
    )


def _current(connection: duckdb.DuckDBPyConnection) -> str:
    found = connection.execute("select current_database()").fetchone()
    assert found is not None
    return str(found[0])


_Columns = Mapping[str, tuple[str, str]]


def _declared(columns: _Columns) -> str:
    return ", ".join(f"{name} {kind}" for name, (kind, _) in columns.items())


def _has_columns(new: duckdb.DuckDBPyConnection, table: str, columns: _Columns) -> bool:
    wanted = [(name, kind.upper().replace(", ", ",")) for name, (kind, _) in columns.items()]
    return exists(new, table) and columns_of(new, table) == wanted


def _describe(new: duckdb.DuckDBPyConnection, table: str, columns: _Columns, text: str) -> None:
    comment(new, table, text, {name: described for name, (_, described) in columns.items()})


def _attach(new: duckdb.DuckDBPyConnection, former: Path) -> None:
    import duckdb

    try:
        new.execute(f"attach {literal(str(former))} as former (read_only)")
    except duckdb.Error as error:
        raise HistoryBroken(
            f"the former publication {former} cannot be read ({str(error).splitlines()[0]}), so what changed since is "
            "unknown; move it away to publish without its history"
        ) from error


def _relation(connection: duckdb.DuckDBPyConnection, database: str, table: str) -> str | None:
    """The table's full name, None when the database has none of that name."""
    found = connection.execute(
        "select schema_name from duckdb_tables() where database_name = ? and table_name = ? and not temporary",
        [database, table],
    ).fetchone()
    return None if found is None else ".".join(identifier(part) for part in (database, found[0], table))


def _has_column(connection: duckdb.DuckDBPyConnection, relation: str, column: str) -> bool:
    return column in [name for name, *_ in connection.execute(f"describe {relation}").fetchall()]


def _sql(name: str, **values: Any) -> str:
    return render(_SQL / f"{name}.sql", **values)
