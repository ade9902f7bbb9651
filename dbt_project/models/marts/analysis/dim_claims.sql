-- The claims that are checked, published with their verdicts so that no verdict travels without its claim.
select
    claim_id,
    source,
    published_on,
    market_id,
    event_from,
    event_to,
    side,
    claimed_rank,
    window_days,
    note
from {{ ref('claims') }}
order by claim_id
