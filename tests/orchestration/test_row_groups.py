"""Parquet files put together of others are what any reader finds in them, row for row, and every place that a footer
names is right."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.warehouse.publish import row_groups
from orchestration.warehouse.publish.row_groups import NotDivisible, put_together

# Every kind of column that a mart has, and those that DuckDB gives a dictionary and a Bloom filter.
ROWS = """
    select n as number, 'm' || n % 7 as market_id, cast(n * 1.5 as decimal(38, 8)) as value, n / 7 as ratio,
           timestamp '2026-01-01' + to_minutes(cast(n as integer)) as bar_at, date '2026-01-01' as day,
           n % 3 = 0 as is_event, case when n % 5 > 0 then n end as rank, [n, n + 1] as list
    from range({}, {}) as r(n)
"""
ALL = 9_000


def written(path: Path, first: int, end: int) -> Path:
    # So many rows to a group that some of these files have several.
    duckdb.sql(f"copy ({ROWS.format(first, end)}) to '{path}' (format parquet, compression zstd, row_group_size 2048)")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`a`, `b` and `c` hold all rows, one after the other; so does `whole`, and `put` is put together of the three."""
    folder = tmp_path_factory.mktemp("row_groups")
    for name, first, end in (("a", 0, 4_000), ("b", 4_000, 4_500), ("c", 4_500, ALL), ("whole", 0, ALL)):
        written(folder / name, first, end)
    put_together(folder / "put", [folder / name for name in "abc"])
    return folder


def test_every_reader_finds_the_rows_of_all_files_in_their_order(folder: Path) -> None:
    assert pq.read_table(folder / "put").equals(pq.read_table(folder / "whole"))
    assert pl.read_parquet(folder / "put").equals(pl.read_parquet(folder / "whole"))
    assert duckdb.sql(f"from read_parquet('{folder}/put')").fetchall() == duckdb.sql(ROWS.format(0, ALL)).fetchall()


@pytest.mark.parametrize("market", ["m3", "m7"])
def test_statistics_and_bloom_filters_are_found_at_their_places(folder: Path, market: str) -> None:
    """What they exclude is not read: from a wrong place rows would be missing, or none would be excluded."""
    for where in (f"market_id = '{market}'", f"market_id = '{market}' and bar_at >= '2026-01-04'", "rank = 8_888"):
        counted = f"select count(*), sum(number) from {{}} where {where}"
        assert duckdb.sql(counted.format(f"read_parquet('{folder}/put')")).fetchall() == (
            duckdb.sql(counted.format(f"read_parquet('{folder}/whole')")).fetchall()
        )
    excludes = duckdb.sql(f"from parquet_bloom_probe('{folder}/put', 'market_id', '{market}')").fetchall()
    assert len(excludes) > 3
    assert {found[2] for found in excludes} == {market == "m7"}


@pytest.mark.parametrize(("rows", "rest"), [(4_000, "bc"), (4_500, "c"), (ALL, "")])
def test_the_first_rows_of_a_former_file_give_the_same_bytes_as_the_files_that_it_was_made_of(
    folder: Path, tmp_path: Path, rows: int, rest: str
) -> None:
    put_together(tmp_path / "again", [folder / name for name in rest], (folder / "put", rows))
    assert (tmp_path / "again").read_bytes() == (folder / "put").read_bytes()


@pytest.mark.parametrize("rows", [1, 2_048, 4_001])
def test_a_file_is_cut_only_where_one_of_its_parts_ends(folder: Path, tmp_path: Path, rows: int) -> None:
    """Behind the row groups of a part are their Bloom filters: between two of its row groups none ends."""
    with pytest.raises(NotDivisible, match="cannot be cut"):
        put_together(tmp_path / "again", [folder / "c"], (folder / "put", rows))


def test_a_file_that_was_written_whole_is_not_cut(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NotDivisible, match="cannot be cut"):
        put_together(tmp_path / "again", [folder / "c"], (folder / "whole", 2_048))


def test_files_of_different_columns_are_not_put_together(folder: Path, tmp_path: Path) -> None:
    duckdb.sql(f"copy (select 1 as number) to '{tmp_path}/other' (format parquet)")
    with pytest.raises(NotDivisible, match="different columns"):
        put_together(tmp_path / "put", [folder / "a", tmp_path / "other"])


@pytest.mark.parametrize("payload", [b"", b"PAR1", b"PAR1\x15\x02\x04\x00\x00\x00PAR1", b"x" * 100])
def test_what_is_no_parquet_file_is_refused(folder: Path, tmp_path: Path, payload: bytes) -> None:
    (tmp_path / "torn").write_bytes(payload)
    with pytest.raises(NotDivisible):
        put_together(tmp_path / "put", [folder / "a"], (tmp_path / "torn", 1))


@settings(max_examples=20)
@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=6), st.data())
def test_a_file_put_together_upon_a_former_one_is_that_of_all_parts(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    parts = [written(folder / f"{n}", end - size, end) for n, (size, end) in enumerate(zip(sizes, ends, strict=True))]
    former = [*parts[: data.draw(st.integers(1, len(parts)))], written(folder / "former", 5_000, 5_100)]
    put_together(folder / "put", former)
    kept = len(former) - 1
    put_together(folder / "upon", parts[kept:], (folder / "put", ends[kept - 1]))
    put_together(folder / "all", parts)
    assert pq.read_table(folder / "upon")["number"].to_pylist() == list(range(ends[-1]))
    assert (folder / "upon").read_bytes() == (folder / "all").read_bytes()


def test_a_footer_is_written_as_it_was_read(folder: Path) -> None:
    read = row_groups._File.read(folder / "whole")
    assert row_groups._written(read.footer) == (folder / "whole").read_bytes()[read.data_end : -8]
