"""Where the documentation is, on the machine of who reads a message.

Belongs here: the folder, of a checkout and of an installed wheel. Does not: its pages.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2] / "docs"


def documentation() -> Path:
    """The folder of the pages: `docs` of a checkout, relative where one stands in it, else what the wheel installed."""
    if not (_CHECKOUT / "querying.md").is_file():
        return Path(sysconfig.get_path("data")) / "share" / "doc" / "taker" / "docs"
    here = Path.cwd()
    return _CHECKOUT.relative_to(here) if _CHECKOUT.is_relative_to(here) else _CHECKOUT
