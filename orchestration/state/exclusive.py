"""One process at a time per storage, also from several state folders and several machines.

Belongs here: the right to publish to a storage, or to seal into it. Does not: the locks of a state folder, which its
holder has already (`orchestration.state.locks`); publishing and sealing.

A folder has a kernel lock. S3 knows none, so a bucket has a lease: numbered objects, of which only one process can
create the next (a conditional put), and whose holder rewrites it every half minute. Who waits takes over when the same
content has stood for two minutes by its own clock: no two clocks are compared. A holder that was paused for longer
finds before it stores anything that the lease is not its own any more. What cannot be excluded: a holder that is paused
between that look and what it stores, which takes a second or two.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ingestion.domain.errors import StorageError
from ingestion.raw.store import LocalStore
from orchestration.state.locks import Report, Waiting, alone, described
from orchestration.state.process import description

if TYPE_CHECKING:
    from ingestion.raw.store import ObjectStore

RENEWED_EVERY: Final = 30.0
LAPSED_AFTER: Final = 120.0
_TRIED_EVERY: Final = 2.0


class TakenOver(Exception):
    """Another process took the right over, since this one did not answer for too long."""


@dataclass(frozen=True)
class Right:
    """To what only one process at a time has the right. `what`: as in "… is in use by …", `{}` being the address of
    `place`. `leases`: the folder of its leases in a bucket, `lock`: its file in a folder. `consequence`: what it means
    that another one took it over, as a sentence without a full stop. `taken_over`: the error which that is.
    """

    what: str
    place: str
    leases: str
    lock: str
    consequence: str
    taken_over: type[Exception] = TakenOver


@contextlib.contextmanager
def alone_on(
    store: ObjectStore,
    right: Right,
    *,
    wait: float,
    report: Report = lambda text: None,
    run_id: str | None = None,
    lapsed_after: float = LAPSED_AFTER,
) -> Iterator[Callable[[], None]]:
    """Be the only one with this right to `store`; yields a check for the moment before something is stored, which
    raises `right.taken_over`.

    `report` gets a sentence at once and every half minute while another one has it. After `wait` seconds: Busy.
    """
    what = right.what.format(store.url(right.place))
    if isinstance(store, LocalStore):
        with alone(store.root / "locks" / right.lock, what, wait=wait, report=report, run_id=run_id):
            yield lambda: None
        return
    lease = _Lease(store, right, run_id)
    lease.take(what, wait, report, lapsed_after)
    try:
        yield lambda: lease.refuse_unless_held(what)
    finally:
        lease.release()


class _Lease:
    """A right to a bucket, as an object with a number that only one process could create."""

    def __init__(self, store: ObjectStore, right: Right, run_id: str | None) -> None:
        self._store, self._right = store, right
        self._facts = {**description(), "run_id": run_id}
        self._key = ""
        self._ended = threading.Event()
        self._renewing: threading.Thread | None = None
        self._renewed_at = 0.0

    def take(self, what: str, wait: float, report: Report, lapsed_after: float) -> None:
        waiting = Waiting(what, wait, report)
        seen, seen_at = "", time.monotonic()
        while True:
            keys = self._keys()
            payload = (self._store.get_bytes(keys[-1]) or b"") if keys else b""
            facts = _read(payload)
            now = time.monotonic()
            standing = f"{keys[-1:]}{payload!r}"
            if standing != seen:
                seen, seen_at = standing, now
            if (not keys or facts.get("released") or now - seen_at >= lapsed_after) and self._create(keys):
                break
            waiting.go_on(described(facts))
            time.sleep(min(_TRIED_EVERY, lapsed_after / 4))
        self._renewing = threading.Thread(target=self._renew, daemon=True, name="taker-lease")
        self._renewing.start()

    def refuse_unless_held(self, what: str) -> None:
        if self._keys()[-1:] != [self._key] or time.monotonic() - self._renewed_at > LAPSED_AFTER / 2:
            raise self._right.taken_over(
                f"{what} was taken over by another one, since this one did not answer for too long; "
                f"{self._right.consequence}. Run the same command again"
            )

    def release(self) -> None:
        self._ended.set()
        if self._renewing is not None:
            self._renewing.join()
        with contextlib.suppress(StorageError):  # the next one waits until it has lapsed
            self._put(released=True)

    def _create(self, keys: list[str]) -> bool:
        number = int(keys[-1].rpartition("/")[2].removesuffix(".json")) + 1 if keys else 1
        key = f"{self._right.leases}/{number:012d}.json"
        if not self._store.put_bytes(key, self._payload(), only_if_absent=True):
            return False
        if self._keys()[-1:] != [key]:  # a number of long ago, since deleted: another one holds a later lease
            self._store.delete(key)
            return False
        self._key, self._renewed_at = key, time.monotonic()
        for older in keys:
            self._store.delete(older)
        return True

    def _renew(self) -> None:
        while not self._ended.wait(RENEWED_EVERY):
            with contextlib.suppress(StorageError):
                self._put()
                self._renewed_at = time.monotonic()

    def _put(self, **more: Any) -> None:
        self._store.put_bytes(self._key, self._payload(**more))

    def _payload(self, **more: Any) -> bytes:
        # Different each time, so that one who waits sees that it was renewed.
        return json.dumps({**self._facts, **more, "renewal": uuid.uuid4().hex}).encode()

    def _keys(self) -> list[str]:
        return sorted(found.key for found in self._store.list(self._right.leases) if found.key.endswith(".json"))


def _read(payload: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(payload)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}
