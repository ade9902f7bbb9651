-- One row per event and horizon, from the ranks or from the mart. A position against the crowd gains when the price
-- rises after a bearish event.
{% from "macros.sql" import distance, horizons %}

with definitions as (
    select
        definition_id,
        decluster_hours,
        case grain when '1h' then 1 when '4h' then 4 when '1d' then 24 end as bar_hours
    from dim_spike_definitions
),

due as (
    select ranks.*, horizons.horizon_days
    from fct_taker_spike_ranks as ranks
    cross join {{ horizons }}
    where ranks.event_rank <= 20
),

returns as (
    select
        returns.*,
        definitions.bar_hours,
        definitions.decluster_hours,
        case returns.side when 'bearish' then 1 else -1 end
        * (cast(returns.exit_price as double) / cast(nullif(returns.entry_price, 0) as double) - 1) as recomputed_return
    from fct_spike_forward_returns as returns
    left join definitions
        on returns.definition_id = definitions.definition_id
)

select
    coalesce(due.definition_id, returns.definition_id) as definition_id,
    coalesce(due.market_id, returns.market_id) as market_id,
    coalesce(due.side, returns.side) as side,
    coalesce(due.bar_at, returns.event_at) as event_at,
    coalesce(due.horizon_days, returns.horizon_days) as horizon_days,
    due.bar_at is not null as is_event,
    returns.event_at is not null as is_followed,
    due.bar_at is null or returns.event_at is null
    or coalesce(due.value = returns.value and due.event_rank = returns.event_rank, false) as is_event_unchanged,
    returns.value,
    cast(returns.event_rank as double) as event_rank,
    returns.entry_at,
    returns.exit_at,
    returns.known_at,
    returns.entry_price,
    returns.exit_price,
    returns.forward_return,
    returns.return_when_known,
    returns.max_adverse_excursion,
    returns.max_favourable_excursion,
    returns.is_complete,
    returns.event_at is null
    or coalesce(returns.entry_at = returns.event_at + interval '1 hour' * returns.bar_hours, false)
        as is_entry_next_bar,
    returns.event_at is null
    or coalesce(returns.exit_at = returns.entry_at + interval '1 day' * returns.horizon_days, false) as is_exit_due,
    returns.event_at is null
    or coalesce(returns.known_at >= returns.entry_at + interval '1 hour' * returns.decluster_hours, false)
        as is_known_late_enough,
    {{ distance("returns.forward_return", "returns.recomputed_return") }} as return_error,
    returns.event_at is null or coalesce(
        returns.is_complete = (returns.entry_price is not null and returns.exit_price is not null), false
    ) as is_completeness_right,
    returns.event_at is null
    or coalesce(returns.is_complete, false)
    or (returns.max_adverse_excursion is null and returns.max_favourable_excursion is null) as is_excursion_due
from due
full join returns
    on due.definition_id = returns.definition_id
    and due.market_id = returns.market_id
    and due.side = returns.side
    and due.bar_at = returns.event_at
    and due.horizon_days = returns.horizon_days
