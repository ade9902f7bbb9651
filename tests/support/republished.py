"""A warehouse to which anything happens between two publications, drawn at random.

Belongs here: the marts and what happens to them, and publishing them once upon the former publication and once from
nothing. Does not: expectations, and how many histories are drawn.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import duckdb
import pytest

from orchestration.warehouse.publish import parquet
from tests.support.publications import Publisher

BARS, LABELS, LOOSE, EXTRA = "fct_bars", "dim_labels", "rpt_loose", "fct_extra"
_KEYS: Final[dict[str, tuple[str, ...]]] = {BARS: ("market_id", "bar_at"), LABELS: ("label",), EXTRA: ("day", "side")}


HAPPENINGS: Final = (
    "a_new_day",
    "a_corrected_row",
    "rows_vanish",
    "a_market_comes_or_goes",
    "the_order_changes",
    "a_comment_changes",
    "a_column_changes",
    "a_key_changes",
    "a_mart_comes_or_goes",
    "a_small_table_changes",
    "a_table_is_emptied",
    "the_former_file_is_damaged",
    "another_program_changes_rows",
    "another_program_changes_their_order",
    "another_program_adds_what_is_no_table",
    "a_publication_dies_during_the_switch",
    "nothing",
)


class Republished:
    """`happen` changes something; `publish` publishes upon what was published before, and `anew` from nothing."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = Random(seed)
        self.folder = folder
        (folder / "upon").mkdir()
        self.upon = Publisher.on(folder / "upon")
        self.keys = dict(_KEYS)
        self.marts = [BARS, LABELS, LOOSE]
        self._fresh = 0
        self.upon.build(
            f"create table {BARS} (market_id varchar, bar_at timestamp, value decimal(38, 8), ratio double, "
            "note varchar)",
            f"insert into {BARS} select 'm' || m, timestamp '2025-11-20 00:00:00' + to_hours(cast(h as integer)), "
            "h * m, h / 7, case when h % 5 > 0 then 'n' || h end from range(3) a(m), range(0, 2400, 6) b(h)",
            f"create table {LABELS} as select 'l' || n as label, ['x', null] as parts from range(9) r(n)",
            f"create table {LOOSE} as select n % 3 as a, n as b from range(20) r(n)",
            f"create table {EXTRA} as select date '2026-01-01' + cast(n as integer) as day, 's' as side "
            "from range(40) r(n)",
            f"comment on column {BARS}.value is 'what it is worth'",
        )

    def happen(self) -> str:
        """Something happens to the warehouse, to the former publication or to the process; its name."""
        name = self.random.choice(HAPPENINGS)
        getattr(self, name)()
        return name

    def nothing(self) -> None: ...

    def a_new_day(self) -> None:
        self.upon.build(
            f"insert into {BARS} (market_id, bar_at, value, ratio) "
            f"select market_id, max(bar_at) + interval 6 hours, 1, 2 from {BARS} group by market_id"
        )

    def a_corrected_row(self) -> None:
        self.upon.build(
            f"update {BARS} set value = {self.random.randrange(10**6)} where (market_id, bar_at) = (select (market_id, "
            f"bar_at) from {BARS} order by hash(bar_at, market_id, {self.random.random()}) limit 1)"
        )

    def rows_vanish(self) -> None:
        self.upon.build(f"delete from {BARS} where hash(market_id, bar_at, {self.random.random()}) % 97 = 0")

    def a_market_comes_or_goes(self) -> None:
        name = f"m{self.random.randrange(6)}"
        if self.upon_rows(f"select count(*) from {BARS} where market_id = '{name}'") != [(0,)]:
            self.upon.build(f"delete from {BARS} where market_id = '{name}'")
        else:
            self.upon.build(
                f"insert into {BARS} by name select '{name}' as market_id, timestamp '2025-12-30' + to_days(cast(d as "
                "integer)) as bar_at, d as value, 0.5 as ratio from range(50) r(d)"
            )

    def the_order_changes(self) -> None:
        self.upon.build(f"create or replace table {BARS} as from {BARS} order by hash(bar_at, {self.random.random()})")

    def a_comment_changes(self) -> None:
        text = self.random.choice(["null", f"'it''s {self.random.random()}'"])
        self.upon.build(f"comment on column {BARS}.value is {text}", f"comment on table {LABELS} is {text}")

    def a_column_changes(self) -> None:
        kind = self.random.choice(["decimal(38, 6)", "decimal(38, 8)", "double"])
        self.upon.build(f"alter table {BARS} alter value set data type {kind}")

    def a_key_changes(self) -> None:
        keys = {("market_id", "bar_at"), ("bar_at", "market_id"), ()} - {self.keys[BARS]}
        self.keys[BARS] = self.random.choice(sorted(keys))

    def a_mart_comes_or_goes(self) -> None:
        self.marts = [BARS, LABELS, LOOSE] if EXTRA in self.marts else [BARS, LABELS, LOOSE, EXTRA]

    def a_small_table_changes(self) -> None:
        self.upon.build(
            f"insert into {LOOSE} values (null, {self.random.randrange(9)})",
            f"delete from {LABELS} where label = 'l{self.random.randrange(9)}'",
        )

    def a_table_is_emptied(self) -> None:
        self.upon.build(f"delete from {self.random.choice([LOOSE, LABELS, EXTRA])}")

    def the_former_file_is_damaged(self) -> None:
        serving = self.upon.serving
        if serving.exists() and (size := serving.stat().st_size) > 20_000:
            with serving.open("r+b") as file:
                file.seek(self.random.randrange(12_288, size - 1000))
                file.write(self.random.randbytes(900))

    def another_program_changes_rows(self) -> None:
        self._in_the_former_file(
            self.random.choice(
                [
                    f"update {BARS} set note = 'x' where bar_at = (select max(bar_at) from {BARS})",
                    f"delete from {LABELS}",
                    f"insert into {LOOSE} from {LOOSE} limit 1",
                    "create table other as select 1",
                ]
            )
        )

    def another_program_changes_their_order(self) -> None:
        self._in_the_former_file(f"create or replace table {BARS} as from {BARS} order by market_id, bar_at")

    def another_program_adds_what_is_no_table(self) -> None:
        foreign = ["view other as select 1", "schema other", "macro other() as 1", f"index other on {LABELS} (label)"]
        self._in_the_former_file(f"create {self.random.choice(foreign)}")

    def _in_the_former_file(self, statement: str) -> None:
        if self.upon.serving.exists():
            with duckdb.connect(str(self.upon.serving)) as connection:
                connection.execute(statement)

    def a_publication_dies_during_the_switch(self) -> None:
        """The Parquet files are of the new publication, the DuckDB file is not, and what was new is undone."""
        self.upon.build(f"insert into {LABELS} (label) values ('undone')")

        make_latest = parquet.make_latest

        def dies(*arguments: Any) -> None:
            make_latest(*arguments)
            raise OSError("killed")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parquet, "make_latest", dies)
            with pytest.raises(OSError, match="killed"):
                self.publish()
        self.upon.build(f"delete from {LABELS} where label = 'undone'")

    def upon_rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.upon.warehouse)) as connection:
            return connection.execute(sql).fetchall()

    def publish(self) -> None:
        self.upon.publish(self.marts, keys=self.keys)

    def anew(self) -> Publisher:
        """The same warehouse, published at the same time to a place where nothing was."""
        self._fresh += 1
        folder = self.folder / f"anew-{self._fresh}"
        folder.mkdir()
        anew = Publisher.on(folder)
        anew.now = self.upon.now
        (folder / "warehouse.duckdb").write_bytes(self.upon.warehouse.read_bytes())
        anew.publish(self.marts, keys=self.keys)
        return anew


def contents(publisher: Publisher) -> dict[str, Any]:
    """Everything that readers can see: rows in their order, types, comments, the manifest, the bytes of each file."""
    serving = publisher.folder / "serving"
    with duckdb.connect(str(publisher.serving), read_only=True) as connection:
        tables: Sequence[tuple[str, str]] = connection.execute(
            "select table_name, comment from duckdb_tables() order by 1"
        ).fetchall()
        found: dict[str, Any] = {
            name: (
                comment,
                connection.execute(
                    f"select column_name, data_type, comment from duckdb_columns() where table_name = '{name}' "
                    "order by column_index"
                ).fetchall(),
                connection.execute(f"select * from {name} order by rowid").fetchall(),
            )
            for name, comment in tables
        }
        found["others"] = connection.execute(
            "select view_name from duckdb_views() where not internal union all select index_name from duckdb_indexes() "
            "union all select schema_name from duckdb_schemas() where not internal and schema_name <> 'main' "
            "union all select function_name from duckdb_functions() where not internal"
        ).fetchall()
    found["latest"] = latest = json.loads((publisher.folder / parquet.LATEST).read_bytes())
    for name, mart in latest["marts"].items():
        stable = (serving / "parquet" / name / "data.parquet").read_bytes()
        found[f"{name}.parquet"] = ((serving / mart["file"]).read_bytes() == stable, stable)
    return found
