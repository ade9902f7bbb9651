"""Whatever a server does, a request ends soon, the error states what it did, and nothing is stored."""

from __future__ import annotations

import gzip
import hashlib
import re
import socket
import ssl
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ingestion.archive import ingest, plan
from ingestion.domain.datasets import ARCHIVED
from ingestion.domain.errors import ArchiveUnavailable, ChecksumMismatch, VenueRefused, VenueUnavailable
from ingestion.http.archives import ArchiveLocation, Archives
from ingestion.http.bounds import FILE, SMALL
from ingestion.http.client import HttpClient
from ingestion.http.fetch import Archive, Proof
from ingestion.http.reach import unreachable_reason
from ingestion.http.rest import RestClient
from ingestion.http.retry import CircuitBreaker, ServerHealth, Waiting, http_date, retry_after
from ingestion.http.watch import TooLarge, TooSlow, Unreachable, Watch
from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market
from ingestion.venues.binance import BINANCE_UM
from tests.support.hostile_server import BEHAVIOURS, PAGE, HostileServer, answer, redirect

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = date(2024, 1, 2)
KEY = f"data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-{DAY}.zip"
# The limits of production in fractions of a second, and 1 MB: the same code meets them sooner.
SMALL_QUICK = replace(SMALL, answer_seconds=0.3, silence_seconds=0.2, attempt_seconds=0.4, seconds=1.5)
FILE_QUICK = replace(SMALL_QUICK, most_bytes=1 << 20, floor=100_000, floor_seconds=0.15)
REST_QUICK = replace(SMALL_QUICK, most_bytes=1 << 20)
# What ends by its limits of time. The rest ends by what is sent, and a busy machine has the time of production for it.
ENDED_BY_TIME = {"accepts and sends nothing", "continues without end", "stops in mid-body"} | {
    name for name in BEHAVIOURS if name.startswith("drips")
}
UNHURRIED = {"small_bounds": SMALL, "file_bounds": replace(FILE, most_bytes=1 << 20)}
# Two attempts, and what a busy machine adds: far from the minutes that the limits of production allow.
SOON = 30.0

# What a message states of each behaviour, where that is the reason of its failure.
STATED = {
    "accepts and sends nothing": "sent nothing for 0.2 s|did not answer within",
    "speaks another protocol": "SSH-2.0|BadStatusLine",
    "drips headers": "did not answer within 0.3 s",
    "sends headers without end": "headers",
    "continues without end": "headers without end|did not answer within",
    "drips the body": "bytes/s for 0.15 s|was not complete after",
    "drips chunks": "bytes/s for 0.15 s|was not complete after",
    "stops in mid-body": "sent nothing for 0.2 s|bytes/s for 0.15 s",
    "sends a body without end": "at most|more than",
    "sends chunks without end": "at most|more than",
    "sends a chunk of negative size": "more than",
    "reports a length of terabytes": "3,000,000,000,000 bytes",
    "cuts in mid-body": "IncompleteRead|broken",
    "redirects in a circle": "in a circle",
    "redirects on and on": "on and on",
    "redirects to another host": r"another server, 'http://localhost:1/there.zip'.*add its host to THE_HOSTS",
    "redirects to another port": "another server",
    "redirects to a file": "only https, or http from http, is followed",
    "redirects to no address": "which is no address",
    "sends a web page": "a web page came with HTTP 200 in its place",
    "requires a pause of a year": "requested a pause of 31,536,000 s, longer than a run waits",
    "requires a pause in superscript": "HTTP 503",
    "fails": "HTTP 500",
    "refuses": "HTTP 403",
    "answers with a status of its own": "HTTP 999",
}


def quick(url: str, **options: object) -> Archive:
    given: dict[str, object] = {"file_bounds": FILE_QUICK, "small_bounds": SMALL_QUICK, "attempts": 2, "backoff": 0.001}
    return Archive(url, redirect_setting="THE_HOSTS", **(given | options))  # type: ignore[arg-type]


class OneArchive(Archives):
    """Every venue's archive, with the limits of this test."""

    def __init__(self, archive: Archive) -> None:
        super().__init__(lambda venue: ArchiveLocation(archive.url))
        self._open[ArchiveLocation(archive.url)] = archive


# Where a small body is read otherwise than a file.
BODIES = ("accepts", "drips", "sends", "cuts", "reports", "stops")
OF_SMALL_BODIES = [name for name in BEHAVIOURS if name.startswith(BODIES)]


@pytest.mark.parametrize(
    ("what", "name"), [*(("file", name) for name in BEHAVIOURS), *(("checksum", name) for name in OF_SMALL_BODIES)]
)
def test_whatever_a_server_does_an_object_fails_soon_and_clearly_and_nothing_is_stored(
    what: str, name: str, tmp_path: Path
) -> None:
    good: dict[str, bytes | None] = {"SIMULATED.txt": None}
    if what == "file":
        good[".CHECKSUM"] = f"{'0' * 64}  {KEY.rsplit('/', 1)[-1]}\n".encode()
    stated = STATED.get(name, "could not be fetched in 2 attempts")
    if what == "checksum" and name in ("stops in mid-body", "drips the body"):
        stated = "reports 1,000,000 bytes"  # a checksum is a line
    zone = RawZone(open_store(tmp_path / "raw"))
    with HostileServer(BEHAVIOURS[name], good).running() as server:
        archive = quick(server.url, **({} if name in ENDED_BY_TIME else UNHURRIED))
        began = time.monotonic()
        tasks = plan(ARCHIVED["aggTrades"], parse_market("binance_um:BTCUSDT"), DAY, DAY)
        (outcome,) = ingest(tasks, archives=OneArchive(archive), zone=zone, now=NOW)
        took = time.monotonic() - began
    assert outcome.status == "failed", outcome
    assert re.search(stated, str(outcome.error)), outcome.error
    assert took < SOON
    assert len(server.requests) <= 12
    assert zone.store.list() == []


class TestWithoutPublishedChecksums:
    """Then only the server itself states what a file is."""

    KEY = "trading/BTCUSDT/BTCUSDT2024-01-02.csv.gz"

    def archive(self, url: str) -> Archive:
        return quick(url, has_checksums=False)

    def test_a_file_whose_length_differs_from_the_reported_one_is_not_taken(self, tmp_path: Path) -> None:
        def talk(connection: socket.socket, path: str, ended: threading.Event) -> None:
            is_head = server.heads[-1].startswith(b"HEAD")
            answer("200 OK", "ETag: a", body=b"x" * (20 if is_head else 10))(connection, path, ended)

        with HostileServer(talk).running() as server:
            archive = self.archive(server.url)
            proof = archive.proof(self.KEY)
            assert proof == Proof("", "no published checksum; etag=a; size=20")
            with pytest.raises(ArchiveUnavailable, match="its length differs from the reported one"):
                archive.download(self.KEY, proof, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_file_replaced_while_it_is_downloaded_is_taken_as_it_is_now(self, tmp_path: Path) -> None:
        with HostileServer(answer("200 OK", "ETag: new", body=b"x" * 10)).running() as server:
            archive = self.archive(server.url)
            before = Proof("", "no published checksum; etag=old; size=10")
            download = archive.download(self.KEY, before, tmp_path)
        assert download.proof.sha256 == hashlib.sha256(b"x" * 10).hexdigest()
        assert download.proof.fingerprint == "no published checksum; etag=new; size=10"

    def test_a_page_in_place_of_a_file_is_no_file(self, tmp_path: Path) -> None:
        with HostileServer(answer("200 OK", "ETag: a", body=PAGE)).running() as server:
            proof = self.archive(server.url).proof(self.KEY)
            assert proof is not None
            with pytest.raises(ArchiveUnavailable, match="a web page came with HTTP 200"):
                self.archive(server.url).download(self.KEY, proof, tmp_path)
        assert list(tmp_path.iterdir()) == []


def test_the_checksum_of_another_file_is_a_mismatch_and_nothing_stays(tmp_path: Path) -> None:
    good: dict[str, bytes | None] = {".CHECKSUM": f"{'1' * 64}  {KEY.rsplit('/', 1)[-1]}\n".encode()}
    with HostileServer(answer("200 OK", body=b"PK of another day"), good).running() as server:
        archive = quick(server.url)
        sha256 = archive.checksum(KEY)
        assert sha256 is not None
        with pytest.raises(ChecksumMismatch, match="nothing was stored"):
            archive.download(KEY, Proof(sha256), tmp_path)
        assert len(server.requests) == 4  # the checksum and the file, each once more
    assert list(tmp_path.iterdir()) == []


class TestRedirects:
    @pytest.fixture
    def target(self) -> Iterator[HostileServer]:
        with HostileServer(answer("200 OK", body=f"{'2' * 64}  k.zip\n".encode())).running() as server:
            yield server

    def test_one_to_the_same_server_is_followed(self, target: HostileServer) -> None:
        target.good = {"there": f"{'2' * 64}  k.zip\n".encode()}
        target.behaviour = redirect("/there")
        assert quick(target.url).checksum("k.zip") == "2" * 64

    def test_one_to_a_host_that_is_allowed_is_followed_without_the_password(self, target: HostileServer) -> None:
        with HostileServer(redirect(f"http://localhost:{target.port}/there")).running() as server:
            url = server.url.replace("http://", "http://user:secret@")
            assert quick(url, redirect_hosts=["localhost"]).checksum("k.zip") == "2" * 64
        assert b"authorization" in server.heads[0].lower()
        assert b"authorization" not in target.heads[0].lower()

    def test_one_to_any_other_host_is_not(self, target: HostileServer) -> None:
        elsewhere = redirect(f"http://localhost:{target.port}/there")
        with HostileServer(elsewhere).running() as server, pytest.raises(ArchiveUnavailable, match="another server"):
            quick(server.url, redirect_hosts=["mirror.example"]).checksum("k.zip")
        assert target.requests == []

    def test_none_leads_from_https_to_http(self) -> None:
        with pytest.raises(Unreachable, match="only https, or http from http"):
            HttpClient(redirect_hosts=["h"])._followed("https://h/a", "http://h/a")

    def test_one_from_http_to_https_of_the_same_host_is_followed(self) -> None:
        assert HttpClient()._followed("http://u:p@h:8080/a", "https://h/b") == "https://u:p@h/b"


class TestTls:
    @pytest.fixture(scope="class")
    def certificate(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Made for the test: no key is committed."""
        made = tmp_path_factory.mktemp("tls") / "own.pem"
        done = subprocess.run(
            f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {made} -out {made}.crt "
            "-days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1".split(" "),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            pytest.skip("no openssl")
        return made

    def test_a_certificate_that_nothing_vouches_for_is_refused_at_the_first_attempt(self, certificate: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{certificate}.crt", certificate)
        refused = pytest.raises(ArchiveUnavailable, match=r"was not accepted: .*CERTIFICATE_VERIFY_FAILED")
        with HostileServer(answer("200 OK"), tls=context).running() as server, refused:
            quick(server.url).checksum(KEY)
        assert server.accepted == 1

    def test_so_is_it_before_a_run(self, certificate: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{certificate}.crt", certificate)
        with HostileServer(answer("200 OK"), tls=context).running() as server:
            assert "CERTIFICATE_VERIFY_FAILED" in str(unreachable_reason(server.url, 2))

    def test_bytes_come_over_tls_under_the_same_limits(
        self, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{certificate}.crt", certificate)
        good: dict[str, bytes | None] = {"k.zip.CHECKSUM": f"{'3' * 64}  k.zip\n".encode()}
        with HostileServer(BEHAVIOURS["drips headers"], good, tls=context).running() as server:
            assert quick(server.url).checksum("k.zip") == "3" * 64
            with pytest.raises(ArchiveUnavailable, match=r"did not answer within 0\.3 s"):
                quick(server.url).checksum("other.zip")

    def test_a_server_without_tls_is_reported(self) -> None:
        failed = pytest.raises(ArchiveUnavailable, match=r"could not be fetched in 2 attempts .*SSL")
        with HostileServer(answer("200 OK")).running() as server, failed:
            quick(server.url.replace("http://", "https://")).checksum(KEY)


class TestNoNetwork:
    """Each is reported by the check before a run, in the time that it is given."""

    def test_a_refused_connection(self) -> None:
        assert "refused" in str(unreachable_reason("http://127.0.0.1:1", 0.3))

    def test_a_name_that_is_not_resolved(self) -> None:
        assert "resol" in str(unreachable_reason("http://archive.invalid", 5)).lower()

    def test_a_name_server_that_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1) or [])
        reason = str(unreachable_reason("http://archive.example", 0.2))
        assert re.search(r"not resolved within 0\.[12]\d* s", reason)  # of the 0.2 s some may have passed before

    def test_an_address_that_swallows_everything(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A full backlog: the kernel answers no further connection, as at an address that no machine has."""
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            port = full.getsockname()[1]
            callers = [socket.socket() for _ in range(4)]
            for caller in callers:
                caller.setblocking(False)
                caller.connect_ex(("127.0.0.1", port))
            began = time.monotonic()
            reason = unreachable_reason(f"http://127.0.0.1:{port}", 0.3)
            took = time.monotonic() - began
            for caller in callers:
                caller.close()
        assert "no connection within" in str(reason)
        assert took < SOON

    def test_a_server_that_accepts_and_sends_nothing(self) -> None:
        with HostileServer(BEHAVIOURS["accepts and sends nothing"]).running() as server:
            assert unreachable_reason(server.url, 0.3) is not None

    @pytest.mark.parametrize("name", ["fails", "refuses", "sends a web page", "redirects to another host"])
    def test_a_server_that_answers_anything_is_reachable(self, name: str) -> None:
        with HostileServer(BEHAVIOURS[name]).running() as server:
            assert unreachable_reason(server.url, 2) is None


class TestADeadArchiveIsCheap:
    def test_what_one_opening_finds_out_the_next_one_of_the_run_knows(self) -> None:
        health: dict[str, ServerHealth] = {}
        with HostileServer(BEHAVIOURS["sends a web page"]).running() as server:
            for _ in range(2):
                archives = Archives(lambda venue: ArchiveLocation(server.url), health)
                for n in range(4):
                    with pytest.raises(ArchiveUnavailable):
                        archives.of("binance_um").checksum(f"{n}.zip")
        assert len(server.requests) == 3

    def test_a_pause_of_a_year_ends_all_requests_and_is_reported_once(self) -> None:
        with HostileServer(BEHAVIOURS["requires a pause of a year"]).running() as server:
            archive = quick(server.url, sleep=lambda seconds: pytest.fail("it waited"))
            for key in ("one.zip", "two.zip"):
                with pytest.raises(ArchiveUnavailable, match="requested a pause of 31,536,000 s"):
                    archive.checksum(key)
        assert len(server.requests) == 1
        (notice,) = archive.notices
        assert "requested a pause of 31,536,000 s; Taker waited 0 s and then stopped requesting" in notice

    def test_pauses_that_are_short_are_waited_for_and_reported_with_their_sum(self) -> None:
        slept: list[float] = []
        with HostileServer(answer("429 Too Many Requests", "Retry-After: 60")).running() as server:
            archive = quick(server.url, sleep=slept.append, attempts=3, small_bounds=SMALL)
            with pytest.raises(ArchiveUnavailable, match="HTTP 429"):
                archive.checksum("one.zip")
        assert slept == [60, 60]
        assert archive.notices == [
            f"{server.url} requested a pause of 60 s (3 times, the longest counts); Taker waited 60 s"
        ]


class TestWaiting:
    def test_a_run_waits_for_one_server_so_long_in_all(self) -> None:
        now = [0.0]
        waiting = Waiting(timedelta(seconds=50), timedelta(seconds=100), clock=lambda: now[0])
        for expected in (True, True, False):
            assert waiting.grants(timedelta(seconds=50)) is expected
            now[0] += 50

    def test_requests_that_wait_at_the_same_time_count_once(self) -> None:
        waiting = Waiting(timedelta(seconds=50), timedelta(seconds=60), clock=lambda: 0.0)
        assert all(waiting.grants(timedelta(seconds=50)) for _ in range(16))
        assert "waited 50 s" in str(waiting.notice)

    def test_a_process_that_lives_longer_than_a_run_waits_anew(self) -> None:
        now = [0.0]
        waiting = Waiting(timedelta(seconds=50), timedelta(seconds=50), clock=lambda: now[0])
        assert waiting.grants(timedelta(seconds=50))
        now[0] = 60
        assert not waiting.grants(timedelta(seconds=50))
        now[0] = 7200
        assert waiting.grants(timedelta(seconds=50))

    def test_a_server_that_was_given_up_is_tried_again_after_a_rest(self) -> None:
        now = [0.0]
        breaker = CircuitBreaker(2, 300, clock=lambda: now[0])
        breaker.gave_up()
        breaker.gave_up()
        assert breaker.is_open
        now[0] = 301
        assert not breaker.is_open


ABSURD = ["\xb2\xb2", "\u0662", "\u0663\u0660", "-5", "1e9", "9" * 400, "\x00", "99999999999999", ",", " "]
ABSURD += [
    "Mon, 02 Mar 2026 12:31:00 +9999999999",
    "Fri, 31 Dec 9999 23:59:59 -2300",
    "Mon, 01 Jan 0001 00:00:00 +2300",
]
ABSURD += ["Mon, 99 Foo 20026 99:99:99 GMT"]
HEADERS = ["Retry-After", "Content-Length", "Location", "ETag", "Date", "X-MBX-USED-WEIGHT-1M", "Content-Encoding"]


def _on_the_wire(value: str) -> str:
    """As one letter per byte; what is no byte is sent as UTF-8."""
    text = value if all(ord(letter) < 256 for letter in value) else value.encode().decode("latin-1")
    return text.replace("\x00", "?")


@pytest.mark.parametrize("value", ABSURD)
def test_no_value_of_a_header_is_an_error_of_its_own(value: str) -> None:
    assert retry_after(value, NOW) is None or retry_after(value, NOW) >= timedelta()  # type: ignore[operator]
    http_date(value)
    for name in HEADERS:
        header = f"{name}: {_on_the_wire(value)}"
        behaviour = answer("302 Found" if name == "Location" else "503 Busy", header)
        with HostileServer(behaviour).running() as server, pytest.raises(ArchiveUnavailable):
            quick(server.url, sleep=lambda seconds: None).checksum(KEY)


class TestRest:
    def client(self, url: str, slept: list[float]) -> RestClient:
        http = HttpClient()
        return RestClient(
            "binance_um",
            url,
            BINANCE_UM.api,  # type: ignore[arg-type]
            attempts=2,
            sleep=slept.append,
            send=lambda address, parameters: http.get(address, parameters, REST_QUICK),
        )

    @pytest.mark.parametrize("name", [name for name in BEHAVIOURS if not name.startswith("continues")])
    def test_whatever_an_api_does_a_request_fails_soon_and_clearly(self, name: str) -> None:
        with HostileServer(BEHAVIOURS[name]).running() as server:
            began = time.monotonic()
            with pytest.raises((VenueUnavailable, VenueRefused), match=r"binance_um|127\.0\.0\.1"):
                self.client(server.url, []).get("/fapi/v1/time", {}, weight=1)
            assert time.monotonic() - began < SOON
        assert len(server.requests) <= 2

    @pytest.mark.parametrize("value", ABSURD)
    def test_no_value_of_a_header_is_an_error_of_its_own(self, value: str) -> None:
        lines = [f"{name}: {_on_the_wire(value)}" for name in ("Date", "X-MBX-USED-WEIGHT-1M")]
        good = answer("200 OK", *lines, body=b"[1]")
        with HostileServer(good).running() as server:
            assert self.client(server.url, []).get("/fapi/v1/klines", {}, weight=1) == [1]

    def test_a_body_that_unpacks_without_end_is_refused(self) -> None:
        bomb = answer("200 OK", "Content-Encoding: gzip", body=zlib.compress(b"0" * (8 << 20)))
        with HostileServer(bomb).running() as server, pytest.raises(TooLarge):
            HttpClient().get(server.url, {}, REST_QUICK)

    def test_a_packed_answer_within_the_limit_is_read(self) -> None:
        with HostileServer(answer("200 OK", "Content-Encoding: gzip", body=gzip.compress(b"[1]"))).running() as server:
            assert HttpClient().get(server.url, {}, REST_QUICK).body == b"[1]"


class TestWatch:
    """The rules by which a request ends, on a clock of their own."""

    BOUNDS = replace(FILE, answer_seconds=10, silence_seconds=5, attempt_seconds=100, floor=1000, floor_seconds=20)

    @staticmethod
    def receive(watch: Watch, now: list[float], rate: int, seconds: int) -> None:
        """So many bytes every second."""
        for _ in range(seconds):
            watch.patience()
            now[0] += 1
            watch.waited(1, rate)

    def body(self, now: list[float]) -> Watch:
        watch = Watch(self.BOUNDS, clock=lambda: now[0])
        watch.answered()
        watch.expect(1 << 30)
        return watch

    def test_a_byte_now_and_then_does_not_keep_the_headers_alive(self) -> None:
        now = [0.0]
        with pytest.raises(TooSlow, match="did not answer within 10 s"):
            self.receive(Watch(self.BOUNDS, clock=lambda: now[0]), now, 1, 100)
        assert now[0] <= 10

    def test_a_body_below_the_floor_ends(self) -> None:
        now = [0.0]
        with pytest.raises(TooSlow, match="less than 1,000 bytes/s for 20 s"):
            self.receive(self.body(now), now, 999, 60)
        assert now[0] == 20

    def test_one_above_it_goes_on(self) -> None:
        now = [0.0]
        self.receive(self.body(now), now, 1001, 60)

    def test_a_reader_that_is_slow_itself_is_not_the_servers_fault(self) -> None:
        now = [0.0]
        watch = self.body(now)
        watch.waited(1, 5000)
        now[0] = 30  # decoding, or a slow disk: no read waited
        watch.patience()
        watch.waited(0.1, 1)

    def test_an_attempt_ends_with_its_total_even_above_the_floor(self) -> None:
        now = [0.0]
        with pytest.raises(TooSlow, match="not complete after 100 s"):
            self.receive(self.body(now), now, 5000, 1000)
