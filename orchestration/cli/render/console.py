"""Where the command line writes.

Belongs here: consoles. Does not: what is written.
"""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from orchestration.cli.hints import as_typed


class _Console(Console):
    def render_str(self, text: str, **options: Any) -> Text:
        """Every text that is printed comes by here; those that are no sentences name no command."""
        return super().render_str(as_typed(text), **options)


def stdout() -> Console:
    """Where answers go. Piped output is as wide as it needs to be."""
    return _Console(width=None if sys.stdout.isatty() else 160, highlight=False, soft_wrap=not sys.stdout.isatty())


def stderr() -> Console:
    """Where progress and complaints go: the standard error of now, also while a run keeps others from writing to it."""
    return _Console(file=sys.stderr, highlight=False, soft_wrap=not sys.stderr.isatty())
