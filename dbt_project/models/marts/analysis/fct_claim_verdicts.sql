-- One row per claim and spike definition: does the claim hold, and a sentence with the evidence.
with decided_claims as (
    select
        evidence.*,
        case
            when blind_reason is not null then null
            when is_rank_by_bars or is_rank_by_events then true
            when may_yet_have_the_rank then null
            else false
        end as holds,
        ' in the ' || cast(window_days as string) || ' days to '
            || substring(cast(as_of_at as string), 1, 10) as window_text
    from {{ ref('int_claim_evidence') }} as evidence
)

select
    claim_id,
    definition_id,
    market_id,
    side,
    claimed_rank,
    window_days,
    as_of_at,
    bar_at,
    value,
    cast(case when blind_reason is null then bar_rank end as bigint) as actual_rank,
    cast(case when blind_reason is null then event_rank end as bigint) as actual_event_rank,
    window_bars,
    window_coverage as coverage_ratio,
    holds,
    case
        -- NULL is no verdict: neither `holds` nor `not holds` is true of it.
        when holds is not true then null
        when is_rank_by_bars and is_rank_by_events then 'bars and events'
        when is_rank_by_bars then 'bars'
        when is_rank_by_events then 'events'
    end as holds_by,
    case when blind_reason is null then larger_events end as larger_events,
    case
        when blind_reason is not null then 'Cannot tell under ' || definition_id || ': ' || blind_reason || window_text
        else
            case
                when holds then 'Holds under '
                when not holds then 'Does not hold under '
                else 'Cannot tell yet under '
            end
            || definition_id || ': ' || bar_text || ' is rank ' || cast(bar_rank as string) || ' of '
            || cast(window_bars as string) || ' bars'
            || coalesce(' and rank ' || cast(event_rank as string) || ' among events', '') || window_text
            || case when holds then '' else ', not rank ' || cast(claimed_rank as string) end
            || case
                when is_event then ''
                when is_event is null then '; whether it is an event is not known yet'
                else '; it is no event of its own'
            end
            || case when holds then '' else coalesce('; that rank among events is held by ' || holder, '') end
            || case when is_provisional then '; the bar is provisional, until the archive has its day' else '' end
            || case when flow_quality = 'contradicted' then '; another source contradicts the bar' else '' end
    end || '.' as verdict_sentence,
    flow_quality,
    cast(contradicted_bars as bigint) as contradicted_bars
from decided_claims
order by claim_id, definition_id
