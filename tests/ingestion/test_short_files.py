"""Short files of one object are read together, and become what they become when each is read alone.

Belongs here: what lets rows of several files be confused. Does not: faults of single rows (`test_decode`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.decode import parse
from ingestion.decode.decoder import Decoded, SourceFile, decode
from ingestion.domain.datasets import KLINES
from ingestion.domain.errors import ContractViolation, SourceDefect
from ingestion.domain.periods import Period
from ingestion.venues import archive_of, parse_market
from tests.support.archives import KLINE_HEADER, ArchiveFolder, kline_rows

FIRST = date(2024, 1, 1)
MARKET = parse_market("binance_um:BTCUSDT")


def days(count: int) -> list[date]:
    return [FIRST + timedelta(days=n) for n in range(count)]


def text_of(rows: Sequence[str], header: str | None = KLINE_HEADER, *, end: str = "\n", last: str = "\n") -> str:
    lines = [*([header] if header else []), *rows]
    return end.join(lines) + (last if lines else "")


def decoded(folder: Path, texts: Sequence[str]) -> tuple[Decoded | str, bytes, bytes]:
    """The counts, the Parquet file and the rows set aside of one file of a day per text; the error of a refusal."""
    archive = ArchiveFolder(folder / "archive")
    sources = []
    for day, text in zip(days(len(texts)), texts, strict=True):
        key = archive.put_members(f"{day}.zip", {"klines.csv": text})
        sources.append(SourceFile(archive.root / key, key, Period.of_day(day)))
    target, aside = folder / "data.parquet", folder / "aside.parquet"
    try:
        found: Decoded | str = decode(
            sources, KLINES, archive_of(MARKET).layout(KLINES, MARKET), target, quarantine=aside
        )
    except (SourceDefect, ContractViolation) as error:
        found = str(error)
    stored, set_aside = (path.read_bytes() if path.exists() else b"" for path in (target, aside))
    return found, stored, set_aside


def test_files_of_a_month_are_read_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []

    def counted(*given: object) -> object:
        reads.append(given)
        return read(*given)

    read = pacsv.read_csv
    monkeypatch.setattr("ingestion.decode.parse.pacsv.read_csv", counted)
    monkeypatch.setattr("ingestion.decode.parse.pacsv.open_csv", lambda *given: pytest.fail("it was read alone"))
    found, *_ = decoded(tmp_path, [text_of(kline_rows(day)) for day in days(31)])
    assert isinstance(found, Decoded)
    assert (len(reads), found.source_rows) == (1, [6] * 31)


def test_a_row_of_another_day_is_found_though_its_day_is_in_the_object(tmp_path: Path) -> None:
    """The first file has the row of the second, and the second has none of it: together they would be complete."""
    first, second = (kline_rows(day) for day in days(2))
    found, *_ = decoded(tmp_path, [text_of([*first, second[0]]), text_of(second[1:])])
    assert isinstance(found, Decoded)
    assert [aside.rows for aside in found.quarantined] == [1]
    assert found.source_rows == [7, 5]


def _written(rows: list[str]) -> dict[str, str]:
    """Texts of a file whose rows or lines are written in another way, or are wrong, by what is so about them."""
    reversed_columns = [",".join(reversed(row.split(","))) for row in rows]
    return {
        "usual": text_of(rows),
        "without header": text_of(rows, None),
        "without a last line break": text_of(rows, last=""),
        "lines of DOS": text_of(rows, end="\r\n", last="\r\n"),
        "lines of an old Macintosh": text_of(rows, end="\r", last="\r"),
        "blank lines": text_of([*rows[:2], "", *rows[2:]], last="\n\n"),
        "byte order mark": "\ufeff" + text_of(rows),
        "byte order mark without header": "\ufeff" + text_of(rows, None),
        "columns reversed": text_of(reversed_columns, ",".join(reversed(KLINE_HEADER.split(",")))),
        "one column more": text_of([f"{row},7" for row in rows], f"{KLINE_HEADER},new"),
        "header alone": text_of([]),
        "nothing": "",
        "blanks around numbers": text_of([rows[0].replace(",110,", ", 110 ,"), *rows[1:]]),
        "a column too few": text_of([rows[0].rpartition(",")[0], *rows[1:]]),
        "no number": text_of([rows[0].replace(",110,", ",x,"), *rows[1:]]),
        "negative": text_of([rows[0].replace(",110,", ",-110,"), *rows[1:]]),
        "exponent": text_of([rows[0].replace(",110,", ",11e1,"), *rows[1:]]),
        "quoted": text_of(['"' + '","'.join(rows[0].split(",")) + '"', *rows[1:]]),
        "an open quote": text_of([f'"{rows[0]}', *rows[1:]]),
        "backwards": text_of(rows[::-1]),
        "twice": text_of([*rows, rows[0]]),
        "contradicting": text_of([*rows, rows[0].replace(",110,", ",111,")]),
    }


_WAYS = tuple(_written(kline_rows(FIRST)))


@settings(max_examples=30)
@given(
    ways=st.lists(st.sampled_from(_WAYS) | st.just("usual"), min_size=2, max_size=5),
    moved=st.none() | st.tuples(st.integers(0, 4), st.integers(0, 4)),
)
def test_any_files_together_are_what_each_is_alone(
    tmp_path_factory: pytest.TempPathFactory, ways: list[str], moved: tuple[int, int] | None
) -> None:
    rows = [kline_rows(day) for day in days(len(ways))]
    if moved is not None and max(moved) < len(rows):
        rows[moved[0]].append(rows[moved[1]][3])
    texts = [_written(own)[how] for own, how in zip(rows, ways, strict=True)]
    together = decoded(tmp_path_factory.mktemp("together"), texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parse, "_short", lambda *given: None)
        alone = decoded(tmp_path_factory.mktemp("alone"), texts)
    assert together == alone


@pytest.mark.parametrize("how", _WAYS)
def test_a_short_file_is_what_it_is_as_a_long_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    text = _written(kline_rows(FIRST))[how]
    short = decoded(tmp_path / "short", [text])
    monkeypatch.setattr(parse, "_short", lambda *given: None)
    assert short == decoded(tmp_path / "long", [text])


@pytest.mark.parametrize(
    "how",
    ["lines of DOS", "blank lines", "byte order mark", "without a last line break", "columns reversed", "header alone"],
)
def test_no_row_is_judged_alone_where_none_is_faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr("ingestion.decode.order.judged_blocks", lambda *given: pytest.fail("the rows were judged"))
    first, second, third = (kline_rows(day) for day in days(3))
    found, *_ = decoded(tmp_path, [text_of(first), _written(second)[how], text_of(third)])
    assert isinstance(found, Decoded)
    assert (found.source_rows, found.quarantined) == ([6, 0 if how == "header alone" else 6, 6], ())


def test_files_of_more_than_a_block_are_read_in_several_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [text_of(kline_rows(day)) for day in days(20)]
    together = decoded(tmp_path / "together", texts)
    reads = []
    read = pacsv.read_csv
    monkeypatch.setattr("ingestion.decode.parse.pacsv.read_csv", lambda *given: reads.append(1) or read(*given))
    monkeypatch.setattr(parse, "CSV_BLOCK", 12 * len(texts[0]))
    assert decoded(tmp_path / "blocks", texts) == together
    assert len(reads) == 2


def test_the_rows_are_in_order_of_time_whichever_file_comes_first(tmp_path: Path) -> None:
    rows = [kline_rows(day) for day in days(3)]
    _, stored, _ = decoded(tmp_path / "usual", [text_of(own) for own in rows])
    found, turned, _ = decoded(tmp_path / "turned", [text_of(own[::-1]) for own in rows])
    assert isinstance(found, Decoded)
    assert (turned, found.out_of_order_rows) == (stored, 15)
    times = pq.read_table(tmp_path / "usual" / "data.parquet")["opened_at"].to_pylist()
    assert times == sorted(times)
