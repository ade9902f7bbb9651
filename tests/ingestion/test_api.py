"""The client of a venue's REST API: its budget, its waiting, and its reaction to a refusal. No test here waits."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingestion.domain.errors import VenueRefused, VenueUnavailable
from ingestion.http.client import Answer
from ingestion.http.limits import BanRegistry
from ingestion.http.rest import RestClient
from ingestion.http.values import Limit
from ingestion.http.watch import Unreachable
from ingestion.raw.durable import atomic_write
from ingestion.venues.binance import BINANCE_UM
from tests.support.venue_http import Planned, VenueServer

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
URL = "http://venue.invalid"
assert BINANCE_UM.api is not None
BINANCE = BINANCE_UM.api


class Clock:
    """Time that passes only when the client sleeps."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def venue(clock: Clock) -> Iterator[VenueServer]:
    with VenueServer(clock.now).running() as server:
        yield server


def client(url: str, clock: Clock, *, bans: BanRegistry | None = None, send: Any = None) -> RestClient:
    return RestClient(
        "binance_um",
        url,
        BINANCE,
        bans=bans,
        refused_advice="set THE_API=off",
        symbol_advice="check THE_MARKETS",
        clock=clock.now,
        monotonic=clock.monotonic,
        sleep=clock.sleep,
        send=send,
    )


class Counting:
    """A venue that answers every request, counts the weight of each minute by its own clock, and takes some time."""

    def __init__(self, clock: Clock, weight: int, others: int = 0) -> None:
        self.clock, self.weight, self.others = clock, weight, others
        self.by_minute: dict[int, int] = {}
        self.sent: list[float] = []

    def __call__(self, url: str, parameters: Mapping[str, str | int]) -> Answer:
        self.clock.passed += 0.05
        minute = int(self.clock.passed // 60)
        self.by_minute[minute] = self.by_minute.get(minute, self.others) + self.weight
        self.sent.append(self.clock.passed)
        return Answer(200, {"x-mbx-used-weight-1m": str(self.by_minute[minute])}, b"[]")


@pytest.mark.parametrize("others", [0, 1500])
def test_the_used_weight_of_a_simulated_hour_stays_below_the_limit_with_other_clients_or_without(
    clock: Clock, others: int
) -> None:
    counting = Counting(clock, 20, others)
    api = client(URL, clock, send=counting)
    while clock.passed < 3600:
        api.get("/fapi/v1/aggTrades", {}, weight=20)
    assert max(counting.by_minute.values()) < 2400
    # And in any minute that begins between two of the venue's.
    sliding = [sum(20 for at in counting.sent if start <= at < start + 60) for start in range(0, 3540, 7)]
    assert max(sliding) < 2400
    # And the budget is used: staying within a limit does not mean idling.
    assert min(list(counting.by_minute.values())[1:-1]) > 0.8 * (2400 if not others else 2160)


def test_a_limit_that_exchange_info_reports_replaces_the_published_one(clock: Clock) -> None:
    counting = Counting(clock, 20)
    api = client(URL, clock, send=counting)
    api.allow(Limit("", 600, 60, "X-MBX-USED-WEIGHT-1M"))
    while clock.passed < 600:
        api.get("/fapi/v1/aggTrades", {}, weight=20)
    assert max(counting.by_minute.values()) < 600


def test_other_endpoints_have_a_budget_of_their_own(clock: Clock) -> None:
    counting = Counting(clock, 0)
    api = client(URL, clock, send=counting)
    while clock.passed < 1800:
        api.get("/futures/data/takerlongshortRatio", {}, weight=1)
    in_five_minutes = [sum(start <= at < start + 300 for at in counting.sent) for start in range(0, 1500, 60)]
    assert max(in_five_minutes) < 1000


def test_numbers_stay_exact(venue: VenueServer, clock: Clock) -> None:
    venue.plan("/klines", Planned(200, '{"price": 0.1234567890123456789}'))
    assert client(venue.url, clock).get("/fapi/v1/klines", {}, weight=1) == {"price": Decimal("0.1234567890123456789")}


def test_a_disk_that_fills_leaves_the_bans_that_were_recorded(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "refusals.json"
    BanRegistry(path, atomic_write).record(URL, NOW + timedelta(hours=1), "banned")

    def half(self: Path, text: str) -> int:
        with self.open("w") as file:
            file.write(text[: len(text) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Path, "write_text", half)
        BanRegistry(path, atomic_write).record("http://other", NOW + timedelta(hours=1), "banned too")
    assert "banned" in (BanRegistry(path, atomic_write).active(URL, NOW) or "")
    assert [each.name for each in tmp_path.iterdir()] == ["refusals.json"]


def test_429_waits_for_retry_after_and_repeats_the_request(venue: VenueServer, clock: Clock) -> None:
    too_many = {"code": -1003, "msg": "Too many requests; current limit is 2400 request weight per 1 MINUTE."}
    venue.plan("/exchangeInfo", Planned(429, too_many, Retry_After="17"))
    assert client(venue.url, clock).get("/fapi/v1/exchangeInfo", {}, weight=1)["symbols"]
    assert clock.slept == [17.0]


def test_418_stops_at_once_states_for_how_long_and_ends_all_requests(
    venue: VenueServer, clock: Clock, tmp_path: Path
) -> None:
    venue.plan("/klines", Planned(418, {"code": -1003, "msg": "Way too many requests."}, Retry_After="7200"))
    remembered = tmp_path / "state" / "refusals.json"
    api = client(venue.url, clock, bans=BanRegistry(remembered, atomic_write))
    with pytest.raises(VenueRefused, match=r"banned .* for 2\.0 h, until 2026-03-02 14:30:00 UTC; .* extend the ban"):
        api.get("/fapi/v1/klines", {}, weight=1)
    assert clock.slept == []
    # Neither another request is sent, nor one by another process.
    for later in (api, client(venue.url, clock, bans=BanRegistry(remembered, atomic_write))):
        with pytest.raises(VenueRefused, match="no further request before 2026-03-02 14:30 UTC"):
            later.get("/fapi/v1/exchangeInfo", {}, weight=1)
    assert len(venue.requests) == 1
    clock.passed = 7201
    assert api.get("/fapi/v1/exchangeInfo", {}, weight=1)["symbols"]


def test_a_ban_may_be_stated_in_the_text_alone(venue: VenueServer, clock: Clock) -> None:
    until = int((NOW + timedelta(minutes=30)).timestamp() * 1000)
    message = f"Way too much request weight used; IP banned until {until}. Please use the websocket for live updates."
    venue.plan("/klines", Planned(418, {"code": -1003, "msg": message}))
    with pytest.raises(VenueRefused, match="for 30 min, until 2026-03-02 13:00:00 UTC"):
        client(venue.url, clock).get("/fapi/v1/klines", {}, weight=1)


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (451, {"code": 0, "msg": "Service unavailable from a restricted location."}, "does not serve this location"),
        (403, "<html>Forbidden</html>", "firewall blocks this address"),
    ],
)
def test_a_refusal_states_its_meaning_and_what_to_do(
    venue: VenueServer, clock: Clock, status: int, body: Any, meaning: str
) -> None:
    venue.plan("/klines", Planned(status, body))
    with pytest.raises(VenueRefused, match=rf"HTTP {status}.*{meaning}.*; set THE_API=off"):
        client(venue.url, clock).get("/fapi/v1/klines", {}, weight=1)
    assert len(venue.requests) == 1


@pytest.mark.parametrize(
    ("code", "message", "advice"),
    [
        (-1121, "Invalid symbol.", r"knows no such symbol \(-1121: Invalid.*; check THE_MARKETS"),
        (-1130, "parameter 'startTime' is invalid.", r"out of range.*\(-1130: parameter"),
        (
            -1127,
            "More than 1 hours between startTime and endTime.",
            r"longer than one request may span \(-1127: More than",
        ),
        (-4242, "New one.", r"rejected the request \(-4242: New one"),
    ],
)
def test_an_invalid_request_is_explained_and_not_repeated(
    venue: VenueServer, clock: Clock, code: int, message: str, advice: str
) -> None:
    venue.plan("/klines", Planned(400, {"code": code, "msg": message}))
    with pytest.raises(VenueUnavailable, match=advice):
        client(venue.url, clock).get("/fapi/v1/klines", {}, weight=1)
    assert len(venue.requests) == 1


@pytest.mark.parametrize("bad", [Planned(200, "<html>"), Planned(503), Planned(200, {"code": -1001, "msg": "x"})])
def test_a_temporary_failure_is_retried(venue: VenueServer, clock: Clock, bad: Planned) -> None:
    venue.plan("/exchangeInfo", bad, bad)
    assert client(venue.url, clock).get("/fapi/v1/exchangeInfo", {}, weight=1)["symbols"]
    assert clock.slept == [0.5, 1.0]


def test_a_venue_that_is_down_gets_the_attempts_of_two_requests_and_no_more(clock: Clock) -> None:
    sent: list[str] = []

    def send(url: str, parameters: Mapping[str, str | int]) -> Answer:
        sent.append(url)
        raise Unreachable("ConnectionRefusedError: refused")

    api = client(URL, clock, send=send)
    for _ in range(5):
        with pytest.raises(VenueUnavailable, match="run the same command again"):
            api.get("/fapi/v1/klines", {}, weight=1)
    assert len(sent) == 8


@pytest.mark.parametrize(
    ("ahead", "reported"), [(timedelta(minutes=-4), timedelta(minutes=-4)), (timedelta(), timedelta())]
)
def test_the_venues_clock_counts(clock: Clock, ahead: timedelta, reported: timedelta) -> None:
    with VenueServer(lambda: clock.now() + ahead).running() as venue:
        api = client(venue.url, clock)
        assert api.answered_at == NOW
        api.get("/fapi/v1/exchangeInfo", {}, weight=1)
        assert api.answered_at == NOW + reported


def test_a_damaged_file_of_bans_counts_as_empty(clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "refusals.json"
    path.write_text('{"http://venue')
    assert BanRegistry(path, atomic_write).active(URL, NOW) is None
    BanRegistry(path, atomic_write).record(URL, NOW + timedelta(hours=1), "banned")
    known: Callable[[datetime], str | None] = lambda now: BanRegistry(path, atomic_write).active(URL, now)  # noqa: E731
    assert known(NOW) == "banned (no further request before 2026-03-02 13:30 UTC)"
    assert known(NOW + timedelta(hours=2)) is None
