"""Briefs: rows of rpt_market_brief_daily.

Belongs here: which rows a question means. Does not: the sentence (dbt_project), how it is printed.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from orchestration.config.marts import Marts
from orchestration.serving.published import DayNotPublished, connect, resolve_market
from orchestration.warehouse.sql import literal


def briefs(serving: Marts, day: date | None = None, market: str | None = None) -> list[dict[str, Any]]:
    """Rows of rpt_market_brief_daily: of `day`, by default each market's latest, and of `market`, by default all.

    Raises MarketNotPublished, and DayNotPublished when there is none of that day.
    """
    with connect(serving) as connection:
        spans = connection.execute(_BRIEF_SPANS).fetchall()
        markets = [name for name, *_ in spans] if market is None else [resolve_market(market, [s[0] for s in spans])]
        # Literals: to bind parameters, DuckDB imports pandas, which takes longer than the answer.
        wanted = {"markets": ", ".join(map(literal, markets)) or "null", "day": f"'{day}'" if day else "null"}
        done = connection.execute(_BRIEFS.format(**wanted))
        names = [column[0] for column in done.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in done.fetchall()]
    if found or day is None:
        return found
    days = "; ".join(f"{name} from {first} to {last}" for name, first, last in spans if name in markets)
    raise DayNotPublished(f"there is no brief of {day}; published are: {days}")


_BRIEF_SPANS = """
    select market_id, min(bar_date), max(bar_date) from rpt_market_brief_daily group by market_id order by market_id
"""


_BRIEFS = """
    from rpt_market_brief_daily as b
    where market_id in ({markets}) and bar_date = coalesce(
        cast({day} as date),
        (select max(bar_date) from rpt_market_brief_daily as l where l.market_id = b.market_id)
    )
    order by market_id
"""
