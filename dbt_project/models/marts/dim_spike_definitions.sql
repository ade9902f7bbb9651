-- The definitions a spike is ranked under, published with the ranks so that no rank travels without its meaning.
select
    definition_id,
    definition_name,
    grain,
    smoothing_bars,
    unit,
    window_days,
    decluster_hours,
    nullif(venue, '') as venue
from {{ ref('spike_definitions') }}
order by definition_id
