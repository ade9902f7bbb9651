"""One coin that three venues name and count differently, built: one asset, one sum, one scale of prices."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.dbt.warehouse import RawFolder, Warehouse

DAY = date(2026, 3, 1)
AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
BINANCE, BYBIT, OKX, SATS = "binance_um:1000SHIBUSDT", "bybit:SHIB1000USDT", "okx:SHIB-USDT-SWAP", "okx:SATS-USDT-SWAP"
MARGINED = "okx:BTC-USD_UM-SWAP"


def recent(market_id: str, price: str, quantity: str, *, is_buy: bool) -> dict[str, Any]:
    return {
        "trade_id": "1",
        "trade_number": None,
        "price": Decimal(price),
        "quantity": Decimal(quantity),
        "normal_quantity": None,
        "traded_at": AT,
        "is_taker_buy": is_buy,
        "execution": "MARKET",
    }


def instrument(symbol: str, base: str, size: str, quote: str = "USDT") -> dict[str, Any]:
    contract = {"quote_asset": quote, "contract_type": "linear", "contract_size": Decimal(size)}
    return {"symbol_name": symbol, "base_asset": base, "observed_at": AT, "delivers_at": None, **contract}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    folder: Path = tmp_path_factory.mktemp("assets")
    zone = RawFolder(folder / "zone")
    sold = {"agg_trade_id": 1, "first_trade_id": 1, "last_trade_id": 1, "traded_at": AT, "is_buyer_maker": True}
    zone.store("aggTrades", BINANCE, DAY, [sold | {"price": Decimal("0.012345"), "quantity": Decimal(2000)}])
    bought = {"trade_id": 1, "traded_at": AT, "is_buyer_maker": False}
    zone.store("trades", BYBIT, DAY, [bought | {"price": Decimal("0.01235"), "quantity": Decimal(3000)}])
    zone.store("restTrades", OKX, DAY, [recent(OKX, "0.000012346", "0.5", is_buy=True)])
    zone.store("restTrades", SATS, DAY, [recent(SATS, "0.00000001265", "0.3", is_buy=False)])
    reported = [instrument("SHIB-USDT-SWAP", "SHIB", "1000000"), instrument("SATS-USDT-SWAP", "SATS", "10000000")]
    zone.store("instruments", "okx:ALL", DAY, [*reported, instrument("BTC-USD_UM-SWAP", "BTC", "0.001", "USD")])
    for market_id in (OKX, SATS):
        zone.covered(market_id, AT.replace(minute=0), dataset="restTrades")
    order = {"liquidated_at": AT, "received_at": AT, "is_long_liquidated": True, "original_quantity": None}
    order |= {"limit_price": None, "price": Decimal(60_000), "quantity": Decimal("2.5"), "contract_size": None}
    order |= {"symbol_name": "BTC-USD_UM-SWAP", "base_asset": "BTC", "quote_asset": "USD", "contract_type": "linear"}
    zone.store("liquidations", "okx:ALL", DAY, [order])
    zone.covered("okx:ALL", AT.replace(minute=0))
    zone.write_index()
    warehouse = Warehouse(folder / "warehouse", zone.url)
    models = ("+fct_net_taker_volume_hourly", "+dim_markets", "+int_liquidation_orders")
    warehouse.dbt("build", "--exclude-resource-type", "unit_test", "test", "--select", *models)
    return warehouse


def test_the_symbols_stay_and_the_asset_is_one(built: Warehouse) -> None:
    assert built.rows(
        "select market_id, base_asset, base_multiplier from dim_markets where base_asset = 'SHIB' order by all"
    ) == [("all:SHIB", "SHIB", 1), (BINANCE, "SHIB", 1000), (BYBIT, "SHIB", 1000), (OKX, "SHIB", 1)]


def test_amounts_and_prices_are_those_of_one_unit(built: Warehouse) -> None:
    assert built.rows(
        "select market_id, taker_buy_base, taker_sell_base, taker_buy_usd, taker_sell_usd, close_price "
        "from fct_net_taker_volume_hourly where hour(bar_at) = 9 and market_id <> 'all:SHIB' order by all"
    ) == [
        (BINANCE, 0, 2_000_000, 0, Decimal("24.69"), Decimal("0.000012345")),
        (BYBIT, 3_000_000, 0, Decimal("37.05"), 0, Decimal("0.00001235")),
        (SATS, 0, 3_000_000, 0, Decimal("0.03795"), Decimal("0.00000001265")),
        (OKX, 500_000, 0, Decimal("6.173"), 0, Decimal("0.000012346")),
    ]


def test_the_sum_over_venues_is_the_sum_of_all_three(built: Warehouse) -> None:
    assert built.rows(
        "select venue_set, taker_buy_base, taker_sell_base, net_taker_usd "
        "from fct_net_taker_volume_hourly where hour(bar_at) = 9 and market_id = 'all:SHIB'"
    ) == [("binance_um,bybit,okx", 3_500_000, 2_000_000, Decimal("18.533"))]


def test_a_liquidation_of_a_contract_margined_in_dollars_is_valued(built: Warehouse) -> None:
    assert built.rows("select market_id, liquidated_usd from int_liquidation_orders") == [(MARGINED, Decimal(150))]
