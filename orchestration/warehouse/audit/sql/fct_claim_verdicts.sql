-- One row per claim and definition. Ranks are counted again: how many bars, and events, of the window are more extreme.
{% from "macros.sql" import min_coverage %}

with verdicts as (
    select verdicts.*, definitions.unit = 'sell_ratio' as is_ratio
    from fct_claim_verdicts as verdicts
    left join dim_spike_definitions as definitions
        on verdicts.definition_id = definitions.definition_id
),

counted as (
    select
        verdicts.claim_id,
        verdicts.definition_id,
        count(*) as window_bars,
        1 + sum(
            case when ((verdicts.side = 'bearish') = verdicts.is_ratio and ranks.value > verdicts.value)
                or ((verdicts.side = 'bearish') <> verdicts.is_ratio and ranks.value < verdicts.value) then 1 else 0 end
        ) as bar_rank,
        1 + sum(
            case when ranks.is_event and (
                ((verdicts.side = 'bearish') = verdicts.is_ratio and ranks.value > verdicts.value)
                or ((verdicts.side = 'bearish') <> verdicts.is_ratio and ranks.value < verdicts.value)
            ) then 1 else 0 end
        ) as rank_among_events,
        max(case when ranks.bar_at = verdicts.bar_at and ranks.value = verdicts.value then 1 else 0 end) = 1
            as is_found,
        max(case when ranks.bar_at = verdicts.bar_at and ranks.is_event then 1 else 0 end) = 1
            as is_event,
        max(case when ranks.bar_at = verdicts.bar_at and ranks.is_provisional then 1 else 0 end) = 1
            as is_provisional,
        coalesce(max(ranks.set_changed_at) >= min(ranks.bar_at), false) as has_changed_set
    from verdicts
    inner join fct_taker_spike_ranks as ranks
        on verdicts.definition_id = ranks.definition_id
        and verdicts.market_id = ranks.market_id
        and verdicts.side = ranks.side
        and ranks.bar_at >= verdicts.as_of_at - interval '1 day' * verdicts.window_days
        and ranks.bar_at < verdicts.as_of_at
        and not ranks.is_running
    group by verdicts.claim_id, verdicts.definition_id
),

claimed as (
    select
        claims.*,
        definitions.definition_id,
        cast(claims.event_to as timestamp) + interval '1 day' as event_end_at
    from dim_claims as claims
    cross join dim_spike_definitions as definitions
)

select
    coalesce(claimed.claim_id, verdicts.claim_id) as claim_id,
    coalesce(claimed.definition_id, verdicts.definition_id) as definition_id,
    verdicts.bar_at,
    verdicts.value,
    verdicts.claimed_rank,
    verdicts.actual_rank,
    verdicts.actual_event_rank,
    counted.bar_rank,
    counted.rank_among_events,
    verdicts.coverage_ratio,
    verdicts.holds,
    verdicts.holds_by,
    verdicts.verdict_sentence,
    claimed.claim_id is not null as is_claimed,
    verdicts.claim_id is not null as is_answered,
    verdicts.claim_id is null or claimed.claim_id is null or coalesce(
        verdicts.market_id = claimed.market_id
        and verdicts.side = claimed.side
        and verdicts.claimed_rank = claimed.claimed_rank
        and verdicts.window_days = claimed.window_days,
        false
    ) as is_claim_unchanged,
    verdicts.claim_id is null or claimed.claim_id is null or coalesce(
        verdicts.as_of_at >= claimed.event_end_at
        and (
            verdicts.as_of_at = claimed.event_end_at
            or coalesce(verdicts.as_of_at = cast(claimed.published_on as timestamp), false)
        ),
        false
    ) as is_as_of_due,
    verdicts.bar_at is null or claimed.claim_id is null or coalesce(
        counted.is_found
        and verdicts.bar_at >= cast(claimed.event_from as timestamp)
        and verdicts.bar_at < claimed.event_end_at,
        false
    ) as is_bar_of_claim,
    coalesce(verdicts.window_bars, 0) - coalesce(counted.window_bars, 0) as window_bars_difference,
    verdicts.actual_rank is null or coalesce(verdicts.actual_rank = counted.bar_rank, false) as is_rank_right,
    verdicts.actual_event_rank is null
    or coalesce(counted.is_event and verdicts.actual_event_rank = counted.rank_among_events, false)
        as is_event_rank_right,
    verdicts.holds is null
    or verdicts.holds = (
        coalesce(verdicts.actual_rank = verdicts.claimed_rank, false)
        or coalesce(verdicts.actual_event_rank = verdicts.claimed_rank, false)
    ) as is_verdict_right,
    coalesce(verdicts.holds, false) = (verdicts.holds_by is not null) as is_reason_given,
    verdicts.holds is null
    or coalesce(verdicts.coverage_ratio >= {{ min_coverage }} and verdicts.actual_rank is not null, false)
        as is_verdict_covered,
    verdicts.claim_id is null or coalesce(
        position(verdicts.definition_id in verdicts.verdict_sentence) > 0
        and case
            when verdicts.holds then verdicts.verdict_sentence like 'Holds under %'
            when not verdicts.holds then verdicts.verdict_sentence like 'Does not hold under %'
            else verdicts.verdict_sentence like 'Cannot tell%'
        end,
        false
    ) as is_sentence_right,
    verdicts.holds is null or coalesce(not counted.has_changed_set, false) as is_verdict_of_one_set,
    verdicts.holds is null
    or coalesce(
        counted.is_provisional = (position('the bar is provisional' in verdicts.verdict_sentence) > 0), false
    ) as is_provision_stated
from claimed
full join verdicts
    on claimed.claim_id = verdicts.claim_id
    and claimed.definition_id = verdicts.definition_id
left join counted
    on verdicts.claim_id = counted.claim_id
    and verdicts.definition_id = counted.definition_id
