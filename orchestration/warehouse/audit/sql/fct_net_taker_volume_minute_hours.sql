-- One row per hour of the hourly mart that is taken from archived trades, and per hour of minutes.
{% from "macros.sql" import residual, distance %}
{% macro judged(rows) %}
inner join judged_days as judged
    on {{ rows }}.market_id = judged.market_id
    and {{ rows }}.bar_at >= judged.from_at
    and {{ rows }}.bar_at < judged.to_at
{% endmacro %}

with hours as (
    select hourly.*
    from fct_net_taker_volume_hourly as hourly
    {% if changed %}
    {{ judged("hourly") }}
    {% endif %}
    where hourly.flow_source = 'trades' and not hourly.is_provisional and hourly.venue_set = hourly.venue
),

minutes as (
    select
        minutes.market_id,
        date_trunc('hour', minutes.bar_at) as bar_at,
        count(*) as minute_count,
        sum(minutes.taker_buy_usd) as taker_buy_usd,
        sum(minutes.taker_sell_usd) as taker_sell_usd,
        sum(minutes.taker_buy_base) as taker_buy_base,
        sum(minutes.taker_sell_base) as taker_sell_base,
        sum(minutes.trade_count) as trade_count,
        arg_min(minutes.open_price, minutes.bar_at) as open_price,
        max(minutes.high_price) as high_price,
        min(minutes.low_price) as low_price,
        arg_max(minutes.close_price, minutes.bar_at) as close_price,
        min(minutes.coverage_ratio) as lowest_coverage,
        max(minutes.coverage_ratio) as highest_coverage,
        min(minutes.flow_quality) as first_quality,
        max(minutes.flow_quality) as last_quality
    from fct_net_taker_volume_minute as minutes
    {% if changed %}
    {{ judged("minutes") }}
    {% endif %}
    group by minutes.market_id, date_trunc('hour', minutes.bar_at)
)

select
    coalesce(hours.market_id, minutes.market_id) as market_id,
    coalesce(hours.bar_at, minutes.bar_at) as bar_at,
    minutes.minute_count,
    hours.volume_usd as hourly_volume_usd,
    minutes.taker_buy_usd + minutes.taker_sell_usd as minutes_volume_usd,
    hours.trade_count as hourly_trade_count,
    minutes.trade_count as minutes_trade_count,
    hours.market_id is not null as is_in_hourly,
    minutes.market_id is not null as is_in_minutes,
    {{ residual("abs(hours.taker_buy_usd - minutes.taker_buy_usd) + abs(hours.taker_sell_usd - minutes.taker_sell_usd)") }}
        as usd_difference,
    {{
        residual(
            "abs(hours.taker_buy_base - minutes.taker_buy_base) + abs(hours.taker_sell_base - minutes.taker_sell_base)"
        )
    }} as base_difference,
    {{ residual("abs(hours.trade_count - minutes.trade_count)") }} as trade_count_difference,
    minutes.market_id is null or hours.market_id is null or coalesce(
        hours.open_price = minutes.open_price
        and hours.high_price = minutes.high_price
        and hours.low_price = minutes.low_price
        and hours.close_price = minutes.close_price,
        false
    ) as is_price_right,
    minutes.market_id is null or hours.market_id is null or coalesce(
        hours.coverage_ratio = minutes.lowest_coverage
        and hours.coverage_ratio = minutes.highest_coverage
        and hours.flow_quality = minutes.first_quality
        and hours.flow_quality = minutes.last_quality,
        false
    ) as is_state_right
from hours
full join minutes on hours.market_id = minutes.market_id and hours.bar_at = minutes.bar_at
