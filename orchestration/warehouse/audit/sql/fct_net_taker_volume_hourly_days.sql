-- One row per market and day that hours should add up to; sums over venues are compared with their markets instead.
-- Hours of a provisional day come from several sources and all count. On a day of trades, klines fill the hours without
-- trades: those hours are no part of the day's sum, and may hold no more than the tolerance between the sources. On a
-- day of klines, trades replace single bars: `mixed`.
{% from "macros.sql" import residual, distance, sum_venues, tolerance %}
{% set days = "judged_dates" if changed else "fct_net_taker_volume_daily" %}
{% set is_same_source =
    "hourly.flow_source = daily.flow_source or daily.flow_source = 'mixed' "
    ~ "or (daily.is_provisional and hourly.is_provisional)" %}

with {% if changed %}
judged_dates as (
    select daily.*
    from fct_net_taker_volume_daily as daily
    inner join judged_days as judged
        on daily.market_id = judged.market_id
        and daily.bar_date >= judged.from_at
        and daily.bar_date < judged.to_at
),

{% endif %}
hours as (
    select
        hourly.market_id,
        cast(hourly.bar_at as date) as bar_date,
        count(*) as hourly_bars,
        sum(hourly.coverage_ratio) / 24 as coverage_ratio,
        sum(case when {{ is_same_source }} then hourly.taker_buy_usd end) as taker_buy_usd,
        sum(case when {{ is_same_source }} then hourly.taker_sell_usd end) as taker_sell_usd,
        sum(case when {{ is_same_source }} then hourly.taker_buy_base end) as taker_buy_base,
        sum(case when {{ is_same_source }} then hourly.taker_sell_base end) as taker_sell_base,
        sum(case when {{ is_same_source }} then hourly.trade_count end) as trade_count,
        max(case when {{ is_same_source }} then hourly.high_price end) as high_price,
        min(case when {{ is_same_source }} then hourly.low_price end) as low_price,
        sum(case when {{ is_same_source }} then 0 else hourly.volume_usd end) as filled_volume_usd
    from fct_net_taker_volume_hourly as hourly
    {% if changed %}
    inner join judged_days as judged
        on hourly.market_id = judged.market_id
        and hourly.bar_at >= judged.from_at
        and hourly.bar_at < judged.to_at
    {% endif %}
    left join fct_net_taker_volume_daily as daily
        on hourly.market_id = daily.market_id
        and cast(hourly.bar_at as date) = daily.bar_date
    where hourly.venue not in ({{ sum_venues }})
    group by hourly.market_id, cast(hourly.bar_at as date)
)

select
    coalesce(days.market_id, hours.market_id) as market_id,
    coalesce(days.bar_date, hours.bar_date) as bar_date,
    hours.hourly_bars,
    days.market_id is not null as is_in_daily,
    hours.market_id is not null as is_in_hourly,
    days.flow_source,
    days.volume_usd as daily_volume_usd,
    hours.taker_buy_usd + hours.taker_sell_usd as hourly_volume_usd,
    hours.filled_volume_usd,
    days.trade_count as daily_trade_count,
    hours.trade_count as hourly_trade_count,
    {{ residual("abs(days.taker_buy_usd - hours.taker_buy_usd) + abs(days.taker_sell_usd - hours.taker_sell_usd)") }}
        as usd_difference,
    {{
        residual(
            "abs(days.taker_buy_base - hours.taker_buy_base) + abs(days.taker_sell_base - hours.taker_sell_base)"
        )
    }}
        as base_difference,
    {{ residual("abs(days.trade_count - hours.trade_count)") }} as trade_count_difference,
    -- Trades that klines confirm take over the coverage of the day's klines, whatever their interval.
    case
        when days.flow_source = 'trades' then 0.0e0
        -- A quiet hour that the collector covered has no bar.
        when days.is_provisional then greatest(hours.coverage_ratio - days.coverage_ratio, 0.0e0)
        else {{ distance("days.coverage_ratio", "hours.coverage_ratio") }}
    end as coverage_error,
    coalesce(days.high_price - hours.high_price, 0) as high_difference,
    coalesce(days.low_price - hours.low_price, 0) as low_difference,
    coalesce(hours.filled_volume_usd <= days.volume_usd * {{ tolerance }}, false) as is_fill_negligible
from {{ days }} as days
full join hours
    on days.market_id = hours.market_id
    and days.bar_date = hours.bar_date
where (days.source_bar_hours = 1 and days.venue not in ({{ sum_venues }})) or days.market_id is null
