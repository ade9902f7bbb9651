"""An archive of a test's own making, on a folder or behind a local HTTP server that misbehaves on demand.

Belongs here: writing objects in the venue's layout and serving them. Does not: reading them.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from ingestion.http.archives import ArchiveLocation, Archives

# S3's answer for an absent key where the bucket may not be listed.
ACCESS_DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message>'
    b"<RequestId>4442587FB7D0A2F9</RequestId></Error>"
)
AGG_HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
TRADE_HEADER = "id,price,qty,quote_qty,time,is_buyer_maker"
KLINE_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
METRIC_HEADER = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)
BYBIT_HEADER = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"
OKX_HEADER = "instrument_name,trade_id,side,price,size,created_time,source"
LIQUIDATION_HEADER = (
    "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,"
    "last_fill_quantity,accumulated_fill_quantity"
)


def millis(day: date, seconds: float = 0.0) -> int:
    """Milliseconds since the epoch of a moment of a UTC day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000 + seconds * 1000)


def agg_rows(day: date, count: int = 5, *, first_id: int = 100, price: str = "42000.5") -> list[str]:
    """`count` aggregates with contiguous ids, a second apart from the day's first second on."""
    return [
        f"{first_id + n},{price},0.{n + 1:03d},{9000 + n},{9000 + n},{millis(day, n)},{'true' if n % 2 else 'false'}"
        for n in range(count)
    ]


def kline_rows(day: date, hours: int = 4) -> list[str]:
    """The bars of one day, `hours` each, all alike."""
    step = hours * 3600
    return [
        f"{millis(day, n * step)},100,110,90,105,10,{millis(day, (n + 1) * step) - 1},1000,7,4,400,0"
        for n in range(24 // hours)
    ]


def archives_at(url: str, *, has_checksums: bool = True) -> Archives:
    """Every venue's archive at one address."""
    return Archives(lambda venue: ArchiveLocation(url, has_checksums))


class ArchiveFolder:
    """A folder that looks like a venue's archive."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return self.root.as_uri()

    def put(self, key: str, rows: Sequence[str], header: str | None = None, *, encoding: str = "utf-8") -> str:
        """One object of one CSV and its checksum; returns the key."""
        text = "".join(f"{row}\n" for row in ([header] if header else []) + list(rows))
        return self.put_members(key, {Path(key).stem + ".csv": text.encode(encoding)})

    def put_members(self, key: str, members: Mapping[str, str | bytes]) -> str:
        path = self._path(key)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, text in members.items():
                packed.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
        return self._prove(key)

    def put_gzip(self, key: str, rows: Sequence[str], header: str) -> str:
        """One object of one CSV as a gzip file, without a checksum beside it; returns the key."""
        text = "".join(f"{row}\n" for row in [header, *rows])
        self._path(key).write_bytes(gzip.compress(text.encode(), mtime=0))
        return key

    def bybit_trades(self, day: date, rows: Sequence[str], *, symbol: str = "BTCUSDT") -> str:
        return self.put_gzip(f"trading/{symbol}/{symbol}{day}.csv.gz", rows, BYBIT_HEADER)

    def okx_trades(
        self, day: date, rows: Sequence[str], *, symbol: str = "BTC-USDT-SWAP", header: str | None = OKX_HEADER
    ) -> str:
        """The file of one day of UTC+8, which holds what happened from 16:00 UTC of the day before; no checksum."""
        key = self.put(f"traderecords/trades/daily/{day:%Y%m%d}/{symbol}-trades-{day}.zip", rows, header)
        self._path(f"{key}.CHECKSUM").unlink()
        return key

    def put_bytes(self, key: str, payload: bytes) -> str:
        """An object of any bytes, with the checksum that fits them."""
        self._path(key).write_bytes(payload)
        return self._prove(key)

    def claim(self, key: str, sha256: str) -> None:
        """Publish a checksum, true or not."""
        path = self._path(key)
        path.with_name(path.name + ".CHECKSUM").write_text(f"{sha256}  {path.name}\n")

    def remove(self, key: str) -> None:
        self._path(key).unlink()
        self._path(f"{key}.CHECKSUM").unlink()

    def agg_trades(self, day: date, rows: Sequence[str] | None = None, *, symbol: str = "BTCUSDT") -> str:
        key = f"data/futures/um/daily/aggTrades/{symbol}/{symbol}-aggTrades-{day}.zip"
        return self.put(key, agg_rows(day) if rows is None else rows, AGG_HEADER)

    def klines_of_day(self, day: date, interval: str = "4h", *, symbol: str = "BTCUSDT") -> str:
        key = f"data/futures/um/daily/klines/{symbol}/{interval}/{symbol}-{interval}-{day}.zip"
        return self.put(key, kline_rows(day), KLINE_HEADER)

    def klines_of_month(self, days: Sequence[date], interval: str = "4h", *, symbol: str = "BTCUSDT") -> str:
        key = f"data/futures/um/monthly/klines/{symbol}/{interval}/{symbol}-{interval}-{days[0]:%Y-%m}.zip"
        return self.put(key, [row for day in days for row in kline_rows(day)], KLINE_HEADER)

    def _path(self, key: str) -> Path:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _prove(self, key: str) -> str:
        self.claim(key, hashlib.sha256(self._path(key).read_bytes()).hexdigest())
        return key


class ArchiveServer:
    """Serves an ArchiveFolder on a free loopback port, counts requests, and misbehaves as planned.

    `requests`: the keys of GET, and `HEAD key`. `distinguishing`: the headers that set states of an object apart; with
    `Content-Encoding` it calls every object gzip.

    `answers[key]`: what to do with the next requests of that key, in order, before it is served well: a status code
    (with Retry-After: 0 for 429), or "cut" to break the connection in the middle of the body.

    `denies`: what an absent object is answered with HTTP 403 instead of 404: S3's XML, or a page of a firewall.

    `lists`: it lists the objects below `?prefix=…` behind `&marker=…` as S3 does, so many on a page; with
    `&delimiter=/`, the folders.
    """

    def __init__(self, folder: ArchiveFolder) -> None:
        self.folder = folder
        self.requests: list[str] = []
        self.distinguishing = {"ETag", "Last-Modified", "Content-Length"}
        self.answers: dict[str, list[int | str]] = defaultdict(list)
        self.denies = b""
        self.lists = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # header and body are two writes; waiting between them costs 40 ms

            def do_GET(self) -> None:
                server.respond(self)

            def do_HEAD(self) -> None:
                server.respond(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def respond(self, request: BaseHTTPRequestHandler) -> None:
        key = request.path.lstrip("/")
        if self.lists and key.startswith("?"):
            self.requests.append("list")
            body = self.listing(**{name: values[0] for name, values in parse_qs(key[1:]).items()})
            request.send_response(200)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)
            return
        is_head = request.command == "HEAD"
        self.requests.append(f"HEAD {key}" if is_head else key)
        planned = self.answers[key].pop(0) if self.answers[key] else 200
        path = self.folder.root / key
        if planned == 200 and not path.is_file():
            planned = 404
            if self.denies:
                request.send_response(403)
                request.send_header("Content-Length", str(len(self.denies)))
                request.end_headers()
                if not is_head:
                    request.wfile.write(self.denies)
                return
        if isinstance(planned, int) and planned != 200:
            request.send_response(planned)
            if planned == 429:
                request.send_header("Retry-After", "0")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        body = path.read_bytes()
        request.send_response(200)
        state = {
            "Content-Length": str(len(body)),
            "ETag": f'"{hashlib.md5(body).hexdigest()}"',
            "Last-Modified": formatdate(path.stat().st_mtime, usegmt=True),
            "Content-Encoding": "gzip",
        }
        for name, value in state.items():
            if name in self.distinguishing or (name == "Content-Length" and not is_head):
                request.send_header(name, value)
        request.end_headers()
        if is_head:
            request.close_connection = "Content-Length" not in self.distinguishing
            return
        if planned == "cut":
            request.wfile.write(body[: len(body) // 2])
            request.close_connection = True
            return
        request.wfile.write(body)

    def listing(self, prefix: str = "", marker: str = "", delimiter: str = "") -> bytes:
        """A page of S3's XML (version 1)."""
        paths = sorted(path for path in self.folder.root.rglob("*") if path.is_file())
        keys = {path.relative_to(self.folder.root).as_posix(): path for path in paths}
        if delimiter:
            below = {key.removeprefix(prefix).split(delimiter)[0] for key in keys if key.startswith(prefix)}
            folders = [name for name in sorted(f"{prefix}{each}{delimiter}" for each in below) if name > marker]
            named = "".join(
                f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>" for name in folders[: self.lists]
            )
            following = f"<NextMarker>{folders[self.lists - 1]}</NextMarker>" if len(folders) > self.lists else ""
            return self.page(len(folders) > self.lists, named + following)
        found = [key for key in sorted(keys) if key.startswith(prefix) and key > marker]
        entries = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{hashlib.md5(keys[key].read_bytes()).hexdigest()}&quot;</ETag></Contents>"
            for key in found[: self.lists]
        )
        return self.page(len(found) > self.lists, entries)

    def page(self, is_truncated: bool, entries: str) -> bytes:
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>bucket</Name><IsTruncated>{str(is_truncated).lower()}</IsTruncated>{entries}</ListBucketResult>"
        ).encode()

    @contextmanager
    def running(self) -> Iterator[ArchiveServer]:
        self._thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()
