"""What the database counts of a frame, beside the rules that pandas judges in `test_mutations`."""

import duckdb
import pytest

from orchestration.warehouse.audit.broken import count_broken
from orchestration.warehouse.audit.rules import AuditSuite, UniqueKey


@pytest.mark.parametrize(
    ("rows", "broken"),
    [
        ("('a', 1), ('a', 2), ('b', 1)", 0),
        ("('a', 1), ('a', 1), ('b', 1), ('b', 1), ('b', 1)", 5),
        # A key that is not known is one key, as for `group by`.
        ("('a', null), ('a', null), (null, 1)", 2),
        ("('a', null), (null, 1)", 0),
    ],
)
def test_a_key_is_broken_by_every_row_that_shares_it(rows: str, broken: int) -> None:
    suite = AuditSuite("suite", "mart", ("market_id", "number"), "suite.sql", "", (UniqueKey(),))
    with duckdb.connect() as connection:
        counted = count_broken(connection, suite, f"select * from (values {rows}) as frame (market_id, number)")
    assert counted.broken == (broken,)
