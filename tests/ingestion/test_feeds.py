"""Venues' messages: sides, amounts, malformed ones. Invented messages, and recorded ones where available."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingestion.live.collector import plan
from ingestion.venues import VENUES, parse_market, venue_of
from ingestion.venues.venue import Event, Execution, Liquidation, Malformed, Trade
from tests.support import messages

AT = 1_790_000_000_123
WHEN = datetime.fromtimestamp(1_790_000_000, UTC).replace(microsecond=123_000)
WITH_FEED = [venue for venue in VENUES if venue_of(venue).feed is not None]


def read(venue: str, message: str | bytes) -> list[Event]:
    return list(venue_of(venue).feed.read(message))


def liquidation(venue: str, message: str) -> Liquidation:
    (event,) = read(venue, message)
    assert isinstance(event, Liquidation)
    return event


def trade(venue: str, message: str) -> Trade:
    (event,) = read(venue, message)
    assert isinstance(event, Trade)
    return event


# ---- sides ----


@pytest.mark.parametrize(
    ("venue", "message", "is_long"),
    [
        ("binance_um", messages.force_order(side="SELL", at=AT), True),
        ("binance_um", messages.force_order(side="BUY", at=AT), False),
        ("bybit", messages.all_liquidation(("Buy", "1", "60000"), at=AT), True),
        ("bybit", messages.all_liquidation(("Sell", "1", "60000"), at=AT), False),
        ("okx", messages.liquidation_order("sell", "long", at=AT), True),
        ("okx", messages.liquidation_order("buy", "short", at=AT), False),
        ("okx", messages.liquidation_order("sell", "", at=AT), True),
        ("okx", messages.liquidation_order("buy", None, at=AT), False),
        ("okx", messages.liquidation_order("buy", "net", at=AT), False),
    ],
)
def test_each_venues_side_is_read_as_the_position_that_was_closed(venue: str, message: str, is_long: bool) -> None:
    event = liquidation(venue, message)
    assert (event.is_long_liquidated, event.liquidated_at) == (is_long, WHEN)


@pytest.mark.parametrize(
    ("venue", "message", "bought"),
    [
        ("binance_um", messages.agg_trade(at=AT, m=True), False),
        ("binance_um", messages.agg_trade(at=AT, m=False), True),
        ("bybit", messages.public_trade("Sell", at=AT), False),
        ("okx", messages.okx_trade("buy", at=AT), True),
    ],
)
def test_the_takers_side_is_the_one_that_the_venue_reports(venue: str, message: str, bought: bool) -> None:
    event = trade(venue, message)
    assert (event.is_taker_buy, event.traded_at, event.execution) == (bought, WHEN, Execution.MARKET)


# ---- amounts ----


def test_the_value_of_a_forced_order_is_the_filled_quantity_at_the_average_price() -> None:
    event = liquidation("binance_um", messages.force_order(at=AT, q="9", p="1", ap="60000.5", z="0.4", l="0.2"))
    assert (event.price, event.quantity) == (Decimal("60000.5"), Decimal("0.4"))


def test_an_aggregate_has_its_trade_count_and_the_quantity_that_did_not_meet_retail_orders() -> None:
    event = trade("binance_um", messages.agg_trade(number=9, at=AT))
    assert (event.number, event.trade_count, event.normal_quantity) == (9, 2, Decimal("0.004"))
    assert trade("okx", messages.okx_trade(at=AT)).trade_count == 3


@pytest.mark.parametrize("execution", [Execution.ADL, Execution.INSURANCE_FUND, Execution.UNKNOWN, "", None, "BLOCK"])
def test_a_trade_without_a_market_order_is_kept_and_flagged(execution: str | None) -> None:
    event = trade("binance_um", messages.single_trade(execution, at=AT))
    known = execution in (Execution.ADL, Execution.INSURANCE_FUND)
    assert event.execution == (execution if known else Execution.UNKNOWN)


def test_a_block_trade_has_no_taker() -> None:
    assert trade("bybit", messages.public_trade(at=AT, BT=True)).execution == Execution.UNKNOWN


# ---- which venue an order belongs to ----


@pytest.mark.parametrize(
    ("symbol", "fields", "owner"),
    [
        ("BTCUSDT", {}, "binance_um"),
        ("BTCUSDT_261225", {}, "binance_um"),
        ("ETHBTC", {}, "binance_um"),
        ("币安人生USDT", {}, "binance_um"),
        ("BTCUSD_PERP", {}, "binance_cm"),
        ("BTCUSD_261225", {"ps": "BTCUSD"}, "binance_cm"),
        ("BTCUSDT", {"st": 1}, "binance_um"),
        ("BTCUSD_PERP", {"st": 2}, "binance_cm"),
    ],
)
def test_an_order_that_both_hosts_send_counts_at_one_venue_only(
    symbol: str, fields: dict[str, Any], owner: str
) -> None:
    message = messages.force_order(symbol, at=AT, **fields)
    events = {venue: len(read(venue, message)) for venue in ("binance_um", "binance_cm")}
    assert events == {"binance_um": 0, "binance_cm": 0} | {owner: 1}


# ---- event ids ----


@pytest.mark.parametrize(
    ("venue", "message"),
    [
        ("binance_um", messages.force_order(at=AT)),
        ("bybit", messages.all_liquidation(("Buy", "1", "6"), ("Buy", "1", "6"), ("Sell", "1", "6"), at=AT)),
        ("okx", messages.liquidation_order("sell", "long", at=AT)),
    ],
)
def test_the_same_event_has_the_same_id_on_every_connection_and_two_events_have_two(venue: str, message: str) -> None:
    first = [event.event_id for event in read(venue, message) if isinstance(event, Liquidation)]
    again = [event.event_id for event in read(venue, message.encode()) if isinstance(event, Liquidation)]
    assert first == again
    assert len(set(first)) == len(first)


# ---- messages without events ----


@pytest.mark.parametrize(
    ("venue", "message"),
    [
        ("binance_um", '{"result":null,"id":1}'),
        ("bybit", '{"success":true,"ret_msg":"","op":"subscribe","conn_id":"x"}'),
        ("bybit", '{"ret_msg":"pong","op":"ping"}'),
        ("okx", '{"event":"subscribe","arg":{"channel":"liquidation-orders","instType":"SWAP"},"connId":"x"}'),
        ("okx", "pong"),
        ("okx", b"pong"),
    ],
)
def test_an_acknowledgement_or_a_pong_holds_no_event(venue: str, message: str | bytes) -> None:
    assert read(venue, message) == []
    assert venue_of(venue).feed.refusal(message) is None


@pytest.mark.parametrize(
    ("venue", "message", "is_accepted"),
    [
        ("bybit", '{"success":true,"ret_msg":"","op":"subscribe","conn_id":"x"}', True),
        ("bybit", '{"success":true,"ret_msg":"subscribe","op":"subscribe"}', True),
        ("bybit", '{"success":false,"ret_msg":"no","op":"subscribe"}', False),
        ("bybit", '{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"","op":"ping"}', False),
        ("bybit", '"subscribe"', False),
        ("bybit", messages.all_liquidation(("Buy", "1", "6"), at=1), False),
        ("okx", '{"event":"subscribe","arg":{"channel":"liquidation-orders","instType":"SWAP"},"connId":"x"}', True),
        ("okx", '{"event":"error","code":"60012","msg":"Invalid request: \\"subscribe\\""}', False),
        ("okx", "pong", False),
        ("okx", '{"event":"subscribe"', False),
        ("binance_um", '{"result":null,"id":1}', False),
    ],
)
@pytest.mark.parametrize("form", [str, str.encode])
def test_only_the_answer_to_a_subscription_accepts_it(venue: str, message: str, is_accepted: bool, form: type) -> None:
    assert venue_of(venue).feed.is_acceptance(form(message)) is is_accepted


@pytest.mark.parametrize(
    ("venue", "message", "reason"),
    [
        ("binance_um", '{"error":{"code":2,"msg":"Invalid request"},"id":1}', "Invalid request"),
        ("bybit", '{"success":false,"ret_msg":"handler not found","op":"subscribe"}', "handler not found"),
        ("okx", '{"event":"error","code":"60018","msg":"Wrong URL or channel"}', "Wrong URL"),
    ],
)
@pytest.mark.parametrize("form", [str, str.encode])
def test_a_rejected_subscription_is_recognised_with_its_reason(
    venue: str, message: str, reason: str, form: type
) -> None:
    assert reason in venue_of(venue).feed.refusal(form(message))


@pytest.mark.parametrize("venue", WITH_FEED)
@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        "null",
        "1",
        "{}",
        '{"data":[]}',
        '{"topic":"x.y","data":[]}',
        '{"e":"kline"}',
        b"\xff\xfe{",
        "[" * 99_999,
    ],
)
def test_an_undocumented_message_is_malformed(venue: str, message: str | bytes) -> None:
    with pytest.raises(Malformed):
        read(venue, message)


@pytest.mark.parametrize(
    ("venue", "message"),
    [
        ("binance_um", messages.force_order(side="LONG", at=AT)),
        ("binance_um", messages.force_order(at=AT, ap="-1")),
        ("binance_um", messages.force_order(at=AT, z="NaN")),
        ("binance_um", messages.force_order(at=AT, z=None)),
        ("binance_um", messages.force_order(at=AT, st=3)),
        ("binance_um", messages.force_order(at=AT // 1000)),
        ("binance_um", messages.agg_trade(at=AT, m="false")),
        ("binance_um", messages.agg_trade(at=AT, f=9, l=8)),
        ("bybit", messages.all_liquidation(("buy", "1", "6"), at=AT)),
        ("okx", messages.liquidation_order("sell", "both", at=AT)),
        ("okx", messages.okx_trade("Sell", at=AT)),
    ],
)
def test_an_undocumented_value_is_malformed_and_never_interpreted(venue: str, message: str) -> None:
    with pytest.raises(Malformed):
        read(venue, message)


# ---- subscriptions ----


def test_liquidations_and_trades_never_share_a_connection() -> None:
    market = parse_market("binance_um:BTCUSDT")
    feed = venue_of("binance_um").feed
    alone, trades = feed.subscriptions([market], trades=True, url="ws://host/market")
    assert (alone.url, alone.dataset) == ("ws://host/market/stream?streams=!forceOrder@arr", "liquidations")
    assert (trades.url, trades.dataset) == ("ws://host/market/stream?streams=btcusdt@aggTrade", "liveTrades")
    assert trades.symbols == ("BTCUSDT",)


def test_bybit_is_subscribed_per_symbol_on_the_address_of_its_kind_of_contract() -> None:
    markets = [parse_market(f"bybit:{symbol}") for symbol in ("BTCUSDT", "ETHPERP", "BTCUSD")]
    linear, inverse = venue_of("bybit").feed.subscriptions(markets, trades=False, url="ws://host")
    assert (linear.url, json.loads(linear.subscribe_messages[0])["args"]) == (
        "ws://host/linear",
        ["allLiquidation.BTCUSDT", "allLiquidation.ETHPERP"],
    )
    assert (inverse.url, inverse.symbols) == ("ws://host/inverse", ("BTCUSD",))
    assert venue_of("bybit").feed.subscriptions([], trades=True, url="ws://host") == []


def test_okx_liquidations_of_swaps_and_futures_are_subscribed_without_any_market() -> None:
    (only,) = venue_of("okx").feed.subscriptions([], trades=True, url="ws://host")
    assert [channel["instType"] for channel in json.loads(only.subscribe_messages[0])["args"]] == ["SWAP", "FUTURES"]
    assert only.symbols == ()


def test_liquidations_are_subscribed_for_every_symbol_and_trades_for_the_markets_only() -> None:
    markets, more = (
        [parse_market("bybit:BTCUSDT")],
        [parse_market(f"bybit:{symbol}") for symbol in ("BTCUSDT", "XUSDT")],
    )
    (planned,) = plan(markets, {"bybit": "ws://host"}, trades=True, more=more)
    assert [(each.name, each.symbols) for each in planned.subscriptions] == [
        ("bybit linear", ("BTCUSDT", "XUSDT")),
        ("bybit linear trades", ("BTCUSDT",)),
    ]


# ---- recorded messages ----


def recorded(real_data: Path, venue: str, kind: str) -> list[str]:
    lines = (real_data / "ws_raw" / "tardis_node_mapper_test_messages.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [
        json.dumps(each["message"]) for each in found if each["venue_hint"] == venue and kind in str(each["message"])
    ]


def test_recorded_binance_liquidations(real_data: Path) -> None:
    linear, inverse = recorded(real_data, "binance", "forceOrder")
    event = liquidation("binance_um", linear)
    assert (event.is_long_liquidated, event.price * event.quantity) == (False, Decimal("65.88456"))
    event = liquidation("binance_cm", inverse)
    size = parse_market(f"binance_cm:{event.symbol}").contract_size
    assert (event.is_long_liquidated, event.quantity * size) == (True, Decimal(300))
    assert read("binance_um", inverse) == read("binance_cm", linear) == []


def test_recorded_trades_without_a_market_order(real_data: Path) -> None:
    found = [event for message in recorded(real_data, "binance", "'X'") for event in read("binance_um", message)]
    seen = [(event.symbol, event.execution, event.price) for event in found if isinstance(event, Trade)]
    assert ("ETHUSDT", Execution.INSURANCE_FUND, Decimal("2366.55")) in seen
    assert ("ETCUSDT", Execution.ADL, Decimal("852.722")) in seen
    assert ("BTCUSDT", Execution.MARKET, Decimal("11343.67")) in seen


def test_recorded_bybit_messages(real_data: Path) -> None:
    (message,) = recorded(real_data, "bybit", "allLiquidation")
    event = liquidation("bybit", message)
    assert (event.is_long_liquidated, event.price * event.quantity) == (False, Decimal("69.89776"))
    inverse = recorded(real_data, "bybit", "publicTrade.BTCUSD'")
    assert [event.quantity for event in read("bybit", inverse[0])] == [5823, 3, 5593]


def test_recorded_okx_messages(real_data: Path) -> None:
    (message,) = recorded(real_data, "okx", "liquidation-orders")
    event = liquidation("okx", message)
    size = parse_market(f"okx:{event.symbol}").contract_size
    assert (event.is_long_liquidated, event.quantity * size, event.price) == (False, Decimal(390), Decimal("0.55205"))
    (message,) = recorded(real_data, "okx", "48938.5")
    assert (trade("okx", message).quantity, trade("okx", message).is_taker_buy) == (5, True)


def test_recorded_orders_are_worth_what_their_recorder_computed(real_data: Path) -> None:
    with (real_data / "binance_um_forceOrder_feed_2025-10-22_excerpt.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 57
    long_usd = Decimal(0)
    for row in rows:
        message = messages.force_order(row["symbol"], row["side"], at=AT, ap=row["avg_price"], z=row["filled_qty"])
        event = liquidation("binance_um", message)
        assert float(event.price * event.quantity) == pytest.approx(float(row["usd_value"]), rel=1e-12)
        assert event.is_long_liquidated == (row["side"] == "SELL")
        long_usd += event.price * event.quantity if event.is_long_liquidated else 0
    assert long_usd == sum(Decimal(r["avg_price"]) * Decimal(r["filled_qty"]) for r in rows if r["side"] == "SELL")


def test_a_recorded_capture_gives_the_flow_that_was_computed_from_it(real_data: Path) -> None:
    bought = sold = Decimal(0)
    numbers = []
    with gzip.open(real_data / "ws_raw" / "hftbacktest_usdm_btcusdt_20240808.gz", "rt") as lines:
        for line in lines:
            if "@trade" in line:
                event = trade("binance_um", line.partition(" ")[2])
                numbers.append(event.number)
                bought += event.price * event.quantity if event.is_taker_buy else 0
                sold += 0 if event.is_taker_buy else event.price * event.quantity
    assert numbers == list(range(numbers[0], numbers[0] + 21_313))
    assert (round(bought, 2), round(sold, 2)) == (Decimal("77197396.65"), Decimal("72648284.24"))


def test_a_recorded_row_without_price_is_kept_and_never_flow(real_data: Path) -> None:
    with (real_data / "ws_raw" / "bdp_um_TRXUSDT_trade_stream_2025-03-04.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["XUnknownParameter"] != "MARKET"]
    (row,) = rows
    event = trade(
        "binance_um", messages.single_trade(row["XUnknownParameter"], at=AT, p=row["Price"], q=row["Quantity"])
    )
    assert (event.price, event.execution) == (0, Execution.UNKNOWN)
    with (real_data / "ws_raw" / "cryptofeed_BINANCE_DELIVERY.ws.1.0").open() as file:
        capture = [line.partition(": ")[2] for line in file if '"e":"aggTrade"' in line]
    events = [event for message in capture for event in read("binance_cm", message)]
    assert len(events) == len(capture) == 51
    assert all(event.quantity == int(event.quantity) for event in events)  # contracts


@pytest.mark.parametrize(
    ("venue", "message"),
    [
        ("binance_um", '{"result":null,"id":1}'),
        ("bybit", '{"success":true,"ret_msg":"pong","conn_id":"a","op":"ping"}'),
        ("bybit", '{"success":true,"ret_msg":"","conn_id":"a","op":"subscribe"}'),
        ("okx", "pong"),
        ("okx", '{"event":"subscribe","arg":{"channel":"liquidation-orders","instType":"SWAP"},"connId":"a"}'),
    ],
)
def test_an_acknowledgement_or_a_pong_is_no_market_data(venue: str, message: str) -> None:
    feed = venue_of(venue).feed
    assert feed is not None
    assert not feed.is_market_data(message)
    assert not feed.is_market_data(message.encode())


@pytest.mark.parametrize(
    ("venue", "message"),
    [
        ("binance_um", messages.force_order(at=1)),
        ("bybit", messages.all_liquidation(("Buy", "1", "2"), at=1)),
        ("okx", messages.liquidation_order("sell", "long", at=1)),
    ],
)
def test_an_order_is_market_data(venue: str, message: str) -> None:
    feed = venue_of(venue).feed
    assert feed is not None
    assert feed.is_market_data(message)
    assert feed.is_market_data(message.encode())
