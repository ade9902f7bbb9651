-- One row per market and day of metrics, now or in the last build: which are of another state than the last build read,
-- or judged otherwise. A day is compared with days that are themselves judged, so that one may be judged otherwise far
-- from the files that changed.
with parts as (
    select
        market_id,
        bar_date,
        1 as row_count,
        cast({{ row_hash(["'metrics'", 'source_state']) }} as decimal(38,0)) as row_hashes
    from {{ ref('int_metrics_receipts') }}
    union all
    select market_id, bar_date, row_count, row_hashes
    from {{ hashed_days('int_open_interest_daily', ['observed_at', 'is_of_whole_day', 'conflict']) }} as hashed
),

found as (
    select market_id, bar_date, sum(row_count) as row_count, sum(row_hashes) as row_hashes
    from parts
    group by market_id, bar_date
)

select market_id, bar_date, row_count, row_hashes, is_changed, build_id
from {{ compared_days('metrics') }} as compared
order by market_id, bar_date
