-- One row per venue and hour from the first hour that its feed was listened to. An hour in between that nobody listened to has no minutes.
-- `is_trailing`: the day after the last hour, as far as another venue goes on: a venue belongs to the sum over all venues as long as
-- it was heard within the last 24 hours, so that one that falls silent lowers the coverage of that sum and does not vanish from it.
with heard_hours as (
    select venue, hour_at, covered_minutes, is_every_order, lost_messages, heard_symbols
    from {{ ref('stg_raw__coverage') }}
    where dataset = 'liquidations' and symbol = 'ALL'
),

spans as (
    select
        venue,
        min(hour_at) as first_hour_at,
        max(hour_at) as last_hour_at,
        max(max(hour_at)) over (partition by {{ all_of('venue') }}) as last_hour_of_all_at
    from heard_hours
    where covered_minutes > 0
    group by venue
),

hours as (
    select
        venue,
        last_hour_at,
        {{ each_hour("first_hour_at", "least(last_hour_at + interval '23' hour, last_hour_of_all_at)") }} as hour_at
    from spans
)

select
    hours.venue,
    hours.hour_at,
    hours.hour_at > hours.last_hour_at as is_trailing,
    cast(coalesce(heard_hours.covered_minutes, 0) as bigint) as covered_minutes,
    coalesce(heard_hours.is_every_order, false) as is_every_order,
    cast(coalesce(heard_hours.lost_messages, 0) as bigint) as lost_messages,
    coalesce(heard_hours.heard_symbols, '') as heard_symbols,
    -- Names parted by blanks; a dash stands for none.
    cast(
        case
            when heard_hours.covered_minutes = 0 or heard_hours.heard_symbols = '' then null
            when heard_hours.heard_symbols = '-' then 0
            else length(heard_hours.heard_symbols) - length(replace(heard_hours.heard_symbols, ' ', '')) + 1
        end as bigint
    ) as subscribed_symbol_count
from hours
left join heard_hours on hours.venue = heard_hours.venue and hours.hour_at = heard_hours.hour_at
order by hours.venue, hours.hour_at
