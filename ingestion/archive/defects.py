"""What was published and not used as published, and the receipts that state it.

Belongs here: the defects of an object from the facts of its making, the receipt, and whether a stored receipt still
describes what the archive has.
Does not: the form of a receipt (`ingestion.raw.receipts`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Final, Literal

from ingestion.archive.make import STAYS, Made
from ingestion.archive.offer import LONGEST_REASON, Published, Refusal
from ingestion.archive.tasks import Task, day_in, day_of, days_of
from ingestion.decode.decoder import DECODER_VERSION
from ingestion.decode.plausibility import doubts
from ingestion.domain.markets import Market
from ingestion.raw.receipts import Defect, Receipt, receipt_of

# So many defects of set-aside rows in one receipt; more are summed by day.
_MOST_QUARANTINED: Final = 200
_NUMBERS: Final = re.compile(r"\d[\d.:+-]*")


def describes(held: Receipt, task: Task, published: Published, refusals: Iterable[Refusal]) -> bool:
    """The receipt is what ingesting these sources for these days would give."""
    sources = {(source.key, source.fingerprint or source.sha256) for source in held.sources}
    # A file that was withdrawn leaves its rows in the object, and its name in the receipt.
    parts = [part for unit in published.units for part in unit.parts]
    offered = {(source.key, proof.fingerprint or proof.sha256) for source, proof in parts}
    days = {day.isoformat() for day in published.missing}
    withdrawn = {(key, state) for key, state in sources - offered if day_in(key) in days}
    recorded = {(d.source_key, d.source_sha256, d.source_fingerprint) for d in held.defects}
    return (
        held.decoder_version == DECODER_VERSION
        and held.status != "refused"
        and (held.first_day, held.last_day) == (task.first_day, task.last_day)
        and not _has_rows_after_delivery(held, task.market)
        and sources - withdrawn == offered
        and {refusal.state for refusal in refusals} <= recorded
        and all(day in held.absent_days or held.day_rows.get(day.isoformat()) for day in published.missing)
    )


def _has_rows_after_delivery(held: Receipt, market: Market) -> bool:
    return bool(held.max_at and market.delivers_at and held.max_at >= market.delivers_at)


def refused_source(refusal: Refusal, day: date | None) -> Defect:
    return Defect(
        "refused_source",
        refusal.reason,
        day,
        source_key=refusal.key,
        source_sha256=refusal.sha256,
        source_fingerprint=refusal.fingerprint,
        judged_by=DECODER_VERSION,
    )


def _refusal_defects(refusal: Refusal, task: Task, made: Made) -> Iterator[Defect]:
    """What was used in place of a file that could not be, day by day, and the days that nothing was found for."""
    day_of_file = day_of(refusal.period)
    for day in [day_of_file] if day_of_file else days_of(task):
        defect = refused_source(refusal, day)
        if not made.decoded.day_rows.get(day):
            yield defect
        elif made.used.get(day):
            yield replace(defect, kind="replaced_source", used_instead=made.used[day])
        else:
            yield replace(defect, kind="replaced_source", reason=f"{refusal.reason}{STAYS}")


def _defects(task: Task, made: Made, refusals: Iterable[Refusal]) -> tuple[Defect, ...]:
    """Everything that was published and not used as it was published, in a fixed order."""
    refused = (defect for refusal in refusals for defect in _refusal_defects(refusal, task, made))
    found = [*made.replaced, *refused, *_quarantined(made), *_implausible(made)]
    return tuple(sorted(found, key=lambda d: (d.day or date.min, d.hour or "", d.kind, d.source_key, d.reason)))


def _implausible(made: Made) -> Iterator[Defect]:
    """The days whose trades cannot be those of a market. They are stored as published; flow must not use them."""
    for day, facts in made.decoded.day_facts.items():
        for reason in doubts(facts):
            yield Defect("implausible", reason, day, None, facts.rows, *_file_of(made, day))


def _file_of(made: Made, day: date) -> tuple[str, str]:
    """The key and sha256 of the one file that the day was read from; empty where there are several."""
    files = [source for source in made.sources if len(made.sources) == 1 or day_in(source.key) == day.isoformat()]
    return (files[0].key, files[0].sha256) if len(files) == 1 else ("", "")


def _quarantined(made: Made) -> list[Defect]:
    """The rows set aside, summed by hour and kind of reason; where these are too many, by hour, or else by day."""
    sha256 = {source.key: source.sha256 for source in made.sources}
    for by_hour, by_reason in ((True, True), (True, False), (False, False)):
        summed: dict[tuple[str, date | None, str | None, str], Defect] = {}
        for found in made.decoded.quarantined:
            hour = found.hour if by_hour else None
            place = (found.source_key, found.day, hour, _NUMBERS.sub("#", found.reason) if by_reason else "")
            before = summed.get(place)
            summed[place] = Defect(
                "quarantined_rows",
                before.reason if before else found.reason[:LONGEST_REASON],
                found.day,
                hour,
                found.rows + (before.rows if before else 0),
                found.source_key,
                sha256.get(found.source_key, ""),
            )
        if len(summed) <= _MOST_QUARANTINED:
            break
    return list(summed.values())


def bare_receipt(
    task: Task,
    now: datetime,
    status: Literal["absent", "refused"],
    *,
    absent_days: Sequence[date] = (),
    defects: tuple[Defect, ...] = (),
) -> Receipt:
    """The receipt of an object without data."""
    return receipt_of(
        task.object_id,
        now=now,
        version=DECODER_VERSION,
        days=(task.first_day, task.last_day),
        status=status,
        absent_days=tuple(sorted(set(absent_days))),
        defects=defects,
    )


def stored_receipt(task: Task, now: datetime, made: Made, refusals: Iterable[Refusal]) -> Receipt:
    return receipt_of(
        task.object_id,
        now=now,
        version=DECODER_VERSION,
        days=(task.first_day, task.last_day),
        found=made.decoded,
        data=made.data,
        sources=made.sources,
        absent_days=tuple(sorted(set(made.absent))),
        defects=_defects(task, made, refusals),
    )
