"""What must hold in the marts before anyone may read them: Great Expectations suites as functions.

Belongs here: for each mart the SQL that draws the frame to audit, the suite that judges it, the verdict with evidence.
Does not: Dagster (`audit.py` turns a verdict into a check), opening the warehouse, rules that dbt's own tests prove.

Exact arithmetic happens in the SQL: pandas receives DECIMAL as float64, so identities arrive as residuals that are zero
or not. An unknown value never passes as a good one: Great Expectations skips NULLs, so a residual that cannot be
computed arrives as 1, "off by one whole", and a rule (`_true`, `_zero`) whose outcome is NULL is a rule broken.

`critical` means that we are wrong (an identity broken, a key twice, a day lost) and blocks publication. `warning` means
that the venue disagrees with itself: a person must see it, and today's numbers go out.

Great Expectations takes seconds to import, so nothing here imports it before a suite is built.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

if TYPE_CHECKING:
    import great_expectations as gx
    from great_expectations.expectations.expectation import Expectation

CRITICAL: Final = "critical"
WARNING: Final = "warning"
SAMPLE_ROWS: Final = 10
# In an expectation's meta: the value that NULL is judged as.
_IF_NULL: Final = "if_null"

# Marts hold amounts rounded to 1e-8: a sum of 24 rounded hours may differ from the rounded day by half of that per
# hour, on each side. Anything beyond is a lost bar.
_ROUNDING: Final = 1e-6
# Ratios and percentiles are doubles of exact operands; coverages are decimals of 8 places, summed.
_DOUBLE: Final = 1e-9
_SHARE: Final = 1e-7
# The share of the klines' volume within which both sources count as agreeing; stated in the marts' descriptions.
_TOLERANCE: Final = "0.0001"
_MIN_COVERAGE: Final = "0.95"


@dataclass(frozen=True)
class AuditSuite:
    """One audited frame. `query` reads the warehouse, `build` makes its suite and imports Great Expectations.

    `mart` is the table whose publication the suite guards; several suites may guard one, at different grains. The
    docstring of `build` is what people read as the check's description.
    """

    name: str
    mart: str
    query: str
    build: Callable[[], gx.ExpectationSuite]


@dataclass(frozen=True)
class Verdict:
    """What an audit found.

    `success`: every expectation held. `blocking`: a critical one did not. `results`: one JSON-ready dict per
    expectation, failures first, the worst on top: expectation, column, rule, severity, success, observed,
    unexpected_count, sample (at most 10 failing rows).
    """

    success: bool
    blocking: bool
    results: list[dict[str, Any]]


class AuditNotEvaluated(RuntimeError):
    """An expectation could not be evaluated (a column is missing, a type is wrong): nothing is known about the mart."""


def validate(frame: pd.DataFrame, suite: gx.ExpectationSuite) -> Verdict:
    """Judge `frame`, drawn by the suite's query. Leaves no file behind; raises AuditNotEvaluated rather than guess."""
    gx = load_great_expectations()
    frame = frame.reset_index(drop=True)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("warehouse").add_dataframe_asset(suite.name)
    judged = _unknown_as_broken(frame, suite)
    batch = asset.add_batch_definition_whole_dataframe("frame").get_batch(batch_parameters={"dataframe": judged})
    outcome = batch.validate(suite, result_format={"result_format": "SUMMARY", "partial_unexpected_count": SAMPLE_ROWS})

    key = list((suite.meta or {}).get("key", ()))
    results = [_evidence(result, frame, key) for result in outcome.results]
    # Great Expectations runs table rules first; a reader wants what failed first, the worst on top.
    results.sort(key=lambda r: (r["success"], r["severity"] != CRITICAL, r["column"], r["expectation"]))
    failed = [r for r in results if not r["success"]]
    return Verdict(not failed, any(r["severity"] == CRITICAL for r in failed), results)


def _unknown_as_broken(frame: pd.DataFrame, suite: gx.ExpectationSuite) -> pd.DataFrame:
    """The frame with a failing value wherever the outcome of a rule is NULL: Great Expectations would skip it."""
    changed: dict[str, pd.Series] = {}
    for expectation in suite.expectations:
        column, broken = str(expectation.configuration.kwargs.get("column")), (expectation.meta or {}).get(_IF_NULL)
        if broken is not None and column in frame and frame[column].isna().any():
            changed[column] = frame[column].astype(object).where(frame[column].notna(), broken)
    return frame.assign(**changed)


def _evidence(result: Any, frame: pd.DataFrame, key: list[str]) -> dict[str, Any]:
    config = result.expectation_config
    if not result.result:
        raise AuditNotEvaluated(f"{config.type} on {config.kwargs}: {_exception_message(result.exception_info)}")
    columns = _columns_of(config.kwargs)
    shown = list(dict.fromkeys([*key, *columns, *config.meta.get("shows", ())]))
    failing = result.result.get("partial_unexpected_index_list") or []
    return {
        "expectation": config.type,
        "column": ", ".join(columns),
        "rule": config.description or "",
        "severity": config.severity.value,
        "success": bool(result.success),
        "observed": _observed(result.result),
        "unexpected_count": int(result.result.get("unexpected_count", 0 if result.success else 1)),
        "sample": [
            {str(name): _json_value(str(name), value) for name, value in row.items()}
            for row in frame.loc[failing[:SAMPLE_ROWS], shown].to_dict("records")
        ],
    }


def _observed(result: dict[str, Any]) -> str:
    if "observed_value" in result:
        return str(result["observed_value"])
    return f"{result['unexpected_count']} of {result['element_count']} rows break the rule"


def _columns_of(kwargs: dict[str, Any]) -> list[str]:
    if "column_list" in kwargs:
        return list(kwargs["column_list"])
    return [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]


def _exception_message(info: dict[str, Any]) -> str:
    """Great Expectations keeps either one exception or one per metric."""
    if "exception_message" in info:
        return str(info["exception_message"])
    return "; ".join(dict.fromkeys(str(each.get("exception_message")) for each in info.values()))


def _json_value(name: str, value: Any) -> Any:
    """Days and instants both arrive as timestamps; the name says which one it is (`*_at` is an instant)."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, datetime):
        return value.isoformat() if name.endswith("_at") else value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


# --- the vocabulary of the suites -----------------------------------------------------------------


def load_great_expectations() -> Any:
    """The one way Great Expectations is imported: with its telemetry switched off before it could look."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations

    return great_expectations


def _suite(name: str, key: Sequence[str], expectations: list[Expectation]) -> gx.ExpectationSuite:
    """`key`: the columns that identify a row of the frame; every sample row begins with them."""
    suite: gx.ExpectationSuite = load_great_expectations().ExpectationSuite(
        name, expectations=expectations, meta={"key": list(key)}
    )
    return suite


def _expect(
    kind: str, rule: str, severity: str, shows: Sequence[str], *, if_null: bool | int | None = None, **kwargs: Any
) -> Expectation:
    """`rule` is the sentence a person reads when it fails; `shows` are the further columns that person needs.

    `if_null`: the value that a NULL is judged as; None: NULLs are not judged.
    """
    build = getattr(load_great_expectations().expectations, kind)
    meta = {"shows": list(shows), _IF_NULL: if_null}
    expectation: Expectation = build(description=rule, severity=severity, meta=meta, **kwargs)
    return expectation


def _unique(*columns: str) -> Expectation:
    if len(columns) == 1:
        return _expect("ExpectColumnValuesToBeUnique", "one row per key", CRITICAL, (), column=columns[0])
    return _expect("ExpectCompoundColumnsToBeUnique", "one row per key", CRITICAL, (), column_list=list(columns))


def _between(
    column: str,
    low: float | None,
    high: float | None,
    rule: str,
    shows: Sequence[str] = (),
    severity: str = CRITICAL,
    *,
    strictly_above: bool = False,
) -> Expectation:
    kwargs: dict[str, Any] = {"column": column, "min_value": low, "max_value": high, "strict_min": strictly_above}
    return _expect("ExpectColumnValuesToBeBetween", rule, severity, shows, **kwargs)


def _zero(column: str, rule: str, shows: Sequence[str] = (), severity: str = CRITICAL) -> Expectation:
    kind = "ExpectColumnValuesToBeBetween"
    return _expect(kind, rule, severity, shows, if_null=1, column=column, min_value=0, max_value=0)


def _one_of(
    column: str, values: Sequence[Any], rule: str, shows: Sequence[str] = (), severity: str = CRITICAL
) -> Expectation:
    return _expect("ExpectColumnValuesToBeInSet", rule, severity, shows, column=column, value_set=list(values))


def _true(column: str, rule: str, shows: Sequence[str] = (), severity: str = CRITICAL) -> Expectation:
    kind = "ExpectColumnValuesToBeInSet"
    return _expect(kind, rule, severity, shows, if_null=False, column=column, value_set=[True])


def _never(column: str, value: str, rule: str, shows: Sequence[str]) -> Expectation:
    """The venue's own contradiction, so always a warning."""
    return _expect("ExpectColumnValuesToNotBeInSet", rule, WARNING, shows, column=column, value_set=[value])


def _known(column: str, rule: str) -> Expectation:
    return _expect("ExpectColumnValuesToNotBeNull", rule, CRITICAL, (), column=column)


def _not_empty() -> Expectation:
    return _expect("ExpectTableRowCountToBeBetween", "the mart is not empty", CRITICAL, (), min_value=1)


def _residual(expression: str) -> str:
    """SQL of an exact identity: zero when it holds, and 1 when an operand is unknown."""
    return f"coalesce({expression}, 1)"


def _distance(stored: str, recomputed: str) -> str:
    """SQL of how far two doubles are apart, at most 1: NaN and known on one side only are 1, unknown on both is 0."""
    return (
        f"case when {stored} is null and {recomputed} is null then 0.0e0 "
        f"else least(coalesce(abs({stored} - {recomputed}), 1.0e0), 1.0e0) end"
    )


# --- net taker volume -----------------------------------------------------------------------------

_SUM_VENUES: Final = "'all', 'simulated_all'"
_PROVISIONAL_SOURCES: Final = "'rest_klines', 'rest_trades', 'live_trades'"
_FLOW_SOURCES: Final = ("trades", "klines", "rest_klines", "rest_trades", "live_trades", "mixed")


def _flow_query(mart: str, time_column: str, further: str) -> str:
    """Rows of a net taker volume mart with the residuals of its identities."""
    sell_share = "cast(taker_sell_usd as double) / cast(nullif(volume_usd, 0) as double)"
    buy_share = "cast(taker_buy_usd as double) / cast(nullif(volume_usd, 0) as double)"
    # The ratio of the sides may be huge: it is compared as shares of the volume.
    stored_ratio = (
        f"case when taker_sell_usd = 0 then taker_buy_sell_ratio else taker_buy_sell_ratio * ({sell_share}) end"
    )
    return f"""
with bars as (
    select
        *,
        cast(volume_usd as double) / cast(nullif(volume_base, 0) as double) as average_price,
        lag(close_price) over (partition by market_id order by {time_column}) as previous_close_price
    from {mart}
)

select
    market_id,
    {time_column},
    {further},
    taker_buy_usd,
    taker_sell_usd,
    net_taker_usd,
    volume_usd,
    taker_buy_base,
    taker_sell_base,
    net_taker_base,
    volume_base,
    taker_sell_ratio,
    taker_buy_sell_ratio,
    open_price,
    high_price,
    low_price,
    close_price,
    trade_count,
    flow_source,
    coverage_ratio,
    venue,
    venue_set,
    is_provisional,
    is_running,
    coalesce(venue = substring(market_id, 1, position(':' in market_id) - 1), false) as is_venue_of_market,
    coalesce((venue_set <> venue) = (venue in ({_SUM_VENUES})), false) as is_venue_set_named,
    -- A sum over venues may be provisional in one part and say `mixed`.
    coalesce(is_provisional = (flow_source in ({_PROVISIONAL_SOURCES})), false) or flow_source = 'mixed'
        as is_provision_said,
    not is_running or coalesce(is_provisional and coverage_ratio < 1, false) as is_running_provisional,
    average_price,
    previous_close_price,
    {_residual("taker_buy_usd + taker_sell_usd - volume_usd")} as usd_sum_residual,
    {_residual("taker_buy_base + taker_sell_base - volume_base")} as base_sum_residual,
    {_residual("net_taker_usd - (taker_buy_usd - taker_sell_usd)")} as usd_net_residual,
    {_residual("net_taker_base - (taker_buy_base - taker_sell_base)")} as base_net_residual,
    least(taker_buy_usd, taker_sell_usd, taker_buy_base, taker_sell_base) as smallest_amount,
    {_distance("taker_sell_ratio", sell_share)} as sell_ratio_error,
    {_distance(stored_ratio, f"case when taker_sell_usd > 0 then {buy_share} end")} as buy_sell_ratio_error,
    case when flow_source = 'trades' then least(open_price, close_price) end as lower_end_price,
    case when flow_source = 'trades' then greatest(open_price, close_price) end as upper_end_price,
    flow_source = 'trades' or volume_usd = 0
    or coalesce(
        low_price > 0
        and low_price <= least(open_price, close_price)
        and high_price >= greatest(open_price, close_price),
        false
    ) as is_venue_price_in_order,
    case
        when volume_usd = 0 then true
        else open_price is not null and high_price is not null and low_price is not null and close_price is not null
    end as is_price_known,
    greatest(low_price - average_price, average_price - high_price, 0) / close_price as average_price_excursion,
    cast(close_price as double) / cast(nullif(previous_close_price, 0) as double) - 1 as close_change_ratio
from bars
"""


def _flow_expectations(time_column: str) -> list[Expectation]:
    usd = ("taker_buy_usd", "taker_sell_usd", "net_taker_usd", "volume_usd")
    base = ("taker_buy_base", "taker_sell_base", "net_taker_base", "volume_base")
    prices = ("open_price", "high_price", "low_price", "close_price")
    return [
        _unique("market_id", time_column),
        _zero("usd_sum_residual", "taker buy + taker sell = volume, in USD, to the last digit", usd),
        _zero("base_sum_residual", "taker buy + taker sell = volume, in base, to the last digit", base),
        _zero("usd_net_residual", "net = taker buy - taker sell, in USD, to the last digit", usd),
        _zero("base_net_residual", "net = taker buy - taker sell, in base, to the last digit", base),
        _between("smallest_amount", 0, None, "no side is negative", (*usd, *base)),
        _between("taker_sell_ratio", 0, 1, "the sell ratio is a share", usd),
        _between("sell_ratio_error", 0, _DOUBLE, "sell ratio = taker sell / volume", ("taker_sell_ratio", *usd)),
        _between("buy_sell_ratio_error", 0, _DOUBLE, "ratio = taker buy / taker sell", ("taker_buy_sell_ratio", *usd)),
        _between("coverage_ratio", 0, 1, "coverage is a share"),
        _known("coverage_ratio", "coverage is known"),
        _between("trade_count", 0, None, "the number of trades is not negative"),
        _one_of("flow_source", _FLOW_SOURCES, "the source of the flow is named"),
        _known("flow_source", "the source of the flow is known"),
        _true("is_venue_of_market", "the venue is the market's", ("venue",)),
        _true("is_venue_set_named", "the venues of a sum are named, and a market has one", ("venue", "venue_set")),
        _true("is_provision_said", "what does not come from the archive is provisional", ("flow_source",)),
        _true("is_running_provisional", "a running bar is provisional and not whole", ("is_provisional",)),
        _true("is_price_known", "a bar with volume has prices", (*prices, "volume_usd")),
        # Prices of trades are put in order by us; a kline's are the venue's word, and its one bad bar stops nothing.
        _true("is_venue_price_in_order", "the venue's bar has positive prices in order", prices, WARNING),
        _expect(
            "ExpectColumnPairValuesAToBeGreaterThanB",
            "no open or close below the low",
            CRITICAL,
            prices,
            column_A="lower_end_price",
            column_B="low_price",
            or_equal=True,
            ignore_row_if="either_value_is_missing",
        ),
        _expect(
            "ExpectColumnPairValuesAToBeGreaterThanB",
            "no open or close above the high",
            CRITICAL,
            prices,
            column_A="high_price",
            column_B="upper_end_price",
            or_equal=True,
            ignore_row_if="either_value_is_missing",
        ),
        # A wrong contract size or swapped units put the average price far outside; a venue's rounding barely.
        _between(
            "average_price_excursion",
            None,
            0.5,
            "USD / base is a price of that bar: units and contract size are right",
            ("average_price", "low_price", "high_price", "volume_usd", "volume_base"),
        ),
        _between(
            "average_price_excursion",
            None,
            1e-5,
            "the average price lies within the bar",
            ("average_price", "low_price", "high_price", "volume_usd", "volume_base"),
            WARNING,
        ),
        _between(
            "close_change_ratio",
            -0.5,
            0.5,
            "the price does not jump by half between two closes",
            ("previous_close_price", "close_price"),
            WARNING,
        ),
    ]


_HOURLY_QUERY: Final = _flow_query(
    "fct_net_taker_volume_hourly", "bar_at", "bar_at = date_trunc('hour', bar_at) as is_whole_hour"
)
_DAILY_QUERY: Final = _flow_query("fct_net_taker_volume_daily", "trade_date", "source_bar_hours")


def _hourly() -> gx.ExpectationSuite:
    """Every hour adds up, keeps its prices in order and says how much of it is covered."""
    expectations = [*_flow_expectations("bar_at"), _true("is_whole_hour", "a bar begins on the hour")]
    return _suite("fct_net_taker_volume_hourly", ["market_id", "bar_at"], expectations)


def _daily() -> gx.ExpectationSuite:
    """Every day adds up, keeps its prices in order and says how much of it is covered."""
    expectations = [
        *_flow_expectations("trade_date"),
        _not_empty(),
        _one_of("source_bar_hours", [1, 4, 24], "a day is summed from bars of 1, 4 or 24 hours"),
    ]
    return _suite("fct_net_taker_volume_daily", ["market_id", "trade_date"], expectations)


# One row per hole in the days of a market, from its first to its last day in the mart or in a receipt with rows. A day
# is explained by a receipt that proves that the venue published nothing, and lost by us when a receipt holds rows of
# it. A day without a receipt was not asked for, or its file was bad: a choice, or the venue's fault, and no loss.
_DAILY_GAPS_QUERY: Final = """
with judged_days as (
    select market_id, trade_date
    from fct_flow_reconciliation_daily
    where verdict = 'trades_implausible' or doubtful_bars > 0
),

asked_days as (
    select
        receipts.market_id,
        receipts.bar_date as trade_date,
        max(receipts.row_count) as row_count,
        max(case when receipts.status = 'stored' then 1 else 0 end) as is_stored,
        max(case when judged_days.market_id is not null then 1 else 0 end) as is_judged
    from int_flow_receipts as receipts
    left join judged_days
        on receipts.market_id = judged_days.market_id and receipts.bar_date = judged_days.trade_date
    group by receipts.market_id, receipts.bar_date
),

due_days as (
    select market_id, trade_date from fct_net_taker_volume_daily
    union
    select market_id, trade_date from asked_days where row_count > 0
),

fences as (
    select market_id, trade_date from fct_net_taker_volume_daily
    union
    select market_id, min(trade_date) - 1 from due_days group by market_id
    union
    select market_id, max(trade_date) + 1 from due_days group by market_id
),

days as (
    select
        market_id,
        trade_date,
        lag(trade_date) over (partition by market_id order by trade_date) as previous_date
    from fences
),

gaps as (
    select market_id, previous_date, trade_date, trade_date - previous_date - 1 as missing_days
    from days
    where trade_date - previous_date > 1
)

select
    gaps.market_id,
    gaps.previous_date as last_day_before,
    gaps.trade_date as first_day_after,
    gaps.missing_days,
    coalesce(sum(case when asked_days.is_stored = 0 then 1 end), 0) as absent_days,
    coalesce(sum(case when asked_days.is_stored = 1 and asked_days.row_count = 0 then 1 end), 0) as empty_days,
    coalesce(sum(case when asked_days.row_count > 0 and asked_days.is_judged = 1 then 1 end), 0) as unusable_days,
    coalesce(sum(case when asked_days.row_count > 0 and asked_days.is_judged = 0 then 1 end), 0) as lost_days,
    gaps.missing_days - count(asked_days.trade_date) as unasked_days
from gaps
left join asked_days
    on gaps.market_id = asked_days.market_id
    and asked_days.trade_date > gaps.previous_date
    and asked_days.trade_date < gaps.trade_date
group by gaps.market_id, gaps.previous_date, gaps.trade_date, gaps.missing_days
order by gaps.market_id, gaps.trade_date
"""


def _daily_gaps() -> gx.ExpectationSuite:
    """No day is lost between a market's first and last: what is missing, the venue did not publish."""
    shows = ("missing_days", "absent_days", "empty_days", "unasked_days", "unusable_days")
    expectations = [
        _zero("lost_days", "no day is missing that a receipt holds usable rows of", shows),
        _zero("unusable_days", "no day is missing because what the venue published can be no market", shows, WARNING),
        _zero("unasked_days", "every day in between was asked for and could be read", shows, WARNING),
        _zero("empty_days", "no file of the venue is stored without a row of its day", shows, WARNING),
    ]
    return _suite("fct_net_taker_volume_daily_gaps", ["market_id", "last_day_before", "first_day_after"], expectations)


# One row per market-day that hours should add up to; sums over venues are held against their markets instead. Hours of
# a provisional day come from several sources and all count. On a day of trades, klines fill the hours in which nothing
# was traded: those hours are no part of the day's sum, and may hold no more than the tolerance between the sources.
# Of a day of klines, trades replace single bars: `mixed`.
_IS_SAME_SOURCE: Final = (
    "hourly.flow_source = daily.flow_source or daily.flow_source = 'mixed' "
    "or (daily.is_provisional and hourly.is_provisional)"
)
_HOURLY_DAYS_QUERY: Final = f"""
with hours as (
    select
        hourly.market_id,
        cast(hourly.bar_at as date) as trade_date,
        count(*) as hourly_bars,
        sum(hourly.coverage_ratio) / 24 as coverage_ratio,
        sum(case when {_IS_SAME_SOURCE} then hourly.taker_buy_usd end) as taker_buy_usd,
        sum(case when {_IS_SAME_SOURCE} then hourly.taker_sell_usd end) as taker_sell_usd,
        sum(case when {_IS_SAME_SOURCE} then hourly.taker_buy_base end) as taker_buy_base,
        sum(case when {_IS_SAME_SOURCE} then hourly.taker_sell_base end) as taker_sell_base,
        sum(case when {_IS_SAME_SOURCE} then hourly.trade_count end) as trade_count,
        max(case when {_IS_SAME_SOURCE} then hourly.high_price end) as high_price,
        min(case when {_IS_SAME_SOURCE} then hourly.low_price end) as low_price,
        sum(case when {_IS_SAME_SOURCE} then 0 else hourly.volume_usd end) as filled_volume_usd
    from fct_net_taker_volume_hourly as hourly
    left join fct_net_taker_volume_daily as daily
        on hourly.market_id = daily.market_id
        and cast(hourly.bar_at as date) = daily.trade_date
    where hourly.venue not in ({_SUM_VENUES})
    group by hourly.market_id, cast(hourly.bar_at as date)
)

select
    coalesce(days.market_id, hours.market_id) as market_id,
    coalesce(days.trade_date, hours.trade_date) as trade_date,
    hours.hourly_bars,
    days.market_id is not null as is_in_daily,
    hours.market_id is not null as is_in_hourly,
    days.flow_source,
    days.volume_usd as daily_volume_usd,
    hours.taker_buy_usd + hours.taker_sell_usd as hourly_volume_usd,
    hours.filled_volume_usd,
    days.trade_count as daily_trade_count,
    hours.trade_count as hourly_trade_count,
    {_residual("abs(days.taker_buy_usd - hours.taker_buy_usd) + abs(days.taker_sell_usd - hours.taker_sell_usd)")}
        as usd_difference,
    {_residual("abs(days.taker_buy_base - hours.taker_buy_base) + abs(days.taker_sell_base - hours.taker_sell_base)")}
        as base_difference,
    {_residual("abs(days.trade_count - hours.trade_count)")} as trade_count_difference,
    -- Trades that klines confirm take over the coverage of the day's klines, whatever their interval.
    case
        when days.flow_source = 'trades' then 0.0e0
        -- A quiet hour that was listened to has no bar, and is covered.
        when days.is_provisional then greatest(hours.coverage_ratio - days.coverage_ratio, 0.0e0)
        else {_distance("days.coverage_ratio", "hours.coverage_ratio")}
    end as coverage_error,
    coalesce(days.high_price - hours.high_price, 0) as high_difference,
    coalesce(days.low_price - hours.low_price, 0) as low_difference,
    coalesce(hours.filled_volume_usd <= days.volume_usd * {_TOLERANCE}, false) as is_fill_negligible
from fct_net_taker_volume_daily as days
full join hours
    on days.market_id = hours.market_id
    and days.trade_date = hours.trade_date
where (days.source_bar_hours = 1 and days.venue not in ({_SUM_VENUES})) or days.market_id is null
"""


def _hourly_days() -> gx.ExpectationSuite:
    """A day summed from hours is the sum of its hours, and neither mart has a day that the other lacks."""
    volumes = ("daily_volume_usd", "hourly_volume_usd", "hourly_bars")
    expectations = [
        _true("is_in_daily", "a day with hours is a day of the daily mart", ("hourly_bars",)),
        _true("is_in_hourly", "a day summed from hours has its hours", ("daily_volume_usd",)),
        _between("usd_difference", 0, _ROUNDING, "a day is the sum of its hours, in USD, on each side", volumes),
        _between("base_difference", 0, _ROUNDING, "a day is the sum of its hours, in base, on each side", volumes),
        _zero("trade_count_difference", "a day counts its hours' trades", ("daily_trade_count", "hourly_trade_count")),
        _between("coverage_error", 0, _SHARE, "a day covers what its hours cover", ("hourly_bars",)),
        _zero("high_difference", "a day's high is the highest of its hours", ()),
        _zero("low_difference", "a day's low is the lowest of its hours", ()),
        _true("is_fill_negligible", "the hours of a day come from the day's source", ("filled_volume_usd", *volumes)),
    ]
    return _suite("fct_net_taker_volume_hourly_days", ["market_id", "trade_date"], expectations)


# One row per sum over venues and bar, and one per bar that should have a sum.
def _sums_query(mart: str, time_column: str) -> str:
    return f"""
with markets as (
    select market_id, venue, base_asset, is_simulated
    from dim_markets
    where venue not in ({_SUM_VENUES})
),

lives as (
    select market_id, min({time_column}) as first_bar, max({time_column}) as last_bar
    from {mart}
    group by market_id
),

expected as (
    select sums.market_id, bars.{time_column}, count(*) as markets_due
    from dim_markets as sums
    inner join {mart} as bars on bars.market_id = sums.market_id
    inner join markets
        on markets.base_asset = sums.base_asset and markets.is_simulated = sums.is_simulated
    inner join lives
        on lives.market_id = markets.market_id and bars.{time_column} between lives.first_bar and lives.last_bar
    where sums.venue in ({_SUM_VENUES})
    group by sums.market_id, bars.{time_column}
),

due as (
    select
        sums.market_id,
        bars.{time_column},
        count(*) as markets_held,
        sum(bars.taker_buy_usd) as taker_buy_usd,
        sum(bars.taker_sell_usd) as taker_sell_usd,
        sum(bars.taker_buy_base) as taker_buy_base,
        sum(bars.taker_sell_base) as taker_sell_base,
        sum(bars.trade_count) as trade_count,
        min(bars.coverage_ratio) as least_coverage_ratio,
        max(case when bars.is_provisional then 1 else 0 end) = 1 as is_provisional,
        max(case when bars.is_running then 1 else 0 end) = 1 as is_running,
        string_agg(distinct bars.venue, ',' order by bars.venue) as venue_set
    from dim_markets as sums
    inner join markets
        on markets.base_asset = sums.base_asset and markets.is_simulated = sums.is_simulated
    inner join {mart} as bars
        on bars.market_id = markets.market_id
    where sums.venue in ({_SUM_VENUES})
    group by sums.market_id, bars.{time_column}
),

covered as (
    select
        due.*,
        case when due.markets_held < expected.markets_due then 0.0e0 else due.least_coverage_ratio end as coverage_ratio
    from due
    left join expected
        on due.market_id = expected.market_id and due.{time_column} = expected.{time_column}
)

select
    coalesce(bars.market_id, due.market_id) as market_id,
    coalesce(bars.{time_column}, due.{time_column}) as {time_column},
    bars.market_id is not null as is_summed,
    due.market_id is not null as has_markets,
    bars.taker_buy_usd,
    bars.taker_sell_usd,
    due.taker_buy_usd as due_buy_usd,
    due.taker_sell_usd as due_sell_usd,
    bars.venue_set,
    due.venue_set as due_venue_set,
    bars.coverage_ratio,
    due.coverage_ratio as due_coverage_ratio,
    {_residual("abs(bars.taker_buy_usd - due.taker_buy_usd) + abs(bars.taker_sell_usd - due.taker_sell_usd)")}
        as usd_difference,
    {_residual("abs(bars.taker_buy_base - due.taker_buy_base) + abs(bars.taker_sell_base - due.taker_sell_base)")}
        as base_difference,
    {_residual("abs(bars.trade_count - due.trade_count)")} as trade_count_difference,
    {_distance("bars.coverage_ratio", "due.coverage_ratio")} as coverage_error,
    coalesce(bars.venue_set = due.venue_set, false) as is_venue_set_right,
    coalesce(bars.is_provisional = due.is_provisional and bars.is_running = due.is_running, false) as is_state_right
from (select * from {mart} where venue in ({_SUM_VENUES})) as bars
full join covered as due
    on bars.market_id = due.market_id
    and bars.{time_column} = due.{time_column}
"""


_HOURLY_SUMS_QUERY: Final = _sums_query("fct_net_taker_volume_hourly", "bar_at")
_DAILY_SUMS_QUERY: Final = _sums_query("fct_net_taker_volume_daily", "trade_date")


def _sum_expectations() -> list[Expectation]:
    usd = ("taker_buy_usd", "taker_sell_usd", "due_buy_usd", "due_sell_usd")
    return [
        _true("is_summed", "every bar of a market is part of the sum over its venues"),
        _true("has_markets", "a sum over venues has markets"),
        _zero("usd_difference", "a sum is that of its markets, in USD, on each side, to the last digit", usd),
        _zero("base_difference", "a sum is that of its markets, in base, on each side, to the last digit", usd),
        _zero("trade_count_difference", "a sum counts its markets' trades"),
        _between(
            "coverage_error",
            0,
            _DOUBLE,
            "a sum is covered as its least covered market is",
            ("coverage_ratio", "due_coverage_ratio"),
        ),
        _true("is_venue_set_right", "a sum names the venues that it holds", ("venue_set", "due_venue_set")),
        _true("is_state_right", "a sum is provisional, and running, when one of its markets is"),
    ]


def _hourly_sums() -> gx.ExpectationSuite:
    """An hour of a sum over venues is the sum of its markets' hours, and as covered as the least of them."""
    return _suite("fct_net_taker_volume_hourly_sums", ["market_id", "bar_at"], _sum_expectations())


def _daily_sums() -> gx.ExpectationSuite:
    """A day of a sum over venues is the sum of its markets' days, and as covered as the least of them."""
    return _suite("fct_net_taker_volume_daily_sums", ["market_id", "trade_date"], _sum_expectations())


# --- dominance ------------------------------------------------------------------------------------

_DOMINANCE_QUERY: Final = f"""
with days as (
    select
        coalesce(dominance.market_id, daily.market_id) as market_id,
        coalesce(dominance.trade_date, daily.trade_date) as trade_date,
        dominance.market_id is not null or daily.volume_usd = 0 as is_in_dominance,
        dominance.market_id is not null as has_dominance,
        daily.market_id is not null as is_in_daily,
        dominance.taker_sell_ratio,
        daily.taker_sell_ratio as daily_taker_sell_ratio,
        dominance.sell_dominance_percentile,
        dominance.buy_dominance_percentile,
        dominance.window_days,
        dominance.window_bars,
        dominance.coverage_ratio,
        daily.coverage_ratio as day_coverage_ratio,
        daily.is_running,
        changes.set_changed_at,
        dominance.market_id is null or daily.market_id is null or coalesce(
            dominance.is_provisional = daily.is_provisional and dominance.venue_set = daily.venue_set, false
        ) as is_state_right,
        dominance.sell_dominance_percentile * (dominance.window_bars - 1) as less_sold_days,
        dominance.buy_dominance_percentile * (dominance.window_bars - 1) as more_sold_days
    from fct_taker_dominance_daily as dominance
    full join fct_net_taker_volume_daily as daily
        on dominance.market_id = daily.market_id
        and dominance.trade_date = daily.trade_date
    -- The daily ranks say when the markets of a sum changed.
    left join (
        select market_id, bar_at, max(set_changed_at) as set_changed_at
        from fct_taker_spike_ranks
        where definition_id = 'daily_usd'
        group by market_id, bar_at
    ) as changes
        on daily.market_id = changes.market_id
        and daily.trade_date = changes.bar_at
)

select
    *,
    window_days - window_bars as days_outside_window,
    abs(less_sold_days - round(less_sold_days)) as less_sold_fraction,
    abs(more_sold_days - round(more_sold_days)) as more_sold_fraction,
    window_bars - 1 - less_sold_days - more_sold_days as tied_days,
    {_distance("taker_sell_ratio", "daily_taker_sell_ratio")} as sell_ratio_error,
    not has_dominance or (
        -- NaN is no percentile, and not below 2 in SQL.
        coalesce(sell_dominance_percentile < 2, false) = coalesce(
            coverage_ratio >= {_MIN_COVERAGE}
            and day_coverage_ratio >= {_MIN_COVERAGE}
            and taker_sell_ratio is not null
            and window_bars > 1
            and not is_running
            and (set_changed_at is null or set_changed_at <= trade_date - interval '1 day' * window_days),
            false
        )
        and coalesce(sell_dominance_percentile < 2, false) = coalesce(buy_dominance_percentile < 2, false)
    ) as is_percentile_due
from days
"""


def _dominance() -> gx.ExpectationSuite:
    """Percentiles count whole days of their window, exist where it is covered, and leave no day out."""
    percentiles = ("sell_dominance_percentile", "buy_dominance_percentile", "window_bars")
    count = 1e-6
    expectations = [
        _unique("market_id", "trade_date"),
        _true("is_in_daily", "dominance has no day that the daily mart has not"),
        _true("is_in_dominance", "dominance has every day on which anything was traded"),
        _between("taker_sell_ratio", 0, 1, "the sell ratio is a share"),
        _between("sell_ratio_error", 0, _DOUBLE, "the sell ratio is the daily mart's", ("daily_taker_sell_ratio",)),
        _between("sell_dominance_percentile", 0, 1, "a percentile is a share", percentiles),
        _between("buy_dominance_percentile", 0, 1, "a percentile is a share", percentiles),
        _between("less_sold_fraction", 0, count, "the percentile counts whole days", percentiles),
        _between("more_sold_fraction", 0, count, "the percentile counts whole days", percentiles),
        _between("tied_days", -count, None, "less sold, more sold and tied days fill the window", percentiles),
        _between("window_bars", 1, None, "a window holds its own day"),
        _between("days_outside_window", 0, None, "a window holds no more days than it is long", ("window_days",)),
        _between("coverage_ratio", 0, 1, "coverage is a share"),
        _true(
            "is_percentile_due",
            "a percentile exists exactly where window and day are covered by 95 %, of ended days and unchanged sums",
            (*percentiles, "coverage_ratio", "day_coverage_ratio", "is_running", "set_changed_at"),
        ),
        _true("is_state_right", "a day is as provisional as in the daily mart, and of its venues"),
    ]
    return _suite("fct_taker_dominance_daily", ["market_id", "trade_date"], expectations)


# --- spike ranks ----------------------------------------------------------------------------------

# The other side's rank counts exactly what this side's percentile counts: the bars that are less extreme.
_RANKS_QUERY: Final = f"""
with definitions as (
    select
        definition_id,
        smoothing_bars,
        window_days,
        decluster_hours,
        nullif(venue, '') as venue,
        case grain when '1h' then 1 when '4h' then 4 when '1d' then 24 end as bar_hours
    from spike_definitions
),

ranks as (
    select
        ranks.*,
        definitions.definition_id is not null as is_defined,
        coalesce(definitions.venue is null or definitions.venue = ranks.venue, false) as is_of_its_venue,
        definitions.smoothing_bars,
        definitions.decluster_hours,
        definitions.bar_hours,
        definitions.window_days,
        definitions.window_days * 24 / definitions.bar_hours as window_size_bars,
        count(*) over bar as bar_sides,
        sum(ranks.spike_rank) over bar - ranks.spike_rank as opposite_rank,
        max(ranks.bar_at) over (partition by ranks.definition_id, ranks.market_id) as last_bar_at
    from fct_taker_spike_ranks as ranks
    left join definitions
        on ranks.definition_id = definitions.definition_id
    window bar as (partition by ranks.definition_id, ranks.market_id, ranks.bar_at)
),

incomplete_days as (
    select market_id, trade_date from fct_net_taker_volume_daily where coverage_ratio < 1
    union
    select market_id, cast(bar_at as date) as trade_date
    from fct_net_taker_volume_hourly
    group by market_id, cast(bar_at as date)
    having sum(coverage_ratio) < 24
),

unranked as (
    select definition_id, market_id, side, bar_at
    from ranks
    where spike_rank is null and value is not null and coverage_ratio >= {_MIN_COVERAGE}
        and not is_running
        and (set_changed_at is null or set_changed_at <= bar_at - interval '1 day' * window_days)
        and not exists (
            select 1
            from incomplete_days
            where incomplete_days.market_id = ranks.market_id
                and incomplete_days.trade_date <= cast(ranks.bar_at as date)
                and incomplete_days.trade_date
                >= cast(ranks.bar_at - interval '1 hour' * ((ranks.smoothing_bars - 1) * ranks.bar_hours) as date)
        )
)

select
    ranks.definition_id,
    ranks.market_id,
    ranks.side,
    ranks.bar_at,
    cast(ranks.spike_rank as double) as spike_rank,
    cast(ranks.opposite_rank as double) as opposite_rank,
    ranks.percentile,
    ranks.window_bars,
    cast(ranks.window_size_bars as double) as window_size_bars,
    ranks.coverage_ratio,
    ranks.bar_coverage_ratio,
    ranks.is_event,
    cast(ranks.event_rank as double) as event_rank,
    ranks.is_defined,
    ranks.is_of_its_venue,
    ranks.bar_sides,
    -- The only bar of its window has no percentile.
    {
    _distance(
        "ranks.percentile * (ranks.window_bars - 1)",
        "(case when ranks.window_bars > 1 then ranks.opposite_rank - 1 end)",
    )
} as percentile_error,
    cast(ranks.window_bars + 1 - ranks.spike_rank - ranks.opposite_rank as double) as tied_bars,
    ranks.spike_rank is null
    or coalesce(ranks.coverage_ratio >= {_MIN_COVERAGE} and ranks.bar_coverage_ratio >= {_MIN_COVERAGE}, false)
        as is_rank_covered,
    ranks.is_running,
    ranks.set_changed_at,
    ranks.spike_rank is null or coalesce(not ranks.is_running, false) as is_rank_of_ended,
    ranks.spike_rank is null
    or ranks.set_changed_at is null
    or ranks.set_changed_at <= ranks.bar_at - interval '1 day' * ranks.window_days as is_rank_of_one_set,
    coalesce(ranks.is_provisional or not ranks.is_running, false) as is_running_provisional,
    ranks.set_changed_at is null or coalesce(ranks.venue in ({_SUM_VENUES}), false) as is_change_of_sum,
    coalesce((ranks.venue_set <> ranks.venue) = (ranks.venue in ({_SUM_VENUES})), false) as is_venue_set_named,
    unranked.bar_at is null as is_rank_given,
    case
        when ranks.event_rank is not null then coalesce(ranks.is_event, false)
        else not coalesce(ranks.is_event and ranks.spike_rank is not null, false)
    end as is_event_ranked,
    ranks.is_event is null or coalesce(
        ranks.last_bar_at >= ranks.bar_at + interval '1 hour' * ranks.decluster_hours, false
    ) as is_event_ripe
from ranks
left join unranked
    on ranks.definition_id = unranked.definition_id
    and ranks.market_id = unranked.market_id
    and ranks.side = unranked.side
    and ranks.bar_at = unranked.bar_at
"""


def _ranks() -> gx.ExpectationSuite:
    """Ranks, percentiles and events of each bar agree with each other, with their window and with its coverage."""
    key = ["definition_id", "market_id", "side", "bar_at"]
    ranks = ("spike_rank", "percentile", "opposite_rank", "window_bars")
    events = ("is_event", "event_rank", "spike_rank")
    expectations = [
        _unique(*key),
        _true("is_defined", "the definition stands in spike_definitions"),
        _true("is_of_its_venue", "a definition of a venue ranks that venue's markets alone"),
        _one_of("side", ["bearish", "bullish"], "a spike is bearish or bullish"),
        _between("bar_sides", 2, 2, "each bar is ranked on both sides, once"),
        _between("percentile", 0, 1, "a percentile is a share", ranks),
        _between("percentile_error", 0, 1e-6, "percentile x (n - 1) = the bars that the other side ranks above", ranks),
        _between("tied_bars", 0, None, "more, less and equally extreme bars fill the window", ranks),
        _between("spike_rank", 1, None, "a rank begins at 1", ranks),
        _between("window_bars", 1, None, "a window holds its own bar"),
        _expect(
            "ExpectColumnPairValuesAToBeGreaterThanB",
            "a window holds no more bars than it is long",
            CRITICAL,
            (),
            column_A="window_size_bars",
            column_B="window_bars",
            or_equal=True,
            ignore_row_if="either_value_is_missing",
        ),
        _between("coverage_ratio", 0, 1, "coverage is a share"),
        _between("bar_coverage_ratio", 0, 1, "coverage is a share"),
        _known("bar_coverage_ratio", "a bar's own coverage is known"),
        _true(
            "is_rank_covered",
            "no rank where window or bar are covered by less than 95 %",
            ("spike_rank", "coverage_ratio", "bar_coverage_ratio"),
        ),
        _true("is_rank_of_ended", "no rank of a running bar", ("spike_rank", "is_running")),
        _true(
            "is_rank_of_one_set",
            "no rank of a sum whose markets changed inside the window",
            ("spike_rank", "set_changed_at"),
        ),
        _true("is_running_provisional", "a running bar is provisional", ("is_running",)),
        _true("is_change_of_sum", "only sums over venues can change their markets", ("set_changed_at",)),
        _true("is_venue_set_named", "the venues of a sum are named, and a market has one"),
        _true("is_rank_given", "a covered bar in a covered window has a rank", ("spike_rank", "coverage_ratio")),
        _true("is_event_ranked", "an event rank stands exactly at ranked events", events),
        _true("is_event_ripe", "an event is known only once its neighbourhood has passed", events),
        _between("event_rank", 1, None, "a rank begins at 1", events),
        _expect(
            "ExpectColumnPairValuesAToBeGreaterThanB",
            "events are fewer than bars: event rank <= spike rank",
            CRITICAL,
            events,
            column_A="spike_rank",
            column_B="event_rank",
            or_equal=True,
            ignore_row_if="either_value_is_missing",
        ),
    ]
    return _suite("fct_taker_spike_ranks", key, expectations)


# One row per definition and market whose bars allow it. A definition smoothed over more than a day is left out: one
# complete day does not promise a bar of it.
_RANKS_DEFINITIONS_QUERY: Final = """
with definitions as (
    select
        definition_id,
        unit,
        smoothing_bars,
        nullif(venue, '') as venue,
        case grain when '1h' then 1 when '4h' then 4 when '1d' then 24 end as bar_hours
    from spike_definitions
),

full_days as (
    select market_id, cast(bar_at as date) as trade_date
    from fct_net_taker_volume_hourly
    group by market_id, cast(bar_at as date)
    having count(*) = 24
),

-- On a day of trades a quiet hour may have no bar, and the bars that smooth over it have no value.
due as (
    select
        definitions.definition_id,
        daily.market_id,
        count(*) as complete_days,
        max(daily.trade_date) as last_complete_date
    from definitions
    inner join fct_net_taker_volume_daily as daily
        on daily.coverage_ratio = 1
        and not daily.is_running
        and daily.volume_usd > 0
        and daily.source_bar_hours <= definitions.bar_hours
        and definitions.smoothing_bars * definitions.bar_hours <= 24
        and (definitions.venue is null or definitions.venue = daily.venue)
    left join full_days
        on full_days.market_id = daily.market_id
        and full_days.trade_date = daily.trade_date
    where definitions.smoothing_bars = 1
        or daily.flow_source in ('klines', 'rest_klines')
        or full_days.market_id is not null
    group by definitions.definition_id, daily.market_id
),

ranked as (
    select definition_id, market_id, count(*) as ranked_bars, max(cast(bar_at as date)) as last_ranked_date
    from fct_taker_spike_ranks
    group by definition_id, market_id
),

daily_values as (
    select
        definitions.definition_id,
        daily.market_id,
        sum(case when ranks.bar_at is null then 1 else 0 end) as days_without_rank,
        max(coalesce(abs(ranks.value - case definitions.unit
            when 'usd' then daily.net_taker_usd
            when 'base' then daily.net_taker_base
            else cast(daily.taker_sell_ratio as decimal(38, 8))
        end), 0)) as largest_value_difference
    from definitions
    inner join fct_net_taker_volume_daily as daily
        on definitions.bar_hours = 24
        and definitions.smoothing_bars = 1
        and daily.volume_usd > 0
        and (definitions.venue is null or definitions.venue = daily.venue)
    left join fct_taker_spike_ranks as ranks
        on ranks.definition_id = definitions.definition_id
        and ranks.market_id = daily.market_id
        and ranks.bar_at = cast(daily.trade_date as timestamp)
    group by definitions.definition_id, daily.market_id
)

select
    due.definition_id,
    due.market_id,
    due.complete_days,
    due.last_complete_date,
    coalesce(ranked.ranked_bars, 0) as ranked_bars,
    ranked.last_ranked_date,
    coalesce(due.last_complete_date - ranked.last_ranked_date, due.complete_days) as days_behind,
    coalesce(daily_values.days_without_rank, 0) as days_without_rank,
    coalesce(daily_values.largest_value_difference, 0) as largest_value_difference
from due
left join ranked
    on due.definition_id = ranked.definition_id
    and due.market_id = ranked.market_id
left join daily_values
    on due.definition_id = daily_values.definition_id
    and due.market_id = daily_values.market_id
order by due.definition_id, due.market_id
"""


def _ranks_definitions() -> gx.ExpectationSuite:
    """Every definition is filled up to the market's last complete day, from the daily mart's numbers."""
    last = ("last_complete_date", "last_ranked_date", "ranked_bars")
    expectations = [
        _between("days_behind", None, 0, "every definition reaches the last complete day of the market", last),
        _zero("days_without_rank", "every day of the daily mart stands under every daily definition", last),
        # A ratio is a double in one mart and a decimal of 8 places in the other.
        _between("largest_value_difference", 0, 1e-8, "a daily definition ranks the daily mart's value"),
    ]
    return _suite("fct_taker_spike_ranks_definitions", ["definition_id", "market_id"], expectations)


# --- reconciliation -------------------------------------------------------------------------------

_VERDICTS: Final = (
    "exact",
    "within_tolerance",
    "trades_incomplete",
    "conflict",
    "trades_only",
    "klines_only",
    "trades_implausible",
    "provisional_only",
)
_REST_VERDICTS: Final = ("exact", "within_tolerance", "conflict", "not_comparable")
# The venue rounds its second opinion, and an hour's largest difference is what is shown.
_SECOND_OPINION: Final = 0.02
_INTERVAL_VERDICTS: Final = ("single_interval", "exact", "within_tolerance", "conflict")

_RECONCILIATION_QUERY: Final = f"""
with days as (
    select
        *,
        trades_net_usd - klines_net_usd as net_difference_usd,
        klines_volume_usd * {_TOLERANCE} as tolerance_usd
    from fct_flow_reconciliation_daily
),

judged as (
    select
        *,
        case
            -- What the volumes cannot tell; the reason must.
            when verdict = 'trades_implausible' and trades_volume_usd is not null and defect_reason is not null
                then 'trades_implausible'
            when klines_volume_usd is null and trades_volume_usd is null then 'provisional_only'
            when klines_volume_usd is null then 'trades_only'
            when trades_volume_usd is null then 'klines_only'
            when trades_volume_usd = klines_volume_usd and net_difference_usd = 0 then 'exact'
            when trades_volume_usd - klines_volume_usd < -tolerance_usd then 'trades_incomplete'
            when trades_volume_usd - klines_volume_usd > tolerance_usd or abs(net_difference_usd) > tolerance_usd
                then 'conflict'
            else 'within_tolerance'
        end as recomputed_verdict,
        -- The best that the volumes allow: the nets of the intervals, which the mart leaves out, may disagree more.
        case
            when klines_volume_usd is null then null
            when coarser_volume_usd is null then 'single_interval'
            when coarser_volume_usd = klines_volume_usd then 'exact'
            when abs(klines_volume_usd - coarser_volume_usd) > tolerance_usd then 'conflict'
            else 'within_tolerance'
        end as best_interval_verdict
    from days
)

select
    market_id,
    trade_date,
    trades_volume_usd,
    klines_volume_usd,
    difference_usd,
    trades_net_usd,
    klines_net_usd,
    agg_id_gaps,
    duplicate_rows,
    zero_rows,
    out_of_order_rows,
    quarantined_rows,
    replaced_sources,
    defect_reason,
    verdict,
    recomputed_verdict,
    kline_interval,
    coarser_interval,
    coarser_volume_usd,
    interval_difference_usd,
    interval_verdict,
    best_interval_verdict,
    rest_hours,
    rest_volume_usd,
    rest_net_usd,
    rest_difference_usd,
    rest_verdict,
    venue_taker_ratio_difference,
    coalesce(venue = substring(market_id, 1, position(':' in market_id) - 1), false)
    and coalesce(venue not in ({_SUM_VENUES}), false) as is_venue_of_market,
    -- The best that the volumes allow: the nets of the archive's hours, which the mart leaves out, may disagree more.
    case
        when rest_hours is null then rest_verdict is null
        when rest_hours = 0 then coalesce(rest_verdict = 'not_comparable', false) and rest_difference_usd is null
        when rest_difference_usd = 0 then coalesce(rest_verdict in ('exact', 'within_tolerance', 'conflict'), false)
        when abs(rest_difference_usd) <= (rest_volume_usd - rest_difference_usd) * {_TOLERANCE}
            then coalesce(rest_verdict in ('within_tolerance', 'conflict'), false)
        else coalesce(rest_verdict = 'conflict', false)
    end as is_rest_verdict_right,
    case when rest_hours > 24 or rest_hours < 0 then false else coalesce(abs(rest_net_usd) <= rest_volume_usd, true) end
        as is_rest_possible,
    least(agg_id_gaps, duplicate_rows, zero_rows, out_of_order_rows, quarantined_rows) as smallest_defect_count,
    coalesce(verdict = recomputed_verdict, false) as is_verdict_right,
    case
        when best_interval_verdict is null then interval_verdict is null
        when best_interval_verdict = 'exact'
            then coalesce(interval_verdict in ('exact', 'within_tolerance', 'conflict'), false)
        when best_interval_verdict = 'within_tolerance'
            then coalesce(interval_verdict in ('within_tolerance', 'conflict'), false)
        else coalesce(interval_verdict = best_interval_verdict, false)
    end as is_interval_verdict_right,
    case
        when trades_volume_usd is null or klines_volume_usd is null then difference_usd is null
        else coalesce(difference_usd = trades_volume_usd - klines_volume_usd, false)
    end as is_difference_right,
    case
        when klines_volume_usd is null or coarser_volume_usd is null then interval_difference_usd is null
        else coalesce(interval_difference_usd = klines_volume_usd - coarser_volume_usd, false)
    end as is_interval_difference_right
from judged
order by market_id, trade_date
"""


def _reconciliation() -> gx.ExpectationSuite:
    """Every verdict follows from its numbers; warns of the days on which the venue contradicts itself."""
    sources = ("trades_volume_usd", "klines_volume_usd", "difference_usd", "trades_net_usd", "klines_net_usd")
    defects = ("agg_id_gaps", "duplicate_rows", "zero_rows", "out_of_order_rows", "quarantined_rows")
    intervals = (
        "kline_interval",
        "coarser_interval",
        "klines_volume_usd",
        "coarser_volume_usd",
        "interval_difference_usd",
    )
    rest = ("rest_verdict", "rest_hours", "rest_volume_usd", "rest_net_usd", "rest_difference_usd")
    expectations = [
        _unique("market_id", "trade_date"),
        _one_of("verdict", _VERDICTS, "the verdict is one of the known ones", sources),
        _one_of("interval_verdict", _INTERVAL_VERDICTS, "the interval verdict is one of the known ones", intervals),
        _true("is_verdict_right", "the verdict follows from the volumes", ("verdict", "recomputed_verdict", *sources)),
        _true(
            "is_interval_verdict_right",
            "the interval verdict follows from the volumes",
            ("interval_verdict", "best_interval_verdict", *intervals),
        ),
        _true("is_difference_right", "difference = trades - klines, to the last digit", sources),
        _true("is_interval_difference_right", "difference = finest - coarser klines, to the last digit", intervals),
        _between("smallest_defect_count", 0, None, "counts of defects are not negative", defects),
        _never("verdict", "conflict", "trades and klines tell the same flow", (*sources, *defects)),
        _never("verdict", "trades_incomplete", "the day's trades are complete", (*sources, *defects)),
        _never("verdict", "trades_implausible", "the day's trades can be a market's flow", ("defect_reason", *sources)),
        _true("is_venue_of_market", "the venue is the market's, and a sum over venues is not reconciled"),
        _one_of("rest_verdict", _REST_VERDICTS, "the verdict on the api is one of the known ones", rest),
        _true("is_rest_verdict_right", "the verdict on the api follows from the volumes", rest),
        _true("is_rest_possible", "a day has 24 hours, and a net is no larger than its volume", rest),
        _between("venue_taker_ratio_difference", 0, 1, "a difference is a share of the hour"),
        _between(
            "venue_taker_ratio_difference",
            None,
            _SECOND_OPINION,
            "the venue's own taker volumes are ours",
            ("verdict",),
            WARNING,
        ),
        _never("rest_verdict", "conflict", "the archive says what the venue's api said before it", rest),
        _never("interval_verdict", "conflict", "the venue's klines of two intervals tell the same volume", intervals),
    ]
    return _suite("fct_flow_reconciliation_daily", ["market_id", "trade_date"], expectations)


# One row per market-day of either mart: the daily bar must come from the source that the verdict names.
_RECONCILIATION_CHOICE_QUERY: Final = f"""
with days as (
    select
        coalesce(verdicts.market_id, daily.market_id) as market_id,
        coalesce(verdicts.trade_date, daily.trade_date) as trade_date,
        verdicts.market_id is not null as is_in_reconciliation,
        -- A stored file without a trade is a statement too, but it gives no bar.
        daily.market_id is not null
        or (coalesce(verdicts.trades_volume_usd, 0) = 0 and verdicts.klines_volume_usd is null)
        -- Implausible trades alone give no bar, and neither do bars of which none can be right.
        or (verdicts.verdict = 'trades_implausible' and verdicts.klines_volume_usd is null)
        or coalesce(verdicts.doubtful_bars > 0 and verdicts.kline_coverage_ratio = 0, false) as is_in_daily,
        verdicts.market_id is not null and daily.market_id is not null as is_in_both,
        verdicts.verdict,
        daily.flow_source,
        case
            when verdicts.verdict = 'provisional_only' and daily.is_provisional then daily.flow_source
            when verdicts.verdict in ('exact', 'within_tolerance', 'trades_only') then 'trades'
            -- Implausible trades without klines: only what the api said of the day is left.
            when verdicts.verdict = 'trades_implausible' and daily.is_provisional then daily.flow_source
            -- Bars that the trades replace: all of the day where both then agree, else these bars alone.
            when verdicts.replaced_bars > 0 and daily.flow_source in ('trades', 'mixed') then daily.flow_source
            when verdicts.verdict = 'conflict' and verdicts.kline_coverage_ratio < 1 and verdicts.difference_usd > 0
                and verdicts.doubtful_bars = 0
                then 'trades'
            else 'klines'
        end as due_flow_source,
        daily.volume_usd,
        case
            when verdicts.verdict = 'provisional_only' or daily.is_provisional then daily.volume_usd
            when daily.flow_source = 'trades' then verdicts.trades_volume_usd
            -- Part trades, part klines: no one source holds the day.
            when daily.flow_source = 'mixed' then daily.volume_usd
            when verdicts.kline_interval = case daily.source_bar_hours when 1 then '1h' when 4 then '4h' else '1d' end
                then verdicts.klines_volume_usd
            else daily.volume_usd
        end as source_volume_usd
    from fct_flow_reconciliation_daily as verdicts
    full join (select * from fct_net_taker_volume_daily where venue not in ({_SUM_VENUES})) as daily
        on verdicts.market_id = daily.market_id
        and verdicts.trade_date = daily.trade_date
)

select
    *,
    -- Where nothing was traded, both sources say the same.
    not is_in_both or coalesce(volume_usd = 0 or flow_source = due_flow_source, false) as is_due_source,
    case when is_in_both then {_residual("abs(volume_usd - source_volume_usd)")} else 0 end as volume_difference_usd
from days
"""


def _reconciliation_choice() -> gx.ExpectationSuite:
    """Every day of the daily mart comes from the source that the reconciliation found complete."""
    expectations = [
        _true("is_in_daily", "a reconciled day is a day of the daily mart", ("verdict",)),
        _true("is_in_reconciliation", "a day of the daily mart is reconciled", ("flow_source",)),
        _true(
            "is_due_source",
            "a day comes from the source that is complete",
            ("verdict", "flow_source", "due_flow_source"),
        ),
        _between(
            "volume_difference_usd",
            0,
            _ROUNDING,
            "a day's volume is that of its source",
            ("verdict", "flow_source", "volume_usd", "source_volume_usd"),
        ),
    ]
    return _suite("fct_flow_reconciliation_daily_choice", ["market_id", "trade_date"], expectations)


# --- liquidations ---------------------------------------------------------------------------------

_LIQUIDATION_SOURCES: Final = ("archive", "live", "mixed")


def _liquidations_query(mart: str, time_column: str, further: str = "") -> str:
    """Rows of a liquidations mart with the residuals of its identities. `further`: columns that only this mart has."""
    return f"""
select
    venue,
    market_id,
    {time_column},
    long_usd,
    short_usd,
    total_usd,
    order_count,
    unvalued_order_count,
    largest_order_usd,
    coverage_ratio,
    is_lower_bound,
    liquidation_source,
    venue_set,
    subscribed_symbol_count,
    case
        when coverage_ratio = 0 then 0 else {_residual("long_usd + short_usd - total_usd")}
    end as sum_residual,
    least(long_usd, short_usd, largest_order_usd, order_count, unvalued_order_count) as smallest_amount,
    coalesce(
        (
            coverage_ratio = 0 and long_usd is null and short_usd is null and total_usd is null
            and order_count is null and unvalued_order_count is null and largest_order_usd is null
        )
        or (
            coverage_ratio > 0 and long_usd is not null and short_usd is not null and total_usd is not null
            and order_count is not null and unvalued_order_count is not null
        ),
        false
    ) as is_absence_unknown,
    coverage_ratio = 0
    or coalesce(order_count > unvalued_order_count or (total_usd = 0 and order_count = unvalued_order_count), false)
        as is_count_consistent,
    total_usd is null or coalesce(largest_order_usd, 0) <= total_usd as is_largest_within_total,
    coalesce(
        is_lower_bound
        or (
            coverage_ratio = 1 and unvalued_order_count = 0 and liquidation_source = 'live'
            and subscribed_symbol_count is null
        ),
        false
    ) as is_bound_honest,
    coalesce(
        venue_set = case when venue in ('all', 'simulated_all') then venue_set else venue end
        and length(venue_set) > 0
        and (venue = 'all') <= (position('simulated' in venue_set) = 0)
        and (venue = 'simulated_all') <= (venue_set = 'simulated'),
        false
    ) as is_venue_set_right,
    subscribed_symbol_count is null or coalesce(ends_with(market_id, ':ALL') and coverage_ratio > 0, false)
        as is_symbol_count_of_sum,
    coalesce(
        starts_with(market_id, venue || ':')
        and (ends_with(market_id, ':ALL') or venue not in ('all', 'simulated_all')),
        false
    ) as is_id_of_parts{further}
from {mart}
"""


def _liquidations_expectations(time_column: str, span: str) -> list[Expectation]:
    usd = ("long_usd", "short_usd", "total_usd", "largest_order_usd", "order_count", "unvalued_order_count")
    heard = ("coverage_ratio", "liquidation_source", "venue_set", "subscribed_symbol_count")
    return [
        _unique("venue", "market_id", time_column),
        _zero("sum_residual", "longs + shorts = total, to the last digit", usd),
        _between("smallest_amount", 0, None, "no amount is negative", usd),
        _true("is_absence_unknown", f"{span} that nobody covered is unknown, not zero", (*usd, "coverage_ratio")),
        _true("is_count_consistent", "no volume without a valued order", usd),
        _true("is_largest_within_total", "the largest order is part of the total", usd),
        _between("coverage_ratio", 0, 1, "coverage is a share"),
        _known("coverage_ratio", "coverage is known"),
        _true("is_bound_honest", "only what was heard whole and valued whole is no lower bound", (*usd, *heard)),
        _known("is_lower_bound", "lower bounds are labelled as such"),
        _one_of("liquidation_source", _LIQUIDATION_SOURCES, "the source is named", heard),
        _known("liquidation_source", "the source is known"),
        _true("is_venue_set_right", "the venues behind a row are named, and simulated ones stay apart", heard),
        _true("is_id_of_parts", "a row is of a market of its venue, or of ALL", ("venue",)),
        _between("subscribed_symbol_count", 0, None, "no number of symbols is negative", ("venue_set",)),
        _true(
            "is_symbol_count_of_sum",
            "symbols are counted of sums that were heard, and of no market",
            ("subscribed_symbol_count", "coverage_ratio"),
        ),
    ]


_LIQUIDATIONS_HOURLY_QUERY: Final = _liquidations_query(
    "fct_liquidations_hourly", "bar_at", ",\n    bar_at = date_trunc('hour', bar_at) as is_whole_hour"
)
_LIQUIDATIONS_DAILY_QUERY: Final = _liquidations_query(
    "fct_liquidations_daily",
    "trade_date",
    # The archive ended years before the first feed was listened to: the hole between the two is none.
    """,
    case
        when liquidation_source = 'archive'
            then trade_date - lag(trade_date) over (
                partition by venue, market_id, liquidation_source = 'archive'
                order by trade_date
            )
    end as days_since_previous""",
)
_LIQUIDATIONS_ROLLING_QUERY: Final = _liquidations_query(
    "fct_liquidations_rolling_24h", "as_of_at", ",\n    as_of_at = date_trunc('hour', as_of_at) as is_whole_hour"
)


def _liquidations_hourly() -> gx.ExpectationSuite:
    """Longs and shorts add up, an hour without coverage is unknown and not zero, totals say how complete they are."""
    expectations = [
        *_liquidations_expectations("bar_at", "an hour"),
        _true("is_whole_hour", "hours begin at full hours"),
    ]
    return _suite("fct_liquidations_hourly", ["venue", "market_id", "bar_at"], expectations)


def _liquidations() -> gx.ExpectationSuite:
    """Longs and shorts add up, a day without coverage is unknown and not zero, totals say how complete they are."""
    expectations = [
        *_liquidations_expectations("trade_date", "a day"),
        # Unlike flow, liquidations are asked for in pieces: a hole is a range nobody asked for, and no number is wrong.
        _between("days_since_previous", None, 1, "no range of days was left out", (), WARNING),
    ]
    return _suite("fct_liquidations_daily", ["venue", "market_id", "trade_date"], expectations)


def _liquidations_rolling() -> gx.ExpectationSuite:
    """The same of the 24 hours before each full hour."""
    expectations = [
        *_liquidations_expectations("as_of_at", "a rolling day"),
        _true("is_whole_hour", "rolling days end at full hours"),
    ]
    return _suite("fct_liquidations_rolling_24h", ["venue", "market_id", "as_of_at"], expectations)


# One row per hour of a venue, or of all venues, beside the sum of what it is made of: its markets, or its venues.
_LIQUIDATION_WIDTHS_QUERY: Final = f"""
with venues as (
    select * from fct_liquidations_hourly
    where ends_with(market_id, ':ALL') and venue not in ('all', 'simulated_all')
),

parts as (
    select venue, bar_at, long_usd, short_usd, order_count, unvalued_order_count
    from fct_liquidations_hourly
    where not ends_with(market_id, ':ALL')
    union all
    select
        case when venue = 'simulated' then 'simulated_all' else 'all' end as venue, bar_at, long_usd, short_usd,
        order_count, unvalued_order_count
    from venues
),

sums as (
    select
        venue,
        bar_at,
        coalesce(sum(long_usd), 0) as long_usd,
        coalesce(sum(short_usd), 0) as short_usd,
        coalesce(sum(order_count), 0) as order_count,
        coalesce(sum(unvalued_order_count), 0) as unvalued_order_count
    from parts
    group by venue, bar_at
)

select
    totals.venue,
    totals.bar_at,
    totals.long_usd,
    totals.short_usd,
    totals.order_count,
    totals.unvalued_order_count,
    sums.long_usd as long_usd_of_parts,
    sums.short_usd as short_usd_of_parts,
    sums.order_count as order_count_of_parts,
    case
        when totals.coverage_ratio = 0 then 0 else {_residual("totals.long_usd - coalesce(sums.long_usd, 0)")}
    end as long_residual,
    case
        when totals.coverage_ratio = 0 then 0 else {_residual("totals.short_usd - coalesce(sums.short_usd, 0)")}
    end as short_residual,
    case
        when totals.coverage_ratio = 0 then 0 else {_residual("totals.order_count - coalesce(sums.order_count, 0)")}
    end as count_residual,
    case
        when totals.coverage_ratio = 0 then 0
        else {_residual("totals.unvalued_order_count - coalesce(sums.unvalued_order_count, 0)")}
    end as unvalued_residual
from fct_liquidations_hourly as totals
left join sums
    on totals.venue = sums.venue
    and totals.bar_at = sums.bar_at
where ends_with(totals.market_id, ':ALL')
"""


def _liquidation_widths() -> gx.ExpectationSuite:
    """A venue's hour is the sum of its markets, and that of all venues the sum of the venues."""
    parts = ("long_usd_of_parts", "short_usd_of_parts", "order_count_of_parts")
    expectations = [
        _zero("long_residual", "longs are those of the parts, to the last digit", ("long_usd", *parts)),
        _zero("short_residual", "shorts are those of the parts, to the last digit", ("short_usd", *parts)),
        _zero("count_residual", "orders are those of the parts", ("order_count", *parts)),
        _zero("unvalued_residual", "unvalued orders are those of the parts", ("unvalued_order_count",)),
    ]
    return _suite("fct_liquidations_hourly_widths", ["venue", "bar_at"], expectations)


# One row per day that stands in the daily or in the hourly mart, or that the archive was asked for. Hours that only a
# venue's trail holds (see int_liquidation_venue_hours) have no numbers, and leave a day of `all` without a venue.
_LIQUIDATION_DAYS_QUERY: Final = f"""
with asked_days as (
    select
        market_id,
        trade_date,
        max(case when status = 'stored' then 1 else 0 end) as due_coverage_ratio,
        sum(row_count) as raw_rows
    from stg_raw__receipts
    where dataset = 'liquidationSnapshot'
    group by market_id, trade_date
),

hours as (
    select
        market_id,
        cast(bar_at as date) as trade_date,
        sum(long_usd) as long_usd,
        sum(short_usd) as short_usd,
        sum(order_count) as order_count,
        sum(coverage_ratio) / 24 as coverage_ratio
    from fct_liquidations_hourly
    group by market_id, cast(bar_at as date)
),

days as (
    select market_id, trade_date from asked_days
    union
    select market_id, trade_date from hours
    union
    select market_id, trade_date from fct_liquidations_daily
)

select
    days.market_id,
    days.trade_date,
    asked_days.raw_rows,
    liquidations.long_usd,
    liquidations.short_usd,
    liquidations.order_count,
    liquidations.coverage_ratio,
    liquidations.market_id is not null as is_in_mart,
    hours.market_id is not null as has_hours,
    coalesce(hours.long_usd, 0) - coalesce(liquidations.long_usd, 0) as long_difference,
    coalesce(hours.short_usd, 0) - coalesce(liquidations.short_usd, 0) as short_difference,
    coalesce(hours.order_count, 0) - coalesce(liquidations.order_count, 0) as count_difference,
    case
        when asked_days.due_coverage_ratio is null or liquidations.market_id is null then 0
        when asked_days.due_coverage_ratio = 1
            then {_distance("liquidations.coverage_ratio", "asked_days.due_coverage_ratio")}
        when liquidations.liquidation_source = 'archive' then {_distance("liquidations.coverage_ratio", "0.0e0")}
        else 0
    end as coverage_error,
    -- A market that was only heard has hours with orders, and the coverage of all hours of its venue.
    case
        when liquidations.venue in ('all', 'simulated_all') or hours.market_id is null then 0
        else greatest(hours.coverage_ratio - liquidations.coverage_ratio, 0)
    end as coverage_excess,
    case
        when asked_days.due_coverage_ratio = 1
            then coalesce(asked_days.raw_rows - liquidations.order_count, 0)
        else 0
    end as surplus_rows
from days
left join asked_days
    on days.market_id = asked_days.market_id
    and days.trade_date = asked_days.trade_date
left join hours
    on days.market_id = hours.market_id
    and days.trade_date = hours.trade_date
left join fct_liquidations_daily as liquidations
    on days.market_id = liquidations.market_id
    and days.trade_date = liquidations.trade_date
"""


def _liquidation_days() -> gx.ExpectationSuite:
    """Every day that was asked for or listened to is there, covered where a file is stored, the sum of its hours."""
    shows = ("raw_rows", "long_usd", "short_usd", "order_count", "coverage_ratio")
    expectations = [
        _true("is_in_mart", "every day that was asked for or listened to has a row, also an absent one", shows),
        _true("has_hours", "no day stands in the mart without hours", shows),
        _zero("long_difference", "a day's longs are those of its hours", shows),
        _zero("short_difference", "a day's shorts are those of its hours", shows),
        _zero("count_difference", "a day's orders are those of its hours", shows),
        _between("coverage_error", 0, _DOUBLE, "stored days are covered and absent days are not", shows),
        _between("coverage_excess", 0, _DOUBLE, "a day is covered no less than its hours", shows),
        _between("surplus_rows", 0, None, "a day has no more orders than raw rows", shows),
    ]
    return _suite("fct_liquidations_daily_days", ["market_id", "trade_date"], expectations)


# One row per rolling day beside the sum of the 24 hours that it is made of: each hour is in 24 windows.
_LIQUIDATION_WINDOWS_QUERY: Final = """
with sums as (
    select
        hours.market_id,
        hours.bar_at + to_hours(distances.hours) as as_of_at,
        sum(hours.long_usd) as long_usd,
        sum(hours.short_usd) as short_usd,
        sum(hours.order_count) as order_count,
        max(hours.largest_order_usd) as largest_order_usd,
        sum(hours.coverage_ratio) / 24 as coverage_ratio
    from fct_liquidations_hourly as hours
    cross join range(1, 25) as distances (hours)
    group by hours.market_id, hours.bar_at + to_hours(distances.hours)
)

select
    rolling.market_id,
    rolling.as_of_at,
    rolling.long_usd,
    rolling.short_usd,
    rolling.order_count,
    rolling.largest_order_usd,
    rolling.coverage_ratio,
    sums.market_id is not null as has_hours,
    coalesce(sums.long_usd, 0) - coalesce(rolling.long_usd, 0) as long_difference,
    coalesce(sums.short_usd, 0) - coalesce(rolling.short_usd, 0) as short_difference,
    coalesce(sums.order_count, 0) - coalesce(rolling.order_count, 0) as count_difference,
    sums.market_id is null or sums.largest_order_usd is not distinct from rolling.largest_order_usd as is_largest_right,
    case
        when rolling.venue in ('all', 'simulated_all') or sums.market_id is null then 0
        else greatest(sums.coverage_ratio - rolling.coverage_ratio, 0)
    end as coverage_excess
from fct_liquidations_rolling_24h as rolling
left join sums
    on rolling.market_id = sums.market_id
    and rolling.as_of_at = sums.as_of_at
"""


def _liquidation_windows() -> gx.ExpectationSuite:
    """The 24 hours to each full hour, and no other hour, make its rolling day."""
    shows = ("long_usd", "short_usd", "order_count", "largest_order_usd", "coverage_ratio")
    expectations = [
        _true("has_hours", "no rolling day is made of nothing", shows),
        _zero("long_difference", "longs are those of the 24 hours", shows),
        _zero("short_difference", "shorts are those of the 24 hours", shows),
        _zero("count_difference", "orders are those of the 24 hours", shows),
        _true("is_largest_right", "the largest order is that of the 24 hours", shows),
        _between("coverage_excess", 0, _DOUBLE, "24 hours are covered no less than each of them", shows),
    ]
    return _suite("fct_liquidations_rolling_24h_windows", ["market_id", "as_of_at"], expectations)


# --- markets --------------------------------------------------------------------------------------

_SIZE_SOURCES: Final = ("instruments", "seed", "convention", "unknown")

_MARKETS_QUERY: Final = f"""
select
    market_id,
    venue,
    symbol,
    base_asset,
    quote_asset,
    contract_type,
    contract_size,
    contract_size_source,
    is_ingested,
    is_simulated,
    coalesce(market_id = venue || ':' || symbol, false) as is_id_of_parts,
    -- A symbol that was only heard need not be understood; one that was asked for is.
    (base_asset is not null and quote_asset is not null and contract_type is not null)
    or coalesce(
        not is_ingested and base_asset is null and quote_asset is null and contract_type is null, false
    ) as has_assets,
    coalesce(contract_type <> 'inverse' or quote_asset = 'USD', true) as is_size_of_type,
    coalesce((contract_size is null) = (contract_size_source = 'unknown'), false) as is_size_explained,
    contract_size is not null
    or not (
        exists (select 1 from fct_net_taker_volume_hourly as hourly where hourly.market_id = dim_markets.market_id)
        or exists (select 1 from fct_net_taker_volume_daily as daily where daily.market_id = dim_markets.market_id)
    ) as is_flow_valued,
    coalesce(contract_size is not null or not is_ingested, false) as is_size_known,
    (coalesce(contract_type, '') = 'aggregate') = (venue in ({_SUM_VENUES})) as is_sum_named,
    coalesce(is_simulated = (venue in ('simulated', 'simulated_all')), false) as is_labelled
from dim_markets
"""


def _markets() -> gx.ExpectationSuite:
    """Every market is who it says it is, with the contract size that its amounts were valued with."""
    contract = ("contract_type", "contract_size", "contract_size_source", "quote_asset")
    expectations = [
        _not_empty(),
        _unique("market_id"),
        _true("is_id_of_parts", "a market is venue:symbol", ("venue", "symbol")),
        _true("has_assets", "base and quote of a market that was asked for are known", ("base_asset", "quote_asset")),
        _one_of(
            "contract_type", ["linear", "inverse", "aggregate"], "a contract is linear, inverse or a sum", contract
        ),
        _between("contract_size", 0, None, "a contract has a size", contract, strictly_above=True),
        _one_of("contract_size_source", _SIZE_SOURCES, "who says a contract's size is named", contract),
        _true("is_size_explained", "a size has a source, and no size has none", contract),
        _true("is_flow_valued", "no flow is valued with a size that nobody knows", contract),
        _true(
            "is_size_known",
            "what a contract is worth is known of every market asked for; without it trades are kept and not valued: "
            "let the venue be asked (TAKER_REST=on) or add the market to dbt_project/seeds/markets.csv",
            contract,
            WARNING,
        ),
        _true("is_size_of_type", "inverse contracts are sized in USD", contract),
        _known("is_ingested", "whether a market was asked for is known"),
        _true("is_sum_named", "a sum over venues, and only that, is of the venue `all`", ("venue", "contract_type")),
        _true("is_labelled", "simulated markets, and only they, are labelled so", ("venue", "is_simulated")),
    ]
    return _suite("dim_markets", ["market_id"], expectations)


# --- claims ---------------------------------------------------------------------------------------

# One row per claim and definition. Ranks are counted again: how many bars, and events, of the window are more extreme.
_CLAIMS_QUERY: Final = f"""
with verdicts as (
    select verdicts.*, definitions.unit = 'sell_ratio' as is_ratio
    from fct_claim_verdicts as verdicts
    left join dim_spike_definitions as definitions
        on verdicts.definition_id = definitions.definition_id
),

counted as (
    select
        verdicts.claim_id,
        verdicts.definition_id,
        count(*) as window_bars,
        1 + sum(
            case when ((verdicts.side = 'bearish') = verdicts.is_ratio and ranks.value > verdicts.value)
                or ((verdicts.side = 'bearish') <> verdicts.is_ratio and ranks.value < verdicts.value) then 1 else 0 end
        ) as bar_rank,
        1 + sum(
            case when ranks.is_event and (
                ((verdicts.side = 'bearish') = verdicts.is_ratio and ranks.value > verdicts.value)
                or ((verdicts.side = 'bearish') <> verdicts.is_ratio and ranks.value < verdicts.value)
            ) then 1 else 0 end
        ) as rank_among_events,
        max(case when ranks.bar_at = verdicts.bar_at and ranks.value = verdicts.value then 1 else 0 end) = 1
            as is_found,
        max(case when ranks.bar_at = verdicts.bar_at and ranks.is_event then 1 else 0 end) = 1
            as is_event,
        max(case when ranks.bar_at = verdicts.bar_at and ranks.is_provisional then 1 else 0 end) = 1
            as is_provisional,
        coalesce(max(ranks.set_changed_at) >= min(ranks.bar_at), false) as has_changed_set
    from verdicts
    inner join fct_taker_spike_ranks as ranks
        on verdicts.definition_id = ranks.definition_id
        and verdicts.market_id = ranks.market_id
        and verdicts.side = ranks.side
        and ranks.bar_at >= verdicts.as_of_at - interval '1 day' * verdicts.window_days
        and ranks.bar_at < verdicts.as_of_at
        and not ranks.is_running
    group by verdicts.claim_id, verdicts.definition_id
),

asked as (
    select
        claims.*,
        definitions.definition_id,
        cast(claims.event_to as timestamp) + interval '1 day' as event_end_at
    from dim_claims as claims
    cross join dim_spike_definitions as definitions
)

select
    coalesce(asked.claim_id, verdicts.claim_id) as claim_id,
    coalesce(asked.definition_id, verdicts.definition_id) as definition_id,
    verdicts.bar_at,
    verdicts.value,
    verdicts.claimed_rank,
    verdicts.actual_rank,
    verdicts.actual_event_rank,
    counted.bar_rank,
    counted.rank_among_events,
    verdicts.coverage_ratio,
    verdicts.holds,
    verdicts.holds_by,
    verdicts.verdict_sentence,
    asked.claim_id is not null as is_asked,
    verdicts.claim_id is not null as is_answered,
    verdicts.claim_id is null or asked.claim_id is null or coalesce(
        verdicts.market_id = asked.market_id
        and verdicts.side = asked.side
        and verdicts.claimed_rank = asked.claimed_rank
        and verdicts.window_days = asked.window_days,
        false
    ) as is_claim_unchanged,
    verdicts.claim_id is null or asked.claim_id is null or coalesce(
        verdicts.as_of_at >= asked.event_end_at
        and (
            verdicts.as_of_at = asked.event_end_at
            or coalesce(verdicts.as_of_at = cast(asked.published_on as timestamp), false)
        ),
        false
    ) as is_as_of_due,
    verdicts.bar_at is null or asked.claim_id is null or coalesce(
        counted.is_found
        and verdicts.bar_at >= cast(asked.event_from as timestamp)
        and verdicts.bar_at < asked.event_end_at,
        false
    ) as is_bar_of_claim,
    coalesce(verdicts.window_bars, 0) - coalesce(counted.window_bars, 0) as window_bars_difference,
    verdicts.actual_rank is null or coalesce(verdicts.actual_rank = counted.bar_rank, false) as is_rank_right,
    verdicts.actual_event_rank is null
    or coalesce(counted.is_event and verdicts.actual_event_rank = counted.rank_among_events, false)
        as is_event_rank_right,
    verdicts.holds is null
    or verdicts.holds = (
        coalesce(verdicts.actual_rank = verdicts.claimed_rank, false)
        or coalesce(verdicts.actual_event_rank = verdicts.claimed_rank, false)
    ) as is_verdict_right,
    coalesce(verdicts.holds, false) = (verdicts.holds_by is not null) as is_reason_given,
    verdicts.holds is null
    or coalesce(verdicts.coverage_ratio >= {_MIN_COVERAGE} and verdicts.actual_rank is not null, false)
        as is_verdict_covered,
    verdicts.claim_id is null or coalesce(
        position(verdicts.definition_id in verdicts.verdict_sentence) > 0
        and case
            when verdicts.holds then verdicts.verdict_sentence like 'Holds under %'
            when not verdicts.holds then verdicts.verdict_sentence like 'Does not hold under %'
            else verdicts.verdict_sentence like 'Cannot tell%'
        end,
        false
    ) as is_sentence_right,
    verdicts.holds is null or coalesce(not counted.has_changed_set, false) as is_verdict_of_one_set,
    verdicts.holds is null
    or coalesce(
        counted.is_provisional = (position('the bar is provisional' in verdicts.verdict_sentence) > 0), false
    ) as is_provision_said
from asked
full join verdicts
    on asked.claim_id = verdicts.claim_id
    and asked.definition_id = verdicts.definition_id
left join counted
    on verdicts.claim_id = counted.claim_id
    and verdicts.definition_id = counted.definition_id
order by claim_id, definition_id
"""


def _claims() -> gx.ExpectationSuite:
    """Each claim is judged once under each definition, by ranks that count, and only where the data can tell."""
    ranks = ("bar_at", "value", "claimed_rank", "actual_rank", "actual_event_rank", "bar_rank", "rank_among_events")
    expectations = [
        _unique("claim_id", "definition_id"),
        _true("is_asked", "a verdict belongs to a claim and a definition"),
        _true("is_answered", "every claim is answered under every definition"),
        _true("is_claim_unchanged", "the verdict is about the claim as it was made"),
        _true("is_as_of_due", "ranks are as of the event's end or the day of the claim"),
        _true("is_bar_of_claim", "the bar found is one of the claimed days, with its value", ranks),
        _zero("window_bars_difference", "the window holds the bars that it says"),
        _true("is_rank_right", "rank = 1 + the bars of the window that are more extreme", ranks),
        _true("is_event_rank_right", "event rank = 1 + the events of the window that are more extreme", ranks),
        _true("is_verdict_right", "a claim holds when bar or event have the claimed rank", ("holds", *ranks)),
        _one_of("holds_by", ["bars", "events", "bars and events"], "a claim holds by bars, by events or by both"),
        _true("is_reason_given", "what holds says by what, and nothing else does", ("holds", "holds_by")),
        _between("coverage_ratio", 0, 1, "coverage is a share"),
        _true("is_verdict_covered", "no verdict where the data cannot tell", ("holds", "coverage_ratio", *ranks)),
        _true(
            "is_verdict_of_one_set", "no verdict on a sum whose markets changed inside the window", ("holds", *ranks)
        ),
        _true("is_provision_said", "the sentence says that a bar is provisional", ("verdict_sentence",)),
        _true("is_sentence_right", "the sentence says the verdict and names the definition", ("verdict_sentence",)),
    ]
    return _suite("fct_claim_verdicts", ["claim_id", "definition_id"], expectations)


# --- the event study ------------------------------------------------------------------------------

_HORIZONS: Final = "(values (1), (3), (7), (14), (30)) as horizons (horizon_days)"

# One row per event and horizon, from the ranks or from the mart. A position against the crowd gains when the price
# rises after a bearish event.
_RETURNS_QUERY: Final = f"""
with definitions as (
    select
        definition_id,
        decluster_hours,
        case grain when '1h' then 1 when '4h' then 4 when '1d' then 24 end as bar_hours
    from dim_spike_definitions
),

due as (
    select ranks.*, horizons.horizon_days
    from fct_taker_spike_ranks as ranks
    cross join {_HORIZONS}
    where ranks.event_rank <= 20
),

returns as (
    select
        returns.*,
        definitions.bar_hours,
        definitions.decluster_hours,
        case returns.side when 'bearish' then 1 else -1 end
        * (cast(returns.exit_price as double) / cast(nullif(returns.entry_price, 0) as double) - 1) as recomputed_return
    from fct_spike_forward_returns as returns
    left join definitions
        on returns.definition_id = definitions.definition_id
)

select
    coalesce(due.definition_id, returns.definition_id) as definition_id,
    coalesce(due.market_id, returns.market_id) as market_id,
    coalesce(due.side, returns.side) as side,
    coalesce(due.bar_at, returns.event_at) as event_at,
    coalesce(due.horizon_days, returns.horizon_days) as horizon_days,
    due.bar_at is not null as is_event,
    returns.event_at is not null as is_followed,
    due.bar_at is null or returns.event_at is null
    or coalesce(due.value = returns.value and due.event_rank = returns.event_rank, false) as is_event_unchanged,
    returns.value,
    cast(returns.event_rank as double) as event_rank,
    returns.entry_at,
    returns.exit_at,
    returns.known_at,
    returns.entry_price,
    returns.exit_price,
    returns.forward_return,
    returns.return_when_known,
    returns.max_adverse_excursion,
    returns.max_favourable_excursion,
    returns.is_complete,
    returns.event_at is null
    or coalesce(returns.entry_at = returns.event_at + interval '1 hour' * returns.bar_hours, false)
        as is_entry_next_bar,
    returns.event_at is null
    or coalesce(returns.exit_at = returns.entry_at + interval '1 day' * returns.horizon_days, false) as is_exit_due,
    returns.event_at is null
    or coalesce(returns.known_at >= returns.entry_at + interval '1 hour' * returns.decluster_hours, false)
        as is_known_late_enough,
    {_distance("returns.forward_return", "returns.recomputed_return")} as return_error,
    returns.event_at is null or coalesce(
        returns.is_complete = (returns.entry_price is not null and returns.exit_price is not null), false
    ) as is_completeness_right,
    returns.event_at is null
    or coalesce(returns.is_complete, false)
    or (returns.max_adverse_excursion is null and returns.max_favourable_excursion is null) as is_excursion_due
from due
full join returns
    on due.definition_id = returns.definition_id
    and due.market_id = returns.market_id
    and due.side = returns.side
    and due.bar_at = returns.event_at
    and due.horizon_days = returns.horizon_days
order by definition_id, market_id, side, event_at, horizon_days
"""


def _returns() -> gx.ExpectationSuite:
    """Every large event is followed at every horizon, entered at the next bar, with nothing known early."""
    prices = ("entry_at", "entry_price", "exit_at", "exit_price", "forward_return")
    expectations = [
        _unique("definition_id", "market_id", "side", "event_at", "horizon_days"),
        _true("is_event", "only events of rank 20 and better are followed", ("value", "event_rank")),
        _true("is_followed", "every event of rank 20 and better is followed at every horizon"),
        _true("is_event_unchanged", "an event has the value and the rank that the ranks give", ("value", "event_rank")),
        _true("is_entry_next_bar", "entry is the end of the event's bar", ("entry_at",)),
        _true("is_exit_due", "exit is one horizon after entry", ("entry_at", "exit_at")),
        _true("is_known_late_enough", "an event is known once its neighbourhood has passed", ("entry_at", "known_at")),
        _between("entry_price", 0, None, "prices are positive", prices, strictly_above=True),
        _between("exit_price", 0, None, "prices are positive", prices, strictly_above=True),
        _between("return_error", 0, _DOUBLE, "return = exit / entry - 1, for the position against the crowd", prices),
        _true("is_completeness_right", "complete is what has an entry and an exit", ("is_complete", *prices)),
        _between("max_adverse_excursion", -10, 0, "the worst of a position is no gain", prices),
        _between("max_favourable_excursion", 0, None, "the best of a position is no loss", prices),
        _true("is_excursion_due", "an excursion ends at an exit that is known", ("is_complete",)),
    ]
    return _suite(
        "fct_spike_forward_returns", ["definition_id", "market_id", "side", "event_at", "horizon_days"], expectations
    )


# One row per definition, market, side and horizon that has ranks or a row in the mart.
_STUDY_QUERY: Final = f"""
with due as (
    select distinct ranks.definition_id, ranks.market_id, ranks.side, horizons.horizon_days
    from fct_taker_spike_ranks as ranks
    cross join {_HORIZONS}
),

observed as (
    select
        definition_id,
        market_id,
        side,
        horizon_days,
        count(forward_return) as sample_size,
        count(return_when_known) as sample_size_when_known,
        avg(case when forward_return > 0 then 1.0e0 when forward_return <= 0 then 0.0e0 end) as hit_rate,
        avg(forward_return) as mean_return,
        avg(return_when_known) as mean_return_when_known,
        percentile_cont(0.5) within group (order by forward_return) as median_return
    from fct_spike_forward_returns
    group by definition_id, market_id, side, horizon_days
)

select
    coalesce(due.definition_id, study.definition_id) as definition_id,
    coalesce(due.market_id, study.market_id) as market_id,
    coalesce(due.side, study.side) as side,
    coalesce(due.horizon_days, study.horizon_days) as horizon_days,
    due.definition_id is not null as is_due,
    study.definition_id is not null as is_studied,
    cast(study.sample_size as double) as sample_size,
    cast(study.block_count as double) as block_count,
    study.hit_rate,
    study.median_return,
    study.mean_return,
    cast(study.baseline_size as double) as baseline_size,
    study.baseline_hit_rate,
    study.p_value,
    study.p_value_when_known,
    study.is_conclusive,
    study.conclusion,
    coalesce(study.sample_size, 0) - coalesce(observed.sample_size, 0) as sample_size_difference,
    coalesce(study.sample_size_when_known, 0) - coalesce(observed.sample_size_when_known, 0)
        as sample_size_when_known_difference,
    {_distance("study.hit_rate", "observed.hit_rate")} as hit_rate_error,
    {_distance("study.median_return", "observed.median_return")} as median_error,
    {_distance("study.mean_return", "observed.mean_return")} as mean_error,
    {_distance("study.mean_return_when_known", "observed.mean_return_when_known")} as mean_when_known_error,
    study.definition_id is null
    or coalesce(
        study.block_count <= study.sample_size and (study.block_count > 0) = (study.sample_size > 0), false
    ) as is_block_count_possible,
    study.definition_id is null or coalesce(study.is_conclusive = (study.sample_size >= 10), false) as is_refusal_due,
    study.definition_id is null or coalesce(study.is_conclusive = (study.p_value is not null), false) as is_p_value_due,
    study.definition_id is null
    or coalesce(study.is_conclusive = (study.conclusion not like 'Nothing can be concluded%'), false)
        as is_conclusion_right
from due
full join agg_spike_event_study as study
    on due.definition_id = study.definition_id
    and due.market_id = study.market_id
    and due.side = study.side
    and due.horizon_days = study.horizon_days
left join observed
    on study.definition_id = observed.definition_id
    and study.market_id = observed.market_id
    and study.side = observed.side
    and study.horizon_days = observed.horizon_days
order by definition_id, market_id, side, horizon_days
"""


def _study() -> gx.ExpectationSuite:
    """The study sums up the returns, and concludes nothing from fewer than ten events."""
    sample = ("sample_size", "hit_rate", "median_return", "mean_return")
    expectations = [
        _unique("definition_id", "market_id", "side", "horizon_days"),
        _true("is_due", "only what is ranked is studied"),
        _true("is_studied", "what is ranked is studied at every horizon"),
        _zero("sample_size_difference", "the sample is the events with a known return", sample),
        _zero(
            "sample_size_when_known_difference", "the later sample is the events with a known return by then", sample
        ),
        _between("hit_rate_error", 0, _DOUBLE, "hit rate = share of positive returns", sample),
        _between("median_error", 0, _DOUBLE, "the median is that of the returns", sample),
        _between("mean_error", 0, _DOUBLE, "the mean is that of the returns", sample),
        _between("mean_when_known_error", 0, _DOUBLE, "the later mean is that of the later returns", sample),
        _true("is_block_count_possible", "overlapping events are one block, and never more", ("block_count", *sample)),
        _between("baseline_hit_rate", 0, 1, "a rate is a share", ("baseline_size",)),
        _between("p_value", 0, 1, "a p-value is a probability and never zero", sample, strictly_above=True),
        _between("p_value_when_known", 0, 1, "a p-value is a probability and never zero", sample, strictly_above=True),
        _true("is_refusal_due", "fewer than ten events conclude nothing", ("is_conclusive", *sample)),
        _true("is_p_value_due", "a p-value stands exactly where something is concluded", ("p_value", "is_conclusive")),
        _true("is_conclusion_right", "the sentence concludes exactly where there is enough", ("conclusion", *sample)),
    ]
    return _suite("agg_spike_event_study", ["definition_id", "market_id", "side", "horizon_days"], expectations)


# --- the daily brief ------------------------------------------------------------------------------

_BRIEF_DEFINITIONS: Final = (
    "daily_usd",
    "daily_base",
    "daily_sell_ratio",
    "4h_usd",
    "4h_base",
    "4h_ma2_usd",
    "hourly_ma7_usd",
)
_DAY_RANKS: Final = ",\n        ".join(
    f"min(case when definition_id = '{name}' then spike_rank end) as \"{name}_rank\"" for name in _BRIEF_DEFINITIONS
)
_ARE_RANKS_EQUAL: Final = "\n        and ".join(
    f'briefs."{name}_rank" is not distinct from ranks."{name}_rank"' for name in _BRIEF_DEFINITIONS
)

# One row per market-day of the brief or of the daily mart, compared with the marts that it is told from.
_BRIEF_QUERY: Final = f"""
with ranks as (
    select
        market_id,
        side,
        cast(bar_at as date) as brief_date,
        min(case when definition_id = 'daily_usd' then event_rank end) as daily_usd_event_rank,
        {_DAY_RANKS}
    from fct_taker_spike_ranks
    group by market_id, side, cast(bar_at as date)
),

daily as (
    select
        *,
        lag(close_price) over (partition by market_id order by trade_date) as previous_close,
        trade_date - lag(trade_date) over (partition by market_id order by trade_date) as days_since_previous
    from fct_net_taker_volume_daily
)

select
    coalesce(briefs.market_id, daily.market_id) as market_id,
    coalesce(briefs.brief_date, daily.trade_date) as brief_date,
    daily.market_id is not null as is_in_daily,
    briefs.market_id is not null or coalesce(daily.is_running, false) as is_in_brief,
    briefs.market_id is null or coalesce(not daily.is_running, true) as is_of_ended_day,
    briefs.market_id is null or daily.market_id is null or coalesce(
        (position(', provisional)' in briefs.headline) > 0 or position(', provisional covering' in briefs.headline) > 0)
        = daily.is_provisional,
        false
    ) as is_provision_said,
    briefs.side,
    briefs.net_taker_usd,
    briefs.taker_sell_ratio,
    briefs.sell_dominance_percentile,
    briefs.close_price,
    briefs.price_change_ratio,
    briefs.distance_from_high_ratio,
    briefs.long_liquidations_usd,
    briefs.short_liquidations_usd,
    briefs.liquidations_coverage_ratio,
    briefs.all_long_liquidations_usd,
    briefs.all_short_liquidations_usd,
    briefs.all_liquidations_coverage_ratio,
    briefs.all_liquidations_venue_set,
    briefs.all_liquidations_subscribed_symbol_count,
    briefs.open_interest,
    briefs.open_interest_usd,
    briefs.funding_rate,
    briefs.headline,
    case
        when briefs.market_id is null or daily.market_id is null then 0
        else {_residual("briefs.net_taker_usd - daily.net_taker_usd")}
    end as net_residual,
    briefs.market_id is null
    or coalesce((briefs.side = 'bearish') = (briefs.net_taker_usd < 0), false) as is_side_right,
    {_distance("briefs.taker_sell_ratio", "case when briefs.market_id is not null then daily.taker_sell_ratio end")}
        as sell_ratio_error,
    {
    _distance(
        "briefs.sell_dominance_percentile",
        "case when briefs.market_id is not null then dominance.sell_dominance_percentile end",
    )
} as percentile_error,
    briefs.market_id is null or daily.market_id is null
    or coalesce(briefs.close_price = daily.close_price, false) as is_close_right,
    {
    _distance(
        "briefs.price_change_ratio",
        "case when briefs.market_id is not null and daily.days_since_previous = 1 then "
        "cast(daily.close_price as double) / cast(nullif(daily.previous_close, 0) as double) - 1 end",
    )
} as change_error,
    briefs.market_id is null
    or coalesce(briefs.flow_source = daily.flow_source and briefs.coverage_ratio = daily.coverage_ratio, false)
        as is_source_right,
    briefs.market_id is null or (
        briefs.daily_usd_event_rank is not distinct from ranks.daily_usd_event_rank
        and {_ARE_RANKS_EQUAL}
    ) as are_ranks_right,
    briefs.market_id is null or (
        briefs.long_liquidations_usd is not distinct from liquidations.long_usd
        and briefs.short_liquidations_usd is not distinct from liquidations.short_usd
        and coalesce(briefs.liquidations_coverage_ratio = coalesce(liquidations.coverage_ratio, 0), false)
    ) as are_liquidations_right,
    briefs.market_id is null or (
        briefs.all_long_liquidations_usd is not distinct from all_liquidations.long_usd
        and briefs.all_short_liquidations_usd is not distinct from all_liquidations.short_usd
        and briefs.all_liquidations_venue_set is not distinct from all_liquidations.venue_set
        and briefs.all_liquidations_subscribed_symbol_count
            is not distinct from all_liquidations.subscribed_symbol_count
        and coalesce(
            briefs.all_liquidations_coverage_ratio = coalesce(all_liquidations.coverage_ratio, 0), false
        )
    ) as are_all_liquidations_right,
    briefs.market_id is null or coalesce(briefs.is_simulated = markets.is_simulated, false) as is_simulation_known,
    briefs.market_id is null
    or coalesce((briefs.headline like 'SIMULATED: %') = briefs.is_simulated, false) as is_headline_labelled,
    briefs.market_id is null or coalesce(
        position(briefs.market_id in briefs.headline) > 0
        and position(cast(briefs.brief_date as varchar) in briefs.headline) > 0
        and position('daily_usd' in briefs.headline) > 0
        and position(briefs.flow_source in briefs.headline) > 0,
        false
    ) as is_headline_complete
from rpt_market_brief_daily as briefs
full join daily
    on briefs.market_id = daily.market_id
    and briefs.brief_date = daily.trade_date
left join fct_taker_dominance_daily as dominance
    on briefs.market_id = dominance.market_id
    and briefs.brief_date = dominance.trade_date
left join ranks
    on briefs.market_id = ranks.market_id
    and briefs.brief_date = ranks.brief_date
    and briefs.side = ranks.side
left join fct_liquidations_daily as liquidations
    on briefs.market_id = liquidations.market_id
    and briefs.brief_date = liquidations.trade_date
left join dim_markets as markets
    on briefs.market_id = markets.market_id
left join fct_liquidations_daily as all_liquidations
    on all_liquidations.market_id = case when markets.is_simulated then 'simulated_all:ALL' else 'all:ALL' end
    and briefs.brief_date = all_liquidations.trade_date
order by briefs.market_id, brief_date
"""


def _brief() -> gx.ExpectationSuite:
    """Each day's brief repeats what the other marts say, and its headline says where that comes from."""
    liquidations = ("long_liquidations_usd", "short_liquidations_usd", "liquidations_coverage_ratio")
    expectations = [
        _unique("market_id", "brief_date"),
        _true("is_in_daily", "a brief is of a day of the daily mart"),
        _true("is_in_brief", "every ended day of the daily mart has its brief"),
        _true("is_of_ended_day", "a running day has no brief"),
        _true("is_provision_said", "the headline says that a day is provisional", ("headline",)),
        _zero("net_residual", "net taker volume is the daily mart's, to the last digit", ("net_taker_usd",)),
        _true("is_side_right", "the side follows from the sign of the net", ("side", "net_taker_usd")),
        _between("sell_ratio_error", 0, _DOUBLE, "the sell ratio is the daily mart's", ("taker_sell_ratio",)),
        _between("percentile_error", 0, _DOUBLE, "the percentile is dominance's", ("sell_dominance_percentile",)),
        _true("is_close_right", "the close is the daily mart's", ("close_price",)),
        _between(
            "change_error", 0, _DOUBLE, "change = close / the close of the day before - 1", ("price_change_ratio",)
        ),
        _between("distance_from_high_ratio", -1, 0, "no close is above the high of the days to it", ("close_price",)),
        _true("is_source_right", "source and coverage are the daily mart's"),
        _true("are_ranks_right", "the ranks are the day's best on its side", ("side",)),
        _true("are_liquidations_right", "liquidations are the liquidations mart's, with their coverage", liquidations),
        _true(
            "are_all_liquidations_right",
            "liquidations of all markets are the mart's, with venues and coverage",
            (
                "all_long_liquidations_usd",
                "all_short_liquidations_usd",
                "all_liquidations_coverage_ratio",
                "all_liquidations_venue_set",
                "all_liquidations_subscribed_symbol_count",
            ),
        ),
        _between("open_interest", 0, None, "open interest is not negative"),
        _between("open_interest_usd", 0, None, "open interest is not negative"),
        _between("funding_rate", -0.2, 0.2, "a day's funding is a small share, not a percentage", (), WARNING),
        _true("is_simulation_known", "simulated markets, and only they, are labelled so"),
        _true("is_headline_labelled", "the headline of a simulated market begins with SIMULATED", ("headline",)),
        _true("is_headline_complete", "the headline names market, day, definition and source", ("headline",)),
    ]
    return _suite("rpt_market_brief_daily", ["market_id", "brief_date"], expectations)


# --- the history of revised ranks -----------------------------------------------------------------

# Judged in the publication that is being built, where the history is: the warehouse holds only what is true now.
_HISTORY_QUERY: Final = """
with series as (
    select distinct definition_id, market_id from fct_taker_spike_ranks
),

history as (
    select
        *,
        row_number() over bar as revision_number,
        lead(published_at) over bar is null as is_latest,
        lag(new_value) over bar as stated_value,
        lag(new_rank) over bar as stated_rank,
        lag(new_event_rank) over bar as stated_event_rank
    from fct_spike_rank_revisions
    window bar as (partition by definition_id, market_id, side, bar_at order by published_at)
)

select
    history.definition_id,
    history.market_id,
    history.side,
    history.bar_at,
    history.published_at,
    history.previous_published_at,
    history.run_id,
    history.cause,
    history.source_keys,
    history.old_value,
    history.new_value,
    history.old_rank,
    history.new_rank,
    history.old_event_rank,
    history.new_event_rank,
    ranks.value as value_now,
    ranks.spike_rank as rank_now,
    ranks.event_rank as event_rank_now,
    history.old_value is distinct from history.new_value
    or history.old_rank is distinct from history.new_rank
    or history.old_event_rank is distinct from history.new_event_rank as is_different,
    coalesce(history.published_at > history.previous_published_at, false) as is_later,
    (history.cause = 'rules') = (history.source_keys is null) as is_file_named,
    -- What was unknown may have become known in between, and a bar that was gone may have come back.
    history.revision_number = 1
    or (
        (history.stated_value is null or history.old_value = history.stated_value)
        and (history.stated_rank is null or coalesce(history.old_rank = history.stated_rank, false))
        and (history.stated_event_rank is null or coalesce(history.old_event_rank = history.stated_event_rank, false))
    ) as is_chain_unbroken,
    not history.is_latest
    or series.definition_id is null
    or (
        (history.new_value is null or coalesce(ranks.value = history.new_value, false))
        and (history.new_rank is null or coalesce(ranks.spike_rank = history.new_rank, false))
        and (history.new_event_rank is null or coalesce(ranks.event_rank = history.new_event_rank, false))
    ) as is_true_now
from history
left join series
    on history.definition_id = series.definition_id
    and history.market_id = series.market_id
left join fct_taker_spike_ranks as ranks
    on history.definition_id = ranks.definition_id
    and history.market_id = ranks.market_id
    and history.side = ranks.side
    and history.bar_at = ranks.bar_at
order by history.definition_id, history.market_id, history.side, history.bar_at, history.published_at
"""
_CAUSES: Final = ("corrected_file", "late_file", "withdrawn_file", "rules")


def _history() -> gx.ExpectationSuite:
    """Each revision changes something, says why and when, follows from the one before, and the last one is true now."""
    old_and_new = ("old_value", "new_value", "old_rank", "new_rank", "old_event_rank", "new_event_rank")
    expectations = [
        _unique("definition_id", "market_id", "side", "bar_at", "published_at"),
        _one_of("side", ["bearish", "bullish"], "a spike is bearish or bullish"),
        _known("old_value", "only what was published can be revised"),
        _true("is_different", "a revision changes something", old_and_new),
        _true("is_later", "a publication revises an earlier one", ("previous_published_at",)),
        _known("run_id", "the run that changed it is known"),
        _one_of("cause", _CAUSES, "the cause is one of the known ones", ("source_keys",)),
        _true("is_file_named", "the files behind a revision are named", ("cause", "source_keys")),
        _true("is_chain_unbroken", "a revision begins with what was published last", old_and_new),
        _true(
            "is_true_now",
            "the latest revision of a bar says what the marts say",
            ("new_value", "value_now", "new_rank", "rank_now", "new_event_rank", "event_rank_now"),
        ),
    ]
    return _suite(
        "fct_spike_rank_revisions", ["definition_id", "market_id", "side", "bar_at", "published_at"], expectations
    )


# Not among SUITES: it is no asset of dbt's, and `orchestration.warehouse.publish.revisions` judges it before the swap.
HISTORY_SUITE: Final = AuditSuite("fct_spike_rank_revisions", "fct_spike_rank_revisions", _HISTORY_QUERY, _history)


_FACTS: Final = (
    "fct_net_taker_volume_hourly",
    "fct_net_taker_volume_daily",
    "fct_taker_dominance_daily",
    "fct_taker_spike_ranks",
    "fct_flow_reconciliation_daily",
    "fct_liquidations_hourly",
    "fct_liquidations_daily",
    "fct_liquidations_rolling_24h",
    # Claims are not among them: they may be about markets that nobody ingested, and then say so.
    "fct_spike_forward_returns",
    "agg_spike_event_study",
    "rpt_market_brief_daily",
)
_FACT_MARKETS: Final = "\n    union all\n    ".join(
    # Sums over every symbol of a venue, or of all of them, are no markets.
    f"select distinct market_id, '{fact}' as mart from {fact} where not ends_with(market_id, ':ALL')"
    for fact in _FACTS
)

# One row per mart and market in it.
_MARKET_REFERENCES_QUERY: Final = f"""
with fact_markets as (
    {_FACT_MARKETS}
)

select
    fact_markets.market_id,
    fact_markets.mart,
    dim_markets.market_id is not null as is_known_market
from fact_markets
left join dim_markets
    on fact_markets.market_id = dim_markets.market_id
"""


def _market_references() -> gx.ExpectationSuite:
    """No mart holds a market that dim_markets does not know."""
    expectations = [_true("is_known_market", "every market of a mart stands in dim_markets")]
    return _suite("dim_markets_references", ["market_id", "mart"], expectations)


SUITES: Final[tuple[AuditSuite, ...]] = (
    AuditSuite("dim_markets", "dim_markets", _MARKETS_QUERY, _markets),
    AuditSuite("dim_markets_references", "dim_markets", _MARKET_REFERENCES_QUERY, _market_references),
    AuditSuite("fct_net_taker_volume_hourly", "fct_net_taker_volume_hourly", _HOURLY_QUERY, _hourly),
    AuditSuite("fct_net_taker_volume_hourly_days", "fct_net_taker_volume_hourly", _HOURLY_DAYS_QUERY, _hourly_days),
    AuditSuite("fct_net_taker_volume_hourly_sums", "fct_net_taker_volume_hourly", _HOURLY_SUMS_QUERY, _hourly_sums),
    AuditSuite("fct_net_taker_volume_daily_sums", "fct_net_taker_volume_daily", _DAILY_SUMS_QUERY, _daily_sums),
    AuditSuite("fct_net_taker_volume_daily", "fct_net_taker_volume_daily", _DAILY_QUERY, _daily),
    AuditSuite("fct_net_taker_volume_daily_gaps", "fct_net_taker_volume_daily", _DAILY_GAPS_QUERY, _daily_gaps),
    AuditSuite("fct_taker_dominance_daily", "fct_taker_dominance_daily", _DOMINANCE_QUERY, _dominance),
    AuditSuite("fct_taker_spike_ranks", "fct_taker_spike_ranks", _RANKS_QUERY, _ranks),
    AuditSuite(
        "fct_taker_spike_ranks_definitions", "fct_taker_spike_ranks", _RANKS_DEFINITIONS_QUERY, _ranks_definitions
    ),
    AuditSuite(
        "fct_flow_reconciliation_daily", "fct_flow_reconciliation_daily", _RECONCILIATION_QUERY, _reconciliation
    ),
    AuditSuite(
        "fct_flow_reconciliation_daily_choice",
        "fct_flow_reconciliation_daily",
        _RECONCILIATION_CHOICE_QUERY,
        _reconciliation_choice,
    ),
    AuditSuite("fct_liquidations_hourly", "fct_liquidations_hourly", _LIQUIDATIONS_HOURLY_QUERY, _liquidations_hourly),
    AuditSuite(
        "fct_liquidations_hourly_widths", "fct_liquidations_hourly", _LIQUIDATION_WIDTHS_QUERY, _liquidation_widths
    ),
    AuditSuite("fct_liquidations_daily", "fct_liquidations_daily", _LIQUIDATIONS_DAILY_QUERY, _liquidations),
    AuditSuite("fct_liquidations_daily_days", "fct_liquidations_daily", _LIQUIDATION_DAYS_QUERY, _liquidation_days),
    AuditSuite(
        "fct_liquidations_rolling_24h",
        "fct_liquidations_rolling_24h",
        _LIQUIDATIONS_ROLLING_QUERY,
        _liquidations_rolling,
    ),
    AuditSuite(
        "fct_liquidations_rolling_24h_windows",
        "fct_liquidations_rolling_24h",
        _LIQUIDATION_WINDOWS_QUERY,
        _liquidation_windows,
    ),
    AuditSuite("fct_claim_verdicts", "fct_claim_verdicts", _CLAIMS_QUERY, _claims),
    AuditSuite("fct_spike_forward_returns", "fct_spike_forward_returns", _RETURNS_QUERY, _returns),
    AuditSuite("agg_spike_event_study", "agg_spike_event_study", _STUDY_QUERY, _study),
    AuditSuite("rpt_market_brief_daily", "rpt_market_brief_daily", _BRIEF_QUERY, _brief),
)
