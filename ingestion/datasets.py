"""What can be ingested, as data: the columns of each dataset, their types, units and meaning.

Belongs here: facts that hold for a dataset whoever publishes it. The stored names are the raw zone's contract with dbt.
Does not: how a venue names or orders those columns in its files (`ingestion.venues`), or how bytes are parsed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import pyarrow as pa

from ingestion.periods import Span

# 18 digits fit a 64-bit integer, which Parquet can delta-encode; volumes of cheap coins need more.
PRICE: Final = pa.decimal128(18, 8)
AMOUNT: Final = pa.decimal128(38, 8)
RATIO: Final = pa.decimal128(38, 18)
INSTANT: Final = pa.timestamp("us", tz="UTC")


class Rule(StrEnum):
    """What a value must satisfy. A zero price or quantity is no violation: a known defect, dropped and counted."""

    NONE = "any value"
    NOT_NEGATIVE = "not negative"


@dataclass(frozen=True)
class Column:
    name: str
    type: pa.DataType
    description: str
    rule: Rule = Rule.NONE
    nullable: bool = False


@dataclass(frozen=True)
class Dataset:
    """One kind of file a venue publishes.

    `span`: length of one raw object. `time_column`: decides whether a row belongs to its file's period.
    `id_column`: rows are stored in its order and its gaps are counted; None where the venue gives no id, then rows are
    stored in time order. `positive`: rows with a zero in any of these are dropped and counted. `closed_period`: the
    first instant of the next day still belongs to the file (labels at the end of an interval). `at_most`: pairs of
    columns of which the first never exceeds the second. `one_per_time`: no two rows may share their time.
    """

    name: str
    description: str
    span: Span
    columns: tuple[Column, ...]
    time_column: str
    id_column: str | None = None
    positive: tuple[str, ...] = ()
    has_interval: bool = False
    closed_period: bool = False
    at_most: tuple[tuple[str, str], ...] = ()
    one_per_time: bool = False

    @property
    def schema(self) -> pa.Schema:
        """The stored Arrow schema. All fields are nullable here: that a value is missing is for the contract to say."""
        return pa.schema([pa.field(c.name, c.type, metadata={"description": c.description}) for c in self.columns])


_TRADED_AT = Column("traded_at", INSTANT, "When the trade happened, venue's clock, UTC.")
_IS_BUYER_MAKER = Column("is_buyer_maker", pa.bool_(), "True: the buyer's order rested, so the taker SOLD.")
_TRADE_PRICE = Column("price", PRICE, "Quote per base (USD per base for inverse contracts).", Rule.NOT_NEGATIVE)
_TRADE_QUANTITY = Column("quantity", PRICE, "Base for linear contracts, contracts for inverse ones.", Rule.NOT_NEGATIVE)

AGG_TRADES = Dataset(
    name="aggTrades",
    description="Trades of one taker order at one price within 100 ms, as one row; market trades only.",
    span=Span.DAY,
    columns=(
        Column("agg_trade_id", pa.int64(), "Id of the aggregate, contiguous per market.", Rule.NOT_NEGATIVE),
        _TRADE_PRICE,
        _TRADE_QUANTITY,
        Column("first_trade_id", pa.int64(), "Id of the first trade in the aggregate.", Rule.NOT_NEGATIVE),
        Column("last_trade_id", pa.int64(), "Id of the last trade in the aggregate.", Rule.NOT_NEGATIVE),
        _TRADED_AT,
        _IS_BUYER_MAKER,
    ),
    time_column="traded_at",
    id_column="agg_trade_id",
    positive=("price", "quantity"),
)

TRADES = Dataset(
    name="trades",
    description="Every single trade.",
    span=Span.DAY,
    columns=(
        Column("trade_id", pa.int64(), "Id of the trade, per market.", Rule.NOT_NEGATIVE),
        _TRADE_PRICE,
        _TRADE_QUANTITY,
        Column(
            "venue_notional",
            AMOUNT,
            "The venue's own product, kept for reference only: quote for linear contracts (rounded in older files), "
            "base for inverse ones.",
            Rule.NOT_NEGATIVE,
        ),
        _TRADED_AT,
        _IS_BUYER_MAKER,
    ),
    time_column="traded_at",
    id_column="trade_id",
    positive=("price", "quantity"),
)

KLINES = Dataset(
    name="klines",
    description="The venue's own bars, with the taker's share of the volume.",
    span=Span.MONTH,
    columns=(
        Column("opened_at", INSTANT, "First instant of the bar, UTC."),
        Column("open_price", PRICE, "First price of the bar.", Rule.NOT_NEGATIVE),
        Column("high_price", PRICE, "Highest price of the bar.", Rule.NOT_NEGATIVE),
        Column("low_price", PRICE, "Lowest price of the bar.", Rule.NOT_NEGATIVE),
        Column("close_price", PRICE, "Last price of the bar.", Rule.NOT_NEGATIVE),
        Column("volume", AMOUNT, "Base for linear contracts, CONTRACTS for inverse ones.", Rule.NOT_NEGATIVE),
        Column("closed_at", INSTANT, "Last millisecond of the bar, UTC."),
        Column("quote_volume", AMOUNT, "Quote for linear contracts, BASE for inverse ones.", Rule.NOT_NEGATIVE),
        Column("trade_count", pa.int64(), "Number of trades in the bar.", Rule.NOT_NEGATIVE),
        Column("taker_buy_volume", AMOUNT, "Part of `volume` that takers bought, same unit.", Rule.NOT_NEGATIVE),
        Column(
            "taker_buy_quote_volume", AMOUNT, "Part of `quote_volume` that takers bought, same unit.", Rule.NOT_NEGATIVE
        ),
    ),
    time_column="opened_at",
    has_interval=True,
    at_most=(("taker_buy_volume", "volume"), ("taker_buy_quote_volume", "quote_volume")),
    one_per_time=True,
)

METRICS = Dataset(
    name="metrics",
    description="Open interest and long/short ratios, every five minutes.",
    span=Span.DAY,
    columns=(
        Column(
            "observed_at", INSTANT, "The venue's label of the five minutes; whether start or end changed over time."
        ),
        Column("symbol_name", pa.string(), "Symbol as the file says it."),
        Column(
            "open_interest", RATIO, "Base for linear contracts, contracts for inverse ones.", Rule.NOT_NEGATIVE, True
        ),
        Column("open_interest_value", RATIO, "Quote for linear, base for inverse contracts.", Rule.NOT_NEGATIVE, True),
        Column("top_trader_account_long_short_ratio", RATIO, "Top traders, by accounts.", Rule.NOT_NEGATIVE, True),
        Column("top_trader_position_long_short_ratio", RATIO, "Top traders, by positions.", Rule.NOT_NEGATIVE, True),
        Column("account_long_short_ratio", RATIO, "All accounts.", Rule.NOT_NEGATIVE, True),
        Column("taker_buy_sell_ratio", RATIO, "Taker buy volume / taker sell volume.", Rule.NOT_NEGATIVE, True),
    ),
    time_column="observed_at",
    closed_period=True,
)

FUNDING_RATE = Dataset(
    name="fundingRate",
    description="The rate longs paid shorts at each funding.",
    span=Span.MONTH,
    columns=(
        Column("calculated_at", INSTANT, "When the rate was calculated; jitters by milliseconds."),
        Column("funding_interval_hours", pa.int64(), "Hours between two fundings.", Rule.NOT_NEGATIVE),
        Column("funding_rate", PRICE, "Share of the position's notional; positive: longs pay shorts."),
    ),
    time_column="calculated_at",
)

LIQUIDATION_SNAPSHOT = Dataset(
    name="liquidationSnapshot",
    description="Liquidation orders as the venue published them: at most one per symbol and second.",
    span=Span.DAY,
    columns=(
        Column("liquidated_at", INSTANT, "When the order was executed, UTC."),
        Column("side", pa.string(), "Side of the ORDER: SELL closed a long, BUY closed a short."),
        Column("order_type", pa.string(), "Always LIMIT so far."),
        Column("time_in_force", pa.string(), "Always IOC so far."),
        Column(
            "original_quantity", AMOUNT, "Ordered: base for linear contracts, contracts for inverse.", Rule.NOT_NEGATIVE
        ),
        Column(
            "price", PRICE, "Limit of the order, near the bankruptcy price: not where it traded.", Rule.NOT_NEGATIVE
        ),
        Column("average_price", PRICE, "Where it traded on average.", Rule.NOT_NEGATIVE),
        Column("order_status", pa.string(), "FILLED or PARTIALLY_FILLED."),
        Column("last_fill_quantity", AMOUNT, "Quantity of the last fill.", Rule.NOT_NEGATIVE),
        Column(
            "accumulated_fill_quantity", AMOUNT, "Filled so far: grows over the rows of one order.", Rule.NOT_NEGATIVE
        ),
    ),
    time_column="liquidated_at",
)

DATASETS: Final[dict[str, Dataset]] = {
    d.name: d for d in (AGG_TRADES, TRADES, KLINES, METRICS, FUNDING_RATE, LIQUIDATION_SNAPSHOT)
}

# The datasets that carry the exact flow; TAKER_TRADES_DATASET names one of them.
FLOW_DATASETS: Final = (AGG_TRADES.name, TRADES.name)
KLINE_INTERVALS: Final = {"1h": 1, "4h": 4, "1d": 24}
