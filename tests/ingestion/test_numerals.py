"""Numbers that Arrow misreads: found before it receives them, in a file's bytes and in a column's texts."""

from __future__ import annotations

import io
import tempfile
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.decode.decoder import SourceFile, decode
from ingestion.decode.numerals import SafeNumbers, Unsafe, refuse_unsafe
from ingestion.domain.arrow import ARROW_TYPES
from ingestion.domain.datasets import DATASETS
from ingestion.domain.periods import Period
from ingestion.venues import archive_of, parse_market
from tests.support.archives import AGG_HEADER, agg_rows
from tests.support.fuzzing import DAY, packed

DECIMALS = [*(kind for kind in ARROW_TYPES.values() if pa.types.is_decimal(kind)), pa.decimal256(76, 38)]
# Unguarded, the first ends the process; the others become 0, 131811359292784559562136384 and so on.
MISREAD = ["1e-9999999", "1e-57", "123456789e-51", "1" + "0" * 28, "9" * 400, "9" * 20 + "e9", "9e31", "1." + "0" * 60]
READ = ["42000.5", "-0.00000001", "1e-9", "6.1e-05", "1e0", "99999999999999999999", "0.00012345678901234567"]
UUID_LIKE = "0b5fa3c4-98e7-4e12-8e99-1234567e-99,e99,7ae-12,-,1234567e-4e99-"

digits = st.text("0123456789", max_size=45)
numerals = st.builds(
    lambda sign, whole, point, rest, exponent: f"{sign}{whole or '0'}{point}{rest if point else ''}{exponent}",
    st.sampled_from(["", "-", "+"]),
    digits,
    st.sampled_from(["", "."]),
    digits,
    st.one_of(
        st.just(""),
        st.from_regex("[eE][-+]?0{0,2}[0-9]{1,2}", fullmatch=True),
    ),
)


def text_of(*numbers: str) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO("".join(f"7,{number},true\n" for number in numbers).encode()))  # type: ignore[arg-type]


@settings(max_examples=400, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(numerals, st.sampled_from(DECIMALS))
def test_whatever_arrow_receives_it_reads_exactly_or_refuses(numeral: str, stored: pa.DataType) -> None:
    try:
        SafeNumbers(text_of(numeral)).read()
        (value,) = refuse_unsafe(pa.array([numeral])).cast(stored).to_pylist()
    except (pa.ArrowInvalid, Unsafe):
        return
    assert value == Decimal(numeral)


@pytest.mark.parametrize("number", MISREAD)
def test_a_number_that_arrow_misreads_is_found_in_a_file_and_in_a_column(number: str) -> None:
    with pytest.raises(Unsafe):
        SafeNumbers(text_of("1.5", number)).read()
    with pytest.raises(pa.ArrowInvalid):
        refuse_unsafe(pa.array(["1.5", number]))


def read_by(size: int, text: io.BufferedReader) -> None:
    reading = SafeNumbers(text)
    while reading.read(size):
        pass


def test_it_is_found_across_two_reads() -> None:
    text = text_of("1.5", "1e-9999999").read()
    for cut in range(text.index(b"1e-"), len(text) - 8):
        with pytest.raises(Unsafe):
            read_by(cut, text_of("1.5", "1e-9999999"))


@pytest.mark.parametrize("number", [*READ, UUID_LIKE])
def test_ordinary_numbers_and_identifiers_are_read_quickly(number: str) -> None:
    assert SafeNumbers(text_of(number)).read() == text_of(number).read()


@pytest.mark.parametrize("number", MISREAD)
@pytest.mark.parametrize("has_faults", [False, True], ids=["read at once", "judged row by row"])
def test_a_row_with_such_a_number_is_set_aside_or_exact_and_the_others_are_kept(number: str, has_faults: bool) -> None:
    rows = agg_rows(DAY, count=40)
    rows[20] = rows[20].replace("42000.5", number)
    if has_faults:
        rows[30] = rows[30].replace("42000.5", "many")
    market = parse_market("binance_um:BTCUSDT")
    dataset = DATASETS["aggTrades"]
    with tempfile.TemporaryDirectory() as folder:
        path, target, aside = (Path(folder, name) for name in ("file", "data.parquet", "quarantine.parquet"))
        path.write_bytes(packed("\n".join([AGG_HEADER, *rows, ""]).encode(), "binance_um"))
        source = SourceFile(path, "venue/file", Period.of_day(DAY))
        decode([source], dataset, archive_of(market).layout(dataset, market), target, None, aside)
        prices = pq.read_table(target)["price"].to_pylist()
    exact = [Decimal("1")] if number.startswith("1.") else []
    assert [price for price in prices if price != Decimal("42000.5")] == exact
    assert len(prices) == 40 - has_faults - (not exact)
