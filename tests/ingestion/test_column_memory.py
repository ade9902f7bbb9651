"""Columns as numpy arrays over the same memory: the same values, nothing copied, and no pandas imported for them."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ingestion.decode.memory import column_of, integers, use_fast_pool
from ingestion.decode.parse import MICROSECONDS_FROM, instants
from ingestion.domain.arrow import INSTANT
from tests.support.archives import AGG_HEADER, KLINE_HEADER, ArchiveFolder, agg_rows, kline_rows

_DECODE = """
import sys
from datetime import date
from pathlib import Path
from ingestion.decode.decoder import SourceFile, decode
from ingestion.domain.datasets import DATASETS
from ingestion.domain.periods import Period
from ingestion.venues import archive_of, parse_market

market, dataset = parse_market("binance_um:BTCUSDT"), DATASETS[sys.argv[3]]
source = SourceFile(Path(sys.argv[1]), "file.zip", Period.of_day(date(2024, 1, 2)))
found = decode([source], dataset, archive_of(market).layout(dataset, market), Path(sys.argv[2]))
print(found.rows, "pandas" in sys.modules)
"""


@pytest.mark.parametrize(
    ("dataset", "rows", "header"),
    [("aggTrades", agg_rows(date(2024, 1, 2)), AGG_HEADER), ("klines", kline_rows(date(2024, 1, 2)), KLINE_HEADER)],
    ids=["trades", "bars"],
)
def test_a_good_file_is_decoded_without_importing_pandas(
    tmp_path: Path, dataset: str, rows: list[str], header: str
) -> None:
    archive = ArchiveFolder(tmp_path)
    key = archive.put("file.zip", rows, header)
    command = [sys.executable, "-c", _DECODE, str(archive.root / key), str(tmp_path / "data.parquet"), dataset]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{len(rows)} False\n"


@pytest.mark.parametrize(
    "values",
    [
        pa.array([3, 1, 2]),
        pa.array([9, 3, 1, 2]).slice(1, 2),
        pa.array([3, 1], INSTANT),
        pa.chunked_array([[3, 1], [], [2]], pa.int64()),
        pa.chunked_array([], pa.int64()),
    ],
    ids=["whole", "a part", "times", "in pieces", "empty"],
)
def test_whole_numbers_are_those_of_the_column(values: pa.Array | pa.ChunkedArray) -> None:
    assert integers(values).tolist() == values.cast(pa.int64()).to_pylist()


def test_a_column_of_numbers_has_their_values_also_when_they_do_not_lie_side_by_side() -> None:
    numbers = np.arange(6)
    assert column_of(numbers[::2], pa.int64()).to_pylist() == [0, 2, 4]


@pytest.mark.parametrize(
    "epoch",
    [
        [1, MICROSECONDS_FROM - 1],
        [MICROSECONDS_FROM, MICROSECONDS_FROM + 1],
        [MICROSECONDS_FROM - 1, MICROSECONDS_FROM],
        [-1, 1],
        [0, None],
        [],
    ],
    ids=["milliseconds", "microseconds", "both", "before 1970", "with a missing one", "none"],
)
def test_each_time_is_in_the_unit_that_its_size_shows(epoch: list[int | None]) -> None:
    meant = [None if at is None else at if at >= MICROSECONDS_FROM else at * 1000 for at in epoch]
    assert instants(pa.array(epoch, pa.int64())).cast(pa.int64()).to_pylist() == meant


def test_a_pool_that_the_environment_names_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    used = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", "system")
        use_fast_pool.__wrapped__()
        assert pa.default_memory_pool().backend_name == "system"
        monkeypatch.delenv("ARROW_DEFAULT_MEMORY_POOL")
        use_fast_pool.__wrapped__()
        has_jemalloc = "jemalloc" in pa.supported_memory_backends()
        assert pa.default_memory_pool().backend_name == ("jemalloc" if has_jemalloc else "system")
    finally:
        pa.set_memory_pool(used)
