-- One row per market and hour of the venue's metrics: the last of each of the venue's ratios in that hour. What
-- `int_metrics_changes` names is replaced.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {'changes': 'int_metrics_changes', 'keys': ['market_id'], 'instant': 'bar_at'}},
) }}

-- The first moment of a day stands in the file of the day before, and is before the others of its hour.
with hours as (
    select
        market_id,
        hour_at as bar_at,
        max(ratios_observed_at) as observed_at,
        {%- for name, published in last_ratios().items() %}
        {{ value_at_last(name, 'case when ' ~ name ~ ' is not null then bar_date end') }} as {{ published }},
        {%- endfor %}
        sum(long_short_count) as observation_count
    from {{ ref('int_metrics_hours') }} as metrics
    where {{ is_near_changed_metrics('metrics', 'hour_at') }}
    group by market_id, hour_at
)

select
    market_id,
    substring(market_id, 1, position(':' in market_id) - 1) as venue,
    bar_at,
    cast(observed_at as timestamp) as observed_at,
    {%- for published in last_ratios().values() %}
    cast({{ published }} as double) as {{ published }},
    {%- endfor %}
    cast(observation_count as bigint) as observation_count,
    cast({{ share('least(observation_count, 12)', '12') }} as double) as coverage_ratio
from hours
order by market_id, bar_at
