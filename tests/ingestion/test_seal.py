"""Sealing: each event once, on its own day, with a receipt of what was received and what could not be used."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.domain.markets import Market
from ingestion.domain.periods import Period
from ingestion.live.rows import SpoolReading
from ingestion.live.seal import KEEP_SEALED, SEAL_VERSION, Sealed, collected_venues, finished_hours, seal
from ingestion.live.spool import (
    DroppedMessages,
    Record,
    Segment,
    held,
    segments,
)
from ingestion.raw.receipts import sha256_of
from ingestion.raw.s3 import S3Options
from ingestion.raw.stores import open_store
from ingestion.raw.zone import COVERAGE_KEY, ObjectId, RawZone, Receipt
from ingestion.venues import parse_market
from tests.support import messages
from tests.support.former_receipts import as_formerly
from tests.support.spooling import NOON, covered, ms, ns, received, spooled

DAY = date(2026, 9, 21)
LATER = NOON + timedelta(hours=3)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def zone(tmp_path: Path) -> RawZone:
    return RawZone(open_store(tmp_path / "storage"))


def liquidations(zone: RawZone, day: date = DAY, venue: str = "binance_um") -> tuple[list[dict[str, Any]], Receipt]:
    object_id = ObjectId("liquidations", Market.whole_venue(venue), "", Period.of_day(day))
    receipt = zone.receipt(object_id)
    assert receipt is not None
    return zone.rows(object_id).to_pylist(), receipt


def trades(zone: RawZone, market: str) -> tuple[list[dict[str, Any]], Receipt]:
    object_id = ObjectId("liveTrades", parse_market(market), "", Period.of_day(DAY))
    receipt = zone.receipt(object_id)
    assert receipt is not None
    return zone.rows(object_id).to_pylist(), receipt


def state(zone: RawZone) -> dict[str, bytes | None]:
    """Every stored object, receipts included."""
    return {found.key: zone.store.get_bytes(found.key) for found in zone.store.list("raw")}


# ---- what a row contains ----


def test_a_message_becomes_a_row_that_knows_its_contract(spool: Path, zone: RawZone) -> None:
    spooled(
        spool,
        received(messages.force_order(at=ms(NOON)), NOON + timedelta(milliseconds=80)),
        received(messages.force_order("币安人生USDT", "BUY", at=ms(NOON)), NOON),
        received(messages.force_order("ETHBTC", at=ms(NOON)), NOON),
    )
    seal(spool, zone, now=LATER)
    rows = {row["symbol_name"]: row for row in liquidations(zone)[0]}
    bitcoin = rows["BTCUSDT"]
    assert bitcoin["liquidated_at"] == NOON
    assert bitcoin["received_at"] == NOON + timedelta(milliseconds=80)
    assert (bitcoin["is_long_liquidated"], bitcoin["venue_side"]) == (True, "SELL")
    assert bitcoin["price"] * bitcoin["quantity"] == Decimal("24000.2")
    assert (bitcoin["base_asset"], bitcoin["contract_type"], bitcoin["contract_size"]) == ("BTC", "linear", 1)
    assert rows["币安人生USDT"]["base_asset"] == "币安人生"
    unknown = rows["ETHBTC"]
    assert (unknown["base_asset"], unknown["contract_type"], unknown["contract_size"]) == ("", "", None)


def test_a_size_that_only_the_venue_knows_stays_empty(spool: Path, zone: RawZone) -> None:
    message = messages.liquidation_order("sell", "long", at=ms(NOON), symbol="XRP-USDT-SWAP")
    spooled(spool, received(message, NOON), venue="okx")
    seal(spool, zone, now=LATER)
    (row,), _ = liquidations(zone, venue="okx")
    assert (row["base_asset"], row["quantity"], row["contract_size"]) == ("XRP", 39, None)


def test_trades_lie_with_their_market_and_liquidations_with_their_venue(spool: Path, zone: RawZone) -> None:
    spooled(
        spool,
        received(messages.agg_trade(at=ms(NOON)), NOON),
        received(messages.agg_trade("ETHUSDT", at=ms(NOON)), NOON),
        received(messages.single_trade("ADL", at=ms(NOON)), NOON),
        covered(NOON, "liveTrades", "BTCUSDT", "ETHUSDT"),
    )
    sealed = seal(spool, zone, now=LATER)
    assert [(each.dataset, each.market_id, each.rows) for each in sealed] == [
        ("liquidations", "binance_um:ALL", 0),
        ("liveTrades", "binance_um:BTCUSDT", 1),
        ("liveTrades", "binance_um:ETHUSDT", 2),
    ]
    rows, receipt = trades(zone, "binance_um:ETHUSDT")
    assert sorted(row["execution"] for row in rows) == ["ADL", "MARKET"]
    assert receipt.covered_minutes == {"2026-09-21T12": 1}


# ---- once, and on its own day ----


def test_an_event_received_on_two_connections_is_stored_once_as_first_received(spool: Path, zone: RawZone) -> None:
    message = messages.force_order(at=ms(NOON))
    spooled(spool, received(message, NOON + timedelta(seconds=2)), received(message, NOON + timedelta(seconds=1)))
    seal(spool, zone, now=LATER)
    (row,), receipt = liquidations(zone)
    assert row["received_at"] == NOON + timedelta(seconds=1)
    assert (receipt.rows, receipt.duplicate_rows, receipt.sources[0].rows) == (1, 1, 2)


def test_an_event_is_stored_on_the_day_it_happened_whenever_it_was_received(spool: Path, zone: RawZone) -> None:
    midnight = datetime(2026, 9, 22, tzinfo=UTC)
    before = messages.force_order(at=ms(midnight) - 1)
    after = messages.force_order(at=ms(midnight) + 1)
    # One was a little late, and one met a clock that is a little behind.
    spooled(spool, received(before, midnight + timedelta(seconds=1)), received(after, midnight - timedelta(seconds=1)))
    seal(spool, zone, now=midnight + timedelta(hours=2))
    assert len(liquidations(zone, DAY)[0]) == len(liquidations(zone, date(2026, 9, 22))[0]) == 1


def test_rows_are_in_the_order_of_time_however_they_came(spool: Path, zone: RawZone) -> None:
    times = [NOON + timedelta(seconds=n) for n in (5, 1, 9, 3)]
    spooled(spool, *(received(messages.force_order(at=ms(at)), NOON) for at in times))
    seal(spool, zone, now=LATER)
    assert [row["liquidated_at"] for row in liquidations(zone)[0]] == sorted(times)


def test_later_hours_are_added_to_the_day_without_a_revision(spool: Path, zone: RawZone) -> None:
    for hour in (0, 1):
        at = NOON + timedelta(hours=hour)
        spooled(spool, received(messages.force_order(at=ms(at)), at), covered(at), covered(at + timedelta(minutes=1)))
        seal(spool, zone, now=at + timedelta(hours=1))
    rows, receipt = liquidations(zone)
    assert len(rows) == len(receipt.sources) == 2
    assert receipt.covered_minutes == {"2026-09-21T12": 2, "2026-09-21T13": 2}
    assert (receipt.revision, receipt.rows, receipt.duplicate_rows) == (1, 2, 0)


def test_a_collector_that_was_restarted_adds_its_minutes_to_the_hour(spool: Path, zone: RawZone) -> None:
    spooled(spool, covered(NOON), received(messages.force_order(at=ms(NOON)), NOON))
    spooled(spool, covered(NOON + timedelta(minutes=2)), received(messages.force_order(at=ms(NOON)), NOON))
    (sealed,) = seal(spool, zone, now=LATER)
    assert sealed.receipt.covered_minutes == {"2026-09-21T12": 2}
    assert (sealed.hours, len(sealed.receipt.sources), sealed.rows) == (("2026-09-21T12",), 2, 1)


# ---- what could not be used ----


def test_what_is_malformed_or_torn_or_of_another_time_is_counted_and_the_rest_is_kept(
    spool: Path, zone: RawZone
) -> None:
    spooled(
        spool,
        received(b"{not json", NOON),
        received(messages.force_order(at=ms(NOON), z="1e40"), NOON),
        received(messages.agg_trade("../../X", at=ms(NOON)), NOON),
        received(messages.force_order(at=ms(NOON - timedelta(hours=30))), NOON),
        received(messages.force_order(at=ms(NOON + timedelta(hours=5))), NOON),
        received(messages.force_order(at=ms(NOON)), NOON),
    )
    with segments(spool)[0].path.open("ab") as file:
        file.write(b"\x10\x00\x00\x00torn")
    (sealed,) = seal(spool, zone, now=LATER)
    receipt = sealed.receipt
    assert (receipt.rows, receipt.malformed_messages, receipt.misdated_rows, receipt.torn_bytes) == (1, 2, 2, 8)
    (absurd,) = receipt.defects
    assert absurd.reason == "`quantity` 1E+40 is 1e+14 or more, which no market has"
    assert sealed.torn_bytes == 8


@pytest.mark.parametrize("damage", ["cut", "garbage after", "flipped"])
@pytest.mark.parametrize("at", [0.0, 0.05, 0.35, 0.5, 0.75, 0.999])
def test_of_a_torn_file_what_precedes_the_damage_is_stored_and_no_minute_after_it_is_covered(
    at: float, damage: str, spool: Path, zone: RawZone
) -> None:
    minutes = [NOON + timedelta(minutes=n) for n in range(20)]
    spooled(spool, *(each for m in minutes for each in (received(messages.force_order(at=ms(m)), m), covered(m))))
    path = segments(spool)[0].path
    whole = path.read_bytes()
    cut = int(len(whole) * at)
    tail = {
        "cut": b"",
        "garbage after": b"\xff" * 50,
        "flipped": bytes((whole[cut] ^ 1,)) + whole[cut + 1 :],
    }[damage]
    path.write_bytes(whole[:cut] + tail)
    (sealed,) = seal(spool, zone, now=LATER)
    receipt = sealed.receipt
    intact = [n for n in range(20) if cut >= 8 + (n + 1) * (len(whole) - 8) // 20]
    assert receipt.covered_minutes.get("2026-09-21T12", 0) == len(intact)
    assert len(intact) <= receipt.rows <= len(intact) + 1
    assert receipt.torn_bytes > 0 or cut + len(tail) == 0
    index = zone.write_index()
    assert index["status"].to_pylist() == ["stored"]
    assert segments(spool) == []
    assert seal(spool, zone, now=LATER) == []


def test_a_file_that_is_no_file_of_the_spool_stops_no_sealing(spool: Path, zone: RawZone) -> None:
    spooled(spool, received(messages.force_order(at=ms(NOON)), NOON))
    folder = spool / "binance_um"
    for name in ("notes.spool", "2026-99-99T13.1.spool", "2026-09-21T12.spool", ".spool", "2026-09-21T12.x.spool.open"):
        (folder / name).write_bytes(b"not ours")
    (folder / "2026-09-21T11.5.spool").mkdir()
    spooled(spool, received(messages.force_order(at=ms(NOON)), NOON))  # beside them
    (sealed,) = seal(spool, zone, now=LATER)
    assert sealed.rows == 1
    assert (folder / "notes.spool").read_bytes() == b"not ours"


def test_losses_are_counted_by_the_hour_in_which_they_were_received(spool: Path, zone: RawZone) -> None:
    one = NOON + timedelta(hours=1)
    late = NOON - timedelta(hours=30)
    spooled(spool, received(b"{not json", NOON), covered(NOON), covered(one))
    spooled(spool, received(b"{not json", one), received(messages.force_order(at=ms(late)), one))
    (sealed,) = seal(spool, zone, now=LATER)
    assert sealed.receipt.lost_messages == {"2026-09-21T12": 1, "2026-09-21T13": 2}
    assert (sealed.receipt.malformed_messages, sealed.receipt.misdated_rows) == (2, 1)
    zone.write_index()
    assert zone.coverage()["lost_messages"].to_pylist() == [1, 2]


def test_a_trade_of_another_time_is_lost_to_its_market_and_not_to_liquidations(spool: Path, zone: RawZone) -> None:
    spooled(spool, received(messages.agg_trade(at=ms(NOON - timedelta(hours=30))), NOON))
    seal(spool, zone, now=LATER)
    assert trades(zone, "binance_um:BTCUSDT")[1].lost_messages == {"2026-09-21T12": 1}
    assert liquidations(zone)[1].lost_messages == {}


def test_what_was_ordered_stands_beside_what_was_filled(spool: Path, zone: RawZone) -> None:
    partly = messages.force_order(at=ms(NOON), z="0.1", X="PARTIALLY_FILLED")
    wholly = messages.force_order(at=ms(NOON) + 40, z="0.5")
    spooled(spool, received(partly, NOON), received(wholly, NOON))
    seal(spool, zone, now=LATER)
    rows, _ = liquidations(zone)
    printed = [(row["quantity"], row["original_quantity"], row["limit_price"]) for row in rows]
    assert printed == [
        (Decimal("0.1"), Decimal("0.5"), Decimal("59000")),
        (Decimal("0.5"), Decimal("0.5"), Decimal("59000")),
    ]


def test_a_venue_that_does_not_say_what_was_ordered_leaves_it_empty(spool: Path, zone: RawZone) -> None:
    spooled(spool, received(messages.liquidation_order("sell", "long", at=ms(NOON)), NOON), venue="okx")
    seal(spool, zone, now=LATER)
    (row,), _ = liquidations(zone, venue="okx")
    assert (row["original_quantity"], row["limit_price"]) == (None, None)


def test_a_price_of_many_decimals_is_kept_to_twelve(spool: Path, zone: RawZone) -> None:
    prices = ("0.000006812", "0.0000123456789", "0.000000006812345")
    spooled(spool, *(received(messages.force_order(at=ms(NOON) + n, ap=price), NOON) for n, price in enumerate(prices)))
    seal(spool, zone, now=LATER)
    rows, receipt = liquidations(zone)
    assert [row["price"] for row in rows] == [Decimal("0.000006812"), Decimal("0.000012345679")]
    # Twelve decimals of the last one are not what the venue sent.
    assert (receipt.malformed_messages, receipt.lost_messages) == (0, {"2026-09-21T12": 1})


def test_a_trade_that_does_not_fit_exactly_is_counted_and_never_rounded(spool: Path, zone: RawZone) -> None:
    spooled(
        spool,
        received(messages.agg_trade(at=ms(NOON), p="0.0000000000001"), NOON),
        received(messages.agg_trade(number=2, at=ms(NOON), q="0.123456789"), NOON),
        received(messages.agg_trade(number=3, at=ms(NOON), p="0.000000000001"), NOON),
    )
    seal(spool, zone, now=LATER)
    rows, receipt = trades(zone, "binance_um:BTCUSDT")
    assert [row["trade_number"] for row in rows] == [3]
    assert (receipt.malformed_messages, receipt.lost_messages) == (0, {"2026-09-21T12": 2})
    (defect,) = receipt.defects
    assert (defect.kind, defect.hour, defect.rows) == ("quarantined_rows", "2026-09-21T12", 2)
    assert defect.reason == "`price` 1E-13 has more than the 12 decimals that Taker stores"
    assert liquidations(zone)[1].malformed_messages == 0


@pytest.mark.parametrize(("symbol", "price"), [("SATS", "0.00000001265"), ("PEPE", "0.000002355")])
def test_prices_of_the_cheapest_coins_are_stored_exactly(spool: Path, zone: RawZone, symbol: str, price: str) -> None:
    swap = f"{symbol}-USDT-SWAP"
    liquidated = messages.liquidation_order("sell", "long", at=ms(NOON), symbol=swap).replace("60000.5", price)
    traded = messages.okx_trade(at=ms(NOON), instId=swap, px=price, sz="0.1")
    spooled(spool, received(traded, NOON), received(liquidated, NOON), venue="okx")
    seal(spool, zone, now=LATER)
    assert [row["price"] for row in trades(zone, f"okx:{swap}")[0]] == [Decimal(price)]
    (order,), receipt = liquidations(zone, venue="okx")
    assert (order["price"], order["base_asset"], receipt.defects) == (Decimal(price), symbol, ())


def test_one_event_that_cannot_be_stored_costs_no_other_of_its_message(spool: Path, zone: RawZone) -> None:
    message = messages.all_liquidation(("Buy", "1", "60000"), ("Sell", "0.123456789", "60000"), at=ms(NOON))
    spooled(spool, received(message, NOON), venue="bybit")
    seal(spool, zone, now=LATER)
    rows, receipt = liquidations(zone, venue="bybit")
    assert [row["quantity"] for row in rows] == [1]
    assert [defect.rows for defect in receipt.defects] == [1]


@pytest.mark.parametrize(
    ("symbol", "fields"),
    [
        ("BTCUSDT", {"z": "1e25", "ap": "60000"}),
        ("BTCUSDT", {"z": "1e14", "ap": "60000"}),
        ("BTCUSDT", {"q": "1e15"}),
        ("BTCUSD_PERP", {"z": "1e14", "ap": "0.0000001"}),
    ],
)
def test_what_no_order_can_be_worth_is_set_aside_with_its_reason(
    symbol: str, fields: dict[str, str], spool: Path, zone: RawZone
) -> None:
    venue = "binance_cm" if symbol == "BTCUSD_PERP" else "binance_um"
    spooled(spool, received(messages.force_order(symbol, at=ms(NOON), **fields), NOON), venue=venue)
    seal(spool, zone, now=LATER)
    rows, receipt = liquidations(zone, venue=venue)
    (defect,) = receipt.defects
    assert (rows, receipt.malformed_messages, defect.kind) == ([], 0, "quarantined_rows")
    assert "which no market has" in defect.reason or "is too much to be one order" in defect.reason
    assert sum(receipt.lost_messages.values()) == 1


def test_messages_that_were_not_kept_are_lost_to_their_hour_and_its_receipt_states_how_many(
    spool: Path, zone: RawZone
) -> None:
    one = NOON + timedelta(hours=1)
    spooled(spool, DroppedMessages(ns(NOON), "binance_um", 7, 900), covered(NOON), covered(one))
    spooled(spool, DroppedMessages(ns(one), "binance_um", 100_000_000, 10**12))
    seal(spool, zone, now=LATER)
    _, receipt = liquidations(zone)
    assert receipt.lost_messages == {"2026-09-21T12": 7, "2026-09-21T13": 100_000_000}
    assert [(defect.hour, defect.rows) for defect in receipt.defects] == [
        ("2026-09-21T12", 7),
        ("2026-09-21T13", 100_000_000),
    ]
    assert all("received and not kept" in defect.reason for defect in receipt.defects)
    zone.write_index()
    assert zone.coverage()["lost_messages"].to_pylist() == [7, 100_000_000]


def test_an_hour_without_messages_is_recorded(spool: Path, zone: RawZone) -> None:
    spooled(spool, *(covered(NOON + timedelta(minutes=n)) for n in range(60)))
    seal(spool, zone, now=LATER)
    rows, receipt = liquidations(zone)
    assert (rows, receipt.status, receipt.covered_minutes) == ([], "stored", {"2026-09-21T12": 60})
    zone.write_index()
    (hour,) = zone.coverage().to_pylist()
    assert (hour["covered_minutes"], hour["is_every_order"], hour["heard_symbols"]) == (60, False, "")


def test_the_coverage_of_per_symbol_subscriptions_names_the_symbols(spool: Path, zone: RawZone) -> None:
    spooled(spool, covered(NOON, "liquidations", "BTCUSDT", "ETHUSDT"), venue="bybit")
    spooled(spool, covered(NOON + timedelta(minutes=2), "liquidations", "BTCUSDT", "XRPUSDT"), venue="bybit")
    seal(spool, zone, now=LATER)
    zone.write_index()
    (hour,) = zone.coverage().to_pylist()
    assert (hour["covered_minutes"], hour["is_every_order"], hour["heard_symbols"]) == (2, True, "BTCUSDT")


def test_coverage_that_is_missing_or_of_an_older_version_is_made_from_every_receipt(spool: Path, zone: RawZone) -> None:
    spooled(spool, covered(NOON))
    spooled(spool, covered(NOON), venue="okx")
    seal(spool, zone, now=LATER)
    zone.write_index()
    whole = zone.coverage()
    zone.store.delete(COVERAGE_KEY)
    zone.write_index()
    assert zone.coverage().equals(whole)
    older = io.BytesIO()
    pq.write_table(whole.drop_columns(["heard_symbols"]), older)
    zone.store.put_bytes(COVERAGE_KEY, older.getvalue())
    zone.write_index()
    assert zone.coverage().equals(whole)


# ---- when, and again ----


def test_only_hours_that_have_ended_are_sealed(spool: Path, zone: RawZone) -> None:
    spooled(spool, received(messages.force_order(at=ms(NOON)), NOON))
    assert finished_hours(spool, now=NOON + timedelta(minutes=59)) == []
    assert seal(spool, zone, now=NOON + timedelta(minutes=59)) == []
    (hour,) = finished_hours(spool, now=NOON + timedelta(minutes=60))
    assert (hour.venue, hour.hour, hour.files) == ("binance_um", "2026-09-21T12", 1)


def test_sealing_where_no_collector_ever_ran_does_nothing(spool: Path, zone: RawZone) -> None:
    assert finished_hours(spool, now=LATER) == seal(spool, zone, now=LATER) == []
    assert not spool.exists()


def test_sealing_goes_on_while_a_collector_writes(spool: Path, zone: RawZone) -> None:
    spooled(spool, received(messages.force_order(at=ms(NOON)), NOON))
    with held(spool):
        assert [each.rows for each in seal(spool, zone, now=LATER)] == [1]


def test_sealed_files_leave_the_spool_stay_readable_for_a_month_and_then_go(spool: Path, zone: RawZone) -> None:
    spooled(spool, received(messages.force_order(at=ms(NOON)), NOON))
    as_it_came = segments(spool)[0].path.read_bytes()
    seal(spool, zone, now=LATER)
    assert segments(spool) == []
    (kept,) = spool.glob("sealed/binance_um/*")
    assert pa.CompressedInputStream(pa.OSFile(str(kept)), "zstd").read() == as_it_came
    assert [path.suffix for path in spool.glob("sealed/binance_um/*")] == [".zst"]
    seal(spool, zone, now=LATER + KEEP_SEALED)
    assert not [*spool.glob("sealed/binance_um/*")]


def test_the_kept_copy_is_on_the_disk_before_the_spool_forgets_the_file(
    spool: Path, zone: RawZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    spooled(spool, received(messages.force_order(at=ms(NOON)), NOON))
    happened: list[str] = []
    forget = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        happened.append(f"unlink {path.suffix}")
        forget(path, missing_ok)

    for module in ("ingestion.live.seal", "ingestion.raw.durable"):
        monkeypatch.setattr(f"{module}.sync", lambda path: happened.append(f"sync {path.name.split('.')[0]}"))
    monkeypatch.setattr(Path, "unlink", unlink)
    seal(spool, zone, now=LATER)
    # The copy is hidden until it is whole.
    assert happened[-5:] == ["sync ", "sync binance_um", "sync sealed", "sync spool", "unlink .spool"]


def test_a_day_goes_on_whose_receipt_has_the_name_of_former_versions(spool: Path, zone: RawZone) -> None:
    spooled(spool, received(messages.force_order(at=ms(NOON)), NOON), covered(NOON))
    (first,) = seal(spool, zone, now=NOON + timedelta(hours=1, minutes=30))
    as_formerly(zone)
    assert seal(spool, zone, now=NOON + timedelta(hours=1, minutes=30)) == []
    at = NOON + timedelta(hours=1)
    spooled(spool, received(messages.force_order(at=ms(at)), at), covered(at))
    (second,) = seal(spool, zone, now=LATER)
    assert second.receipt.covered_minutes == {"2026-09-21T12": 1, "2026-09-21T13": 1}
    assert second.receipt.sources[:1] == first.receipt.sources
    object_id = ObjectId("liquidations", Market.whole_venue("binance_um"), "", Period.of_day(DAY))
    assert [found.key for found in zone.store.list(object_id.folder) if found.key.endswith("receipt.json")] == [
        object_id.receipt_key
    ]


@pytest.mark.parametrize("spoil", ["torn receipt", "torn former receipt", "no data", "flipped bit"])
def test_a_damaged_object_is_made_anew_from_the_sealed_files(spool: Path, zone: RawZone, spoil: str) -> None:
    spooled(spool, received(messages.force_order(at=ms(NOON)), NOON), covered(NOON))
    (first,) = seal(spool, zone, now=LATER)
    object_id = ObjectId("liquidations", Market.whole_venue("binance_um"), "", Period.of_day(DAY))
    data = zone.store.get_bytes(object_id.data_key) or b""
    if spoil == "torn former receipt":
        as_formerly(zone)
        zone.store.put_bytes(f"{object_id.folder}/receipt.json", first.receipt.to_json()[:-40])
        assert [each.day for each in seal(spool, zone, now=LATER)] == [DAY]
        zone.store.put_bytes(object_id.receipt_key, first.receipt.to_json()[:-40])
    elif spoil == "torn receipt":
        zone.store.put_bytes(object_id.receipt_key, first.receipt.to_json()[:-40])
    elif spoil == "no data":
        zone.store.delete(object_id.data_key)
    else:
        zone.store.put_bytes(object_id.data_key, data[:50] + bytes([data[50] ^ 1]) + data[51:])
    assert zone.write_index()["status"].to_pylist() == ([] if "torn" in spoil else ["damaged"])
    assert zone.coverage().num_rows == 0
    (again,) = seal(spool, zone, now=LATER)
    assert (again.receipt.sources, again.receipt.covered_minutes) == (first.receipt.sources, {"2026-09-21T12": 1})
    assert zone.store.get_bytes(object_id.data_key) == data
    assert (segments(spool), seal(spool, zone, now=LATER)) == ([], [])
    assert zone.write_index()["status"].to_pylist() == ["stored"]


def test_what_cannot_be_made_anew_is_kept_aside_and_not_covered(spool: Path, zone: RawZone) -> None:
    spooled(spool, received(messages.force_order(at=ms(NOON)), NOON), covered(NOON))
    (first,) = seal(spool, zone, now=LATER)
    for sealed in spool.glob("sealed/*/*.zst"):
        sealed.unlink()
    object_id = ObjectId("liquidations", Market.whole_venue("binance_um"), "", Period.of_day(DAY))
    torn = first.receipt.to_json()[:-40]
    zone.store.put_bytes(object_id.receipt_key, torn)
    assert seal(spool, zone, now=LATER) == []
    next_hour = NOON + timedelta(hours=1)
    spooled(spool, received(messages.force_order(at=ms(next_hour)), next_hour), covered(next_hour))
    (later,) = seal(spool, zone, now=LATER)
    assert later.receipt.covered_minutes == {"2026-09-21T13": 1}
    kept = [zone.store.get_bytes(found.key) for found in zone.store.list(f"{object_id.folder}/set_aside")]
    assert torn in kept
    assert len(kept) == 2


def put_back(spool: Path) -> None:
    """As docs/collect.md describes."""
    for kept in spool.glob("sealed/*/*.zst"):
        target = spool / kept.parent.name / kept.name.removesuffix(".zst")
        target.write_bytes(pa.CompressedInputStream(pa.OSFile(str(kept)), "zstd").read())


def test_files_that_are_put_back_are_read_anew_by_a_seal_that_reads_otherwise(
    spool: Path, zone: RawZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    midnight = datetime(2026, 9, 22, tzinfo=UTC)
    for at in (NOON, midnight):
        late = messages.force_order(at=ms(at) - 5)
        spooled(spool, received(late, at), received(b"{not json", at), covered(at))
        seal(spool, zone, now=at + timedelta(hours=2))
    before = state(zone)
    put_back(spool)
    assert seal(spool, zone, now=LATER + timedelta(days=1)) == []
    assert (state(zone), segments(spool)) == (before, [])

    monkeypatch.setattr("ingestion.live.seal.SEAL_VERSION", SEAL_VERSION + 1)
    monkeypatch.setattr("ingestion.venues.binance.feed._LONG_SIDES", {"SELL": False, "BUY": True})
    put_back(spool)
    read = seal(spool, zone, now=LATER + timedelta(days=1))
    assert [(str(each.day), each.rows, each.receipt.decoder_version) for each in read] == [
        ("2026-09-21", 2, SEAL_VERSION + 1),
        ("2026-09-22", 0, SEAL_VERSION + 1),
    ]
    rows, receipt = liquidations(zone)
    assert [row["is_long_liquidated"] for row in rows] == [False, False]
    assert (receipt.covered_minutes, receipt.malformed_messages) == ({"2026-09-21T12": 1}, 1)
    put_back(spool)
    assert seal(spool, zone, now=LATER + timedelta(days=1)) == []


def forget_kept(spool: Path) -> None:
    """As after 30 days."""
    for path in (spool / "sealed").glob("*/*.zst"):
        path.unlink()


def test_what_an_older_version_sealed_is_judged_anew_while_its_files_are_kept(
    spool: Path, zone: RawZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older version knew no limit of a quantity: the order is set aside after the update, and reported."""
    for hour in (0, 1):
        at = NOON + timedelta(hours=hour)
        absurd = messages.force_order(at=ms(at) + 1, q="1e13", z="1e13")
        with monkeypatch.context() as older:
            older.setattr("ingestion.live.rows.value_fault", lambda column, value: None)
            older.setattr("ingestion.live.rows.LARGEST_VALUE", Decimal("1e40"))
            older.setattr("ingestion.live.seal.SEAL_VERSION", SEAL_VERSION - 1)
            spooled(spool, received(messages.force_order(at=ms(at)), at), received(absurd, at), covered(at))
            seal(spool, zone, now=at + timedelta(hours=1))
    assert liquidations(zone)[1].rows == 4
    (again,) = seal(spool, zone, now=LATER)
    assert (again.receipt.decoder_version, again.rows) == (SEAL_VERSION, 2)
    assert again.receipt.covered_minutes == {"2026-09-21T12": 1, "2026-09-21T13": 1}
    assert again.receipt.lost_messages == {"2026-09-21T12": 1, "2026-09-21T13": 1}
    assert len(again.receipt.defects) == 2
    after = state(zone)
    assert seal(spool, zone, now=LATER) == []
    assert state(zone) == after


def flipped(packed: Path) -> None:
    """The sealed file with other bytes, of which zstd notices nothing."""
    raw = pa.CompressedInputStream(pa.OSFile(str(packed)), "zstd").read()
    with pa.CompressedOutputStream(str(packed), "zstd") as file:
        file.write(raw[:-1] + bytes([raw[-1] ^ 1]))


def test_a_day_of_an_older_version_stays_when_one_of_its_files_is_not_as_it_was_read(
    spool: Path, zone: RawZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise its file would count as a further one: its minutes twice, at every sealing again."""
    for hour in (0, 1):
        at = NOON + timedelta(hours=hour)
        spooled(spool, received(messages.force_order(at=ms(at)), at), covered(at))
        seal(spool, zone, now=at + timedelta(hours=1))
    before = state(zone)
    flipped(sorted(spool.glob("sealed/*/*.zst"))[0])
    monkeypatch.setattr("ingestion.live.seal.SEAL_VERSION", SEAL_VERSION + 1)
    assert seal(spool, zone, now=LATER) == []
    assert (state(zone), segments(spool)) == (before, [])


def test_days_of_an_older_version_are_made_anew_one_at_a_time(
    spool: Path, zone: RawZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that an upgrade takes the memory and the disk of a day, not of a month."""
    days = [NOON + timedelta(days=number) for number in range(3)]
    for at in days:
        spooled(spool, received(messages.force_order(at=ms(at)), at), covered(at))
        seal(spool, zone, now=at + timedelta(hours=1))
    read: list[int] = []

    class Counted(SpoolReading):
        def __init__(self, venue: str) -> None:
            super().__init__(venue)
            read.append(0)

        def read(self, segment: Segment) -> None:
            super().read(segment)
            read[-1] += 1

    monkeypatch.setattr("ingestion.live.seal.SpoolReading", Counted)
    monkeypatch.setattr("ingestion.live.seal.SEAL_VERSION", SEAL_VERSION + 1)
    made = seal(spool, zone, now=days[-1] + timedelta(hours=2))
    assert [each.day for each in made] == [at.date() for at in days]
    assert read == [1, 1, 1]


def test_a_day_that_an_older_version_began_goes_on(spool: Path, zone: RawZone, tmp_path: Path) -> None:
    spooled(spool, received(messages.force_order(at=ms(NOON)), NOON))
    (first,) = seal(spool, zone, now=LATER)
    forget_kept(spool)
    object_id = ObjectId("liquidations", Market.whole_venue("binance_um"), "", Period.of_day(DAY))
    older = zone.rows(object_id).drop_columns(["original_quantity", "limit_price"])
    place = older.column_names.index("price")
    path = tmp_path / "older"
    pq.write_table(older.set_column(place, "price", older["price"].cast(pa.decimal128(18, 8))), path)
    stored = replace(first.receipt, stored_bytes=path.stat().st_size, stored_sha256=sha256_of(path))
    zone.put(object_id, path, replace(stored, decoder_version=SEAL_VERSION - 1))
    at = NOON + timedelta(hours=1)
    spooled(spool, received(messages.force_order(at=ms(at)), at))
    seal(spool, zone, now=LATER)
    rows, receipt = liquidations(zone)
    assert [row["original_quantity"] for row in rows] == [None, Decimal("0.5")]
    assert rows[0]["price"] == rows[1]["price"] == Decimal("60000.5")
    # So the first hour can still be read anew.
    assert receipt.decoder_version == SEAL_VERSION - 1


def test_one_file_of_several_is_not_read_anew_and_counted_twice(
    spool: Path, zone: RawZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill just before an update of Taker leaves it in the spool, sealed."""
    for hour in (0, 1):
        at = NOON + timedelta(hours=hour)
        spooled(spool, received(messages.force_order(at=ms(at)), at), covered(at))
        (last,) = segments(spool)
        copy = last.path.read_bytes()
        seal(spool, zone, now=at + timedelta(hours=1))
        forget_kept(spool)
    before = state(zone)
    last.path.write_bytes(copy)
    monkeypatch.setattr("ingestion.live.seal.SEAL_VERSION", SEAL_VERSION + 1)
    assert seal(spool, zone, now=LATER) == []
    assert state(zone) == before


@pytest.mark.xdist_group("s3")
def test_sealing_into_s3_stores_the_same_and_a_torn_receipt_is_made_anew_there_too(
    spool: Path, zone: RawZone, s3_url: str, seaweedfs: S3Options, tmp_path: Path
) -> None:
    remote = RawZone(open_store(s3_url, seaweedfs))
    for hour in (0, 1):
        at = NOON + timedelta(hours=hour)
        for folder, into in ((spool, zone), (tmp_path / "other", remote)):
            spooled(folder, received(messages.force_order(at=ms(at)), at), received(b"{not json", at), covered(at))
            seal(folder, into, now=at + timedelta(hours=1))
    assert state(remote) == state(zone)
    assert liquidations(remote)[1].lost_messages == {"2026-09-21T12": 1, "2026-09-21T13": 1}
    assert collected_venues(tmp_path / "nowhere", remote) == ["binance_um"]
    object_id = ObjectId("liquidations", Market.whole_venue("binance_um"), "", Period.of_day(DAY))
    before = remote.store.get_bytes(object_id.data_key)
    remote.store.put_bytes(object_id.receipt_key, b"{")
    seal(tmp_path / "other", remote, now=LATER)
    assert remote.store.get_bytes(object_id.data_key) == before


class Killed(BaseException):
    """As if the process had ended there."""


def content() -> Sequence[Record]:
    midnight = datetime(2026, 9, 21, tzinfo=UTC)
    return (
        received(messages.force_order(at=ms(midnight) - 5), midnight),
        received(messages.force_order(at=ms(midnight)), midnight),
        received(messages.force_order(at=ms(midnight)), midnight),
        received(messages.agg_trade(at=ms(midnight)), midnight),
        received(b"torn", midnight),
        covered(midnight),
        covered(midnight, "liveTrades", "BTCUSDT"),
    )


def test_killed_between_any_two_steps_sealing_ends_in_the_same_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps are whatever changes the storage or the spool: each is the last one once, in order."""
    import os

    from ingestion.raw.store import LocalStore

    def run(folder: Path, dies_before: int | None) -> tuple[bool, RawZone]:
        zone = RawZone(open_store(folder / "storage"))
        done = 0

        def stepping(act: Any) -> Any:
            def step(*arguments: Any, **options: Any) -> Any:
                nonlocal done
                if done == dies_before:
                    raise Killed
                done += 1
                return act(*arguments, **options)

            return step

        with monkeypatch.context() as patched:
            for name in ("put_bytes", "put_file"):
                patched.setattr(LocalStore, name, stepping(getattr(LocalStore, name)))
            patched.setattr(Path, "unlink", stepping(Path.unlink))
            patched.setattr("ingestion.raw.durable.os.replace", stepping(os.replace))
            try:
                seal(folder / "spool", zone, now=LATER)
            except Killed:
                return True, zone
        return False, zone

    spooled(tmp_path / "whole" / "spool", *content())
    _, zone = run(tmp_path / "whole", None)
    expected = state(zone)
    assert len(expected) == 6

    step, died = 0, True
    while died:
        folder = tmp_path / f"killed{step}"
        spooled(folder / "spool", *content())
        died, _ = run(folder, step)
        _, zone = run(folder, None)
        assert state(zone) == expected, f"killed before step {step}"
        assert segments(folder / "spool") == []
        assert seal(folder / "spool", zone, now=LATER) == []
        step += 1
    assert step > 8


def test_a_sealed_file_that_comes_back_changes_nothing(spool: Path, zone: RawZone) -> None:
    spooled(spool, *content())
    (file,) = segments(spool)
    copy = file.path.read_bytes()
    first: list[Sealed] = seal(spool, zone, now=LATER)
    before = state(zone)
    file.path.write_bytes(copy)
    assert len(first) == 3
    assert seal(spool, zone, now=LATER + timedelta(hours=1)) == []
    assert state(zone) == before


# ---- whatever a venue sends ----

AT = ms(NOON)
EVERY_FORM = {
    "binance_um": [messages.force_order(at=AT), messages.agg_trade(at=AT), messages.single_trade("ADL", at=AT)],
    "bybit": [messages.all_liquidation(("Buy", "1", "6"), at=AT), messages.public_trade(at=AT)],
    "okx": [messages.liquidation_order("sell", "long", at=AT), messages.okx_trade(at=AT)],
}
ODD_VALUES: list[Any] = [
    *(None, True, False, -1, 0, 2**63, 2**70, 1.5, -0.1, 1e300, [], [1], {}, {"a": 1}),
    *("", " ", "1e999999999", "1e-999999999", "1E+9", "0.123456789", "9" * 5000, "9" * 20, "-0", "NaN", "Infinity"),
    *("\ud800", "ALL", "../x", "a b", "btcusdt", "BTCUSDT\n", "x" * 300, "\x00", "SELL", "net", "MARKET"),
]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(leaf for key, each in inner for leaf in leaves(each, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    key, *rest = path
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[key] = replaced(changed[key], tuple(rest), by)
    return changed


@pytest.mark.parametrize("venue", sorted(EVERY_FORM))
def test_no_message_whatever_it_holds_stops_the_sealing(venue: str, spool: Path, zone: RawZone) -> None:
    sent = [
        json.dumps(replaced(json.loads(message), path, odd))
        for message in EVERY_FORM[venue]
        for path in leaves(json.loads(message))
        for odd in ODD_VALUES
    ]
    spooled(spool, *(received(message, NOON) for message in sent), venue=venue)
    sealed = seal(spool, zone, now=LATER)
    assert segments(spool) == []
    assert sum(each.receipt.malformed_messages for each in sealed) > len(sent) // 10
