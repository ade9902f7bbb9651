-- One row per definition, market, side and bar: how extreme the bar is in its trailing window, and whether it is a
-- spike of its own. What `int_rank_changes` names is replaced.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {
        'changes': 'int_rank_changes', 'keys': ['definition_id', 'market_id'], 'instant': 'bar_at',
    }},
) }}
{%- set changes = changes_in('int_rank_changes') %}
{%- set replaces = replaces_changes() %}

select
    definition_id,
    market_id,
    venue,
    venue_set,
    side,
    bar_at,
    value,
    spike_rank,
    percentile,
    robust_z,
    window_bars,
    coverage_ratio,
    is_event,
    event_rank,
    bar_coverage_ratio,
    is_provisional,
    is_running,
    set_changed_at,
    flow_quality
from {{ ref('int_spike_ranks') }} as ranks
{%- if replaces %}
where exists (
    select 1
    from {{ changes }} as changes
    where changes.definition_id = ranks.definition_id
        and changes.market_id = ranks.market_id
        and ranks.bar_at >= changes.from_at
        and ranks.bar_at < changes.to_at
)
{%- endif %}
order by definition_id, market_id, side, bar_at
