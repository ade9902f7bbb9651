-- One row per market and five minutes.
select
    metrics.venue || ':' || metrics.symbol as market_id,
    {{ utc_timestamp('metrics.observed_at') }} as observed_at,
    metrics."date" as trade_date,
    metrics.open_interest,
    metrics.open_interest_value,
    metrics.top_trader_account_long_short_ratio,
    metrics.top_trader_position_long_short_ratio,
    metrics.account_long_short_ratio,
    metrics.taker_buy_sell_ratio
from {{ raw_relation('metrics') }} as metrics
