-- One row per claim and spike definition: the bar that the claim can be about, the larger events of its window, and
-- what makes the window blind.
with window_facts as (
    select
        claim_id,
        definition_id,
        count(*) as window_bars,
        max(set_changed_at) >= min(bar_at) as has_changed_set,
        sum(bar_coverage) as covered_bars,
        sum(case when flow_quality = 'contradicted' then 1 else 0 end) as contradicted_bars,
        sum(case when is_in_range then bar_coverage else 0 end) as covered_range_bars,
        -- If it is an event, its rank is one more than the number of larger events, of which some are not settled yet.
        max(
            case
                when is_in_range and is_event is null
                    and claimed_rank between larger_events + 1 and larger_events + larger_unsettled + 1 then 1
                else 0
            end
        ) = 1 as may_yet_have_the_rank,
        min(case when event_rank = claimed_rank then bar_text end) as holder
    from {{ ref('int_claim_bars') }}
    group by claim_id, definition_id
)

select
    windows.claim_id,
    windows.definition_id,
    windows.market_id,
    windows.side,
    windows.claimed_rank,
    windows.window_days,
    windows.as_of_at,
    found_bars.bar_at,
    found_bars.value,
    found_bars.bar_text,
    found_bars.bar_rank,
    found_bars.event_rank,
    found_bars.is_event,
    found_bars.is_provisional,
    found_bars.flow_quality,
    found_bars.bar_rank = windows.claimed_rank and found_bars.extremeness = found_bars.range_extreme as is_rank_by_bars,
    coalesce(found_bars.event_rank = windows.claimed_rank, false) as is_rank_by_events,
    coalesce(window_facts.window_bars, 0) as window_bars,
    coalesce(window_facts.contradicted_bars, 0) as contradicted_bars,
    coalesce(window_facts.may_yet_have_the_rank, false) as may_yet_have_the_rank,
    window_facts.holder,
    larger.larger_events,
    cast(coalesce(window_facts.covered_bars, 0) * windows.bar_hours as double) / (windows.window_days * 24)
        as window_coverage,
    case
        when window_facts.window_bars is null then 'it ranks no bars of this market'
        when window_facts.covered_bars * windows.bar_hours < 0.95 * windows.window_days * 24
            then 'less than 95 % of the window is covered'
        when window_facts.has_changed_set then 'the markets that are summed changed'
        when found_bars.bar_at is null then 'there is no bar in the claimed range'
        when window_facts.covered_range_bars * windows.bar_hours
            < 0.95 * 24 * extract(day from (windows.range_to_at - windows.range_from_at))
            then 'less than 95 % of the claimed range is covered'
        when found_bars.bar_coverage < 0.95 then 'less than 95 % of the bar is covered'
    end as blind_reason
from {{ ref('int_claim_windows') }} as windows
left join window_facts
    on windows.claim_id = window_facts.claim_id and windows.definition_id = window_facts.definition_id
left join {{ ref('int_claim_found_bars') }} as found_bars
    on windows.claim_id = found_bars.claim_id and windows.definition_id = found_bars.definition_id
left join {{ ref('int_claim_larger_events') }} as larger
    on windows.claim_id = larger.claim_id
    and windows.definition_id = larger.definition_id
