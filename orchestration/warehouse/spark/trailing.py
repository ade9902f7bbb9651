"""How each bar of a series stands in its trailing window: a function of Spark's SQL that DuckDB computes.

Belongs here: `taker_trailing`, which `dbt_project/macros/engine/windows.sql` calls. Does not: what a rank means (the
models), or the window's edge beyond what is passed.

Spark computes a sliding frame anew for every row: rows × window, nine minutes of a build that takes DuckDB seconds
(decision 23). A series is collected into one row of arrays,
and DuckDB's own frames are taken over them in the worker's Python, which needs duckdb, numpy, pandas and pyarrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession

NAME: Final = "taker_trailing"
_RETURNS: Final = (
    "struct<rank_from_lowest: array<bigint>, rank_from_highest: array<bigint>, window_bars: array<bigint>, "
    "covered: array<bigint>, lower_quartile: array<double>, median: array<double>, upper_quartile: array<double>, "
    "lowest_nearby: array<bigint>, highest_nearby: array<bigint>>"
)
# What each bar of a series has, in the order of the arguments: whole numbers of 64 bits, and the value as a double.
_GIVEN: Final = ("bar_at", "place", "value", "coverage", "window_length", "near")
# One row per bar, in the order of the series. Instants are microseconds; a bar at the window's left edge is outside.
# Each bar has a window of its own, as in the frames of `duckdb__windowed`.
_FRAMES: Final = """
    select
        rank(order by place) over trailing_window,
        rank(order by place desc) over trailing_window,
        count(*) over trailing_window,
        cast(sum(coverage) over trailing_window as bigint),
        quantile_cont(value, [0.25, 0.5, 0.75]) over prior_window,
        min(place) over neighbours,
        max(place) over neighbours
    from bars
    window
        trailing_window as (order by bar_at range between window_length - 1 preceding and current row),
        prior_window as (order by bar_at range between window_length - 1 preceding and 1 preceding),
        neighbours as (order by bar_at range between near preceding and near following)
    order by bar_at
"""


def register(session: SparkSession) -> None:
    """Make `taker_trailing(bar_at, place, value, coverage, window, near)` a function of the session's SQL."""
    import pyspark.cloudpickle as cloudpickle
    from pyspark.sql.functions import PandasUDFType, pandas_udf

    import orchestration.warehouse.spark.trailing as itself

    # The workers need not have Taker installed.
    cloudpickle.register_pickle_by_value(itself)
    # By its kind and not by its annotations, whose names are there for a type checker alone.
    session.udf.register(NAME, pandas_udf(trailing, _RETURNS, PandasUDFType.SCALAR))


def trailing(
    bar_at: pd.Series, place: pd.Series, value: pd.Series, coverage: pd.Series, window: pd.Series, near: pd.Series
) -> pd.DataFrame:
    """Each row a series in order of time, whose bars have their elements in each array. `place`: the dense rank of the
    pressure among all of its bars, from 1. `window`, `near`: how far the frames of the bar reach, in microseconds.

    `covered` is in the unit of `coverage`; `lowest_nearby` and `highest_nearby` are positions in the series, from 0.
    """
    import duckdb
    import pandas as pd

    made: list[dict[str, Any]] = []
    with duckdb.connect(config={"threads": 1}) as connection:
        for series in zip(bar_at, place, value, coverage, window, near, strict=True):
            made.append(_of_one_series(connection, *series))
    return pd.DataFrame(made, columns=[part.split(":")[0].strip() for part in _RETURNS[7:-1].split(",")])


def _of_one_series(connection: Any, *arrays: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    given = dict(zip(_GIVEN, arrays, strict=True))
    types = {**dict.fromkeys(_GIVEN, pa.int64()), "value": pa.float64()}
    connection.register("bars", pa.table({name: pa.array(given[name], types[name]) for name in _GIVEN}))
    place = given["place"]
    found = connection.execute(_FRAMES).to_arrow_table()
    columns = [column.combine_chunks() for column in found.columns]
    position = np.empty(len(place) + 1, dtype=np.int64)
    position[np.asarray(place, dtype=np.int64)] = np.arange(len(place))
    quartiles = [[one[number] if one else None for one in columns[4].to_pylist()] for number in range(3)]
    return {
        "rank_from_lowest": columns[0].to_numpy(zero_copy_only=False),
        "rank_from_highest": columns[1].to_numpy(zero_copy_only=False),
        "window_bars": columns[2].to_numpy(zero_copy_only=False),
        "covered": columns[3].to_numpy(zero_copy_only=False),
        "lower_quartile": quartiles[0],
        "median": quartiles[1],
        "upper_quartile": quartiles[2],
        "lowest_nearby": position[columns[5].to_numpy(zero_copy_only=False)],
        "highest_nearby": position[columns[6].to_numpy(zero_copy_only=False)],
    }
