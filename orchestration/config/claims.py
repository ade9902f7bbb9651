"""Claims of one's own: `claims.csv` in the state folder, judged with those of the project.

Belongs here: reading the file and naming its faults. Does not: judging (dbt: `int_claim_windows` to
`fct_claim_verdicts`), a claim on the command line (`orchestration.serving.claims`).
"""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Final

from orchestration.config.errors import SettingsError

# As in the seed `claims.csv`.
COLUMNS: Final = (
    "claim_id",
    "source",
    "published_on",
    "market_id",
    "event_from",
    "event_to",
    "side",
    "claimed_rank",
    "window_days",
    "note",
)
_OPTIONAL: Final = ("published_on", "note")
_DAYS: Final = ("published_on", "event_from", "event_to")
_COUNTS: Final = ("claimed_rank", "window_days")


def own_claims(path: Path) -> list[dict[str, str]]:
    """The claims of the file, by column; none without one. SettingsError names the line and what it should hold."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise SettingsError(f"{path}: the first line is not `{','.join(COLUMNS)}`")
            claims = [_checked(row, f"{path}, line {reader.line_num}") for row in reader]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path} cannot be read as CSV: {error}") from error
    names = [claim["claim_id"] for claim in claims]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise SettingsError(f"{path}: the claim `{twice}` stands there twice; every claim_id is used once")
    return claims


def _checked(row: dict[str, str], where: str) -> dict[str, str]:
    if None in row or None in row.values():
        raise SettingsError(f"{where}: it has not the {len(COLUMNS)} fields of the first line")
    for name, value in row.items():
        if not value and name not in _OPTIONAL:
            raise SettingsError(f"{where}: `{name}` is empty")
        if value and name in _DAYS and not _is_day(value):
            raise SettingsError(f"{where}: `{name}` is no day; write it as 2026-01-31")
        if name in _COUNTS and not (value.isascii() and value.isdigit() and 0 < int(value) <= 999_999):
            raise SettingsError(f"{where}: `{name}` is no whole number from 1")
    if row["side"] not in ("bearish", "bullish"):
        raise SettingsError(f"{where}: `side` is neither bearish nor bullish")
    return row


def _is_day(text: str) -> bool:
    try:
        return str(date.fromisoformat(text)) == text
    except ValueError:
        return False
