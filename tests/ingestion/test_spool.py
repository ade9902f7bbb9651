"""The spool: what was written comes back, whatever a crash left, and one process alone writes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.live import spool
from ingestion.live.allowance import MOST_BYTES, MOST_OTHER_BYTES, MOST_OTHER_MESSAGES, Allowance
from ingestion.live.spool import (
    FORMAT,
    HOUR_NS,
    CoveredMinute,
    DroppedMessages,
    ReceivedMessage,
    Record,
    SpoolBusy,
    SpoolFailed,
    SpoolReader,
    SpoolWriter,
    encoded,
    finished_segments,
    held,
    is_held,
    segments,
)
from ingestion.venues.messages import LONGEST_MESSAGE
from tests.support.venue_server import until

HOUR = 497_000 * HOUR_NS  # some hour
LABEL = spool.hour_label(HOUR)

names = st.text(max_size=20)
records = st.lists(
    st.one_of(
        st.builds(ReceivedMessage, st.integers(0, 2**62), names, st.binary(max_size=200)),
        st.builds(CoveredMinute, st.integers(0, 2**62), names, st.lists(names, max_size=3).map(tuple)),
    ),
    max_size=12,
)


def received(n: int, message: bytes = b"{}", *, hour: int = HOUR) -> ReceivedMessage:
    return ReceivedMessage(hour + n, "a connection", message)


def read(path: Path) -> tuple[list[Record], int]:
    reader = SpoolReader(path)
    return list(reader), reader.torn_bytes


def wrote(folder: Path, *written: Record, clock: int = HOUR, name: str = "okx") -> None:
    async def write() -> None:
        writer = SpoolWriter(folder, clock=lambda: clock)
        for record in written:
            writer.append(name, record)
        writer.finish()
        await writer.run()

    asyncio.run(write())


# ---- reading ----


@given(records)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_record_comes_back_as_it_was(tmp_path: Path, written: list[Record]) -> None:
    path = tmp_path / "file"
    path.write_bytes(FORMAT + b"".join(map(encoded, written)))
    assert read(path) == (written, 0)


@given(records, st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cut_leaves_the_whole_records_before_it_and_counts_the_rest(
    tmp_path: Path, written: list[Record], data: st.DataObject
) -> None:
    whole = FORMAT + b"".join(map(encoded, written))
    cut = data.draw(st.integers(0, len(whole)))
    ends = [len(FORMAT)]
    for record in written:
        ends.append(ends[-1] + len(encoded(record)))
    path = tmp_path / "file"
    path.write_bytes(whole[:cut])
    complete = len([end for end in ends[1:] if end <= cut])
    lost = cut - ends[complete] if cut >= len(FORMAT) else cut
    assert read(path) == (written[:complete], lost)


@given(records, st.binary(min_size=1, max_size=100))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_after_the_records_takes_none_of_them_away(tmp_path: Path, written: list[Record], noise: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(FORMAT + b"".join(map(encoded, written)) + noise)
    assert read(path) == (written, len(noise))


@given(records.filter(bool), st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_bit_that_flipped_ends_the_file_there(tmp_path: Path, written: list[Record], data: st.DataObject) -> None:
    whole = bytearray(FORMAT + b"".join(map(encoded, written)))
    at = data.draw(st.integers(len(FORMAT), len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "file"
    path.write_bytes(whole)
    found, torn = read(path)
    assert found == written[: len(found)]
    assert len(found) < len(written)
    assert torn > 0


# ---- writing ----


def test_messages_lie_in_the_file_of_the_hour_in_which_they_came(tmp_path: Path) -> None:
    wrote(tmp_path, received(1), received(2), received(0, hour=HOUR + HOUR_NS))
    first, second = segments(tmp_path)
    assert (first.venue, first.hour) == ("okx", LABEL)
    assert read(first.path) == ([received(1), received(2)], 0)
    assert read(second.path) == ([received(0, hour=HOUR + HOUR_NS)], 0)


def test_a_second_run_in_the_same_hour_writes_beside_the_first_also_when_the_clock_went_back(tmp_path: Path) -> None:
    wrote(tmp_path, received(1), clock=HOUR + 50)
    wrote(tmp_path, received(2), clock=HOUR + 20)
    assert [read(segment.path)[0] for segment in segments(tmp_path)] == [[received(1)], [received(2)]]


def test_a_full_spool_makes_the_connection_wait_and_loses_nothing(tmp_path: Path) -> None:
    async def run() -> SpoolWriter:
        writer = SpoolWriter(tmp_path, fsync_seconds=0.01, pending_limit=10_000, clock=lambda: HOUR)
        writing = asyncio.create_task(writer.run())
        for n in range(5_000):
            writer.append("okx", received(n, b"x" * 100))
            if writer.is_full:
                await writer.room()
        writer.finish()
        await writing
        return writer

    writer = asyncio.run(run())
    (segment,) = segments(tmp_path)
    assert [record.received_ns - HOUR for record in read(segment.path)[0] if isinstance(record, ReceivedMessage)] == [
        *range(5_000)
    ]
    assert writer.peak_pending < 10_000 + 200


def test_a_record_is_on_disk_within_the_interval(tmp_path: Path) -> None:
    async def run() -> None:
        writer = SpoolWriter(tmp_path, fsync_seconds=0.05, clock=lambda: HOUR)
        writing = asyncio.create_task(writer.run())
        writer.append("okx", received(1))
        await until(lambda: [read(each.path)[0] for each in segments(tmp_path)] == [[received(1)]], "the record")
        assert segments(tmp_path)[0].path.suffix == ".open"
        writer.finish()
        await writing

    asyncio.run(run())


def test_a_disk_that_refuses_is_reported_and_ends_the_writing(tmp_path: Path) -> None:
    (tmp_path / "okx").write_text("in the way")
    with pytest.raises(SpoolFailed, match="check free space and permissions"):
        wrote(tmp_path, received(1))


def test_the_file_of_an_hour_is_closed_a_little_after_it(tmp_path: Path) -> None:
    now = HOUR

    async def run() -> None:
        nonlocal now
        writer = SpoolWriter(tmp_path, fsync_seconds=0.01, clock=lambda: now)
        writing = asyncio.create_task(writer.run())
        writer.append("okx", received(1))
        await until(lambda: segments(tmp_path), "the file")
        now = HOUR + HOUR_NS + (spool.GRACE_SECONDS + 1) * 1_000_000_000
        await until(lambda: segments(tmp_path)[0].path.suffix == ".spool", "its closing")
        writer.finish()
        await writing

    asyncio.run(run())


# ---- who writes, and what is finished ----


def test_a_second_collector_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with held(tmp_path):
        assert is_held(tmp_path)
        with pytest.raises(SpoolBusy, match="already writing to"), held(tmp_path):
            pass
    assert not is_held(tmp_path)
    with held(tmp_path):
        pass


def test_an_hour_is_finished_when_it_has_ended_and_no_collector_writes_to_it(tmp_path: Path) -> None:
    ends = datetime.fromtimestamp((HOUR + HOUR_NS) / 1e9, UTC)
    with held(tmp_path):
        wrote(tmp_path, received(1))
        opened = segments(tmp_path)[0].path
        opened.rename(opened.with_name(f"{opened.name}.open"))
        assert finished_segments(tmp_path, now=ends) == []
    assert finished_segments(tmp_path, now=ends - timedelta(seconds=1)) == []
    assert len(finished_segments(tmp_path, now=ends)) == 1
    with held(tmp_path):  # what a killed collector left open is closed by the next one
        assert [segment.path for segment in finished_segments(tmp_path, now=ends)] == [opened]


# ---- how much is kept ----


def test_junk_is_kept_up_to_a_cap_an_hour_and_the_rest_is_counted() -> None:
    allowance = Allowance("okx")
    kept = sum(allowance.allows(HOUR, 100, is_market_data=False) for _ in range(MOST_OTHER_MESSAGES + 5))
    assert kept == MOST_OTHER_MESSAGES
    assert allowance.allows(HOUR, 100, is_market_data=True)
    assert allowance.allows(HOUR + HOUR_NS, 100, is_market_data=False)
    assert allowance.taken() == [DroppedMessages(HOUR, "okx", 5, 500)]
    assert allowance.taken() == []


def test_a_message_too_long_to_be_read_is_junk_whatever_it_names() -> None:
    allowance = Allowance("okx")
    assert not allowance.allows(HOUR, LONGEST_MESSAGE + 1, is_market_data=True)
    assert allowance.allows(HOUR, LONGEST_MESSAGE, is_market_data=True)
    assert allowance.allows(HOUR, MOST_OTHER_BYTES, is_market_data=False)
    assert not allowance.allows(HOUR, 1, is_market_data=False)


def test_a_connection_cannot_fill_a_disk_with_what_looks_like_market_data() -> None:
    allowance = Allowance("okx")
    kept = sum(allowance.allows(HOUR, LONGEST_MESSAGE, is_market_data=True) for _ in range(5000))
    assert kept == MOST_BYTES // LONGEST_MESSAGE
    (dropped,) = allowance.taken()
    assert dropped.messages == 5000 - kept


def test_what_was_dropped_comes_back_as_it_was(tmp_path: Path) -> None:
    dropped = DroppedMessages(HOUR + 7, "okx trades", 5, 10**12)
    wrote(tmp_path, dropped)
    assert read(next(tmp_path.glob("*/*.spool*"))) == ([dropped], 0)
