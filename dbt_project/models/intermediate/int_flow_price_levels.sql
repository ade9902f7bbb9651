-- One row per bar with trades of the archive's trades or klines, the level of prices to which it belongs, and what its
-- neighbours say of both. Bars that `int_price_changes` names are replaced.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {'changes': 'int_price_changes', 'keys': ['market_id'], 'instant': 'bar_at'}},
) }}
{%- set changes = changes_in('int_price_changes') %}
with usual_gaps_of_months as (
    select
        market_id,
        source,
        bar_hours,
        date_trunc('month', bar_at) as month_at,
        greatest({{ least_gap() }}, {{ usual_gaps() }} * percentile_disc(0.75) within group (order by gap_before))
            as tolerance
    from {{ ref('int_flow_bars_in_levels') }}
    where gap_before is not null
    group by market_id, source, bar_hours, date_trunc('month', bar_at)
    having count(*) >= {{ fewest_bars_for_the_usual() }}
)

select
    cast(bars.market_id as string) as market_id,
    cast(bars.source as string) as source,
    cast(bars.bar_hours as integer) as bar_hours,
    cast(bars.bar_at as timestamp) as bar_at,
    bars.low_price,
    bars.high_price,
    bars.open_price,
    bars.close_price,
    bars.trade_count,
    bars.former_close,
    usual.tolerance * least(bars.open_price, bars.former_close) as gap_tolerance,
    -- Neither its neighbours' prices fit, and none of the three can be old.
    bars.gap_before is not null and bars.gap_after is not null
    and least(bars.gap_before, bars.gap_after) > usual.tolerance
    and least(bars.former_count, bars.trade_count, bars.next_count)
    >= {{ fewest_trades_for_a_price() }} * bars.bar_hours as is_apart,
    cast(bars.price_level as integer) as price_level
from {{ ref('int_flow_bars_in_levels') }} as bars
left join usual_gaps_of_months as usual
    on bars.market_id = usual.market_id and bars.source = usual.source
    and bars.bar_hours = usual.bar_hours and date_trunc('month', bars.bar_at) = usual.month_at
order by market_id, source, bar_hours, bar_at
