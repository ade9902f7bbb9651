"""The history of revised ranks: what a correction changed stays queryable, and nothing else is called a revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from orchestration.warehouse.audit.suites import HISTORY_SUITE
from orchestration.warehouse.publish import revisions
from orchestration.warehouse.publish.revisions import REVISIONS, SOURCES, HistoryBroken, carry_revisions, refuse_broken
from orchestration.warehouse.sql import render

MARKET = "binance_um:BTCUSDT"
FIRST = date(2024, 3, 1)
PUBLISHED = datetime(2024, 4, 1, tzinfo=UTC)

# Windows of five days, ranked when four of them are there; a bar's event is settled a day later.
MARTS = """
create table dim_spike_definitions (
    definition_id varchar, grain varchar, smoothing_bars integer, unit varchar, window_days integer,
    decluster_hours integer
);
insert into dim_spike_definitions values ('daily_usd', '1d', 1, 'usd', 5, 24);
create table fct_taker_spike_ranks as
with sides as (
    select *, 'bearish' as side, value as pressure from bars
    union all
    select *, 'bullish' as side, -value as pressure from bars
),
judged as (
    select
        t.*,
        (select count(*) from bars as s where s.bar_at > t.bar_at - interval 5 days and s.bar_at <= t.bar_at) >= 4
            as is_rankable,
        case when t.bar_at < (select max(bar_at) from bars) then not exists (
            select 1 from sides as s where s.side = t.side and s.pressure < t.pressure
                and s.bar_at between t.bar_at - interval 1 day and t.bar_at + interval 1 day
        ) end as is_event
    from sides as t
)
select
    'daily_usd' as definition_id, 'binance_um:BTCUSDT' as market_id, side, bar_at, value,
    case when is_rankable then (
        select 1 + count(*) from judged as s where s.side = t.side and s.pressure < t.pressure
            and s.bar_at > t.bar_at - interval 5 days and s.bar_at <= t.bar_at
    ) end as spike_rank,
    is_event,
    case when is_rankable and is_event then (
        select 1 + count(*) from judged as s where s.side = t.side and s.is_event and s.pressure < t.pressure
            and s.bar_at > t.bar_at - interval 5 days and s.bar_at <= t.bar_at
    ) end as event_rank
from judged as t;
"""


@dataclass(frozen=True)
class World:
    """Days of one market: their net values, and the checksum of each day's file."""

    values: Mapping[int, int]
    checksums: Mapping[int, str] = field(default_factory=dict)
    day: int = 0

    def with_days(self, values: Mapping[int, int], checksum: str = "a") -> World:
        """These days (numbered from 1 March) arrive, or are replaced by files of another checksum."""
        return World({**self.values, **values}, {**self.checksums, **dict.fromkeys(values, checksum)}, self.day + 1)

    def without(self, day: int) -> World:
        return replace(
            self,
            values={d: v for d, v in self.values.items() if d != day},
            checksums={d: c for d, c in self.checksums.items() if d != day},
            day=self.day + 1,
        )


HISTORY = World({}).with_days({1: 5, 2: -10, 3: 7, 4: -30, 5: 2, 6: -20, 7: 1, 8: -25, 9: 3, 10: 4})


def key_of(day: int) -> str:
    return f"data/futures/um/daily/klines/BTCUSDT/1d/BTCUSDT-1d-{FIRST + timedelta(days=day - 1)}.zip"


def publish(folder: Path, world: World, *, judge: bool = False) -> int:
    """Build and swap in what a publication of this world holds; returns the number of revisions it added."""
    serving, staged, warehouse = folder / "marts.duckdb", folder / "staged.duckdb", folder / "warehouse.duckdb"
    warehouse.unlink(missing_ok=True)
    days = sorted(world.values)
    rows = [
        (
            "klines",
            MARKET,
            "1d",
            FIRST + timedelta(days=day - 1),
            "stored",
            # As the raw zone does it: the month is one object, assembled from every day's file.
            " ".join(key_of(one) for one in days),
            " ".join(world.checksums[one] for one in days),
            world.day,
            PUBLISHED,
        )
        for day in days
    ]
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(
            "create table stg_raw__receipts (dataset varchar, market_id varchar, kline_interval varchar, "
            "bar_date date, status varchar, source_keys varchar, source_sha256 varchar, revision integer, "
            "known_at timestamp)"
        )
        connection.executemany(f"insert into stg_raw__receipts values ({', '.join('?' * 9)})", rows)
    published_at = PUBLISHED + timedelta(days=world.day)
    with duckdb.connect(str(staged)) as new:
        new.execute("set timezone = 'UTC'")
        new.execute("create table bars (bar_at timestamp, value decimal(38, 8))")
        for day, value in world.values.items():
            new.execute("insert into bars values (?, ?)", [FIRST + timedelta(days=day - 1), value])
        new.execute(MARTS)
        new.execute(f"attach '{warehouse}' as warehouse (read_only)")
        added = carry_revisions(
            new, serving if serving.exists() else None, published_at=published_at, run_id=f"run-{world.day}"
        )
        new.execute("detach warehouse")
        new.execute(
            "create table publication as select ?::timestamp as published_at", [published_at.replace(tzinfo=None)]
        )
        if judge:
            refuse_broken(new)
    staged.replace(serving)
    return added.revised


def rows_of(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "marts.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def day_at(day: int) -> datetime:
    return datetime(FIRST.year, FIRST.month, day)  # noqa: DTZ001 - bars are naive UTC


def test_a_first_publication_revises_nothing(tmp_path: Path) -> None:
    assert publish(tmp_path, HISTORY) == 0
    assert rows_of(tmp_path, f"from {REVISIONS}") == []


def test_new_days_and_events_that_settle_are_no_revisions(tmp_path: Path) -> None:
    publish(tmp_path, HISTORY)
    unsettled = rows_of(tmp_path, "from fct_taker_spike_ranks where is_event is null")

    assert unsettled
    assert publish(tmp_path, HISTORY.with_days({11: -40, 12: 8, 13: -1})) == 0


def test_an_unchanged_publication_revises_nothing(tmp_path: Path) -> None:
    publish(tmp_path, HISTORY)
    assert publish(tmp_path, replace(HISTORY, day=5)) == 0


def test_a_corrected_day_revises_its_bar_and_every_bar_it_is_ranked_with_and_names_the_file(tmp_path: Path) -> None:
    publish(tmp_path, HISTORY)
    publish(tmp_path, HISTORY.with_days({6: -28}, checksum="corrected"))

    # In five days, day 6 stays second to day 4, and day 8 falls behind both.
    revised = rows_of(
        tmp_path,
        f"select bar_at, old_value, new_value, old_rank, new_rank from {REVISIONS} where side = 'bearish' order by 1",
    )
    assert revised == [(day_at(6), -20, -28, 2, 2), (day_at(8), -25, -25, 2, 3)]
    revised = rows_of(
        tmp_path, f"select distinct cause, source_keys, previous_published_at, published_at, run_id from {REVISIONS}"
    )
    naive = PUBLISHED.replace(tzinfo=None)
    assert revised == [
        ("corrected_file", key_of(6), naive + timedelta(days=1), naive + timedelta(days=2), "run-2"),
    ]


def test_a_bar_that_stops_being_an_event_is_a_revision(tmp_path: Path) -> None:
    publish(tmp_path, HISTORY)
    publish(tmp_path, HISTORY.with_days({7: -50}, checksum="corrected"))

    lost = rows_of(
        tmp_path,
        f"select bar_at, old_event_rank, new_event_rank from {REVISIONS} "
        "where side = 'bearish' and old_event_rank is not null and new_event_rank is null order by bar_at",
    )
    assert [bar_at for bar_at, _, _ in lost] == [day_at(6), day_at(8)]


def test_the_history_is_carried_from_publication_to_publication(tmp_path: Path) -> None:
    publish(tmp_path, HISTORY)
    corrected = HISTORY.with_days({6: -28}, checksum="corrected")
    first = publish(tmp_path, corrected, judge=True)
    before = rows_of(tmp_path, f"from {REVISIONS} order by all")
    third = publish(tmp_path, replace(corrected.with_days({6: -20}, checksum="again"), day=9), judge=True)

    after = rows_of(tmp_path, f"from {REVISIONS} order by all")
    assert len(after) == first + third
    assert set(before) < set(after)
    assert rows_of(
        tmp_path,
        f"select published_at, old_value, new_value from {REVISIONS} "
        f"where bar_at = '{day_at(6)}' and side = 'bearish' order by published_at",
    ) == [
        (PUBLISHED.replace(tzinfo=None) + timedelta(days=2), -20, -28),
        (PUBLISHED.replace(tzinfo=None) + timedelta(days=9), -28, -20),
    ]


def test_a_late_day_within_ranked_ones_has_its_own_cause(tmp_path: Path) -> None:
    whole = HISTORY.with_days({11: 6, 12: 9, 13: 9, 14: 9, 15: 1})
    publish(tmp_path, whole.without(9))
    publish(tmp_path, replace(whole, day=8))

    assert rows_of(tmp_path, f"select distinct cause, source_keys from {REVISIONS}") == [("late_file", key_of(9))]


def test_a_withdrawn_day_leaves_its_last_statement(tmp_path: Path) -> None:
    publish(tmp_path, HISTORY)
    publish(tmp_path, HISTORY.without(6))

    assert rows_of(
        tmp_path,
        f"select old_value, new_value, old_rank, new_rank, cause, source_keys from {REVISIONS} "
        f"where bar_at = '{day_at(6)}' and side = 'bearish'",
    ) == [(-20, None, 2, None, "withdrawn_file", key_of(6))]


def test_another_value_from_the_same_files_is_attributed_to_the_rules(tmp_path: Path) -> None:
    publish(tmp_path, HISTORY)
    publish(tmp_path, replace(HISTORY, values={**HISTORY.values, 6: -28}, day=2))

    assert rows_of(tmp_path, f"select distinct cause, source_keys from {REVISIONS}") == [("rules", None)]


def test_many_corrected_files_are_counted_after_the_nearest_five(tmp_path: Path) -> None:
    long = World({}).with_days({day: (-1) ** day * (day * 37 % 41) for day in range(1, 29)})
    publish(tmp_path, long)
    publish(tmp_path, long.with_days({day: value + 1000 + day % 7 for day, value in long.values.items()}, "b"))

    # Its window holds days 16 to 20, and whether it is an event depends on day 21.
    assert rows_of(tmp_path, f"select distinct source_keys from {REVISIONS} where bar_at = '{day_at(20)}'") == [
        (" ".join(key_of(day) for day in (20, 19, 21, 18, 17)) + " and 1 more",)
    ]


def test_the_files_of_a_publication_are_listed_by_day(tmp_path: Path) -> None:
    publish(tmp_path, HISTORY)

    listed = rows_of(tmp_path, f"select bar_date, source_key, source_sha256 from {SOURCES} order by bar_date")
    assert listed == [(FIRST + timedelta(days=day - 1), key_of(day), "a") for day in sorted(HISTORY.values)]


def test_every_column_is_described(tmp_path: Path) -> None:
    publish(tmp_path, HISTORY)

    assert (
        rows_of(
            tmp_path,
            "select column_name from duckdb_columns() "
            f"where table_name in ('{REVISIONS}', '{SOURCES}') and comment is null",
        )
        == []
    )


def test_an_unreadable_former_publication_is_an_error_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "marts.duckdb").write_text("not a database")

    with pytest.raises(HistoryBroken, match="move it away to publish without its history"):
        publish(tmp_path, HISTORY)


def test_a_former_publication_from_before_the_history_is_compared_too(tmp_path: Path) -> None:
    publish(tmp_path, HISTORY)
    with duckdb.connect(str(tmp_path / "marts.duckdb")) as connection:
        connection.execute(f"drop table {REVISIONS}; drop table {SOURCES}")
    publish(tmp_path, HISTORY.with_days({6: -28}, checksum="corrected"))

    assert rows_of(tmp_path, f"select distinct cause from {REVISIONS}") == [("rules",)]


def test_the_files_of_a_former_version_are_compared_by_the_day_under_its_former_name(tmp_path: Path) -> None:
    publish(tmp_path, HISTORY)
    with duckdb.connect(str(tmp_path / "marts.duckdb")) as connection:
        connection.execute(f"alter table {SOURCES} rename column bar_date to trade_date")
    publish(tmp_path, HISTORY.with_days({6: -28}, checksum="corrected"))

    assert rows_of(tmp_path, f"select distinct cause, source_keys from {REVISIONS}") == [("corrected_file", key_of(6))]


def test_a_history_that_contradicts_the_marts_is_refused(tmp_path: Path) -> None:
    publish(tmp_path, HISTORY)
    publish(tmp_path, HISTORY.with_days({6: -28}, checksum="corrected"))

    with duckdb.connect(str(tmp_path / "marts.duckdb")) as connection:
        connection.execute(f"update {REVISIONS} set new_value = 0")
        with pytest.raises(HistoryBroken, match="the latest revision of a bar agrees with the marts"):
            refuse_broken(connection)


def test_a_history_is_judged_by_whom_the_run_has_begun(tmp_path: Path) -> None:
    class Recorded:
        def unexpected(self, frame: pd.DataFrame, kind: str, arguments: Mapping[str, Any]) -> list[int]:
            judged.append(len(frame))
            return []

    judged: list[int] = []
    publish(tmp_path, HISTORY)
    publish(tmp_path, HISTORY.with_days({6: -28}, checksum="corrected"))
    with duckdb.connect(str(tmp_path / "marts.duckdb")) as connection:
        refuse_broken(connection, Recorded())
    assert judged == [len(HISTORY_SUITE.rules)]


def test_without_ranks_there_is_nothing_to_compare(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "staged.duckdb")) as new:
        new.execute("attach ':memory:' as warehouse")
        assert carry_revisions(new, None, published_at=PUBLISHED, run_id="r").revised == 0
        refuse_broken(new)
        assert new.execute(f"select count(*) from {REVISIONS}").fetchone() == (0,)


def publish_provisional(folder: Path, values: Mapping[int, int], *, provisional: int | None, number: int) -> int:
    """As `publish`, of a publication whose ranks state which day is provisional."""
    warehouse, staged, serving = folder / "warehouse.duckdb", folder / "staged.duckdb", folder / "marts.duckdb"
    with duckdb.connect(str(staged)) as new:
        new.execute("create table bars (bar_at timestamp, value decimal(38, 8))")
        for day, value in values.items():
            new.execute("insert into bars values (?, ?)", [FIRST + timedelta(days=day - 1), value])
        new.execute(MARTS)
        new.execute(
            "alter table fct_taker_spike_ranks add column is_provisional boolean;"
            "update fct_taker_spike_ranks set is_provisional = bar_at = coalesce(?, timestamp '1970-01-01')",
            [None if provisional is None else day_at(provisional)],
        )
        former = serving if serving.exists() else None
        at = PUBLISHED + timedelta(days=number)
        added = carry_revisions(new, former, published_at=at, run_id=f"run-{number}", warehouse=warehouse.stem)
        new.execute("create table publication as select ?::timestamp as published_at", [at.replace(tzinfo=None)])
        refuse_broken(new)
    staged.replace(serving)
    return added.revised


def test_what_was_provisional_is_no_revision_and_what_was_not_is_one(tmp_path: Path) -> None:
    values = {1: 5, 2: -10, 3: 7, 4: -30, 5: 2, 6: -20, 7: 1, 8: -25, 9: 3, 10: 4}
    publish_provisional(tmp_path, values, provisional=10, number=1)

    assert publish_provisional(tmp_path, {**values, 10: 6}, provisional=None, number=2) == 0
    assert publish_provisional(tmp_path, {**values, 10: 7}, provisional=None, number=3) == 2


def test_a_revised_bar_that_turns_provisional_keeps_its_history(tmp_path: Path) -> None:
    """The archive's day was withdrawn, and came back."""
    values = {1: 5, 2: -10, 3: 7, 4: -30, 5: 2, 6: -20, 7: 1, 8: -25, 9: 3, 10: 4}
    publish_provisional(tmp_path, values, provisional=None, number=1)

    assert publish_provisional(tmp_path, {**values, 10: 6}, provisional=10, number=2) == 2
    assert publish_provisional(tmp_path, {**values, 10: 8}, provisional=10, number=3) == 2


def test_a_sum_over_venues_is_revised_by_the_files_of_its_markets() -> None:
    with duckdb.connect() as connection:
        connection.execute(
            """
            create table dim_markets as select * from (values
                ('binance_um:BTCUSDT', 'linear', 'BTC', false), ('bybit:ETHUSDT', 'linear', 'ETH', false),
                ('simulated:BTCUSDT', 'linear', 'BTC', true), ('all:BTC', 'aggregate', 'BTC', false)
            ) as t (market_id, contract_type, base_asset, is_simulated)
            """
        )
        connection.execute(
            """
            create table publication_sources as
            select
                market_id, 'klines' as dataset, '1h' as kline_interval, date '2024-03-01' as bar_date,
                'a.zip' as source_key, 'abc' as source_sha256
            from dim_markets where contract_type <> 'aggregate'
            """
        )
        changed_files = render(
            Path(revisions.__file__).with_name("sql") / "changed_files.sql",
            former="(select * from publication_sources where false)",
            is_comparable=True,
            markets="dim_markets",
        )
        files = connection.execute(changed_files).fetchall()

    assert [market for market, *_ in files].count("all:BTC") == 1
    assert len(files) == 4
