"""Standings in a trailing window as Spark's workers compute them, against sorting each window by itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from orchestration.warehouse.spark.trailing import trailing

HOUR = 3_600_000_000


def one_series(places: list[int], hours: list[int], window: int | list[int], near: int = 0) -> dict[str, list[object]]:
    """What the function gives for one series, by column. `window`: that of each bar, or one of all."""
    row = [
        np.array(hours, dtype="int64") * HOUR,
        np.array(places, dtype="int64"),
        np.array(places, dtype="float64") * 10,
        np.full(len(places), 100_000_000, dtype="int64"),
        np.full(len(places), window, dtype="int64") * HOUR,
        np.full(len(places), near, dtype="int64") * HOUR,
    ]
    found = trailing(*(pd.Series([value]) for value in row)).iloc[0]
    return {str(name): list(values) for name, values in found.items()}


def test_the_left_edge_of_the_window_is_outside() -> None:
    found = one_series([3, 1, 2], [0, 1, 2], window=2)
    assert found["window_bars"] == [1, 2, 2]
    assert found["rank_from_lowest"] == [1, 1, 2]
    assert found["rank_from_highest"] == [1, 2, 1]


def test_each_bar_has_a_window_of_its_own() -> None:
    found = one_series([3, 1, 2], [0, 1, 2], window=[1, 1, 3])
    assert found["window_bars"] == [1, 1, 3]
    assert found["rank_from_lowest"] == [1, 1, 2]


def test_ties_share_the_lower_rank() -> None:
    found = one_series([2, 2, 1], [0, 1, 2], window=9)
    assert found["rank_from_lowest"] == [1, 1, 1]
    assert found["rank_from_highest"] == [1, 1, 3]


def test_quartiles_are_of_the_bars_before_and_missing_without_any() -> None:
    found = one_series([1, 2, 3], [0, 1, 2], window=9)
    assert found["median"] == [None, 10.0, 15.0]
    assert found["lower_quartile"] == [None, 10.0, 12.5]
    assert found["upper_quartile"] == [None, 10.0, 17.5]


def test_neighbours_lie_on_both_sides_and_are_given_by_their_position() -> None:
    found = one_series([2, 3, 1], [0, 2, 4], window=9, near=2)
    assert found["lowest_nearby"] == [0, 2, 2]
    assert found["highest_nearby"] == [1, 1, 1]


def test_coverage_is_summed_in_its_unit() -> None:
    assert one_series([1, 1, 1], [0, 1, 2], window=2)["covered"] == [100_000_000, 200_000_000, 200_000_000]


@pytest.mark.parametrize("window", [24, 17_520])
def test_a_series_of_two_hundred_thousand_bars_is_ranked_as_each_window_sorted(window: int) -> None:
    """More than 2^17, where a count by a fixed number of bits would be silently wrong."""
    rng = np.random.default_rng(7)
    places = rng.permutation(200_000) + 1
    found = one_series(places.tolist(), list(range(200_000)), window)
    for bar in [0, 1, window - 1, window, 131_072, *rng.integers(0, 200_000, 200), 199_999]:
        seen = places[max(0, bar - window + 1) : bar + 1]
        assert found["rank_from_lowest"][bar] == 1 + (seen < places[bar]).sum()
        assert found["rank_from_highest"][bar] == 1 + (seen > places[bar]).sum()
        assert found["window_bars"][bar] == len(seen)
        before = seen[:-1] * 10.0
        assert found["median"][bar] == (np.quantile(before, 0.5) if len(before) else None)
