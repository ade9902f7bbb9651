"""Liquidations of the last 24 hours.

Belongs here: the newest row of each market and venue. Does not: how it is printed (`orchestration.cli.render`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ingestion.domain.markets import SUMS_OF_VENUES
from orchestration.config.marts import Marts
from orchestration.serving.published import connect


@dataclass(frozen=True)
class Liquidated:
    """What was liquidated in the 24 hours [as_of_at − 24 h, as_of_at), in USD.

    `market_id`: a market, `venue:ALL`, or `all:ALL` for the venues of `venue_set` together. Totals are None where
    nothing was received. `unvalued_order_count` of the orders are in no total. `is_lower_bound`: there may be more.
    `subscribed_symbol_count`: symbols in the total, where venues require per-symbol subscriptions; None: every symbol.
    """

    market_id: str
    as_of_at: datetime
    long_usd: Decimal | None
    short_usd: Decimal | None
    order_count: int | None
    unvalued_order_count: int | None
    largest_order_usd: Decimal | None
    coverage_ratio: float
    is_lower_bound: bool
    liquidation_source: str
    venue_set: str
    subscribed_symbol_count: int | None = None


def last_liquidations(serving: Marts, markets: Sequence[str] | None = None) -> list[Liquidated]:
    """The newest 24 hours: of all venues, of each venue, and of each market (default: every ingested one).

    Only those as new as the published flow; none where this publication holds no liquidations.
    """
    import duckdb

    with connect(serving) as connection:
        try:
            rows = [Liquidated(*row) for row in connection.execute(_LAST_LIQUIDATIONS).fetchall()]
        except (duckdb.CatalogException, duckdb.BinderException):  # a publication made before there was such a mart
            return []
    return [row for row in rows if markets is None or row.market_id.endswith(":ALL") or row.market_id in markets]


def each_once(rows: Sequence[Liquidated]) -> list[Liquidated]:
    """The rows for people: without a sum over one venue alone beside the row of that venue, which states the same."""
    listed = {row.market_id for row in rows}

    def is_repeated(row: Liquidated) -> bool:
        return row.market_id.partition(":")[0] in SUMS_OF_VENUES and f"{row.venue_set}:ALL" in listed

    return [row for row in rows if not is_repeated(row)]


_LAST_LIQUIDATIONS = """
    select l.market_id, l.as_of_at, l.long_usd, l.short_usd, l.order_count, l.unvalued_order_count,
           l.largest_order_usd, l.coverage_ratio, l.is_lower_bound, l.liquidation_source, l.venue_set,
           l.subscribed_symbol_count
    from fct_liquidations_rolling_24h as l
    left join dim_markets as m on m.market_id = l.market_id
    where (ends_with(l.market_id, ':ALL') or m.is_ingested)
      -- Of a market's first day nothing has ended: then no liquidations are too old.
      and coalesce(l.as_of_at > (select max(bar_date) from fct_net_taker_volume_daily where not is_running), true)
    qualify row_number() over (partition by l.market_id order by l.as_of_at desc) = 1
    order by l.venue not in ('all', 'simulated_all'), not ends_with(l.market_id, ':ALL'), l.market_id
"""


def of_symbols(count: int | None) -> str:
    """What follows a total that is not of every symbol. Empty for None."""
    if count is None:
        return ""
    return f" ({count:,} subscribed symbol{'' if count == 1 else 's'}, not every symbol)"
