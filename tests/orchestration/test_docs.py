"""dbt's documentation: one page that needs no data, no server and no other host, and shows who uses what."""

from __future__ import annotations

import re
from pathlib import Path

from orchestration.config.settings import Settings
from orchestration.warehouse import dbt


def test_the_page_has_lineage_types_and_descriptions_and_requests_no_other_host(settings: Settings) -> None:
    page = dbt.build_docs(settings.dbt)
    assert page == settings.paths.docs_page
    text = page.read_text()
    assert "exposure.taker.postgres_schema" in text
    assert "DECIMAL(38,8)" in text
    assert "Net taker volume in USD: bought" in text
    assert not re.search(r"""<(?:script|link|img)[^>]+(?:src|href)=["']?https?:""", text)
    assert not settings.warehouse_path.exists()


def test_every_mart_is_exposed_through_postgres_and_exposures_name_only_marts(manifest: Path) -> None:
    parsed = dbt.load_manifest(manifest)
    marts = set(dbt.marts_in(parsed))
    exposed = {
        exposure["name"]: {node.rsplit(".", 1)[1] for node in exposure["depends_on"]["nodes"]}
        for exposure in parsed["exposures"].values()
    }
    assert set(exposed) == {"report", "superset_dashboard", "postgres_schema"}
    assert exposed["postgres_schema"] == marts
    assert all(used <= marts for used in exposed.values())
