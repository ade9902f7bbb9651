-- One row per definition and market of which values changed: the ranks of `int_spike_ranks` that this build replaces,
-- `from_at` until before `to_at`. A value is ranked in its own window and compared in those of the bars after it;
-- whether a bar before it is an event depends on it for as long as declustering looks ahead, and that event is ranked
-- in the windows after it. `values_from_at`: bars from here on have other windows; before it only events may differ.
-- `positions_from_at`: events from here on have positions whose price may differ, those still held when a bar changed.
-- A few bars are each compared with their window. Of more, the whole series is ranked, in one pass.

with changes as (
    select
        changes.definition_id,
        changes.market_id,
        changes.is_redefined,
        changes.from_at as values_from_at,
        case
            when changes.is_redefined then changes.to_at
            else changes.to_at + {{ hours_as_interval('definitions.window_hours + 2 * definitions.decluster_hours') }}
        end as to_at,
        coalesce(definitions.decluster_hours, 0) as decluster_hours,
        -- From an event until the last of its positions is left: it is entered once the event is known.
        coalesce(definitions.decluster_hours + 2 * definitions.bar_hours, 0) + {{ study_horizons() | max * 24 }}
            as position_hours
    from {{ ref('int_spike_changes') }} as changes
    left join {{ ref('int_spike_definitions') }} as definitions on changes.definition_id = definitions.definition_id
),

-- Whether a bar is settled depends on the last one that has ended. Before what changed it is the same now as in the
-- last build, so every bar that it settles was settled then.
reached as (
    select
        changes.definition_id,
        changes.market_id,
        changes.is_redefined,
        changes.values_from_at,
        changes.to_at,
        least(
            changes.values_from_at,
            coalesce(
                max(
                    case
                        when bars.bar_at < changes.values_from_at and bars.is_running is not true then bars.bar_at
                    end
                ),
                changes.values_from_at
            )
        ) - {{ hours_as_interval('changes.decluster_hours') }} as from_at,
        changes.position_hours,
        sum(case when bars.bar_at >= changes.values_from_at and bars.bar_at < changes.to_at then 1 else 0 end)
            as bar_count
    from changes
    left join {{ ref('int_spike_values') }} as bars
        on changes.definition_id = bars.definition_id and changes.market_id = bars.market_id
    group by
        changes.definition_id, changes.market_id, changes.is_redefined, changes.values_from_at, changes.to_at,
        changes.decluster_hours, changes.position_hours
)

select
    definition_id,
    market_id,
    cast(case when is_few then from_at else {{ first_instant() }} end as timestamp) as from_at,
    cast(case when is_few then to_at else {{ last_instant() }} end as timestamp) as to_at,
    cast(case when is_few then values_from_at else {{ first_instant() }} end as timestamp) as values_from_at,
    cast(
        case
            when is_few then least(from_at, values_from_at - {{ hours_as_interval('position_hours') }})
            else {{ first_instant() }}
        end as timestamp
    ) as positions_from_at,
    is_few
from (
    select
        reached.*,
        not is_redefined and bar_count <= {{ bars_compared_singly() }} as is_few
    from reached
) as judged
order by definition_id, market_id
