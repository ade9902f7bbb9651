-- One row per market, source and minute with a trade: archived trades, and those of what the archive does not have yet.
-- An hour then knows how many of its minutes saw a trade without a distinct count over every trade. Nothing lies at or
-- after a contract's delivery: see `int_markets`. A trade in USD has the 20 decimals of its exact product, and is
-- rounded only in the sum of its hour: casting down each of a million trades costs more than all the rest. Base amounts
-- and prices are in what the venue counts; `int_flow_bars` and the mart make them those of one unit of the base asset.
-- Longer than 100 lines: each source of trades is valued and summed alike, and put into one table, window by window.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='sync_all_columns',
    pre_hook="{{ clear_build_window() }}",
    meta={'replaced': {'changes': 'int_build_window', 'keys': ['market_id', 'source', 'bar_date'], 'is_all': true}},
) }}

{#- Which files of trades to read is known from here, by a query that dbt does not see while it parses. -#}
-- depends_on: {{ ref('int_trades_receipts') }}
{%- set trade_sources = ['trades', 'rest_trades', 'live_trades'] %}

with build_window as (
    select market_id, source, bar_date
    from {{ ref('int_build_window') }}
),

markets as (
    select market_id, contract_type, contract_size, delivered_at
    from {{ ref('int_markets') }}
    where contract_size is not null
),

-- The venue's ids of recent trades may be any text: their place in the day stands for them. Numbers written as text are
-- in order by their length first; texts that are no numbers have one length at a venue.
{%- for source in trade_sources if source != 'trades' %}
{{ source }}_in_order as (
    select
        trades.*,
        row_number() over (
            partition by trades.market_id, trades.bar_date
            order by trades.traded_at, trades.trade_number, length(trades.trade_id), trades.trade_id
        ) as place
    from {{ ref('stg_raw__' ~ source) }} as trades
    where {{ in_build_window('trades', source, 'bar_date') }}
),
{% endfor %}
{%- for source in trade_sources %}
valued_{{ source }} as (
    select
        trades.market_id,
        {{ 'trades.trade_id' if source == 'trades' else 'trades.place as trade_id' }},
        trades.traded_at,
        trades.bar_date,
        trades.price,
        trades.trade_count,
        trades.is_taker_buy,
        {{ notional_usd('markets.contract_type', 'markets.contract_size', 'trades.price', 'trades.quantity') }} as usd,
        {{ base_amount('markets.contract_type', 'markets.contract_size', 'trades.price', 'trades.quantity') }} as base
    from {{ trades_to_build() if source == 'trades' else source ~ '_in_order' }} as trades
    inner join markets
        on trades.market_id = markets.market_id
        and (markets.delivered_at is null or trades.traded_at < markets.delivered_at)
),

{{ source }}_minutes as (
    select
        market_id,
        '{{ source }}' as source,
        bar_date,
        {{ minute_number('traded_at') }} as minute_number,
        min(trade_id) as first_trade_id,
        max(trade_id) as last_trade_id,
        {{ value_at_first('price', 'trade_id') }} as open_price,
        max(price) as high_price,
        min(price) as low_price,
        {{ value_at_last('price', 'trade_id') }} as close_price,
        sum(case when is_taker_buy then usd end) as taker_buy_usd,
        sum(case when not is_taker_buy then usd end) as taker_sell_usd,
        sum(case when is_taker_buy then base end) as taker_buy_base,
        sum(case when not is_taker_buy then base end) as taker_sell_base,
        sum(trade_count) as trade_count
    from valued_{{ source }}
    group by market_id, bar_date, {{ minute_number('traded_at') }}
),
{% endfor -%}
minutes as (
    {%- for source in trade_sources %}
    select * from {{ source }}_minutes
    {{- ' union all' if not loop.last }}
    {%- endfor %}
)

select
    cast(market_id as string) as market_id,
    cast(source as string) as source,
    cast(bar_date as date) as bar_date,
    cast(minute_number as bigint) as minute_number,
    cast(first_trade_id as bigint) as first_trade_id,
    cast(last_trade_id as bigint) as last_trade_id,
    cast(open_price as decimal(38,12)) as open_price,
    cast(high_price as decimal(38,12)) as high_price,
    cast(low_price as decimal(38,12)) as low_price,
    cast(close_price as decimal(38,12)) as close_price,
    cast(coalesce(taker_buy_usd, 0) as decimal(38,20)) as taker_buy_usd,
    cast(coalesce(taker_sell_usd, 0) as decimal(38,20)) as taker_sell_usd,
    cast(coalesce(taker_buy_base, 0) as decimal(38,16)) as taker_buy_base,
    cast(coalesce(taker_sell_base, 0) as decimal(38,16)) as taker_sell_base,
    cast(trade_count as bigint) as trade_count
from minutes
order by market_id, source, minute_number
