-- One row per collected dataset, venue, symbol (ALL for a whole venue) and hour. Of an hour that two objects cover, the
-- larger coverage counts, and every order was received only if both report so and neither lost any. A table for the
-- reason that `base_raw__receipts` is one.
{{ config(materialized='table') }}

select
    dataset,
    venue,
    symbol,
    {{ utc_timestamp('hour_at') }} as hour_at,
    max(covered_minutes) as covered_minutes,
    min(case when is_every_order then 1 else 0 end) = 1 as is_every_order,
    cast(sum(coalesce(lost_messages, 0)) as bigint) as lost_messages,
    max(heard_symbols) as subscribed_symbols,
    max({{ utc_timestamp('known_at') }}) as known_at
from {{ raw_files('coverage') }} as coverage
group by dataset, venue, symbol, {{ utc_timestamp('hour_at') }}
