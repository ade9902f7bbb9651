-- One row per market and day with a file of the archive, now or in the last build: within seven days of it the receipts
-- of such files, or what is wrong with them, are not those of the last build. No day is judged by files of days further
-- away, but through `int_flow_contradictions`.
{%- set days_around = 7 %}
{%- set of_archive = "source in ('trades', 'klines')" %}

with parts as (
    select * from {{ hashed_days('int_flow_receipts', [
        'dataset', 'kline_interval', 'status', 'row_count', 'id_gaps', 'duplicate_rows', 'zero_rows',
        'out_of_order_rows', 'build_state',
    ], of_archive) }} as hashed
    union all
    select * from {{ hashed_days('int_flow_defects', [
        'source', 'hour_at', 'kind', 'reason', 'row_count', 'source_key', 'used_instead',
    ], of_archive) }} as hashed
),

found as (
    select market_id, bar_date, sum(row_count) as row_count, sum(row_hashes) as row_hashes
    from parts
    group by market_id, bar_date
)

select
    market_id,
    bar_date,
    row_count,
    row_hashes,
    max(case when is_changed then 1 else 0 end) over (
        partition by market_id
        order by cast(bar_date as timestamp)
        range between interval '{{ days_around }}' day preceding and interval '{{ days_around }}' day following
    ) = 1 as is_changed,
    build_id
from {{ compared_days('sources') }} as compared
order by market_id, bar_date
