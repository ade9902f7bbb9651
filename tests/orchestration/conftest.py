"""Fixtures of the orchestration tests: settings in a folder of their own, and a manifest to load definitions from."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from orchestration.config.settings import Settings, load_settings
from orchestration.warehouse import dbt
from orchestration.warehouse.profile import manifest_path


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dbt's manifest, parsed if the project has changed since."""
    config = load_settings(storage_url=str(tmp_path_factory.mktemp("manifest"))).dbt
    dbt.ensure_manifest(config)
    return manifest_path(config)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Binance's Bitcoin with 4h klines from an archive folder, everything below the test's own folder."""
    return load_settings(
        archive_url=(tmp_path / "archive").as_uri(),
        storage_url=str(tmp_path / "var"),
        kline_interval="4h",
        first_day=date(2024, 1, 1),
    )
