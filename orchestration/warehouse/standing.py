"""What of the publication that stands is found to be as it is in the warehouse, and need not be read again there.

Belongs here: that finding, which the audit makes and a publication uses. Does not: how it is made
(`orchestration.warehouse.audit.window`), what is compared otherwise (`orchestration.warehouse.publish.changes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final


@dataclass(frozen=True)
class Standing:
    """`publication`: when it was published, UTC, and by which run; None for none. `before`: by table, the UTC day
    before which every row stands."""

    publication: tuple[datetime, str] | None = None
    before: Mapping[str, date] = field(default_factory=dict)

    def of(self, publication: tuple[datetime, str] | None) -> Mapping[str, date]:
        """`before` of this publication; nothing of any other than the one that was looked at."""
        return self.before if publication is not None and publication == self.publication else {}


# Everything is read.
NOTHING_STANDS: Final = Standing()
