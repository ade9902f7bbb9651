"""Any history of an archive and of its ingestion, against a model in a few lines: the state machine of promise 1.

Belongs here: what may happen (files appear, are corrected, restored and withdrawn; days are ingested in any order; the
process is killed) and what must hold after an undisturbed run. Does not: how many histories are tried
(`tests/ingestion/test_idempotence.py` and `tests/torture/test_idempotence.py`).

The model: of each day, the edition that the archive last had while the day was ingested. A fresh ingestion of an
archive with exactly these editions gives the same bytes under the same keys.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ingestion.archive import Outcome, Task, ingest, plan
from ingestion.domain.datasets import AGG_TRADES, KLINES
from ingestion.domain.periods import days_between
from ingestion.raw.receipts import Receipt
from ingestion.raw.store import LocalStore, ObjectStore
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market
from tests.support.archives import KLINE_HEADER, ArchiveFolder, agg_rows, archives_at, kline_rows
from tests.support.interrupted import Killed, KilledStore

BTC = parse_market("binance_um:BTCUSDT")
# Two months, so that klines, which are stored by the month, are two objects with two days each.
DAYS = (date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 2))
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)

days = st.sampled_from(DAYS)
editions = st.integers(1, 3)


def put_trades(archive: ArchiveFolder, day: date, edition: int) -> None:
    """The day's file in that edition: no two editions share a row."""
    archive.agg_trades(day, agg_rows(day, count=4 + edition, price=f"{42_000 + edition}.5"))


def put_klines(archive: ArchiveFolder, day: date, edition: int) -> None:
    rows = [row.replace(",1000,", f",{1000 + edition},") for row in kline_rows(day)]
    archive.put(f"data/futures/um/daily/klines/BTCUSDT/4h/BTCUSDT-4h-{day}.zip", rows, KLINE_HEADER)


def remove_day(archive: ArchiveFolder, day: date) -> None:
    archive.remove(f"data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-{day}.zip")
    archive.remove(f"data/futures/um/daily/klines/BTCUSDT/4h/BTCUSDT-4h-{day}.zip")


def tasks_of(first: date, last: date) -> list[Task]:
    return [*plan(AGG_TRADES, BTC, first, last), *plan(KLINES, BTC, first, last, interval="4h")]


def ingested(archive: ArchiveFolder, store: ObjectStore, first: date, last: date, now: datetime) -> list[Outcome]:
    zone = RawZone(store)
    outcomes = ingest(tasks_of(first, last), archives=archives_at(archive.url), zone=zone, now=now, workers=1)
    zone.write_index()
    return outcomes


def parquet_of(store: ObjectStore) -> dict[str, str]:
    """The sha256 of every stored object, by key."""
    return {
        found.key: hashlib.sha256(store.get_bytes(found.key) or b"").hexdigest()
        for found in store.list("raw")
        if found.key.endswith("/data.parquet")
    }


def receipts_of(store: ObjectStore) -> dict[str, Receipt]:
    """Every current receipt, by the folder it lies in."""
    return {
        found.key.removesuffix("/_receipt.json"): Receipt.from_json(store.get_bytes(found.key) or b"")
        for found in store.list("raw")
        if found.key.endswith("/_receipt.json")
    }


def untrue_receipts(store: ObjectStore) -> list[str]:
    """Receipts that do not describe the object beside them, and objects without a receipt."""
    stored, receipts = parquet_of(store), receipts_of(store)
    untrue = [
        f"{folder}: {receipt.status}, {receipt.stored_sha256[:8]} beside {stored.get(f'{folder}/data.parquet', '')[:8]}"
        for folder, receipt in receipts.items()
        if stored.get(f"{folder}/data.parquet", "") != (receipt.stored_sha256 if receipt.status == "stored" else "")
    ]
    return untrue + [key for key in stored if key.removesuffix("/data.parquet") not in receipts]


class Histories(RuleBasedStateMachine):
    """One history. `published`: what the archive has. `trades`, `klines`: the model. `requested`: the days of klines
    that were requested so far, since the object of a month always follows all of them. `unsettled`: days that were
    being ingested when the process was killed: what the raw zone holds of them is open until the next undisturbed run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="history-"))
        self.archive = ArchiveFolder(self.folder / "archive")
        self.store = LocalStore(self.folder / "store")
        self.published: dict[date, int] = {}
        self.trades: dict[date, int] = {}
        self.klines: dict[date, int] = {}
        self.requested: set[date] = set()
        self.unsettled: set[date] = set()
        self.now = NOON
        self._newest = 3

    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            shutil.rmtree(self.folder)

    @initialize(edition=editions)
    def publish_all(self, edition: int) -> None:
        for day in DAYS:
            self.publish(day, edition)

    @rule(day=days, edition=editions)
    def publish(self, day: date, edition: int) -> None:
        """A new file, a correction, an earlier edition again, or the same bytes again."""
        put_trades(self.archive, day, edition)
        put_klines(self.archive, day, edition)
        self.published[day] = edition

    @precondition(lambda self: self.published.keys() - self.unsettled)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        day = data.draw(st.sampled_from(sorted(self.published.keys() - self.unsettled)))
        remove_day(self.archive, day)
        del self.published[day]

    @rule(first=days, last=days)
    def run(self, first: date, last: date) -> None:
        """Any range of days, in any order of ranges."""
        first, last = sorted((first, last))
        outcomes = ingested(self.archive, self.store, first, last, self._later())
        assert [str(outcome.error) for outcome in outcomes if outcome.error is not None] == []
        self._took(first, last)

    @rule(order=st.permutations(DAYS))
    def run_day_by_day(self, order: Sequence[date]) -> None:
        for day in order:
            self.run(day, day)

    @rule(first=days, last=days, after=st.integers(1, 12), torn=st.booleans())
    def be_killed(self, first: date, last: date, after: int, torn: bool) -> None:
        """While it stores files that were just corrected."""
        first, last = sorted((first, last))
        for day in days_between(first, last):
            self._newest += 1
            self.publish(day, self._newest)
        store = KilledStore(self.store.root, after=after, torn=torn)
        try:
            ingested(self.archive, store, first, last, self._later())
        except Killed:
            # A month is stored as a whole: the other days of it that were requested before are written again.
            months = {day.month for day in days_between(first, last)}
            self.unsettled |= {day for day in DAYS if day.month in months}
        else:
            self._took(first, last)

    @rule()
    def settle(self) -> None:
        """An undisturbed run leaves what a fresh ingestion would make, and a second one changes nothing."""
        self.run(DAYS[0], DAYS[-1])
        assert untrue_receipts(self.store) == []
        assert parquet_of(self.store) == self._fresh()
        before = [(found.key, found.version) for found in self.store.list("raw")]
        self.run(DAYS[0], DAYS[-1])
        assert [(found.key, found.version) for found in self.store.list("raw")] == before

    def _took(self, first: date, last: date) -> None:
        now = set(days_between(first, last))
        self.requested |= now
        months = {day.month for day in now}
        widened = {day for day in self.requested if day.month in months}
        self.trades |= {day: edition for day, edition in self.published.items() if day in now}
        self.klines |= {day: edition for day, edition in self.published.items() if day in widened}
        if (first, last) == (DAYS[0], DAYS[-1]):
            self.unsettled.clear()

    def _fresh(self) -> dict[str, str]:
        archive, store = ArchiveFolder(self.folder / "model"), LocalStore(self.folder / "fresh")
        try:
            for day, edition in self.trades.items():
                put_trades(archive, day, edition)
            for day, edition in self.klines.items():
                put_klines(archive, day, edition)
            ingested(archive, store, DAYS[0], DAYS[-1], NOON)
            return parquet_of(store)
        finally:
            shutil.rmtree(archive.root)
            shutil.rmtree(store.root, ignore_errors=True)

    def _later(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now
