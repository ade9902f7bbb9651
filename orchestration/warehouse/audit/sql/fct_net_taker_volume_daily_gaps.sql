-- One row per gap in the days of a market, from its first to its last day in the mart or in a receipt with rows. A day
-- is explained by a receipt that proves that the venue published nothing, and lost by us when a receipt holds rows of
-- it. A day without a receipt was not requested, or its file was unusable: a choice or the venue's fault, and no loss.
with judged_days as (
    select market_id, bar_date
    from fct_flow_reconciliation_daily
    where verdict = 'trades_implausible' or doubtful_bars > 0 or contradicted_bars > 0
),

requested_days as (
    select
        receipts.market_id,
        receipts.bar_date,
        max(receipts.row_count) as row_count,
        max(case when receipts.status = 'stored' then 1 else 0 end) as is_stored,
        max(case when judged_days.market_id is not null then 1 else 0 end) as is_judged
    from int_flow_receipts as receipts
    left join judged_days
        on receipts.market_id = judged_days.market_id and receipts.bar_date = judged_days.bar_date
    group by receipts.market_id, receipts.bar_date
),

due_days as (
    select market_id, bar_date from fct_net_taker_volume_daily
    union
    select market_id, bar_date from requested_days where row_count > 0
),

fences as (
    select market_id, bar_date from fct_net_taker_volume_daily
    union
    select market_id, min(bar_date) - 1 from due_days group by market_id
    union
    select market_id, max(bar_date) + 1 from due_days group by market_id
),

days as (
    select
        market_id,
        bar_date,
        lag(bar_date) over (partition by market_id order by bar_date) as previous_date
    from fences
),

gaps as (
    select market_id, previous_date, bar_date, bar_date - previous_date - 1 as missing_days
    from days
    where bar_date - previous_date > 1
)

select
    gaps.market_id,
    gaps.previous_date as last_day_before,
    gaps.bar_date as first_day_after,
    gaps.missing_days,
    coalesce(sum(case when requested_days.is_stored = 0 then 1 end), 0) as absent_days,
    coalesce(sum(case when requested_days.is_stored = 1 and requested_days.row_count = 0 then 1 end), 0) as empty_days,
    coalesce(sum(case when requested_days.row_count > 0 and requested_days.is_judged = 1 then 1 end), 0)
        as unusable_days,
    coalesce(sum(case when requested_days.row_count > 0 and requested_days.is_judged = 0 then 1 end), 0)
        as lost_days,
    gaps.missing_days - count(requested_days.bar_date) as unrequested_days
from gaps
left join requested_days
    on gaps.market_id = requested_days.market_id
    and requested_days.bar_date > gaps.previous_date
    and requested_days.bar_date < gaps.bar_date
group by gaps.market_id, gaps.previous_date, gaps.bar_date, gaps.missing_days
