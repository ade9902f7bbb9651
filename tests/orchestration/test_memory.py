"""DuckDB's share of the memory: what the setting may say, and what it is without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.config.errors import SettingsError
from orchestration.config.memory import default_mebibytes, mebibytes
from orchestration.config.settings import load_settings
from orchestration.resources import WarehouseResource
from orchestration.warehouse.profile import profile

GIB = 1024**3


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GB", 4096), ("4 GiB", 4096), ("768mb", 768), ("1.5G", 1536), ("1TB", 1024 * 1024), ("524288KiB", 512)],
)
def test_a_size_counts_in_powers_of_1024(text: str, size: int) -> None:
    assert mebibytes(text) == size


@pytest.mark.parametrize("text", ["4", "4 apples", "-4GB", "GB", "1e9GB", "511MB", "0GB", "20000000TB"])
def test_another_text_is_refused_with_what_to_write(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKER_MEMORY_LIMIT", text)
    with pytest.raises(SettingsError, match=r"TAKER_MEMORY_LIMIT: .*write "):
        load_settings()


@pytest.mark.parametrize(
    ("machine", "container", "cores", "size"),
    [
        (32 * GIB, None, 16, 8192),
        (32 * GIB, "max\n", 16, 8192),
        (32 * GIB, f"{8 * GIB}\n", 16, 2048),
        (32 * GIB, None, 2, 2560),
        (2 * GIB, None, 16, 1024),
    ],
)
def test_the_default_is_a_quarter_of_what_there_is_within_1_and_a_quarter_gib_a_core_and_at_least_1_gib(
    tmp_path: Path, machine: int, container: str | None, cores: int, size: int
) -> None:
    limit = tmp_path / "memory.max"
    if container is not None:
        limit.write_text(container)
    assert default_mebibytes(lambda: machine, [limit], cores) == size


def test_dbt_and_the_audit_are_bound_by_it_and_write_the_rest_below_the_state_folder(tmp_path: Path) -> None:
    settings = load_settings(memory_limit="600MB", storage_url=str(tmp_path))
    assert profile(settings.dbt)["taker"]["outputs"]["duckdb"]["settings"]["memory_limit"] == "600MiB"
    with WarehouseResource(settings.dbt).open_raw() as one, WarehouseResource(settings.dbt).open_raw() as other:
        found = [
            connection.execute("select current_setting('memory_limit'), current_setting('temp_directory')").fetchall()
            for connection in (one, other)
        ]
    limits, folders = zip(*(row for rows in found for row in rows), strict=True)
    assert limits == ("600.0 MiB", "600.0 MiB")
    # Not that of dbt, nor one of both: two processes in one folder overwrite each other's blocks.
    assert len({*folders, str(settings.paths.spill)}) == 3
    assert all(Path(folder).is_relative_to(tmp_path) for folder in folders)
