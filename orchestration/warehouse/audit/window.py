"""What an audit judges: what was built since the publication that stands, or everything.

Belongs here: that decision, and the two temporary tables that the suites' SQL reads of it. Does not: what a build
changed (`int_bar_days`, `int_rank_changes`), counting (`counting`), the verdict (`gx`).

    judged_days    market_id, from_at, to_at: bars of the market from the first to the last changed day;
                   previous_at, next_at: the bars before and after, as far as there are any
    judged_ranks   definition_id, market_id, from_at, to_at: the ranks that the build replaced

Whatever stands outside of these was judged before it was published, and is as it was published, exactly when

- the build compared itself with the build that was published: a publication states its `build_id`, and
  `int_built_days` both its own and that of the build before. A build that was refused, or that no publication
  followed, breaks this chain; one that died wrote no note, and the next build names its changes again;
- it was judged by the same rules, code, versions and settings;
- the rows outside have the same number and the same sums in the publication.

In doubt everything is judged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from orchestration.warehouse.place import Warehouse, opened
from orchestration.warehouse.sql import literal
from orchestration.warehouse.standing import NOTHING_STANDS, Standing

if TYPE_CHECKING:
    import duckdb

# The name of what a publication states of its audit, in its settings.
AUDITED: Final = "audited"

_DAYS: Final = """
create or replace temp table judged_days as
with windows as (
    select
        market_id,
        cast(min(bar_date) as timestamp) as from_at,
        cast(max(bar_date) as timestamp) + interval '1 day' as to_at
    from int_bar_days
    where is_changed
    group by market_id
)

select
    windows.market_id,
    windows.from_at,
    windows.to_at,
    coalesce(max(case when bars.bar_at < windows.from_at then bars.bar_at end), windows.from_at) as previous_at,
    coalesce(min(case when bars.bar_at >= windows.to_at then bars.bar_at end), windows.to_at) as next_at
from windows
left join fct_net_taker_volume_hourly as bars on windows.market_id = bars.market_id
group by windows.market_id, windows.from_at, windows.to_at
"""
_RANKS: Final = """
create or replace temp table judged_ranks as
select definition_id, market_id, min(from_at) as from_at, max(to_at) as to_at
from int_rank_changes
group by definition_id, market_id
"""


class _Kept(NamedTuple):
    """A table that a build replaces in parts: its windows here, what they are keyed by, what is summed outside of them,
    and the model that names what the build replaces (`meta.replaced` of the table)."""

    windows: str
    keys: tuple[str, ...]
    summed: tuple[str, ...]
    changes: str


_KEPT: Final = {
    "fct_net_taker_volume_hourly": _Kept(
        "judged_days", ("market_id",), ("net_taker_usd", "volume_base", "trade_count"), "int_flow_changes"
    ),
    "fct_taker_spike_ranks": _Kept(
        "judged_ranks",
        ("definition_id", "market_id"),
        ("spike_rank", "event_rank", "window_bars"),
        "int_rank_changes",
    ),
}


@dataclass(frozen=True)
class Window:
    """What is judged. `why_full`: why it is everything; None when it is what changed. `text`: both, as a sentence.
    `standing`: what of the publication that stands was found to stand; nothing where everything is judged."""

    why_full: str | None
    text: str
    standing: Standing = NOTHING_STANDS

    @property
    def is_full(self) -> bool:
        return self.why_full is not None


def everything(why: str) -> Window:
    return Window(why, f"everything: {why}")


def window_of(connection: duckdb.DuckDBPyConnection, serving: Path, judged_by: str, *, full: bool = False) -> Window:
    """What to judge of the warehouse behind `connection`, in which the temporary tables are made.

    `serving`: the publication that stands. `judged_by`: the fingerprint of rules, code, versions and settings. `full`:
    everything was requested.
    """
    import duckdb

    if full:
        return everything("a full audit was requested")
    if not serving.is_file():
        return everything("nothing is published yet")
    try:
        connection.execute(f"attach {literal(str(serving))} as published (read_only)")
    except duckdb.Error:
        return everything("the publication that stands cannot be read")
    try:
        return _compared(connection, judged_by)
    except (duckdb.Error, ValueError, TypeError):
        return everything("the build or the publication does not state what changed")
    finally:
        connection.execute("detach published")


def statement_of(warehouse: Warehouse) -> dict[str, Any]:
    """What a publication of this warehouse states, so that the next audit can judge what changed since: its build."""
    import duckdb

    try:
        with opened(warehouse) as connection:
            return {"build_id": _builds(connection)[0]}
    except duckdb.Error:
        return {"build_id": None}


def _compared(connection: duckdb.DuckDBPyConnection, judged_by: str) -> Window:
    build, former = _builds(connection)
    if build is None or former is None:
        return everything("the tables were built anew")
    of_build = f"select count(*) from int_bar_days where build_id <> {literal(build)}"
    if _row(connection, of_build) != (0,):
        return everything("a part was built after the last whole build")
    published_at, run_id, settings = _row(
        connection, "select published_at, run_id, settings from published.publication"
    )
    stated = json.loads(settings).get(AUDITED) or {}
    if stated.get("judged_by") != judged_by:
        return everything("rules, code, versions or settings are others than of the publication that stands")
    if stated.get("build_id") == build:
        return everything("this build was published before")
    if stated.get("build_id") != former:
        return everything("the build before this one was not published here")
    connection.execute(_DAYS)
    connection.execute(_RANKS)
    for table in _KEPT:
        if _outside(connection, table) != _outside(connection, f"published.{table}"):
            return everything(f"{table} differs from the publication where nothing was built")
    before = {table: _replaced_from(connection, kept.changes) for table, kept in _KEPT.items()}
    standing = Standing((published_at.replace(tzinfo=UTC), run_id), before)
    return Window(None, _sentence(connection, f"{published_at:%Y-%m-%d %H:%M:%S}"), standing)


def _builds(connection: duckdb.DuckDBPyConnection) -> tuple[str | None, str | None]:
    """The build that made the tables and the one that it compared itself with, None for none."""
    build, former = _row(connection, "select max(build_id), max(former_build_id) from int_built_days")
    return build, former


def _outside(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[Any, ...]:
    """Rows and sums of the part of a table that the build left as it was."""
    windows, keys, summed, _ = _KEPT[table.rpartition(".")[2]]
    joined = " and ".join(f"kept.{key} = judged.{key}" for key in keys)
    return _row(
        connection,
        f"select count(*), {', '.join(f'sum(kept.{column})' for column in summed)} from {table} as kept "
        f"left join {windows} as judged on {joined} "
        "where judged.market_id is null or kept.bar_at < judged.from_at or kept.bar_at >= judged.to_at",
    )


def _replaced_from(connection: duckdb.DuckDBPyConnection, changes: str) -> date:
    """The first day of which the build replaced rows of any series; the last of all days where it replaced none."""
    (found,) = _row(connection, f"select cast(min(from_at) as date) from {changes}")
    return found or date.max


def _sentence(connection: duckdb.DuckDBPyConnection, published_at: str) -> str:
    markets, first, last = _row(
        connection,
        "select count(*), cast(min(from_at) as date), cast(max(to_at) - interval '1 day' as date) from judged_days",
    )
    (series,) = _row(connection, "select count(*) from judged_ranks")
    days = f"bars of {markets} market(s) from {first} to {last}, ranks of {series} series" if markets or series else ""
    return f"what was built since the publication of {published_at} UTC: {days or 'no bar and no rank'}"


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    found = connection.execute(query).fetchone()
    assert found is not None, query
    return found
