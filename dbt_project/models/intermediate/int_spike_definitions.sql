-- One row per definition of a spike, as the models that rank count: in hours.
{{ config(materialized='ephemeral') }}

select
    definition_id,
    {{ bar_hours('grain') }} as bar_hours,
    smoothing_bars,
    (smoothing_bars - 1) * {{ bar_hours('grain') }} as smoothing_hours,
    unit,
    window_days * 24 as window_hours,
    decluster_hours,
    nullif(venue, '') as venue
from {{ ref('spike_definitions') }}
