"""Execute the notebooks on a publication: `python -m tools.notebooks`, on the demo's, or `… PATH/marts.duckdb`.

Belongs here: running them from an empty kernel and storing what they print. Does not: what they show (`notebooks/`).

A notebook that is committed was executed: its answers are in it for who only reads. Nothing in it depends on when or
where that was: no times, no kernel of one machine, no count of executions beyond the order of the cells.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "notebooks"
DEMO: Final = ROOT / "var" / "demo" / "serving" / "marts.duckdb"
# Where a notebook finds the publication.
MARTS: Final = "MARTS"


def executed(path: Path, marts: Path) -> Any:
    """The notebook with its outputs, from a kernel of its own. CellExecutionError quotes a cell that fails."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    environment = {**os.environ, MARTS: str(marts), "PYTHONHASHSEED": "0"}
    place = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=300, resources=place, record_timing=False)
    client.execute(env=environment)
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return notebook


def main(arguments: list[str]) -> int:
    import nbformat

    marts = Path(arguments[0]).absolute() if arguments else DEMO
    if not marts.is_file():
        print(f"error: nothing is published at {marts}; run `make demo` first", file=sys.stderr)
        return 1
    for path in sorted(FOLDER.glob("*.ipynb")):
        nbformat.write(executed(path, marts), path)  # type: ignore[no-untyped-call]
        print(f"executed {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
