"""Why a UTC day of trades cannot be that of a market: reasons, with the figures.

Belongs here: rules over the facts of one day (`ingestion.decode.parquet.DayFacts`), and how many rows they
need. Does not: gathering the facts, faults of single rows (`ingestion.decode.contracts`), or comparing a day with
other days or with bars (dbt). The data is stored all the same, as it was published; flow must not use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ingestion.decode.parquet import DayFacts

# Fewer trades may well be alike; a thousand with a random side do not all have the same.
ENOUGH_ROWS: Final = 1_000
# Of a hundred rows, more than so many whose notional is not price × quantity.
_MISMATCHES_PERCENT: Final = 1


def doubts(facts: DayFacts) -> Iterator[str]:
    """Reasons why these trades cannot be those of a market, sentences without a full stop; none for few trades."""
    if facts.rows < ENOUGH_ROWS:
        return
    if facts.buyer_maker_rows in (0, facts.rows):
        side = "sold" if facts.buyer_maker_rows else "bought"
        yield f"the taker {side} in every one of {facts.rows} trades"
    if facts.min_price == facts.max_price:
        yield f"every one of {facts.rows} trades has the price {facts.min_price.normalize():f}"
    if facts.min_quantity == facts.max_quantity:
        yield f"every one of {facts.rows} trades has the quantity {facts.min_quantity.normalize():f}"
    if facts.min_at == facts.max_at:
        yield f"every one of {facts.rows} trades happened at {facts.min_at:%Y-%m-%d %H:%M:%S.%f} UTC"
    wrong = facts.notional_mismatches or 0
    if wrong * 100 > facts.rows * _MISMATCHES_PERCENT:
        yield f"the notional of {wrong} of {facts.rows} trades is not price times quantity"
