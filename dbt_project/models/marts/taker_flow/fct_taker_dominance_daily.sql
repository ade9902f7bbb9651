-- One row per market and UTC day on which anything was traded: how one-sided the takers were, against the days before.
select
    market_id,
    venue,
    venue_set,
    bar_date,
    taker_sell_ratio,
    sell_dominance_percentile,
    buy_dominance_percentile,
    window_days,
    window_bars,
    coverage_ratio,
    is_provisional,
    unranked_reason
from {{ ref('int_dominance_daily') }}
order by market_id, bar_date
