"""A market's text is parsed into its contract, or refused with the reason."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.domain.markets import ContractType, UnknownMarket, base_of
from ingestion.venues import is_simulated, parse_market


@pytest.mark.parametrize(
    ("text", "base", "quote", "kind", "size"),
    [
        ("binance_um:BTCUSDT", "BTC", "USDT", ContractType.LINEAR, 1),
        ("binance_um:1000PEPEUSDC", "PEPE", "USDC", ContractType.LINEAR, 1),
        ("binance_um:BTCFDUSD", "BTC", "FDUSD", ContractType.LINEAR, 1),
        ("binance_um:ETHUSDT_260327", "ETH", "USDT", ContractType.LINEAR, 1),
        ("binance_um:币安人生USDT", "币安人生", "USDT", ContractType.LINEAR, 1),
        ("binance_cm:BTCUSD_PERP", "BTC", "USD", ContractType.INVERSE, 100),
        ("binance_cm:BTCUSD_261225", "BTC", "USD", ContractType.INVERSE, 100),
        ("binance_cm:ETHUSD_PERP", "ETH", "USD", ContractType.INVERSE, 10),
        ("simulated:BTCUSDT", "BTC", "USDT", ContractType.LINEAR, 1),
        ("simulated:BTCUSD_PERP", "BTC", "USD", ContractType.INVERSE, 100),
        ("bybit:BTCUSDT", "BTC", "USDT", ContractType.LINEAR, 1),
        ("bybit:BTCPERP", "BTC", "USDC", ContractType.LINEAR, 1),
        ("bybit:BTCUSD", "BTC", "USD", ContractType.INVERSE, 1),
        ("bybit:BTCUSDZ26", "BTC", "USD", ContractType.INVERSE, 1),
        ("okx:BTC-USDT-SWAP", "BTC", "USDT", ContractType.LINEAR, "0.01"),
        ("okx:BTC-USDC-SWAP", "BTC", "USDC", ContractType.LINEAR, None),
        ("okx:BTC-USDT-261225", "BTC", "USDT", ContractType.LINEAR, None),
        ("okx:BTC-USD-SWAP", "BTC", "USD", ContractType.INVERSE, 100),
        ("okx:XRP-USD-230929", "XRP", "USD", ContractType.INVERSE, 10),
        ("okx:BTC-USD_UM-SWAP", "BTC", "USD", ContractType.LINEAR, None),
        ("okx:BTC-USD_UM-250808", "BTC", "USD", ContractType.LINEAR, None),
        ("okx:SUI-USD_UM_XPERP-310404", "SUI", "USD", ContractType.LINEAR, None),
    ],
)
def test_a_symbol_gives_its_assets_its_kind_and_its_contract_size(
    text: str, base: str, quote: str, kind: ContractType, size: int | str | None
) -> None:
    market = parse_market(text)
    assert (market.base_asset, market.quote_asset, market.contract_type) == (base, quote, kind)
    assert market.contract_size == (None if size is None else Decimal(size))
    assert str(market) == market.market_id == text


@pytest.mark.parametrize(
    ("text", "delivered"),
    [
        ("binance_cm:BTCUSD_200925", "2020-09-25"),
        ("binance_um:ETHUSDT_260327", "2026-03-27"),
        ("okx:BTC-USD-230929", "2023-09-29"),
        ("bybit:BTC-26DEC25", "2025-12-26"),
        ("bybit:BTC-5SEP25", "2025-09-05"),
        ("bybit:BTCUSDT-26DEC25", "2025-12-26"),
        ("bybit:BTCUSDZ25", "2025-12-26"),
        ("bybit:BTCUSDH24", "2024-03-29"),
        ("bybit:ETHUSDU23", "2023-09-29"),
        ("bybit:BTCUSDM21", "2021-06-25"),
        ("bybit:BTCUSDF26", "2026-01-30"),
    ],
)
def test_a_dated_contract_is_delivered_at_eight_in_the_morning_of_its_day(text: str, delivered: str) -> None:
    assert str(parse_market(text).delivers_at) == f"{delivered} 08:00:00+00:00"


@pytest.mark.parametrize(
    "text", ["binance_um:BTCUSDT", "bybit:BTCUSD", "bybit:BTCPERP", "okx:BTC-USDT-SWAP", "bybit:BTC-31FEB25"]
)
def test_a_contract_without_a_valid_day_is_never_delivered(text: str) -> None:
    assert parse_market(text).delivers_at is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("BTCUSDT", "is not `venue:SYMBOL`"),
        ("binance_um:", "is not `venue:SYMBOL`"),
        ("mtgox:BTCUSD", "known venues are binance_um, binance_cm, bybit, okx, simulated, simulated_b"),
        ("binance_um:btcusdt", "write `binance_um:BTCUSDT`"),
        ("binance_um:BTCUSD_PERP", "no symbol of binance_um"),
        ("binance_cm:BTCUSDT", "like BTCUSD_PERP"),
        ("binance_um:ETHBTC", "no symbol of binance_um"),
        ("okx:BTC-USDT_UM-SWAP", "no symbol of okx"),
    ],
)
def test_an_invalid_market_is_refused_with_what_is_allowed(text: str, reason: str) -> None:
    with pytest.raises(UnknownMarket, match=reason):
        parse_market(text)


@pytest.mark.parametrize(
    ("text", "asset", "multiplier"),
    [
        ("binance_um:1000SHIBUSDT", "SHIB", 1000),
        ("binance_um:1000PEPEUSDT", "PEPE", 1000),
        ("binance_um:1MBABYDOGEUSDT", "BABYDOGE", 1_000_000),
        ("binance_um:1000000MOGUSDT", "MOG", 1_000_000),
        ("binance_um:SHIBUSDT", "SHIB", 1),
        ("bybit:SHIB1000USDT", "SHIB", 1000),
        ("bybit:10000SATSUSDT", "SATS", 10_000),
        ("bybit:1000BONKPERP", "BONK", 1000),
        ("bybit:1000XUSDT", "X", 1000),
        ("bybit:10000000AIDOGEUSDT", "AIDOGE", 10_000_000),
        ("okx:SHIB-USDT-SWAP", "SHIB", 1),
        ("okx:XBT-USD-SWAP", "BTC", 1),
    ],
)
def test_an_asset_has_one_name_and_a_count_of_it_is_a_multiplier(text: str, asset: str, multiplier: int) -> None:
    market = parse_market(text)
    assert (market.base_asset, market.base_multiplier) == (asset, multiplier)
    assert market.market_id == text


REAL_NAMES = ("1INCH", "0G", "2Z", "4", "C98", "A2Z", "B3", "API3", "FHE", "T", "H", "1000", "100X", "1MIL2", "M1000X")


@pytest.mark.parametrize("name", REAL_NAMES)
def test_a_name_with_digits_of_its_own_is_unchanged(name: str) -> None:
    assert base_of(name) == (name, 1)


@given(st.from_regex(r"\A(10{0,9}|1M)?[A-Z0-9]{1,8}(10{0,9})?\Z"))
def test_a_base_is_never_empty_has_one_name_and_counts_by_powers_of_ten(name: str) -> None:
    asset, multiplier = base_of(name)
    assert asset
    assert base_of(asset) == (asset, 1)
    assert multiplier == 10 ** (len(str(multiplier)) - 1)


@pytest.mark.parametrize(
    ("text", "venue_base", "asset", "multiplier"),
    [
        ("bybit:SHIB1000USDT", "SHIB1000", "SHIB", 1000),
        ("bybit:SHIB1000USDT", "SHIB", "SHIB", 1000),
        ("binance_um:1000SHIBUSDT", "1000SHIB", "SHIB", 1000),
        ("binance_um:BTCUSDT", "XBT", "BTC", 1),
    ],
)
def test_assets_that_the_venue_reports_are_read_by_the_same_rule(
    text: str, venue_base: str, asset: str, multiplier: int
) -> None:
    market = parse_market(text).as_named(venue_base, "USDT")
    assert (market.base_asset, market.base_multiplier) == (asset, multiplier)


@pytest.mark.parametrize(
    ("market_id", "expected"),
    [
        ("simulated:BTCUSDT", True),
        ("simulated_b:BTCUSDT", True),
        ("simulated_all:BTC", True),
        ("binance_um:BTCUSDT", False),
        ("all:BTC", False),
        ("simulated_by_name_alone:BTCUSDT", False),
    ],
)
def test_a_market_is_simulated_where_its_venue_states_it(market_id: str, expected: bool) -> None:
    assert is_simulated(market_id) is expected
