"""Columns of numbers are read exactly, and what Arrow would misread is found before it receives it."""

from __future__ import annotations

import io
import tempfile
from decimal import Decimal
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.decode.decoder import SourceFile, decode
from ingestion.decode.numerals import decimals, refuse_unsafe
from ingestion.domain.arrow import ARROW_TYPES
from ingestion.domain.datasets import DATASETS
from ingestion.domain.periods import Period
from ingestion.venues import archive_of, parse_market
from tests.support.archives import AGG_HEADER, agg_rows
from tests.support.fuzzing import DAY, packed

STORED = sorted({kind for kind in ARROW_TYPES.values() if pa.types.is_decimal(kind)}, key=str)
DECIMALS = [*(kind for kind in ARROW_TYPES.values() if pa.types.is_decimal(kind)), pa.decimal256(76, 38)]
# Unguarded, the first ends the process; the others become 0, 131811359292784559562136384 and so on.
WRAPS_AROUND = "34028236692093896346.3374607431768211456"  # twenty digits and nineteen: 2^128 units and 50000
MISREAD = [
    WRAPS_AROUND,
    "1e-9999999",
    "1e-57",
    "123456789e-51",
    "1" + "0" * 28,
    "9" * 400,
    "9" * 20 + "e9",
    "9e31",
    "1." + "0" * 60,
]
READ = ["42000.5", "-0.00000001", "1e-9", "6.1e-05", "1e0", "99999999999999999999", "0.00012345678901234567"]
UUID_LIKE = "0b5fa3c4-98e7-4e12-8e99-1234567e-99,e99,7ae-12,-,1234567e-4e99-"

digits = st.text("0123456789", max_size=45)
# Those that 64 bits hold with 18 places.
plain_numbers = st.from_regex(r"0{0,2}[0-8](\.[0-9]{0,8})?", fullmatch=True)
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


@pytest.mark.parametrize("padding", ["", " ", "\t"])
@pytest.mark.parametrize("numeral", MISREAD)
def test_what_arrow_would_misread_is_refused_with_blanks_beside_it_too(numeral: str, padding: str) -> None:
    for stored in STORED:
        with pytest.raises(pa.ArrowInvalid):
            decimals(pa.array([(numeral + padding).encode()]), stored)


@settings(max_examples=300, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(numerals, min_size=1, max_size=4), st.sampled_from(STORED))
def test_a_column_is_read_exactly_or_refused(texts: list[str], stored: pa.Decimal128Type) -> None:
    try:
        values = decimals(pa.array([text.encode() for text in texts]), stored).to_pylist()
    except pa.ArrowInvalid:
        return
    assert values == [Decimal(text) for text in texts]


@settings(max_examples=400, derandomize=True, suppress_health_check=list(HealthCheck))
@given(numerals, st.sampled_from(DECIMALS))
def test_whatever_arrow_receives_it_reads_exactly_or_refuses(numeral: str, stored: pa.DataType) -> None:
    try:
        (value,) = refuse_unsafe(pa.array([numeral])).cast(stored).to_pylist()
    except pa.ArrowInvalid:
        return
    assert value == Decimal(numeral)


@settings(max_examples=100, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(plain_numbers, min_size=4, max_size=40), st.integers(0, 3), st.sampled_from(STORED))
def test_plain_numbers_of_any_mixture_are_read_without_arrows_decimals(
    texts: list[str], first: int, stored: pa.Decimal128Type
) -> None:
    column = pa.array([text.encode() for text in texts]).slice(first)
    with mock.patch("ingestion.decode.numerals.refuse_unsafe", side_effect=AssertionError("it is not needed")):
        assert decimals(column, stored).to_pylist() == [Decimal(text) for text in texts[first:]]


@pytest.mark.parametrize(
    "texts",
    [
        ["1..", "5"],
        ["12.5", "3..5"],
        ["1.5", "15", "1..5"],
        [".5", "5."],
        ["1.25", "1.5"],
        ["2.50", ""],
        ["1.2.", "55"],
    ],
)
def test_as_many_points_as_numbers_are_not_taken_for_one_in_each(texts: list[str]) -> None:
    def read(column: list[str]) -> list[Decimal] | None:
        try:
            return decimals(pa.array([text.encode() for text in column]), STORED[0]).to_pylist()
        except pa.ArrowInvalid:
            return None

    alone = [read([text]) for text in texts]
    expected = None if None in alone else [number for each in alone for number in each or ()]
    assert read(texts) == expected


@pytest.mark.parametrize(
    "number", [".", "", "-", ".-5", "1.-5", "0x1.5", "1..5", "1.2.3", "1,5", "½", "١", "1_0", "nan"]
)
@pytest.mark.parametrize("stored", STORED)
def test_what_is_no_number_is_refused(number: str, stored: pa.Decimal128Type) -> None:
    with pytest.raises(pa.ArrowInvalid):
        decimals(pa.array([b"1.5", number.encode(), b"2.5"]), stored)


@pytest.mark.parametrize("stored", STORED)
def test_a_number_with_more_places_than_are_stored_is_refused(stored: pa.Decimal128Type) -> None:
    for places in range(stored.scale + 1, stored.scale + 20):
        with pytest.raises(pa.ArrowInvalid):
            decimals(pa.array([b"1.5", b"0." + b"0" * (places - 1) + b"1"]), stored)


@pytest.mark.parametrize("number", MISREAD)
def test_a_number_that_arrow_misreads_is_found_in_a_column(number: str) -> None:
    with pytest.raises(pa.ArrowInvalid):
        refuse_unsafe(pa.array(["1.5", number]))
    with pytest.raises(pa.ArrowInvalid):
        decimals(pa.array([b"1.5", number.encode()]), STORED[0])


def test_an_empty_cell_is_no_value_and_blanks_around_a_number_do_not_count() -> None:
    assert decimals(pa.array([b"1.5", None, b" 2 "]), STORED[0]).to_pylist() == [Decimal("1.5"), None, Decimal(2)]


@settings(max_examples=100, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.from_regex(r"[-+]?0{0,3}[0-9]{1,45}", fullmatch=True))
def test_a_whole_number_of_a_file_is_read_exactly_or_refused(numeral: str) -> None:
    convert = pacsv.ConvertOptions(column_types={"n": pa.int64()})
    try:
        table = pacsv.read_csv(io.BytesIO(f"n\n{numeral}\n".encode()), convert_options=convert)
    except pa.ArrowInvalid:
        return
    assert table["n"].to_pylist() == [int(numeral)]


@pytest.mark.parametrize("number", READ)
def test_ordinary_numbers_are_read_at_once(number: str) -> None:
    wide = pa.decimal128(38, 18) if "." in number else STORED[0]
    try:
        assert decimals(pa.array([number.encode()]), wide).to_pylist() == [Decimal(number)]
    except pa.ArrowInvalid:
        assert len(number.partition(".")[2]) > wide.scale


def test_an_unused_column_may_hold_any_number_or_identifier() -> None:
    """Bybit's `grossValue` is `4.2e+09`, its identifiers look like numbers: only what is stored is looked at."""
    header = AGG_HEADER + ",gross,trade"
    rows = [f"{row},4.2e+09,{UUID_LIKE.replace(',', '')}" for row in agg_rows(DAY, count=40)]
    market, dataset = parse_market("binance_um:BTCUSDT"), DATASETS["aggTrades"]
    with tempfile.TemporaryDirectory() as folder:
        path, target = Path(folder, "file"), Path(folder, "data.parquet")
        path.write_bytes(packed("\n".join([header, *rows, ""]).encode(), "binance_um"))
        source = SourceFile(path, "venue/file", Period.of_day(DAY))
        with mock.patch(
            "ingestion.decode.decoder.stream_of_good_rows", side_effect=AssertionError("judged row by row")
        ):
            assert decode([source], dataset, archive_of(market).layout(dataset, market), target).rows == 40


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
