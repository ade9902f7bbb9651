-- One row per market, dataset, interval and day that bars may be built from, and the state of its receipt.
select
    receipts.dataset,
    case when receipts.dataset = 'klines' then 'klines' else 'trades' end as source,
    receipts.market_id,
    receipts.kline_interval,
    receipts.trade_date as bar_date,
    receipts.status,
    receipts.row_count,
    receipts.id_gaps,
    receipts.duplicate_rows,
    receipts.zero_rows,
    receipts.out_of_order_rows,
    md5(
        receipts.status || ' ' || coalesce(receipts.stored_sha256, '') || ' '
        || markets.contract_type || ' ' || cast(markets.contract_size as varchar) || ' {{ flow_logic_version() }}'
    ) as build_state
from {{ ref('stg_raw__receipts') }} as receipts
inner join {{ ref('dim_markets') }} as markets on receipts.market_id = markets.market_id
where receipts.dataset = '{{ trades_dataset() }}'
    or (
        receipts.dataset = 'klines'
        and receipts.kline_interval in ({% for interval in kline_intervals() %}'{{ interval }}'{{ ', ' if not loop.last }}{% endfor %})
    )
order by receipts.market_id, source, receipts.kline_interval, bar_date
