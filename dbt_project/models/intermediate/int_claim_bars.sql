-- One row per claim, spike definition and bar of the claim's window, ranked among its bars and among its events.
with bars as (
    select
        windows.claim_id,
        windows.definition_id,
        windows.claimed_rank,
        ranks.bar_at,
        ranks.value,
        -- Smaller = more extreme on the side of the claim. Only of a sell ratio is the largest value the most bearish.
        case when (windows.side = 'bearish') = (windows.unit = 'sell_ratio') then -ranks.value else ranks.value end
            as extremeness,
        substring(cast(ranks.bar_at as string), 1, case when windows.grain = '1d' then 10 else 16 end) || ' (' || case
            when windows.unit = 'sell_ratio' then 'sell ratio ' || cast(cast(ranks.value as decimal(9,4)) as string)
            when windows.unit = 'base' then cast(cast(round(ranks.value) as bigint) as string) || ' base'
            when abs(ranks.value) >= 100000000
                then cast(cast(round(ranks.value / 1000000) as bigint) as string) || ' M USD'
            when abs(ranks.value) >= 1000000
                then cast(cast(ranks.value / 1000000 as decimal(18,1)) as string) || ' M USD'
            else cast(cast(round(ranks.value) as bigint) as string) || ' USD'
        end || ')' as bar_text,
        cast(ranks.bar_coverage_ratio as decimal(9,8)) as bar_coverage,
        ranks.is_provisional,
        ranks.flow_quality,
        ranks.set_changed_at,
        ranks.is_event,
        ranks.bar_at >= windows.range_from_at and ranks.bar_at < windows.range_to_at as is_in_range
    from {{ ref('int_claim_windows') }} as windows
    inner join {{ ref('int_spike_ranks') }} as ranks
        on windows.definition_id = ranks.definition_id
        and windows.market_id = ranks.market_id
        and windows.side = ranks.side
        and ranks.bar_at >= windows.as_of_at - windows.window_days * interval '1' day
        and ranks.bar_at < windows.as_of_at
        -- A bar that has not ended does not count.
        and ranks.is_running is not true
)

select
    claim_id,
    definition_id,
    claimed_rank,
    bar_at,
    value,
    extremeness,
    bar_text,
    bar_coverage,
    is_provisional,
    flow_quality,
    set_changed_at,
    is_event,
    is_in_range,
    rank() over (partition by claim_id, definition_id order by extremeness) as bar_rank,
    case when is_event then rank() over (partition by claim_id, definition_id, is_event order by extremeness) end
        as event_rank,
    -- Up to and with bars as extreme as this one, less these: the more extreme ones alone.
    sum(case when is_event then 1 else 0 end) over (partition by claim_id, definition_id order by extremeness)
    - sum(case when is_event then 1 else 0 end) over (partition by claim_id, definition_id, extremeness)
        as larger_events,
    sum(case when is_event is null then 1 else 0 end) over (partition by claim_id, definition_id order by extremeness)
    - sum(case when is_event is null then 1 else 0 end) over (partition by claim_id, definition_id, extremeness)
        as larger_unsettled
from bars
