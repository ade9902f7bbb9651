-- One row per market, dataset, interval and day that bars may be built from, and the state of its receipt.
with receipts as (
    {%- set columns = [
        'dataset', 'market_id', 'kline_interval', 'bar_date', 'status', 'row_count', 'id_gaps', 'duplicate_rows',
        'zero_rows',
        'out_of_order_rows', 'stored_sha256',
    ] | join(', ') %}
    select {{ columns }}
    from {{ ref('int_trades_receipts') }}
    union all
    select {{ columns }}
    from {{ ref('stg_raw__receipts') }}
    where dataset in ('restTrades', 'liveTrades')
        or (dataset = 'restKlines' and kline_interval = '1h')
        or (
            dataset = 'klines'
            and kline_interval in ({{ text_list(kline_intervals()) }})
        )
)

select
    receipts.dataset,
    case receipts.dataset
        when 'klines' then 'klines'
        when 'restKlines' then 'rest_klines'
        when 'restTrades' then 'rest_trades'
        when 'liveTrades' then 'live_trades'
        else 'trades'
    end as source,
    receipts.market_id,
    receipts.kline_interval,
    receipts.bar_date,
    receipts.status,
    receipts.row_count,
    receipts.id_gaps,
    receipts.duplicate_rows,
    receipts.zero_rows,
    receipts.out_of_order_rows,
    md5(
        receipts.status || ' ' || coalesce(receipts.stored_sha256, '') || ' '
        || markets.contract_type || ' ' || cast(markets.contract_size as string) || ' '
        || cast(coalesce(markets.base_multiplier, 1) as string) || ' '
        || coalesce(cast(markets.listed_at as string), '') || ' '
        || coalesce(cast(markets.delivered_at as string), '')
        || ' {{ flow_logic_version() }}'
    ) as build_state
from receipts
inner join {{ ref('int_markets') }} as markets on receipts.market_id = markets.market_id
-- Without a contract's size nothing is valued: such a day is no day without trades. Of a day after delivery nothing is
-- used, and of one before the listing no bars of the venue.
where markets.contract_size is not null
    and (markets.delivered_at is null or cast(receipts.bar_date as timestamp) < markets.delivered_at)
    and (
        markets.listed_at is null
        or receipts.dataset not in ('klines', 'restKlines')
        or cast(receipts.bar_date as timestamp) + interval '1' day > markets.listed_at
    )
order by receipts.market_id, source, receipts.kline_interval, bar_date
