-- One row per defect of the datasets that bars are built from, and UTC day that it concerns. A defect that names no day
-- concerns every day of its period.
select
    receipts.market_id,
    receipts.source,
    receipts.bar_date,
    defects.hour_at,
    defects.kind,
    defects.reason,
    defects.row_count,
    defects.source_key,
    defects.used_instead
from {{ ref('stg_raw__defects') }} as defects
inner join {{ ref('int_flow_receipts') }} as receipts
    on defects.dataset = receipts.dataset
    and defects.market_id = receipts.market_id
    and defects.kline_interval = receipts.kline_interval
    and (
        defects.bar_date = receipts.bar_date
        or (
            defects.bar_date is null
            and defects.period in (
                cast(receipts.bar_date as string), substring(cast(receipts.bar_date as string), 1, 7)
            )
        )
    )
order by receipts.market_id, receipts.source, receipts.bar_date, defects.hour_at, defects.source_key
