-- One row per market, or aggregate over venues, and UTC day, with the net so far and its means. What `int_flow_changes`
-- names is replaced: from the first changed day on, with sums that continue those of the days before it.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {'changes': 'int_flow_changes', 'keys': ['market_id'], 'instant': 'bar_date'}},
) }}
{%- set mean_days = [7, 30] %}
{%- set changes = changes_in('int_flow_changes') %}
{%- set replaces = replaces_changes() %}

with days as (
    select bars.*, beginnings.first_at
    from {{ ref('int_bars') }} as bars
    left join {{ ref('int_flow_beginnings') }} as beginnings
        on bars.market_id = beginnings.market_id and bars.grain_hours = beginnings.grain_hours
    where bars.grain_hours = 24
),

sums_before as (
    select * from {{ sums_before('days', changes if replaces else none) }} as sums
),

-- With the days before the first one that its means are of.
days_in_reach as (
    select
        days.*,
        sums_before.net_usd_before,
        sums_before.net_base_before,
        sums_before.coverage_before
        {%- if replaces %},
        days.bar_at >= changes.from_at as is_replaced
        {%- endif %}
    from days
    {%- if replaces %}
    inner join {{ changes }} as changes
        on days.market_id = changes.market_id
        and days.bar_at >= changes.from_at - interval '{{ mean_days | max - 1 }}' day
    {%- endif %}
    left join sums_before on days.market_id = sums_before.market_id
),

days_with_sums as (
    select
        days_in_reach.*,
        {%- for days in mean_days %}
        sum(net_taker_usd) over last_{{ days }}_days as net_usd_{{ days }}d,
        sum(net_taker_base) over last_{{ days }}_days as net_base_{{ days }}d,
        count(*) over last_{{ days }}_days as found_{{ days }}d{{ ',' if not loop.last }}
        {%- endfor %}
    from days_in_reach
    window
        {%- for days in mean_days %}
        last_{{ days }}_days as {{ last_days(days) }}{{ ',' if not loop.last }}
        {%- endfor %}
)

select
    market_id,
    venue,
    venue_set,
    bar_date,
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
    source_bar_hours,
    cast(coverage_ratio as double) as coverage_ratio,
    is_provisional,
    is_running,
    flow_quality,
    {{ exact_as_double(exact_quotient('net_taker_usd', 'volume_usd'), 16) }} as net_taker_ratio,
    {{ price_change('open_price', 'close_price') }} as price_return,
    {%- for days in mean_days %}
    {%- for unit in ['usd', 'base'] %}
    {{ mean_of_days('net_' ~ unit ~ '_' ~ days ~ 'd', 'found_' ~ days ~ 'd', days) }}
        as mean_{{ days }}d_net_taker_{{ unit }},
    {%- endfor %}
    {%- endfor %}
    {{ cumulative_columns(24) }}
from days_with_sums
{%- if replaces %}
where is_replaced
{%- endif %}
window until_here as (partition by market_id order by bar_at rows between unbounded preceding and current row)
order by market_id, bar_at
