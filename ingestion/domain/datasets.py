"""What can be ingested, as data: the columns of each dataset, their types, units and meaning.

Belongs here: facts about a dataset that hold for every venue. The stored names are the raw zone's contract with dbt.
Does not: how a venue names or orders those columns in its files (`ingestion.venues`), or how bytes are parsed.

Longer than 400 lines, since it is the catalogue: one entry per column, all in one place.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from ingestion.domain.kinds import AMOUNT, FLAG, INSTANT, PRICE, RATIO, TEXT, WHOLE, Kind
from ingestion.domain.periods import Span

if TYPE_CHECKING:
    import pyarrow as pa


class Origin(StrEnum):
    """Where a dataset comes from, which decides how it is requested."""

    ARCHIVE = "files of past days and months, with proof"
    API = "the venue's REST API: days that the archive does not have yet"
    FEED = "the venue's WebSocket, collected by Taker"


class Rule(StrEnum):
    """What a value must satisfy. A zero price or quantity is no violation: a known defect, dropped and counted."""

    NONE = "any value"
    NOT_NEGATIVE = "not negative"


# Every number is smaller than this, whatever its sign, unless its column states another limit. No market comes near
# these, and what the marts compute from smaller ones (products, sums over days, quotients, units of a multiplied asset)
# fits their 38 digits: `tests/dbt/test_accepted_values.py` computes with the largest ones. Prices: a bitcoin in USD is
# 10^5. Amounts: a busy day of 1000PEPE is 5 x 10^11, and a base is multiplied by up to 10^8. Ratios: open interest is
# one too, at most 10^11, and it is multiplied as well. Ids: a market has numbered 10^10 trades in six years.
SMALLER_THAN: Final[dict[Kind, Decimal]] = {
    Kind.PRICE: Decimal(10) ** 10,
    Kind.AMOUNT: Decimal(10) ** 14,
    Kind.RATIO: Decimal(10) ** 12,
    Kind.WHOLE: Decimal(10) ** 15,
}
# Price times quantity of one row, in the quote asset of linear contracts; and contracts over price of inverse ones.
LARGEST_VALUE: Final = Decimal(10) ** 16
LARGEST_BASE: Final = Decimal(10) ** 14
# The same, summed over one object: what a minute of a bar may add up to at 20 decimals, and a base at 16.
LARGEST_TOTAL_VALUE: Final = 1e17
LARGEST_TOTAL_QUANTITY: Final = 1e14
# Characters of a text: no symbol, status or id of a venue is longer than half of it.
LONGEST_TEXT: Final = 100
# Times of any column: before the first bitcoin, or beyond any delivery date, it is another unit.
EARLIEST: Final = datetime(2009, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Column:
    """`below`: the exclusive limit of its numbers, by default that of its kind. `at_least`: the least of them.
    `accepts`: the only texts that it may hold; empty: any of at most `longest` characters."""

    name: str
    kind: Kind
    description: str
    rule: Rule = Rule.NONE
    nullable: bool = False
    below: Decimal | None = None
    at_least: int | None = None
    accepts: tuple[str, ...] = ()
    longest: int = LONGEST_TEXT

    @property
    def limit(self) -> Decimal | None:
        """The number that its values stay below, whatever their sign; None where it holds no numbers."""
        return self.below or SMALLER_THAN.get(self.kind)

    @property
    def type(self) -> pa.DataType:
        """The stored Arrow type."""
        from ingestion.domain.arrow import ARROW_TYPES

        return ARROW_TYPES[self.kind]


@dataclass(frozen=True)
class FileLimits:
    """How large a source file may be, so that memory and time are bounded whatever its bytes are. One that is larger is
    refused, with the figures.

    `rows_per_day`, `bytes_per_day`: rows and inflated bytes for each day of the file's period. `rows_in_memory`: of a
    file, or of the files of one object, that must be sorted. `ratio`: inflated bytes per packed byte, counted from
    `always_bytes` on, which any file may have. `header_bytes`, `columns`: of the first row. `line_bytes`: of any row.
    """

    rows_per_day: int
    bytes_per_day: int
    rows_in_memory: int = 25_000_000
    ratio: int = 100
    always_bytes: int = 16 << 20
    header_bytes: int = 16 << 10
    columns: int = 256
    line_bytes: int = 1 << 20


# Trades: the busiest months have 200 million rows and 15 GB, so a busy day some 20 million and 1.5 GB; only files out
# of order, and Bybit's (a few million rows a day), are sorted in memory. Deflated trades are a fourth of their size, a
# month of funding rates a fifth; deflate itself ends at 1032 times.
_TRADE_FILES: Final = FileLimits(rows_per_day=200_000_000, bytes_per_day=16 << 30)
# 288 rows of metrics, 24 bars, some hundred liquidations of a market in a crash, 24 fundings at most.
_SMALL_FILES: Final = FileLimits(rows_per_day=200_000, bytes_per_day=64 << 20)


@dataclass(frozen=True)
class Dataset:
    """One kind of file a venue publishes.

    `span`: length of one raw object. `time_column`: decides whether a row belongs to its file's period.
    `id_column`: rows are stored in its order and its gaps are counted; None where the venue gives no id, then rows are
    stored in time order. `positive`: rows with a zero in any of these are dropped and counted. `closed_period`: the
    first instant of the next day still belongs to the file (labels at the end of an interval). `jitter`: a time so much
    before or after the file's period still belongs to the file, and a row to the day that it reaches that much later
    (timestamps of an event at midnight that are slightly early or late). `at_most`: pairs of columns of which the first
    never exceeds the second. `one_per_time`: no two rows may share their time.
    `is_venue_wide`: one object holds every symbol of the venue; its rows name theirs (`symbol_name`), its key has ALL.
    `is_trades`: every row is a trade with `price` and `quantity`, whose product and quotient are limited too.
    `longest_span`: pairs of columns, of which the second exceeds the first by less than a number. `files`: how large
    its source files may be.
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
    jitter: timedelta = timedelta()
    at_most: tuple[tuple[str, str], ...] = ()
    one_per_time: bool = False
    origin: Origin = Origin.ARCHIVE
    is_venue_wide: bool = False
    is_trades: bool = False
    longest_span: tuple[tuple[str, str, int], ...] = ()
    files: FileLimits = _SMALL_FILES

    @cached_property
    def schema(self) -> pa.Schema:
        """The stored Arrow schema. All fields are nullable here: missing values are reported by the contract."""
        import pyarrow as pa

        return pa.schema([pa.field(c.name, c.type, metadata={"description": c.description}) for c in self.columns])


# Trades of one row: sums of them over every row of every day stay whole numbers of 64 bits.
_MOST_TRADES: Final = Decimal(10) ** 9
_TRADED_AT = Column("traded_at", INSTANT, "When the trade was executed, venue's clock, UTC.")
_IS_BUYER_MAKER = Column("is_buyer_maker", FLAG, "True: the buyer's order rested, so the taker SOLD.")
_TRADE_PRICE = Column("price", PRICE, "Quote per base (USD per base for inverse contracts).", Rule.NOT_NEGATIVE)
_TRADE_QUANTITY = Column(
    "quantity",
    AMOUNT,
    "Base, or contracts: of inverse markets, and where the venue counts in contracts.",
    Rule.NOT_NEGATIVE,
)

AGG_TRADES = Dataset(
    name="aggTrades",
    description="Trades of one taker order at one price within 100 ms, as one row; market trades only.",
    span=Span.DAY,
    columns=(
        Column("agg_trade_id", WHOLE, "Id of the aggregate, contiguous per market.", Rule.NOT_NEGATIVE),
        _TRADE_PRICE,
        _TRADE_QUANTITY,
        Column("first_trade_id", WHOLE, "Id of the first trade in the aggregate.", Rule.NOT_NEGATIVE),
        Column("last_trade_id", WHOLE, "Id of the last trade in the aggregate.", Rule.NOT_NEGATIVE),
        _TRADED_AT,
        _IS_BUYER_MAKER,
    ),
    time_column="traded_at",
    id_column="agg_trade_id",
    positive=("price", "quantity"),
    at_most=(("first_trade_id", "last_trade_id"),),
    is_trades=True,
    longest_span=(("first_trade_id", "last_trade_id", 10**9),),
    files=_TRADE_FILES,
)

TRADES = Dataset(
    name="trades",
    description="Every single trade.",
    span=Span.DAY,
    columns=(
        Column(
            "trade_id",
            WHOLE,
            "Id of the trade, per market; where the venue gives none, its position in its day, from 1.",
            Rule.NOT_NEGATIVE,
        ),
        _TRADE_PRICE,
        _TRADE_QUANTITY,
        Column(
            "venue_notional",
            AMOUNT,
            "The venue's own product, kept for reference only: quote for linear contracts (rounded in older files), "
            "base for inverse ones; empty where the venue prints none.",
            Rule.NOT_NEGATIVE,
            nullable=True,
        ),
        _TRADED_AT,
        _IS_BUYER_MAKER,
    ),
    time_column="traded_at",
    id_column="trade_id",
    positive=("price", "quantity"),
    is_trades=True,
    files=_TRADE_FILES,
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
        Column("trade_count", WHOLE, "Number of trades in the bar.", Rule.NOT_NEGATIVE, below=_MOST_TRADES),
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
        Column("symbol_name", TEXT, "Symbol as in the file."),
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
        Column(
            "funding_interval_hours",
            WHOLE,
            "Hours between two fundings.",
            Rule.NOT_NEGATIVE,
            below=Decimal(25),
            at_least=1,
        ),
        # Venues cap it at a few percent.
        Column(
            "funding_rate", RATIO, "Share of the position's notional; positive: longs pay shorts.", below=Decimal(1)
        ),
    ),
    time_column="calculated_at",
    jitter=timedelta(seconds=30),
)

# As Binance documents the states of an order; those of liquidations were FILLED or PARTIALLY_FILLED so far.
_ORDER_STATUSES: Final = (
    "NEW",
    "PARTIALLY_FILLED",
    "FILLED",
    "CANCELED",
    "REJECTED",
    "EXPIRED",
    "EXPIRED_IN_MATCH",
)

LIQUIDATION_SNAPSHOT = Dataset(
    name="liquidationSnapshot",
    description="Liquidation orders as the venue published them: at most one per symbol and second.",
    span=Span.DAY,
    columns=(
        Column("liquidated_at", INSTANT, "When the order was executed, UTC."),
        Column("side", TEXT, "Side of the ORDER: SELL closed a long, BUY closed a short.", accepts=("BUY", "SELL")),
        Column("order_type", TEXT, "Always LIMIT so far."),
        Column("time_in_force", TEXT, "Always IOC so far."),
        Column(
            "original_quantity", AMOUNT, "Ordered: base for linear contracts, contracts for inverse.", Rule.NOT_NEGATIVE
        ),
        Column(
            "price", PRICE, "Limit of the order, near the bankruptcy price: not where it traded.", Rule.NOT_NEGATIVE
        ),
        Column("average_price", PRICE, "Where it traded on average.", Rule.NOT_NEGATIVE),
        Column("order_status", TEXT, "FILLED or PARTIALLY_FILLED.", accepts=_ORDER_STATUSES),
        Column("last_fill_quantity", AMOUNT, "Quantity of the last fill.", Rule.NOT_NEGATIVE),
        Column(
            "accumulated_fill_quantity", AMOUNT, "Filled so far: grows over the rows of one order.", Rule.NOT_NEGATIVE
        ),
    ),
    time_column="liquidated_at",
)

_RECEIVED_AT = Column(
    "received_at", INSTANT, "When the message was received, collector's clock, UTC; the two clocks may differ."
)

# The side of the order, and the position where the venue reports it.
_OKX_SIDES: Final = tuple(f"{side}{position}" for side in ("buy", "sell") for position in ("", " long", " short"))
# USD, or base as the venue counts it: at most 10^7 so far. It multiplies amounts.
_LARGEST_CONTRACT: Final = Decimal(10) ** 8
_LARGEST_MULTIPLIER: Final = Decimal(10) ** 8 + 1
_CONTRACT_TYPES: Final = ("linear", "inverse")

LIQUIDATIONS = Dataset(
    name="liquidations",
    description="Liquidation orders received on the venue's feed, every symbol, the side normalised.",
    span=Span.DAY,
    columns=(
        Column("symbol_name", TEXT, "Symbol at that venue; may hold letters of any script."),
        Column("liquidated_at", INSTANT, "When the order was executed, venue's clock, UTC."),
        _RECEIVED_AT,
        Column("is_long_liquidated", FLAG, "True: a long was closed. The venues' own sides differ in meaning."),
        Column(
            "venue_side",
            TEXT,
            "The side as the venue reports it, kept for reference only.",
            accepts=("BUY", "SELL", "Buy", "Sell", *_OKX_SIDES),
        ),
        Column("price", PRICE, "Average price of the fill; the only one where there is one.", Rule.NOT_NEGATIVE),
        Column("quantity", AMOUNT, "Filled: base or contracts, in the venue's unit.", Rule.NOT_NEGATIVE),
        Column(
            "original_quantity",
            AMOUNT,
            "Ordered, in the venue's unit: with the limit it distinguishes states of one order from those of another.",
            Rule.NOT_NEGATIVE,
            nullable=True,
        ),
        Column(
            "limit_price", PRICE, "Limit of the order, where the venue reports it.", Rule.NOT_NEGATIVE, nullable=True
        ),
        Column(
            "order_status",
            TEXT,
            "FILLED, PARTIALLY_FILLED, or empty where the venue does not report it.",
            accepts=("", *_ORDER_STATUSES),
        ),
        Column("event_id", TEXT, "Equal for the same order received twice.", longest=10 * LONGEST_TEXT),
        Column("base_asset", TEXT, "What is bought and sold; empty when the symbol cannot be parsed."),
        Column("quote_asset", TEXT, "What it is priced in; empty when the symbol cannot be parsed."),
        Column(
            "contract_type",
            TEXT,
            "linear or inverse; empty when the symbol cannot be parsed.",
            accepts=("", *_CONTRACT_TYPES),
        ),
        Column(
            "contract_size",
            AMOUNT,
            "By the venue's convention: USD per contract (inverse) or base per contract (linear); empty when unknown.",
            Rule.NOT_NEGATIVE,
            nullable=True,
            below=_LARGEST_CONTRACT,
        ),
        Column(
            "base_multiplier",
            WHOLE,
            "Units of the base asset in one unit that the venue prices and counts: 1000 for 1000SHIB; else 1.",
            Rule.NOT_NEGATIVE,
            nullable=True,
            below=_LARGEST_MULTIPLIER,
        ),
    ),
    time_column="liquidated_at",
    origin=Origin.FEED,
    is_venue_wide=True,
)

_RECENT_TRADE = (
    Column("trade_id", TEXT, "The venue's own id of the trade or aggregate."),
    Column("trade_number", WHOLE, "The same as a number, where it is one and contiguous.", Rule.NOT_NEGATIVE, True),
    _TRADE_PRICE,
    _TRADE_QUANTITY,
    Column(
        "normal_quantity",
        AMOUNT,
        "The part of `quantity` that did not meet retail-price-improvement orders, where the venue reports it.",
        Rule.NOT_NEGATIVE,
        nullable=True,
    ),
    Column("trade_count", WHOLE, "Single trades in the aggregate.", Rule.NOT_NEGATIVE, below=_MOST_TRADES),
    _TRADED_AT,
    Column("is_taker_buy", FLAG, "True: the aggressor bought."),
    Column(
        "execution",
        TEXT,
        "MARKET, or ADL, INSURANCE_FUND, NA: kept, and never counted as flow.",
        accepts=("MARKET", "ADL", "INSURANCE_FUND", "NA"),
    ),
)

LIVE_TRADES = Dataset(
    name="liveTrades",
    description="Trades received on the venue's feed.",
    span=Span.DAY,
    columns=(*_RECENT_TRADE, _RECEIVED_AT),
    time_column="traded_at",
    origin=Origin.FEED,
    is_trades=True,
)

REST_TRADES = Dataset(
    name="restTrades",
    description="Trades of the last days, from the venue's REST API: the archive does not have them yet.",
    span=Span.DAY,
    columns=_RECENT_TRADE,
    time_column="traded_at",
    origin=Origin.API,
    is_trades=True,
)

REST_KLINES = Dataset(
    name="restKlines",
    description="The venue's own hourly bars of the last days, from its REST API: the archive does not have them yet.",
    span=Span.DAY,
    columns=KLINES.columns,
    time_column="opened_at",
    has_interval=True,
    at_most=KLINES.at_most,
    one_per_time=True,
    origin=Origin.API,
)

TAKER_RATIO = Dataset(
    name="takerRatio",
    description="Venue-reported taker ratio: the venue's own taker buy and sell volume per hour, from its REST API.",
    span=Span.DAY,
    columns=(
        Column("observed_at", INSTANT, "First instant of the hour, UTC."),
        Column("buy_volume", AMOUNT, "Taker buy volume in base.", Rule.NOT_NEGATIVE),
        Column("sell_volume", AMOUNT, "Taker sell volume in base.", Rule.NOT_NEGATIVE),
        Column("buy_sell_ratio", RATIO, "Their ratio, as the venue prints it.", Rule.NOT_NEGATIVE),
    ),
    time_column="observed_at",
    one_per_time=True,
    origin=Origin.API,
)

INSTRUMENTS = Dataset(
    name="instruments",
    description="A venue's description of its contracts, as of the day of the request.",
    span=Span.DAY,
    columns=(
        Column("symbol_name", TEXT, "Symbol at that venue."),
        Column("observed_at", INSTANT, "When the venue was requested, UTC."),
        Column("base_asset", TEXT, "What is bought and sold."),
        Column("quote_asset", TEXT, "What it is priced in."),
        Column("contract_type", TEXT, "linear or inverse.", accepts=_CONTRACT_TYPES),
        Column(
            "contract_size",
            AMOUNT,
            "USD per contract (inverse), base as the venue counts it per contract (linear).",
            Rule.NOT_NEGATIVE,
            below=_LARGEST_CONTRACT,
        ),
        Column(
            "base_multiplier",
            WHOLE,
            "Units of the base asset in one unit that the venue prices and counts: 1000 for 1000SHIB; else 1.",
            Rule.NOT_NEGATIVE,
            nullable=True,
            below=_LARGEST_MULTIPLIER,
        ),
        Column("listed_at", INSTANT, "First instant of trading, UTC; empty when not reported.", nullable=True),
        Column(
            "delivers_at",
            INSTANT,
            "Instant of delivery of a dated contract, UTC; empty for perpetual ones and when not reported.",
            nullable=True,
        ),
        Column("is_trading", FLAG, "True: open for trading at the time of the request."),
    ),
    time_column="observed_at",
    origin=Origin.API,
    is_venue_wide=True,
)

DATASETS: Final[dict[str, Dataset]] = {
    d.name: d
    for d in (
        AGG_TRADES,
        TRADES,
        KLINES,
        METRICS,
        FUNDING_RATE,
        LIQUIDATION_SNAPSHOT,
        LIQUIDATIONS,
        LIVE_TRADES,
        REST_TRADES,
        REST_KLINES,
        TAKER_RATIO,
        INSTRUMENTS,
    )
}
# Datasets with partitions of past days and months; the others grow by the hour.
ARCHIVED: Final = {name: d for name, d in DATASETS.items() if d.origin is Origin.ARCHIVE}
RECENT: Final = {name: d for name, d in DATASETS.items() if d.origin is not Origin.ARCHIVE}
# Archived datasets with an object per day: those of a settled month may be merged into one.
MERGEABLE: Final = {name: d for name, d in ARCHIVED.items() if d.span is Span.DAY}

# The archived datasets that carry the exact flow. Which one is used: `ingestion.venues.trades_dataset_of`.
FLOW_DATASETS: Final = (AGG_TRADES.name, TRADES.name)
# The hours of each interval of klines that is ingested.
KLINE_INTERVALS: Final = {"1h": 1, "4h": 4, "1d": 24}
