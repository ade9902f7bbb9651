-- One row per market and day whose metrics are stored, and the state of its receipt: what the day's hours
-- depend on.
select
    receipts.market_id,
    receipts.period,
    receipts.bar_date,
    md5(
        coalesce(receipts.stored_sha256, '') || ' ' || markets.contract_type || ' '
            || cast(markets.contract_size as string)
        || ' ' || cast(coalesce(markets.base_multiplier, 1) as string) || ' {{ metrics_logic_version() }}'
    ) as source_state
from {{ ref('stg_raw__receipts') }} as receipts
inner join {{ ref('int_markets') }} as markets on receipts.market_id = markets.market_id
where receipts.dataset = 'metrics' and receipts.status = 'stored'
order by receipts.market_id, receipts.bar_date
