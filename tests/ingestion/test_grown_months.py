"""A month that is made of its days: a day more is one file more, and the object is the one that all files would give.

Belongs here: that files which were decoded before are neither fetched nor decoded again, and that this cannot be seen
in what is stored. Does not: what a month is made of (`test_ingest`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.archive import ingest, make, plan
from ingestion.decode.decoder import DECODER_VERSION
from ingestion.domain.datasets import KLINES
from ingestion.domain.periods import days_between
from ingestion.raw.receipts import SCHEMA_VERSION
from ingestion.raw.soundness import Inspector
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market
from tests.support.archives import KLINE_HEADER, ArchiveFolder, ArchiveServer, archives_at, kline_rows

BTC = parse_market("binance_um:BTCUSDT")
DAYS = list(days_between(date(2024, 1, 1), date(2024, 1, 8)))
NOON = datetime(2024, 2, 1, 12, tzinfo=UTC)


# The file of a day in each of these states; a state of an earlier day may follow another one.
FILES: dict[str, Callable[[date], list[str]]] = {
    "good": kline_rows,
    "corrected": lambda day: [row.replace(",10,", ",11,", 1) for row in kline_rows(day)],
    "shorter": lambda day: kline_rows(day)[:4],
    "empty": lambda day: [],
    "twice": lambda day: [*kline_rows(day), kline_rows(day)[2]],
    "unordered": lambda day: kline_rows(day)[::-1],
    "faulty": lambda day: [*kline_rows(day)[:5], kline_rows(day)[5].replace(",90,", ",x,", 1)],
    "of another day": lambda day: kline_rows(day)[:3] + kline_rows(date(2024, 1, 20))[:1],
}
STATES = st.sampled_from([*FILES, "withdrawn"])


def put(archive: ArchiveFolder, day: date, state: str) -> None:
    key = f"data/futures/um/daily/klines/BTCUSDT/4h/BTCUSDT-4h-{day}.zip"
    if state != "withdrawn":
        archive.put(key, FILES[state](day), KLINE_HEADER)
    elif (archive.root / key).exists():
        archive.remove(key)


def bring_up_to_date(archive: str, zone: RawZone, last_day: date) -> int:
    """How many bytes were downloaded."""
    tasks = plan(KLINES, BTC, DAYS[0], last_day, interval="4h")
    return sum(
        outcome.bytes_downloaded for outcome in ingest(tasks, archives=archives_at(archive), zone=zone, now=NOON)
    )


def stored(zone: RawZone) -> dict[str, bytes | None]:
    """Every object with its bytes."""
    return {found.key: zone.store.get_bytes(found.key) for found in zone.store.list("raw")}


def zone_in(folder: Path) -> RawZone:
    return RawZone(open_store(str(folder)))


def read_after(archive: ArchiveFolder, server: ArchiveServer, zone: RawZone, changes: dict[int, str]) -> list[str]:
    """The days of the files that are fetched once a day more is published, and the files of others have changed."""
    server.requests.clear()
    put(archive, DAYS[-1], "good")
    for day, state in changes.items():
        put(archive, DAYS[day], state)
    bring_up_to_date(server.url, zone, DAYS[-1])
    return sorted(key[-14:-4] for key in server.requests if key.endswith(".zip"))


@pytest.mark.parametrize(
    ("before", "changes", "read"),
    [
        ({}, {}, [7]),
        ({}, {2: "corrected"}, [2, 7]),
        ({}, {2: "withdrawn"}, [7]),
        ({2: "withdrawn"}, {2: "good"}, [2, 7]),
        ({2: "empty"}, {}, [7]),
        ({2: "twice"}, {}, [2, 7]),
        ({2: "faulty"}, {}, [2, 7]),
        ({2: "unordered"}, {}, [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_only_the_files_are_read_whose_rows_are_not_stored_as_they_are(
    before: dict[int, str],
    changes: dict[int, str],
    read: list[int],
    archive_folder: ArchiveFolder,
    archive_server: ArchiveServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grown, whole = zone_in(tmp_path / "grown"), zone_in(tmp_path / "whole")
    for n, day in enumerate(DAYS[:-1]):
        put(archive_folder, day, before.get(n, "good"))
    for zone in (grown, whole):
        bring_up_to_date(archive_folder.url, zone, DAYS[-2])
    assert read_after(archive_folder, archive_server, grown, changes) == [str(DAYS[n]) for n in read]
    monkeypatch.setattr(make, "_stored_rows", lambda work, published: ([], None))
    bring_up_to_date(archive_folder.url, whole, DAYS[-1])
    assert stored(grown) == stored(whole)


@pytest.mark.parametrize("older", [{"decoder_version": DECODER_VERSION - 1}, {"schema_version": SCHEMA_VERSION - 1}])
def test_every_file_is_read_where_an_older_version_stored_the_others(
    older: dict[str, int], archive_folder: ArchiveFolder, archive_server: ArchiveServer, tmp_path: Path
) -> None:
    zone = zone_in(tmp_path / "zone")
    for day in DAYS[:-1]:
        put(archive_folder, day, "good")
    (task,) = plan(KLINES, BTC, DAYS[0], DAYS[-2], interval="4h")
    bring_up_to_date(archive_folder.url, zone, DAYS[-2])
    receipt = zone.receipt(task.object_id)
    assert receipt is not None
    zone.put(task.object_id, None, replace(receipt, **older))  # type: ignore[arg-type]
    assert read_after(archive_folder, archive_server, zone, {}) == [str(day) for day in DAYS]


def test_of_a_contract_that_was_delivered_is_stored_as_all_of_its_files_would_be(
    archive_folder: ArchiveFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market, days = parse_market("binance_cm:BTCUSD_200925"), list(days_between(date(2020, 9, 22), date(2020, 9, 25)))
    grown, whole = zone_in(tmp_path / "grown"), zone_in(tmp_path / "whole")
    for last_day in days[1:]:
        for day in days_between(days[0], last_day):
            key = f"data/futures/cm/daily/klines/BTCUSD_200925/4h/BTCUSD_200925-4h-{day}.zip"
            archive_folder.put(key, kline_rows(day), KLINE_HEADER)
        tasks = plan(KLINES, market, days[0], last_day, interval="4h")
        ingest(tasks, archives=archives_at(archive_folder.url), zone=grown, now=NOON)
        with monkeypatch.context() as patch:
            patch.setattr(make, "_stored_rows", lambda work, published: ([], None))
            ingest(tasks, archives=archives_at(archive_folder.url), zone=whole, now=NOON)
    assert stored(grown) == stored(whole)


@settings(max_examples=15)
@given(
    first=st.lists(STATES, min_size=len(DAYS), max_size=len(DAYS)),
    steps=st.lists(
        st.tuples(st.integers(1, 3), st.dictionaries(st.integers(0, 5), STATES, max_size=2)), min_size=2, max_size=4
    ),
)
def test_is_stored_as_all_of_its_files_would_be(first: list[str], steps: list[tuple[int, dict[int, str]]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        archive, published = ArchiveFolder(Path(name, "archive")), 0
        grown, whole = zone_in(Path(name, "grown")), zone_in(Path(name, "whole"))
        for more, changes in steps:
            for n in range(published, min(published + more, len(DAYS))):
                put(archive, DAYS[n], first[n])
            published = min(published + more, len(DAYS))
            for n, state in changes.items():
                if n < published:
                    put(archive, DAYS[n], state)
            bring_up_to_date(archive.url, grown, DAYS[published - 1])
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(make, "_stored_rows", lambda work, published: ([], None))
                bring_up_to_date(archive.url, whole, DAYS[published - 1])
            assert stored(grown) == stored(whole)


def test_is_made_of_its_files_where_what_is_stored_is_found_changed_as_it_is_read(
    archive_folder: ArchiveFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone, undamaged = zone_in(tmp_path / "zone"), zone_in(tmp_path / "undamaged")
    for day in DAYS[:-1]:
        put(archive_folder, day, "good")
    for each in (zone, undamaged):
        bring_up_to_date(archive_folder.url, each, DAYS[-2])
    put(archive_folder, DAYS[-1], "good")
    (data,) = (tmp_path / "zone").rglob("data.parquet")
    payload = bytearray(data.read_bytes())
    payload[len(payload) // 2] ^= 1
    data.write_bytes(payload)
    monkeypatch.setattr(Inspector, "fault", lambda self, folder, receipt: None)
    for each in (zone, undamaged):
        bring_up_to_date(archive_folder.url, each, DAYS[-1])
    assert stored(zone) == stored(undamaged)
