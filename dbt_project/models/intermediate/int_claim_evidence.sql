-- One row per claim and spike definition: the bar that the claim can be about, the larger events of its window, and
-- what makes the window blind.
-- Long, since it uses nothing of dbt but `ref()`: no macro shortens it.
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
),

-- The event of the range that has the claimed rank, else the range's most extreme bar. Other bars do not count: the
-- second bar of one crash is no second spike.
ranked_candidates as (
    select
        bars.*,
        min(extremeness) over (partition by claim_id, definition_id) as range_extreme,
        row_number() over (
            partition by claim_id, definition_id
            order by case when event_rank = claimed_rank then 0 else 1 end, extremeness, bar_at
        ) as choice
    from {{ ref('int_claim_bars') }} as bars
    where is_in_range
),

found_bars as (
    select *
    from ranked_candidates
    where choice = 1
),

larger_events as (
    select
        found_bars.claim_id,
        found_bars.definition_id,
        bars.bar_text,
        row_number() over (
            partition by found_bars.claim_id, found_bars.definition_id
            order by bars.extremeness, bars.bar_at
        ) as place
    from found_bars
    inner join {{ ref('int_claim_bars') }} as bars
        on found_bars.claim_id = bars.claim_id
        and found_bars.definition_id = bars.definition_id
        and bars.is_event
        and bars.extremeness < found_bars.extremeness
),

-- The first ten as one text. Ordered string aggregates differ from engine to engine, this does not.
larger_events_by_claim as (
    select
        claim_id,
        definition_id,
        max(case when place = 1 then bar_text end)
        || coalesce(max(case when place = 2 then ', ' || bar_text end), '')
        || coalesce(max(case when place = 3 then ', ' || bar_text end), '')
        || coalesce(max(case when place = 4 then ', ' || bar_text end), '')
        || coalesce(max(case when place = 5 then ', ' || bar_text end), '')
        || coalesce(max(case when place = 6 then ', ' || bar_text end), '')
        || coalesce(max(case when place = 7 then ', ' || bar_text end), '')
        || coalesce(max(case when place = 8 then ', ' || bar_text end), '')
        || coalesce(max(case when place = 9 then ', ' || bar_text end), '')
        || coalesce(max(case when place = 10 then ', ' || bar_text end), '')
        || case
            when max(place) > 10 then ' and ' || cast(max(place) - 10 as varchar) || ' more'
            else ''
        end as larger_events
    from larger_events
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
    larger_events_by_claim.larger_events,
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
left join found_bars
    on windows.claim_id = found_bars.claim_id and windows.definition_id = found_bars.definition_id
left join larger_events_by_claim
    on windows.claim_id = larger_events_by_claim.claim_id
    and windows.definition_id = larger_events_by_claim.definition_id
