-- One row per market, grain (1, 4, 24 hours) and bar, each from the source that is complete: archived trades; else
-- klines, which fill whole days and, on a day of trades, the bars in which, as both sources agree, nothing was traded;
-- else the venue's API and feed, which is provisional. Days that `int_market_bar_days` names are replaced.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {'changes': 'int_market_bar_days', 'keys': ['market_id', 'bar_date']}},
) }}
{%- set bucket_keys = ['market_id', 'source', 'source_bar_hours', 'grain_hours', 'bar_at', 'bar_date'] %}

with bars as (
    select
        {%- for key in bucket_keys %}
        trades.{{ key }},
        {%- endfor %}
        {{ bar_columns('trades') }},
        trades.coverage_ratio,
        false as is_provisional,
        false as is_running
    from {{ ref('int_trade_buckets') }} as trades
    where {{ is_of_changed_day('trades', 'int_market_bar_days') }}
    union all
    select
        {%- for key in bucket_keys %}
        klines.{{ key }},
        {%- endfor %}
        {{ bar_columns('klines') }},
        klines.coverage_ratio,
        false as is_provisional,
        false as is_running
    from {{ ref('int_kline_buckets') }} as klines
    where {{ is_of_changed_day('klines', 'int_market_bar_days') }} and not exists (
        select 1
        from {{ ref('int_trade_buckets') }} as trades
        where trades.market_id = klines.market_id
            and trades.grain_hours = klines.grain_hours
            and trades.bar_at = klines.bar_at
    )
    union all
    select
        {%- for key in bucket_keys %}
        recent.{{ key }},
        {%- endfor %}
        {{ bar_columns('recent') }},
        recent.coverage_ratio,
        true as is_provisional,
        recent.is_running
    from {{ ref('int_recent_buckets') }} as recent
    where {{ is_of_changed_day('recent', 'int_market_bar_days') }}
),

amounts as (
    select
        bars.*,
        bars.taker_buy_usd - bars.taker_sell_usd as net_taker_usd,
        bars.taker_buy_base - bars.taker_sell_base as net_taker_base,
        bars.taker_buy_usd + bars.taker_sell_usd as volume_usd,
        bars.taker_buy_base + bars.taker_sell_base as volume_base,
        greatest(
            case when faulty.market_id is not null then {{ quality_number("'rows_quarantined'") }} else 0 end,
            case when contradicted.market_id is not null then {{ quality_number("'contradicted'") }} else 0 end,
            coalesce(days.quality, 0)
        ) as quality
    from bars
    left join {{ ref('int_flow_days') }} as days on bars.market_id = days.market_id and bars.bar_date = days.bar_date
    left join {{ ref('int_faulty_bars') }} as faulty
        on bars.market_id = faulty.market_id and bars.grain_hours = faulty.grain_hours and bars.bar_at = faulty.bar_at
    left join {{ ref('int_contradicted_bars') }} as contradicted
        on not bars.is_provisional and bars.market_id = contradicted.market_id
        and bars.grain_hours = contradicted.grain_hours and bars.bar_at = contradicted.bar_at
)

select
    market_id,
    substring(market_id, 1, position(':' in market_id) - 1) as venue,
    cast(grain_hours as integer) as grain_hours,
    bar_at,
    bar_date,
    taker_buy_usd,
    taker_sell_usd,
    net_taker_usd,
    taker_buy_base,
    taker_sell_base,
    net_taker_base,
    volume_usd,
    volume_base,
    {{ exact_quotient('taker_sell_usd', 'volume_usd') }} as taker_sell_ratio,
    {{ exact_quotient('taker_buy_usd', 'taker_sell_usd') }} as taker_buy_sell_ratio,
    open_price,
    high_price,
    low_price,
    close_price,
    trade_count,
    source as flow_source,
    cast(source_bar_hours as integer) as source_bar_hours,
    coverage_ratio,
    is_provisional,
    is_running,
    {{ quality_name('quality') }} as flow_quality
from amounts
order by market_id, grain_hours, bar_at
