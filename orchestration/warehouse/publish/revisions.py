"""What each publication states differently from the one before: the history of revised ranks.

Belongs here: comparing two publications, naming the files behind a difference, carrying the history over; the
statements are in `sql/`. Does not: copying marts and swapping files (`orchestration.warehouse.publish.publication`),
what makes a history good (`orchestration.warehouse.audit.suites.rank_revisions`).

Nothing published is rewritten silently: a bar whose value, rank or event rank was stated once and is now stated
differently, or is gone, becomes a row. What was labelled provisional is no revision. What was unknown (NULL: too little
coverage, an event not settled yet) and now is known is no revision, and neither is a bar that is new.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestration.warehouse.sql import identifier, literal, render

if TYPE_CHECKING:
    import duckdb

REVISIONS: Final = "fct_spike_rank_revisions"
SOURCES: Final = "publication_sources"
TABLES: Final = (REVISIONS, SOURCES)

# Of the files behind one revision, the nearest are named and the others counted.
_NAMED_FILES: Final = 5
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
    "trade_date": ("date", "UTC day that the file holds rows of."),
    "source_key": ("varchar", "The venue's file, as its key in the archive."),
    "source_sha256": ("varchar", "Checksum of the file that these marts were built from."),
    "revision": ("integer", "How often the stored object changed, from 1."),
    "known_at": ("timestamp", "When the stored object was stored, UTC."),
}


class HistoryBroken(Exception):
    """The history of revised ranks cannot be carried over or contradicts the marts. The text states how."""


def carry_revisions(
    new: duckdb.DuckDBPyConnection,
    former: Path | None,
    *,
    published_at: datetime,
    run_id: str,
    warehouse: str = "warehouse",
) -> int:
    """Create both tables in the publication that is being built; returns how many revisions it adds.

    `new`: a connection to the staged file with the marts in it and the warehouse attached under the name `warehouse`.
    `former`: the publication that people read now, None for the first one. Its history is copied unchanged, and what
    this publication states differently is appended. Raises HistoryBroken when `former` cannot be read.
    """
    _create(new, REVISIONS, _REVISIONS_TABLE, "Append-only: every rank that a publication changed, and why.")
    _create(new, SOURCES, _SOURCES_TABLE, "The venue's files that the bars of these marts were built from, day by day.")
    receipts = _relation(new, warehouse, "stg_raw__receipts")
    if receipts is not None:
        new.execute(f"insert into {SOURCES}\n{_sql('sources', receipts=receipts)}")
    if former is None:
        return 0
    _attach(new, former)
    try:
        if (history := _relation(new, "former", REVISIONS)) is not None:
            new.execute(f"insert into {REVISIONS} by name select * from {history}")
        return _append(new, published_at, run_id)
    finally:
        new.execute("detach former")


def _append(new: duckdb.DuckDBPyConnection, published_at: datetime, run_id: str) -> int:
    ranks, publication = _relation(new, "former", "fct_taker_spike_ranks"), _relation(new, "former", "publication")
    staged = [_relation(new, _current(new), name) for name in ("fct_taker_spike_ranks", "dim_spike_definitions")]
    if ranks is None or publication is None or None in staged:
        return 0
    has_provisional = _has_column(new, ranks, "is_provisional")
    differing = _sql("differing_bars", former=ranks, revisions=REVISIONS, has_provisional=has_provisional)
    new.execute(f"create temp table differing_bars as\n{differing}")
    try:
        sources = _relation(new, "former", SOURCES)
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


def refuse_broken(new: duckdb.DuckDBPyConnection) -> None:
    """Judge the history in the staged publication; HistoryBroken names the rules that it breaks."""
    ranks, counted = _relation(new, _current(new), "fct_taker_spike_ranks"), f"select count(*) from {REVISIONS}"
    if ranks is None or new.execute(counted).fetchone() == (0,):
        return
    from orchestration.warehouse.audit.gx import audit
    from orchestration.warehouse.audit.suites import HISTORY_SUITE

    verdict = audit(new, HISTORY_SUITE)
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


def _create(new: duckdb.DuckDBPyConnection, table: str, columns: dict[str, tuple[str, str]], comment: str) -> None:
    new.execute(f"create table {table} ({', '.join(f'{name} {kind}' for name, (kind, _) in columns.items())})")
    new.execute(f"comment on table {table} is {literal(comment)}")
    for name, (_, described) in columns.items():
        new.execute(f"comment on column {table}.{name} is {literal(described)}")


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
