"""Verification: the raw zone against its receipts, and the published marts against the raw zone. Read-only.

Belongs here: opening both for it. Does not: what is compared (`ingestion.raw.verify`, `orchestration.serving.verified`)
or how it is shown (`orchestration.cli`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ingestion.raw.verify import RawVerdict
from ingestion.raw.verify import verify as verify_raw
from orchestration.config.marts import LakeMarts
from orchestration.config.settings import Settings
from orchestration.resources import StorageResource, WarehouseResource
from orchestration.serving.published import NothingPublished, PublicationUnreadable, attach, named, outdated, unreadable
from orchestration.serving.verified import MartFault, MartVerdict, verify_marts


@dataclass(frozen=True)
class Verification:
    """`marts` is None where they were not requested, nothing is published, another version has published it, or the
    lake cannot be reached; of the last two `uncompared` states which.
    """

    raw: RawVerdict
    marts: MartVerdict | None
    uncompared: str = ""

    @property
    def is_sound(self) -> bool:
        return not self.raw.faults and not (self.marts and self.marts.faults) and not self.uncompared


def verify(settings: Settings, *, raw_only: bool, report: Callable[[int, int], None]) -> Verification:
    """Hash everything that is stored, and compute the published daily flow anew."""
    import duckdb

    storage = StorageResource(settings.storage)
    raw = verify_raw(storage.store(), report)
    if raw_only:
        return Verification(raw, None)
    marts = settings.marts
    try:
        with WarehouseResource(settings.dbt).open_raw() as connection:
            attach(marts, connection, "published")
            index = storage.raw_zone().index()
            return Verification(raw, verify_marts(connection, storage.store(), index, settings.scope.trades_dataset))
    except NothingPublished:
        return Verification(raw, None)
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        return Verification(raw, None, str(outdated(marts, error)))
    except (duckdb.Error, PublicationUnreadable) as error:
        if isinstance(marts, LakeMarts) and isinstance(error, PublicationUnreadable):
            return Verification(raw, None, str(error))
        sentence = error if isinstance(error, PublicationUnreadable) else unreadable(marts, error)
        what, _, remedy = str(sentence).rpartition("; ")
        fault = MartFault(named(marts), what, remedy)
        return Verification(raw, MartVerdict(0, 0, 0, (fault,)))
