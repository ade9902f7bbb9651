"""One lock over build, audit and publication: for whom a process waits, and what a killed one leaves."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingestion.raw.store import LocalStore, ObjectStore
from orchestration.config.paths import Paths
from orchestration.config.settings import Settings
from orchestration.runs import dbt as make_dbt
from orchestration.state.exclusive import alone_on
from orchestration.state.kernel import try_lock
from orchestration.state.locks import Busy, Workplace
from orchestration.warehouse.publish.publication import PUBLICATION
from orchestration.warehouse.publish.tables import PublicationError
from tests.support.processes import HOLDS_THE_WAREHOUSE, process


def test_who_waits_states_for_whom_and_since_when_and_gives_up_in_the_end(tmp_path: Path) -> None:
    reported: list[str] = []
    with process(tmp_path, HOLDS_THE_WAREHOUSE) as other:
        with pytest.raises(Busy, match=r"the warehouse is in use by .*run run-of-t.*TAKER_LOCK_WAIT_SECONDS"):
            Workplace(Paths(tmp_path), wait=0.5).hold_warehouse(reported.append)
        (sentence,) = reported
        assert f"process {other.popen.pid} on " in sentence
        assert "waiting since " in sentence
        assert ", started 20" in sentence
        assert "at work since 20" in sentence


def test_a_killed_holder_keeps_no_one_waiting(tmp_path: Path) -> None:
    with process(tmp_path, HOLDS_THE_WAREHOUSE) as other:
        other.kill()
        with contextlib.closing(Workplace(Paths(tmp_path), wait=0)) as workplace:
            workplace.hold_warehouse(pytest.fail)


def test_a_run_that_waits_goes_on_when_the_other_has_ended(tmp_path: Path) -> None:
    workplace = Workplace(Paths(tmp_path), wait=30)
    with process(tmp_path, HOLDS_THE_WAREHOUSE) as other, contextlib.closing(workplace):
        workplace.hold_warehouse(lambda text: other.kill())


def test_a_lock_beyond_the_state_folder_is_held_as_long_and_looked_at_in_each_step(tmp_path: Path) -> None:
    events: list[str] = []

    @contextlib.contextmanager
    def beyond(wait: float, report: Callable[[str], None], run_id: str | None) -> Iterator[Callable[[], None]]:
        events.append(f"taken for {run_id}, waiting {wait} s")
        yield lambda: events.append("looked at")
        events.append("released")

    with contextlib.closing(Workplace(Paths(tmp_path), wait=3, beyond=beyond)) as workplace:
        workplace.hold_warehouse(pytest.fail, "run-1")
        workplace.hold_warehouse(pytest.fail, "run-1")
        workplace.refuse_unless_alone()
    assert events == ["taken for run-1, waiting 3 s", "looked at", "looked at", "released"]


def test_two_runs_of_one_process_exclude_each_other_and_one_run_does_not_wait_for_itself(tmp_path: Path) -> None:
    with contextlib.closing(Workplace(Paths(tmp_path), wait=0)) as first:
        first.hold_warehouse(pytest.fail)
        first.hold_warehouse(pytest.fail)
        second = Workplace(Paths(tmp_path), wait=0)
        with pytest.raises(Busy):
            second.hold_warehouse(lambda text: None)
        first.close()
        second.hold_warehouse(pytest.fail)
        second.close()


def test_a_lock_on_a_file_that_was_removed_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "lock", fcntl.flock
    calls: list[int] = []

    def after_its_owner_removed_it(descriptor: int, how: int) -> None:
        if not calls:
            path.unlink()
        calls.append(how)
        real(descriptor, how)

    monkeypatch.setattr("orchestration.state.kernel.fcntl.flock", after_its_owner_removed_it)
    descriptor = try_lock(path)
    assert descriptor is not None
    assert os.path.samestat(os.fstat(descriptor), path.stat())
    assert try_lock(path) is None


@pytest.mark.parametrize(("arguments", "code"), [(["dbt", "build"], 1), (["dbt", "ls"], 0)])
def test_dbt_by_hand_waits_for_a_run_when_it_opens_the_warehouse(
    arguments: list[str],
    code: int,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(make_dbt, "load_settings", lambda: settings.model_copy(update={"lock_wait_seconds": 0}))
    monkeypatch.setattr("orchestration.warehouse.dbt.DBT_COMMAND", ("true",))
    with contextlib.closing(Workplace(settings.paths)) as workplace:
        workplace.hold_warehouse(pytest.fail)
        assert make_dbt.main(arguments) == code
    assert ("the warehouse is in use by" in capsys.readouterr().err) is bool(code)


class MemoryStore:
    """A bucket as far as leases need it: a conditional put, and no folder to lock."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_bytes(self, key: str, payload: bytes, *, only_if_absent: bool = False, durable: bool = False) -> bool:
        if only_if_absent and key in self.objects:
            return False
        self.objects[key] = payload
        return True

    def get_bytes(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def list(self, prefix: str = "") -> list[Key]:
        return [Key(key) for key in sorted(self.objects) if key.startswith(f"{prefix}/")]

    def url(self, key: str) -> str:
        return f"s3://bucket/{key}"


class Key:
    def __init__(self, key: str) -> None:
        self.key = key


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return LocalStore(tmp_path) if request.param == "folder" else MemoryStore()  # type: ignore[return-value]


def test_two_state_folders_publish_to_one_storage_one_after_the_other(store: ObjectStore) -> None:
    busy = pytest.raises(Busy, match=r"the publication to .*serving is in use by .*run run-1")
    with alone_on(store, PUBLICATION, wait=0, run_id="run-1"), busy, alone_on(store, PUBLICATION, wait=0):
        pass
    with alone_on(store, PUBLICATION, wait=0, report=pytest.fail) as refuse_unless_alone:
        refuse_unless_alone()


def test_the_lease_of_a_dead_publisher_lapses_and_a_slow_one_finds_that_it_lost_it() -> None:
    store: ObjectStore = MemoryStore()  # type: ignore[assignment]
    reported: list[str] = []
    following = alone_on(store, PUBLICATION, wait=5, report=reported.append, lapsed_after=0.2)
    with alone_on(store, PUBLICATION, wait=0, run_id="slow") as refuse_slow, following as refuse_next:
        refuse_next()
        with pytest.raises(PublicationError, match=r"taken over by another one, .* the former publication stands"):
            refuse_slow()
    assert "run slow" in reported[0]


def test_of_many_publishers_to_a_bucket_one_is_at_work_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.state.exclusive._TRIED_EVERY", 0.001)
    store: ObjectStore = MemoryStore()  # type: ignore[assignment]
    at_work, most, done = [0], [0], [0]

    def publish() -> None:
        for _ in range(5):
            with alone_on(store, PUBLICATION, wait=60):
                at_work[0] += 1
                most[0] = max(most[0], at_work[0])
                threading.Event().wait(0.001)
                at_work[0] -= 1
                done[0] += 1

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == ([1], [20])
    (lease,) = store.list(PUBLICATION.leases)
    assert json.loads(store.get_bytes(lease.key) or b"")["released"]


@pytest.mark.parametrize(("stored", "standing"), [(1, 1), (7, 7)], ids=["the same number", "a later number"])
def test_who_is_overtaken_between_looking_and_storing_its_lease_has_none(stored: int, standing: int) -> None:
    """A later number: the other leases were taken and deleted while this publisher stood still."""
    bucket = MemoryStore()
    put = bucket.put_bytes

    def overtaken(key: str, payload: bytes, **how: bool) -> bool:
        bucket.put_bytes = put  # type: ignore[method-assign]
        put(f"{PUBLICATION.leases}/{stored:012d}.json", b"another one's")
        return put(key, payload, **how)

    bucket.put_bytes = overtaken  # type: ignore[assignment]
    store: ObjectStore = bucket  # type: ignore[assignment]
    with pytest.raises(Busy, match=r"the publication to .* is in use by"), alone_on(store, PUBLICATION, wait=0):
        pass
    assert bucket.objects == {f"{PUBLICATION.leases}/{standing:012d}.json": b"another one's"}


def test_a_lease_that_its_holder_renews_does_not_lapse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.state.exclusive.RENEWED_EVERY", 0.02)
    store: ObjectStore = MemoryStore()  # type: ignore[assignment]
    next_one = alone_on(store, PUBLICATION, wait=1, lapsed_after=0.5)
    with alone_on(store, PUBLICATION, wait=0), pytest.raises(Busy), next_one:
        pass
    with alone_on(store, PUBLICATION, wait=0, lapsed_after=60) as refuse_unless_alone:
        refuse_unless_alone()


def test_a_holder_that_could_not_renew_its_lease_switches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one may have waited long enough by its own clock, and be about to take over."""
    store: ObjectStore = MemoryStore()  # type: ignore[assignment]
    with alone_on(store, PUBLICATION, wait=0) as refuse_unless_alone:
        monkeypatch.setattr("orchestration.state.exclusive.LAPSED_AFTER", 0.0)
        with pytest.raises(PublicationError, match="did not answer for too long"):
            refuse_unless_alone()
