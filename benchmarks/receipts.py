"""What the tables of receipts cost, by the number of receipts: `python -m benchmarks.receipts 50000 1000000`.

Belongs here: a zone of daily objects that is computed and not stored, so that a million of them fit anywhere; each step
in a process of its own, with its CPU time and peak memory. Does not: what a file system or S3 takes to list and to read
them, which comes on top and is stated in `docs/scale.md`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarks.measured import ROOT
from ingestion.domain.periods import Period
from ingestion.raw.names import DATA, RECEIPT
from ingestion.raw.notes import Noting
from ingestion.raw.receipts import ObjectId, Source, receipt_of
from ingestion.raw.store import NOTHING, LocalStore, StoredObject
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market

_FIRST: Final = date(2020, 1, 1)
_DAYS: Final = 1000
# Each step, with how many objects there are by then beside the first ones.
_STEPS: Final = {
    "first": 0,
    "unchanged": 0,
    "is current?": 0,
    "one added": 1,
    "unchanged, noted": 1,
    "one added, noted": 2,
}


class ComputedZone(LocalStore):
    """Daily objects of so many receipts, computed when they are listed or read; what is written goes to a folder."""

    def __init__(self, root: Path, receipts: int) -> None:
        super().__init__(root)
        self._receipts = receipts

    def list(self, prefix: str = "", *, only: Mapping[str, Sequence[str]] = NOTHING) -> list[StoredObject]:
        stored = super().list(prefix)
        found = [each for n in range(self._receipts) for each in _objects(n)] if prefix == "raw" else []
        return sorted([*found, *stored])

    def list_beginning(self, text: str) -> Sequence[StoredObject]:
        """A month of one market."""
        month = re.fullmatch(r".*/symbol=C(\d+)USDT/date=(\d{4}-\d\d)", text)
        assert month is not None, text
        first = (date.fromisoformat(f"{month[2]}-01") - _FIRST).days
        days = range(max(0, first), min(first + 31, _DAYS))
        numbers = [int(month[1]) * _DAYS + day for day in days]
        found = [each for n in numbers if n < self._receipts for each in _objects(n)]
        return [each for each in found if each.key.startswith(text)]

    def get_version(self, key: str) -> tuple[bytes, str] | None:
        if key.endswith(RECEIPT):
            return _receipt(_number(key)), ""
        return super().get_version(key)

    def sha256(self, key: str) -> str | None:
        return _sha256(_number(key)) if key.endswith(DATA) else super().sha256(key)


def _folder(number: int) -> str:
    market, day = divmod(number, _DAYS)
    return f"raw/aggTrades/venue=binance_um/symbol=C{market:05d}USDT/date={_FIRST + timedelta(days=day)}"


def _number(key: str) -> int:
    symbol, day = key.split("/")[3:5]
    return int(symbol[8:13]) * _DAYS + (date.fromisoformat(day[5:]) - _FIRST).days


def _objects(number: int) -> Iterator[StoredObject]:
    folder = _folder(number)
    yield StoredObject(folder + RECEIPT, 900, f"1700000000{number:09d}-{number}-900")
    yield StoredObject(folder + DATA, 1_000_000, f"1700000000{number:09d}-{number}-1000000")


def _sha256(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


def _receipt(number: int) -> bytes:
    market, day = divmod(number, _DAYS)
    market_of_it = parse_market(f"binance_um:C{market:05d}USDT")
    object_id = ObjectId("aggTrades", market_of_it, "", Period.of_day(_FIRST + timedelta(days=day)))
    sources = [Source(f"data/{object_id}.zip", _sha256(number), 900_000, 100_000)]
    receipt = receipt_of(
        object_id,
        now=datetime(2026, 1, 1, tzinfo=UTC),
        version=3,
        sources=sources,
        rows=100_000,
        stored_bytes=1_000_000,
        stored_sha256=_sha256(number),
    )
    return receipt.to_json()


def _step(step: str, receipts: int, folder: Path) -> None:
    """One step in this process; prints seconds, seconds of CPU and the peak memory in MB."""
    receipts += _STEPS[step]
    zone = RawZone(ComputedZone(folder, receipts), only_noted=step.endswith("noted"))
    if step == "one added, noted":  # as a writer does before it stores an object
        Noting(zone.store).before(_folder(receipts - 1))
    started, before = time.perf_counter(), os.times()
    if step == "is current?":
        assert zone.index_is_current()
    else:
        assert zone.write_index().num_rows == receipts
    after = os.times()
    cpu = after.user + after.system - before.user - before.system
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([time.perf_counter() - started, cpu, peak]))


def main(counts: Sequence[int]) -> None:
    print(f"{'receipts':>10}  {'step':<18}{'seconds':>9}{'CPU s':>9}{'peak MB':>9}")
    for receipts in counts:
        with tempfile.TemporaryDirectory(prefix="taker-bench-") as folder:
            for step in _STEPS:
                command = [sys.executable, "-m", "benchmarks.receipts", "step", step, str(receipts), folder]
                answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
                seconds, cpu, peak = json.loads(answer.stdout)
                print(f"{receipts:>10,}  {step:<18}{seconds:>9.1f}{cpu:>9.1f}{peak:>9,.0f}", flush=True)
            tables = {path.name: path.stat().st_size / 1e6 for path in Path(folder, "raw").glob("*.parquet")}
            print(" " * 12 + ", ".join(f"{name} {size:.1f} MB" for name, size in sorted(tables.items())))


if __name__ == "__main__":
    if sys.argv[1:2] == ["step"]:
        _step(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    else:
        main([int(count) for count in sys.argv[1:]] or [50_000, 1_000_000])
