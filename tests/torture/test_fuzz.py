"""The long version of `tests/ingestion/test_bad_bytes.py`: many inputs per target, and coverage-guided ones.

`TAKER_TORTURE_EXAMPLES`: inputs per target. Coverage-guided fuzzing needs `atheris`, which is not among the locked
packages: `python -m pip install atheris` into the environment, Python 3.11; without it that test is skipped. What it
finds is written to `tests/ingestion/corpus`, which every later run reads.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.ingestion.test_bad_bytes import SEEDS, damaged
from tests.support.fuzzing import attempt

pytestmark = pytest.mark.torture
EXAMPLES = int(os.environ.get("TAKER_TORTURE_EXAMPLES", "2000"))
ROOT = Path(__file__).resolve().parents[2]

GUIDED = textwrap.dedent(
    """
    import sys
    import atheris
    with atheris.instrument_imports(include=["ingestion"]):
        from tests.support.fuzzing import attempt
    target = sys.argv.pop(1)
    atheris.Setup(sys.argv, lambda payload: attempt(target, payload))
    atheris.Fuzz()
    """
)


@pytest.mark.parametrize("target", SEEDS)
def test_many_damaged_inputs_end_in_rows_or_in_an_error_of_the_project(target: str) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(damaged(SEEDS[target]))
    def check(payload: bytes) -> None:
        attempt(target, payload)

    check()


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize("target", SEEDS)
def test_coverage_guided_inputs_end_in_rows_or_in_an_error_of_the_project(target: str, tmp_path: Path) -> None:
    folder = tmp_path / "seeds"
    folder.mkdir()
    for n, good in enumerate(SEEDS[target]):
        (folder / str(n)).write_bytes(good)
    found = tmp_path / "found-"
    command = [sys.executable, "-c", GUIDED, target, str(folder), f"-runs={EXAMPLES}", f"-artifact_prefix={found}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    for path in tmp_path.glob("found-*"):
        name = f"{target.replace(' ', '~').replace(':', '=')}__{path.name[-16:]}.bin"
        (ROOT / "tests/ingestion/corpus" / name).write_bytes(path.read_bytes())
    assert done.returncode == 0, done.stderr[-4000:]
