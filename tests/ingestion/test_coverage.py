"""Which minutes count as covered."""

from __future__ import annotations

from ingestion.live.coverage import ConnectionCoverage, VenueCoverage
from ingestion.live.spool import MINUTE_NS

SECOND = 1_000_000_000
START = 29_000_000 * MINUTE_NS


def connected(*spans: tuple[float, float], every: float = 20, silence: float = 60) -> ConnectionCoverage:
    """A connection that was up during these spans of minutes, with a message `every` so many seconds."""
    connection = ConnectionCoverage(silence)
    for first, last in spans:
        at = START + int(first * MINUTE_NS)
        proof = connection.began(at)
        while (at := at + int(every * SECOND)) <= START + int(last * MINUTE_NS):
            proof = connection.received(proof, at)
    return connection


def covered(*lines: ConnectionCoverage, at: float = 30) -> list[int]:
    """The covered minutes, counted from the start, when computed once at minute `at`."""
    venue = VenueCoverage("liquidations", (), lines, START)
    return [(each.minute_ns - START) // MINUTE_NS for each in venue.newly_covered(START + int(at * MINUTE_NS))]


def test_a_minute_counts_when_the_connection_was_up_before_it_and_received_after_it() -> None:
    assert covered(connected((0.5, 3.5))) == [1, 2]


def test_a_half_open_line_proves_nothing_after_its_last_frame() -> None:
    assert covered(connected((0, 2.9))) == [0, 1]


def test_an_outage_of_a_second_costs_its_minute() -> None:
    assert covered(connected((0, 2.5), (2.52, 5.5))) == [0, 1, 3, 4]


def test_a_rotation_with_overlap_costs_nothing() -> None:
    assert covered(connected((0, 2.7), (2.4, 5.5))) == [0, 1, 2, 3, 4]


def test_a_silence_longer_than_the_window_is_a_gap_even_if_the_line_came_back() -> None:
    assert covered(connected((0, 4), every=90)) == []


def test_a_clock_that_jumps_proves_nothing_across_the_jump() -> None:
    connection = ConnectionCoverage(60)
    proof = connection.began(START)
    for seconds in (30, 60, 600, 630, 660, 690):
        proof = connection.received(proof, START + seconds * SECOND)
    assert covered(connection) == [0, 10]


def test_every_line_of_the_venue_must_have_been_up() -> None:
    assert covered(connected((0, 5)), connected((2, 5))) == [2, 3, 4]


def test_a_minute_is_given_once_and_an_unproven_one_is_given_up_after_the_grace() -> None:
    connection = connected((0, 1.5))
    venue = VenueCoverage("liquidations", (), [connection], START)
    assert [each.minute_ns for each in venue.newly_covered(START + 2 * MINUTE_NS)] == [START]
    proof = connection.began(START + 2 * MINUTE_NS)
    for seconds in range(120, 260, 20):
        proof = connection.received(proof, START + seconds * SECOND)
    assert venue.newly_covered(START + 3 * MINUTE_NS) == []  # the second may still be proven
    late = [(each.minute_ns - START) // MINUTE_NS for each in venue.newly_covered(START + 4 * MINUTE_NS)]
    assert late == [2, 3]


def test_a_minute_that_had_begun_before_the_collector_is_not_its_own() -> None:
    venue = VenueCoverage("liquidations", (), [connected((0, 5))], START + 1)
    assert (venue.newly_covered(START + 5 * MINUTE_NS)[0].minute_ns - START) // MINUTE_NS == 1


def test_reading_every_second_gives_what_reading_once_gives() -> None:
    connection = ConnectionCoverage(60)
    venue = VenueCoverage("liquidations", (), [connection], START + 1)
    proof, minutes = connection.began(START + 10 * SECOND), []
    for second in range(10, 400):
        if second % 20 == 0:
            proof = connection.received(proof, START + second * SECOND)
        minutes += [(each.minute_ns - START) // MINUTE_NS for each in venue.newly_covered(START + second * SECOND)]
    assert minutes == [1, 2, 3, 4, 5]
