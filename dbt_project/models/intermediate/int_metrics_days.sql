-- One row per market and day of metrics, now or in the last build: which are of another state than the last build read.
-- What is read of a day depends on nothing else.
with found as (
    select
        market_id,
        bar_date,
        1 as row_count,
        cast({{ row_hash(["'metrics'", 'source_state']) }} as decimal(38,0)) as row_hashes
    from {{ ref('int_metrics_receipts') }}
)

select market_id, bar_date, row_count, row_hashes, is_changed, build_id
from {{ compared_days('metrics') }} as compared
order by market_id, bar_date
