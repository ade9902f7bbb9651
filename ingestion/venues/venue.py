"""What a venue is to the rest of the project: one small interface, behind which every venue looks alike.

Belongs here: the interface (`Venue` and its three parts), and the values that cross it. Imports nothing heavy: naming a
market must stay cheap. Does not: anything about a single venue (its own module), fetching, decoding, connecting.

A venue has a grammar (which symbols it has), and as many of these as it offers: an archive (files of days and months),
an api (what the archive does not have yet), a feed (what happens right now).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ingestion.domain.markets import ContractType, Market

if TYPE_CHECKING:
    from ingestion.domain.datasets import Dataset
    from ingestion.domain.periods import Period

TimeFormat = Literal["epoch", "epoch_seconds", "text"]


# ---- archive: files of days and months -------------------------------------------------------------------------------


@dataclass(frozen=True)
class SourceColumn:
    """A column of the venue's file: its name there, the stored column it becomes (None: ignored), how a time reads.

    `epoch`: whole milliseconds or microseconds, told apart by size. `epoch_seconds`: seconds with a fraction, of which
    more than six digits are a float's noise and rounded to the microsecond. `text`: `YYYY-MM-DD HH:MM:SS`.
    `true_when`, `false_when`: for a stored boolean that the file spells as words, what each is; any other is refused.
    `is_rounded`: the venue prints a quotient or a float's product, with more digits than are stored.
    `must_equal`: what every row of the file says here, stored or not: a row that says anything else is not of this
    market. Not checked where the file lacks the column and it is not stored.
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

    `numbers_rows`: the venue gives no number to its trades; the stored id is the row's place in the day (from 1), by
    time and, within one instant, by every other column. Such a file is held in memory whole. `identity`: the column
    that names a trade though it is no number and is not stored: it tells two equal trades from one written twice.
    `contract_type`, `contract_size`: what the printed notional of trades follows from; None where it is not checked.

    `is_bilingual`: the header may say each name in two languages (`price/价格`), in any encoding and any
    order. `headerless`: orders of columns in files of such a layout that have no header, told apart by their number.
    """

    columns: tuple[SourceColumn, ...]
    packing: Literal["zip", "gzip"] = "zip"
    numbers_rows: bool = False
    identity: str | None = None
    is_bilingual: bool = False
    headerless: tuple[tuple[str, ...], ...] = ()
    contract_type: ContractType | None = None
    contract_size: Decimal | None = None


@dataclass(frozen=True)
class SourceObject:
    """One object of the archive: its key, and the period that its rows are wanted for.

    `holds`: the instants that the venue cuts the object at, from the first to before the second, where those are not
    the period's own: rows of these instants belong there, and those outside `period` are left to another day's object.
    `is_shared`: it holds several symbols; rows of others are left out. `otherwise`: the object that has the same rows
    where the archive has none under `key`.
    """

    key: str
    period: Period
    holds: tuple[datetime, datetime] | None = None
    is_shared: bool = False
    otherwise: SourceObject | None = None


class VenueArchive(Protocol):
    """Where a venue's files lie and how their rows read.

    `url`: the venue's own address. `has_checksums`: a `.CHECKSUM` object lies beside every file; without one, a file is
    known by the ETag, size and time of change that the server gives it, and by its own sha256 once it is here.
    """

    @property
    def url(self) -> str: ...

    @property
    def has_checksums(self) -> bool: ...

    def publishes(self, dataset: Dataset, market: Market, day: date) -> bool:
        """Whether such a file of that day is worth asking for at all."""
        ...

    def layout(self, dataset: Dataset, market: Market) -> Layout: ...

    def objects(self, dataset: Dataset, market: Market, interval: str, period: Period) -> tuple[SourceObject, ...]:
        """All objects that together hold `period`; none where the venue makes no such objects.

        Most venues make one. Where a venue's day is not a UTC day, a UTC day is made of parts of two.
        """
        ...


# ---- feed: what happens right now ------------------------------------------------------------------------------------


class Execution:
    """How a trade came about, in Binance's words. Only a MARKET trade is flow; others are kept and never counted."""

    MARKET = "MARKET"
    ADL = "ADL"
    INSURANCE_FUND = "INSURANCE_FUND"
    UNKNOWN = "NA"


@dataclass(frozen=True, slots=True)
class Liquidation:
    """One liquidation order, its side said once and for all.

    `is_long_liquidated`: True: a long was closed (whatever the venue calls that side). `quantity`: filled, in the
    venue's unit (base or contracts). `price`: average price of the fill; where the venue gives only one price, that.
    `event_id`: equal for the same event seen twice (two connections), different otherwise. `original_quantity`,
    `limit_price`: what was ordered, where the venue says it: equal in every state of one order.
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
    """One trade, or aggregate of trades, as a feed or an api gives it.

    `trade_id`: the venue's own, as text. `number`: the same as a number where it is one, and contiguous per market.
    `quantity`: in the venue's unit; `normal_quantity`: the part that did not meet retail-price-improvement orders,
    where the venue says so. `trade_count`: single trades in the aggregate. `is_taker_buy`: the aggressor bought.
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

    `url`: where to connect. `hello`: messages to send once connected, in order. `heartbeat`: text to send every
    `heartbeat_seconds` when the venue wants to hear from us (None: protocol pings suffice). `silence_seconds`: so long
    without any frame, pong or data, means that the connection is dead. `name`: for logs and for coverage. `dataset`:
    what it carries, `liquidations` or `liveTrades`; they never share a connection, so that a burst of trades cannot
    delay a liquidation. `symbols`: what is heard on it; empty: every symbol of the venue.
    """

    name: str
    url: str
    dataset: str = "liquidations"
    symbols: tuple[str, ...] = ()
    hello: tuple[str, ...] = ()
    heartbeat: str | None = None
    heartbeat_seconds: float = 20.0
    silence_seconds: float = 60.0


class Malformed(ValueError):
    """A message of a feed is not what the venue documents. It is counted, and never guessed at."""


class VenueFeed(Protocol):
    """What a venue's WebSocket says.

    `url`: the venue's own address. `is_every_order`: the liquidation stream carries every order; else totals are lower
    bounds however long we listened. `longest_connection_seconds`: the venue ends connections after that long.
    `is_venue_wide`: one subscription brings the liquidations of every symbol.
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
        """The connections for the venue's liquidations and, if asked, the trades of `markets`.

        `markets` are the venue's own. None for liquidations where the venue must be told each symbol and there is none.
        """
        ...

    def refusal(self, message: str | bytes) -> str | None:
        """What the venue says when this message refuses a subscription; None for every other message, readable or not.

        The collector asks it of the first messages of a connection, so it must be cheap.
        """
        ...

    def is_acceptance(self, message: str | bytes) -> bool:
        """Whether the message answers one of the subscription's `hello` with yes. A pong does not; nothing that cannot
        be read does.

        Asked of every message until a connection is up, so it must be cheap. Never, where there is no `hello`.
        """
        ...

    def tells(self, message: str | bytes) -> bool:
        """Whether the message is of the market, and no acknowledgement, pong or notice. Asked of all: a glance only."""
        ...

    def read(self, message: str | bytes) -> Iterator[Event]:
        """The events in one message: none in an acknowledgement or a pong. Raises Malformed."""
        ...


# ---- api: what the archive does not have yet -------------------------------------------------------------------------


@dataclass(frozen=True)
class Instrument:
    """What a venue says of one of its contracts. `contract_size`: USD (inverse) or base (linear) per contract.

    `delivers_at`: instant of delivery of a dated contract; None for a perpetual one.
    """

    market: Market
    contract_size: Decimal
    listed_at: datetime | None
    is_trading: bool
    delivers_at: datetime | None = None


@dataclass(frozen=True)
class ApiBar:
    """One finished bar of an hour as the api gives it; amounts in the venue's units, as in the klines dataset."""

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
    """The venue's own word on one hour's takers: volumes in base, and their ratio as it prints it."""

    observed_at: datetime
    buy_volume: Decimal
    sell_volume: Decimal
    buy_sell_ratio: Decimal


@dataclass(frozen=True)
class TradePage:
    """Every trade of one market that happened from `since` to before `until`, oldest first."""

    since: datetime
    until: datetime
    trades: Sequence[Trade]


@dataclass(frozen=True)
class Limit:
    """What a venue allows one address to ask: `weight` in any window of `seconds`.

    `path`: for paths that begin so; of several limits the longest counts. `used_header`: the header in which answers
    say how much of it is used, by whomever; empty where they do not.
    """

    path: str
    weight: int
    seconds: float
    used_header: str = ""


@dataclass(frozen=True)
class Complaint:
    """What an answer says went wrong, in one sentence without a full stop.

    `kind`: `busy`: the same question may be answered a moment later. `too_many`: we asked too much and must wait.
    `refused`: it answers nobody here. `unknown`: there is no such market. `wrong`: anything else about the question; to
    repeat it is of no use.
    """

    kind: Literal["busy", "too_many", "refused", "unknown", "wrong"]
    sentence: str


class ApiClient(Protocol):
    """What a venue's api is asked through: it budgets the weight, waits, retries and judges (`ingestion.http.api`)."""

    def get(self, path: str, parameters: Mapping[str, str | int], *, weight: int) -> Any:
        """The parsed JSON of the answer, its decimals exact. Raises VenueUnavailable or VenueRefused."""
        ...

    def allow(self, limit: Limit) -> None:
        """From now on this limit holds in place of the one with the same path: the venue has said so itself."""
        ...

    @property
    def answered_at(self) -> datetime:
        """The venue's clock at its last answer, UTC; ours before that, or where the venue does not say."""
        ...


class VenueApi(Protocol):
    """A venue's REST api. Every method asks through `client`, which budgets, waits and judges answers.

    What a venue does not offer answers an empty list. Ranges are half-open, UTC. `offers`: names of the datasets that
    are worth asking for. `limits`: as published, for the client to stay under.
    """

    @property
    def url(self) -> str: ...

    @property
    def offers(self) -> tuple[str, ...]: ...

    @property
    def limits(self) -> tuple[Limit, ...]: ...

    @property
    def trades_reach_back_hours(self) -> int:
        """How far back the trades of the api go; 0: it has none worth asking for."""
        ...

    def complaint(self, answer: Any) -> Complaint | None:
        """What a parsed answer complains of; None for one that answers the question."""
        ...

    def instruments(self, client: ApiClient) -> list[Instrument]: ...

    def bars(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> list[ApiBar]:
        """The finished hourly bars, with their takers' share."""
        ...

    def trades(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> Iterator[TradePage]:
        """The trades page by page, oldest first; pages follow each other without a gap. The first one may begin later
        than `since`, and there may be none at all, where the venue does not go back so far."""
        ...

    def taker_ratios(self, client: ApiClient, market: Market, since: datetime, until: datetime) -> list[TakerRatio]: ...


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def moment(milliseconds: int | str) -> datetime:
    """The instant that an api gives as milliseconds since the epoch, UTC, exact."""
    return _EPOCH + int(milliseconds) * _MILLISECOND


def milliseconds(at: datetime) -> int:
    """The instant as an api wants it: whole milliseconds since the epoch."""
    return (at - _EPOCH) // _MILLISECOND


# ---- the venue -------------------------------------------------------------------------------------------------------


class Grammar(Protocol):
    """Which symbols a venue has. `shape`: how they look, for the message that refuses another one."""

    @property
    def shape(self) -> str: ...

    def market(self, symbol: str) -> Market | None:
        """The market of that name, or None when the venue can have no such symbol."""
        ...


@dataclass(frozen=True)
class Venue:
    """One venue, whole. `title`: its name for people. A part is None where the venue has no such thing."""

    venue: str
    title: str
    grammar: Grammar
    archive: VenueArchive | None = None
    api: VenueApi | None = None
    feed: VenueFeed | None = None
    is_simulated: bool = False
    trade_datasets: tuple[str, ...] = field(default=("trades",))
    """The datasets its archive has of trades; the first one that the setting TAKER_TRADES_DATASET allows is used."""
