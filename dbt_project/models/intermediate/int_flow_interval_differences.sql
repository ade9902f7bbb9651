-- One row per market, day and length of klines that is coarser than those the day is taken from, and how far the two
-- differ. Only intervals that hold as much of the day are comparable; of several, the one that disagrees most is shown.
{{ config(materialized='ephemeral') }}

select
    finest.market_id,
    finest.bar_date,
    coarser.bar_hours as coarser_bar_hours,
    coarser.volume_usd as coarser_volume_usd,
    finest.volume_usd - coarser.volume_usd as volume_difference,
    finest.net_usd - coarser.net_usd as net_difference,
    row_number() over (
        partition by finest.market_id, finest.bar_date
        order by abs(finest.volume_usd - coarser.volume_usd) desc, coarser.bar_hours asc
    ) as choice
from {{ ref('int_flow_kline_choices') }} as finest
inner join {{ ref('int_flow_kline_choices') }} as coarser
    on finest.market_id = coarser.market_id
    and finest.bar_date = coarser.bar_date
    and finest.bar_hours < coarser.bar_hours
    and finest.published_coverage_ratio = coarser.published_coverage_ratio
where finest.choice = 1
