-- One row per bar with trades and price from elsewhere, that of open interest as the venue values it or of other
-- markets of the asset: whether the two are too far apart.
{{ config(materialized='ephemeral') }}

with bars as (
    select *
    from {{ ref('int_flow_price_levels') }}
),

bars_with_others as (
    select levels.*, markets.base_asset
    from {{ ref('int_flow_price_levels') }} as levels
    inner join {{ markets_with_others() }} as markets on levels.market_id = markets.market_id
),

open_interest_prices as (
    select market_id, source, bar_hours, bar_at, lowest_price, highest_price
    from {{ ref('int_flow_metric_bars') }}
    where lowest_price is not null
),

other_markets_prices as (
    select
        bars.market_id,
        bars.source,
        bars.bar_hours,
        bars.bar_at,
        min(others.low_price) as lowest_price,
        max(others.high_price) as highest_price
    from bars_with_others as bars
    inner join bars_with_others as others
        on bars.base_asset = others.base_asset and bars.bar_hours = others.bar_hours and bars.bar_at = others.bar_at
        and bars.market_id <> others.market_id
    group by bars.market_id, bars.source, bars.bar_hours, bars.bar_at
)
{% for relation, witness, tolerance in [
    ('open_interest_prices', 'open_interest_price', open_interest_price_tolerance()),
    ('other_markets_prices', 'other_markets_price', other_markets_price_tolerance()),
] %}
select
    bars.market_id,
    bars.source,
    bars.bar_hours,
    bars.bar_at,
    bars.price_level,
    '{{ witness }}' as witness,
    {{ tolerance }} as tolerance,
    case when bars.low_price > others.highest_price then bars.low_price else bars.high_price end as ours,
    case when bars.low_price > others.highest_price then others.highest_price else others.lowest_price end
        as theirs,
    {{ price_distance('bars.low_price', 'bars.high_price', 'others.lowest_price', 'others.highest_price') }}
    > {{ tolerance }} as is_off
from bars
inner join {{ relation }} as others using (market_id, source, bar_hours, bar_at)
{{- ' union all' if not loop.last }}
{%- endfor %}
