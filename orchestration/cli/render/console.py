"""Where the command line writes.

Belongs here: consoles. Does not: what is written.
"""

from __future__ import annotations

import sys

from rich.console import Console


def stdout() -> Console:
    """Where answers go. Piped output is as wide as it needs to be."""
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False, soft_wrap=not sys.stdout.isatty())


def stderr() -> Console:
    """Where progress and complaints go: the standard error of now, also while a run keeps others from writing to it."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=not sys.stderr.isatty())
