"""The SQL of a rule that dbt builds the marts with, for queries beside them.

Belongs here: rendering a macro of `claim_verdicts.sql`. Does not: the rules themselves (dbt_project).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_RULES: Final = Path(__file__).resolve().parents[2] / "dbt_project" / "macros" / "claim_verdicts.sql"


def rule(macro: str, *arguments: str) -> str:
    """The SQL of a rule that dbt builds the marts with; the file uses nothing of dbt on purpose."""
    import jinja2

    macros = vars(jinja2.Environment(autoescape=False).from_string(_RULES.read_text()).module)
    return str(macros[macro](*arguments))
