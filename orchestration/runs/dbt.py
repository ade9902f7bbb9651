"""dbt for the Makefile: `python -m orchestration.runs.dbt manifest` and `… docs`.

Belongs here: the command line of the two builds that a person starts without a run. Does not: how dbt is started
(`orchestration.warehouse.dbt`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from orchestration.config.settings import SettingsError, load_settings
from orchestration.warehouse.dbt import DbtFailed, build_docs, build_manifest


def main(arguments: Sequence[str]) -> int:
    """Print the path of what was built: the manifest that the definitions load, or dbt's documentation."""
    builders = {"manifest": build_manifest, "docs": build_docs}
    if len(arguments) != 1 or arguments[0] not in builders:
        print("usage: python -m orchestration.runs.dbt manifest|docs", file=sys.stderr)
        return 2
    try:
        print(builders[arguments[0]](load_settings().dbt))
    except (SettingsError, DbtFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
