-- One row per aggregate over venues, grain and bar: the sum over its markets. A sum over other markets than before is
-- no series, so every bar names its venues and when the set of its markets was last another one.
with sums as (
    select
        aggregate_id as market_id,
        max(aggregate_venue) as venue,
        {{ sorted_list('venue') }} as venue_set,
        {{ sorted_list('market_id') }} as market_set,
        grain_hours,
        bar_at,
        max(bar_date) as bar_date,
        {%- for column in ['taker_buy_usd', 'taker_sell_usd', 'net_taker_usd', 'taker_buy_base', 'taker_sell_base',
            'net_taker_base', 'volume_usd', 'volume_base'] %}
        cast(sum({{ column }}) as decimal(38,8)) as {{ column }},
        {%- endfor %}
        {%- for column in ['open_price', 'high_price', 'low_price', 'close_price'] %}
        max(case when price_choice = 1 then {{ column }} end) as {{ column }},
        {%- endfor %}
        cast(sum(trade_count) as bigint) as trade_count,
        case when min(flow_source) = max(flow_source) then min(flow_source) else 'mixed' end as flow_source,
        max(source_bar_hours) as source_bar_hours,
        -- As covered as the least covered market that is due.
        case when count(*) < max(markets_due) then cast(0 as decimal(9,8)) else min(coverage_ratio) end
            as coverage_ratio,
        max(case when is_provisional then 1 else 0 end) = 1 as is_provisional,
        max(case when is_running then 1 else 0 end) = 1 as is_running,
        {{ quality_name('max(' ~ quality_number('flow_quality') ~ ')') }} as flow_quality
    from {{ ref('int_aggregate_parts') }}
    group by aggregate_id, grain_hours, bar_at
),

sums_with_previous_set as (
    select
        sums.*,
        lag(market_set) over (partition by market_id, grain_hours order by bar_at) as previous_set,
        lag(bar_at) over (partition by market_id, grain_hours order by bar_at) as previous_bar_at
    from sums
)

select
    market_id,
    venue,
    venue_set,
    market_set,
    grain_hours,
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
    flow_source,
    source_bar_hours,
    coverage_ratio,
    is_provisional,
    is_running,
    flow_quality,
    max(case when previous_set <> market_set then previous_bar_at end) over (
        partition by market_id, grain_hours
        order by bar_at
        rows between unbounded preceding and current row
    ) as set_changed_at
from sums_with_previous_set
order by market_id, grain_hours, bar_at
