-- One row per market and UTC day with bars: the close against the day before and against the year's high. What
-- `int_flow_changes` names is replaced: from the first changed day on, since a later day is compared with earlier ones.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {'changes': 'int_flow_changes', 'keys': ['market_id'], 'instant': 'bar_date'}},
) }}
{%- set high_days = 365 %}
{%- set changes = changes_in('int_flow_changes') %}
{%- set replaces = replaces_changes() %}

with days as (
    select
        market_id,
        bar_date,
        close_price,
        lag(bar_date) over market_days as previous_date,
        lag(close_price) over market_days as previous_close,
        max(high_price) over trailing_days as trailing_high,
        count(*) over trailing_days as trailing_days_found
    from {{ ref('int_bars') }}
    where grain_hours = 24
    window
        market_days as (partition by market_id order by bar_date),
        trailing_days as (
            partition by market_id
            order by cast(bar_date as timestamp)
            range between interval '{{ high_days - 1 }}' day preceding and current row
        )
)

select
    days.market_id,
    days.bar_date,
    days.close_price,
    case
        when previous_date + interval '1' day = bar_date
            then {{ price_change('previous_close', 'close_price') }}
    end as price_change_ratio,
    case
        when trailing_days_found >= 0.95 * {{ high_days }}
            then {{ price_change('trailing_high', 'close_price') }}
    end as distance_from_high_ratio
from days
{%- if replaces %}
inner join {{ changes }} as changes
    on days.market_id = changes.market_id and cast(days.bar_date as timestamp) >= changes.from_at
{%- endif %}
order by days.market_id, days.bar_date
