"""A market's text says what the contract is, or the reason why it cannot."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ingestion.markets import ContractType, Market, UnknownMarket


@pytest.mark.parametrize(
    ("text", "base", "quote", "kind", "size"),
    [
        ("binance_um:BTCUSDT", "BTC", "USDT", ContractType.LINEAR, 1),
        ("binance_um:1000PEPEUSDC", "1000PEPE", "USDC", ContractType.LINEAR, 1),
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
    ],
)
def test_a_symbol_says_its_assets_its_kind_and_its_contract_size(
    text: str, base: str, quote: str, kind: ContractType, size: int | str | None
) -> None:
    market = Market.parse(text)
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
    assert str(Market.parse(text).delivers_at) == f"{delivered} 08:00:00+00:00"


@pytest.mark.parametrize(
    "text", ["binance_um:BTCUSDT", "bybit:BTCUSD", "bybit:BTCPERP", "okx:BTC-USDT-SWAP", "bybit:BTC-31FEB25"]
)
def test_a_contract_without_a_day_that_can_be_is_never_delivered(text: str) -> None:
    assert Market.parse(text).delivers_at is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("BTCUSDT", "is not `venue:SYMBOL`"),
        ("binance_um:", "is not `venue:SYMBOL`"),
        ("mtgox:BTCUSD", "known venues are binance_um, binance_cm, bybit, okx, simulated"),
        ("binance_um:btcusdt", "write `binance_um:BTCUSDT`"),
        ("binance_um:BTCUSD_PERP", "no symbol of binance_um"),
        ("binance_cm:BTCUSDT", "like BTCUSD_PERP"),
        ("binance_um:ETHBTC", "no symbol of binance_um"),
    ],
)
def test_a_market_that_cannot_be_is_refused_with_what_is_allowed(text: str, reason: str) -> None:
    with pytest.raises(UnknownMarket, match=reason):
        Market.parse(text)
