"""What ingestion accepts, the models can compute with: no accepted value ends in a conversion error of a build.

Belongs here: expressions of the models that multiply, divide, sum or cast amounts, over the extremes of the contract
(`ingestion/domain/datasets.py`). Does not: what these expressions mean (unit tests of the models).

The macros are rendered as dbt renders them, and computed by DuckDB over rows that keep the contract.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.decode.contracts import TotalCheck, row_faults
from ingestion.decode.values import EXACT
from ingestion.domain.datasets import AGG_TRADES, FUNDING_RATE, KLINES, METRICS, TAKER_RATIO, TRADES, Dataset
from ingestion.domain.errors import ContractViolation
from ingestion.domain.periods import Period
from tests.support.macros import taker

DAY = Period.of_day(date(2024, 1, 2))
AT = datetime(2024, 1, 2, 3, tzinfo=UTC)
LARGEST = Decimal("9999999999999999999999999999")


def extremes(limit: Decimal, scale: int) -> st.SearchStrategy[Decimal]:
    """Numbers around nothing, the smallest step, one, and the limit of a column."""
    step = Decimal(1).scaleb(-scale)
    fixed = [Decimal(0), step, Decimal(1), limit / 2, limit - step, limit, limit * 10, LARGEST]
    anything = st.builds(lambda n, e: Decimal(n).scaleb(e), st.integers(0, 10**9), st.integers(-scale, 18))
    either = st.one_of(st.sampled_from(fixed), anything)
    return either.map(lambda value: min(value, LARGEST).quantize(step, context=EXACT))


def accepted(dataset: Dataset, rows: list[dict[str, Any]], *, is_inverse: bool = False) -> pa.Table:
    """The rows that keep the contract, with the stored types."""
    fitting = [
        row
        for row in rows
        if all(
            not isinstance(value, Decimal) or value.adjusted() < column.type.precision - column.type.scale
            for column in dataset.columns
            if (value := row[column.name]) is not None and pa.types.is_decimal(column.type)
        )
    ]
    table = pa.Table.from_pylist(fitting, schema=dataset.schema)
    good = np.ones(table.num_rows, dtype=bool)
    for fault in row_faults(table, dataset, DAY, is_inverse=is_inverse):
        good &= ~fault.failing.to_numpy(zero_copy_only=False)
    return table.filter(pa.array(good))


def computed(table: pa.Table, *queries: str) -> Iterator[list[tuple[Any, ...]]]:
    with duckdb.connect() as connection:
        connection.register("rows", table)
        for query in queries:
            yield connection.sql(query).fetchall()


def check_total(table: pa.Table) -> None:
    if table.num_rows:
        TotalCheck("file").add(table, *(pc.max(table[name]).as_py() for name in ("price", "quantity")))


PRICES = extremes(Decimal(10) ** 10, 12)
AMOUNTS = extremes(Decimal(10) ** 14, 8)
fast = settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@fast
@given(
    st.lists(st.tuples(PRICES, AMOUNTS), min_size=1, max_size=12),
    st.sampled_from(
        [("linear", "1"), ("linear", "0.01"), ("linear", "99999999"), ("inverse", "100"), ("inverse", "99999999")]
    ),
)
def test_trades_are_valued_and_summed(pairs: list[tuple[Decimal, Decimal]], contract: tuple[str, str]) -> None:
    kind, size = contract
    rows = [
        {
            "trade_id": n,
            "price": price,
            "quantity": quantity,
            "venue_notional": None,
            "traded_at": AT,
            "is_buyer_maker": bool(n % 2),
        }
        for n, (price, quantity) in enumerate(pairs)
    ]
    table = accepted(TRADES, rows, is_inverse=kind == "inverse")
    try:
        check_total(table)
    except ContractViolation:
        return
    usd, base = (
        macro(f"'{kind}'", f"cast({size} as decimal(38,8))", "price", "quantity")
        for macro in (taker.notional_usd, taker.base_amount)
    )
    list(
        computed(
            table,
            f"""
            with valued as (select {usd} as usd, {base} as base, is_buyer_maker as side, price from rows),
            sums as (
                select
                    cast(coalesce(sum(case when side then usd end), 0) as decimal(38,16)) as sold,
                    cast(coalesce(sum(case when not side then usd end), 0) as decimal(38,16)) as bought,
                    cast(coalesce(sum(base), 0) as decimal(38,16)) as base
                from valued
            )
            select
                cast(base * cast(100000000 as bigint) as decimal(38,16)),
                cast(sold + bought as decimal(38,8)),
                {taker.exact_quotient("sold", "(sold + bought)")},
                {taker.exact_quotient("bought", "sold")}
            from sums
            """,
            f"select cast(price * {taker.unit_price_factor(1)} as decimal(38,18)) from rows",
        )
    )


@fast
@given(st.lists(st.tuples(PRICES, PRICES, AMOUNTS, AMOUNTS), min_size=1, max_size=6), st.sampled_from([1, 10**8]))
def test_klines_are_valued_and_compared(bars: list[tuple[Decimal, ...]], multiplier: int) -> None:
    rows = [
        {
            "opened_at": AT,
            "open_price": first,
            "high_price": last,
            "low_price": first,
            "close_price": last,
            "volume": volume,
            "closed_at": AT,
            "quote_volume": quote,
            "trade_count": 10**9 - 1,
            "taker_buy_volume": volume,
            "taker_buy_quote_volume": quote,
        }
        for first, last, volume, quote in bars
    ]
    factor = taker.unit_price_factor(multiplier)
    change = taker.price_change("open_unit", "close_unit")
    list(
        computed(
            accepted(KLINES, rows),
            f"""
            with priced as (
                select
                    cast(open_price * {factor} as decimal(38,18)) as open_unit,
                    cast(close_price * {factor} as decimal(38,18)) as close_unit
                from rows
            ),
            changed as (select {change} as ratio from priced)
            select {taker.change_text("cast(ratio as double)")} from changed
            """,
            f"""
            select
                cast(volume * cast(99999999 as decimal(38,8)) as decimal(38,16)),
                cast(cast(quote_volume as decimal(38,16)) as decimal(38,8)),
                cast(cast(volume as decimal(38,16)) * cast({multiplier} as bigint) as decimal(38,16)),
                {taker.exact_quotient("quote_volume", "volume")},
                {taker.exact_quotient("quote_volume - taker_buy_quote_volume", "volume")},
                {taker.value_text("'base'", "volume")}, {taker.value_text("'usd'", "quote_volume")}
            from rows
            """,
            "select cast(sum(trade_count) as bigint) from rows",
        )
    )


@fast
@given(st.lists(extremes(Decimal(10) ** 12, 18), min_size=1, max_size=6), st.sampled_from([1, 10**8]))
def test_metrics_rates_and_ratios_are_converted(values: list[Decimal], multiplier: int) -> None:
    names = [column.name for column in METRICS.columns[2:]]
    metrics = [{"observed_at": AT, "symbol_name": "A", **dict.fromkeys(names, value)} for value in values]
    list(
        computed(
            accepted(METRICS, metrics),
            f"""
            select
                cast(open_interest * cast({multiplier} as bigint) as decimal(38,8)),
                cast(cast(open_interest as decimal(38,8)) * cast(99999999 as decimal(38,8)) as decimal(38,8)),
                cast(open_interest_value as decimal(38,8))
            from rows
            """,
        )
    )
    rates = [{"calculated_at": AT, "funding_interval_hours": 1, "funding_rate": value} for value in values]
    list(computed(accepted(FUNDING_RATE, rates), "select cast(sum(funding_rate) as decimal(38,18)) from rows"))
    amounts = [value.quantize(Decimal("1e-8"), context=EXACT) for value in values]
    ratios = [
        {"observed_at": AT, "buy_volume": amount, "sell_volume": amount, "buy_sell_ratio": 1} for amount in amounts
    ]
    query = f"select cast(buy_volume * cast({multiplier} as bigint) as decimal(38,8)) from rows"
    list(computed(accepted(TAKER_RATIO, ratios), query))


def quotient(numerator: str, denominator: str) -> Decimal | None:
    one, other = (f"cast({value} as decimal(38,8))" for value in (numerator, denominator))
    ((found,),) = next(computed(pa.table({"a": [1]}), f"select {taker.exact_quotient(one, other)}"))
    return found


@pytest.mark.parametrize(
    ("numerator", "denominator", "result"),
    [
        ("1", "3", "0.3333333333333333"),
        ("-2", "3", "-0.6666666666666667"),
        ("200000000000000", "3", "66666666666666.6666666666666667"),
        ("-99999999999999999999", "7", "-14285714285714285714.1428571428571429"),
        ("5", "0", None),
        ("9999999999999999999999", "0.00000001", None),
        ("100000000000000", "0.00000001", None),
    ],
)
def test_a_quotient_is_exact_whatever_its_size_or_null(numerator: str, denominator: str, result: str | None) -> None:
    assert quotient(numerator, denominator) == (None if result is None else Decimal(result))


def test_the_sum_of_what_is_accepted_of_one_trade_is_not_accepted_of_a_file() -> None:
    rows = [
        {
            "agg_trade_id": n,
            "price": Decimal(10) ** 6,
            "quantity": Decimal(9) * 10**9,
            "first_trade_id": n,
            "last_trade_id": n,
            "traded_at": AT,
            "is_buyer_maker": True,
        }
        for n in range(12)
    ]
    table = accepted(AGG_TRADES, rows)
    assert table.num_rows == 12
    with pytest.raises(ContractViolation, match="of all rows is 1e\\+17 or more, which no day is"):
        check_total(table)
