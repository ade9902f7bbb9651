-- The note for the next build: the receipts that the bars now standing were built from. It exists only after the bars
-- do: a build that dies in between leaves the old note, and its window is built again, whatever the receipts are then.
-- depends_on: {{ ref('int_flow_bars') }}
-- depends_on: {{ ref('int_archive_bars') }}
-- depends_on: {{ ref('fct_net_taker_volume_minute') }}
select
    dataset,
    source,
    market_id,
    kline_interval,
    bar_date,
    build_state,
    cast('{{ invocation_id }}' as string) as build_id
from {{ ref('int_flow_receipts') }}
order by market_id, source, kline_interval, bar_date
