"""What each publication said differently from the one before: the history of revised ranks.

Belongs here: comparing two publications, naming the files behind a difference, carrying the history over.
Does not: copying marts and swapping files (`orchestration.defs.publish`), what makes a history good
(`orchestration.warehouse.audit.suites`).

Nothing published is rewritten silently: a bar whose value, rank or event rank was stated once and is now stated
differently, or is gone, becomes a row. What was provisional said so, and is no revision. What was unknown (NULL: too
little coverage, an event not settled yet) and now is known is no revision, and neither is a bar that is new.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import duckdb

REVISIONS: Final = "fct_spike_rank_revisions"
SOURCES: Final = "publication_sources"
TABLES: Final = (REVISIONS, SOURCES)

# Of files behind one revision: the nearest ones are named, the others counted.
_NAMED_FILES: Final = 5

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
        "`withdrawn_file` (a file that is gone), `rules` (no file changed: settings, definitions or code did, or the "
        "former publication did not say which files it was built from).",
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
    """The history of revised ranks cannot be carried over or contradicts the marts. The text says how."""


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
        new.execute(f"insert into {SOURCES} {_sources_query(receipts)}")
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
    sources = _relation(new, "former", SOURCES) or f"(select * from {SOURCES} where false)"
    is_comparable = _relation(new, "former", SOURCES) is not None
    was_final = "not was.is_provisional" if _has_column(new, ranks, "is_provisional") else "true"
    differing = _DIFFERING_BARS.format(former=ranks, was_final=was_final, revisions=REVISIONS)
    new.execute(f"create temp table differing_bars as {differing}")
    try:
        files = _CHANGED_FILES.format(former=sources, is_comparable=str(is_comparable).lower())
        if (markets := _relation(new, _current(new), "dim_markets")) is not None:
            files = _FILES_OF_SUMS.format(changed_files=files, markets=markets)
        done = new.execute(
            f"insert into {REVISIONS} by name "
            + _REVISIONS_QUERY.format(changed_files=files, publication=publication, named=_NAMED_FILES),
            {"published_at": published_at.astimezone(UTC).replace(tzinfo=None), "run_id": run_id},
        ).fetchone()
    finally:
        new.execute("drop table differing_bars")
    return int(done[0]) if done else 0


def refuse_broken(new: duckdb.DuckDBPyConnection) -> None:
    """Judge the history in the staged publication; HistoryBroken says what is wrong with it."""
    ranks, counted = _relation(new, _current(new), "fct_taker_spike_ranks"), f"select count(*) from {REVISIONS}"
    if ranks is None or new.execute(counted).fetchone() == (0,):
        return
    from orchestration.warehouse.audit.suites import HISTORY_SUITE, validate

    verdict = validate(new.execute(HISTORY_SUITE.query).df(), HISTORY_SUITE.build())
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
    new.execute(f"comment on table {table} is {_text(comment)}")
    for name, (_, described) in columns.items():
        new.execute(f"comment on column {table}.{name} is {_text(described)}")


def _attach(new: duckdb.DuckDBPyConnection, former: Path) -> None:
    import duckdb

    try:
        new.execute(f"attach {_text(str(former))} as former (read_only)")
    except duckdb.Error as error:
        raise HistoryBroken(
            f"the former publication {former} cannot be read ({str(error).splitlines()[0]}), so nothing can be said "
            "about what changed since; move it away to publish without its history"
        ) from error


def _relation(connection: duckdb.DuckDBPyConnection, database: str, table: str) -> str | None:
    """The table's full name, None when the database has none of that name."""
    found = connection.execute(
        "select schema_name from duckdb_tables() where database_name = ? and table_name = ? and not temporary",
        [database, table],
    ).fetchone()
    return None if found is None else ".".join(_name(part) for part in (database, found[0], table))


def _has_column(connection: duckdb.DuckDBPyConnection, relation: str, column: str) -> bool:
    return column in [name for name, *_ in connection.execute(f"describe {relation}").fetchall()]


# A month of klines may be assembled from the venue's daily files; of those, a day's own file has the day in its key.
def _sources_query(receipts: str) -> str:
    return f"""
with stored as (
    select
        market_id,
        dataset,
        kline_interval,
        trade_date,
        string_split(source_keys, ' ') as source_keys,
        string_split(source_sha256, ' ') as checksums,
        revision,
        known_at
    from {receipts}
    where status = 'stored' and dataset in ('klines', 'aggTrades', 'trades')
),

files as (
    select
        * exclude (source_keys, checksums),
        unnest(source_keys) as source_key,
        unnest(checksums) as source_sha256
    from stored
)

select market_id, dataset, kline_interval, trade_date, source_key, source_sha256, revision, known_at
from files
qualify
    contains(source_key, cast(trade_date as varchar))
    or not bool_or(contains(source_key, cast(trade_date as varchar))) over (
        partition by market_id, dataset, kline_interval, trade_date
    )
order by market_id, dataset, kline_interval, trade_date, source_key
"""


# Every bar whose value is another one than before, that came or that went, and whether it is a revision. Series that
# are in one publication only (a market or definition that was added or given up) are not compared.
_DIFFERING_BARS: Final = """
with series as (
    select distinct definition_id, market_id from fct_taker_spike_ranks
    intersect
    select distinct definition_id, market_id from {former}
),

compared as (
    select
        coalesce(was.definition_id, now.definition_id) as definition_id,
        coalesce(was.market_id, now.market_id) as market_id,
        coalesce(was.side, now.side) as side,
        coalesce(was.bar_at, now.bar_at) as bar_at,
        -- A provisional bar is stated with reservation; but a bar whose history was told once has it told to the end.
        was.bar_at is not null and (
            {was_final} or exists (
                select 1
                from {revisions} as revised
                where revised.definition_id = was.definition_id
                    and revised.market_id = was.market_id
                    and revised.side = was.side
                    and revised.bar_at = was.bar_at
            )
        ) as was_stated,
        was.value as old_value,
        now.value as new_value,
        was.spike_rank as old_rank,
        now.spike_rank as new_rank,
        was.event_rank as old_event_rank,
        now.event_rank as new_event_rank,
        was.value is distinct from now.value as has_other_value,
        was.spike_rank is not null and was.spike_rank is distinct from now.spike_rank as has_other_rank,
        -- A ranked bar that was known to be no event was stated to be none; otherwise NULL said "not known".
        was.spike_rank is not null and was.is_event is not null and was.event_rank is distinct from now.event_rank
            as has_other_event_rank
    from {former} as was
    full join fct_taker_spike_ranks as now
        on was.definition_id = now.definition_id
        and was.market_id = now.market_id
        and was.side = now.side
        and was.bar_at = now.bar_at
)

select
    compared.*,
    was_stated and (has_other_value or has_other_rank or has_other_event_rank) as is_revision
from compared
inner join series
    on compared.definition_id = series.definition_id
    and compared.market_id = series.market_id
where has_other_value or has_other_rank or has_other_event_rank
"""

# A file is told from its former self by its checksum. One that replaces another of the same day is a correction, also
# under another key: the venue replaces days by a month. One whose day has no file any more is withdrawn.
_CHANGED_FILES: Final = """
    select
        now.market_id,
        now.trade_date,
        now.source_key,
        case
            when exists (
                select 1
                from {former} as held
                where held.market_id = now.market_id
                    and held.dataset = now.dataset
                    and held.kline_interval = now.kline_interval
                    and held.trade_date = now.trade_date
            ) then 'corrected_file'
            else 'late_file'
        end as cause
    from publication_sources as now
    left join {former} as was
        on now.market_id = was.market_id
        and now.dataset = was.dataset
        and now.kline_interval = was.kline_interval
        and now.trade_date = was.trade_date
        and now.source_key = was.source_key
        and now.source_sha256 = was.source_sha256
    where {is_comparable} and was.source_key is null
    union all
    select
        was.market_id,
        was.trade_date,
        was.source_key,
        'withdrawn_file' as cause
    from {former} as was
    left join publication_sources as now
        on was.market_id = now.market_id
        and was.dataset = now.dataset
        and was.kline_interval = now.kline_interval
        and was.trade_date = now.trade_date
    where {is_comparable} and now.source_key is null
"""

# A sum over venues has no files of its own: those of its markets are behind it.
_FILES_OF_SUMS: Final = """
    with changed as ({changed_files})

    select market_id, trade_date, source_key, cause
    from changed
    union all
    select sums.market_id, changed.trade_date, changed.source_key, changed.cause
    from changed
    inner join {markets} as parts on changed.market_id = parts.market_id
    inner join {markets} as sums
        on sums.contract_type = 'aggregate'
        and parts.contract_type <> 'aggregate'
        and parts.base_asset = sums.base_asset
        and parts.is_simulated = sums.is_simulated
"""

# A file is behind a revision when it changed, holds a day with other values, and that day is in the bar's window, its
# smoothing or its neighbourhood included.
_REVISIONS_QUERY: Final = """
with changed_files as ({changed_files}),

reaches as (
    select
        definition_id,
        cast(window_days + ceil((smoothing_bars - 1) * bar_hours / 24) as integer) as days_back,
        cast(ceil(decluster_hours / 24) as integer) as days_ahead,
        cast(ceil((smoothing_bars - 1) * bar_hours / 24) as integer) as smoothed_days
    from (
        select *, case grain when '1h' then 1 when '4h' then 4 when '1d' then 24 end as bar_hours
        from dim_spike_definitions
    ) as definitions
),

-- A smoothed value differs when any of the days it is made of does.
differing_days as (
    select distinct
        differing_bars.definition_id,
        differing_bars.market_id,
        cast(differing_bars.bar_at as date) - cast(steps.step as integer) as trade_date
    from differing_bars
    inner join reaches on differing_bars.definition_id = reaches.definition_id
    cross join lateral (select unnest(range(reaches.smoothed_days + 1)) as step) as steps
    where differing_bars.has_other_value
),

files_behind as (
    select distinct
        differing_days.definition_id,
        differing_days.market_id,
        changed_files.trade_date,
        changed_files.source_key,
        changed_files.cause
    from differing_days
    inner join changed_files
        on differing_days.market_id = changed_files.market_id
        and differing_days.trade_date = changed_files.trade_date
),

revised_days as (
    select distinct definition_id, market_id, cast(bar_at as date) as trade_date
    from differing_bars
    where is_revision
),

-- A file that holds several days is named once, by the day that is nearest.
candidates as (
    select
        revised_days.definition_id,
        revised_days.market_id,
        revised_days.trade_date,
        files_behind.source_key,
        arg_min(files_behind.cause, abs(files_behind.trade_date - revised_days.trade_date)) as cause,
        min(abs(files_behind.trade_date - revised_days.trade_date)) as distance
    from revised_days
    inner join reaches on revised_days.definition_id = reaches.definition_id
    inner join files_behind
        on revised_days.definition_id = files_behind.definition_id
        and revised_days.market_id = files_behind.market_id
        and files_behind.trade_date > revised_days.trade_date - reaches.days_back
        and files_behind.trade_date <= revised_days.trade_date + reaches.days_ahead
    group by
        revised_days.definition_id, revised_days.market_id, revised_days.trade_date, files_behind.source_key
),

ordered as (
    select
        *,
        row_number() over (
            partition by definition_id, market_id, trade_date order by distance, source_key
        ) as place,
        count(*) over (partition by definition_id, market_id, trade_date) as files
    from candidates
),

causes as (
    select
        definition_id,
        market_id,
        trade_date,
        arg_min(cause, place) as cause,
        string_agg(source_key, ' ' order by place)
        || case when max(files) > {named} then ' and ' || (max(files) - {named}) || ' more' else '' end as source_keys
    from ordered
    where place <= {named}
    group by definition_id, market_id, trade_date
)

select
    bars.definition_id,
    bars.market_id,
    bars.side,
    bars.bar_at,
    bars.old_value,
    bars.new_value,
    bars.old_rank,
    bars.new_rank,
    bars.old_event_rank,
    bars.new_event_rank,
    coalesce(causes.cause, 'rules') as cause,
    causes.source_keys,
    (select max(published_at) from {publication}) as previous_published_at,
    cast($published_at as timestamp) as published_at,
    $run_id as run_id
from differing_bars as bars
left join causes
    on bars.definition_id = causes.definition_id
    and bars.market_id = causes.market_id
    and cast(bars.bar_at as date) = causes.trade_date
where bars.is_revision
order by bars.definition_id, bars.market_id, bars.side, bars.bar_at
"""


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
