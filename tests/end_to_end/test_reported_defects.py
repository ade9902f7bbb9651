"""What people see of files that cannot be used, through the public command: one market that has every kind of them.

Belongs here: what a run and `taker status` print of it. Does not: the archive (`tests/support/faulty_month.py`).
"""

from __future__ import annotations

import json

import pytest

from tests.support.faulty_month import UNUSABLE as MARKET
from tests.support.faulty_month import FaultyMonth

pytestmark = pytest.mark.xdist_group("published_faults")


def test_a_run_names_every_day_lost_and_is_a_success(faulty_month: FaultyMonth) -> None:
    assert faulty_month.shown.splitlines()[0] == (
        f"missing {MARKET}: no klines and no aggTrades of 2024-09-30 (klines: refused, aggTrades: no file in the "
        "archive); the newest bar is of 2024-09-28"
    )
    lines = [line for line in faulty_month.notes.splitlines() if f" {MARKET}" in line]
    notes = [line for line in lines if line.startswith(("missing", "warning", "note"))]
    assert notes[0].startswith(f"missing {MARKET}: 3 days without flow, 2024-09-12..2024-09-13, 2024-09-30 (klines:")
    assert notes[1].startswith(f"missing {MARKET}: 1 day without flow, 2024-09-29 (klines: refused, aggTrades: implau")
    of_market = [line.partition(f"{MARKET} ")[2] for line in notes if f" {MARKET} " in line]
    assert of_market[0].startswith("klines 1h 2024-09-12..2024-09-13, 2024-09-29..2024-09-30: refused, nothing in its")
    assert "not a readable zip" in of_market[0]
    assert of_market[1].startswith("klines 1h 2024-09-01..2024-09-11, 2024-09-14..2024-09-28: not used: ")
    assert of_market[1].endswith("used instead: GGGUSDT-1h-2024-09-01.zip and 25 more")
    assert any(line.startswith("metrics 2024-09-07..2024-09-08: refused, nothing in its place") for line in of_market)
    assert "metrics: no file in the archive of 2024-09-03 (1 of 30 days)" in of_market


def test_status_counts_and_lists_it(faulty_month: FaultyMonth) -> None:
    taker = faulty_month.taker
    stored = json.loads(taker.run("status", "--json").stdout)
    series = {one["dataset"]: one for one in stored if one["market_id"] == MARKET}
    assert (series["klines"]["stored"], series["klines"]["refused"], series["klines"]["absent"]) == (26, 4, 0)
    assert (series["klines"]["refused_files"], series["klines"]["replaced_files"]) == (1, 1)
    assert (series["metrics"]["refused_files"], series["aggTrades"]["implausible_days"]) == (2, 1)
    assert series["metrics"]["defects"][0]["days"] == ["2024-09-07"]
    text = taker.run("status").stdout
    assert "2024-09-29  implausible, not used as flow: the taker sold in every one of 2000 trades" in text
