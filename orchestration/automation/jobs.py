"""The four jobs: ingestion by day, by month and of today, and the build.

Belongs here: which assets each job selects. Does not: when it runs (the other modules of this room).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import dagster as dg

from ingestion.domain.datasets import ARCHIVED, RECENT
from ingestion.domain.periods import Span
from orchestration.defs.publish import PUBLISHED_KEY
from orchestration.defs.raw import RECEIPTS_KEY, raw_key
from orchestration.defs.report import REPORT_KEY
from orchestration.state.locks import ONE_BUILD

if TYPE_CHECKING:
    from orchestration.compat.types import UnresolvedAssetJobDefinition

INGEST_DAYS: Final = "ingest_days"
INGEST_MONTHS: Final = "ingest_months"
INGEST_TODAY: Final = "ingest_today"
BUILD_AND_PUBLISH: Final = "build_and_publish"
INGEST_BY_SPAN: Final = {Span.DAY: INGEST_DAYS, Span.MONTH: INGEST_MONTHS}


@dataclass(frozen=True)
class Jobs:
    """The jobs, for the schedules and sensors that start them."""

    days: "UnresolvedAssetJobDefinition"
    months: "UnresolvedAssetJobDefinition"
    today: "UnresolvedAssetJobDefinition"
    build: "UnresolvedAssetJobDefinition"


def jobs(warehouse: Iterable[dg.AssetKey]) -> Jobs:
    """`ingest_days`, `ingest_months`, `ingest_today` and `build_and_publish`. `warehouse`: the keys of dbt's assets."""
    by_span = {span: [raw_key(d.name) for d in ARCHIVED.values() if d.span is span] for span in Span}
    return Jobs(
        days=_job(INGEST_DAYS, by_span[Span.DAY], "Ingest what venues publish by day: trades, metrics, liquidations."),
        months=_job(INGEST_MONTHS, by_span[Span.MONTH], "Ingest what is kept by month: klines, funding rates."),
        today=_job(
            INGEST_TODAY,
            (raw_key(name) for name in RECENT),
            "Fetch from the venues' APIs what the archive does not have yet, and seal the hours that the collector has "
            "finished.",
        ),
        # Of several workers, each has a warehouse of its own: no lock of one machine keeps their builds apart.
        build=_job(
            BUILD_AND_PUBLISH,
            (RECEIPTS_KEY, *warehouse, PUBLISHED_KEY, REPORT_KEY),
            "Index the receipts, build the days that changed, audit the marts, publish them if they pass, and render "
            "their report.",
            tags={ONE_BUILD: BUILD_AND_PUBLISH},
        ),
    )


def _job(
    name: str, keys: Iterable[dg.AssetKey], description: str, tags: Mapping[str, str] | None = None
) -> "UnresolvedAssetJobDefinition":
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*keys),
        description=description,
        executor_def=dg.in_process_executor,
        tags=tags,
    )
