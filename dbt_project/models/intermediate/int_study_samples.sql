-- One row per definition, market, side, horizon, way of entering and event with a known exit. Events whose holding
-- times overlap are one block: they share the same days of the price and are no independent observations.
with entries as (
    select definition_id, market_id, side, horizon_days, 'next_bar' as entered, entry_at, flow_quality
    from {{ ref('int_study_positions') }}
    union all
    select definition_id, market_id, side, horizon_days, 'when_known' as entered, known_at as entry_at, flow_quality
    from {{ ref('int_study_positions') }}
),

returns as (
    select
        entries.definition_id,
        entries.market_id,
        entries.side,
        entries.horizon_days,
        entries.entered,
        entries.entry_at,
        entries.flow_quality,
        baseline.entry_number,
        {{ contrarian('entries.side', 'baseline.price_return') }} as contrarian_return,
        lag(entries.entry_at) over event_order as previous_entry_at
    from entries
    inner join {{ ref('int_study_baseline') }} as baseline
        on entries.definition_id = baseline.definition_id
        and entries.market_id = baseline.market_id
        and entries.horizon_days = baseline.horizon_days
        and entries.entry_at = baseline.entry_at
    window event_order as (
        partition by entries.definition_id, entries.market_id, entries.side, entries.horizon_days, entries.entered
        order by entries.entry_at
    )
),

returns_in_blocks as (
    select
        returns.*,
        sum(
            case
                when previous_entry_at is null then 1
                when entry_at >= previous_entry_at + {{ hours_as_interval('horizon_days * 24') }} then 1
                else 0
            end
        ) over (
            partition by definition_id, market_id, side, horizon_days, entered
            order by entry_at
            rows between unbounded preceding and current row
        ) as block_number
    from returns
)

select
    definition_id,
    market_id,
    side,
    horizon_days,
    entered,
    entry_at,
    contrarian_return,
    flow_quality,
    cast(block_number as bigint) as block_number,
    entry_number - min(entry_number) over (
        partition by definition_id, market_id, side, horizon_days, entered, block_number
    ) as block_offset
from returns_in_blocks
