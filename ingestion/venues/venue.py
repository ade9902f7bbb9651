"""The interface of a venue: protocols for its symbols, archive, REST API and feed, and the values that cross them.

Belongs here: `Venue`, its four parts, and their values, in one file so that the whole interface reads top to bottom.
Imports nothing heavy: parsing a market must stay cheap. Does not: anything about a single venue (its own package),
fetching, decoding, connecting.

A venue has a symbol parser and, where it offers them, an archive (files of days and months), a REST API (days that the
archive does not have yet) and a feed (events as they happen).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, Protocol

from ingestion.domain.markets import ContractType, Market
from ingestion.http.values import ApiClient, ApiErrors

if TYPE_CHECKING:
    from ingestion.domain.datasets import Dataset
    from ingestion.domain.periods import Period

TimeFormat = Literal["epoch", "epoch_seconds", "text"]


# ---- archive: files of days and months -------------------------------------------------------------------------------


@dataclass(frozen=True)
class SourceColumn:
    """A column of the venue's file: its name there, the stored column it becomes (None: ignored), how a time reads.

    `epoch`: integer milliseconds or microseconds, distinguished by size. `epoch_seconds`: seconds with a fraction, of
    which more than six digits are a float's noise and rounded to the microsecond. `text`: `YYYY-MM-DD HH:MM:SS`.
    `true_when`, `false_when`: for a stored boolean that the file spells as words, the two words; any other is refused.
    `is_rounded`: the venue prints a quotient or a float's product, with more digits than are stored.
    `must_equal`: the value that every row of the file must have here, whether the column is stored or not: a row with
    any other value is not of this market. Not checked where the file lacks the column and it is not stored.
    """

    name: str
    stored_as: str | None
    time: TimeFormat | None = None
    true_when: str | None = None
    false_when: str | None = None
    is_rounded: bool = False
    must_equal: str | None = None


@dataclass(frozen=True)
class Layout:
    """A file's columns, in file order, and what it is packed in.

    `numbers_rows`: the venue does not number its trades; the stored id is the row's position in the day (from 1), by
    time and, within one instant, by every other column. Such a file is sorted in memory as a unit. `identity`: the
    column that identifies a trade although it is not an integer and not stored: it distinguishes two equal trades from
    one that was written twice. `contract_type`, `contract_size`: what the printed notional of trades is computed from;
    None where it is not checked.

    `is_bilingual`: the header may give each name in two languages (`price/价格`), in any encoding and any order.
    `headerless`: column orders of files without a header, distinguished by their number of columns.
    """

    columns: tuple[SourceColumn, ...]
    packing: Literal["zip", "gzip"] = "zip"
    numbers_rows: bool = False
    identity: str | None = None
    is_bilingual: bool = False
    headerless: tuple[tuple[str, ...], ...] = ()
    contract_type: ContractType | None = None
    contract_size: Decimal | None = None

    @property
    def is_inverse(self) -> bool:
        return self.contract_type is ContractType.INVERSE


@dataclass(frozen=True)
class SourceObject:
    """One object of the archive: its key, and the period that its rows are read for.

    `holds`: the half-open range of instants that the venue puts into the object, where it differs from the period:
    rows of that range are valid, and those outside `period` belong to another day's object. `is_shared`: the object
    holds several symbols; rows of other symbols are ignored. `otherwise`: the object that has the same rows where the
    archive has none under `key`.
    """

    key: str
    period: Period
    holds: tuple[datetime, datetime] | None = None
    is_shared: bool = False
    otherwise: SourceObject | None = None


class VenueArchive(Protocol):
    """Where a venue's files lie and how their rows read.

    `url`: the venue's own address. `has_checksums`: a `.CHECKSUM` object lies beside every file; without one, a file is
    identified by the ETag, size and modification time that the server reports, and by its sha256 once downloaded.
    `listing_url`: the bucket on an S3 server that lists the same objects under the same keys; empty without one.
    """

    @property
    def url(self) -> str: ...

    @property
    def has_checksums(self) -> bool: ...

    @property
    def listing_url(self) -> str: ...

    def publishes(self, dataset: Dataset, market: Market, day: date) -> bool:
        """Whether the venue may have such a file of that day, so that it is worth requesting."""
        ...

    def layout(self, dataset: Dataset, market: Market) -> Layout: ...

    def objects(self, dataset: Dataset, market: Market, interval: str, period: Period) -> tuple[SourceObject, ...]:
        """All objects that together hold `period`; none where the venue publishes no such objects.

        Most venues publish one. Where a venue's day is not a UTC day, a UTC day consists of parts of two.
        """
        ...


# ---- feed: events as they happen -------------------------------------------------------------------------------------


class Execution:
    """How a trade was executed, in Binance's terms. Only MARKET trades are flow; others are stored, never counted."""

    MARKET = "MARKET"
    ADL = "ADL"
    INSURANCE_FUND = "INSURANCE_FUND"
    UNKNOWN = "NA"


@dataclass(frozen=True, slots=True)
class Liquidation:
    """One liquidation order, its side normalised.

    `is_long_liquidated`: True: a long was closed (whatever the venue calls that side). `quantity`: filled, in the
    venue's unit (base or contracts). `price`: average price of the fill; where the venue gives only one price, that.
    `event_id`: equal for the same event received twice (two connections), different otherwise. `original_quantity`,
    `limit_price`: what was ordered, where the venue reports it: equal in every state of one order.
    """

    symbol: str
    liquidated_at: datetime
    is_long_liquidated: bool
    price: Decimal
    quantity: Decimal
    venue_side: str
    order_status: str
    event_id: str
    original_quantity: Decimal | None = None
    limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade, or aggregate of trades, from a feed or a REST API.

    `trade_id`: the venue's own, as text. `number`: the same as an integer where it is one, and contiguous per market.
    `quantity`: in the venue's unit; `normal_quantity`: the part that did not meet retail-price-improvement orders,
    where the venue reports it. `trade_count`: single trades in the aggregate. `is_taker_buy`: the aggressor bought.
    `execution`: see `Execution`.
    """

    symbol: str
    trade_id: str
    number: int | None
    traded_at: datetime
    price: Decimal
    quantity: Decimal
    is_taker_buy: bool
    trade_count: int = 1
    normal_quantity: Decimal | None = None
    execution: str = Execution.MARKET


Event = Liquidation | Trade


@dataclass(frozen=True)
class Subscription:
    """One connection to keep open.

    `url`: where to connect. `subscribe_messages`: messages to send once connected, in order. `heartbeat`: text to send
    every `heartbeat_seconds` where the venue requires application-level pings (None: protocol pings suffice).
    `silence_seconds`: after that long without any frame, pong or data, the connection counts as dead. `name`: for logs
    and for coverage. `dataset`: what it carries, `liquidations` or `liveTrades`; they never share a connection, so that
    a burst of trades cannot delay a liquidation. `symbols`: the subscribed symbols; empty: every symbol of the venue.
    """

    name: str
    url: str
    dataset: str = "liquidations"
    symbols: tuple[str, ...] = ()
    subscribe_messages: tuple[str, ...] = ()
    heartbeat: str | None = None
    heartbeat_seconds: float = 20.0
    silence_seconds: float = 60.0


class Malformed(ValueError):
    """A feed message does not follow the venue's documentation. It is counted, and never interpreted."""


class VenueFeed(Protocol):
    """A venue's WebSocket: its subscriptions and its messages.

    `url`: the venue's own address. `is_every_order`: the liquidation stream carries every order; otherwise totals are
    lower bounds, even with full coverage. `longest_connection_seconds`: the venue ends connections after that long.
    `is_venue_wide`: one subscription covers the liquidations of every symbol; otherwise the venue requires per-symbol
    subscriptions.
    """

    @property
    def url(self) -> str: ...

    @property
    def is_every_order(self) -> bool: ...

    @property
    def is_venue_wide(self) -> bool: ...

    @property
    def longest_connection_seconds(self) -> float: ...

    def subscriptions(self, markets: Sequence[Market], *, trades: bool, url: str) -> list[Subscription]:
        """The connections for the venue's liquidations and, if `trades`, the trades of `markets`.

        `markets` are the venue's own. Without any of them there is no connection for liquidations where the venue
        requires per-symbol subscriptions.
        """
        ...

    def refusal(self, message: str | bytes) -> str | None:
        """The venue's reason when this message rejects a subscription; None for every other message, readable or not.

        Called for the first messages of a connection, so it must be cheap.
        """
        ...

    def is_acceptance(self, message: str | bytes) -> bool:
        """Whether the message confirms one of the `subscribe_messages`. Pongs and unreadable messages do not.

        Called for every message until a connection is up, so it must be cheap; never, where there are no
        `subscribe_messages`.
        """
        ...

    def is_market_data(self, message: str | bytes) -> bool:
        """Whether the message is market data, not an acknowledgement, pong or notice. Called for every message: no
        parsing."""
        ...

    def read(self, message: str | bytes) -> Iterator[Event]:
        """The events in one message; none in an acknowledgement or a pong. Raises Malformed."""
        ...


# ---- REST API: days that the archive does not have yet ---------------------------------------------------------------


@dataclass(frozen=True)
class Instrument:
    """A venue's description of one of its contracts. `contract_size`: USD (inverse) or base (linear) per contract.

    `delivers_at`: instant of delivery of a dated contract; None for a perpetual one.
    """

    market: Market
    contract_size: Decimal
    listed_at: datetime | None
    is_trading: bool
    delivers_at: datetime | None = None


@dataclass(frozen=True)
class ApiBar:
    """One finished hourly bar from the API; amounts in the venue's units, as in the klines dataset."""

    opened_at: datetime
    open_price: Decimal
    high_price: Decimal
    low_price: Decimal
    close_price: Decimal
    volume: Decimal
    closed_at: datetime
    quote_volume: Decimal
    trade_count: int
    taker_buy_volume: Decimal
    taker_buy_quote_volume: Decimal


@dataclass(frozen=True)
class TakerRatio:
    """The venue-reported taker ratio of one hour: volumes in base, and their ratio as the venue prints it."""

    observed_at: datetime
    buy_volume: Decimal
    sell_volume: Decimal
    buy_sell_ratio: Decimal


@dataclass(frozen=True)
class TradePage:
    """Every trade of one market from `since` to before `until`, oldest first."""

    since: datetime
    until: datetime
    trades: Sequence[Trade]


class VenueApi(ApiErrors, Protocol):
    """A venue's REST API. Every method sends its requests through `client`, which handles limits, waits and errors.

    Where a venue lacks something, the method returns an empty list. Ranges are half-open, UTC. `offers`: names of the
    datasets that it has. `limits`: as published, for the client to stay under.
    """

    @property
    def url(self) -> str: ...

    @property
    def offers(self) -> tuple[str, ...]: ...

    @property
    def trades_reach_back_hours(self) -> int:
        """How far back the trades of the API go; 0: it has none worth requesting."""
        ...

    def instruments(self, client: ApiClient) -> list[Instrument]: ...

    def bars(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> list[ApiBar]:
        """The finished hourly bars, with taker buy volume."""
        ...

    def trades(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> Iterator[TradePage]:
        """The trades page by page, oldest first, without gaps between pages. The first page may begin later than
        `since`, and there may be none at all, where the venue's history does not reach that far back."""
        ...

    def taker_ratios(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> list[TakerRatio]: ...


# ---- the venue -------------------------------------------------------------------------------------------------------


class SymbolParser(Protocol):
    """Parses a venue's symbols. `shape`: what they look like, for the message that rejects an invalid one."""

    @property
    def shape(self) -> str: ...

    def parse(self, symbol: str) -> Market | None:
        """The market of that symbol, or None when it is not a symbol of the venue."""
        ...


@dataclass(frozen=True)
class Venue:
    """One venue. `archive`, `api`, `feed`: None where the venue has none.

    `trade_datasets`: the datasets of trades that its archive has, see `trades_dataset_of`; none where it has klines
    alone. `is_simulated`: nothing of it ever happened; its numbers are labelled, and never summed with those of real
    venues. `symbol_folders`: those of its archive that hold one folder for each symbol with monthly klines; none where
    there are no such folders.
    """

    venue: str
    symbols: SymbolParser
    archive: VenueArchive | None = None
    api: VenueApi | None = None
    feed: VenueFeed | None = None
    trade_datasets: tuple[str, ...] = ("trades",)
    is_simulated: bool = False
    symbol_folders: tuple[str, ...] = ()
