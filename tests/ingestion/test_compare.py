"""What there is something to do for is found out without storing anything, and what was found is not looked at again
as long as nothing that it rests on has changed."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.archive import Compared, Findings, Found, Series, Status, Task, compare, ingest
from ingestion.domain.datasets import AGG_TRADES, KLINES
from ingestion.domain.periods import days_between
from ingestion.http import folder
from ingestion.http.archives import ArchiveLocation, Archives
from ingestion.http.fetch import Archive
from ingestion.raw.stores import open_store
from ingestion.raw.zone import DryZone, RawZone
from ingestion.venues import parse_market
from tests.support.archives import ArchiveFolder, ArchiveServer, agg_rows, archives_at, kline_rows

BTC = parse_market("binance_um:BTCUSDT")
FIRST, SECOND, THIRD = (date(2024, 1, n) for n in (1, 2, 3))
NOON = datetime(2024, 2, 1, 12, tzinfo=UTC)
KEY = "data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-{}.zip"


@pytest.fixture(autouse=True)
def long_after_the_files_were_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_SETTLES_AFTER", -1)


@dataclass
class Installation:
    """An archive, a zone and what was found of them."""

    root: Path
    archive: ArchiveFolder
    code: str = "this version"
    url: str = ""
    times: Iterator[int] = field(default_factory=lambda: itertools.count(1_700_000_000))

    def __post_init__(self) -> None:
        self.zone = RawZone(open_store(self.root / "store"))
        self.path = self.root / "history" / "findings.parquet"

    @contextmanager
    def opened(self, *, path: Path | None = None) -> Iterator[tuple[Archives, Findings]]:
        url = self.url or self.archive.url
        archives = Archives(lambda venue: ArchiveLocation(url, listing_url=self.url))
        yield archives, Findings(path or self.path, self.code, archives, self.zone.listed())
        archives.close()

    def compared(self, archives: Archives, findings: Findings, wanted: Sequence[Series]) -> Compared:
        listed = self.zone.listed()
        zone = DryZone(self.zone.store)
        return compare(wanted, archives=archives, zone=zone, listed=listed, findings=findings, now=NOON)

    def run(self, wanted: Sequence[Series]) -> list[Status]:
        """Compare, carry out what is due, remember all of it. Returns what the comparison found, by task."""
        with self.opened() as (archives, findings):
            found = self.compared(archives, findings, wanted)
            due = [outcome.task for outcome in found.outcomes if outcome.status == "due"]
            made = ingest(due, archives=archives_at(self.archive.url), zone=self.zone, now=NOON)
            known = [Found.of(each) for each in (*made, *found.outcomes) if each.receipt]
            findings.remember(known, self.zone.listed())
        return statuses(found, wanted)

    def looked(self, wanted: Sequence[Series]) -> list[Status]:
        """What a comparison finds that remembers nothing but what is recorded."""
        with self.opened() as (archives, findings):
            findings.holding = lambda series: {}  # type: ignore[method-assign]
            return statuses(self.compared(archives, findings, wanted), wanted)

    def touch(self, key: str) -> None:
        """Give the checksum of the object, and the object, another time than any file had before."""
        for path in (self.archive.root / key, self.archive.root / f"{key}.CHECKSUM"):
            if path.exists():
                at = next(self.times)
                os.utime(path, (at, at))


@pytest.fixture
def installation(tmp_path: Path, archive_folder: ArchiveFolder) -> Installation:
    for day in (FIRST, SECOND):
        archive_folder.agg_trades(day)
    return Installation(tmp_path, archive_folder)


def trades(first: date = FIRST, last: date = THIRD) -> list[Series]:
    return [Series(AGG_TRADES, BTC, "", first, last)]


def klines(first: date, last: date) -> list[Series]:
    return [Series(KLINES, BTC, "4h", first, last)]


def tasks_of(wanted: Sequence[Series]) -> list[Task]:
    return [task for series in wanted for task in series.tasks()]


def statuses(found: Compared, wanted: Sequence[Series]) -> list[Status]:
    """Of each task, in their order: every one is found once."""
    known = [((each.dataset, each.period), each.status) for each in found.known]
    looked_at = [((each.task.dataset.name, each.task.period), each.status) for each in found.outcomes]
    by_task = dict([*known, *looked_at])
    tasks = [(task.dataset.name, task.period) for task in tasks_of(wanted)]
    assert len(known) + len(looked_at) == len(by_task) == len(tasks)
    return [by_task[task] for task in tasks]


@pytest.fixture
def no_looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, a test fails where a receipt or a checksum is read."""

    def forbid() -> None:
        def read(*arguments: object, **named: object) -> None:
            raise AssertionError(f"read: {arguments}")

        monkeypatch.setattr(RawZone, "receipt", read)
        monkeypatch.setattr(Archive, "proof", read)

    return forbid


def test_what_was_never_ingested_is_due(installation: Installation) -> None:
    assert installation.run(trades()) == ["due", "due", "due"]


def test_what_was_found_is_not_looked_at_again(installation: Installation, no_looks: Callable[[], None]) -> None:
    installation.run(trades())
    no_looks()
    assert installation.run(trades()) == ["unchanged", "unchanged", "absent"]
    assert installation.run(trades()) == ["unchanged", "unchanged", "absent"]


def test_a_month_is_not_looked_at_again_though_it_was_made_of_days(
    installation: Installation, no_looks: Callable[[], None]
) -> None:
    for day in days_between(date(2024, 1, 1), date(2024, 1, 20)):
        installation.archive.klines_of_day(day)
    tasks = klines(date(2024, 1, 1), date(2024, 1, 20))
    installation.run(tasks)
    no_looks()
    assert installation.run(tasks) == ["unchanged"]


def a_correction(it: Installation) -> None:
    it.archive.agg_trades(SECOND, agg_rows(SECOND, 9))
    it.touch(KEY.format(SECOND))


def a_late_file(it: Installation) -> None:
    it.archive.agg_trades(THIRD)


def a_lost_receipt(it: Installation) -> None:
    it.zone.store.delete(tasks_of(trades())[1].object_id.receipt_key)


def another_receipt(it: Installation) -> None:
    it.zone.store.put_bytes(tasks_of(trades())[1].object_id.receipt_key, b"{")


def lost_data(it: Installation) -> None:
    it.zone.store.delete(tasks_of(trades())[1].object_id.data_key)


def damaged_data(it: Installation) -> None:
    it.zone.store.put_bytes(tasks_of(trades())[1].object_id.data_key, b"PAR1 is not enough")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (a_correction, ["unchanged", "due", "absent"]),
        (a_late_file, ["unchanged", "unchanged", "due"]),
        (a_lost_receipt, ["unchanged", "due", "absent"]),
        (another_receipt, ["unchanged", "due", "absent"]),
        (lost_data, ["unchanged", "due", "absent"]),
        (damaged_data, ["unchanged", "due", "absent"]),
    ],
)
def test_whatever_a_finding_rests_on_is_noticed(
    installation: Installation, change: Callable[[Installation], None], found: list[str]
) -> None:
    installation.run(trades())
    installation.run(trades())
    change(installation)
    assert installation.run(trades()) == found


def test_a_withdrawn_file_stays_stored_and_is_found_so_again(
    installation: Installation, no_looks: Callable[[], None]
) -> None:
    installation.run(trades(FIRST, SECOND))
    installation.archive.remove(KEY.format(SECOND))
    assert installation.run(trades(FIRST, SECOND)) == ["unchanged", "kept"]
    no_looks()
    assert installation.run(trades(FIRST, SECOND)) == ["unchanged", "kept"]


def test_other_days_of_a_period_are_looked_at(installation: Installation) -> None:
    for day in days_between(date(2024, 1, 1), date(2024, 1, 20)):
        installation.archive.klines_of_day(day)
    for last, found in ((10, "due"), (11, "due"), (11, "unchanged"), (9, "unchanged")):
        tasks = klines(date(2024, 1, 1), date(2024, 1, last))
        assert installation.run(tasks) == [found]


@pytest.mark.parametrize("loss", ["another version", "another archive", "no table", "a torn table"])
def test_without_a_finding_everything_is_looked_at(
    installation: Installation, tmp_path: Path, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.run(trades())
    if loss == "another version":
        installation.code = "another version"
    elif loss == "another archive":
        installation.archive.root.rename(tmp_path / "mirror")
        installation.archive = ArchiveFolder(tmp_path / "mirror")
    elif loss == "no table":
        installation.path.unlink()
    else:
        installation.path.write_bytes(installation.path.read_bytes()[:-40])
    receipts_read = []
    plain = RawZone.receipt
    monkeypatch.setattr(RawZone, "receipt", lambda zone, of: (receipts_read.append(of), plain(zone, of))[1])
    with installation.opened() as (archives, findings):
        installation.compared(archives, findings, trades())
    assert len(receipts_read) == 3


def test_what_is_unchanged_but_was_never_recorded_here_is_due_once(installation: Installation, tmp_path: Path) -> None:
    ingest(tasks_of(trades()), archives=archives_at(installation.archive.url), zone=installation.zone, now=NOON)
    assert installation.run(trades()) == ["due", "due", "due"]
    assert installation.run(trades()) == ["unchanged", "unchanged", "absent"]


def test_a_file_whose_bytes_differ_from_its_checksum_is_due_each_time(installation: Installation) -> None:
    installation.archive.claim(KEY.format(SECOND), "0" * 64)
    installation.run(trades())
    assert installation.run(trades()) == ["unchanged", "due", "absent"]
    assert installation.run(trades()) == ["unchanged", "due", "absent"]


def test_a_file_that_changed_just_now_is_looked_at(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may change again within the tick of the clock, and look the same."""
    monkeypatch.setattr(folder, "_SETTLES_AFTER", 3_600_000_000_000)
    installation.run(trades(FIRST, SECOND))
    proofs = []
    plain = Archive.proof
    monkeypatch.setattr(Archive, "proof", lambda it, key, known="": (proofs.append(key), plain(it, key, known))[1])
    with installation.opened() as (archives, findings):
        found = installation.compared(archives, findings, trades(FIRST, SECOND))
    assert statuses(found, trades(FIRST, SECOND)) == ["unchanged", "unchanged"]
    assert sorted(proofs) == [KEY.format(FIRST), KEY.format(SECOND)]


def test_a_change_while_the_run_was_at_work_is_noticed_by_the_next(installation: Installation) -> None:
    with installation.opened() as (archives, findings):
        installation.compared(archives, findings, trades())
        made = ingest(
            tasks_of(trades()), archives=archives_at(installation.archive.url), zone=installation.zone, now=NOON
        )
        a_correction(installation)
        findings.remember([Found.of(each) for each in made], installation.zone.listed())
    assert installation.run(trades()) == ["unchanged", "due", "absent"]


def test_a_listed_archive_needs_no_request_but_the_listing(
    tmp_path: Path, archive_folder: ArchiveFolder, archive_server: ArchiveServer
) -> None:
    archive_server.lists = 1000
    days = list(days_between(FIRST, date(2024, 1, 8)))
    for day in days[:-1]:
        archive_folder.agg_trades(day)
    installation = Installation(tmp_path, archive_folder, url=archive_server.url)
    tasks = trades(FIRST, days[-1])
    installation.run(tasks)
    archive_server.requests.clear()
    assert installation.run(tasks) == ["unchanged"] * 7 + ["absent"]
    assert [request for request in archive_server.requests if request != "list"] == ["SIMULATED.txt"]


def test_each_checksum_of_a_server_without_a_listing_is_requested(
    tmp_path: Path, archive_folder: ArchiveFolder, archive_server: ArchiveServer
) -> None:
    archive_folder.agg_trades(FIRST)
    installation = Installation(tmp_path, archive_folder, url=archive_server.url)
    installation.run(trades(FIRST, FIRST))
    archive_folder.agg_trades(FIRST, agg_rows(FIRST, 9))
    assert installation.run(trades(FIRST, FIRST)) == ["due"]


@settings(max_examples=25)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(["publish", "correct", "remove", "month", "lose receipt", "lose data"]),
                st.integers(1, 4),
            ),
            max_size=3,
        ),
        min_size=2,
        max_size=5,
    )
)
def test_what_is_found_with_memory_is_what_is_found_without(runs: list[list[tuple[str, int]]]) -> None:
    """Whatever happens to the archive and to the zone between runs."""
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "_SETTLES_AFTER", -1)
        it = Installation(Path(root), ArchiveFolder(Path(root, "archive")))
        days = list(days_between(FIRST, date(2024, 1, 4)))
        tasks = [*trades(FIRST, days[-1]), *klines(days[0], days[-1])]
        for rows, events in enumerate(runs, start=3):
            for event, number in events:
                _happen(it, event, days[number - 1], rows)
            assert it.looked(tasks) == it.run(tasks)


def _happen(it: Installation, event: str, day: date, rows: int) -> None:
    key, object_id = KEY.format(day), tasks_of(trades(day, day))[0].object_id
    if event == "publish":
        it.archive.agg_trades(day)
        it.archive.klines_of_day(day)
    elif event == "correct":
        it.archive.agg_trades(day, agg_rows(day, rows))
    elif event == "remove" and (it.archive.root / key).exists():
        it.archive.remove(key)
    elif event == "month":
        it.archive.put("data/futures/um/monthly/klines/BTCUSDT/4h/BTCUSDT-4h-2024-01.zip", kline_rows(day, rows))
    elif event == "lose receipt":
        it.zone.store.delete(object_id.receipt_key)
    elif event == "lose data":
        it.zone.store.delete(object_id.data_key)
    for path in it.archive.root.rglob("*.CHECKSUM"):
        it.touch(str(path.relative_to(it.archive.root)).removesuffix(".CHECKSUM"))
