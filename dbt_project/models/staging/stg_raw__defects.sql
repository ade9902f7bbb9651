-- One row per defect of a current receipt: what was published and not used as it was published.
-- A table for the reason that `base_raw__receipts` is one.
{{ config(materialized='table') }}

select
    dataset,
    venue,
    symbol,
    market_id,
    "interval" as kline_interval,
    period,
    kind,
    reason,
    "day" as bar_date,
    {{ utc_timestamp('hour_at') }} as hour_at,
    row_count,
    source_key,
    used_instead,
    {{ utc_timestamp('known_at') }} as known_at
from {{ raw_files('defects') }} as defects
