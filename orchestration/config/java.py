"""The Java of this machine, as Spark's scripts look for it. Belongs here: where it is. Does not: who needs it."""

from __future__ import annotations

import os
import shutil


def java() -> str | None:
    """The program, of JAVA_HOME where that is set and of PATH otherwise; None where there is none."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=f"{home}/bin" if home else None)
