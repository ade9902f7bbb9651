-- One row per revision, with the ranks as they are published now. It is judged in the publication that is being built,
-- where the history is: the warehouse holds only what is true now.
with series as (
    select distinct definition_id, market_id from fct_taker_spike_ranks
),

history as (
    select
        *,
        row_number() over bar as revision_number,
        lead(published_at) over bar is null as is_latest,
        lag(new_value) over bar as stated_value,
        lag(new_rank) over bar as stated_rank,
        lag(new_event_rank) over bar as stated_event_rank
    from fct_spike_rank_revisions
    window bar as (partition by definition_id, market_id, side, bar_at order by published_at)
)

select
    history.definition_id,
    history.market_id,
    history.side,
    history.bar_at,
    history.published_at,
    history.previous_published_at,
    history.run_id,
    history.cause,
    history.source_keys,
    history.old_value,
    history.new_value,
    history.old_rank,
    history.new_rank,
    history.old_event_rank,
    history.new_event_rank,
    ranks.value as value_now,
    ranks.spike_rank as rank_now,
    ranks.event_rank as event_rank_now,
    history.old_value is distinct from history.new_value
    or history.old_rank is distinct from history.new_rank
    or history.old_event_rank is distinct from history.new_event_rank as is_different,
    coalesce(history.published_at > history.previous_published_at, false) as is_later,
    (history.cause = 'rules') = (history.source_keys is null) as is_file_named,
    -- What was unknown may have become known in between, and a bar that was missing may have come back.
    history.revision_number = 1
    or (
        (history.stated_value is null or history.old_value = history.stated_value)
        and (history.stated_rank is null or coalesce(history.old_rank = history.stated_rank, false))
        and (history.stated_event_rank is null or coalesce(history.old_event_rank = history.stated_event_rank, false))
    ) as is_chain_unbroken,
    not history.is_latest
    or series.definition_id is null
    or (
        (history.new_value is null or coalesce(ranks.value = history.new_value, false))
        and (history.new_rank is null or coalesce(ranks.spike_rank = history.new_rank, false))
        and (history.new_event_rank is null or coalesce(ranks.event_rank = history.new_event_rank, false))
    ) as is_true_now
from history
left join series
    on history.definition_id = series.definition_id
    and history.market_id = series.market_id
left join fct_taker_spike_ranks as ranks
    on history.definition_id = ranks.definition_id
    and history.market_id = ranks.market_id
    and history.side = ranks.side
    and history.bar_at = ranks.bar_at
