"""Promise 5, the long proof: coverage-guided inputs for every reader of what venues send.

`-s` prints how many inputs there were and how many reached something new. What is found is written to
`tests/ingestion/corpus`, which every later run reads (`tests/ingestion/test_bad_bytes.py`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from hashlib import sha256

import pytest

from tests.support.fuzzing import CORPUS, seeds
from tests.support.guided import fuzzed

SEEDS = seeds()
# Of CPU, per target: in all more than ten minutes.
SECONDS = 25


def kept(target: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(CORPUS.glob(f"{_file_name(target)}__*.bin"))]


def _file_name(target: str) -> str:
    return target.replace(" ", "~").replace(":", "=")


@pytest.mark.parametrize("target", SEEDS)
def test_guided_inputs_end_in_rows_or_in_an_error_of_the_project(
    target: str, rng: random.Random, scaled: Callable[[int], int]
) -> None:
    found = fuzzed(target, [*SEEDS[target], *kept(target)], rng, scaled(SECONDS))
    print(
        f"{target}: {found.inputs} inputs, {found.kept} reached something new, the slowest took {found.slowest:.2f} s"
    )
    for finding in found.findings.values():
        name = f"{_file_name(target)}__{sha256(finding.payload).hexdigest()[:12]}.bin"
        (CORPUS / name).write_bytes(finding.payload)
    assert [finding.error for finding in found.findings.values()] == []
