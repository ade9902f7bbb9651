"""dbt-spark without its switch of Spark's ANSI mode, which it turns off before every statement.

Belongs here: the one method that is replaced. Does not: why the mode is needed (`conf`).

Without it Spark takes `"date"` for a text, makes NULL of an overflow, and writes decimals with exponents.
    Upstream: `SparkCredentials.__post_init__` of dbt-spark 1.11; no issue is known that requests a setting.
    Remove when: `server_side_parameters` of the profile can state `spark.sql.ansi.enabled`.
"""

from __future__ import annotations

from functools import wraps
from typing import Any, Final

_SWITCH: Final = "spark.sql.ansi.enabled"


def keep_ansi_mode() -> None:
    """From now on dbt-spark, in this process, leaves the mode of the session as it is."""
    from dbt.adapters.spark.connections import SparkCredentials

    original = SparkCredentials.__post_init__

    @wraps(original)
    def without_switch(credentials: Any) -> None:
        original(credentials)
        credentials.server_side_parameters.pop(_SWITCH, None)

    SparkCredentials.__post_init__ = without_switch
