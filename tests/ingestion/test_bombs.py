"""Memory is bounded whatever the bytes are: a file that is larger than any of its dataset is refused, with figures.

Belongs here: packed files that inflate, and rows that repeat, beyond reason. Does not: ordinary faults (`test_decode`).

Each bomb is read by a process of its own whose address space is limited: without the limits it would be killed.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ingestion.decode.decoder import SourceFile, decode
from ingestion.domain.datasets import AGG_TRADES, DATASETS, KLINES, TRADES, Dataset
from ingestion.domain.errors import SourceDefect
from ingestion.domain.periods import Period, Span
from ingestion.venues import archive_of, parse_market
from ingestion.venues.messages import LONGEST_MESSAGE, parsed
from ingestion.venues.venue import Malformed
from tests.support.archives import AGG_HEADER, BYBIT_HEADER, agg_rows, millis

DAY = date(2024, 1, 2)
# Of address space, of which both of Arrow's memory pools reserve more than they use: half of it is resident. More than
# reading any file takes beyond what importing takes, less than any of these bombs took.
ROOM_MIB = 800
MIB = 1 << 20

CHILD = textwrap.dedent(
    """
    import json, resource, sys
    from datetime import date
    from pathlib import Path
    import pyarrow.csv, pyarrow.parquet
    from ingestion.decode.decoder import SourceFile, decode
    from ingestion.domain.datasets import DATASETS
    from ingestion.domain.errors import ContractViolation, SourceDefect
    from ingestion.domain.periods import Period
    from ingestion.venues import archive_of, parse_market

    dataset, market = DATASETS[sys.argv[2]], parse_market(sys.argv[3])
    source = SourceFile(Path(sys.argv[1]), "venue/file", Period.of_day(date(2024, 1, 2)))
    layout = archive_of(market).layout(dataset, market)
    import pyarrow as pa
    pa.set_cpu_count(1), pa.set_io_thread_count(1)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (pages + int(sys.argv[4]) * 2**20,) * 2)
    try:
        decode([source], dataset, layout, Path(sys.argv[1] + ".parquet"))
        print(json.dumps(["read", ""]))
    except (ContractViolation, SourceDefect) as error:
        print(json.dumps([type(error).__name__, str(error)]))
    except MemoryError as error:
        print(json.dumps(["MemoryError", ""]))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
    """
)


def judged(path: Path, dataset: Dataset, market: str) -> tuple[str, str]:
    """How a process with little memory ends that decodes the file: the kind of error, and its text."""
    command = [sys.executable, "-c", CHILD, str(path), dataset.name, market, str(ROOM_MIB)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    print(f"{path.name}: peak {done.stderr.strip().splitlines()[-1]} MiB")
    kind, text = json.loads(done.stdout)
    return kind, text


def zipped(path: Path, blocks: Iterator[bytes]) -> Path:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open("a.csv", "w") as member,
    ):
        for block in blocks:
            member.write(block)
    return path


def gzipped(path: Path, blocks: Iterator[bytes]) -> Path:
    with gzip.open(path, "wb", compresslevel=1) as packed:
        for block in blocks:
            packed.write(block)
    return path


def zeros() -> Iterator[bytes]:
    return (bytes(8 * MIB) for _ in range(128))


def long_header() -> Iterator[bytes]:
    return (b"agg_trade_id," * (MIB // 2) for _ in range(32))


def repeated_row() -> Iterator[bytes]:
    yield AGG_HEADER.encode() + b"\n"
    row = agg_rows(DAY, 1)[0].encode() + b"\n"
    for _ in range(64):
        yield row * (4 * MIB // len(row))


def repeated_bybit_row() -> Iterator[bytes]:
    yield BYBIT_HEADER.encode() + b"\n"
    row = f"{millis(DAY) // 1000}.0,BTCUSDT,Buy,1,1,PlusTick,m,1,1,1\n".encode()
    for _ in range(64):
        yield row * (4 * MIB // len(row))


def newlines() -> Iterator[bytes]:
    yield AGG_HEADER.encode() + b"\n"
    yield from (b",,,,,,\n" * MIB for _ in range(32))


BYBIT = "bybit:BTCUSDT"
BINANCE = "binance_um:BTCUSDT"


@pytest.mark.parametrize(
    ("pack", "blocks", "dataset", "market", "reason"),
    [
        (zipped, zeros, AGG_TRADES, BINANCE, "inflates to more than"),
        (gzipped, zeros, TRADES, BYBIT, "its first line has more than 16384 bytes"),
        (zipped, long_header, AGG_TRADES, BINANCE, "inflates to more than"),
        (zipped, repeated_row, AGG_TRADES, BINANCE, "100 times its"),
        (gzipped, repeated_bybit_row, TRADES, BYBIT, "100 times its"),
        (zipped, newlines, AGG_TRADES, BINANCE, "100 times its"),
    ],
)
def test_what_inflates_beyond_reason_is_refused_within_little_memory(
    tmp_path: Path,
    pack: Callable[[Path, Iterator[bytes]], Path],
    blocks: Callable[[], Iterator[bytes]],
    dataset: Dataset,
    market: str,
    reason: str,
) -> None:
    path = pack(tmp_path / f"{blocks.__name__}.bin", blocks())
    kind, text = judged(path, dataset, market)
    assert (kind, reason in text) == ("SourceDefect", True), (kind, text)
    assert text.startswith("venue/file ")
    assert not Path(f"{path}.parquet").exists()


def refused(path: Path, dataset: Dataset = AGG_TRADES, market: str = BINANCE) -> str:
    found = parse_market(market)
    source = SourceFile(path, "venue/file", Period.of_day(DAY))
    with pytest.raises(SourceDefect) as caught:
        decode([source], dataset, archive_of(found).layout(dataset, found), path.with_suffix(".parquet"))
    return str(caught.value)


def test_a_claim_of_ten_gigabytes_is_refused_before_a_byte_is_inflated(tmp_path: Path) -> None:
    path = zipped(tmp_path / "claim.zip", iter([AGG_HEADER.encode()]))
    packed = bytearray(path.read_bytes())
    directory = packed.rindex(b"PK\x01\x02")
    packed[directory + 24 : directory + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(packed)
    assert "inflates to more than 16777216 bytes" in refused(path)


def test_a_zip_of_very_many_members_is_refused_before_they_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for n in range(2000):
            packed.writestr(f"{n}.csv", b"")
    assert "whose list of members takes" in refused(path)


def test_a_line_without_an_end_is_refused(tmp_path: Path) -> None:
    rows = [AGG_HEADER.encode() + b"\n", *(row.encode() + b"\n" for row in agg_rows(DAY, 5)), b"7," * (2 * MIB)]
    path = tmp_path / "line.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr("a.csv", b"".join(rows))
    assert "has a line of more than 1048576 bytes" in refused(path)


def test_a_first_line_of_very_many_columns_is_refused_and_shown_in_part(tmp_path: Path) -> None:
    path = zipped(tmp_path / "columns.zip", iter([b"a," * 5000 + b"\n"]))
    text = refused(path)
    assert "its first line has 5001 columns: `a,a," in text
    assert len(text) < 500


def test_more_rows_than_a_period_has_are_refused(tmp_path: Path) -> None:
    few = replace(AGG_TRADES, files=replace(AGG_TRADES.files, rows_per_day=4))
    path = zipped(tmp_path / "rows.zip", iter(["\n".join([AGG_HEADER, *agg_rows(DAY, 5)]).encode()]))
    assert "has more than 4 rows, the most that 1 days of aggTrades may have" in refused(path, few)


def test_more_rows_than_can_be_sorted_in_memory_are_refused(tmp_path: Path) -> None:
    few = replace(AGG_TRADES, files=replace(AGG_TRADES.files, rows_in_memory=4))
    path = zipped(tmp_path / "rows.zip", iter(["\n".join([AGG_HEADER, *agg_rows(DAY, 5)[::-1]]).encode()]))
    assert "there are more than 4 to be sorted in memory" in refused(path, few)


def test_the_limits_leave_a_wide_margin_to_the_largest_real_files() -> None:
    for dataset in (AGG_TRADES, TRADES):
        # A month of BTCUSDT: 200 million rows, 15 GB.
        assert dataset.files.rows_per_day * 30 > 10 * 200_000_000
        assert dataset.files.bytes_per_day * 30 > 10 * (15 << 30)
    rows_of_a_month = 31 * 24
    assert KLINES.span is Span.MONTH
    assert KLINES.files.rows_per_day * 28 > 100 * rows_of_a_month
    assert all(dataset.files.ratio >= 100 for dataset in DATASETS.values())


def test_a_message_that_is_longer_than_any_is_not_parsed() -> None:
    with pytest.raises(Malformed, match="more than the 4194304 that a message may have"):
        parsed(b"[" + b"{}," * (LONGEST_MESSAGE // 3 + 1) + b"{}]")
