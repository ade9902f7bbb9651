"""A listing of the archive's bucket saves the requests of checksums, and decides nothing that these would not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ingestion.archive import ingest
from ingestion.archive.tasks import plan
from ingestion.domain.datasets import DATASETS
from ingestion.http.archives import ArchiveLocation, Archives
from ingestion.http.fetch import Archive, Proof
from ingestion.http.listing import ListingUnreadable, page_of
from ingestion.http.retry import ServerHealth
from ingestion.raw.s3 import S3Options
from ingestion.raw.store import LocalStore
from ingestion.raw.zone import RawZone
from ingestion.venues import parse_market
from tests.support.archives import ArchiveFolder, ArchiveServer, agg_rows
from tests.support.s3 import put_in_public

FIRST = date(2024, 1, 2)
DAYS = [FIRST + timedelta(days=number) for number in range(7)]
NOW = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def server(archive_server: ArchiveServer) -> ArchiveServer:
    archive_server.lists = 1000
    return archive_server


@pytest.fixture
def keys(archive_folder: ArchiveFolder) -> list[str]:
    """A week of objects."""
    return [archive_folder.agg_trades(day) for day in DAYS]


@pytest.fixture
def archive(server: ArchiveServer) -> Iterator[Archive]:
    opened = listed(server.url)
    yield opened
    opened.close()


def listed(url: str) -> Archive:
    return Archive(url, attempts=2, backoff=0.001, listing_url=url, sleep=lambda seconds: None)


def proofs(archive: Archive, keys: list[str], known: dict[str, str]) -> list[Proof | None]:
    archive.expect(keys)
    return [archive.proof(key, known.get(key, "")) for key in keys]


def checksums(url: str, keys: list[str]) -> dict[str, str]:
    """Of each object, as it is requested without a listing."""
    plain = Archive(url)
    return {key: plain.checksum(key) or "" for key in keys}


def test_checksums_that_are_known_are_not_requested_again(
    archive: Archive, server: ArchiveServer, keys: list[str]
) -> None:
    known = checksums(server.url, keys)
    server.requests.clear()
    assert proofs(archive, keys, known) == [Proof(known[key]) for key in keys]
    assert server.requests == [f"{keys[0]}.CHECKSUM", f"{keys[1]}.CHECKSUM", "list"]


def test_an_object_with_another_checksum_is_requested(
    archive: Archive, archive_folder: ArchiveFolder, server: ArchiveServer, keys: list[str]
) -> None:
    known = checksums(server.url, keys)
    archive_folder.agg_trades(DAYS[4], agg_rows(DAYS[4], 9))
    server.requests.clear()
    now = checksums(server.url, keys)
    assert now[keys[4]] != known[keys[4]]
    server.requests.clear()
    assert proofs(archive, keys, known) == [Proof(now[key]) for key in keys]
    assert server.requests[2:] == ["list", f"{keys[4]}.CHECKSUM"]


def test_an_object_that_is_not_listed_is_absent(
    archive: Archive, archive_folder: ArchiveFolder, server: ArchiveServer, keys: list[str]
) -> None:
    known = checksums(server.url, keys)
    archive_folder.remove(keys[3])
    server.requests.clear()
    assert proofs(archive, keys, known)[3] is None
    assert server.requests[2:] == ["list"]


@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_folder_of_several_pages_is_read_to_the_last_expected_object(
    archive: Archive, server: ArchiveServer, keys: list[str], most: int
) -> None:
    known = checksums(server.url, keys)
    server.lists = most
    server.requests.clear()
    assert proofs(archive, keys[:5], known) == [Proof(known[key]) for key in keys[:5]]
    # Two objects each, up to the checksum of the fifth.
    assert server.requests[2:] == ["list"] * -(-9 // most)


def test_two_objects_of_a_folder_are_not_worth_a_listing(
    archive: Archive, server: ArchiveServer, keys: list[str]
) -> None:
    proofs(archive, keys[:2], {})
    assert "list" not in server.requests


def test_an_object_that_was_not_expected_is_requested(archive: Archive, server: ArchiveServer, keys: list[str]) -> None:
    known = checksums(server.url, keys)
    proofs(archive, keys[:4], known)
    server.requests.clear()
    assert archive.proof(keys[5], known[keys[5]]) == Proof(known[keys[5]])
    assert server.requests == [f"{keys[5]}.CHECKSUM"]


def test_a_bucket_that_cannot_be_listed_costs_one_request_and_one_notice(
    server: ArchiveServer, keys: list[str]
) -> None:
    server.lists = 0
    health = ServerHealth()
    known = checksums(server.url, keys)
    server.requests.clear()
    for _ in range(2):
        archive = Archive(server.url, listing_url=server.url, health=health, sleep=lambda seconds: None)
        assert proofs(archive, keys, known) == [Proof(known[key]) for key in keys]
        (notice,) = archive.notices
        assert notice.endswith(
            "could not be listed (HTTP 404); each checksum was requested instead, which takes longer"
        )
        archive.close()
    assert sum(not name.endswith(".CHECKSUM") for name in server.requests) == 1


PAGE = "<ListBucketResult><IsTruncated>{}</IsTruncated>{}</ListBucketResult>"
OBJECT = "<Contents><Key>{}</Key><ETag>&quot;1&quot;</ETag></Contents>"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "<html>",
        "<html></html>",
        '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + PAGE.format("false", ""),
        PAGE.format("", ""),
        PAGE.format("true", ""),
        PAGE.format("perhaps", OBJECT.format("a/c")),
        PAGE.format("false", OBJECT.format("b/c")),
        PAGE.format("true", OBJECT.format("a/b")),
        PAGE.format("false", OBJECT.format("a/d") + OBJECT.format("a/c")),
        PAGE.format("false", "<Contents></Contents>"),
    ],
)
def test_what_is_no_following_page_of_the_folder_is_refused(answer: str) -> None:
    with pytest.raises(ListingUnreadable):
        page_of(answer.encode(), "a/", "a/b")


def test_a_page_lists_keys_with_their_etags() -> None:
    page = page_of(PAGE.format("true", OBJECT.format("a/c") + OBJECT.format("a/d")).encode(), "a/", "a/b")
    assert page.etags == {"a/c": "1", "a/d": "1"}
    assert not page.is_last


def test_a_second_ingestion_lists_once_and_notices_what_was_corrected(
    server: ArchiveServer, archive_folder: ArchiveFolder, keys: list[str], tmp_path: Path
) -> None:
    tasks = plan(DATASETS["aggTrades"], parse_market("binance_um:BTCUSDT"), DAYS[0], DAYS[-1])
    zone = RawZone(LocalStore(tmp_path / "zone"))

    def statuses() -> list[str]:
        archives = Archives(lambda venue: ArchiveLocation(server.url, listing_url=server.url))
        server.requests.clear()
        return [outcome.status for outcome in ingest(tasks, archives=archives, zone=zone, now=NOW)]

    assert statuses() == ["stored"] * 7
    assert statuses() == ["unchanged"] * 7
    requested = [name for name in server.requests if "SIMULATED" not in name.upper()]
    assert requested.count("list") == 1
    assert len(requested) < len(keys)
    archive_folder.agg_trades(DAYS[5], agg_rows(DAYS[5], 9))
    assert statuses() == ["unchanged"] * 5 + ["stored", "unchanged"]


@pytest.mark.s3
@pytest.mark.xdist_group("s3")
def test_a_real_s3_server_lists_the_etags_that_are_expected(
    seaweedfs: S3Options, archive_folder: ArchiveFolder, keys: list[str]
) -> None:
    url = put_in_public(seaweedfs, archive_folder.root, [*keys, *(f"{key}.CHECKSUM" for key in keys)])
    known = checksums(archive_folder.url, keys)
    archive = listed(url)
    absent = keys[0].replace(f"{DAYS[0]}", f"{DAYS[-1] + timedelta(days=1)}")
    assert proofs(archive, [*keys, absent], known) == [*(Proof(known[key]) for key in keys), None]
    assert not archive.notices
    archive.close()
