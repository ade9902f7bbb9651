"""The rows behind the charts: each market's once, rounded to what a chart can show, every day kept.

Belongs here: marts' rows → the columns that `charts` name. Does not: how they are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from orchestration.report import charts, texts
from orchestration.report.content import MarketContent, Row

# Of a day's bar: every file that it is built from was used as the venue published it.
AS_PUBLISHED: Final = "as_published"


def specs(markets: Mapping[str, MarketContent]) -> dict[str, charts.Spec]:
    """Specifications by name; calendars by market as well, since their rows are its years."""
    specs = {
        "net": charts.net_volume(),
        "price": charts.price(),
        "dominance": charts.dominance(),
        "liquidations": charts.liquidations(),
        "positions": charts.positions(),
        "profile": charts.profile(),
        "bearish": charts.event_study("bearish"),
        "bullish": charts.event_study("bullish"),
    }
    for key, market in markets.items():
        years = years_of(market)
        specs[f"{key}:verdict"] = charts.calendar("verdict", years)
        specs[f"{key}:cover"] = charts.calendar("cover", years)
    return specs if markets else {}


def years_of(market: MarketContent) -> tuple[int, ...]:
    """The years that a market's days lie in, the first one first."""
    return tuple(sorted({row["bar_date"].year for row in market.daily}))


def tables(market: MarketContent) -> dict[str, Any]:
    """The rows behind a market's charts, once, each column rounded to what a chart can show."""
    return {
        "last": str(market.daily[-1]["bar_date"]) if market.daily else "1970-01-01",
        "tables": {
            "daily": _columns(calendar_days(market)),
            "events": _columns(_events(market)),
            "returns": _columns(_returns(market)),
            "study": _columns(_study(market)),
            "positions": _columns(_positions(market)),
            "profile": _columns(_profile(market)),
            "ranks": _columns(_ranks(market)),
        },
    }


def _events(market: MarketContent) -> list[Row]:
    net_of = {row["bar_date"]: row["net_taker_usd"] for row in market.daily}
    return [
        {
            "day": str(row["bar_at"].date()),
            "bar": texts.instant(row["bar_at"]),
            "definition": row["definition_id"],
            "side": row["side"],
            "value": f"{row['value']:,.2f}",
            "event_rank": row["event_rank"],
            "rank": row["spike_rank"],
            "y": _rounded(net_of.get(row["bar_at"].date()), 0),
        }
        for row in market.events
    ]


def _returns(market: MarketContent) -> list[Row]:
    return [
        {
            "definition": definition,
            "side": side,
            "horizon": horizon,
            "event": texts.instant(row["event_at"]),
            "r": _rounded(row["forward_return"], 6),
            # Beside each other in the order of time, so that equal returns stay apart.
            "jitter": round((number + 0.5) / len(events), 4),
        }
        for (definition, side, horizon), events in _by_cell(market.returns)
        for number, row in enumerate(events)
    ]


def _study(market: MarketContent) -> list[Row]:
    return [
        {
            "definition": row["definition_id"],
            "side": row["side"],
            "horizon": row["horizon_days"],
            "median": _rounded(row["median_return"], 6),
            "baseline": _rounded(row["baseline_median"], 6),
            "p": _rounded(row["p_value"], 4),
            "n": row["sample_size"],
        }
        for row in market.study
    ]


def _positions(market: MarketContent) -> list[Row]:
    return [
        {
            "day": str(row["bar_date"]),
            "interest": _rounded(row["open_interest_usd"], 0),
            "funding": _rounded(row["funding_rate"], 8),
        }
        for row in market.positions
    ]


def _profile(market: MarketContent) -> list[Row]:
    return [
        {
            "weekday": row["weekday"],
            "hour": row["hour_of_day"],
            "n": row["hour_count"],
            "net": _rounded(row["net_taker_ratio"], 6),
            "bought": _rounded(row["bought_ratio"], 4),
            "volume": _rounded(row["mean_volume_usd"], 0),
            "r": _rounded(row["mean_return"], 7),
        }
        for row in market.profile
    ]


def _ranks(market: MarketContent) -> list[Row]:
    """Of each ranked day the most extreme bar under each definition, as the page shows a day that is picked."""
    return [
        {
            "day": str(row["bar_at"].date()),
            "definition": row["definition_id"],
            "side": row["side"],
            "bar": texts.instant(row["bar_at"])[11:],
            "value": _rounded(row["value"], 4 if abs(row["value"]) < 1 else 0),
            "rank": row["spike_rank"],
            "of": row["window_bars"],
            "pct": _rounded(row["percentile"], 4),
            "event": "not known yet" if row["is_event"] is None else row["event_rank"] if row["is_event"] else "no",
        }
        for row in market.ranks
    ]


def milliseconds(day: str) -> int:
    """The first instant of a UTC day, as charts count time."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


def _by_cell(returns: Sequence[Row]) -> Iterable[tuple[tuple[str, str, int], list[Row]]]:
    for cell, rows in groupby(returns, key=lambda row: (row["definition_id"], row["side"], row["horizon_days"])):
        yield cell, list(rows)


def calendar_days(market: MarketContent) -> list[Row]:
    """Every day from the first to the last, those without any row included."""
    if not market.daily:
        return []
    by_day = {row["bar_date"]: row for row in market.daily}
    first, last = market.daily[0]["bar_date"], market.daily[-1]["bar_date"]
    return [_calendar_day(day, by_day.get(day, {})) for day in _days_between(first, last)]


def _calendar_day(day: date, row: Row) -> Row:
    coverage = row.get("coverage_ratio")
    # Weeks begin on Monday; the first one of a year is as long as the year lets it be.
    week = (day.timetuple().tm_yday - 1 + date(day.year, 1, 1).weekday()) // 7
    return {
        "day": str(day),
        "net": _rounded(row.get("net_taker_usd"), 0),
        "close": _rounded(row.get("close_price"), texts.price_digits(row.get("close_price") or 0)),
        "ratio": _rounded(row.get("taker_sell_ratio"), 5),
        "sell_pct": _rounded(row.get("sell_dominance_percentile"), 5),
        "source": texts.source(row),
        "coverage": _rounded(coverage, 6),
        "cover": _cover(coverage),
        "note": day_note(row),
        "verdict": row.get("verdict") or "no data",
        "difference": _rounded(row.get("difference_usd"), 2),
        "intervals": texts.words(row.get("interval_verdict")),
        "long": _rounded(row.get("long_usd"), 0),
        "short": _rounded(row.get("short_usd"), 0),
        "liq_cov": _rounded(row.get("liquidations_coverage_ratio"), 4),
        "week": week,
        "line": f"{day.year}-{day.weekday()}",
    }


def day_note(row: Row) -> str | None:
    """How a day's bar is incomplete or not built from everything as it was published; None when it is neither."""
    coverage, is_doubtful = row.get("coverage_ratio"), row.get("flow_quality") not in (None, AS_PUBLISHED)
    notes = []
    if coverage is not None and coverage < 1:
        notes.append(f"coverage {texts.covered(coverage)}")
    if coverage is None or is_doubtful or row.get("defect_reason") is not None:
        notes.append(quality(row))
    return "; ".join(notes) or None


def quality(row: Row) -> str:
    """Whether a day's bar is built from everything as it was published, and if it is not, why."""
    flow_quality, reason = row.get("flow_quality"), row.get("defect_reason")
    if row.get("coverage_ratio") is None:
        return texts.colon("no bar", reason)
    if flow_quality in (None, AS_PUBLISHED) and reason is not None:
        return texts.colon("not used", reason)
    return texts.colon(texts.words(flow_quality), reason)


def _cover(coverage: float | None) -> str:
    if coverage is None:
        return "no bar"
    if coverage >= 1:
        return "complete"
    return "95 % or more" if coverage >= 0.95 else "below 95 %"


def _days_between(first: date, last: date) -> Iterable[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _columns(rows: Sequence[Row]) -> dict[str, Any]:
    columns = list(rows[0]) if rows else []
    return {"columns": columns, "rows": [[row[name] for name in columns] for row in rows]}


def _rounded(value: Decimal | float | None, digits: int) -> float | int | None:
    if value is None:
        return None
    return round(float(value), digits) if digits else round(value)
