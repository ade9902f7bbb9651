-- One row per bar of the archive's trades and klines, in the numbers by which they are judged. Days of the build window
-- are replaced, as in `int_flow_bars`.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {'changes': 'int_build_window', 'keys': ['market_id', 'source', 'bar_date'], 'is_all': true}},
) }}
-- depends_on: {{ ref('int_build_window') }}
{%- set is_of_window -%}
    (market_id, source, bar_date) in (select market_id, source, bar_date from {{ ref('int_build_window') }})
{%- endset %}

select bars.*
from {{ archive_bars_of(ref('int_flow_bars'), is_of_window if replaces_changes() else 'true') }} as bars
