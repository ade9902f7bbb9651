"""The spool: every message as received, on disk within a second, in files that a crash cannot damage.

Belongs here: the record format, writing with bounded memory, reading what a crash left, which files are finished.
Does not: what a message means (`ingestion.venues`), or what becomes of it (`ingestion.live.seal`).

`SPOOL/VENUE/2026-11-26T13.1764162000000000000.spool`: messages received in that hour (local clock, UTC), since
that instant in nanoseconds; a restarted collector begins another file. A collector with a name adds it:
`….1764162000000000000.tokyo.spool`. It ends in `.open` while it is written. After eight bytes of format, records lie
end to end: length and CRC-32 of the payload, 4 bytes each, little-endian, then the payload: one byte of kind, 8 bytes
of receive time in nanoseconds, and a body.

    M   length of the connection's name (1 byte), the name, and the message as received
    C   JSON: a minute that was covered (`ingestion.live.coverage`)
    D   JSON: how many messages were received and not kept (`ingestion.live.allowance`)

Longer than 400 lines: writer and reader of one format are read together.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import re
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final

from ingestion.domain.errors import IngestionError
from ingestion.raw.durable import sync

FORMAT: Final = b"TKSPOOL1"
HOUR_NS: Final = 3_600_000_000_000
MINUTE_NS: Final = 60_000_000_000
# The last minute of an hour is proven by what is received after it, so its file stays open a little longer.
GRACE_SECONDS: Final = 90
LOCK_NAME: Final = "collector.lock"
SEALED_FOLDER: Final = "sealed"

_FRAME: Final = struct.Struct("<II")
_HEAD: Final = struct.Struct("<cq")
COLLECTOR_NAME: Final = r"[a-z0-9][a-z0-9-]{0,31}"
_NAME: Final = re.compile(rf"(\d{{4}}-\d\d-\d\dT\d\d)\.(\d+)(?:\.{COLLECTOR_NAME})?\.spool")
_MESSAGE: Final = b"M"
_COVERED: Final = b"C"
_DROPPED: Final = b"D"
# Far above any message of a venue: a length beyond it is no length.
_LONGEST_PAYLOAD: Final = 64 << 20


class SpoolBusy(IngestionError):
    """Another collector writes to the same spool."""


class SpoolFailed(IngestionError):
    """The spool cannot be written: received messages would be lost."""


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message as received. `received_ns`: local clock, nanoseconds since 1970. `connection`: its name."""

    received_ns: int
    connection: str
    message: bytes


@dataclass(frozen=True, slots=True)
class CoveredMinute:
    """A minute throughout which every connection of the venue for the dataset was up and answering.

    `symbols`: what was subscribed to; empty: every symbol of the venue.
    """

    minute_ns: int
    dataset: str
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DroppedMessages:
    """Messages of one connection and hour that were received and not kept. `dropped_ns`: when the last of them was."""

    dropped_ns: int
    connection: str
    messages: int
    size: int


Record = ReceivedMessage | CoveredMinute | DroppedMessages
_Place = tuple[str, int]  # venue, and hours since 1970


def encoded(record: Record) -> bytes:
    """The record with its length and checksum."""
    if isinstance(record, ReceivedMessage):
        name = record.connection.encode()
        head = _HEAD.pack(_MESSAGE, record.received_ns)
        payload = b"".join((head, bytes((len(name),)), name, record.message))
    elif isinstance(record, DroppedMessages):
        fields = {"connection": record.connection, "messages": record.messages, "size": record.size}
        payload = _HEAD.pack(_DROPPED, record.dropped_ns) + json.dumps(fields, ensure_ascii=False).encode()
    else:
        body = json.dumps({"dataset": record.dataset, "symbols": record.symbols}, ensure_ascii=False)
        payload = _HEAD.pack(_COVERED, record.minute_ns) + body.encode()
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def _decoded(payload: bytes) -> Record:
    kind, at = _HEAD.unpack_from(payload)
    body = payload[_HEAD.size :]
    if kind == _MESSAGE:
        name_length = body[0]
        return ReceivedMessage(at, body[1 : 1 + name_length].decode(), body[1 + name_length :])
    if kind == _COVERED:
        covered = json.loads(body)
        return CoveredMinute(at, covered["dataset"], tuple(covered["symbols"]))
    if kind == _DROPPED:
        dropped = json.loads(body)
        return DroppedMessages(at, str(dropped["connection"]), int(dropped["messages"]), int(dropped["size"]))
    raise ValueError(f"unknown kind {kind!r}")


def _instant_of(record: Record) -> int:
    if isinstance(record, ReceivedMessage):
        return record.received_ns
    return record.minute_ns if isinstance(record, CoveredMinute) else record.dropped_ns


def hour_label(at_ns: int) -> str:
    """`2026-11-26T13`: the UTC hour of an instant."""
    return f"{datetime.fromtimestamp(at_ns // 1_000_000_000, UTC):%Y-%m-%dT%H}"


# ---- reading ---------------------------------------------------------------------------------------------------------


class SpoolReader:
    """The records of one file, in order, up to its end or to the first one that is torn.

    After the last record `torn_bytes` is how much of the file was cut off: a kill in the middle of a write leaves a
    torn tail, and what follows it cannot be read. `sha256` is that of the whole file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn_bytes = 0
        self.size = path.stat().st_size

    @property
    def sha256(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def __iter__(self) -> Iterator[Record]:
        with self.path.open("rb") as file:
            intact = len(FORMAT)
            if file.read(len(FORMAT)) != FORMAT:
                self.torn_bytes = self.size
                return
            while (record := _next(file)) is not None:
                intact = file.tell()
                yield record
        self.torn_bytes = self.size - intact


def _next(file: IO[bytes]) -> Record | None:
    frame = file.read(_FRAME.size)
    if len(frame) < _FRAME.size:
        return None
    length, checksum = _FRAME.unpack(frame)
    if not _HEAD.size < length <= _LONGEST_PAYLOAD:
        return None
    payload = file.read(length)
    if len(payload) < length or zlib.crc32(payload) != checksum:
        return None
    try:
        return _decoded(payload)
    except (ValueError, IndexError, KeyError, TypeError):
        return None


# ---- which files there are -------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Segment:
    """One file of the spool. `hour`: as in `hour_label`. `name`: without `.open`, so it never changes."""

    venue: str
    hour: str
    name: str
    path: Path = field(compare=False)

    @property
    def key(self) -> str:
        """Its key in receipts."""
        return f"spool/{self.venue}/{self.name}"

    @property
    def ends_at(self) -> datetime:
        return datetime.strptime(f"{self.hour} +0000", "%Y-%m-%dT%H %z") + timedelta(hours=1)


def segments(spool_dir: Path) -> list[Segment]:
    """Every file that is not sealed yet, by venue and time. What a collector would not name so is no file of it."""
    paths = [*spool_dir.glob("*/*.spool"), *spool_dir.glob("*/*.spool.open")]
    names = [(path, path.name.removesuffix(".open")) for path in paths if _start_of(path) is not None]
    return sorted(Segment(path.parent.name, name.partition(".")[0], name, path) for path, name in names)


def _start_of(path: Path) -> int | None:
    """The start in a file's name, nanoseconds since 1970; None for what is not named as the files of the spool are."""
    found = _NAME.match(path.name)
    if found is None or not path.is_file():
        return None
    with suppress(ValueError):
        datetime.strptime(f"{found[1]} +0000", "%Y-%m-%dT%H %z")
        return int(found[2])
    return None


def closed(segment: Segment) -> Segment:
    """The segment under its final name: a killed collector leaves it open. Two may close it at once."""
    if segment.path.suffix != ".open":
        return segment
    with suppress(FileNotFoundError):
        segment.path.rename(segment.path.with_suffix(""))
    return replace(segment, path=segment.path.with_suffix(""))


def finished_segments(spool_dir: Path, *, now: datetime) -> list[Segment]:
    """The files of hours that have ended and that no collector writes to.

    While a collector runs, open files are in use; without one, an open file is what a killed collector left.
    """
    every = [segment for segment in segments(spool_dir) if segment.ends_at <= now]
    opened = {(segment.venue, segment.hour) for segment in every if segment.path.suffix == ".open"}
    if opened and is_held(spool_dir):
        return [segment for segment in every if (segment.venue, segment.hour) not in opened]
    return every


# ---- one writer ------------------------------------------------------------------------------------------------------


@contextmanager
def held(spool_dir: Path) -> Iterator[None]:
    """The right to write to the spool; SpoolBusy when another process holds it. A killed process releases it."""
    spool_dir.mkdir(parents=True, exist_ok=True)
    with (spool_dir / LOCK_NAME).open("a+b") as lock:
        if not _locked(lock):
            lock.seek(0)
            pid = lock.read().decode(errors="replace").strip() or "unknown"
            raise SpoolBusy(
                f"a collector is already writing to {spool_dir} (process {pid}); one is enough: stop it first, or give "
                "the second one a state folder of its own"
            )
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n".encode())
        lock.flush()
        for segment in segments(spool_dir):
            closed(segment)
        yield


def _locked(lock: IO[bytes]) -> bool:
    """Take the lock. Tried for a moment, since `is_held` takes it for an instant."""
    for _ in range(20):
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.01)
    return False


def is_held(spool_dir: Path) -> bool:
    """Whether a collector is writing to the spool right now."""
    try:
        with (spool_dir / LOCK_NAME).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except OSError:
        return True


# ---- writing ---------------------------------------------------------------------------------------------------------


class SpoolWriter:
    """Takes records from connections and brings them to disk, in order, with bounded memory.

    `append` is immediate. Once `pending_limit` bytes wait for the disk, `room` waits; a connection that waits does not
    read its socket, so the venue waits too: nothing is dropped. As much again may be on its way to the disk.
    `collector`: its name, part of the files' names; empty for one that is alone. `fsync_seconds`: how long a record may
    be in memory or in the page cache only. `clock`: nanoseconds since 1970.
    """

    def __init__(
        self,
        spool_dir: Path,
        *,
        collector: str = "",
        fsync_seconds: float = 1.0,
        pending_limit: int = 8 << 20,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.spool_dir = spool_dir
        self.collector = collector
        self.fsync_seconds = fsync_seconds
        self.pending_limit = pending_limit
        self.clock = clock
        self.peak_pending = 0
        self._pending: dict[_Place, list[bytes]] = {}
        self._pending_bytes = 0
        self._files: dict[_Place, tuple[IO[bytes], Path]] = {}
        self._unsynced: set[_Place] = set()
        self._room = asyncio.Event()
        self._room.set()
        self._hurry = asyncio.Event()
        self._is_finishing = False

    def append(self, venue: str, record: Record) -> None:
        """Queue one record for the file of its venue and hour."""
        at = _instant_of(record)
        payload = encoded(record)
        self._pending.setdefault((venue, at // HOUR_NS), []).append(payload)
        self._pending_bytes += len(payload)
        self.peak_pending = max(self.peak_pending, self._pending_bytes)
        if self._pending_bytes >= self.pending_limit:
            self._room.clear()
        if self._pending_bytes >= self.pending_limit // 4:
            self._hurry.set()

    @property
    def is_full(self) -> bool:
        return self._pending_bytes >= self.pending_limit

    async def room(self) -> None:
        """Wait until there is room for more."""
        await self._room.wait()

    def finish(self) -> None:
        """Let `run` bring everything to disk, close every file and return."""
        self._is_finishing = True
        self._hurry.set()

    async def run(self) -> None:
        """Write until `finish`: early when much is waiting, and with an fsync every `fsync_seconds`.

        SpoolFailed when the disk refuses: a record half written is then the torn tail of its file.
        """
        loop = asyncio.get_running_loop()
        synced_at = loop.time()
        try:
            while not self._is_finishing:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), max(synced_at + self.fsync_seconds - loop.time(), 0.001))
                is_due = loop.time() >= synced_at + self.fsync_seconds
                await self._write(sync=is_due)
                if is_due:
                    synced_at = loop.time()
                    self._close_finished()
            await self._write(sync=True)
            self._close(list(self._files))
        except OSError as error:
            raise SpoolFailed(
                f"{self.spool_dir} cannot be written: {error}; check free space and permissions"
            ) from error

    async def _write(self, *, sync: bool) -> None:
        taken, self._pending, self._pending_bytes = self._pending, {}, 0
        self._hurry.clear()
        await asyncio.to_thread(self._write_now, taken, sync)
        if self._pending_bytes < self.pending_limit:
            self._room.set()

    def _write_now(self, taken: dict[_Place, list[bytes]], sync: bool) -> None:
        for place, payloads in taken.items():
            file = self._file(place)
            rest = memoryview(b"".join(payloads))
            while rest:
                rest = rest[file.write(rest) :]
            self._unsynced.add(place)
        if sync:
            for place in self._unsynced:
                os.fsync(self._files[place][0].fileno())
            self._unsynced.clear()

    def _file(self, place: _Place) -> IO[bytes]:
        if place not in self._files:
            venue, hour = place
            folder = self.spool_dir / venue
            folder.mkdir(parents=True, exist_ok=True)
            label = hour_label(hour * HOUR_NS)
            name = f".{self.collector}" if self.collector else ""
            path = folder / f"{label}.{_unused(folder, label, self.clock())}{name}.spool.open"
            file = path.open("xb", buffering=0)
            file.write(FORMAT)
            sync(folder)
            self._files[place] = (file, path)
        return self._files[place][0]

    def _close_finished(self) -> None:
        """Close the files of hours that ended longer than the grace ago; all they hold is on disk."""
        now = self.clock() - GRACE_SECONDS * 1_000_000_000
        self._close([place for place in self._files if (place[1] + 1) * HOUR_NS <= now and place not in self._pending])

    def _close(self, places: Sequence[_Place]) -> None:
        for place in places:
            file, path = self._files.pop(place)
            file.close()
            path.rename(path.with_suffix(""))
            sync(path.parent)


def _unused(folder: Path, hour: str, started: int) -> int:
    """A start that no file of the hour has yet, sealed ones included: also when the clock was set back."""
    every = [*folder.glob(f"{hour}.*"), *(folder.parent / SEALED_FOLDER / folder.name).glob(f"{hour}.*")]
    return max([started, *(start + 1 for path in every if (start := _start_of(path)) is not None)])
