"""The report in the asset graph: its dependencies, and what is recorded in Dagster."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from orchestration.config.settings import Settings
from orchestration.definitions import build_definitions
from orchestration.defs.publish import PUBLISHED_KEY
from orchestration.defs.report import REPORT_KEY, observations, report_asset
from orchestration.report import charts
from orchestration.report.write import report_path
from orchestration.resources import workplace_resource
from orchestration.runs.demo import demo_settings
from tests.support import reports


def page_of(settings: Settings) -> Path:
    return report_path(settings.paths.serving)


def test_it_stands_on_the_publication_and_is_built_with_it(manifest: Path, settings: Settings) -> None:
    definitions = build_definitions(settings)
    graph = definitions.resolve_asset_graph()
    assert graph.get(REPORT_KEY).parent_keys == {PUBLISHED_KEY}
    job = definitions.resolve_job_def("build_and_publish")
    assert REPORT_KEY in job.asset_layer.executable_asset_keys


def test_the_ui_labels_a_simulated_market(settings: Settings) -> None:
    label = "**SIMULATED, not a real market.** "
    described = [
        report_asset(of.marts, page_of(of), is_simulated=of.scope.is_simulated).specs_by_key[REPORT_KEY].description
        or ""
        for of in (settings, demo_settings())
    ]
    assert [text.startswith(label) for text in described] == [False, True]


def test_a_run_writes_the_page_and_shows_its_charts_on_the_marts(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "library", lambda kept_in=None: "/* vega */")
    monkeypatch.setattr("orchestration.report.content.read_content", lambda marts: reports.content())
    page = report_path(settings.paths.serving)
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [report_asset(settings.marts, page, is_simulated=False)],
            instance=instance,
            resources={"workplace": workplace_resource(settings.paths, 0)},
        )
        observed = instance.fetch_observations(dg.AssetKey("fct_net_taker_volume_daily"), limit=1).records
    (materialization,) = done.asset_materializations_for_node("published__report")
    assert done.success
    assert page.is_file()
    assert materialization.metadata["bytes"].value == page.stat().st_size
    assert materialization.metadata["simulated"].value is True
    assert len(observed) == 1


def test_the_daily_flow_also_shows_numbers_that_can_be_plotted() -> None:
    (seen,) = observations(reports.content(), {"fct_net_taker_volume_daily": "picture"})
    assert seen.metadata["net taker volume, M USD (simulated:BTCUSDT)"].value == -2014.6
    assert seen.metadata["coverage (simulated:BTCUSDT)"].value == 1.0
    assert isinstance(seen.metadata["preview"], dg.MarkdownMetadataValue)


def test_a_mart_is_never_reported_as_built_by_the_report() -> None:
    assert all(isinstance(seen, dg.AssetObservation) for seen in observations(reports.content(), {"dim_markets": "x"}))
