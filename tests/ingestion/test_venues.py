"""The same tests for every venue of `VENUES`. A new venue needs samples, and is then covered by these tests.

`samples/<venue>.json` holds invented messages and rows in the format that the venue documents:

* `symbols`: symbols of the venue and their markets; `refused`: symbols that it cannot have.
* `archive`: lines of a file (`dataset`, `symbol`, `day`, `lines`) and the `rows` that they become, in stored order.
  `part`: which of the objects that hold the day it is (default 0, the first); `encoding`: of its text.
* `feed`: a `message` and its `events`, with `usd` for what the event is worth; `events` may be empty.
* `api`: a `call` of the API, the `answers` it gets, by path and in order, and `rows` that must be among its results.

A part that a venue does not have is skipped. One that it has must have samples.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pyarrow.parquet as pq
import pytest

from ingestion.decode.decoder import SourceFile, decode
from ingestion.domain.datasets import ARCHIVED, FLOW_DATASETS, KLINE_INTERVALS, Dataset
from ingestion.domain.markets import ContractType, Market, UnknownMarket
from ingestion.domain.periods import Period, Span, days_between
from ingestion.venues import VENUES, parse_market, venue_of
from ingestion.venues.venue import Liquidation, Malformed, Trade, Venue, VenueArchive
from tests.support.archives import ArchiveFolder

SAMPLES: Final = Path(__file__).with_name("samples")
# Every dataset was published on one of them, if ever.
DAYS: Final = [date(2023, 7, 1), date(2024, 2, 29), *days_between(date(2025, 12, 28), date(2026, 1, 8))]


@pytest.fixture(params=VENUES)
def venue(request: pytest.FixtureRequest) -> Venue:
    return venue_of(request.param)


@pytest.fixture
def samples(venue: Venue) -> dict[str, Any]:
    path = SAMPLES / f"{venue.venue}.json"
    assert path.is_file(), f"{venue.venue} has no samples; write {path.name}, see docs/add-a-venue.md"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture
def archive(venue: Venue) -> VenueArchive:
    return had(venue.archive, venue, "archive")


@pytest.fixture
def feed(venue: Venue) -> Any:
    return had(venue.feed, venue, "feed")


@pytest.fixture
def api(venue: Venue) -> Any:
    return had(venue.api, venue, "api")


def had(part: Any, venue: Venue, name: str) -> Any:
    if part is None:
        pytest.skip(f"{venue.venue} has no {name}")
    return part


class TestEveryVenue:
    def test_has_the_name_it_is_registered_by(self, venue: Venue) -> None:
        assert VENUES[venue.venue]
        assert venue_of(venue.venue) is venue

    # ---- symbols -----------------------------------------------------------------------------------------------------

    def test_parses_its_symbols_into_markets_with_the_same_symbol(self, venue: Venue, samples: dict[str, Any]) -> None:
        assert samples["symbols"]
        for expected in samples["symbols"]:
            market = parse_market(f"{venue.venue}:{expected['symbol']}")
            assert market.market_id == f"{venue.venue}:{expected['symbol']}"
            assert facts(market, expected) == expected

    def test_refuses_an_invalid_symbol_and_describes_valid_ones(self, venue: Venue, samples: dict[str, Any]) -> None:
        assert samples["refused"]
        for symbol in samples["refused"]:
            with pytest.raises(UnknownMarket) as refusal:
                parse_market(f"{venue.venue}:{symbol}")
            assert venue.symbols.shape in str(refusal.value)

    # ---- archive -----------------------------------------------------------------------------------------------------

    def test_archive_has_an_address_and_the_trades_datasets_of_the_venue(
        self, venue: Venue, archive: VenueArchive, samples: dict[str, Any]
    ) -> None:
        assert archive.url.startswith("https://")
        assert not archive.url.endswith("/")
        offered = {dataset.name for dataset, _ in published(archive, markets(venue, samples))}
        assert set(venue.trade_datasets) <= offered & set(FLOW_DATASETS)
        assert bool(venue.trade_datasets) is bool(offered & set(FLOW_DATASETS))

    def test_archive_keys_are_unique_per_dataset_market_and_period(
        self, venue: Venue, archive: VenueArchive, samples: dict[str, Any]
    ) -> None:
        keys = []
        for dataset, market in published(archive, markets(venue, samples)):
            spans_with_objects = set()
            for interval in KLINE_INTERVALS if dataset.has_interval else ("",):
                for period in sorted(
                    {period for span in Span for day in DAYS for period in [Period.holding(day, span)]}
                ):
                    for found in archive.objects(dataset, market, interval, period):
                        spans_with_objects.add(period.span)
                        assert found.period == period
                        assert market.symbol in found.key
                        days = [f"{at:%Y-%m-%d}" for at in found.holds] if found.holds else [period.label]
                        assert any(day in found.key.rsplit("/", 1)[-1] for day in days)
                        assert not found.key.startswith("/")
                        # An object with bounds other than the period's serves several periods.
                        keys.append((found.key, period if found.holds else None))
            assert spans_with_objects, f"{dataset.name} has no objects of any span"
        assert len(keys) == len(set(keys))

    def test_archive_objects_of_a_period_hold_each_instant_of_it_once(
        self, venue: Venue, archive: VenueArchive, samples: dict[str, Any]
    ) -> None:
        for dataset, market in published(archive, markets(venue, samples)):
            for interval in KLINE_INTERVALS if dataset.has_interval else ("",):
                for period in periods():
                    held = sorted(
                        (max(first, period.starts_at), min(end, period.ends_at))
                        for found in archive.objects(dataset, market, interval, period)
                        for first, end in [found.holds or (period.starts_at, period.ends_at)]
                    )
                    if held:
                        assert held[0][0] == period.starts_at
                        assert held[-1][1] >= min(period.ends_at, market.delivers_at or period.ends_at)
                        assert all(before[1] == after[0] for before, after in pairwise(held)), held

    def test_archive_layout_stores_exactly_the_columns_of_the_dataset(
        self, venue: Venue, archive: VenueArchive, samples: dict[str, Any]
    ) -> None:
        for dataset, market in published(archive, markets(venue, samples)):
            layout = archive.layout(dataset, market)
            names = [column.name for column in layout.columns]
            stored = [column.stored_as for column in layout.columns if column.stored_as]
            if layout.numbers_rows:
                assert dataset.id_column is not None
                stored.append(dataset.id_column)
            required = {column.name for column in dataset.columns if not column.nullable}
            assert required <= set(stored) <= {column.name for column in dataset.columns}
            assert len(stored) == len(set(stored))
            assert all(set(order) <= set(names) for order in layout.headerless)
            assert len(names) == len(set(names))
            assert layout.identity is None or layout.identity in names
            by_name = {column.name: column for column in dataset.columns}
            for column in layout.columns:
                if column.stored_as is not None:
                    kind = by_name[column.stored_as].kind
                    assert (column.time is not None) == (kind.name == "INSTANT"), column.name
                    assert (column.true_when is None) == (column.false_when is None), column.name

    def test_archive_rows_are_decoded_as_the_venue_documents_them(
        self, venue: Venue, archive: VenueArchive, samples: dict[str, Any], tmp_path: Path
    ) -> None:
        assert {sample["dataset"] for sample in samples["archive"]} >= set(venue.trade_datasets)
        for number, sample in enumerate(samples["archive"]):
            market = parse_market(f"{venue.venue}:{sample['symbol']}")
            dataset, day = ARCHIVED[sample["dataset"]], date.fromisoformat(sample["day"])
            layout = archive.layout(dataset, market)
            path = packed(sample["lines"], layout.packing, tmp_path / str(number), sample.get("encoding", "utf-8"))
            target, period = tmp_path / f"{number}.parquet", Period.of_day(day)
            parts = archive.objects(dataset, market, "1h" if dataset.has_interval else "", period)
            holds = parts[sample.get("part", 0)].holds if parts else None
            decode([SourceFile(path, path.name, period, holds)], dataset, layout, target)
            stored = pq.read_table(target).to_pylist()
            assert [facts(row, wanted) for row, wanted in zip(stored, sample["rows"], strict=True)] == sample["rows"]

    # ---- feed --------------------------------------------------------------------------------------------------------

    def test_feed_messages_become_events_with_a_normalised_side(self, feed: Any, samples: dict[str, Any]) -> None:
        for sample in samples["feed"]:
            events = list(feed.read(wire(sample["message"])))
            assert [facts(event, wanted) for event, wanted in zip(events, sample["events"], strict=True)] == [
                {name: value for name, value in wanted.items() if name != "usd"} for wanted in sample["events"]
            ], sample["message"]
        kinds = {type(event) for sample in samples["feed"] for event in feed.read(wire(sample["message"]))}
        assert kinds == {Liquidation, Trade}, "samples must show liquidations and trades"
        longs = [e["is_long_liquidated"] for s in samples["feed"] for e in s["events"] if "is_long_liquidated" in e]
        buys = [e["is_taker_buy"] for s in samples["feed"] for e in s["events"] if "is_taker_buy" in e]
        assert set(longs) == set(buys) == {True, False}, "samples must show both sides of both"

    def test_feed_quantities_are_in_the_unit_of_the_market(
        self, venue: Venue, feed: Any, samples: dict[str, Any]
    ) -> None:
        for sample in samples["feed"]:
            for event, wanted in zip(feed.read(wire(sample["message"])), sample["events"], strict=True):
                market = parse_market(f"{venue.venue}:{event.symbol}")
                assert worth(market, event) == Decimal(wanted["usd"])

    def test_feed_gives_the_same_event_the_same_id_and_another_event_another(
        self, feed: Any, samples: dict[str, Any]
    ) -> None:
        once, again = ([identities(feed, sample["message"]) for sample in samples["feed"]] for _ in range(2))
        assert once == again
        every = [identity for found in once for identity in found]
        assert len(every) == len(set(every))

    def test_feed_reads_bytes_as_it_reads_text(self, feed: Any, samples: dict[str, Any]) -> None:
        for sample in samples["feed"]:
            text = wire(sample["message"])
            assert list(feed.read(text.encode())) == list(feed.read(text))

    @pytest.mark.parametrize("message", ["", "{", "[]", "7", '{"foo": 1}', "null", b"\xff\xfe"])
    def test_feed_rejects_what_is_no_message_of_the_venue_as_malformed(self, feed: Any, message: str | bytes) -> None:
        with pytest.raises(Malformed):
            list(feed.read(message))

    def test_feed_subscribes_to_every_requested_market(self, venue: Venue, feed: Any, samples: dict[str, Any]) -> None:
        wanted = markets(venue, samples)
        url = feed.url or "wss://replayed"  # of a simulated venue there is no address
        connections = feed.subscriptions(wanted, trades=True, url=url)
        names = [connection.name for connection in connections]
        assert len(names) == len(set(names))
        assert all(connection.url.startswith("wss://") for connection in connections)
        subscribed = " ".join([text for c in connections for text in (unquote(c.url), *c.subscribe_messages)]).lower()
        assert all(market.symbol.lower() in subscribed for market in wanted)
        without_trades = feed.subscriptions(wanted, trades=False, url=url)
        assert 0 < len(without_trades) <= len(connections)

    # ---- api ---------------------------------------------------------------------------------------------------------

    def test_api_answers_are_read_as_the_venue_documents_them(
        self, venue: Venue, api: Any, samples: dict[str, Any]
    ) -> None:
        assert api.url.startswith("https://")
        assert api.trades_reach_back_hours >= 0
        assert samples["api"]
        for sample in samples["api"]:
            client = Canned(sample["answers"])
            found = called(api, client, venue, sample)
            for wanted in sample["rows"]:
                assert wanted in [facts(row, wanted) for row in found], sample["call"]
            assert client.left == {}, "the API never requested these"


class Canned:
    """In place of the client: answers each path from the sample, in order."""

    def __init__(self, answers: Mapping[str, Sequence[Any]]) -> None:
        self.left = {path: list(given) for path, given in answers.items()}
        self.answered_at = datetime(2026, 1, 6, tzinfo=UTC)

    def get(self, path: str, parameters: Mapping[str, str | int], *, weight: int) -> Any:
        assert weight > 0
        assert self.left.get(path), f"{path} was requested more often than the sample has answers"
        answer = self.left[path].pop(0)
        self.left = {place: given for place, given in self.left.items() if given}
        return answer

    def allow(self, limit: Any) -> None:
        pass


def called(api: Any, client: Canned, venue: Venue, sample: dict[str, Any]) -> list[Any]:
    """The results of one call; of trades, those of every page."""
    if sample["call"] == "instruments":
        return list(api.instruments(client))
    market = parse_market(f"{venue.venue}:{sample['symbol']}")
    since, until = (datetime.fromisoformat(sample[name]) for name in ("since", "until"))
    found = list(getattr(api, sample["call"])(client, market, since, until))
    return [trade for page in found for trade in getattr(page, "trades", page)] if sample["call"] == "trades" else found


def markets(venue: Venue, samples: dict[str, Any]) -> list[Market]:
    return [parse_market(f"{venue.venue}:{expected['symbol']}") for expected in samples["symbols"]]


def periods() -> list[Period]:
    """Every day and month that holds one of the days."""
    return sorted({Period.holding(day, span) for span in Span for day in DAYS})


def published(archive: VenueArchive, of: Sequence[Market]) -> Iterator[tuple[Dataset, Market]]:
    """The datasets that the archive has, with each of these markets."""
    for dataset in ARCHIVED.values():
        for market in of:
            if any(archive.publishes(dataset, market, day) for day in DAYS):
                yield dataset, market


def facts(found: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `found` (a row, or an object) for the wanted names, spelled as wanted where they are equal."""
    values = {}
    for name, value in wanted.items():
        if name == "usd":
            continue
        has = found[name] if isinstance(found, dict) else getattr(found, name)
        values[name] = value if spelled(has) == spelled(value) else spelled(has)
    return values


def spelled(value: Any) -> str:
    """One spelling of each value: numbers by size, instants in UTC, the rest as it is."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    try:
        return f"{Decimal(str(value)).normalize():f}"
    except ArithmeticError:
        return str(value)


def worth(market: Market, event: Liquidation | Trade) -> Decimal:
    """USD, as the warehouse values it: contracts at their size (inverse), quantity at its price (linear)."""
    assert market.contract_size is not None
    size = event.quantity * market.contract_size
    return size if market.contract_type is ContractType.INVERSE else size * event.price


def identities(feed: Any, message: Any) -> list[str]:
    return [event.event_id if isinstance(event, Liquidation) else event.trade_id for event in feed.read(wire(message))]


def wire(message: Any) -> str:
    return message if isinstance(message, str) else json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def packed(lines: Sequence[str], packing: str, folder: Path, encoding: str) -> Path:
    if packing == "zip":
        archive = ArchiveFolder(folder)
        return archive.root / archive.put("sample.zip", lines, encoding=encoding)
    folder.mkdir()
    (folder / "sample.csv.gz").write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    return folder / "sample.csv.gz"
