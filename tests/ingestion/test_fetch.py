"""Bytes arrive proven, whatever the archive does; and when they cannot, the message says what to do."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ingestion.errors import ArchiveUnavailable, ChecksumMismatch, SourceDefect
from ingestion.fetch import Archive, Proof, _retry_after
from tests.support.archives import ArchiveFolder, ArchiveServer, agg_rows

DAY = date(2024, 1, 2)


def reaching(url: str) -> Archive:
    return Archive(url, attempts=4, timeout=5, backoff=0.001)


@pytest.fixture(params=["file", "http"])
def archive(request: pytest.FixtureRequest, archive_folder: ArchiveFolder) -> Archive:
    """The same archive over both kinds of URL."""
    if request.param == "file":
        return reaching(archive_folder.url)
    return reaching(request.getfixturevalue("archive_server").url)


class TestEveryKindOfUrl:
    def test_a_published_object_is_downloaded_as_its_checksum_says(
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
    def test_a_checksum_file_that_says_something_else_is_a_defect(
        self, archive: Archive, archive_folder: ArchiveFolder, line: str
    ) -> None:
        key = archive_folder.agg_trades(DAY)
        (archive_folder.root / f"{key}.CHECKSUM").write_text(line)
        with pytest.raises(SourceDefect, match=r"CHECKSUM is not"):
            archive.checksum(key)


class TestAnUnreliableServer:
    @pytest.mark.parametrize("failures", [[429], [500, 503], [502, 429, 504]])
    def test_a_busy_or_failing_server_is_asked_again(
        self, archive_server: ArchiveServer, archive_folder: ArchiveFolder, failures: list[int | str]
    ) -> None:
        key = archive_folder.agg_trades(DAY)
        archive_server.answers[f"{key}.CHECKSUM"] = failures
        asked = len(failures) + 1
        assert reaching(archive_server.url).checksum(key) is not None
        assert archive_server.requests == [f"{key}.CHECKSUM"] * asked

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

    def test_a_refused_place_is_told_to_use_a_mirror_and_not_asked_again(
        self, archive_server: ArchiveServer, archive_folder: ArchiveFolder
    ) -> None:
        key = archive_folder.agg_trades(DAY)
        archive_server.answers[f"{key}.CHECKSUM"] = [451]
        with pytest.raises(ArchiveUnavailable, match=r"HTTP 451.*TAKER_ARCHIVE_URL to a mirror"):
            reaching(archive_server.url).checksum(key)
        assert len(archive_server.requests) == 1

    def test_a_server_that_is_not_there_is_said_so(self) -> None:
        with pytest.raises(ArchiveUnavailable, match="Check the network and TAKER_ARCHIVE_URL"):
            Archive("http://127.0.0.1:9", attempts=2, timeout=1, backoff=0.001).checksum("k.zip")

    def test_an_archive_that_is_down_is_not_tried_for_every_object(self) -> None:
        archive = Archive("http://127.0.0.1:9", attempts=2, timeout=1, backoff=0.001)
        for key in ("one.zip", "two.zip", "three.zip"):
            with pytest.raises(ArchiveUnavailable, match=f"{key}.CHECKSUM could not be had in 2 attempts"):
                archive.checksum(key)
        with pytest.raises(ArchiveUnavailable, match=r"is not answering; four\.zip\.CHECKSUM was not tried"):
            archive.checksum("four.zip")

    def test_an_unlucky_object_does_not_make_the_archive_count_as_down(
        self, archive_server: ArchiveServer, archive_folder: ArchiveFolder
    ) -> None:
        key = archive_folder.agg_trades(DAY)
        archive = reaching(archive_server.url)
        for _ in range(4):
            archive_server.answers[f"{key}.CHECKSUM"] = [503] * 4
            with pytest.raises(ArchiveUnavailable, match="could not be had"):
                archive.checksum(key)
            assert archive.checksum(key) is not None

    def test_retry_after_wins_over_our_own_pause(
        self, archive_server: ArchiveServer, archive_folder: ArchiveFolder
    ) -> None:
        """The server says 0 seconds; our own pause would be a minute."""
        key = archive_folder.agg_trades(DAY)
        archive_server.answers[f"{key}.CHECKSUM"] = [429, 429]
        assert Archive(archive_server.url, attempts=3, timeout=5, backoff=60).checksum(key) is not None


@pytest.mark.parametrize("header", ["Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00", "0", "soon", None])
def test_a_retry_after_that_is_past_or_makes_no_sense_costs_no_time(header: str | None) -> None:
    assert not _retry_after(header)


@pytest.mark.parametrize("url", ["ftp://example.org", "data.example.org", "s3://bucket"])
def test_an_archive_url_of_an_unknown_kind_is_refused(url: str) -> None:
    with pytest.raises(ArchiveUnavailable, match="none of https"):
        Archive(url)


def test_an_archive_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArchiveUnavailable, match=r"nowhere does not exist; check TAKER_ARCHIVE_URL"):
        Archive((tmp_path / "nowhere").as_uri())
