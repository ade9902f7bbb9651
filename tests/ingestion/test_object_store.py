"""A folder and a real S3 server behave in the same way."""

from __future__ import annotations

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingestion.domain.errors import StorageError
from ingestion.raw.s3 import S3Options
from ingestion.raw.store import LocalStore, ObjectStore
from ingestion.raw.stores import open_store


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.xdist_group("s3"))])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return open_store(tmp_path / "store")
    options: S3Options = request.getfixturevalue("seaweedfs")
    return open_store(request.getfixturevalue("s3_url"), options)


class TestEveryStore:
    def test_what_was_put_is_got(self, store: ObjectStore) -> None:
        store.put_bytes("a/b.txt", b"one")
        assert store.get_bytes("a/b.txt") == b"one"

    def test_what_was_never_put_is_none(self, store: ObjectStore) -> None:
        assert store.get_bytes("nothing/here") is None

    def test_a_second_put_replaces_the_first(self, store: ObjectStore) -> None:
        store.put_bytes("k", b"one")
        store.put_bytes("k", b"two")
        assert store.get_bytes("k") == b"two"

    def test_a_put_that_must_be_the_first_leaves_an_existing_object_alone(self, store: ObjectStore) -> None:
        assert store.put_bytes("k", b"one", only_if_absent=True)
        assert not store.put_bytes("k", b"two", only_if_absent=True)
        assert store.get_bytes("k") == b"one"

    def test_of_many_puts_that_must_be_the_first_one_succeeds(self, store: ObjectStore) -> None:
        at_once = 4
        for n in range(40 if isinstance(store, LocalStore) else 2):
            together = threading.Barrier(at_once)

            def put(writer: int, key: str = f"k{n}", together: threading.Barrier = together) -> bool:
                together.wait()
                return store.put_bytes(key, b"%d" % writer, only_if_absent=True)

            with ThreadPoolExecutor(at_once) as pool:
                were_first = list(pool.map(put, range(at_once)))
            assert were_first.count(True) == 1
            assert store.get_bytes(f"k{n}") == b"%d" % were_first.index(True)

    def test_an_object_is_replaced_if_it_is_still_the_one_that_was_read(self, store: ObjectStore) -> None:
        store.put_bytes("k", b"one")
        payload, version = store.get_version("k") or (b"", "")
        assert (payload, version) == (b"one", store.list()[0].version)
        assert store.replace_bytes("k", b"two", version)
        assert not store.replace_bytes("k", b"three", version)
        assert not store.replace_bytes("k", b"three", None)
        assert store.get_bytes("k") == b"two"

    def test_an_object_that_is_gone_is_not_replaced(self, store: ObjectStore) -> None:
        store.put_bytes("k", b"one")
        _, version = store.get_version("k") or (b"", "")
        store.delete("k")
        assert not store.replace_bytes("k", b"two", version)
        assert (store.get_version("k"), store.list()) == (None, [])
        assert store.replace_bytes("k", b"two", None)

    def test_of_many_replacements_at_once_none_is_lost(self, store: ObjectStore) -> None:
        store.put_bytes("k", b"0")
        writers, each = 4, 10 if isinstance(store, LocalStore) else 2

        def add(writer: int) -> None:
            for _ in range(each):
                while True:
                    payload, version = store.get_version("k") or (b"", "")
                    if store.replace_bytes("k", b"%d" % (int(payload) + 1), version):
                        break

        with ThreadPoolExecutor(writers) as pool:
            list(pool.map(add, range(writers)))
        assert store.get_bytes("k") == b"%d" % (writers * each)

    def test_a_file_is_stored_whole(self, store: ObjectStore, tmp_path: Path) -> None:
        source = tmp_path / "source.bin"
        source.write_bytes(bytes(range(256)) * 50_000)  # 12.8 MB: several parts of a multipart upload
        store.put_file("deep/er/file.bin", source)
        assert store.get_bytes("deep/er/file.bin") == source.read_bytes()

    def test_listing_gives_every_key_below_a_folder_in_order(self, store: ObjectStore) -> None:
        for key in ("raw/b", "raw/a/x", "rawer/c", "raw/a/y=1/z"):
            store.put_bytes(key, key.encode())
        assert [found.key for found in store.list("raw")] == ["raw/a/x", "raw/a/y=1/z", "raw/b"]
        assert [found.size for found in store.list("raw")] == [7, 11, 5]

    def test_a_folder_that_does_not_exist_lists_as_empty(self, store: ObjectStore) -> None:
        assert store.list("nowhere") == []

    def test_the_version_changes_when_the_bytes_do(self, store: ObjectStore) -> None:
        store.put_bytes("k", b"one")
        before = store.list()[0].version
        store.put_bytes("k", b"two")
        assert store.list()[0].version != before

    def test_a_deleted_object_is_gone(self, store: ObjectStore) -> None:
        store.put_bytes("k", b"one")
        store.delete("k")
        assert store.get_bytes("k") is None


def test_a_failed_put_leaves_the_former_object_and_no_debris(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put_bytes("k", b"one")
    with pytest.raises(StorageError):
        store.put_file("k", tmp_path / "no such source")
    assert store.get_bytes("k") == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


def test_without_links_one_put_is_the_first_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*args: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("ingestion.raw.durable.os.link", no_links)
    TestEveryStore().test_of_many_puts_that_must_be_the_first_one_succeeds(LocalStore(tmp_path))
    assert len(LocalStore(tmp_path).list()) == 40


def test_an_unwritable_folder_is_named_with_what_to_check(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write .*file/raw/k.*the storage URL"):
        LocalStore(tmp_path / "file").put_bytes("raw/k", b"")


@pytest.mark.xdist_group("s3")
def test_wrong_s3_keys_are_refused_with_what_to_check(seaweedfs: S3Options, s3_url: str) -> None:
    wrong = S3Options(seaweedfs.endpoint_url, seaweedfs.region, seaweedfs.access_key_id, "not the secret")
    with pytest.raises(StorageError, match="AWS_"):
        open_store(s3_url, wrong).put_bytes("k", b"")


@pytest.mark.parametrize("url", ["s3://", "gs://bucket/x", "https://example.org/x"])
def test_a_storage_url_of_an_unknown_kind_is_refused(url: str) -> None:
    with pytest.raises(StorageError, match="s3://bucket/prefix"):
        open_store(url)
