"""Storage whose receipts have a former name, through the public commands: read as it is, renamed by a run."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from ingestion.simulator.simulated import simulate
from tests.support.commands import Taker
from tests.support.former_receipts import as_formerly

pytestmark = pytest.mark.xdist_group("former_receipts")

FIRST, LAST = date(2026, 3, 8), date(2026, 3, 10)
RUN = ("run", "--from", str(FIRST), "--to", str(LAST))
SENTENCE = "receipts were renamed from receipt.json to _receipt.json"


def test_status_and_verify_answer_as_before_and_the_next_run_renames(tmp_path: Path) -> None:
    simulate(tmp_path / "archive", last_day=LAST, days=45, trades_days=7, rows_per_day=300)
    taker = Taker(
        tmp_path / "var",
        {
            "TAKER_ARCHIVE_URL": (tmp_path / "archive").as_uri(),
            "TAKER_MARKETS": "simulated:BTCUSD_PERP",
            "TAKER_FIRST_DAY": str(FIRST),
        },
    )
    taker.done(*RUN)
    read = [("status",), ("verify",), ("status", "--defects")]
    before = [taker.done(*command) for command in read]
    daily = taker.query("select * from fct_net_taker_volume_daily order by all")
    as_formerly(RawZone(open_store(tmp_path / "var")))
    names = sorted(path.name for path in tmp_path.glob("var/raw/**/*receipt.json"))
    assert set(names) == {"receipt.json"}

    assert [taker.done(*command) for command in read] == before
    assert sorted(path.name for path in tmp_path.glob("var/raw/**/*receipt.json")) == names

    (notice,) = taker.done(*RUN)["notices"]
    assert notice.startswith(f"{len(names)} {SENTENCE}")
    assert [path.name for path in tmp_path.glob("var/raw/**/*receipt.json")] == ["_receipt.json"] * len(names)
    assert [taker.done(*command) for command in read] == before
    assert taker.query("select * from fct_net_taker_volume_daily order by all") == daily
    again = taker.done(*RUN)
    assert (again["notices"], again["up_to_date"]) == ([], True)
