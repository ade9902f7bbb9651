"""Fixtures of the dbt tests. Belongs here: warehouses that several modules read."""

from __future__ import annotations

import pytest

from tests.dbt.warehouse import RawFolder, Warehouse


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The project built on a raw zone that holds nothing at all, not even a receipt index.

    One for all modules of the xdist group `empty`: change only a copy.
    """
    folder = tmp_path_factory.mktemp("empty")
    warehouse = Warehouse(folder / "warehouse", RawFolder(folder / "zone").url)
    warehouse.build()
    return warehouse
