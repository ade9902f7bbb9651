-- One row per definition, market, side, event and horizon: the return of a position against the crowd, entered at the
-- next bar's open. Positions of events that `int_rank_changes` names are replaced.
-- Longer than 100 lines: entry, exit and path are priced side by side.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {
        'changes': 'int_rank_changes', 'keys': ['definition_id', 'market_id'], 'instant': 'event_at',
        'from': 'positions_from_at',
    }},
) }}
{%- set changes = changes_in('int_rank_changes') %}

with positions as (
    select positions.*
    from {{ ref('int_study_positions') }} as positions
    {%- if replaces_changes() %}
    inner join {{ changes }} as changes
        on positions.definition_id = changes.definition_id and positions.market_id = changes.market_id
        and positions.event_at >= changes.positions_from_at and positions.event_at < changes.to_at
    {%- endif %}
),

-- What no position was ever entered before is not joined.
bars as (
    select market_id, grain_hours, bar_at, open_price, high_price, low_price
    from {{ ref('int_bars') }}
    where bar_at >= (select min(entry_at) from positions)
),

returns as (
    select market_id, grain_hours, horizon_days, entry_at, exit_price, price_return
    from {{ ref('int_forward_returns') }}
    where entry_at >= (select min(entry_at) from positions)
),

-- Highest and lowest price from entry to exit. A path that lacks a bar may lack its extreme, so it has none.
price_paths as (
    select
        positions.definition_id,
        positions.market_id,
        positions.side,
        positions.event_at,
        positions.horizon_days,
        max(bars.high_price) as high_price,
        min(bars.low_price) as low_price
    from positions
    inner join bars
        on positions.market_id = bars.market_id
        and positions.grain_hours = bars.grain_hours
        and bars.bar_at >= positions.entry_at
        and bars.bar_at < positions.exit_at
    group by positions.definition_id, positions.market_id, positions.side, positions.event_at, positions.horizon_days
    having count(*) * max(positions.grain_hours) = max(positions.horizon_days) * 24
),

priced_positions as (
    select
        positions.*,
        entries.open_price as entry_price,
        forward.exit_price,
        forward.price_return,
        known.price_return as known_price_return,
        {{ price_change('entries.open_price', 'price_paths.high_price') }} as rise,
        {{ price_change('entries.open_price', 'price_paths.low_price') }} as fall
    from positions
    left join bars as entries
        on positions.market_id = entries.market_id
        and positions.grain_hours = entries.grain_hours
        and positions.entry_at = entries.bar_at
    left join returns as forward
        on positions.market_id = forward.market_id
        and positions.grain_hours = forward.grain_hours
        and positions.horizon_days = forward.horizon_days
        and positions.entry_at = forward.entry_at
    left join returns as known
        on positions.market_id = known.market_id
        and positions.grain_hours = known.grain_hours
        and positions.horizon_days = known.horizon_days
        and positions.known_at = known.entry_at
    left join price_paths
        on positions.definition_id = price_paths.definition_id
        and positions.market_id = price_paths.market_id
        and positions.side = price_paths.side
        and positions.event_at = price_paths.event_at
        and positions.horizon_days = price_paths.horizon_days
        and forward.exit_price is not null
)

select
    definition_id,
    market_id,
    side,
    event_at,
    event_rank,
    value,
    cast(horizon_days as integer) as horizon_days,
    entry_at,
    entry_price,
    exit_at,
    exit_price,
    cast({{ contrarian('side', 'price_return') }} as double) as forward_return,
    {{ exact_as_double("case side when 'bearish' then fall else -rise end", 16) }} as max_adverse_excursion,
    {{ exact_as_double("case side when 'bearish' then rise else -fall end", 16) }} as max_favourable_excursion,
    known_at,
    cast({{ contrarian('side', 'known_price_return') }} as double) as return_when_known,
    exit_price is not null as is_complete,
    flow_quality
from priced_positions
order by definition_id, market_id, side, event_at, horizon_days
