-- One row per market, or aggregate over venues, and hour, with the net so far. What `int_flow_changes` names is
-- replaced: from the first changed day on, with sums that continue those of the bars before it.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {'changes': 'int_flow_changes', 'keys': ['market_id'], 'instant': 'bar_at'}},
) }}
{%- set changes = changes_in('int_flow_changes') %}
{%- set replaces = replaces_changes() %}

with hours as (
    select bars.*, beginnings.first_at
    from {{ ref('int_bars') }} as bars
    left join {{ ref('int_flow_beginnings') }} as beginnings
        on bars.market_id = beginnings.market_id and bars.grain_hours = beginnings.grain_hours
    where bars.grain_hours = 1
        {%- if replaces %}
        and bars.bar_at >= {{ least_of(changes, 'from_at') }}
        {%- endif %}
),

-- Of the whole history, and so no more than what is summed.
summed_hours as (
    select
        bars.market_id, bars.bar_at, bars.net_taker_usd, bars.net_taker_base, bars.coverage_ratio, beginnings.first_at
    from {{ ref('int_bars') }} as bars
    left join {{ ref('int_flow_beginnings') }} as beginnings
        on bars.market_id = beginnings.market_id and bars.grain_hours = beginnings.grain_hours
    where bars.grain_hours = 1
),

sums_before as (
    select * from {{ sums_before('summed_hours', changes if replaces else none) }} as sums
),

continued_hours as (
    select hours.*, sums_before.net_usd_before, sums_before.net_base_before, sums_before.coverage_before
    from hours
    {%- if replaces %}
    inner join {{ changes }} as changes on hours.market_id = changes.market_id and hours.bar_at >= changes.from_at
    {%- endif %}
    left join sums_before on hours.market_id = sums_before.market_id
)

select
    market_id,
    venue,
    venue_set,
    bar_at,
    taker_buy_usd,
    taker_sell_usd,
    net_taker_usd,
    taker_buy_base,
    taker_sell_base,
    net_taker_base,
    volume_usd,
    volume_base,
    {{ exact_as_double('taker_sell_ratio', 16) }} as taker_sell_ratio,
    {{ exact_as_double('taker_buy_sell_ratio', 16) }} as taker_buy_sell_ratio,
    open_price,
    high_price,
    low_price,
    close_price,
    trade_count,
    flow_source,
    cast(coverage_ratio as double) as coverage_ratio,
    is_provisional,
    is_running,
    flow_quality,
    {{ exact_as_double(exact_quotient('net_taker_usd', 'volume_usd'), 16) }} as net_taker_ratio,
    {{ price_change('open_price', 'close_price') }} as price_return,
    {{ cumulative_columns(1) }},
    cast(sum(net_taker_usd) over day_so_far as decimal(38,8)) as cvd_day_usd,
    cast(sum(net_taker_base) over day_so_far as decimal(38,8)) as cvd_day_base
from continued_hours
window
    until_here as (partition by market_id order by bar_at rows between unbounded preceding and current row),
    day_so_far as (partition by market_id, bar_date order by bar_at rows between unbounded preceding and current row)
order by market_id, bar_at
