"""The long proof that a publication upon the former one is the one from nothing: hundreds of publications."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.republished import Republished, contents


def test_whatever_happens_a_publication_equals_the_one_from_nothing(
    tmp_path: Path, scaled: Callable[[int], int], seed: int
) -> None:
    for number in range(scaled(20)):
        folder = tmp_path / str(number)
        folder.mkdir()
        history = Republished(folder, seed * 1000 + number)
        happened = []
        for _ in range(25):
            happened.append(history.happen())
            anew = history.anew()
            history.publish()
            assert contents(history.upon) == contents(anew), (seed, number, happened)
