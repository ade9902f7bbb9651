"""Downloads are verified, whatever the archive does; when they fail, the message states what to do."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ingestion.domain.errors import AbsenceUnknown, ArchiveUnavailable, ChecksumMismatch, SourceDefect
from ingestion.http.archives import ArchiveLocation, Archives
from ingestion.http.fetch import Archive, Proof
from ingestion.http.retry import retry_after
from ingestion.venues.simulated import SIMULATION_MARKER, SIMULATION_WORD
from tests.support.archives import ACCESS_DENIED, ArchiveFolder, ArchiveServer, agg_rows

DAY = date(2024, 1, 2)


def reaching(url: str) -> Archive:
    return Archive(url, attempts=4, backoff=0.001)


@pytest.fixture(params=["file", "http"])
def archive(request: pytest.FixtureRequest, archive_folder: ArchiveFolder) -> Archive:
    """The same archive over both kinds of URL."""
    if request.param == "file":
        return reaching(archive_folder.url)
    return reaching(request.getfixturevalue("archive_server").url)


class TestEveryKindOfUrl:
    def test_a_published_object_is_downloaded_and_matches_its_checksum(
        self, archive: Archive, archive_folder: ArchiveFolder, tmp_path: Path
    ) -> None:
        key = archive_folder.agg_trades(DAY)
        sha256 = archive.checksum(key)
        assert sha256 is not None
        assert (
            archive.download(key, Proof(sha256), tmp_path).path.read_bytes() == (archive_folder.root / key).read_bytes()
        )

    def test_a_file_replaced_between_checksum_and_download_is_taken_with_its_new_checksum(
        self, archive: Archive, archive_folder: ArchiveFolder, tmp_path: Path
    ) -> None:
        key = archive_folder.agg_trades(DAY)
        before = archive.checksum(key)
        archive_folder.agg_trades(DAY, agg_rows(DAY, 9))
        assert before is not None
        download = archive.download(key, Proof(before), tmp_path)
        assert download.proof.sha256 == archive.checksum(key) != before

    def test_an_object_that_is_not_published_has_no_checksum(self, archive: Archive) -> None:
        assert archive.checksum("data/nothing.zip") is None

    def test_bytes_that_differ_from_their_checksum_are_refused_and_removed(
        self, archive: Archive, archive_folder: ArchiveFolder, tmp_path: Path
    ) -> None:
        key = archive_folder.agg_trades(DAY)
        archive_folder.claim(key, "0" * 64)
        with pytest.raises(ChecksumMismatch, match=r"aggTrades-2024-01-02\.zip has sha256 .* nothing was stored"):
            archive.download(key, Proof("0" * 64), tmp_path)
        assert not (tmp_path / key.rsplit("/", 1)[-1]).exists()

    def test_a_checksum_without_its_object_is_an_error_not_an_absence(
        self, archive: Archive, archive_folder: ArchiveFolder, tmp_path: Path
    ) -> None:
        key = archive_folder.agg_trades(DAY)
        (archive_folder.root / key).unlink()
        with pytest.raises(ArchiveUnavailable, match="is gone although"):
            archive.download(key, Proof("0" * 64), tmp_path)

    @pytest.mark.parametrize("line", ["", "not a checksum", f"{'0' * 64}  another-file.zip"])
    def test_a_checksum_file_with_other_content_is_a_defect(
        self, archive: Archive, archive_folder: ArchiveFolder, line: str
    ) -> None:
        key = archive_folder.agg_trades(DAY)
        (archive_folder.root / f"{key}.CHECKSUM").write_text(line)
        with pytest.raises(SourceDefect, match=r"CHECKSUM is not"):
            archive.checksum(key)


class TestAnArchiveWithoutChecksums:
    """The state that the server reports replaces the checksum that is not published."""

    KEY = "trading/BTCUSDT/BTCUSDT2024-01-02.csv.gz"

    @pytest.fixture
    def key(self, archive_folder: ArchiveFolder) -> str:
        return archive_folder.put_gzip(self.KEY, agg_rows(DAY), "header")

    @pytest.fixture(params=["file", "http"])
    def archive(self, request: pytest.FixtureRequest, archive_folder: ArchiveFolder) -> Archive:
        url = archive_folder.url if request.param == "file" else request.getfixturevalue("archive_server").url
        return Archive(url, has_checksums=False, setting="THE_SETTING", attempts=3, backoff=0.001)

    def test_an_object_has_the_same_fingerprint_until_it_changes(
        self, archive: Archive, archive_folder: ArchiveFolder, key: str
    ) -> None:
        before = archive.proof(key)
        assert before is not None
        assert before == archive.proof(key)
        assert before.fingerprint.startswith("no published checksum; ")
        archive_folder.put_gzip(key, agg_rows(DAY, 9), "header")
        assert archive.proof(key) != before

    def test_a_download_has_its_own_sha256_and_keeps_the_reported_state(
        self, archive: Archive, archive_folder: ArchiveFolder, key: str, tmp_path: Path
    ) -> None:
        proof = archive.proof(key)
        assert proof is not None
        download = archive.download(key, proof, tmp_path)
        content = (archive_folder.root / key).read_bytes()
        assert download.path.read_bytes() == content
        assert download.proof == Proof(hashlib.sha256(content).hexdigest(), proof.fingerprint)

    def test_an_object_that_is_not_there_has_no_proof(self, archive: Archive) -> None:
        assert archive.proof("trading/nothing.csv.gz") is None

    def test_one_head_is_the_only_request(self, archive_server: ArchiveServer, key: str) -> None:
        assert Archive(archive_server.url, has_checksums=False).proof(key) is not None
        assert archive_server.requests == [f"HEAD {key}"]

    def test_a_copied_file_is_the_same_file(self, archive_folder: ArchiveFolder, key: str) -> None:
        archive = Archive(archive_folder.url, has_checksums=False)
        before = archive.proof(key)
        os.utime(archive_folder.root / key, (1, 1))
        assert archive.proof(key) == before

    @pytest.mark.parametrize("header", ["ETag", "Last-Modified", "Content-Length"])
    def test_one_header_of_the_server_suffices(self, archive_server: ArchiveServer, key: str, header: str) -> None:
        archive_server.distinguishing = {header}
        proof = Archive(archive_server.url, has_checksums=False).proof(key)
        assert proof is not None
        assert proof.fingerprint.count("=") == 1

    def test_a_server_that_reports_nothing_is_refused_since_no_change_would_be_noticed(
        self, archive_server: ArchiveServer, key: str
    ) -> None:
        archive_server.distinguishing = set()
        with pytest.raises(ArchiveUnavailable, match=r"neither ETag nor size .* set THE_SETTING to a mirror"):
            Archive(archive_server.url, has_checksums=False, setting="THE_SETTING").proof(key)

    def test_a_packed_object_stays_packed_whatever_content_encoding_the_server_declares(
        self, archive_server: ArchiveServer, archive_folder: ArchiveFolder, key: str, tmp_path: Path
    ) -> None:
        archive_server.distinguishing.add("Content-Encoding")
        archive = Archive(archive_server.url, has_checksums=False)
        proof = archive.proof(key)
        assert proof is not None
        download = archive.download(key, proof, tmp_path)
        assert download.path.read_bytes() == (archive_folder.root / key).read_bytes()

    def test_a_body_that_breaks_off_is_fetched_again(
        self, archive_server: ArchiveServer, archive_folder: ArchiveFolder, key: str, tmp_path: Path
    ) -> None:
        archive = Archive(archive_server.url, has_checksums=False, attempts=3, backoff=0.001)
        proof = archive.proof(key)
        assert proof is not None
        archive_server.answers[key] = ["cut", 503]
        download = archive.download(key, proof, tmp_path)
        assert download.path.read_bytes() == (archive_folder.root / key).read_bytes()
        assert archive_server.requests == [f"HEAD {key}", key, key, key]

    def test_messages_name_the_setting_of_the_location(self, archive_server: ArchiveServer, key: str) -> None:
        archive_server.answers[key] = [451]
        with pytest.raises(ArchiveUnavailable, match="set THE_SETTING to a mirror"):
            Archive(archive_server.url, has_checksums=False, setting="THE_SETTING").proof(key)


class TestArchivesOfSeveralVenues:
    def test_venues_at_one_location_share_one_and_are_given_up_together(self) -> None:
        archives = Archives(
            lambda venue: ArchiveLocation("http://127.0.0.1:9" if venue != "bybit" else "http://127.0.0.1:10")
        )
        assert archives.of("binance_um") is archives.of("binance_cm")
        assert archives.of("bybit") is not archives.of("binance_um")

    def test_an_impossible_archive_is_reported_on_first_use_and_not_before(self, tmp_path: Path) -> None:
        nowhere = ArchiveLocation((tmp_path / "nowhere").as_uri(), setting="THE_SETTING")
        archives = Archives(lambda venue: nowhere if venue == "bybit" else ArchiveLocation(tmp_path.as_uri()))
        assert archives.of("binance_um").url == tmp_path.as_uri()
        with pytest.raises(ArchiveUnavailable, match=r"nowhere does not exist; check THE_SETTING"):
            archives.of("bybit")


@pytest.mark.parametrize(("text", "simulated"), [("SIMULATED, not real", True), ("<html>an index</html>", False)])
def test_a_simulated_archive_is_marked_and_a_page_for_every_address_is_no_marker(
    archive_folder: ArchiveFolder, archive_server: ArchiveServer, text: str, simulated: bool
) -> None:
    (archive_folder.root / SIMULATION_MARKER).write_text(text)
    assert reaching(archive_server.url).has_marker(SIMULATION_MARKER, SIMULATION_WORD) is simulated


def test_a_marker_file_does_not_prove_that_an_archive_serves_objects(
    archive_folder: ArchiveFolder, archive_server: ArchiveServer
) -> None:
    (archive_folder.root / SIMULATION_MARKER).write_text("SIMULATED")
    archive = reaching(archive_server.url)
    assert archive.has_marker(SIMULATION_MARKER, SIMULATION_WORD)
    archive_server.denies = ACCESS_DENIED
    with pytest.raises(AbsenceUnknown):
        archive.proof("absent.zip")


class TestAnUnreliableServer:
    @pytest.mark.parametrize("failures", [[429], [500, 503], [502, 429, 504]])
    def test_a_busy_or_failing_server_is_retried(
        self, archive_server: ArchiveServer, archive_folder: ArchiveFolder, failures: list[int | str]
    ) -> None:
        key = archive_folder.agg_trades(DAY)
        archive_server.answers[f"{key}.CHECKSUM"] = failures
        attempts = len(failures) + 1
        assert reaching(archive_server.url).checksum(key) is not None
        assert archive_server.requests == [f"{key}.CHECKSUM"] * attempts

    def test_a_connection_that_breaks_in_the_middle_starts_the_object_again(
        self, archive_server: ArchiveServer, archive_folder: ArchiveFolder, tmp_path: Path
    ) -> None:
        key = archive_folder.agg_trades(DAY)
        archive_server.answers[key] = ["cut", "cut"]
        archive = reaching(archive_server.url)
        sha256 = archive.checksum(key)
        assert sha256 is not None
        assert (
            archive.download(key, Proof(sha256), tmp_path).path.stat().st_size
            == (archive_folder.root / key).stat().st_size
        )

    def test_giving_up_names_the_object_the_reason_and_the_next_step(
        self, archive_server: ArchiveServer, archive_folder: ArchiveFolder
    ) -> None:
        key = archive_folder.agg_trades(DAY)
        archive_server.answers[f"{key}.CHECKSUM"] = [503] * 4
        with pytest.raises(
            ArchiveUnavailable, match=r"2024-01-02\.zip.* 4 attempts \(HTTP 503\).*run the same command"
        ):
            reaching(archive_server.url).checksum(key)

    def test_a_refused_location_is_pointed_to_a_mirror_and_not_retried(
        self, archive_server: ArchiveServer, archive_folder: ArchiveFolder
    ) -> None:
        key = archive_folder.agg_trades(DAY)
        archive_server.answers[f"{key}.CHECKSUM"] = [451]
        with pytest.raises(ArchiveUnavailable, match=r"HTTP 451.*set the archive URL to a mirror"):
            reaching(archive_server.url).checksum(key)
        assert len(archive_server.requests) == 1

    def test_a_missing_server_is_reported(self) -> None:
        with pytest.raises(ArchiveUnavailable, match="Check the network and the archive URL"):
            Archive("http://127.0.0.1:9", attempts=2, backoff=0.001).checksum("k.zip")

    def test_an_archive_that_is_down_is_not_tried_for_every_object(self) -> None:
        archive = Archive("http://127.0.0.1:9", attempts=2, backoff=0.001)
        for key in ("one.zip", "two.zip", "three.zip"):
            with pytest.raises(ArchiveUnavailable, match=f"{key}.CHECKSUM could not be fetched in 2 attempts"):
                archive.checksum(key)
        with pytest.raises(ArchiveUnavailable, match=r"is not answering \(.*refused\); four\.zip.* was not tried"):
            archive.checksum("four.zip")

    def test_an_unlucky_object_does_not_make_the_archive_count_as_down(
        self, archive_server: ArchiveServer, archive_folder: ArchiveFolder
    ) -> None:
        key = archive_folder.agg_trades(DAY)
        archive = reaching(archive_server.url)
        for _ in range(4):
            archive_server.answers[f"{key}.CHECKSUM"] = [503] * 4
            with pytest.raises(ArchiveUnavailable, match="could not be fetched"):
                archive.checksum(key)
            assert archive.checksum(key) is not None

    def test_retry_after_takes_precedence_over_the_backoff(
        self, archive_server: ArchiveServer, archive_folder: ArchiveFolder
    ) -> None:
        """The server requires 0 seconds; the backoff would be a minute."""
        key = archive_folder.agg_trades(DAY)
        archive_server.answers[f"{key}.CHECKSUM"] = [429, 429]
        assert Archive(archive_server.url, attempts=3, backoff=60).checksum(key) is not None


class TestAMirrorThatHidesWhatIsAbsent:
    """S3 answers 403 for an absent key to clients that may not list the bucket."""

    @pytest.fixture(params=[True, False], ids=["checksums", "heads"])
    def archive(self, request: pytest.FixtureRequest, archive_server: ArchiveServer) -> Archive:
        archive_server.denies = ACCESS_DENIED
        return Archive(archive_server.url, has_checksums=request.param, attempts=2, backoff=0.001)

    def test_nothing_is_absent_before_anything_was_served(self, archive: Archive) -> None:
        with pytest.raises(AbsenceUnknown, match=r"HTTP 403, AccessDenied.*check the archive URL"):
            archive.proof("absent.zip")
        assert not archive.notices

    def test_a_denied_key_is_absent_once_another_was_served_and_one_notice_reports_it(
        self, archive: Archive, archive_folder: ArchiveFolder
    ) -> None:
        assert archive.proof(archive_folder.agg_trades(DAY)) is not None
        assert not archive.notices
        assert archive.proof("absent.zip") is None
        assert archive.proof("absent-too.zip") is None
        assert len(archive.notices) == 1
        assert "does not report which files are absent: HTTP 403 counts as absent" in archive.notices[0]

    def test_a_key_that_must_exist_decides(self, archive: Archive, archive_folder: ArchiveFolder) -> None:
        assert not archive.serves_any(["one.zip", "two.zip"])
        assert archive.serves_any(["one.zip", archive_folder.agg_trades(DAY), "three.zip"])
        assert archive.proof("absent.zip") is None

    def test_a_key_that_was_requested_in_vain_is_not_requested_again(
        self, archive: Archive, archive_server: ArchiveServer
    ) -> None:
        assert not archive.serves_any(["one.zip"])
        before = len(archive_server.requests)
        assert not archive.serves_any(["one.zip"])
        assert len(archive_server.requests) == before

    def test_the_page_of_a_firewall_is_a_refusal_whatever_was_served(
        self, archive: Archive, archive_server: ArchiveServer, archive_folder: ArchiveFolder
    ) -> None:
        assert archive.proof(archive_folder.agg_trades(DAY)) is not None
        archive_server.denies = b"<html><body>Access Denied by policy</body></html>"
        with pytest.raises(ArchiveUnavailable, match="does not serve this location or network"):
            archive.proof("absent.zip")
        archive_server.denies = ACCESS_DENIED
        archive_server.answers["other.zip.CHECKSUM"] = archive_server.answers["other.zip"] = [451]
        with pytest.raises(ArchiveUnavailable, match="HTTP 451"):
            archive.proof("other.zip")


@pytest.mark.parametrize("header", ["Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00", "0", "soon", None])
def test_a_retry_after_in_the_past_or_unreadable_costs_no_time(header: str | None) -> None:
    assert not retry_after(header, datetime.now(UTC))


@pytest.mark.parametrize("url", ["ftp://example.org", "data.example.org", "s3://bucket"])
def test_an_archive_url_of_an_unknown_kind_is_refused(url: str) -> None:
    with pytest.raises(ArchiveUnavailable, match="none of https"):
        Archive(url)


def test_an_archive_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArchiveUnavailable, match=r"nowhere does not exist; check the archive URL"):
        Archive((tmp_path / "nowhere").as_uri())
