"""Several collectors of one storage: each event once, each minute once, in whatever order they seal.

Belongs here: what a day holds that two have received. Does not: what one has (`test_seal`), who waits for whom
(`tests/orchestration/test_sealing`).
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.domain.markets import Market
from ingestion.domain.periods import Period
from ingestion.live import seal as sealing
from ingestion.live.seal import seal
from ingestion.live.spool import Record, segments
from ingestion.raw.stores import open_store
from ingestion.raw.zone import ObjectId, RawZone, Receipt
from tests.support import messages
from tests.support.spooling import NOON, covered, ms, received, spooled

DAY = date(2026, 9, 21)
LATER = NOON + timedelta(hours=3)
ORDERS = ObjectId("liquidations", Market.whole_venue("binance_um"), "", Period.of_day(DAY))


def zone_in(folder: Path) -> RawZone:
    return RawZone(open_store(folder / "storage"))


def order_at(at: datetime, z: str = "0.4") -> str:
    return messages.force_order(at=ms(at), z=z)


def day_in(zone: RawZone) -> tuple[bytes | None, Receipt]:
    """The bytes of the day's object, and its receipt but for when it was stored."""
    receipt = zone.receipt(ORDERS)
    assert receipt is not None
    return zone.store.get_bytes(ORDERS.data_key), replace(receipt, known_at=NOON)


# ---- once


def test_an_event_that_two_have_received_is_one_row_as_the_first_received_it(tmp_path: Path) -> None:
    zone = zone_in(tmp_path)
    for name, seconds in (("tokyo", 2), ("paris", 1)):
        spooled(tmp_path / name, received(order_at(NOON), NOON + timedelta(seconds=seconds)), collector=name)
        seal(tmp_path / name, zone, now=LATER)
    receipt = zone.receipt(ORDERS)
    (row,) = zone.rows(ORDERS).to_pylist()
    assert row["received_at"] == NOON + timedelta(seconds=1)
    assert (receipt.rows, receipt.duplicate_rows, receipt.revision) == (1, 1, 1)
    assert [source.key.split(".")[2] for source in receipt.sources] == ["paris", "tokyo"]


def test_a_minute_that_two_have_covered_counts_once_and_one_of_either_counts(tmp_path: Path) -> None:
    zone = zone_in(tmp_path)
    for name, minutes in (("tokyo", range(0, 30)), ("paris", range(20, 40))):
        spooled(tmp_path / name, *(covered(NOON + timedelta(minutes=n)) for n in minutes), collector=name)
        seal(tmp_path / name, zone, now=LATER)
    assert zone.receipt(ORDERS).covered_minutes == {"2026-09-21T12": 40}
    zone.write_index()
    assert zone.coverage()["covered_minutes"].to_pylist() == [40]


def test_two_of_different_venues_do_not_meet(tmp_path: Path) -> None:
    zone = zone_in(tmp_path)
    spooled(tmp_path / "tokyo", covered(NOON), collector="tokyo")
    spooled(tmp_path / "paris", covered(NOON), venue="okx", collector="paris")
    assert [each.venue for each in seal(tmp_path / "tokyo", zone, now=LATER)] == ["binance_um"]
    assert [each.venue for each in seal(tmp_path / "paris", zone, now=LATER)] == ["okx"]
    before = day_in(zone)
    assert seal(tmp_path / "tokyo", zone, now=LATER) == seal(tmp_path / "paris", zone, now=LATER) == []
    assert day_in(zone) == before


def test_minutes_of_an_older_version_are_no_fewer_than_it_counted(tmp_path: Path) -> None:
    """Which ones they were is not known: those of another collector may be the same."""
    zone = zone_in(tmp_path)
    spooled(tmp_path / "old", *(covered(NOON + timedelta(minutes=n)) for n in range(30)))
    seal(tmp_path / "old", zone, now=LATER)
    older = replace(zone.receipt(ORDERS), which_minutes={}, decoder_version=sealing.SEAL_VERSION - 1)
    zone.store.put_bytes(ORDERS.receipt_key, older.to_json())
    for name, minutes in (("a", 10), ("b", 45)):
        spooled(tmp_path / name, *(covered(NOON + timedelta(minutes=n)) for n in range(minutes)), collector=name)
        seal(tmp_path / name, zone, now=LATER)
        assert zone.receipt(ORDERS).covered_minutes == {"2026-09-21T12": max(30, minutes)}


# ---- in any order, and again

Received = Sequence[tuple[int, int, int | None, int | None]]
# Second of the hour, quantity, and how many milliseconds later each of the two received it; None: it did not.
_EVENTS = st.lists(
    st.tuples(
        st.integers(0, 7199),
        st.integers(1, 3),
        st.one_of(st.none(), st.integers(0, 5000)),
        st.one_of(st.none(), st.integers(0, 5000)),
    ),
    max_size=12,
)
_MINUTES = st.sets(st.integers(0, 119), max_size=40)


def _records(events: Received, minutes: set[int], which: Sequence[int]) -> Iterator[Record]:
    """What one that received all of `which` has written: each event as it reached it."""
    for second, quantity, *delays in events:
        at = NOON + timedelta(seconds=second)
        for delay in [delays[each] for each in which]:
            if delay is not None:
                yield received(order_at(at, f"0.{quantity}"), at + timedelta(milliseconds=delay))
    for minute in sorted(minutes):
        yield covered(NOON + timedelta(minutes=minute))


@settings(max_examples=30)
@given(_EVENTS, _MINUTES, _MINUTES, st.lists(st.sampled_from([("a", 1), ("b", 1), ("a", 2), ("b", 2)]), max_size=4))
def test_two_with_gaps_are_as_one_that_received_what_either_did(
    events: Received, of_a: set[int], of_b: set[int], order: list[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spooled(Path(folder, "one"), *_records(events, of_a | of_b, (0, 1)))
        one = zone_in(Path(folder, "of one"))
        seal(Path(folder, "one"), one, now=LATER)
        days = []
        for turn, turns in enumerate((order, order[::-1])):
            zone = zone_in(Path(folder, f"of two {turn}"))
            spools = {name: Path(folder, f"{turn}", name) for name in ("a", "b")}
            for number, (name, minutes) in enumerate((("a", of_a), ("b", of_b))):
                spooled(spools[name], *_records(events, minutes, (number,)), collector=name)
            # Each seals after the first hour or after both, in any order, and both in the end.
            for name, hours in [*turns, ("a", 3), ("b", 3)]:
                seal(spools[name], zone, now=NOON + timedelta(hours=hours))
            days.append(day_in(zone) if zone.receipt(ORDERS) else None)
        assert days[0] == days[1]
        if days[0] is not None:
            expected = one.receipt(ORDERS)
            assert one.store.get_bytes(ORDERS.data_key) == days[0][0]
            assert expected.covered_minutes == days[0][1].covered_minutes
            assert expected.which_minutes == days[0][1].which_minutes


@pytest.mark.parametrize("after", ["data", "receipt", "archive"])
def test_one_that_is_killed_while_it_adds_its_hour_loses_nothing_of_either(tmp_path: Path, after: str) -> None:
    zone = zone_in(tmp_path)
    for name, n in (("tokyo", 1), ("paris", 2)):
        at = NOON + timedelta(seconds=n)
        spooled(tmp_path / name, received(order_at(at), at), covered(NOON + timedelta(minutes=n)), collector=name)
    seal(tmp_path / "tokyo", zone, now=LATER)
    pid = os.fork()
    if pid == 0:  # the other one, killed after it stored this
        _killed_after(after, zone)
        seal(tmp_path / "paris", zone, now=LATER)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    for name in ("tokyo", "paris", "tokyo"):
        seal(tmp_path / name, zone, now=LATER)
    assert zone.receipt(ORDERS).covered_minutes == {"2026-09-21T12": 2}
    assert zone.rows(ORDERS).num_rows == 2
    assert segments(tmp_path / "paris") == segments(tmp_path / "tokyo") == []
    assert zone.write_index()["status"].to_pylist() == ["stored"]


def _killed_after(what: str, zone: RawZone) -> None:
    owner, name = {
        "data": (zone.store, "put_file"),
        "receipt": (zone.store, "put_bytes"),
        "archive": (sealing, "_archive"),
    }[what]
    work = getattr(owner, name)

    def killed(*arguments: object, **how: object) -> None:
        work(*arguments, **how)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, killed)


@pytest.mark.parametrize("first", ["tokyo", "paris"])
@pytest.mark.parametrize("spoil", ["data", "data of trades", "receipts"])
def test_a_damaged_day_of_two_gets_the_files_of_both_back_from_their_sealed_ones(
    tmp_path: Path, spoil: str, first: str
) -> None:
    zone = zone_in(tmp_path)
    for name, n in (("tokyo", 1), ("paris", 2)):
        at = NOON + timedelta(seconds=n)
        spooled(
            tmp_path / name,
            received(order_at(at), at),
            received(messages.agg_trade(number=n, at=ms(at)), at),
            covered(NOON + timedelta(minutes=n)),
            collector=name,
        )
        seal(tmp_path / name, zone, now=LATER)
    before = {key: zone.store.get_bytes(key) for key in data_of(zone)}
    for key in before:
        if spoil != "data of trades" or "/liveTrades/" in key:
            spoiled = key.replace("data.parquet", "_receipt.json") if spoil == "receipts" else key
            zone.store.put_bytes(spoiled, b"damaged")
    for name in (first, "tokyo", "paris"):
        seal(tmp_path / name, zone, now=LATER)
    assert {key: zone.store.get_bytes(key) for key in data_of(zone)} == before
    assert zone.receipt(ORDERS).covered_minutes == {"2026-09-21T12": 2}
    assert seal(tmp_path / "tokyo", zone, now=LATER) == seal(tmp_path / "paris", zone, now=LATER) == []


def data_of(zone: RawZone) -> list[str]:
    return [
        found.key
        for found in zone.store.list("raw")
        if found.key.endswith("/data.parquet") and "set_aside" not in found.key
    ]
