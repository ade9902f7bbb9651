-- One row per market and day of archived trades that was requested and answered, of the dataset that the market's
-- trades are read from: the configured one, or the other one for a market whose venue has none of it.
with trades_receipts as (
    select
        receipts.*,
        max(case when dataset = '{{ trades_dataset() }}' and status = 'stored' then 1 else 0 end)
            over (partition by venue, symbol) as has_configured,
        max(case when dataset <> '{{ trades_dataset() }}' and status = 'stored' then 1 else 0 end)
            over (partition by venue, symbol) as has_other
    from {{ ref('stg_raw__receipts') }} as receipts
    where dataset in ('aggTrades', 'trades')
)

select
    dataset,
    market_id,
    kline_interval,
    period,
    bar_date,
    status,
    row_count,
    id_gaps,
    duplicate_rows,
    zero_rows,
    out_of_order_rows,
    stored_sha256
from trades_receipts
where (dataset = '{{ trades_dataset() }}') = (has_configured = 1 or has_other = 0)
order by market_id, bar_date
