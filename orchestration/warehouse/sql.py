"""SQL as text: quoting, and statements that are kept in `.sql` files.

Belongs here: the one way a name or a text gets into a statement. Does not: any statement.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def identifier(name: str) -> str:
    """A name, quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text, quoted for SQL."""
    return "'" + text.replace("'", "''") + "'"


def render(path: Path, **values: Any) -> str:
    """The statement in a `.sql` file, a Jinja template as in dbt. A value that the file names and lacks is an error."""
    return _templates(path.parent).get_template(path.name).render(values)


@cache
def _templates(folder: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(loader=FileSystemLoader(folder), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
