"""Settled months of daily objects merged into one each, through the public commands: nothing that was built changes.

Belongs here: whole runs. Does not: the raw zone alone (`tests/ingestion/test_merging.py`), what a build reads
(`tests/dbt/test_merged_months.py`).
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.raw.names import DATA, RECEIPT
from ingestion.raw.s3 import S3Options
from ingestion.raw.stores import open_store
from ingestion.simulator.simulated import simulate
from orchestration.config.dbt import LAKE
from tests.support.commands import Taker
from tests.support.fingerprints import fingerprints
from tests.support.lakes import Look, lake_config, new_catalog, opened_lakes

LAST = date(2026, 3, 10)
FIRST = date(2026, 1, 25)
FEBRUARY = "2026-02"
CORRECTED = date(2026, 2, 17)
RUN = ("run", "--from", str(FIRST), "--to", str(LAST))
# What former publications had, and so what a full refresh changes.
OF_PUBLICATIONS = {"fct_spike_rank_revisions", "publication_tables"}
MERGE = ("merge-months", "--older-than", "0d", "--keep", "0h")


def publish(archive: Path) -> None:
    """A venue's files of the last days of a month, a whole one, and the first days of the next."""
    simulate(archive, last_day=LAST, days=45, trades_days=45, rows_per_day=300)


def settings_of(archive: Path) -> dict[str, str]:
    return {
        "TAKER_ARCHIVE_URL": archive.as_uri(),
        "TAKER_MARKETS": "simulated:BTCUSD_PERP",
        "TAKER_FIRST_DAY": str(FIRST),
    }


@pytest.fixture(
    params=[
        "folder",
        pytest.param("s3", marks=pytest.mark.xdist_group("s3")),
        pytest.param("lake", marks=[pytest.mark.xdist_group("lake"), pytest.mark.postgres]),
    ]
)
def taker(request: pytest.FixtureRequest, tmp_path: Path) -> Taker:
    environment = settings_of(tmp_path / "archive")
    if request.param == "lake":
        catalog = new_catalog(request.getfixturevalue("postgres_server"))
        environment |= {"TAKER_TARGET": LAKE, "TAKER_LAKE_CATALOG_URL": catalog}
    if request.param == "s3":
        options: S3Options = request.getfixturevalue("seaweedfs")
        environment |= {
            "TAKER_STORAGE_URL": request.getfixturevalue("s3_url"),
            "TAKER_STATE_DIR": str(tmp_path / "var"),
            "AWS_ENDPOINT_URL": str(options.endpoint_url),
            "AWS_REGION": str(options.region),
            "AWS_ACCESS_KEY_ID": str(options.access_key_id),
            "AWS_SECRET_ACCESS_KEY": str(options.secret_access_key),
        }
    return Taker(tmp_path / "var", environment)


def files(taker: Taker, request: pytest.FixtureRequest) -> list[str]:
    url = taker.environment.get("TAKER_STORAGE_URL")
    store = open_store(url, request.getfixturevalue("seaweedfs")) if url else open_store(taker.storage)
    return [found.key for found in store.list("raw") if found.key.endswith((DATA, RECEIPT))]


def correct(archive: Path, day: date) -> None:
    """The venue publishes the day's trades again, without the last of them."""
    (path,) = archive.glob(f"**/daily/aggTrades/BTCUSD_PERP/*-{day}.zip")
    with zipfile.ZipFile(path) as packed:
        (name,) = packed.namelist()
        lines = packed.read(name).splitlines(keepends=True)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(name, b"".join(lines[:-1]))
    path.write_bytes(target.getvalue())
    checksum = path.with_name(f"{path.name}.CHECKSUM")
    checksum.write_text(f"{hashlib.sha256(target.getvalue()).hexdigest()}  {path.name}\n")


def built(taker: Taker, table: str) -> list[tuple[Any, ...]]:
    if catalog := taker.environment.get("TAKER_LAKE_CATALOG_URL"):
        lakes = opened_lakes(lake_config(catalog, taker.storage))
        return Look(lakes.built).query(f"select * from {table} order by all")
    with duckdb.connect(str(taker.storage / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(f"select * from {table} order by all").fetchall()


def test_what_was_built_stays_built_and_a_correction_is_followed(
    taker: Taker, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    archive = tmp_path / "archive"
    publish(archive)
    taker.done(*RUN)
    before, marts, daily = files(taker, request), fingerprints(taker.marts), built(taker, "int_flow_bars")
    status, notes = taker.done("status"), built(taker, "int_built_receipts")

    dry = taker.done(*MERGE, "--dry-run")
    assert files(taker, request) == before
    merged = taker.done(*MERGE)

    done = {(month["dataset"], month["month"]) for month in merged["months"] if month["status"] == "merged"}
    assert ("aggTrades", FEBRUARY) in done
    assert {month for _, month in done} == {FEBRUARY}
    assert {(m["dataset"], m["month"]) for m in dry["months"] if m["status"] == "due"} == done
    left = {month["month"]: month["why"] for month in merged["months"] if month["status"] == "left"}
    assert left == {
        "2026-01": "24 of its days were never requested, the first is 2026-01-01",
        "2026-03": "21 of its days were never requested, the first is 2026-03-11",
    }
    after = files(taker, request)
    assert (merged["files_before"] - merged["files_after"], len(before) - len(after)) == (54 * len(done),) * 2
    assert taker.done("verify")["sound"]
    assert taker.done("status") == status

    taker.done(*RUN)
    assert built(taker, "int_build_window") == []
    assert built(taker, "int_flow_bars") == daily
    assert fingerprints(taker.marts) == marts
    assert taker.done("verify")["sound"]
    assert taker.done(*RUN)["up_to_date"]
    assert [month["status"] for month in taker.done(*MERGE)["months"]].count("merged") == 0

    correct(archive, CORRECTED)
    taker.done(*RUN)
    assert {day for _, _, day, _ in built(taker, "int_build_window")} == {CORRECTED}
    assert taker.done("verify")["sound"]
    # The staging models read whole patterns of files: of each day the object that its receipt names, and no other.
    is_local = "TAKER_STORAGE_URL" not in taker.environment  # the views would need the keys of S3
    for dataset, model in (("aggTrades", "stg_raw__agg_trades"), ("metrics", "stg_raw__metrics")):
        stated = f"stg_raw__receipts where dataset = '{dataset}' and status = 'stored' and row_count > 0"
        counts = f"(select bar_date, count(*) from {model} group by bar_date)"
        assert not is_local or built(taker, counts) == built(taker, f"(select bar_date, row_count from {stated})")
    followed, daily = fingerprints(taker.marts), built(taker, "int_flow_bars")
    assert len(notes) == len(built(taker, "int_built_receipts"))
    assert marts["fct_net_taker_volume_daily"] != followed["fct_net_taker_volume_daily"]

    # From nothing: the days of which bars were built before, now read from their month, and one of its own beside it.
    taker.done(*RUN, "--full-refresh")
    assert built(taker, "int_flow_bars") == daily
    assert {name for name, found in fingerprints(taker.marts).items() if found != followed[name]} <= OF_PUBLICATIONS
