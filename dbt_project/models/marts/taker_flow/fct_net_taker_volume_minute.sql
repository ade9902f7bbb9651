-- One row per market and minute with a trade, of the hours whose bar is taken from archived trades. Days that
-- `int_minute_changes` names are replaced.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {'changes': 'int_minute_changes', 'keys': ['market_id'], 'day_of': 'bar_at'}},
) }}

with minutes as (
    select
        minutes.*,
        minutes.minute_number - mod(minutes.minute_number, 60) as hour_number,
        coalesce(markets.base_multiplier, 1) as base_multiplier,
        {{ unit_price_factor('coalesce(markets.base_multiplier, 1)') }} as unit_price_factor
    from {{ ref('int_trade_minutes') }} as minutes
    inner join {{ ref('int_markets') }} as markets on minutes.market_id = markets.market_id
    where minutes.source = 'trades' and {{ is_of_changed_day('minutes', 'int_minute_changes') }}
),

amounts as (
    select
        minutes.market_id,
        hours.venue,
        minutes.minute_number,
        cast(minutes.taker_buy_usd as decimal(38,8)) as taker_buy_usd,
        cast(minutes.taker_sell_usd as decimal(38,8)) as taker_sell_usd,
        cast(minutes.taker_buy_base * minutes.base_multiplier as decimal(38,8)) as taker_buy_base,
        cast(minutes.taker_sell_base * minutes.base_multiplier as decimal(38,8)) as taker_sell_base,
        {%- for price in ['open_price', 'high_price', 'low_price', 'close_price'] %}
        cast(minutes.{{ price }} * minutes.unit_price_factor as decimal(38,18)) as {{ price }},
        {%- endfor %}
        minutes.trade_count,
        hours.coverage_ratio,
        hours.flow_quality
    from minutes
    inner join {{ ref('int_market_bars') }} as hours
        on hours.grain_hours = 1 and hours.flow_source = 'trades'
        and minutes.market_id = hours.market_id
        and {{ instant_of_minute('minutes.hour_number') }} = hours.bar_at
)

select
    market_id,
    venue,
    {{ instant_of_minute('minute_number') }} as bar_at,
    {{ instant_of_minute('minute_number - mod(minute_number, 5)') }} as five_minutes_at,
    {{ instant_of_minute('minute_number - mod(minute_number, 15)') }} as fifteen_minutes_at,
    taker_buy_usd,
    taker_sell_usd,
    cast(taker_buy_usd - taker_sell_usd as decimal(38,8)) as net_taker_usd,
    taker_buy_base,
    taker_sell_base,
    cast(taker_buy_base - taker_sell_base as decimal(38,8)) as net_taker_base,
    cast(taker_buy_usd + taker_sell_usd as decimal(38,8)) as volume_usd,
    cast(taker_buy_base + taker_sell_base as decimal(38,8)) as volume_base,
    {{
        exact_as_double(exact_quotient('taker_buy_usd - taker_sell_usd', 'taker_buy_usd + taker_sell_usd'), 16)
    }} as net_taker_ratio,
    open_price,
    high_price,
    low_price,
    close_price,
    trade_count,
    cast(coverage_ratio as double) as coverage_ratio,
    flow_quality
from amounts
order by market_id, bar_at
