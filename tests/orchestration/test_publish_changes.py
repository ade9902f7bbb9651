"""A publication upon the former one costs what changed, and is the one that would be made from nothing."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration.warehouse.publish import changes, parquet
from orchestration.warehouse.publish.tables import Table
from orchestration.warehouse.standing import Standing
from tests.support.publications import DAILY, MARKETS, Publisher
from tests.support.republished import BARS, LABELS, Republished, contents


@pytest.mark.slow
@pytest.mark.parametrize("large_from", [parquet.BY_MONTH_FROM, 1])
def test_whatever_happens_a_publication_equals_the_one_from_nothing(
    tmp_path: Path, large_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each happening once or twice; histories drawn at random are in `tests/torture/test_republished.py`. Tables from
    `large_from` rows on are written by month."""
    monkeypatch.setattr(parquet, "BY_MONTH_FROM", large_from)
    history = Republished(tmp_path, 2)
    history.publish()
    for happenings in (
        ("a_new_day", "a_small_table_changes", "a_mart_comes_or_goes"),
        ("a_corrected_row", "a_comment_changes", "another_program_changes_rows"),
        ("rows_vanish", "the_order_changes", "a_mart_comes_or_goes"),
        ("another_program_changes_their_order",),
        ("a_publication_dies_during_the_switch",),
        ("a_key_changes",),
        ("another_program_adds_what_is_no_table",),
        ("a_column_changes", "a_table_is_emptied", "a_market_comes_or_goes"),
    ):
        for happening in happenings:
            getattr(history, happening)()
        anew = history.anew()
        history.publish()
        assert contents(history.upon) == contents(anew), happenings


def test_a_former_file_of_which_a_table_cannot_be_read_is_no_basis(tmp_path: Path) -> None:
    history = Republished(tmp_path, 0)
    history.publish()
    with duckdb.connect(str(history.upon.serving), read_only=True) as connection:
        found = connection.execute(f"select max(block_id) from pragma_storage_info('{BARS}')").fetchone()
    assert found is not None
    with history.upon.serving.open("r+b") as file:
        file.seek(3 * 4096 + found[0] * 262_144 + 1000)
        file.write(b"x" * 1000)
    anew = history.anew()
    history.publish()
    assert contents(history.upon) == contents(anew)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written: the tables exported as Parquet, and the rows replaced in the DuckDB file."""
    found: list[str] = []
    export, replace_changed = parquet.export, changes.replace_changed

    def exported(connection: duckdb.DuckDBPyConnection, table: Table, *rest: object) -> parquet.ParquetFile:
        found.append(f"{table.name}.parquet")
        return export(connection, table, *rest)  # type: ignore[arg-type]

    def replaced(out: duckdb.DuckDBPyConnection, table: str, *rest: object) -> changes.Change:
        change = replace_changed(out, table, *rest)  # type: ignore[arg-type]
        found.append(f"{table}: {change.rows}")
        return change

    monkeypatch.setattr("orchestration.warehouse.publish.parquet.export", exported)
    monkeypatch.setattr("orchestration.warehouse.publish.database.replace_changed", replaced)
    return found


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables of former files whose rows are read."""
    found: list[str] = []
    plain = changes._content_in_order
    monkeypatch.setattr(changes, "_content_in_order", lambda *rest: (found.append(rest[1]), plain(*rest))[1])
    return found


def test_rows_of_a_file_that_the_last_publication_left_are_not_read(tmp_path: Path, read: list[str]) -> None:
    """The first one upon another reads them: what is made from nothing is compared with nothing."""
    history = Republished(tmp_path, 0)
    history.publish()
    history.a_new_day()
    history.publish()
    assert {BARS, LABELS} <= set(read)
    read.clear()
    history.a_corrected_row()
    anew = history.anew()
    history.publish()
    assert read == []
    assert contents(history.upon) == contents(anew)


def test_rows_of_a_file_in_which_another_program_wrote_are_read(tmp_path: Path, read: list[str]) -> None:
    history = Republished(tmp_path, 0)
    history.publish()
    history.publish()
    read.clear()
    history.another_program_changes_rows()
    anew = history.anew()
    history.publish()
    assert {BARS, LABELS} <= set(read)
    assert contents(history.upon) == contents(anew)


def test_sums_of_another_version_of_duckdb_are_not_compared(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    history = Republished(tmp_path, 0)
    history.publish()
    with monkeypatch.context() as patch:
        patch.setattr(duckdb, "__version__", "0.1")
        history.publish()
    read.clear()
    history.publish()
    assert {BARS, LABELS} <= set(read)


STANDING_FROM = date(2026, 1, 15)
BEFORE, OF_ITS_MONTH = "2025-11-21 00:00:00", "2026-01-03 00:00:00"


def corrected(history: Republished, run_id: str) -> set[str]:
    """Correct a bar before the month of that day and one of it, and publish as if the audit of `run_id` had found that
    bars before that day stand; which of the corrections readers have."""
    history.publish()
    standing = Standing((history.upon.now - timedelta(seconds=1), run_id), {BARS: STANDING_FROM})
    history.upon.build(f"update {BARS} set note = 'corrected' where bar_at in ('{BEFORE}', '{OF_ITS_MONTH}')")
    history.upon.publish(history.marts, keys=history.keys, standing=standing)
    return {str(at) for (at,) in history.upon.query(f"select bar_at from {BARS} where note = 'corrected'")}


def test_months_of_which_the_audit_found_that_they_stand_are_not_read(tmp_path: Path) -> None:
    """A bar that was corrected there all the same shows it."""
    history = Republished(tmp_path, 0)
    history.publish()
    assert corrected(history, "run-1") == {OF_ITS_MONTH}
    # What is noted of the file is what it holds: the next publication, which reads everything, finds the other one.
    anew = history.anew()
    history.publish()
    assert contents(history.upon) == contents(anew)


def test_what_stood_in_another_publication_is_read(tmp_path: Path) -> None:
    assert corrected(Republished(tmp_path, 0), "run-2") == {BEFORE, OF_ITS_MONTH}


def test_bars_of_no_month_are_read_whatever_stands(tmp_path: Path) -> None:
    history = Republished(tmp_path, 0)
    history.publish()
    standing = Standing((history.upon.now - timedelta(seconds=1), "run-1"), {BARS: date.max})
    history.upon.build(f"insert into {BARS} (market_id, value) values ('m1', 1)")
    history.upon.publish(history.marts, keys=history.keys, standing=standing)
    assert history.upon.query(f"select count(*) from {BARS} where bar_at is null") == [(1,)]


def test_of_a_large_table_the_months_that_changed_are_written_and_of_others_nothing(
    tmp_path: Path, written: list[str]
) -> None:
    history = Republished(tmp_path, 0)
    history.publish()
    written.clear()
    history.a_new_day()
    history.publish()
    assert [line for line in written if BARS in line] == [
        f"{BARS}: \"bar_at\" >= timestamp '2026-02-01'",
        f"{BARS}.parquet",
    ]
    assert f"{LABELS}: false" in written
    assert f"{LABELS}.parquet" not in written


def test_of_a_large_table_the_row_groups_of_other_months_are_those_of_the_former_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "BY_MONTH_FROM", 1)
    copied: list[str] = []
    plain = parquet._copy
    monkeypatch.setattr(parquet, "_copy", lambda *rest: (copied.append(rest[1]), plain(*rest)))
    history = Republished(tmp_path, 0)
    history.publish()
    assert len([rows for rows in copied if BARS in rows]) == 4
    copied.clear()
    history.a_new_day()
    history.publish()
    months = "\"bar_at\" >= timestamp '2026-02-01' and \"bar_at\" < timestamp '2026-03-01'"
    assert [rows for rows in copied if BARS in rows] == [f'(from "{BARS}" where {months})']


def test_a_file_that_was_written_whole_is_written_by_month_once_it_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = Republished(tmp_path, 0)
    history.publish()
    monkeypatch.setattr(parquet, "BY_MONTH_FROM", 1)
    history.a_new_day()
    anew = history.anew()
    history.publish()
    assert contents(history.upon) == contents(anew)


def test_a_mart_that_has_not_changed_is_one_file_under_the_names_of_every_version(tmp_path: Path) -> None:
    publisher = Publisher.on(tmp_path)
    publisher.publish_days(3)
    publisher.publish_days(4)
    names = [*(tmp_path / "serving").rglob(f"{MARKETS}.parquet"), *(tmp_path / "serving/parquet" / MARKETS).iterdir()]
    assert (len(names), len({path.stat().st_ino for path in names})) == (3, 1)
    assert len({path.stat().st_ino for path in (tmp_path / "serving").rglob(f"{DAILY}.parquet")}) == 2


def test_a_torn_parquet_file_of_the_former_version_is_not_used_again(tmp_path: Path) -> None:
    publisher = Publisher.on(tmp_path)
    first = publisher.publish_days(3).version
    torn = tmp_path / "serving" / "versions" / first / f"{MARKETS}.parquet"
    torn.write_bytes(b"x" * torn.stat().st_size)
    second = publisher.publish_days(3).version
    assert duckdb.sql(f"from '{torn.parents[1] / second / torn.name}'").fetchall() == [("simulated:BTCUSDT", True)]


def test_a_file_that_is_mostly_free_space_is_written_anew(tmp_path: Path) -> None:
    publisher = Publisher.on(tmp_path)
    publisher.build("create table large as select hash(n) as h, hash(h) as i from range(400000) r(n)")
    publisher.publish(["large"], keys={})
    large = publisher.serving.stat().st_size
    publisher.build("delete from large where h % 1000 > 0")
    publisher.publish(["large"], keys={})
    publisher.publish(["large"], keys={})
    assert publisher.serving.stat().st_size < large / 2
