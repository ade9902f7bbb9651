"""Recent days, from a venue's REST API into the raw zone: what is requested, stored, and counted as covered. No test
waits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingestion.archive import Outcome, Task
from ingestion.domain.datasets import REST_KLINES, REST_TRADES, TAKER_RATIO
from ingestion.domain.errors import SourceDefect, VenueRefused
from ingestion.domain.markets import Market
from ingestion.domain.periods import Period
from ingestion.http.rest import RestClient
from ingestion.raw.s3 import S3Options
from ingestion.raw.soundness import VERIFIED_KEY
from ingestion.raw.stores import open_store
from ingestion.raw.zone import INDEX_KEY, DryZone, ObjectId, RawZone, Receipt
from ingestion.recent import Access, DryClient, ingest_recent, plan_recent
from ingestion.venues import parse_market, venue_of
from ingestion.venues.venue import VenueApi
from tests.support.venue_http import Planned, VenueServer

TODAY = date(2026, 3, 2)
YESTERDAY = date(2026, 3, 1)
BITCOIN = parse_market("binance_um:BTCUSDT")


class Setup:
    """A raw zone, a venue on loopback, a client, and the clock that they share."""

    def __init__(self, folder: Path) -> None:
        self.zone = RawZone(open_store(folder))
        self.now = datetime(2026, 3, 2, 5, 20, tzinfo=UTC)
        self.venue = VenueServer(lambda: self.now + self.ahead)
        self.ahead = timedelta()
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def access(self, *venues: str) -> dict[str, Access]:
        return {venue: Access(api(venue), self.client(venue)) for venue in venues}

    def client(self, venue: str) -> RestClient:
        return RestClient(
            venue,
            self.venue.url,
            api(venue),
            clock=lambda: self.now,
            monotonic=lambda: self.slept,
            sleep=self.sleep,
        )

    def archived(self, dataset: str, day: date, market: Market = BITCOIN, interval: str = "") -> None:
        """A receipt as if the archive had provided everything up to that day."""
        period = Period.of_month(day) if dataset == "klines" else Period.of_day(day)
        receipt = Receipt(
            dataset, market.venue, market.symbol, interval, period.label, "stored", period.first_day, day, self.now, 1
        )
        rows = {str(found): 24 for found in period.days() if found <= day}
        self.zone.put(ObjectId(dataset, market, interval, period), None, replace(receipt, day_rows=rows))

    def run(self, *markets: Market, only: str = "", patience: timedelta = timedelta(minutes=10)) -> list[Outcome]:
        venues = dict.fromkeys(market.venue for market in markets)
        access = self.access(*venues)
        apis = {venue: one.api for venue, one in access.items()}
        tasks = plan_recent(markets, zone=self.zone, apis=apis, now=self.now)
        tasks = [task for task in tasks if only in ("", task.dataset.name)]
        return ingest_recent(tasks, access=access, zone=self.zone, clock=lambda: self.now, patience=patience)

    def dry_run(self, market: Market) -> list[Outcome]:
        access = {market.venue: Access(api(market.venue), DryClient(self.now))}
        zone = DryZone(self.zone.store)
        tasks = plan_recent([market], zone=zone, apis={market.venue: api(market.venue)}, now=self.now)
        return ingest_recent(tasks, access=access, zone=zone, clock=lambda: self.now)

    def receipt(self, dataset: str, day: date, market: Market = BITCOIN) -> Receipt:
        held = self.zone.receipt(self.object_id(dataset, day, market))
        assert held is not None
        return held

    def rows(self, dataset: str, day: date, market: Market = BITCOIN) -> list[dict[str, Any]]:
        return self.zone.rows(self.object_id(dataset, day, market)).to_pylist()

    def object_id(self, dataset: str, day: date, market: Market) -> ObjectId:
        return ObjectId(dataset, market, "1h" if dataset == "restKlines" else "", Period.of_day(day))

    def stored_bytes(self) -> dict[str, bytes | None]:
        return {found.key: self.zone.store.get_bytes(found.key) for found in self.zone.store.list("raw")}


def api(venue: str) -> VenueApi:
    found = venue_of(venue).api
    assert found is not None
    return found


def statuses(outcomes: Sequence[Outcome]) -> dict[str, str]:
    return {f"{outcome.task.dataset.name} {outcome.task.period}": outcome.status for outcome in outcomes}


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    setup = Setup(tmp_path / "var")
    with setup.venue.running():
        yield setup


# ---- which days


def planned(setup: Setup, *markets: Market) -> list[str]:
    apis = {market.venue: api(market.venue) for market in markets}
    return [str(task) for task in plan_recent(markets, zone=setup.zone, apis=apis, now=setup.now)]


def test_planning_continues_from_the_day_after_the_last_archived_one(setup: Setup) -> None:
    setup.archived("klines", date(2026, 2, 28), interval="1h")
    setup.archived("aggTrades", YESTERDAY)
    assert planned(setup, BITCOIN) == [
        "binance_um:ALL instruments 2026-03-02",
        "binance_um:BTCUSDT restKlines 1h 2026-03-01",
        "binance_um:BTCUSDT restKlines 1h 2026-03-02",
        "binance_um:BTCUSDT takerRatio 2026-03-01",
        "binance_um:BTCUSDT takerRatio 2026-03-02",
        "binance_um:BTCUSDT restTrades 2026-03-02",
    ]


def test_without_an_archive_it_goes_as_far_back_as_the_api_the_newest_trades_first(setup: Setup) -> None:
    found = planned(setup, BITCOIN)
    assert sum("restKlines" in task for task in found) == 31
    assert sum("takerRatio" in task for task in found) == 29
    assert [task[-10:] for task in found if "restTrades" in task] == ["2026-03-02", "2026-03-01", "2026-02-28"]


def test_a_day_without_a_finished_hour_is_not_requested_yet(setup: Setup) -> None:
    setup.now = datetime(2026, 3, 2, 0, 59, tzinfo=UTC)
    setup.archived("klines", YESTERDAY, interval="1h")
    setup.archived("aggTrades", YESTERDAY)
    assert planned(setup, BITCOIN) == ["binance_um:ALL instruments 2026-03-02"]


def test_a_dataset_that_a_venue_does_not_offer_is_not_planned(setup: Setup) -> None:
    found = planned(setup, parse_market("okx:BTC-USDT-SWAP"), parse_market("bybit:BTCUSD"))
    assert {task.split(" ")[1] for task in found} == {"instruments", "restTrades"}


def test_a_venue_without_an_api_is_left_out(setup: Setup) -> None:
    assert plan_recent([BITCOIN], zone=setup.zone, apis={}, now=setup.now) == []


# ---- bars and ratios


def with_yesterday_archived(setup: Setup) -> None:
    setup.archived("klines", YESTERDAY, interval="1h")
    setup.archived("aggTrades", YESTERDAY)


def test_only_finished_bars_are_stored_exact_and_with_their_taker_volume(setup: Setup) -> None:
    with_yesterday_archived(setup)
    setup.run(BITCOIN, only="restKlines")
    rows = setup.rows("restKlines", TODAY)
    assert [row["opened_at"].hour for row in rows] == [0, 1, 2, 3, 4]
    printed = setup.venue.bar(int(rows[3]["opened_at"].timestamp() * 1000))
    assert rows[3]["volume"] == Decimal(printed[5])
    assert rows[3]["taker_buy_quote_volume"] == Decimal(printed[10])
    assert rows[3]["trade_count"] == 60
    receipt = setup.receipt("restKlines", TODAY)
    assert (receipt.rows, receipt.status, receipt.revision) == (5, "stored", 1)
    assert [source.key for source in receipt.sources] == ["rest/2026-03-02T00:00Z/2026-03-02T05:00Z"]


def test_an_hour_later_only_the_new_hour_is_requested_and_history_stays_clean(setup: Setup) -> None:
    with_yesterday_archived(setup)
    setup.run(BITCOIN)
    before = len(setup.venue.requests)
    setup.now += timedelta(hours=1)
    found = statuses(setup.run(BITCOIN))
    assert found["instruments 2026-03-02"] == "unchanged"
    assert found["restKlines 2026-03-02"] == found["restTrades 2026-03-02"] == "stored"
    new = setup.venue.requests[before:]
    five = str(int(datetime(2026, 3, 2, 5, tzinfo=UTC).timestamp() * 1000))
    assert {parameters["startTime"] for _, parameters in new} == {five}
    assert len(new) == 4  # bars; trades; ratios, and the bars that decide what their labels mean
    assert setup.receipt("restKlines", TODAY).rows == 6
    for dataset in ("restKlines", "restTrades", "takerRatio"):
        assert len(setup.zone.history(setup.object_id(dataset, TODAY, BITCOIN))) == 1
        assert setup.receipt(dataset, TODAY).revision == 1


def test_a_second_run_within_the_hour_requests_nothing_and_writes_nothing(setup: Setup) -> None:
    with_yesterday_archived(setup)
    setup.run(BITCOIN)
    before, requests = setup.stored_bytes(), len(setup.venue.requests)
    setup.now += timedelta(minutes=20)
    assert set(statuses(setup.run(BITCOIN)).values()) == {"unchanged"}
    assert len(setup.venue.requests) == requests
    assert setup.stored_bytes() == before


def test_a_dry_run_requests_nothing_and_finds_the_hour_that_has_ended_since(setup: Setup) -> None:
    with_yesterday_archived(setup)
    assert "due" in statuses(setup.dry_run(BITCOIN)).values()
    setup.run(BITCOIN)
    before, requests = setup.stored_bytes(), len(setup.venue.requests)
    setup.now += timedelta(minutes=20)
    assert set(statuses(setup.dry_run(BITCOIN)).values()) == {"unchanged"}
    setup.now += timedelta(hours=1)
    assert statuses(setup.dry_run(BITCOIN))["restKlines 2026-03-02"] == "due"
    assert len(setup.venue.requests) == requests
    assert setup.stored_bytes() == before


def test_the_same_answers_give_the_same_bytes_however_they_were_split(tmp_path: Path) -> None:
    objects = []
    for name, hours in (("once", [5]), ("hourly", [2, 3, 5])):
        setup = Setup(tmp_path / name)
        with setup.venue.running():
            with_yesterday_archived(setup)
            for hour in hours:
                setup.now = datetime(2026, 3, 2, hour, 20, tzinfo=UTC)
                setup.run(BITCOIN)
        objects.append([setup.receipt(d, TODAY).stored_sha256 for d in ("restKlines", "restTrades", "takerRatio")])
    assert objects[0] == objects[1]


def test_a_receipt_proves_the_answers(setup: Setup) -> None:
    with_yesterday_archived(setup)
    setup.run(BITCOIN, only="restTrades")
    receipt = setup.receipt("restTrades", TODAY)
    payload = setup.zone.store.get_bytes(setup.object_id("restTrades", TODAY, BITCOIN).data_key)
    assert payload is not None
    assert hashlib.sha256(payload).hexdigest() == receipt.stored_sha256
    assert sum(source.rows for source in receipt.sources) == receipt.rows == 300
    assert len({source.sha256 for source in receipt.sources}) == 5


def test_the_local_clock_may_be_wrong_and_no_unfinished_bar_is_stored(setup: Setup) -> None:
    with_yesterday_archived(setup)
    setup.now, setup.ahead = datetime(2026, 3, 2, 5, 1, tzinfo=UTC), timedelta(minutes=-3)
    setup.run(BITCOIN)
    assert [row["opened_at"].hour for row in setup.rows("restKlines", TODAY)] == [0, 1, 2, 3]
    assert max(row["traded_at"].hour for row in setup.rows("restTrades", TODAY)) == 3
    assert max(row["observed_at"].hour for row in setup.rows("takerRatio", TODAY)) == 3


def test_a_run_across_midnight_completes_the_day_that_it_was_planned_for(setup: Setup) -> None:
    with_yesterday_archived(setup)
    setup.now = datetime(2026, 3, 2, 23, 59, tzinfo=UTC)
    access = setup.access("binance_um")
    tasks = plan_recent([BITCOIN], zone=setup.zone, apis={"binance_um": api("binance_um")}, now=setup.now)
    setup.now = datetime(2026, 3, 3, 0, 1, tzinfo=UTC)
    outcomes = ingest_recent(tasks, access=access, zone=setup.zone, clock=lambda: setup.now)
    assert [str(outcome.error) for outcome in outcomes if outcome.error] == []
    setup.run(BITCOIN)
    opened = [row["opened_at"] for row in setup.rows("restKlines", TODAY)]
    assert [at.hour for at in opened] == list(range(24))
    assert {at.date() for at in opened} == {TODAY}


@pytest.mark.parametrize("label_ms", [0, 3_600_000])
def test_a_ratio_belongs_to_its_hour_whichever_end_of_it_the_venue_labels(setup: Setup, label_ms: int) -> None:
    with_yesterday_archived(setup)
    setup.venue.ratio_label_ms = label_ms
    setup.run(BITCOIN)
    bars = {row["opened_at"]: row["taker_buy_volume"] for row in setup.rows("restKlines", TODAY)}
    ratios = {row["observed_at"]: row["buy_volume"] for row in setup.rows("takerRatio", TODAY)}
    assert ratios == bars


def test_coin_m_counts_contracts_and_base_as_its_archive_does(setup: Setup) -> None:
    inverse = parse_market("binance_cm:BTCUSD_PERP")
    setup.archived("klines", YESTERDAY, inverse, "1h")
    setup.archived("aggTrades", YESTERDAY, inverse)
    setup.run(inverse)
    bar = setup.rows("restKlines", TODAY, inverse)[0]
    trades = [row for row in setup.rows("restTrades", TODAY, inverse) if row["traded_at"].hour == 0]
    assert bar["volume"] == sum(row["quantity"] for row in trades)
    assert bar["quote_volume"] == sum(round(100 * row["quantity"] / row["price"], 8) for row in trades)
    ratio = setup.rows("takerRatio", TODAY, inverse)[0]
    assert ratio["buy_volume"] == bar["taker_buy_quote_volume"]
    sizes = {
        row["symbol_name"]: row["contract_size"] for row in setup.rows("instruments", TODAY, venue_market("binance_cm"))
    }
    assert sizes == {"BTCUSD_PERP": 100, "ETHUSD_PERP": 10}


def venue_market(venue: str) -> Market:
    return Market.whole_venue(venue)


# ---- trades


def test_trades_are_paged_by_id_within_an_hour_and_have_both_quantities(setup: Setup) -> None:
    with_yesterday_archived(setup)
    setup.venue.every = 2  # 1,800 an hour: two pages
    setup.run(BITCOIN, only="restTrades")
    requests = setup.venue.requested("/aggTrades")
    assert setup.venue.faults == []
    assert sum("fromId" in parameters for parameters in requests) == sum("startTime" in p for p in requests) == 5
    rows = setup.rows("restTrades", TODAY)
    assert [row["trade_number"] for row in rows] == sorted({row["trade_number"] for row in rows})
    first = rows[0]
    at, price, quantity, is_bought = setup.venue.trade(first["trade_number"])
    assert int(first["traded_at"].timestamp() * 1000) == at
    assert (first["price"], first["quantity"], first["normal_quantity"]) == (price, quantity, quantity / 2)
    assert (first["is_taker_buy"], first["trade_count"], first["execution"]) == (is_bought, 2, "MARKET")
    receipt = setup.receipt("restTrades", TODAY)
    assert (receipt.rows, receipt.id_gaps, receipt.duplicate_rows) == (9000, 0, 0)
    assert receipt.covered_minutes == {f"2026-03-02T{hour:02}": 60 for hour in range(5)}


def test_nothing_older_than_two_days_is_requested(setup: Setup) -> None:
    found = statuses(setup.run(BITCOIN, only="restTrades"))
    assert found["restTrades 2026-02-28"] == "stored"
    assert setup.venue.faults == []
    # 05:20 two days ago is the reach; the first whole hour that is safely within it begins at 06:00.
    assert min(row["traded_at"].hour for row in setup.rows("restTrades", date(2026, 2, 28))) == 6


def test_a_run_after_one_that_ran_out_of_time_continues_where_it_stopped(setup: Setup) -> None:
    with_yesterday_archived(setup)
    setup.run(BITCOIN, only="restTrades", patience=timedelta())
    assert setup.receipt("restTrades", TODAY).covered_minutes == {"2026-03-02T04": 60}
    setup.run(BITCOIN, only="restTrades")
    receipt = setup.receipt("restTrades", TODAY)
    assert list(receipt.covered_minutes) == [f"2026-03-02T0{hour}" for hour in range(5)]
    assert [source.key[:21] for source in receipt.sources] == [f"rest/2026-03-02T0{hour}:00" for hour in range(5)]


def test_missing_numbers_inside_an_hour_are_counted_those_between_hours_are_not(setup: Setup) -> None:
    with_yesterday_archived(setup)
    trades = [setup.venue._agg_trade(n, inverse=False) for n in range(29_540_400, 29_540_460)]
    at = int(datetime(2026, 3, 2, 4, tzinfo=UTC).timestamp() * 1000)
    for place, trade in enumerate(trades):
        trade["T"] = at + place
    setup.venue.plan("/aggTrades", Planned(200, [trade for trade in trades if trade["a"] % 10]))
    setup.run(BITCOIN, only="restTrades", patience=timedelta())
    # 29540400 is not between the first and the last.
    assert setup.receipt("restTrades", TODAY).id_gaps == 5
    setup.now += timedelta(hours=2)
    setup.run(BITCOIN, only="restTrades", patience=timedelta())
    receipt = setup.receipt("restTrades", TODAY)
    assert list(receipt.covered_minutes) == ["2026-03-02T04", "2026-03-02T06"]
    assert receipt.id_gaps == 5


def test_okx_trades_are_paged_backwards_by_id_without_gaps(setup: Setup) -> None:
    swap = parse_market("okx:BTC-USDT-SWAP")
    setup.venue.every = 20  # 180 an hour: two pages
    setup.run(swap)
    rows = setup.rows("restTrades", TODAY, swap)
    numbers = sorted(int(row["trade_id"]) for row in rows)
    assert len(rows) == 900
    assert numbers == list(range(numbers[0], numbers[0] + 900))
    assert {row["is_taker_buy"] for row in rows} == {True, False}
    assert setup.receipt("restTrades", TODAY, swap).covered_minutes["2026-03-02T03"] == 60
    assert sorted(setup.receipt("restTrades", YESTERDAY, swap).covered_minutes)[0] == "2026-03-01T06"
    listed = {row["symbol_name"]: row for row in setup.rows("instruments", TODAY, venue_market("okx"))}
    assert listed["BTC-USDT-SWAP"]["contract_size"] == Decimal("0.01")
    assert listed["BTC-USD-SWAP"]["contract_size"] == 100
    assert [listed[name]["is_trading"] for name in sorted(listed)] == [False, True]
    assert [listed[name]["delivers_at"] for name in sorted(listed)] == [datetime(2026, 3, 2, 8, tzinfo=UTC), None]


def test_bybit_has_its_newest_thousand_trades_and_no_more_counts_as_covered(setup: Setup) -> None:
    market = parse_market("bybit:BTCUSDT")
    setup.now = datetime(2026, 3, 2, 5, 0, 30, tzinfo=UTC)
    setup.venue.every = 2  # a thousand are 2,000 seconds
    found = statuses(setup.run(market))
    covered = setup.receipt("restTrades", TODAY, market).covered_minutes
    # The last thousand began at 04:27:10, and trades of that instant may be missing.
    assert covered == {"2026-03-02T04": 32}
    assert min(row["traded_at"] for row in setup.rows("restTrades", TODAY, market)).minute == 27
    assert {row["execution"] for row in setup.rows("restTrades", TODAY, market)} == {"MARKET", "NA"}
    assert found["restTrades 2026-03-01"] == "absent"
    assert len(setup.venue.requested("/recent-trade")) == 3
    listed = {row["symbol_name"]: row["delivers_at"] for row in setup.rows("instruments", TODAY, venue_market("bybit"))}
    assert listed == {"BTCUSD": None, "BTCUSDT": None, "ETHPERP": datetime(2026, 3, 2, 8, tzinfo=UTC)}


def test_on_a_busy_market_bybits_thousand_trades_hold_no_finished_hour(setup: Setup) -> None:
    market = parse_market("bybit:BTCUSDT")
    setup.venue.every = 1
    assert statuses(setup.run(market, only="restTrades")) == {
        "restTrades 2026-03-02": "absent",
        "restTrades 2026-03-01": "absent",
    }


# ---- instruments


def test_a_venue_without_markets_whose_feed_was_received_gets_a_request_for_its_contracts_only(setup: Setup) -> None:
    apis = {"binance_um": api("binance_um"), "okx": api("okx")}
    tasks = plan_recent([BITCOIN], zone=setup.zone, apis=apis, now=setup.now, received=["binance_um", "okx", "bybit"])
    assert [str(task) for task in tasks if task.market != BITCOIN] == [
        "binance_um:ALL instruments 2026-03-02",
        "okx:ALL instruments 2026-03-02",
    ]


def test_contracts_are_listed_once_a_day_without_those_not_quoted_in_dollars(setup: Setup) -> None:
    setup.run(BITCOIN, only="instruments")
    rows = {row["symbol_name"]: row for row in setup.rows("instruments", TODAY, venue_market("binance_um"))}
    assert sorted(rows) == ["BTCUSDT", "OLDUSDT"]
    bitcoin = rows["BTCUSDT"]
    assert (bitcoin["base_asset"], bitcoin["quote_asset"], bitcoin["contract_size"]) == ("BTC", "USDT", 1)
    assert bitcoin["listed_at"] == datetime(2019, 9, 25, 8, tzinfo=UTC)
    assert (bitcoin["is_trading"], rows["OLDUSDT"]["is_trading"]) == (True, False)
    # The venue reports a delivery in 2100 for a perpetual contract.
    assert (bitcoin["delivers_at"], rows["OLDUSDT"]["delivers_at"]) == (None, datetime(2026, 3, 2, 8, tzinfo=UTC))
    setup.now += timedelta(hours=3)
    setup.run(BITCOIN, only="instruments")
    assert len(setup.venue.requested("/exchangeInfo")) == 1


@pytest.mark.xdist_group("s3")
def test_today_grows_in_s3_as_it_does_in_a_folder(setup: Setup, s3_url: str, seaweedfs: S3Options) -> None:
    folder, remote = setup.zone, RawZone(open_store(s3_url, seaweedfs))
    began = setup.now
    for zone in (folder, remote):
        setup.zone, setup.now = zone, began
        with_yesterday_archived(setup)
        setup.run(BITCOIN)
        setup.now += timedelta(hours=1)
        assert {outcome.status for outcome in setup.run(BITCOIN)} == {"stored", "unchanged"}
        zone.write_index()
    stored = [
        {found.key: zone.store.get_bytes(found.key) for found in zone.store.list("raw")} for zone in (folder, remote)
    ]
    # The index names the versions that a store gives to its objects.
    assert {key for key in stored[0] if stored[0][key] != stored[1][key]} == {INDEX_KEY, VERIFIED_KEY}
    assert stored[0].keys() == stored[1].keys()


# ---- failures


def test_a_refusal_of_one_venue_fails_its_tasks_alone_with_one_message(setup: Setup) -> None:
    with_yesterday_archived(setup)
    setup.venue.plan("/fapi/v1/exchangeInfo", Planned(451, {"code": 0, "msg": "restricted location"}))
    outcomes = setup.run(BITCOIN, parse_market("okx:BTC-USDT-SWAP"))
    of_binance = [outcome for outcome in outcomes if outcome.task.market.venue == "binance_um"]
    assert {outcome.status for outcome in of_binance} == {"failed"}
    assert all(isinstance(outcome.error, VenueRefused) for outcome in of_binance)
    assert "does not serve this location" in str(of_binance[-1].error)
    assert len({str(outcome.error) for outcome in of_binance}) == 1
    assert len(setup.venue.requested("/exchangeInfo")) == 1
    assert not setup.venue.requested("/klines")
    assert {outcome.status for outcome in outcomes if outcome.task.market.venue == "okx"} == {"stored"}


def test_a_market_that_the_venue_does_not_know_is_requested_once(setup: Setup) -> None:
    typo, unknown = parse_market("binance_um:BTTCUSDT"), Planned(400, {"code": -1121, "msg": "Invalid symbol."})
    setup.venue.plan("/klines", unknown)
    outcomes = setup.run(typo, BITCOIN)
    of_it = [outcome for outcome in outcomes if outcome.task.market == typo]
    assert len(of_it) > 60
    assert {outcome.status for outcome in of_it} == {"failed"}
    assert len({str(outcome.error) for outcome in of_it}) == 1
    assert [request["symbol"] for request in setup.venue.requested("/klines")].count("BTTCUSDT") == 1
    assert not [request for request in setup.venue.requested("/aggTrades") if request["symbol"] == "BTTCUSDT"]
    assert "failed" not in {outcome.status for outcome in outcomes if outcome.task.market == BITCOIN}


def test_another_invalid_request_does_not_mark_the_market_as_unknown(setup: Setup) -> None:
    setup.venue.plan("/takerlongshortRatio", Planned(400, {"code": -1130, "msg": "startTime is invalid."}))
    outcomes = [outcome for outcome in setup.run(BITCOIN) if outcome.task.dataset is TAKER_RATIO]
    assert [outcome.status for outcome in outcomes].count("failed") == 1
    assert [outcome.status for outcome in outcomes].count("stored") > 20


def test_hours_that_were_fetched_before_a_failure_are_stored(setup: Setup) -> None:
    with_yesterday_archived(setup)
    good = [Planned(200, [])] * 2
    setup.venue.plan("/aggTrades", *good, Planned(418, {"code": -1003, "msg": "banned"}, Retry_After="300"))
    (outcome,) = setup.run(BITCOIN, only="restTrades")
    assert outcome.status == "failed"
    assert "banned this address" in str(outcome.error)
    assert setup.receipt("restTrades", TODAY).covered_minutes == {"2026-03-02T03": 60, "2026-03-02T04": 60}


@pytest.mark.parametrize(
    ("path", "dataset", "answer"),
    [
        ("/klines", REST_KLINES, [["1772409600000", "1", "2", "not a number"]]),
        ("/aggTrades", REST_TRADES, [{"a": 1, "p": "1"}]),
        ("/takerlongshortRatio", TAKER_RATIO, [{"buyVol": None, "sellVol": "1", "buySellRatio": "", "timestamp": 0}]),
    ],
)
def test_an_answer_that_is_not_as_documented_is_refused_and_named(
    setup: Setup, path: str, dataset: Any, answer: Any
) -> None:
    with_yesterday_archived(setup)
    setup.venue.plan(path, Planned(200, answer))
    (outcome,) = setup.run(BITCOIN, only=dataset.name)
    assert outcome.status == "failed"
    assert isinstance(outcome.error, SourceDefect)
    assert f"binance_um:BTCUSDT {dataset.name}" in str(outcome.error)
    assert "is not what binance_um documents" in str(outcome.error)
    assert setup.zone.receipt(setup.object_id(dataset.name, TODAY, BITCOIN)) is None


@pytest.mark.parametrize(("symbol", "price"), [("SATS", "0.00000001265"), ("PEPE", "0.000002355")])
def test_prices_of_the_cheapest_coins_are_stored_exactly(setup: Setup, symbol: str, price: str) -> None:
    market = parse_market(f"okx:{symbol}-USDT-SWAP")
    row = {"instId": market.symbol, "side": "buy", "sz": "0.1", "px": price, "tradeId": "7", "ts": "1772424000001"}
    setup.venue.plan("/history-trades", *[Planned(200, {"code": "0", "data": [row]})], Planned(200, {"data": []}))
    setup.run(market, only="restTrades")
    assert [stored["price"] for stored in setup.rows("restTrades", TODAY, market)][-1:] == [Decimal(price)]
    assert setup.receipt("restTrades", TODAY, market).defects == ()


def test_a_trade_with_too_many_decimals_costs_its_minute_and_the_message_names_takers_limit(setup: Setup) -> None:
    with_yesterday_archived(setup)
    at = int(datetime(2026, 3, 2, 4, 30, tzinfo=UTC).timestamp() * 1000)
    good = {"a": 1, "p": "1.123456789012", "q": "1", "f": 1, "l": 1, "T": at, "m": 1}
    too_fine = good | {"a": 2, "p": "1.1234567890123", "T": at + 60_000}
    setup.venue.plan("/aggTrades", Planned(200, [good, too_fine, too_fine | {"a": 3}]))
    (outcome,) = setup.run(BITCOIN, only="restTrades")
    assert (outcome.status, outcome.error) == ("stored", None)
    receipt = setup.receipt("restTrades", TODAY)
    assert receipt.covered_minutes == {f"2026-03-02T0{n}": 59 if n == 4 else 60 for n in range(5)}
    (defect,) = receipt.defects
    assert defect.reason == "`price` 1.1234567890123 has more than the 12 decimals that Taker stores"
    assert (defect.kind, defect.hour, defect.rows) == ("quarantined_rows", "2026-03-02T04", 2)
    setup.now += timedelta(hours=1)
    setup.run(BITCOIN, only="restTrades")
    grown = setup.receipt("restTrades", TODAY)
    assert grown.defects == receipt.defects
    assert grown.covered_minutes == {**receipt.covered_minutes, "2026-03-02T05": 60}


@pytest.mark.parametrize(
    ("market", "path"),
    [(BITCOIN, "/aggTrades"), (parse_market("okx:BTC-USDT-SWAP"), "/history-trades")],
)
def test_pages_that_do_not_advance_are_detected(setup: Setup, market: Market, path: str) -> None:
    with_yesterday_archived(setup)
    four = int(datetime(2026, 3, 2, 4, tzinfo=UTC).timestamp() * 1000)
    okx = {"instId": "BTC-USDT-SWAP", "side": "buy", "sz": "1", "px": "1", "tradeId": "7", "ts": str(four)}
    page = [setup.venue._agg_trade(7, inverse=False) | {"T": four}] * 1000
    setup.venue.plan(path, *[Planned(200, page if market is BITCOIN else {"code": "0", "data": [okx]})] * 9)
    outcome = setup.run(market, only="restTrades")[0]
    assert "do not advance" in str(outcome.error)


def test_two_bars_of_one_hour_that_differ_are_refused_where_there_is_no_other(setup: Setup) -> None:
    with_yesterday_archived(setup)
    bar = setup.venue.bar(int(datetime(2026, 3, 2, tzinfo=UTC).timestamp() * 1000))
    setup.venue.plan("/klines", Planned(200, [bar, [*bar[:4], "1", *bar[5:]]]))
    (outcome,) = setup.run(BITCOIN, only="restKlines")
    assert "appears twice with different rows" in str(outcome.error)


def test_outcomes_come_in_the_order_of_the_tasks_and_are_reported_as_they_end(setup: Setup) -> None:
    with_yesterday_archived(setup)
    swap = parse_market("okx:BTC-USDT-SWAP")
    access = setup.access("binance_um", "okx")
    apis = {venue: one.api for venue, one in access.items()}
    tasks = plan_recent([BITCOIN, swap], zone=setup.zone, apis=apis, now=setup.now)
    reported: list[Task] = []
    outcomes = ingest_recent(
        tasks, access=access, zone=setup.zone, clock=lambda: setup.now, report=lambda o: reported.append(o.task)
    )
    assert [outcome.task for outcome in outcomes] == tasks
    assert sorted(map(str, reported)) == sorted(map(str, tasks))


def test_coverage_reaches_its_index(setup: Setup) -> None:
    with_yesterday_archived(setup)
    setup.run(BITCOIN, only="restTrades")
    setup.zone.write_index()
    covered = setup.zone.coverage().to_pylist()
    assert [row["covered_minutes"] for row in covered if row["dataset"] == "restTrades"] == [60] * 5
