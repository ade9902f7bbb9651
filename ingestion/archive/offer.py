"""What the archive offers for a task: the objects that can be used as far as is known.

Belongs here: proofs, the choice between a period's object and those of its days, files that were refused, now or
earlier.
Does not: making a raw object of the files (`ingestion.archive.make`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

from ingestion.archive.tasks import Task, day_in, days_of, delivery_day, venue_archive, wants_all_days
from ingestion.decode.decoder import DECODER_VERSION, SourceFile
from ingestion.domain.errors import (
    ChecksumMismatch,
    ContractViolation,
    IngestionError,
    ObjectGone,
    SourceDefect,
)
from ingestion.domain.periods import Period, Span
from ingestion.http.downloads import SharedDownloads
from ingestion.http.fetch import Archive, Proof
from ingestion.raw.receipts import Defect, Receipt
from ingestion.venues import venue_of
from ingestion.venues.venue import SourceObject

LONGEST_REASON: Final = 500
AFTER_DELIVERY: Final = "after the delivery of the contract at"
# The part of error texts that is not about the file.
_NOTHING_STORED: Final = re.compile(
    r"[;,] nothing (?:of it )?was stored(?:\. .*$|(?=:)|$)|; try again later$", re.DOTALL
)


@dataclass(frozen=True)
class Unit:
    """The objects that together hold one period, each with its proof."""

    period: Period
    parts: tuple[tuple[SourceObject, Proof], ...]

    @property
    def keys(self) -> str:
        return " ".join(source.key for source, _ in self.parts)


@dataclass(frozen=True)
class Published:
    """What the archive has for a task that can be used as far as is known, and the days that none was found for.

    `is_for_period`: the first unit holds the entire period; then `missing` names only days that it is known to lack.
    """

    units: tuple[Unit, ...]
    missing: tuple[date, ...]
    is_for_period: bool


@dataclass(frozen=True)
class Refusal:
    """A file that was not used, and why. `sha256`: of its bytes; empty where they were not looked at. `fingerprint`: as
    in `Source`; of bytes that differ from the published checksum, that checksum."""

    key: str
    period: Period
    reason: str
    sha256: str
    fingerprint: str = ""

    @property
    def state(self) -> tuple[str, str, str]:
        return self.key, self.sha256, self.fingerprint


class Unusable(Exception):
    """An offered file cannot be used; that is noted, and there may be others in its place."""


class Offer:
    """What the archive offers for one task, without the files that are known to be unusable.

    `task`: what is requested, which grows to the whole period where only the period's file has a day of it. Proofs are
    requested once. `refusals`: by key, the files that were not used, in this run or, as long as they are the
    same, in an earlier one. `retries`: files whose bytes differed from their checksum are offered again.
    """

    def __init__(
        self,
        task: Task,
        held: Receipt | None,
        archive: Archive,
        downloads: SharedDownloads | None = None,
        *,
        retries: bool = True,
    ) -> None:
        self.task, self.held, self.archive, self.retries = task, held, archive, retries
        self._requested = task
        self._downloads = downloads or SharedDownloads((), Path())
        self.refusals: dict[str, Refusal] = {}
        self.downloaded = 0
        self._venue = venue_archive(task)
        self._remembered = _refused_before(held)
        self._known = {source.key: source.sha256 for source in held.sources} if held is not None else {}
        self._proofs: dict[str, Proof | None] = {}
        self._fetched: dict[str, tuple[SourceFile, Proof]] = {}

    def published(self) -> Published:
        """The fewest objects that hold the task's days: the whole period where it is published, else its days; of a
        part of the period its days, unless one of them has no usable file and the whole period has."""
        task = self.task = self._requested
        wants_period = wants_all_days(task) or not self._is_by_day
        of_period = self._unit(task.period) if wants_period else None
        if of_period is None and task.period.span is Span.DAY:
            return Published((), (task.first_day,), is_for_period=False)
        if of_period is None:
            units, missing = self._of_days(list(days_of(task)))
            of_period = self._unit(task.period) if missing and not wants_period else None
            if of_period is None:
                return Published(units, missing, is_for_period=False)
            # The file holds every day of its period, and the receipt covers each day that is stored.
            last_day = min(task.period.last_day, delivery_day(task.market) or task.period.last_day)
            self.task = replace(task, first_day=task.period.first_day, last_day=last_day)
        late, missing = self._of_days(_days_to_check(of_period, self.held))
        return Published((of_period, *late), missing, is_for_period=True)

    def _of_days(self, days: Sequence[date]) -> tuple[tuple[Unit, ...], tuple[date, ...]]:
        """The objects of single days, and the days without a usable one."""
        units = self.by_day(days)
        found = {unit.period.first_day for unit in units}
        return units, tuple(day for day in days if day not in found)

    def by_day(self, days: Sequence[date]) -> tuple[Unit, ...]:
        """The objects of single days that the archive has."""
        if not self._is_by_day:
            return ()
        units = (self._unit(Period.of_day(day)) for day in days)
        return tuple(unit for unit in units if unit is not None)

    def fetched(self, unit: Unit, folder: Path) -> list[tuple[SourceFile, Proof]]:
        """The unit's files on disk. `Unusable` when the bytes of one are not those a checksum was published for, or
        when one of several files that may stand in for each other is not there although its checksum is."""
        for source, proof in unit.parts:
            if source.key in self._fetched:
                continue
            try:
                file, known, is_new = _fetched(source, proof, self.archive, folder, self._downloads)
                file = replace(file, may_be_simulated=venue_of(self.task.market.venue).is_simulated)
            except ChecksumMismatch as error:
                self.refusals[source.key] = Refusal(
                    source.key, unit.period, reason_of(error), error.received, _differing_from(error.published)
                )
                raise Unusable from error
            except ObjectGone as error:
                if self.task.period.span is Span.DAY or not self._is_by_day:
                    raise
                state = _differing_from(proof.sha256)
                self.refusals[source.key] = Refusal(source.key, unit.period, reason_of(error), "", state)
                raise Unusable from error
            self._fetched[source.key] = file, known
            self.downloaded += file.path.stat().st_size if is_new else 0
        return [self._fetched[source.key] for source, _ in unit.parts]

    def refuse(self, unit: Unit, key: str, reason: str) -> None:
        """Do not offer the object again as long as it is the same."""
        _, proof = self._fetched[key]
        self.refusals[key] = Refusal(key, unit.period, reason, proof.sha256, proof.fingerprint)

    def is_retried(self, unit: Unit) -> bool:
        """The unit was unusable when it was last fetched, and may be usable now."""
        return any(source.key in self._remembered for source, _ in unit.parts)

    @property
    def rests_on(self) -> tuple[str, ...] | None:
        """The keys whose state in the archive decides what it offers, absent ones too. None where more does: a file
        that was refused is judged again, and may be fetched again as it is."""
        return None if self.refusals or self._remembered else tuple(self._proofs)

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The keys that the archive does not have yet of a period that takes several, where it has others of them."""
        objects = self._venue.objects(self.task.dataset, self.task.market, self.task.interval, self.task.period)
        lacking = tuple(source.key for source in objects if self._offered(source, self.task.period) is None)
        return lacking if len(lacking) < len(objects) else ()

    @property
    def _is_by_day(self) -> bool:
        day = Period.of_day(self.task.first_day)
        return bool(self._venue.objects(self.task.dataset, self.task.market, self.task.interval, day))

    def _unit(self, period: Period) -> Unit | None:
        """The objects that together hold `period`; None unless the archive has every one of them, usable."""
        objects = self._venue.objects(self.task.dataset, self.task.market, self.task.interval, period)
        parts = [self._offered(source, period) for source in objects]
        return Unit(period, tuple(part for part in parts if part)) if parts and all(parts) else None

    def _offered(self, source: SourceObject, period: Period) -> tuple[SourceObject, Proof] | None:
        """The object with its proof, or the one that stands in for it; None where neither is usable."""
        found = self._proven(source, period)
        return found or (self._offered(source.otherwise, period) if source.otherwise is not None else None)

    def _proven(self, source: SourceObject, period: Period) -> tuple[SourceObject, Proof] | None:
        """The object with its proof; None where the archive has none, or an unusable one."""
        if source.key in self.refusals:
            return None
        if source.key not in self._proofs:
            try:
                self._proofs[source.key] = self.archive.proof(source.key, self._known.get(source.key, ""))
            except SourceDefect as error:
                self.refusals[source.key] = Refusal(source.key, period, reason_of(error), "")
                return None
        proof = self._proofs[source.key]
        if proof is None:
            return None
        for refused in self._remembered.get(source.key, ()):
            state = refused.source_fingerprint
            is_same = state == proof.fingerprint and proof.sha256 in ("", refused.source_sha256)
            if is_same or (state == _differing_from(proof.sha256) and not self.retries):
                self.refusals[source.key] = Refusal(
                    source.key, period, refused.reason, refused.source_sha256, refused.source_fingerprint
                )
                return None
        return source, proof


def _fetched(
    source: SourceObject, proof: Proof, archive: Archive, folder: Path, downloads: SharedDownloads
) -> tuple[SourceFile, Proof, bool]:
    """The file on disk, the proof of its bytes, and whether it was downloaded just now."""
    download, is_new = downloads.download(source.key, proof, archive, folder)
    file = SourceFile(download.path, source.key, source.period, source.holds, source.is_shared)
    return file, download.proof, is_new


def _days_to_check(of_period: Unit, held: Receipt | None) -> list[date]:
    """The days that the objects of the whole period were found to lack, or to have set-aside rows on, when they were
    last read: their own files may be better."""
    keys = {source.key for source, _ in of_period.parts}
    if held is None or not keys <= {source.key for source in held.sources}:
        return []
    by_day = [date.fromisoformat(day_in(s.key)) for s in held.sources if s.key not in keys]
    aside = [d for d in held.defects if d.kind == "quarantined_rows" and d.source_key in keys]
    faulty = [d.day for d in aside if d.day and not d.reason.startswith(AFTER_DELIVERY)]
    inside = [day for day in faulty if held.first_day <= day <= held.last_day]
    return sorted({*held.absent_days, *by_day, *inside})


def _refused_before(held: Receipt | None) -> dict[str, list[Defect]]:
    """The files that the current decoder refused before, by key. Decisions of an older one are made again."""
    found: dict[str, list[Defect]] = {}
    if held is None:
        return found
    used = {(source.key, source.sha256) for source in held.sources}
    for defect in held.defects:
        if defect.judged_by != DECODER_VERSION or defect.kind not in ("replaced_source", "refused_source"):
            continue
        # Single days of a used period may have been replaced; the use by an older decoder of a file that the current
        # one refuses does not count.
        is_used = (defect.source_key, defect.source_sha256) in used
        by_an_older_one = defect.kind == "refused_source" and held.decoder_version != DECODER_VERSION
        if not is_used or by_an_older_one:
            found.setdefault(defect.source_key, []).append(defect)
    return found


def _differing_from(published: str) -> str:
    """How a refusal names the published checksum that the bytes did not have."""
    return f"published sha256={published}"


def reason_of(error: IngestionError) -> str:
    """What is wrong with the file, in one sentence without a full stop."""
    text = "; ".join(error.faults) if isinstance(error, ContractViolation) else _NOTHING_STORED.sub("", str(error))
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 1]}…"
