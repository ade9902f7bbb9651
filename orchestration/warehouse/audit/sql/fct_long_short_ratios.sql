-- One row per hour of the venue's ratios, and whether its hour has open interest: both are of one file.
{% from "macros.sql" import distance %}

select
    coalesce(mart.market_id, hours.market_id) as market_id,
    coalesce(mart.bar_at, hours.bar_at) as bar_at,
    mart.venue,
    mart.observed_at,
    mart.top_trader_account_long_short_ratio,
    mart.top_trader_position_long_short_ratio,
    mart.account_long_short_ratio,
    mart.taker_buy_sell_ratio,
    mart.observation_count,
    mart.coverage_ratio,
    mart.market_id is not null and hours.market_id is not null as is_of_open_interest,
    mart.market_id is null
    or coalesce(mart.venue = substring(mart.market_id, 1, position(':' in mart.market_id) - 1), false)
        as is_venue_of_market,
    coalesce(mart.bar_at = date_trunc('hour', mart.bar_at), true) as is_whole_hour,
    coalesce(mart.observed_at >= mart.bar_at and mart.observed_at < mart.bar_at + interval '1 hour', true)
        as is_observed_in_time,
    mart.market_id is null or coalesce(
        (mart.observed_at is null) = (mart.observation_count = 0)
        and (mart.observed_at is null) = (
            coalesce(
                mart.top_trader_account_long_short_ratio, mart.top_trader_position_long_short_ratio,
                mart.account_long_short_ratio
            ) is null
        ),
        false
    ) as is_observation_counted,
    {{
        distance(
            "mart.coverage_ratio",
            "case when mart.market_id is not null then least(mart.observation_count, 12) / 12.0e0 end"
        )
    }} as coverage_error
from fct_long_short_ratios as mart
full join fct_open_interest_hourly as hours
    on mart.market_id = hours.market_id and mart.bar_at = hours.bar_at
