-- One row per venue and hour from the first hour that its feed was collected. An hour in between that was not
-- to has no minutes. `is_trailing`: the day after the last hour, as far as another venue goes on: a venue belongs to
-- the sum over all venues as long as it was received within the last 24 hours, so that one that falls silent lowers the
-- coverage of that sum and does not vanish from it.
with collected_hours as (
    select venue, hour_at, covered_minutes, is_every_order, lost_messages, subscribed_symbols
    from {{ ref('stg_raw__coverage') }}
    where dataset = 'liquidations' and symbol = 'ALL'
),

venue_spans as (
    select
        venue,
        min(hour_at) as first_hour_at,
        max(hour_at) as last_hour_at,
        max(max(hour_at)) over (partition by {{ sum_of(taker.is_simulated('venue')) }}) as last_hour_of_all_at
    from collected_hours
    where covered_minutes > 0
    group by venue
),

hours as (
    select
        venue,
        last_hour_at,
        {{ each_hour("first_hour_at", "least(last_hour_at + interval '23' hour, last_hour_of_all_at)") }} as hour_at
    from venue_spans
)

select
    hours.venue,
    hours.hour_at,
    hours.hour_at > hours.last_hour_at as is_trailing,
    cast(coalesce(collected_hours.covered_minutes, 0) as bigint) as covered_minutes,
    coalesce(collected_hours.is_every_order, false) as is_every_order,
    cast(coalesce(collected_hours.lost_messages, 0) as bigint) as lost_messages,
    coalesce(collected_hours.subscribed_symbols, '') as subscribed_symbols,
    -- Names parted by blanks; a dash stands for none.
    cast(
        case
            when collected_hours.covered_minutes = 0 or collected_hours.subscribed_symbols = '' then null
            when collected_hours.subscribed_symbols = '-' then 0
            else length(collected_hours.subscribed_symbols)
                - length(replace(collected_hours.subscribed_symbols, ' ', '')) + 1
        end as bigint
    ) as subscribed_symbol_count
from hours
left join collected_hours on hours.venue = collected_hours.venue and hours.hour_at = collected_hours.hour_at
order by hours.venue, hours.hour_at
