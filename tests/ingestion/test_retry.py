"""The one retry policy: pauses, Retry-After, giving up, and the circuit breaker. No test here waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ingestion.http.retry import CircuitBreaker, GaveUp, Retry, RetryPolicy, http_date, retry_after

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)


def attempts(*outcomes: Exception | str) -> Callable[[], str]:
    """A request with these outcomes, one per attempt."""
    remaining: Iterator[Exception | str] = iter(outcomes)

    def attempt() -> str:
        outcome = next(remaining)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return attempt


def test_pauses_double_from_the_first_one_up_to_the_longest() -> None:
    slept: list[float] = []
    policy = RetryPolicy(6, first_pause=0.5, longest_pause=3)
    assert policy.run(attempts(*[Retry("busy")] * 5, "done"), slept.append) == "done"
    assert slept == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_jitter_only_lengthens_a_pause() -> None:
    slept: list[float] = []
    RetryPolicy(2, first_pause=1, jitter=0.5).run(attempts(Retry("busy"), "done"), slept.append)
    assert 1 <= slept[0] <= 1.5


def test_a_required_pause_takes_precedence_over_the_backoff() -> None:
    slept: list[float] = []
    RetryPolicy(2).run(attempts(Retry("HTTP 429", timedelta(seconds=17)), "done"), slept.append)
    assert slept == [17.0]


def test_giving_up_states_the_reason_of_the_last_attempt_and_does_not_pause_after_it() -> None:
    slept: list[float] = []
    with pytest.raises(GaveUp, match="HTTP 503"):
        RetryPolicy(2).run(attempts(Retry("HTTP 500"), Retry("HTTP 503")), slept.append)
    assert len(slept) == 1


def test_any_other_exception_ends_the_attempts() -> None:
    slept: list[float] = []
    with pytest.raises(LookupError):
        RetryPolicy(3).run(attempts(LookupError("final"), "never"), slept.append)
    assert slept == []


def test_the_circuit_opens_after_failures_in_a_row_and_a_success_closes_the_count() -> None:
    breaker = CircuitBreaker(2)
    breaker.gave_up()
    breaker.succeeded()
    breaker.gave_up()
    assert not breaker.is_open
    breaker.gave_up()
    assert breaker.is_open


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("120", timedelta(seconds=120)),
        (" 7 ", timedelta(seconds=7)),
        ("Mon, 02 Mar 2026 12:31:00 GMT", timedelta(minutes=1)),
        ("Mon, 02 Mar 2026 12:31:00", timedelta(minutes=1)),
        ("Mon, 02 Mar 2026 12:00:00 GMT", timedelta()),
        ("9" * 40, timedelta(seconds=9_999_999_999)),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, pause: timedelta | None) -> None:
    assert retry_after(header, NOW) == pause


def test_a_date_without_a_zone_is_gmt() -> None:
    assert http_date("Mon, 02 Mar 2026 12:30:00") == NOW
