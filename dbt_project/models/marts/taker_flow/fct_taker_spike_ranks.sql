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

select ranks.*
from {{ ref('int_spike_ranks') }} as ranks
{%- if replaces %}
-- One row per series.
inner join {{ changes }} as changes
    on ranks.definition_id = changes.definition_id
    and ranks.market_id = changes.market_id
    and ranks.bar_at >= changes.from_at
    and ranks.bar_at < changes.to_at
{%- endif %}
order by ranks.definition_id, ranks.market_id, ranks.side, ranks.bar_at
