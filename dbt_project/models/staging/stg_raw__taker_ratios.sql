-- One row per market and hour: the venue's own word on its takers.
with stored_days as (
    select venue, symbol, trade_date
    from {{ ref('stg_raw__receipts') }}
    where dataset = 'takerRatio' and status = 'stored'
)

select
    ratios.venue || ':' || ratios.symbol as market_id,
    {{ utc_timestamp('ratios.observed_at') }} as bar_at,
    ratios."date" as trade_date,
    ratios.buy_volume as taker_buy_base,
    ratios.sell_volume as taker_sell_base
from {{ raw_relation('takerRatio') }} as ratios
where exists (
    select 1
    from stored_days
    where stored_days.venue = ratios.venue
        and stored_days.symbol = ratios.symbol
        and stored_days.trade_date = ratios."date"
)
