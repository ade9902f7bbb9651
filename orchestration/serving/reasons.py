"""Why a figure is not there, in words: the codes that the marts state (`…_missing_reason`, `unranked_reason`).

Belongs here: a code as text, the same in the terminal and the report. Does not: which code it is (dbt_project).
"""

from __future__ import annotations

from typing import Final

MISSING: Final = {
    "not_ingested": "not ingested",
    "not_published": "no file in the archive",
    "refused": "its file cannot be used",
    "damaged": "what was stored is damaged",
    "incomplete": "what is stored does not cover the day",
    "conflict": "in conflict with other data",
    "sum_over_venues": "of single markets only",
}
# Of these the archive has whole months alone.
_BY_MONTH: Final = {"funding": "; a month's fundings are published after its end"}


def missing_text(reason: str | None, figure: str = "") -> str:
    """`no file in the archive; a month's fundings are published after its end`; empty where nothing is stated.

    `figure`: `funding`, `open_interest` or `liquidations`. A code that this version does not know stands as it is.
    """
    if reason is None:
        return ""
    return MISSING.get(reason, reason.replace("_", " ")) + (
        _BY_MONTH.get(figure, "") if reason == "not_published" else ""
    )


def dash(reason: str | None, figure: str = "") -> str:
    """The dash of a figure that is missing, with the reason where there is one."""
    return " · ".join(["–", *filter(None, [missing_text(reason, figure)])])
