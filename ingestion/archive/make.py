"""Making a raw object from the files that are offered.

Belongs here: decoding all files of a period together, days from their own files where those are better, rows that
stay from an earlier version, rows after the delivery of a contract, files whose rows are stored already.
Does not: which files are offered (`ingestion.archive.offer`), parsing (`ingestion.decode`), receipts
(`ingestion.archive.defects`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion.archive.offer import AFTER_DELIVERY, LONGEST_REASON, Offer, Published, Unit, Unusable, reason_of
from ingestion.archive.tasks import Task, days_of, venue_archive
from ingestion.decode.api_rows import usable
from ingestion.decode.decoder import DECODER_VERSION, Decoded, SourceFile, decode, rewrite
from ingestion.decode.quarantine import Quarantined
from ingestion.domain.datasets import Dataset
from ingestion.domain.errors import ContractViolation, SourceDefect, StorageError
from ingestion.domain.periods import Span
from ingestion.raw.receipts import SCHEMA_VERSION, Defect, Receipt, Source
from ingestion.raw.zone import RawZone

STAYS: Final = "; what was stored of the day before stays in use"


@dataclass
class Made:
    """A raw object, ready to be stored. `used`: day → the keys of the files that its rows come from, separated by
    blanks; empty for rows that were stored before. `replaced`: the defects of files that were used, but for some days.
    """

    data: Path
    quarantine: Path
    decoded: Decoded
    sources: tuple[Source, ...]
    absent: Sequence[date]
    used: Mapping[date, str]
    replaced: tuple[Defect, ...] = ()


@dataclass(frozen=True)
class _Work:
    """What every step of making one object needs. `decoding`: held while rows are decoded; it bounds memory."""

    offer: Offer
    zone: RawZone
    folder: Path
    decoding: threading.BoundedSemaphore

    @property
    def data(self) -> Path:
        return self.folder / "data.parquet"

    @property
    def quarantine(self) -> Path:
        return self.folder / "quarantine.parquet"

    def files(self, units: Sequence[Unit]) -> list[SourceFile]:
        return [file for unit in units for file, _ in self.offer.fetched(unit, self.folder)]

    def sources(self, units: Sequence[Unit], decoded: Decoded) -> tuple[Source, ...]:
        fetched = [found for unit in units for found in self.offer.fetched(unit, self.folder)]
        return tuple(
            Source(file.key, proof.sha256, file.path.stat().st_size, rows, proof.fingerprint)
            for (file, proof), rows in zip(fetched, decoded.source_rows, strict=True)
        )


def make(offer: Offer, published: Published, zone: RawZone, folder: Path, decoding: threading.BoundedSemaphore) -> Made:
    """The object from the units that are offered. `Unusable` when one of them cannot be used."""
    work = _Work(offer, zone, folder, decoding)
    task = offer.task
    units = [published.units[0]] if published.is_for_period else list(published.units)
    stored, carried = _stored_rows(work, published)
    read = [unit for unit in units if unit not in stored]
    for unit in sorted(read, key=offer.is_retried, reverse=True):  # what may fail at once comes first
        offer.fetched(unit, folder)
    decoded = _decoded(work, read, work.data, work.quarantine, carried)
    # A daily file without rows means that nothing happened.
    lacking = [day for day in days_of(task) if day not in decoded.day_rows] if task.period.span is Span.MONTH else []
    if published.is_for_period:
        return _with_days(work, units[0], decoded, lacking)
    staying = _held_rows(offer.held, lacking, zone, task)
    if staying is not None:
        rows = staying if carried is None else pa.concat_tables([carried, staying])
        files = work.files(read)
        with decoding:
            decoded = _decode(files, task, work.data, rows, work.quarantine)
    used = {unit.period.first_day: unit.keys for unit in units}
    absent = [day for day in lacking if day not in decoded.day_rows]
    sources = _in_order(units, [*work.sources(read, decoded), *_sources_of(stored, offer.held)])
    return Made(work.data, work.quarantine, decoded, sources, absent, used)


def _sources_of(stored: Sequence[Unit], held: Receipt | None) -> list[Source]:
    keys = {source.key for unit in stored for source, _ in unit.parts}
    return [source for source in held.sources if source.key in keys] if held is not None else []


def _in_order(units: Sequence[Unit], sources: Sequence[Source]) -> tuple[Source, ...]:
    """The sources in the order of the units' files, which may be files of several units."""
    places = {source.key: n for n, (source, _) in enumerate(part for unit in units for part in unit.parts)}
    return tuple(sorted(sources, key=lambda source: places[source.key]))


def _stored_rows(work: _Work, published: Published) -> tuple[list[Unit], pa.Table | None]:
    """The objects of days whose rows are stored as decoding them again would give them, and these rows.

    A month of bars is made of its days until the month's own file is published: each day is one file more.
    """
    held, task = work.offer.held, work.offer.task
    # Which file has rows after a delivery is stated where one file was read alone.
    if held is None or published.is_for_period or task.market.delivers_at is not None or not _is_current(held):
        return [], None
    sources = {source.key: source for source in held.sources}
    units = [unit for unit in published.units if _is_stored(held, sources, unit)]
    if not units:
        return [], None
    try:
        rows = work.zone.rows(task.object_id)
    except StorageError:  # its bytes have changed since they were looked at
        return [], None
    return units, _rows_of_days(rows, task.dataset, [unit.period.first_day for unit in units])


def _is_current(held: Receipt) -> bool:
    """Whether the object was stored by the current decoder, from files in order."""
    versions = (held.decoder_version, held.schema_version)
    return held.status == "stored" and versions == (DECODER_VERSION, SCHEMA_VERSION) and not held.out_of_order_rows


def _is_stored(held: Receipt, sources: Mapping[str, Source], unit: Unit) -> bool:
    """Whether every row of the unit's files, which have not changed since, is a stored row of its day."""
    read = [sources.get(source.key) for source, _ in unit.parts]
    states = [source and (source.fingerprint or source.sha256) for source in read]
    rows = sum(source.rows for source in read if source)
    is_same = states == [proof.fingerprint or proof.sha256 for _, proof in unit.parts]
    return is_same and rows == held.day_rows.get(unit.period.first_day.isoformat(), 0)


def _with_days(work: _Work, unit: Unit, decoded: Decoded, lacking: Sequence[date]) -> Made:
    """The object of a whole period (`unit`), in which days that it lacks, or has set-aside rows on, come from their own
    files where those are better, and stay as they are stored where no file has them any more."""
    task, held = work.offer.task, work.offer.held
    set_aside: dict[date, int] = {}
    for found in decoded.quarantined if task.period.span is Span.MONTH else ():
        if found.day and task.first_day <= found.day <= task.last_day and not found.reason.startswith(AFTER_DELIVERY):
            set_aside[found.day] = set_aside.get(found.day, 0) + found.rows
    better = _better_days(work, unit, decoded, lacking, set_aside)
    by_file = {each.period.first_day for each in better}
    remaining = [day for day in {*lacking, *set_aside} if day not in by_file]
    # A day that is stored with more rows than any file has of it now stays: its file was withdrawn.
    kept = [day for day in remaining if held and held.day_rows.get(day.isoformat(), 0) > decoded.day_rows.get(day, 0)]
    if kept:  # an older version may have stored rows that cannot be used
        stored = _held_rows(held, kept, work.zone, task)
        good = _day_counts(stored, task.dataset) if stored is not None else {}
        kept = [day for day in kept if good.get(day, 0) > decoded.day_rows.get(day, 0)]
    instead = {**{each.period.first_day: each.keys for each in better}, **dict.fromkeys(kept, "")}
    carried = _held_rows(held, kept, work.zone, task)
    if not better and carried is None:
        target, total = work.data, decoded
    else:
        target, total = work.folder / "joined.parquet", _joined(work, better, decoded, list(instead), carried)
    return Made(
        data=target,
        quarantine=work.quarantine,
        decoded=total,
        sources=work.sources([unit, *better], total),
        absent=[day for day in lacking if day not in total.day_rows],
        used={**dict.fromkeys(decoded.day_rows, unit.keys), **instead},
        replaced=_replaced(work, unit, decoded, instead, set_aside),
    )


def _better_days(
    work: _Work, unit: Unit, decoded: Decoded, lacking: Sequence[date], set_aside: Mapping[date, int]
) -> list[Unit]:
    """The objects of single days that are better than what the whole period's (`unit`) has; the others are refused."""
    offer, better = work.offer, []
    for of_day in offer.by_day(sorted({*lacking, *set_aside})):
        day = of_day.period.first_day
        try:
            offer.fetched(of_day, work.folder)
            alone = _decoded(work, [of_day], work.folder / "day.parquet", work.folder / "day.quarantine")
        except Unusable:
            continue  # noted; the whole period's rows of that day stay
        bad = sum(found.rows for found in alone.quarantined if not found.reason.startswith(AFTER_DELIVERY))
        if day in lacking or (bad < set_aside[day] and alone.rows >= decoded.day_rows.get(day, 0)):
            better.append(of_day)
        else:
            reason = f"{bad} of its rows are set aside, {set_aside[day]} of those that {unit.keys} has of that day"
            for source, _ in of_day.parts:
                offer.refuse(of_day, source.key, reason)
    return better


def _joined(
    work: _Work, better: Sequence[Unit], decoded: Decoded, replaced_days: Sequence[date], carried: pa.Table | None
) -> Decoded:
    """Write the whole period's rows with some days replaced by those of their own files, or by stored ones."""
    task = work.offer.task
    rows = _rows_of_days(pq.read_table(work.data, partitioning=None), task.dataset, replaced_days, among=False)
    rows = rows if carried is None else pa.concat_tables([rows, carried])
    files = work.files(better)
    beside = work.folder / "joined.quarantine"
    with work.decoding:
        joined = _decode(files, task, work.folder / "joined.parquet", rows, beside)
    _join(work.quarantine, beside)
    kept_aside = [found for found in decoded.quarantined if found.day not in replaced_days]
    return replace(
        joined,
        source_rows=[*decoded.source_rows, *joined.source_rows],
        zero_rows=decoded.zero_rows + joined.zero_rows,
        duplicate_rows=decoded.duplicate_rows + joined.duplicate_rows,
        out_of_order_rows=decoded.out_of_order_rows + joined.out_of_order_rows,
        quarantined=(*kept_aside, *joined.quarantined),
    )


def _replaced(
    work: _Work, unit: Unit, decoded: Decoded, instead: Mapping[date, str], set_aside: Mapping[date, int]
) -> tuple[Defect, ...]:
    """The defects of the whole period's files (`unit`) on the days that were replaced."""
    return tuple(
        Defect(
            "replaced_source",
            f"{_set_aside(decoded, day)}{'' if instead[day] else STAYS}",
            day,
            rows=set_aside[day],
            source_key=file.key,
            source_sha256=proof.sha256,
            source_fingerprint=proof.fingerprint,
            used_instead=instead[day],
            judged_by=DECODER_VERSION,
        )
        for day in instead
        if day in set_aside
        for file, proof in work.offer.fetched(unit, work.folder)
    )


def _decoded(
    work: _Work, units: Sequence[Unit], target: Path, quarantine: Path, carried: pa.Table | None = None
) -> Decoded:
    """The rows of all files of the units in one, and those `carried`. `Unusable` when it cannot be made; the files at
    fault are noted."""
    offer = work.offer
    files = work.files(units)
    with work.decoding:
        try:
            return _decode(files, offer.task, target, carried, quarantine)
        except (SourceDefect, ContractViolation) as error:
            together = error
        faults: dict[str, str] = {}
        for file in files if len(files) > 1 else ():
            try:
                _decode([file], offer.task, target, None, quarantine)
            except (SourceDefect, ContractViolation) as error:
                faults[file.key] = reason_of(error)
        target.unlink(missing_ok=True)
    for unit in units:
        for source, _ in unit.parts:
            if source.key in faults or not faults:  # each may be good on its own: then they contradict each other
                offer.refuse(unit, source.key, faults.get(source.key, reason_of(together)))
    raise Unusable from together


def _decode(
    files: Sequence[SourceFile], task: Task, target: Path, carried: pa.Table | None, quarantine: Path
) -> Decoded:
    quarantine.unlink(missing_ok=True)
    layout = venue_archive(task).layout(task.dataset, task.market)
    decoded = decode(files, task.dataset, layout, target, carried, quarantine)
    delivered = task.market.delivers_at
    if delivered is None or decoded.max_at is None or decoded.max_at < delivered:
        return decoded
    return _until_delivery(decoded, task, delivered, files, target, quarantine)


def _until_delivery(
    decoded: Decoded, task: Task, delivered: datetime, files: Sequence[SourceFile], target: Path, quarantine: Path
) -> Decoded:
    """The same without the rows from the delivery of the contract on, which cannot be trades: set aside, by hour on the
    day of delivery and by day after it."""
    rows = pq.read_table(target, partitioning=None)
    times = rows.column(task.dataset.time_column)
    late = pc.greater_equal(times, pa.scalar(delivered, type=times.type))
    after = rows.filter(late)
    layout = venue_archive(task).layout(task.dataset, task.market)
    reason = f"{AFTER_DELIVERY} {delivered:%Y-%m-%d %H:%M} UTC"
    key = files[0].key if len(files) == 1 else ""
    counts: dict[tuple[date, str | None], int] = {}
    for at in after.column(task.dataset.time_column).to_pylist():
        hour = f"{at:%Y-%m-%dT%H}" if at.date() == delivered.date() else None
        counts[at.date(), hour] = counts.get((at.date(), hour), 0) + 1
    aside = tuple(Quarantined(key, day, hour, reason, count) for (day, hour), count in counts.items())
    _keep_aside(after, key, reason, quarantine)
    kept = rewrite(rows.filter(pc.invert(late)), decoded, task.dataset, layout, target)
    return replace(kept, quarantined=(*decoded.quarantined, *aside))


def _keep_aside(rows: pa.Table, key: str, reason: str, quarantine: Path) -> None:
    """Add rows to the file of those that were set aside, as they would have been stored."""
    beside = quarantine.with_suffix(".late")
    lines = [",".join("" if value is None else str(value) for value in row.values()) for row in rows.to_pylist()]
    columns = {
        "source_key": pa.array([key] * rows.num_rows, pa.string()),
        "row_number": pa.nulls(rows.num_rows, pa.int64()),
        "line": pa.array([line[:1000] for line in lines], pa.string()),
        "reason": pa.array([reason] * rows.num_rows, pa.string()),
    }
    pq.write_table(pa.table(columns), beside, compression="zstd")
    _join(quarantine, beside)


def _join(quarantine: Path, beside: Path) -> None:
    """Both files' rows in the first of them."""
    if beside.exists():
        tables = [pq.read_table(path, partitioning=None) for path in (quarantine, beside) if path.exists()]
        pq.write_table(pa.concat_tables(tables), quarantine, compression="zstd")


def _held_rows(held: Receipt | None, days: Sequence[date], zone: RawZone, task: Task) -> pa.Table | None:
    """The stored rows of `days`, which no file has any more, as far as they keep the contract; None without any."""
    gone = [day for day in days if held is not None and held.day_rows.get(day.isoformat())]
    if not gone:
        return None
    rows = _rows_of_days(zone.rows(task.object_id), task.dataset, gone)
    return usable(rows, task.dataset, task.market, task.period)[0]


def _day_counts(rows: pa.Table, dataset: Dataset) -> dict[date, int]:
    days = rows.column(dataset.time_column).cast(pa.timestamp("us")).cast(pa.date32())
    counts = pc.value_counts(days)
    return {each["values"]: each["counts"] for each in counts.to_pylist()}


def _rows_of_days(rows: pa.Table, dataset: Dataset, days: Sequence[date], *, among: bool = True) -> pa.Table:
    """The rows of `days`, or, unless `among`, of every other day."""
    days_of_rows = rows.column(dataset.time_column).cast(pa.timestamp("us")).cast(pa.date32())
    found = pc.is_in(days_of_rows, value_set=pa.array(days, pa.date32()))
    return rows.filter(found if among else pc.invert(found))


def _set_aside(decoded: Decoded, day: date) -> str:
    """Why rows of that day were set aside."""
    reasons = sorted({found.reason for found in decoded.quarantined if found.day == day})
    return f"rows set aside: {'; '.join(reasons)}"[:LONGEST_REASON]
