-- One row per market, or aggregate over venues, and UTC day, with the net so far and its means.
{%- set mean_days = [7, 30] %}

with days as (
    select
        bars.*,
        beginnings.first_at,
        cast(null as decimal(38,8)) as net_usd_before,
        cast(null as decimal(38,8)) as net_base_before,
        cast(null as decimal(38,8)) as coverage_before
    from {{ ref('int_bars') }} as bars
    left join {{ ref('int_flow_beginnings') }} as beginnings
        on bars.market_id = beginnings.market_id and bars.grain_hours = beginnings.grain_hours
    where bars.grain_hours = 24
),

days_with_sums as (
    select
        days.*,
        {%- for days in mean_days %}
        sum(net_taker_usd) over last_{{ days }}_days as net_usd_{{ days }}d,
        sum(net_taker_base) over last_{{ days }}_days as net_base_{{ days }}d,
        count(*) over last_{{ days }}_days as found_{{ days }}d{{ ',' if not loop.last }}
        {%- endfor %}
    from days
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
window until_here as (partition by market_id order by bar_at rows between unbounded preceding and current row)
order by market_id, bar_at
