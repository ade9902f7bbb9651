-- One row per bar of the archive's trades or klines to which no second file of the venue testifies.
{{ config(materialized='ephemeral') }}

select market_id, source, bar_hours, bar_at
from {{ archive_bars() }} as bars
where source = 'klines' and not exists (
    select 1
    from {{ ref('int_flow_bar_pairs') }} as pairs
    where pairs.market_id = bars.market_id and pairs.bar_hours = bars.bar_hours and pairs.bar_at = bars.bar_at
        and pairs.verdict = 'agree'
)
union all
select market_id, source, bar_hours, bar_at
from {{ archive_bars() }} as bars
where source = 'trades' and not exists (
    select 1
    from {{ archive_bars() }} as klines
    where klines.source = 'klines' and klines.market_id = bars.market_id and klines.bar_date = bars.bar_date
)
