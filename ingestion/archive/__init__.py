"""The use case: what a venue publishes for some days of a market becomes receipted objects of the raw zone.

Belongs here: which objects are worth requesting (`plan`), bringing them up to date (`ingest`), which of them there
is something to do for (`compare`), or have changed at the venue (`changed_sources`). Idempotent: an unchanged source
costs at most its checksum (one HEAD where the venue publishes none) and writes nothing.
Does not: schedules, partitions, settings.

A file is used as far as it can be trusted. One that cannot be used is refused, and its days come from their own files
where the venue has them; the receipt's defects state what was used instead of what, and are the record by which a
refused file is not fetched again until it changes. Bytes that differ from their checksum may have been damaged in
transit: they are fetched again in every run.
"""

from ingestion.archive.compare import Compared, Known, compare
from ingestion.archive.findings import Findings, Found
from ingestion.archive.ingest import changed_sources, ingest
from ingestion.archive.tasks import Outcome, Series, Status, Task, plan

__all__ = [
    "Compared",
    "Findings",
    "Found",
    "Known",
    "Outcome",
    "Series",
    "Status",
    "Task",
    "changed_sources",
    "compare",
    "ingest",
    "plan",
]
