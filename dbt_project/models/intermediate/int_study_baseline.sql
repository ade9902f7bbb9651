-- One row per definition, market, horizon and entry, numbered in time: every open from the first ranked bar's end on,
-- event or not. What the events are compared with, and what the bootstrap draws from.
with periods as (
    select
        ranks.definition_id,
        ranks.market_id,
        {{ bar_hours('max(definitions.grain)') }} as grain_hours,
        min(ranks.bar_at) as first_ranked_at
    from {{ ref('int_spike_ranks') }} as ranks
    inner join {{ ref('spike_definitions') }} as definitions on ranks.definition_id = definitions.definition_id
    where ranks.spike_rank is not null and ranks.side = 'bearish'
    group by ranks.definition_id, ranks.market_id
)

select
    periods.definition_id,
    periods.market_id,
    forward.horizon_days,
    forward.entry_at,
    row_number() over (
        partition by periods.definition_id, periods.market_id, forward.horizon_days
        order by forward.entry_at
    ) - 1 as entry_number,
    forward.price_return
from periods
inner join {{ ref('int_forward_returns') }} as forward
    on periods.market_id = forward.market_id
    and periods.grain_hours = forward.grain_hours
    and forward.entry_at > periods.first_ranked_at
