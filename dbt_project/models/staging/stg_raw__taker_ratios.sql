-- One row per market and hour: the taker volumes that the venue reports, in its units.
select
    ratios.venue || ':' || ratios.symbol as market_id,
    {{ utc_timestamp('ratios.observed_at') }} as bar_at,
    ratios."date" as bar_date,
    ratios.buy_volume as taker_buy_volume,
    ratios.sell_volume as taker_sell_volume
from {{ raw_relation('takerRatio') }} as ratios
