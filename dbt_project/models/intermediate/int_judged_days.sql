-- One row per market and day with a file of the archive, now or in the last build: which may be judged otherwise than
-- by the last build. A bar that is contradicted now, or no longer, may be far from the files that changed.
with parts as (
    select market_id, bar_date, row_count, row_hashes
    from {{ ref('int_source_days') }}
    where row_count is not null
    union all
    select * from {{ hashed_days('int_flow_contradictions', [
        'source', 'bar_hours', 'bar_at', 'witness', 'measure', 'ours', 'theirs', 'tolerance', 'effect',
    ]) }} as hashed
),

found as (
    select market_id, bar_date, sum(row_count) as row_count, sum(row_hashes) as row_hashes
    from parts
    group by market_id, bar_date
)

select
    compared.market_id,
    compared.bar_date,
    compared.row_count,
    compared.row_hashes,
    compared.is_changed or coalesce(days.is_changed, false) as is_changed,
    compared.build_id
from {{ compared_days('judged') }} as compared
left join {{ ref('int_source_days') }} as days
    on compared.market_id = days.market_id and compared.bar_date = days.bar_date
order by compared.market_id, compared.bar_date
