"""A rule as one expectation of Great Expectations: its name and its arguments.

Belongs here: which expectation states which rule. Does not: importing Great Expectations (`gx`), what is expected
(`suites`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from orchestration.warehouse.audit.rules import (
    AtLeast,
    Between,
    Holds,
    Known,
    Never,
    NotEmpty,
    OneOf,
    Rule,
    UniqueKey,
    Zero,
)


def expectation_of(rule: Rule, key: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Class name and arguments of the expectation that states `rule` in a suite with this key."""
    match rule:
        case Holds(column):
            return "ExpectColumnValuesToBeInSet", {"column": column, "value_set": [True]}
        case Zero(column):
            return "ExpectColumnValuesToBeBetween", {"column": column, "min_value": 0, "max_value": 0}
        case Between(column, low, high):
            bounds = {"min_value": low, "max_value": high, "strict_min": rule.strictly_above}
            return "ExpectColumnValuesToBeBetween", {"column": column, **bounds}
        case AtLeast(larger, smaller):
            pair = {"column_A": larger, "column_B": smaller, "or_equal": True}
            return "ExpectColumnPairValuesAToBeGreaterThanB", {**pair, "ignore_row_if": "either_value_is_missing"}
        case OneOf(column, values):
            return "ExpectColumnValuesToBeInSet", {"column": column, "value_set": list(values)}
        case Never(column, value):
            return "ExpectColumnValuesToNotBeInSet", {"column": column, "value_set": [value]}
        case Known(column):
            return "ExpectColumnValuesToNotBeNull", {"column": column}
        case UniqueKey():
            if len(key) == 1:
                return "ExpectColumnValuesToBeUnique", {"column": key[0]}
            return "ExpectCompoundColumnsToBeUnique", {"column_list": list(key)}
        case NotEmpty():
            return "ExpectTableRowCountToBeBetween", {"min_value": 1}


def name_of(kind: str) -> str:
    """The name under which Great Expectations reports an expectation of this class."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()


def columns_of(arguments: dict[str, Any]) -> list[str]:
    """The columns that an expectation with these arguments looks at; none for one about the whole frame."""
    if "column_list" in arguments:
        return list(arguments["column_list"])
    return [arguments[name] for name in ("column", "column_A", "column_B") if name in arguments]
