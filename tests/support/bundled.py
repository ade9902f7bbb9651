"""Importing this gives every command forked from here the JavaScript of the report, bundled already.

Belongs here: that one script. Does not: how it is bundled (`orchestration.report.charts`).

Each new state folder bundles its own for a second and a half, and what bundles it cannot be forked: another process
does it, once. The tests of the report itself, and every command that is started anew, bundle as users do.
"""

from __future__ import annotations

import subprocess
import sys

from orchestration.report import charts

_PROGRAM = "import sys; from orchestration.report.charts import library; sys.stdout.write(library())"
_SCRIPT = subprocess.run([sys.executable, "-c", _PROGRAM], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
charts._bundle = lambda: _SCRIPT  # type: ignore[assignment]
