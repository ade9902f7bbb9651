-- One row per market and UTC day of the venue's metrics: the day's last observation of open interest, the one before
-- it, and the first. All NULL when the day has none.
{{ config(materialized='ephemeral') }}

with observations as (
    select
        market_id,
        bar_date,
        observed_at,
        open_interest_base,
        open_interest_usd,
        first_observed_at,
        first_open_interest_base,
        observation_count
    from {{ ref('int_metrics_hours') }}
    union all
    select
        market_id,
        bar_date,
        former_observed_at as observed_at,
        former_open_interest_base as open_interest_base,
        null as open_interest_usd,
        null as first_observed_at,
        null as first_open_interest_base,
        0 as observation_count
    from {{ ref('int_metrics_hours') }}
)

select
    market_id,
    bar_date,
    max(observed_at) as observed_at,
    {{ value_at_last('open_interest_base', 'observed_at') }} as open_interest_base,
    {{ value_at_last('open_interest_usd', 'observed_at') }} as open_interest_usd,
    min(first_observed_at) as first_observed_at,
    {{ value_at_first('first_open_interest_base', 'first_observed_at') }} as first_open_interest_base,
    {{ value_at_last_but_one('observed_at', 'observed_at') }} as former_observed_at,
    {{ value_at_last_but_one('open_interest_base', 'observed_at') }} as former_open_interest_base,
    sum(observation_count) as observation_count
from observations
group by market_id, bar_date
