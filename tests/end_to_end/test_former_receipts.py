"""Storage whose receipts have a former name, through the public commands: read as it is, renamed by a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.raw.stores import open_store
from ingestion.raw.zone import RawZone
from tests.end_to_end.conftest import Week
from tests.support.former_receipts import as_formerly

pytestmark = pytest.mark.xdist_group("week")

SENTENCE = "receipts were renamed from receipt.json to _receipt.json"


def test_status_and_verify_answer_as_before_and_the_next_run_renames(published_week: Week, tmp_path: Path) -> None:
    week = published_week.copied_to(tmp_path)
    taker = week.taker
    read = [("status",), ("verify",), ("status", "--defects")]
    before = [taker.done(*command) for command in read]
    daily = taker.query("select * from fct_net_taker_volume_daily order by all")
    as_formerly(RawZone(open_store(tmp_path / "var")))
    names = sorted(path.name for path in tmp_path.glob("var/raw/**/*receipt.json"))
    assert set(names) == {"receipt.json"}

    assert [taker.done(*command) for command in read] == before
    assert sorted(path.name for path in tmp_path.glob("var/raw/**/*receipt.json")) == names

    (notice,) = taker.done(*week.run)["notices"]
    assert notice.startswith(f"{len(names)} {SENTENCE}")
    assert [path.name for path in tmp_path.glob("var/raw/**/*receipt.json")] == ["_receipt.json"] * len(names)
    assert [taker.done(*command) for command in read] == before
    assert taker.query("select * from fct_net_taker_volume_daily order by all") == daily
    again = taker.done(*week.run)
    assert (again["notices"], again["up_to_date"]) == ([], True)
