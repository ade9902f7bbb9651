-- One row per claim and spike definition: the days that the claim is about, and the window in which it is judged. The
-- models of claims use nothing but `ref()` and standard SQL: `taker claim` runs their text over the published marts,
-- with a claim of its own in place of the seed.
with claims_by_definition as (
    select
        claims.claim_id,
        definitions.definition_id,
        claims.market_id,
        claims.side,
        claims.claimed_rank,
        claims.window_days,
        definitions.grain,
        definitions.unit,
        case definitions.grain when '1h' then 1 when '4h' then 4 when '1d' then 24 end as bar_hours,
        cast(claims.event_from as timestamp) as range_from_at,
        cast(claims.event_to as timestamp) + interval '1' day as range_to_at,
        -- What a text of that day can know: the days before it.
        cast(claims.published_on as timestamp) as published_at
    from {{ ref('claims') }} as claims
    cross join {{ ref('spike_definitions') }} as definitions
)

-- "In two years" are the years before the text, as long as these contain the event; else the years before the event's
-- end.
select
    claim_id,
    definition_id,
    market_id,
    side,
    claimed_rank,
    window_days,
    grain,
    unit,
    bar_hours,
    range_from_at,
    range_to_at,
    case
        when published_at > range_to_at and published_at - window_days * interval '1' day <= range_from_at
            then published_at
        else range_to_at
    end as as_of_at
from claims_by_definition
