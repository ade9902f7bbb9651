-- One row per market of which ranks changed: the days of `int_brief_ranks` that this build replaces, `from_at` until
-- before `to_at`. A day has the ranks of its bars, and the events of the window before it: as far as `int_rank_changes`
-- reaches.
select
    market_id,
    cast(cast(min(from_at) as date) as timestamp) as from_at,
    max(to_at) as to_at
from {{ ref('int_rank_changes') }}
group by market_id
order by market_id
