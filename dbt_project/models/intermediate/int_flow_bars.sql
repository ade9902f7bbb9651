-- One row per market, source, bar length and bar: hourly bars of the trades, the venue's own bars of each configured
-- interval, and the same of what the archive does not have yet. Nothing lies at or after a contract's delivery, and no
-- bar ends before its listing: see `int_markets`. Amounts of bars keep 16 decimals, and are rounded to 8 in `int_bars`.
-- Longer than 100 lines: all sources of bars are in one table, which is cleared and filled for one build window.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='sync_all_columns',
    pre_hook="{{ clear_build_window() }}",
    meta={'replaced': {'changes': 'int_build_window', 'keys': ['market_id', 'source', 'bar_date'], 'is_all': true}},
) }}

{#- Which files of klines to read is known from here, by a query that dbt does not see while it parses. -#}
-- depends_on: {{ ref('stg_raw__receipts') }}
{%- set kline_sources = ['klines', 'rest_klines'] %}

with build_window as (
    select market_id, source, bar_date
    from {{ ref('int_build_window') }}
),

markets as (
    select
        market_id,
        contract_type,
        contract_size,
        coalesce(base_multiplier, 1) as base_multiplier,
        {{ unit_price_factor('coalesce(base_multiplier, 1)') }} as unit_price_factor,
        listed_at,
        delivered_at
    from {{ ref('int_markets') }}
    where contract_size is not null
),

trade_bars as (
    select
        market_id,
        source,
        1 as bar_hours,
        {{ instant_of_minute('minute_number - mod(minute_number, 60)') }} as bar_at,
        bar_date,
        cast(coalesce(sum(taker_buy_usd), 0) as decimal(38,16)) as taker_buy_usd,
        cast(coalesce(sum(taker_sell_usd), 0) as decimal(38,16)) as taker_sell_usd,
        cast(coalesce(sum(taker_buy_base), 0) as decimal(38,16)) as taker_buy_base,
        cast(coalesce(sum(taker_sell_base), 0) as decimal(38,16)) as taker_sell_base,
        {{ value_at_first('open_price', 'first_trade_id') }} as open_price,
        max(high_price) as high_price,
        min(low_price) as low_price,
        {{ value_at_last('close_price', 'last_trade_id') }} as close_price,
        sum(trade_count) as trade_count,
        count(*) as covered_minutes,
        cast(null as bigint) as reported_minutes
    from {{ ref('int_trade_minutes') }} as minutes
    where {{ in_build_window('minutes', none, 'bar_date') }}
    group by market_id, source, bar_date, minute_number - mod(minute_number, 60)
),

-- Linear klines give quote and base; inverse ones give contracts and base. Every amount is cast to the scale of the
-- trades' amounts: in a union of unequal scales the engine keeps the smaller one and rounds.
{%- for source in kline_sources %}
valued_{{ source }} as (
    select
        klines.market_id,
        {{ bar_hours('klines.kline_interval') }} as bar_hours,
        klines.bar_at,
        klines.bar_date,
        klines.open_price,
        klines.high_price,
        klines.low_price,
        klines.close_price,
        klines.trade_count,
        -- The last millisecond belongs to the bar.
        {{
            minutes_between('klines.bar_at', "klines.closes_at + interval '1' millisecond") if source == 'klines'
            else 'cast(null as bigint)'
        }} as reported_minutes,
        greatest(klines.bar_at, coalesce(markets.listed_at, klines.bar_at)) as lives_from_at,
        least(
            klines.bar_at + {{ hours_as_interval(bar_hours('klines.kline_interval')) }},
            coalesce(markets.delivered_at, klines.bar_at + {{ hours_as_interval(bar_hours('klines.kline_interval')) }})
        ) as lives_until_at,
        case
            when markets.contract_type = 'inverse' then klines.volume * cast(markets.contract_size as decimal(38,8))
            else cast(klines.quote_volume as decimal(38,16))
        end as volume_usd,
        case
            when markets.contract_type = 'inverse'
                then klines.taker_buy_volume * cast(markets.contract_size as decimal(38,8))
            else cast(klines.taker_buy_quote_volume as decimal(38,16))
        end as taker_buy_usd,
        cast(
            case when markets.contract_type = 'inverse' then klines.quote_volume else klines.volume end
                as decimal(38,16)
        ) as volume_base,
        cast(
            case
                when markets.contract_type = 'inverse' then klines.taker_buy_quote_volume
                else klines.taker_buy_volume
            end as decimal(38,16)
        ) as taker_buy_base
    from {{ klines_to_build() if source == 'klines' else ref('stg_raw__' ~ source) }} as klines
    inner join markets on klines.market_id = markets.market_id
    where klines.kline_interval in ({{ text_list(kline_intervals() if source == 'klines' else ['1h']) }})
        and {{ in_build_window('klines', source, 'bar_date') }}
),

{{ source }}_bars as (
    select
        market_id,
        '{{ source }}' as source,
        bar_hours,
        bar_at,
        bar_date,
        taker_buy_usd,
        volume_usd - taker_buy_usd as taker_sell_usd,
        taker_buy_base,
        volume_base - taker_buy_base as taker_sell_base,
        open_price,
        high_price,
        low_price,
        close_price,
        trade_count,
        {{ minutes_between('lives_from_at', 'lives_until_at') }} as covered_minutes,
        reported_minutes
    from valued_{{ source }}
    -- A venue may go on publishing bars of a contract that it has delivered, or begin before it lists one.
    where lives_from_at < lives_until_at
),
{% endfor %}
bars as (
    select * from trade_bars
    {%- for source in kline_sources %}
    union all
    select * from {{ source }}_bars
    {%- endfor %}
)

-- Here, once for every source, amounts of base and prices become those of one unit of the base asset, where the venue
-- counts thousands of it.
select
    cast(bars.market_id as string) as market_id,
    cast(bars.source as string) as source,
    cast(bars.bar_hours as integer) as bar_hours,
    cast(bars.bar_at as timestamp) as bar_at,
    cast(bars.bar_date as date) as bar_date,
    cast(bars.taker_buy_usd as decimal(38,16)) as taker_buy_usd,
    cast(bars.taker_sell_usd as decimal(38,16)) as taker_sell_usd,
    cast(bars.taker_buy_base * markets.base_multiplier as decimal(38,16)) as taker_buy_base,
    cast(bars.taker_sell_base * markets.base_multiplier as decimal(38,16)) as taker_sell_base,
    cast(bars.open_price * markets.unit_price_factor as decimal(38,18)) as open_price,
    cast(bars.high_price * markets.unit_price_factor as decimal(38,18)) as high_price,
    cast(bars.low_price * markets.unit_price_factor as decimal(38,18)) as low_price,
    cast(bars.close_price * markets.unit_price_factor as decimal(38,18)) as close_price,
    cast(bars.trade_count as bigint) as trade_count,
    cast(bars.covered_minutes as bigint) as covered_minutes,
    cast(bars.reported_minutes as bigint) as reported_minutes
from bars
inner join markets on bars.market_id = markets.market_id
