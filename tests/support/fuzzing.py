"""Bytes as a venue or an attacker might send them, and the one function per format that must survive them.

Belongs here: the targets of fuzzing, the errors that each may end with, seeds in the venues' formats, tokens.
Does not: how many inputs are tried (`tests/ingestion/test_bad_bytes.py` few, `tests/torture/test_fuzz.py` many).
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ingestion.decode.api_rows import instrument_rows, rows_of
from ingestion.decode.decoder import SourceFile, decode
from ingestion.domain.datasets import ARCHIVED, DATASETS
from ingestion.domain.errors import ArchiveUnavailable, ContractViolation, IngestionError, SourceDefect
from ingestion.domain.periods import Period
from ingestion.http.fetch import Archive
from ingestion.http.listing import ListingUnreadable, page_of
from ingestion.live.rows import SpoolReading
from ingestion.live.spool import FORMAT, ReceivedMessage, Segment, encoded
from ingestion.venues import VENUES, archive_of, parse_market, venue_of
from ingestion.venues.venue import Malformed
from tests.support import messages
from tests.support.archives import (
    ACCESS_DENIED,
    AGG_HEADER,
    BYBIT_HEADER,
    KLINE_HEADER,
    LIQUIDATION_HEADER,
    METRIC_HEADER,
    OKX_HEADER,
    TRADE_HEADER,
    agg_rows,
    kline_rows,
    millis,
)

DAY = date(2024, 1, 2)
CORPUS = Path(__file__).resolve().parents[1] / "ingestion/corpus"
_AT = datetime(2024, 1, 2, 3, tzinfo=UTC)

# Every source file: its dataset, its market, and a good one.
_ROWS = {
    ("aggTrades", "binance_um:BTCUSDT"): (AGG_HEADER, agg_rows(DAY)),
    ("trades", "binance_um:BTCUSDT"): (TRADE_HEADER, [f"7,11343.67,0.467,5297.49,{millis(DAY)},true"]),
    ("trades", "binance_cm:BTCUSD_PERP"): (TRADE_HEADER.replace("quote_qty", "base_qty"), [f"7,1,1,1,{millis(DAY)},1"]),
    ("klines", "binance_um:BTCUSDT"): (KLINE_HEADER, kline_rows(DAY)),
    ("metrics", "binance_um:BTCUSDT"): (METRIC_HEADER, [f"{DAY} 00:05:00,BTCUSDT,1.5,2,1,,1,0.9"]),
    ("fundingRate", "binance_um:BTCUSDT"): (
        "calc_time,funding_interval_hours,last_funding_rate",
        [f"{millis(DAY)},8,-0.01"],
    ),
    ("liquidationSnapshot", "binance_cm:BTCUSD_PERP"): (
        LIQUIDATION_HEADER,
        [f"{millis(DAY)},SELL,LIMIT,IOC,10,30000,30001,FILLED,10,10"],
    ),
    ("trades", "bybit:BTCUSDT"): (BYBIT_HEADER, [f"{millis(DAY) // 1000}.12,BTCUSDT,Sell,1,2,MinusTick,m,1,1,2.0"]),
    ("trades", "okx:BTC-USDT-SWAP"): (OKX_HEADER, [f"BTC-USDT-SWAP,7,buy,42000.1,3,{millis(DAY)},0"]),
}
FILES = list(_ROWS)


def csv_seed(dataset: str, market: str) -> bytes:
    header, rows = _ROWS[dataset, market]
    return "".join(f"{row}\n" for row in [header, *rows]).encode()


def packed(text: bytes, market: str, *, name: str = "a.csv") -> bytes:
    if market.startswith("bybit"):
        return gzip.compress(text, mtime=0)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def decode_bytes(payload: bytes, dataset: str, market_id: str) -> None:
    """Decode a file of these bytes. Nothing but SourceDefect or ContractViolation may come of it, and no file then."""
    market = parse_market(market_id)
    with tempfile.TemporaryDirectory() as folder:
        path, target, aside = (Path(folder, name) for name in ("file", "data.parquet", "quarantine.parquet"))
        path.write_bytes(payload)
        layout = archive_of(market).layout(DATASETS[dataset], market)
        source = SourceFile(path, "venue/file", Period.of_day(DAY))
        refusal = ""
        try:
            decode([source], DATASETS[dataset], layout, target, None, aside)
        except (SourceDefect, ContractViolation) as error:
            refusal = str(error)
        assert target.exists() == (refusal == "")
        if refusal:
            assert refusal.startswith("venue/file"), refusal
            assert len(refusal) < 10_000
            assert not aside.exists()


FEEDS = [venue for venue in VENUES if venue_of(venue).feed is not None]


def feed_seeds(venue: str) -> list[bytes]:
    at = int(_AT.timestamp() * 1000)
    found: dict[str, list[str]] = {
        "binance_um": [
            messages.force_order(at=at),
            messages.agg_trade(at=at),
            messages.single_trade("ADL", at=at),
        ],
        "bybit": [messages.all_liquidation(("Buy", "1", "2"), at=at), messages.public_trade(at=at)],
        "okx": [messages.liquidation_order("buy", "long", at=at), messages.okx_trade(at=at)],
    }
    return [text.encode() for text in found.get(venue, found["binance_um"])]


def read_message(payload: bytes, venue: str) -> None:
    """Everything that is done with a frame: only Malformed may come out of the feed, and nothing out of sealing."""
    feed = venue_of(venue).feed
    assert feed is not None
    feed.refusal(payload)
    feed.is_acceptance(payload)
    feed.is_market_data(payload)
    with contextlib.suppress(Malformed):
        list(feed.read(payload))
    read_spool(FORMAT + encoded(ReceivedMessage(int(_AT.timestamp() * 1e9), "a", payload)), venue)


def read_spool(payload: bytes, venue: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "2024-01-02T03.1.spool")
        path.write_bytes(payload)
        reading = SpoolReading(venue)
        reading.read(Segment(venue, "2024-01-02T03", path.name, path))
        for found in reading.objects.values():
            found.rows.flush()


class _Client:
    """A client that answers every request with the same."""

    def __init__(self, answer: Any) -> None:
        self._answer, self._left = answer, 20
        self.answered_at = _AT + timedelta(days=1)

    def get(self, path: str, parameters: Any, *, weight: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError("its pages never end")
        return self._answer

    def allow(self, limit: Any) -> None:
        pass


API_VENUES = {"binance_um": "BTCUSDT", "binance_cm": "BTCUSD_PERP", "bybit": "BTCUSDT", "okx": "BTC-USDT-SWAP"}
_ROW = {
    **{"a": 1, "p": "1", "q": "1", "f": 1, "l": 1, "T": 1704164400000, "m": True, "symbol": "BTCUSDT", "nq": "1"},
    **{"instId": "BTC-USDT-SWAP", "side": "buy", "sz": "1", "px": "1", "tradeId": "7", "ts": "1704164400000"},
    **{"execId": "e", "price": "1", "size": "1", "time": "1704164400000", "baseAsset": "BTC", "quoteAsset": "USDT"},
    **{"contractSize": 1, "buyVol": "1", "sellVol": "2", "buySellRatio": "0.5", "timestamp": 1704164400000},
}
API_SEEDS = [
    [["1704164400000", "1", "2", "1", "1", "1", 1704167999999, "1", 1, "1", "1", "0"]],
    [_ROW],
    {"data": [_ROW], "result": {"list": [_ROW]}, "symbols": [_ROW]},
]


def read_answer(payload: bytes, venue: str) -> None:
    """Everything that is made of an API's answer: rows, or one of the errors that mean "not as documented"."""
    from ingestion.http.rest import _parsed
    from ingestion.recent import _as_documented, _task

    api = venue_of(venue).api
    assert api is not None
    answer, is_json = _parsed(payload)
    market = parse_market(f"{venue}:{API_VENUES[venue]}")
    since, until = _AT, _AT + timedelta(hours=1)
    if is_json:
        api.error_in(answer)
    client: Any = _Client(answer)
    calls: list[tuple[str, Callable[[], Sequence[Any]]]] = [
        ("restKlines", lambda: api.bars(client, market, since, until)),
        ("takerRatio", lambda: api.taker_ratios(client, market, since, until)),
        ("restTrades", lambda: [t for page in api.trades(client, market, since, until) for t in page.trades]),
    ]
    for name, call in calls:
        task = _task(DATASETS[name], market, DAY)
        try:
            with _as_documented(task):
                rows_of(task.dataset, call(), market, task.period)
        except IngestionError as error:
            if not str(error).startswith(f"{market}"):
                raise AssertionError(f"the market is not named: {error}") from error
    task = _task(DATASETS["instruments"], market, DAY)
    try:
        with _as_documented(task):
            instrument_rows(api.instruments(client), _AT, market, task.period)
    except IngestionError:
        pass


_DIGEST = "0123456789abcdef" * 4
TEXT_SEEDS = {
    "checksum": [f"{_DIGEST}  a.zip\n".encode(), f"{_DIGEST} *a.zip\r\n{_DIGEST}  b.zip\n".encode()],
    "listing": [
        b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a/b</Key><ETag>&quot;1&quot;</ETag></Contents>"
        b"</ListBucketResult>"
    ],
    "denial": [ACCESS_DENIED, ACCESS_DENIED.replace(b"AccessDenied", b"NoSuchKey")],
}


def read_checksum(payload: bytes, _: str = "") -> None:
    """The checksum beside a file: 64 hexadecimal digits, or one of the errors that mean that it is none."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.zip.CHECKSUM").write_bytes(payload)
        archive = Archive(Path(folder).as_uri())
        refusal, found = "", None
        try:
            found = archive.checksum("a.zip")
        except (SourceDefect, ArchiveUnavailable) as error:
            refusal = str(error)
        finally:
            archive.close()
        assert re.fullmatch("[0-9a-f]{64}", found) if found else "a.zip.CHECKSUM" in refusal, (found, refusal)
        assert len(refusal) < 10_000


def read_denial(payload: bytes, _: str = "") -> None:
    """The XML that S3 answers an absent key with: the key is absent, or the archive cannot be used."""
    archive = Archive("http://127.0.0.1:9")
    response: Any = SimpleNamespace(status=403, headers={}, read=lambda most: payload[:most] or b" ")
    refusal = ""
    try:
        assert archive._checked(response, "a.zip", True) is None
    except ArchiveUnavailable as error:
        refusal = str(error)
    finally:
        archive.close()
    assert "a.zip" in refusal or not refusal, refusal


def read_listing(payload: bytes, _: str = "") -> None:
    """A page of a bucket: keys behind the marker below the prefix, ascending, or the one error."""
    try:
        page = page_of(payload, "a/", "a/")
    except ListingUnreadable:
        return
    assert page.is_last or page.etags
    assert all(key.startswith("a/") for key in page.etags)
    assert list(page.etags) == sorted(page.etags, key=str.encode)


def seeds() -> dict[str, list[bytes]]:
    """Good inputs of every target, and the corpus of what once broke one."""
    found = {f"file {dataset} {market}": [packed(csv_seed(dataset, market), market)] for dataset, market in FILES}
    found |= {f"csv {dataset} {market}": [csv_seed(dataset, market)] for dataset, market in FILES}
    found |= {f"frame {venue}": feed_seeds(venue) for venue in FEEDS}
    found |= {f"spool {venue}": [FORMAT] for venue in FEEDS}
    found |= {f"answer {venue}": [json.dumps(seed).encode() for seed in API_SEEDS] for venue in API_VENUES}
    return found | {f"text {name}": list(good) for name, good in TEXT_SEEDS.items()}


def attempt(target: str, payload: bytes) -> None:
    """Hand the bytes to a target of `seeds`; AssertionError, and any error that is not expected, is a finding."""
    kind, _, rest = target.partition(" ")
    if kind in ("file", "csv"):
        dataset, market = rest.split(" ")
        decode_bytes(packed(payload, market) if kind == "csv" else payload, dataset, market)
    elif kind == "text":
        {"checksum": read_checksum, "denial": read_denial, "listing": read_listing}[rest](payload)
    else:
        {"frame": read_message, "spool": read_spool, "answer": read_answer}[kind](payload, rest)


TOKENS = [
    *(
        b",",
        b'"',
        b"\n",
        b"\r\n",
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"-",
        b"1e400",
        b"NaN",
        b"Infinity",
        b"1e-999999999",
    ),
    *(
        b"1e999999999",
        b"9" * 400,
        b"null",
        b"true",
        b"[",
        b"{",
        b"}",
        b"]",
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"\x1f\x8b\x08",
    ),
    *(
        b"../",
        b"99999999999999999999",
        b"-9223372036854775809",
        b"\xf0\x9f\x92\xa9",
        b"\\ud800",
        b"=cmd()",
        b'""',
        b"0x10",
    ),
    *(b"2024-13-45 99:99:99", b"\xe4\xbb\xb7\xe6\xa0\xbc", b"[" * 2000, b"HOLD", b"1.0000000000000000000000001"),
]

assert {dataset for dataset, _ in FILES} == set(ARCHIVED)
