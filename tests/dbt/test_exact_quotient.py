"""The quotient of two amounts is exact: what long division on paper gives, at 16 decimals.

Belongs here: the value of `exact_quotient` in DuckDB. Does not: Spark's (`tests/spark`), that no value fails
(`test_accepted_values`).
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

import duckdb
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.macros import taker

EXACT = Context(prec=100)
EXPRESSION = taker.exact_quotient("n", "d")
MOST = Decimal(10) ** 21


def amounts(scale: int) -> st.SearchStrategy[Decimal]:
    """Of every magnitude that fits DECIMAL(38,scale) and the macro's limit of 10^22, either sign."""
    digits = min(30, 22 + scale)
    return st.builds(
        lambda n, size, sign: Decimal(sign * (n % 10**size)).scaleb(-scale, EXACT),
        st.integers(0, 10**digits),
        st.integers(0, min(digits, 21 + scale)),
        st.sampled_from([1, -1]),
    )


def by_hand(n: Decimal, d: Decimal) -> Decimal | None:
    """Of the two at 8 decimals, half away from zero, which is what ROUND_HALF_UP of `decimal` means."""
    n, d = (value.quantize(Decimal("1e-8"), ROUND_HALF_UP, EXACT) for value in (n, d))
    if not d:
        return None
    quotient = EXACT.divide(abs(n), abs(d)).quantize(Decimal("1e-16"), ROUND_HALF_UP, EXACT)
    return quotient.copy_sign(EXACT.multiply(n, d)) if quotient else Decimal(0)


@settings(max_examples=40, derandomize=True)
@given(st.sampled_from([8, 16]).flatmap(lambda s: st.tuples(st.just(s), st.lists(st.tuples(amounts(s), amounts(s))))))
@example((8, [(Decimal("1"), Decimal("0")), (Decimal("-1"), Decimal("3")), (Decimal("0"), Decimal("-5"))]))
@example((8, [(Decimal("999999999.99999999"), Decimal("0.00000001")), (Decimal("1000000000"), Decimal("7"))]))
@example((16, [(Decimal("0.0000000050000000"), Decimal("1")), (Decimal("-0.0000000049999999"), Decimal("1"))]))
def test_is_what_long_division_gives(case: tuple[int, list[tuple[Decimal, Decimal]]]) -> None:
    scale, pairs = case
    expected = [by_hand(n, d) for n, d in pairs]
    with duckdb.connect() as connection:
        connection.execute(f"create table pairs (i integer, n decimal(38,{scale}), d decimal(38,{scale}))")
        for i, (n, d) in enumerate(pairs):
            connection.execute(f"insert into pairs values ({i}, {n:f}, {d:f})")
        found = [row[0] for row in connection.execute(f"select {EXPRESSION} from pairs order by i").fetchall()]
    # NULL where the quotient has more digits than there is room for.
    assert [
        None if want is not None and abs(want) >= MOST and got is None else got
        for got, want in zip(found, expected, strict=True)
    ] == [want if want is None or abs(want) < MOST else None for want in expected]
