"""Claims of one's own: reading `claims.csv`, and its faults as sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.config.claims import COLUMNS, own_claims
from orchestration.config.settings import SettingsError, load_settings

HEADER = ",".join(COLUMNS)
ROW = "c1,A newsletter,2026-02-03,binance_um:BTCUSDT,2026-01-31,2026-01-31,bearish,3,730,It's quoted"


def written(folder: Path, *lines: str) -> Path:
    path = folder / "claims.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert own_claims(tmp_path / "claims.csv") == []


def test_a_claim_is_a_variable_of_dbt_and_so_part_of_what_a_publication_was_made_of(tmp_path: Path) -> None:
    written(tmp_path, HEADER, ROW)
    (claim,) = load_settings(storage_url=str(tmp_path)).dbt.variables()["own_claims"]
    assert (claim["claim_id"], claim["claimed_rank"], claim["note"]) == ("c1", "3", "It's quoted")


def test_the_day_of_publication_and_the_note_may_be_empty(tmp_path: Path) -> None:
    (claim,) = own_claims(written(tmp_path, HEADER, "c1,me,,v:S,2026-01-31,2026-01-31,bullish,1,730,"))
    assert (claim["published_on"], claim["note"]) == ("", "")


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (("claim_id,source", "c1,me"), "the first line is not"),
        ((HEADER, ROW.replace("2026-01-31,2026-01-31", "31.1.2026,2026-01-31")), "line 2: `event_from` is no day"),
        ((HEADER, ROW.replace(",3,", ",third,")), "line 2: `claimed_rank` is no whole number from 1"),
        ((HEADER, ROW.replace("bearish", "down")), "line 2: `side` is neither bearish nor bullish"),
        ((HEADER, ROW.replace("A newsletter", "")), "line 2: `source` is empty"),
        ((HEADER, "c1,me"), "line 2: it has not the 10 fields"),
        ((HEADER, f"{ROW},more"), "line 2: it has not the 10 fields"),
        ((HEADER, ROW, ROW), "the claim `c1` stands there twice"),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, lines: tuple[str, ...], fault: str) -> None:
    with pytest.raises(SettingsError, match=r"claims\.csv") as raised:
        own_claims(written(tmp_path, *lines))
    assert fault in str(raised.value)
