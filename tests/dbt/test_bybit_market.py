"""Files in Bybit's layout, ingested and built: bars with the right side and the right dollars, from trades alone.

There are no klines beside them, so what the trades say is all there is.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from ingestion.archive import ingest, plan
from ingestion.domain.datasets import TRADES
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market
from tests.dbt.warehouse import Warehouse
from tests.support.archives import ArchiveFolder, archives_at

DAY = date(2026, 1, 5)
LINEAR, INVERSE = "bybit:BTCUSDT", "bybit:BTCUSD"


def row(symbol: str, hour: float, side: str, size: str, price: str, n: int) -> str:
    at = int(datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC).timestamp() + hour * 3600)
    return f"{at}.{n:04},{symbol},{side},{size},{price},PlusTick,{symbol}-{n},0,{size},0.0123456789012345"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    folder = ArchiveFolder(tmp_path_factory.mktemp("bybit") / "archive")
    linear = [
        row("BTCUSDT", 9.5, "Sell", "0.25", "90000.5", 3),
        row("BTCUSDT", 9.25, "Buy", "0.125", "90000", 2),
        row("BTCUSDT", 1, "Buy", "1e-03", "91000", 1),
    ]
    folder.bybit_trades(DAY, [*linear, linear[0]])  # newest first, as in older files, and one of them twice
    inverse = [row("BTCUSD", 9, "Sell", "700", "90000", 1), row("BTCUSD", 9.5, "Buy", "450", "45000", 2)]
    folder.bybit_trades(DAY, inverse, symbol="BTCUSD")
    root = tmp_path_factory.mktemp("store")
    zone = RawZone(open_store(root))
    tasks = [task for market in (LINEAR, INVERSE) for task in plan(TRADES, parse_market(market), DAY, DAY)]
    outcomes = ingest(tasks, archives=archives_at(folder.url, has_checksums=False), zone=zone, now=datetime.now(UTC))
    assert [outcome.status for outcome in outcomes] == ["stored", "stored"]
    zone.write_index()
    warehouse = Warehouse(root / "warehouse", zone.url, trades_dataset="trades")
    marts = ("+fct_net_taker_volume_hourly", "+fct_net_taker_volume_daily")
    warehouse.dbt("build", "--exclude-resource-type", "unit_test", "test", "--select", *marts)
    return warehouse


def test_every_hour_has_the_takers_side_and_its_dollars(built: Warehouse) -> None:
    assert built.rows(
        "select market_id, hour(bar_at), taker_buy_usd, taker_sell_usd, net_taker_usd, flow_source "
        "from fct_net_taker_volume_hourly where taker_buy_usd + taker_sell_usd > 0 order by all"
    ) == [
        # One contract of BTCUSD is one dollar, whatever the price.
        (INVERSE, 9, Decimal(450), Decimal(700), Decimal(-250), "trades"),
        (LINEAR, 1, Decimal(91), Decimal(0), Decimal(91), "trades"),
        (LINEAR, 9, Decimal(11250), Decimal("22500.125"), Decimal("-11250.125"), "trades"),
    ]


def test_a_day_of_inverse_trades_is_worth_their_contracts_over_their_prices_in_base(built: Warehouse) -> None:
    (found,) = built.rows(
        f"select taker_buy_base, taker_sell_base from fct_net_taker_volume_daily where market_id = '{INVERSE}'"
    )
    assert found == (Decimal("0.01"), Decimal("0.00777778"))
