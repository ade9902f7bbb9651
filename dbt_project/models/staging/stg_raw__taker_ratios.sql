-- One row per market and hour: the venue's own word on its takers, in units of the base asset.
with stored_days as (
    select distinct venue, symbol, trade_date, coalesce(base_multiplier, 1) as base_multiplier
    from {{ ref('stg_raw__receipts') }}
    where dataset = 'takerRatio' and status = 'stored'
)

select
    ratios.venue || ':' || ratios.symbol as market_id,
    {{ utc_timestamp('ratios.observed_at') }} as bar_at,
    ratios."date" as trade_date,
    cast(ratios.buy_volume * stored_days.base_multiplier as decimal(38,8)) as taker_buy_base,
    cast(ratios.sell_volume * stored_days.base_multiplier as decimal(38,8)) as taker_sell_base
from {{ raw_relation('takerRatio') }} as ratios
inner join stored_days
    on ratios.venue = stored_days.venue
    and ratios.symbol = stored_days.symbol
    and ratios."date" = stored_days.trade_date
