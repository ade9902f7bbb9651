-- One row per market and day of which a file of trades is stored: what it sums to, whether it can be a market's flow at
-- all, and whether it is whole. Ingestion judges a file by itself (`implausible`); here its prices are held against the
-- klines of the day, or, without klines, against the neighbouring days.
with judged_days as (
    select
        days.*,
        coalesce(
            days.implausible_reason,
            case
                when days.contradicts_klines
                    then {{ quoted("the prices of the trades are far from those of the day's klines") }}
                when not days.has_klines and days_apart.market_id is not null
                    then 'the prices of the trades are far from those of the days beside them'
            end
        ) as reason
    from {{ ref('int_flow_trade_files') }} as days
    left join {{ ref('int_flow_days_apart') }} as days_apart
        on days.market_id = days_apart.market_id
        and days.bar_date = days_apart.bar_date
)

select
    market_id,
    bar_date,
    volume_usd,
    net_usd,
    first_bar_at,
    last_bar_at,
    id_gaps,
    duplicate_rows,
    zero_rows,
    out_of_order_rows,
    cast(quarantined_rows as bigint) as quarantined_rows,
    reason as implausible_reason,
    coalesce(id_gaps = 0, false) and quarantined_rows = 0 and reason is null as is_whole
from judged_days
order by market_id, bar_date
