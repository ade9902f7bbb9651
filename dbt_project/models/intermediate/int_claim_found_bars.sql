-- One row per claim and spike definition: the bar that the claim can be about. It is the event of the range that has
-- the claimed rank, else the range's most extreme bar. Other bars do not count: the second bar of one crash is no
-- second spike.
with ranked_candidates as (
    select
        bars.*,
        min(extremeness) over (partition by claim_id, definition_id) as range_extreme,
        row_number() over (
            partition by claim_id, definition_id
            order by case when event_rank = claimed_rank then 0 else 1 end, extremeness, bar_at
        ) as choice
    from {{ ref('int_claim_bars') }} as bars
    where is_in_range
)

select
    claim_id,
    definition_id,
    bar_at,
    value,
    extremeness,
    range_extreme,
    bar_text,
    bar_coverage,
    is_provisional,
    flow_quality,
    is_event,
    bar_rank,
    event_rank
from ranked_candidates
where choice = 1
