"""dbt as a child that ends with the process that started it: `python -P -m orchestration.warehouse.child build …`.

Belongs here: that a killed `taker run` takes its dbt with it, which would go on writing the warehouse; and a child that
waits for its arguments. Does not: how a child ends with its parent (`orchestration.state.parent`), when dbt is started,
and with which arguments (`orchestration.warehouse.dbt`, `orchestration.warehouse.begun`).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Final

from orchestration.state.leaving import leave
from orchestration.state.parent import end_with_parent
from orchestration.warehouse.parsed import import_dbt, load_parsed, run_dbt

# `-P`: the folder dbt is started in is no place for modules.
DBT_COMMAND: Final = (sys.executable, "-P", "-m", "orchestration.warehouse.child")
# In place of dbt's arguments: the path of the parsed project follows, and the arguments come on standard input.
WAITS: Final = "--wait-for-arguments"


def run_when_instructed(path: Path) -> None:
    """Import dbt and read the parsed project at `path`, then run dbt with the arguments, the environment and the folder
    that one line of standard input states as JSON. Nothing where it ends without a line."""
    import_dbt()
    loaded = {path: load_parsed(path)}
    if not (line := sys.stdin.buffer.readline()):
        return
    arguments, environment, folder = json.loads(line)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv[1:] = arguments
    run_dbt(arguments, loaded)


def main() -> None:
    end_with_parent()
    try:
        if sys.argv[1:2] == [WAITS]:
            run_when_instructed(Path(sys.argv[2]))
        else:
            run_dbt(sys.argv[1:])
    except SystemExit as end:
        leave(end)


if __name__ == "__main__":
    main()
