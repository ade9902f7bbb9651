"""Where the documentation is, on the machine of who reads a message.

Belongs here: the folder, of a checkout and of an installed wheel. Does not: its pages.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2] / "docs"


def documentation() -> Path | None:
    """The folder of the pages: `docs` of a checkout, relative where one stands in it, else what the wheel installed.

    None where it was not installed, as in the image.
    """
    installed = Path(sysconfig.get_path("data")) / "share" / "doc" / "taker" / "docs"
    found = next((folder for folder in (_CHECKOUT, installed) if (folder / "querying.md").is_file()), None)
    here = Path.cwd()
    return found.relative_to(here) if found is not None and found.is_relative_to(here) else found
