"""The report as an asset: one page per publication, and its charts on the marts that they show.

Belongs here: when the page is made, and what Dagster shows of it. Does not: the page (`orchestration.report`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from orchestration.config.marts import Marts
from orchestration.defs.publish import PUBLISHED_DAILY, PUBLISHED_KEY
from orchestration.defs.raw import simulated_label
from orchestration.resources import NAMES_THE_PROCESS

if TYPE_CHECKING:
    from orchestration.report.content import ReportContent

REPORT_KEY: Final = dg.AssetKey(["published", "report"])


def report_asset(marts: Marts, page: Path, *, is_simulated: bool) -> dg.AssetsDefinition:
    """The `page` of the standing publication. A failure here leaves the publication and the former page as they are."""

    @dg.asset(
        key=REPORT_KEY,
        deps=[PUBLISHED_KEY],
        group_name="published",
        freshness_policy=PUBLISHED_DAILY,
        kinds={"html"},
        required_resource_keys={*NAMES_THE_PROCESS},
        description=simulated_label(is_simulated)
        + "serving/report/index.html: one self-contained page with charts, claim verdicts and definitions.",
    )
    def report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        from orchestration.report.content import read_content
        from orchestration.report.previews import previews
        from orchestration.report.write import write_report

        content = read_content(marts)
        size = write_report(content, page)
        shown = previews(content)
        for observation in observations(content, shown):
            context.log_event(observation)
        metadata: dict[str, Any] = {
            "page": dg.MetadataValue.path(str(page)),
            "bytes": size,
            "markets": [market.market_id for market in content.markets],
            "simulated": content.is_simulated,
        }
        if "fct_net_taker_volume_daily" in shown:
            metadata["preview"] = dg.MetadataValue.md(shown["fct_net_taker_volume_daily"])
        return dg.MaterializeResult(metadata=metadata)

    return report


def observations(content: "ReportContent", shown: dict[str, str]) -> Iterator[dg.AssetObservation]:
    """What this publication shows of each mart: its picture, and for the daily flow the numbers that the UI plots."""
    for mart, markdown in shown.items():
        metadata: dict[str, Any] = {"preview": dg.MetadataValue.md(markdown)}
        if mart == "fct_net_taker_volume_daily":
            for market in content.markets:
                if market.latest is not None:
                    metadata[f"net taker volume, M USD ({market.market_id})"] = round(
                        float(market.latest.net_taker_usd) / 1e6, 1
                    )
                    metadata[f"coverage ({market.market_id})"] = market.latest.coverage_ratio
        yield dg.AssetObservation(mart, metadata=metadata, description="As published.")
