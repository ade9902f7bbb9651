"""The symbols that an archive lists of a venue, and what each traded in a month.

Belongs here: one listing of the folders of symbols, and the klines of one month of each. Does not: which of them are
chosen, and where that is recorded (the caller), or storing klines (`ingestion.archive.ingest`).

Cheap on the network: a page of the listing names 1,000 symbols, and a symbol's month of daily klines is one checksum
and one file of some 2 KB. Nothing is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion.archive.offer import reason_of
from ingestion.decode.decoder import decode
from ingestion.decode.unpack import SourceFile
from ingestion.domain.datasets import KLINES
from ingestion.domain.errors import ChecksumMismatch, ContractViolation, ObjectGone, SourceDefect
from ingestion.domain.markets import ContractType, Market
from ingestion.domain.periods import Period
from ingestion.http.archives import Archives
from ingestion.http.fetch import Archive
from ingestion.venues import archive_of, venue_of


@dataclass(frozen=True)
class Listed:
    """The symbols of a venue that its archive has monthly klines of. `left_out`: why a symbol is none of `markets`."""

    markets: tuple[Market, ...]
    left_out: Mapping[str, str]


@dataclass(frozen=True)
class Turnover:
    """What markets traded in a month. `usd`: by market, the sum of both sides in USD. `unusable`: why the klines of
    others cannot be used. A market of neither has none in that month."""

    usd: Mapping[Market, Decimal] = field(default_factory=dict)
    unusable: Mapping[Market, str] = field(default_factory=dict)


def listed_symbols(venue: str, archives: Archives) -> Listed:
    """The perpetual contracts in dollars among the symbols that the archive lists, in the order of their names.

    Raises NotListed where the archive cannot be listed, ArchiveUnavailable where it was not reached.
    """
    of, archive = venue_of(venue), archives.of(venue)
    markets: list[Market] = []
    left_out: dict[str, str] = {}
    for symbol in (name for folder in of.symbol_folders for name in archive.folders(folder)):
        market = of.symbols.parse(symbol)
        if market is None:
            left_out[symbol] = "not quoted in dollars"
        elif market.delivers_at is not None:
            left_out[symbol] = "a dated contract"
        elif market.contract_type is ContractType.INVERSE and market.contract_size is None:
            left_out[symbol] = "of a contract size that its symbol does not state"
        else:
            markets.append(market)
    return Listed(tuple(markets), left_out)


def turnover(
    markets: Sequence[Market], month: Period, intervals: Sequence[str], archives: Archives, scratch: Path | None = None
) -> Turnover:
    """What each of the markets of one venue traded in the month, by its klines of the first of `intervals` that the
    archive has of it.

    Raises ArchiveUnavailable: a choice must not depend on what happened to be reached.
    """
    if not markets:
        return Turnover()
    (venue,) = {market.venue for market in markets}
    archive = archives.of(venue)
    with (
        TemporaryDirectory(prefix="taker-", dir=scratch) as folder,
        ThreadPoolExecutor(archives.at_once([venue])) as pool,
    ):
        read = partial(_turnover_of, month=month, intervals=intervals, archive=archive, folder=Path(folder))
        found = dict(zip(markets, pool.map(read, markets), strict=True))
    return Turnover(
        {market: each for market, each in found.items() if isinstance(each, Decimal)},
        {market: each for market, each in found.items() if isinstance(each, str)},
    )


def _turnover_of(
    market: Market, month: Period, intervals: Sequence[str], archive: Archive, folder: Path
) -> Decimal | str | None:
    """USD, or why the file cannot be used, or None where there is none."""
    layout = archive_of(market)
    assert layout is not None, market
    own = folder / market.symbol
    for interval in intervals:
        (source,) = layout.objects(KLINES, market, interval, month)
        try:
            proof = archive.proof(source.key)
            if proof is None:
                continue
            own.mkdir(exist_ok=True)
            file = SourceFile(
                archive.download(source.key, proof, own).path,
                source.key,
                month,
                may_be_simulated=venue_of(market.venue).is_simulated,
            )
            decoded = own / "klines.parquet"
            decode([file], KLINES, layout.layout(KLINES, market), decoded, quarantine=own / "aside.parquet")
        except (SourceDefect, ContractViolation, ChecksumMismatch, ObjectGone) as error:
            return reason_of(error)
        return _usd(decoded, market)
    return None


def _usd(klines: Path, market: Market) -> Decimal:
    """The quote amount of linear contracts, the contracts of inverse ones times their size in USD."""
    size = market.contract_size if market.contract_type is ContractType.INVERSE else None
    column = "quote_volume" if size is None else "volume"
    total: Decimal = pc.sum(pq.read_table(klines, columns=[column])[column]).as_py() or Decimal(0)
    return total if size is None else total * size
