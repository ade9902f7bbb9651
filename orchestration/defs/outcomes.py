"""What became of raw objects, as plain facts for Dagster's metadata and for the texts of failures.

Belongs here: sums over outcomes, the rule when outcomes are news, failure texts. Does not: Dagster's types
(`orchestration.defs.raw`, `orchestration.defs.recent`), or how an object is ingested (`ingestion.archive`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingestion.archive import Outcome
    from ingestion.live.seal import Sealed


def failed(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes of objects that could not be ingested."""
    return [outcome for outcome in outcomes if outcome.status == "failed"]


def is_outage(outcome: Outcome) -> bool:
    """Whether the object failed since a server was not reached: later it may be. One that refuses stays so."""
    from ingestion.domain.errors import ArchiveUnavailable, UnknownToVenue, VenueUnavailable

    error = outcome.error
    return outcome.status == "failed" and (
        isinstance(error, ArchiveUnavailable)
        or (isinstance(error, VenueUnavailable) and not isinstance(error, UnknownToVenue))
    )


def by_partition(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """The outcomes by the label of their period, which is the partition key."""
    partitions: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        partitions[outcome.task.period.label].append(outcome)
    return partitions


def is_news(outcomes: Sequence[Outcome]) -> bool:
    """Whether anything was stored: an object, or the hours of one that were fetched before it failed."""
    return any(
        outcome.status == "stored" or (outcome.status == "failed" and outcome.bytes_downloaded > 0)
        for outcome in outcomes
    )


def partition_facts(outcomes: Sequence[Outcome]) -> Mapping[str, Any]:
    """The content of one partition, summed over its markets, with a checksum for each object."""
    receipts = [outcome.receipt for outcome in outcomes if outcome.receipt is not None]
    return {
        "dagster/partition_row_count": sum(receipt.rows for receipt in receipts),
        "bytes": sum(receipt.stored_bytes for receipt in receipts),
        "id_gaps": sum(receipt.id_gaps for receipt in receipts),
        "duplicate_rows": sum(receipt.duplicate_rows for receipt in receipts),
        "zero_rows": sum(receipt.zero_rows for receipt in receipts),
        "out_of_order_rows": sum(receipt.out_of_order_rows for receipt in receipts),
        "quarantined_rows": sum(
            defect.rows for receipt in receipts for defect in receipt.defects if defect.kind == "quarantined_rows"
        ),
        "refused": {str(outcome.task): str(outcome.error) for outcome in outcomes if outcome.status == "refused"},
        "objects": {
            str(outcome.task.object_id): {
                "status": outcome.status,
                "revision": outcome.receipt.revision,
                "stored_sha256": outcome.receipt.stored_sha256,
                "source_sha256": [source.sha256 for source in outcome.receipt.sources],
            }
            for outcome in outcomes
            if outcome.receipt is not None
        },
    }


def recent_facts(outcomes: Sequence[Outcome]) -> Mapping[str, Any]:
    """The content of the objects that were brought up to date, and how many hours they cover."""
    receipts = [outcome.receipt for outcome in outcomes if outcome.receipt is not None]
    return {
        "dagster/row_count": sum(receipt.rows for receipt in receipts),
        "windows": sum(len(receipt.sources) for receipt in receipts),
        "hours": sum(len(receipt.covered_minutes) for receipt in receipts) or None,
        "markets": sorted({f"{receipt.venue}:{receipt.symbol}" for receipt in receipts}),
        "days": sorted({receipt.period for receipt in receipts}),
        "objects": {str(outcome.task.object_id): outcome.status for outcome in outcomes},
    }


def sealed_facts(sealed: Sequence[Sealed]) -> Mapping[str, Any]:
    """Rows and hours that were sealed, and what could not be used: torn bytes of these hours, the rest of their days
    so far."""
    return {
        "rows": sum(one.rows for one in sealed),
        "hours": sorted({hour for one in sealed for hour in one.hours}),
        "torn_bytes": sum(one.torn_bytes for one in sealed),
        "malformed_messages": sum(one.receipt.malformed_messages for one in sealed),
        "misdated_rows": sum(one.receipt.misdated_rows for one in sealed),
        "markets": sorted({one.market_id for one in sealed}),
        "days": sorted({str(one.day) for one in sealed}),
    }


def failure_text(outcomes: Sequence[Outcome]) -> str:
    """Every failed object with its fault, one per line, after a line that counts them."""
    return "\n".join([_head(outcomes), *(f"{outcome.task}: {outcome.error}" for outcome in failed(outcomes))])


def shared_failure_text(outcomes: Sequence[Outcome]) -> str:
    """Every fault with the objects that it affects, one per line: a venue that refuses does so for all of them."""
    tasks_of: dict[str, list[str]] = {}
    for outcome in failed(outcomes):
        tasks_of.setdefault(str(outcome.error), []).append(str(outcome.task))
    lines = [f"{tasks[0]}{_more(tasks)}: {fault}" for fault, tasks in tasks_of.items()]
    return "\n".join([_head(outcomes), *lines])


def _head(outcomes: Sequence[Outcome]) -> str:
    count = len(failed(outcomes))
    return f"{count} of {len(outcomes)} objects failed; the other {len(outcomes) - count} are in the raw zone"


def _more(tasks: Sequence[str]) -> str:
    return f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""
