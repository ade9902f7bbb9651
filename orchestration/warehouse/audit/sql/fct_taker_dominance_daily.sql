-- One row per market and day of dominance or of the daily mart: percentiles count whole days of their window.
{% from "macros.sql" import distance, min_coverage %}

with days as (
    select
        coalesce(dominance.market_id, daily.market_id) as market_id,
        coalesce(dominance.bar_date, daily.bar_date) as bar_date,
        dominance.market_id is not null or daily.volume_usd = 0 as is_in_dominance,
        dominance.market_id is not null as has_dominance,
        daily.market_id is not null as is_in_daily,
        dominance.taker_sell_ratio,
        daily.taker_sell_ratio as daily_taker_sell_ratio,
        dominance.sell_dominance_percentile,
        dominance.buy_dominance_percentile,
        dominance.window_days,
        dominance.window_bars,
        dominance.coverage_ratio,
        dominance.unranked_reason,
        daily.coverage_ratio as day_coverage_ratio,
        daily.is_running,
        changes.set_changed_at,
        dominance.market_id is null or daily.market_id is null or coalesce(
            dominance.is_provisional = daily.is_provisional and dominance.venue_set = daily.venue_set, false
        ) as is_state_right,
        dominance.sell_dominance_percentile * (dominance.window_bars - 1) as less_sold_days,
        dominance.buy_dominance_percentile * (dominance.window_bars - 1) as more_sold_days
    from fct_taker_dominance_daily as dominance
    full join fct_net_taker_volume_daily as daily
        on dominance.market_id = daily.market_id
        and dominance.bar_date = daily.bar_date
    -- The daily ranks state when the markets of a sum changed.
    left join (
        select market_id, bar_at, max(set_changed_at) as set_changed_at
        from fct_taker_spike_ranks
        where definition_id = 'daily_usd'
        group by market_id, bar_at
    ) as changes
        on daily.market_id = changes.market_id
        and daily.bar_date = changes.bar_at
)

select
    *,
    window_days - window_bars as days_outside_window,
    abs(less_sold_days - round(less_sold_days)) as less_sold_fraction,
    abs(more_sold_days - round(more_sold_days)) as more_sold_fraction,
    window_bars - 1 - less_sold_days - more_sold_days as tied_days,
    {{ distance("taker_sell_ratio", "daily_taker_sell_ratio") }} as sell_ratio_error,
    not has_dominance or (
        -- NaN is no percentile, and not below 2 in SQL.
        coalesce(sell_dominance_percentile < 2, false) = coalesce(
            coverage_ratio >= {{ min_coverage }}
            and day_coverage_ratio >= {{ min_coverage }}
            and taker_sell_ratio is not null
            and window_bars > 1
            and not is_running
            and (set_changed_at is null or set_changed_at <= bar_date - interval '1 day' * window_days),
            false
        )
        and coalesce(sell_dominance_percentile < 2, false) = coalesce(buy_dominance_percentile < 2, false)
    ) as is_percentile_due,
    -- The only day of its window has no percentile, be it ranked or not.
    not has_dominance
    or case
        when coalesce(sell_dominance_percentile < 2, false) then unranked_reason is null
        else unranked_reason is not null or window_bars <= 1
    end as is_reason_stated
from days
