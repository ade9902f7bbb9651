-- Every bar whose value, rank or event rank is another one than before, that came or that went, and whether that is a
-- revision. Series that are in one publication only (a market or definition added or removed) are not compared, and
-- neither are rows that are known to be equal in both.

with series as (
    select distinct definition_id, market_id from fct_taker_spike_ranks
    intersect
    select distinct definition_id, market_id from {{ former }}
),

compared as (
    select
        coalesce(was.definition_id, now.definition_id) as definition_id,
        coalesce(was.market_id, now.market_id) as market_id,
        coalesce(was.side, now.side) as side,
        coalesce(was.bar_at, now.bar_at) as bar_at,
        -- A provisional bar has no revisions, unless it had one before: a history once begun continues.
        was.bar_at is not null and (
            {{ "not was.is_provisional" if has_provisional else "true" }} or exists (
                select 1
                from {{ revisions }} as revised
                where revised.definition_id = was.definition_id
                    and revised.market_id = was.market_id
                    and revised.side = was.side
                    and revised.bar_at = was.bar_at
            )
        ) as was_stated,
        was.value as old_value,
        now.value as new_value,
        was.spike_rank as old_rank,
        now.spike_rank as new_rank,
        was.event_rank as old_event_rank,
        now.event_rank as new_event_rank,
        was.value is distinct from now.value as has_other_value,
        was.spike_rank is not null and was.spike_rank is distinct from now.spike_rank as has_other_rank,
        -- A ranked bar that was known to be no event was stated to be none; otherwise NULL meant "not known".
        was.spike_rank is not null and was.is_event is not null and was.event_rank is distinct from now.event_rank
            as has_other_event_rank
    from (select * from {{ former }} where {{ changed }}) as was
    full join (select * from fct_taker_spike_ranks where {{ changed }}) as now
        on was.definition_id = now.definition_id
        and was.market_id = now.market_id
        and was.side = now.side
        and was.bar_at = now.bar_at
)

select
    compared.*,
    was_stated and (has_other_value or has_other_rank or has_other_event_rank) as is_revision
from compared
inner join series
    on compared.definition_id = series.definition_id
    and compared.market_id = series.market_id
where has_other_value or has_other_rank or has_other_event_rank
