"""What an archive lists, and what its markets traded in a month: the facts that a choice of markets rests on."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from ingestion.archive.turnover import Listed, Turnover, listed_symbols, turnover
from ingestion.domain.datasets import KLINES
from ingestion.domain.errors import ArchiveUnavailable, NotListed
from ingestion.domain.periods import Period
from ingestion.http.archives import ArchiveLocation, Archives
from ingestion.http.listing import FolderPage, ListingUnreadable, folders_of
from ingestion.raw.s3 import S3Options
from ingestion.venues import VENUES, archive_of, parse_market, venue_of
from tests.support.archives import ArchiveFolder, ArchiveServer, kline_rows
from tests.support.s3 import put_in_public

MONTH = Period.of_month(date(2024, 2, 1))
DAYS = [date(2024, 2, 1), date(2024, 2, 2)]
UM = "binance_um"


def put_month(folder: ArchiveFolder, symbol: str, interval: str = "1d", days: list[date] = DAYS) -> str:
    return folder.klines_of_month(days, interval, symbol=symbol)


@pytest.fixture
def two_markets(archive_folder: ArchiveFolder) -> ArchiveFolder:
    """Beside them: a market that ended before, a dated contract, and one whose quote is no dollar."""
    put_month(archive_folder, "BTCUSDT")
    put_month(archive_folder, "ETHUSDT", days=DAYS[:1])
    put_month(archive_folder, "LUNAUSDT", days=[date(2023, 5, 1)])
    put_month(archive_folder, "BTCUSDT_240329")
    put_month(archive_folder, "ETHBTC")
    return archive_folder


def archives(url: str, listing_url: str = "") -> Archives:
    return Archives(lambda venue: ArchiveLocation(url, listing_url=listing_url))


EXPECTED = Listed(
    tuple(parse_market(f"{UM}:{symbol}") for symbol in ("BTCUSDT", "ETHUSDT", "LUNAUSDT")),
    {"BTCUSDT_240329": "a dated contract", "ETHBTC": "not quoted in dollars"},
)


class TestWhatIsListed:
    def test_of_a_folder_are_its_folders(self, two_markets: ArchiveFolder) -> None:
        assert listed_symbols(UM, archives(two_markets.url)) == EXPECTED

    @pytest.mark.parametrize("on_a_page", [1, 2, 1000])
    def test_of_a_server_are_the_folders_on_every_page(
        self, two_markets: ArchiveFolder, archive_server: ArchiveServer, on_a_page: int
    ) -> None:
        archive_server.lists = on_a_page
        assert listed_symbols(UM, archives(archive_server.url, archive_server.url)) == EXPECTED
        assert archive_server.requests == ["list"] * -(-5 // on_a_page)

    def test_is_nothing_of_a_venue_that_the_archive_has_nothing_of(self, two_markets: ArchiveFolder) -> None:
        assert listed_symbols("binance_cm", archives(two_markets.url)) == Listed((), {})

    def test_cannot_be_found_out_of_a_server_without_a_listing(self, archive_server: ArchiveServer) -> None:
        with pytest.raises(NotListed, match="nothing lists what it has"):
            listed_symbols(UM, archives(archive_server.url))

    def test_is_not_guessed_where_the_listing_is_a_page_of_something_else(
        self, two_markets: ArchiveFolder, archive_server: ArchiveServer
    ) -> None:
        with pytest.raises(ArchiveUnavailable, match="could not be listed"):
            listed_symbols(UM, archives(archive_server.url, archive_server.url))

    @pytest.mark.s3
    @pytest.mark.xdist_group("s3")
    def test_of_a_real_s3_server_is_the_same(self, two_markets: ArchiveFolder, seaweedfs: S3Options) -> None:
        keys = [path.relative_to(two_markets.root).as_posix() for path in two_markets.root.rglob("*.zip")]
        url = put_in_public(seaweedfs, two_markets.root, keys)
        assert listed_symbols(UM, archives(url, url)) == EXPECTED

    @pytest.mark.parametrize("venue", [name for name in VENUES if venue_of(name).symbol_folders])
    def test_lies_where_the_klines_of_a_symbol_lie(self, venue: str) -> None:
        own = venue_of(venue)
        symbols = [symbol for symbol in ("BTCUSDT", "BTCUSD_PERP") if own.symbols.parse(symbol)]
        assert len(symbols) == len(own.symbol_folders)
        for symbol, folder in zip(symbols, own.symbol_folders, strict=True):
            market = parse_market(f"{venue}:{symbol}")
            layout = archive_of(market)
            assert layout is not None
            (source,) = layout.objects(KLINES, market, "1d", MONTH)
            assert source.key.startswith(f"{folder}/{symbol}/")


PREFIX = "data/"


def page(*inside: str, truncated: str = "false") -> bytes:
    return f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{''.join(inside)}</ListBucketResult>".encode()


def prefix(folder: str) -> str:
    return f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"


class TestAPageOfFolders:
    def test_names_them_and_where_the_next_one_begins(self) -> None:
        first = page(prefix("data/A/"), prefix("data/B/"), "<NextMarker>data/B/</NextMarker>", truncated="true")
        assert folders_of(first, PREFIX, "") == FolderPage(["A", "B"], "data/B/")
        assert folders_of(page(prefix("data/C/")), PREFIX, "data/B/") == FolderPage(["C"], "")

    @pytest.mark.parametrize(
        "answer",
        [
            b"<html></html>",
            b"no XML",
            b'<!DOCTYPE a><ListBucketResult xmlns=""/>',
            b"<ListBucketResult/>",
            page(prefix("other/A/")),
            page(prefix("data/A/B/")),
            page(prefix("data/")),
            page(prefix("data/../")).replace(b"data/../", b"../etc/"),
            page(prefix("data/B/"), prefix("data/A/")),
            page(truncated="true"),
        ],
    )
    def test_is_refused_where_it_names_anything_else(self, answer: bytes) -> None:
        with pytest.raises(ListingUnreadable):
            folders_of(answer, PREFIX, "")


class TestTurnover:
    def test_is_the_sum_of_the_months_quote_amounts(self, two_markets: ArchiveFolder) -> None:
        btc, eth, luna = EXPECTED.markets
        rows = kline_rows(DAYS[0])
        quote = sum((Decimal(row.split(",")[7]) for row in rows), Decimal(0))
        found = turnover([btc, eth, luna], MONTH, ("1d",), archives(two_markets.url))
        assert found == Turnover({btc: 2 * quote, eth: quote}, {})

    def test_of_inverse_contracts_is_their_number_times_their_size(self, archive_folder: ArchiveFolder) -> None:
        market = parse_market("binance_cm:BTCUSD_PERP")
        (source,) = archive_of(market).objects(KLINES, market, "1d", MONTH)  # type: ignore[union-attr]
        rows = kline_rows(DAYS[0])
        archive_folder.put(source.key, rows)
        contracts = sum((Decimal(row.split(",")[5]) for row in rows), Decimal(0))
        assert turnover([market], MONTH, ("1d",), archives(archive_folder.url)).usd == {market: 100 * contracts}

    def test_comes_from_the_configured_klines_where_there_are_no_daily_ones(
        self, archive_folder: ArchiveFolder
    ) -> None:
        put_month(archive_folder, "BTCUSDT", "4h")
        (market,) = EXPECTED.markets[:1]
        assert set(turnover([market], MONTH, ("1d", "4h"), archives(archive_folder.url)).usd) == {market}

    def test_costs_two_requests_of_each_market(self, two_markets: ArchiveFolder, archive_server: ArchiveServer) -> None:
        turnover(EXPECTED.markets, MONTH, ("1d",), archives(archive_server.url))
        assert len(archive_server.requests) == 2 + 2 + 1  # of the third market, that it has none

    def test_is_not_known_of_a_market_whose_file_cannot_be_used(self, two_markets: ArchiveFolder) -> None:
        btc, eth, _ = EXPECTED.markets
        (source,) = archive_of(eth).objects(KLINES, eth, "1d", MONTH)  # type: ignore[union-attr]
        two_markets.put_bytes(source.key, b"no zip")
        found = turnover([btc, eth], MONTH, ("1d",), archives(two_markets.url))
        assert (set(found.usd), set(found.unusable)) == ({btc}, {eth})

    def test_is_not_of_what_happened_to_be_reached(
        self, two_markets: ArchiveFolder, archive_server: ArchiveServer
    ) -> None:
        btc, eth, _ = EXPECTED.markets
        (source,) = archive_of(eth).objects(KLINES, eth, "1d", MONTH)  # type: ignore[union-attr]
        archive_server.answers[f"{source.key}.CHECKSUM"] = [451]
        with pytest.raises(ArchiveUnavailable):
            turnover([btc, eth], MONTH, ("1d",), archives(archive_server.url))
