"""dbt for the Makefile: `python -m orchestration.runs.dbt manifest`, `… docs` and `… dbt build --select …`.

Belongs here: the command line of what a person starts without a run. Does not: how dbt is started
(`orchestration.warehouse.dbt`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from orchestration.config.settings import SettingsError, load_settings
from orchestration.state.locks import Busy
from orchestration.warehouse.dbt import DbtFailed, build_docs, build_manifest, run_dbt
from orchestration.warehouse.opening import WarehouseLocked, WarehouseUnusable


def main(arguments: Sequence[str]) -> int:
    """`manifest` or `docs` prints the path of what was built; `dbt …` runs dbt and exits as it does."""
    builders = {"manifest": build_manifest, "docs": build_docs}
    command, *args = arguments or ("",)
    if command != "dbt" and (args or command not in builders):
        print("usage: python -m orchestration.runs.dbt manifest|docs|dbt …", file=sys.stderr)
        return 2
    try:
        settings = load_settings()
        config = settings.dbt
        if command == "dbt":
            return run_dbt(args or ["--help"], config, wait=settings.lock_wait_seconds, report=_report)
        print(builders[command](config))
    except KeyboardInterrupt:
        return 130
    except (SettingsError, DbtFailed, Busy, WarehouseLocked, WarehouseUnusable) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
