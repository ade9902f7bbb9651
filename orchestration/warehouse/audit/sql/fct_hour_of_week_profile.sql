-- One row per market and hour of the week, of the mart or of the complete hours of the two years to the market's last
-- one, with the means and medians of these.
{% from "macros.sql" import distance %}

with hours as (
    select
        *,
        (isodow(bar_at) - 1) * 24 + hour(bar_at) as hour_of_week,
        cast(close_price as double) / cast(nullif(open_price, 0) as double) - 1 as price_return
    from fct_net_taker_volume_hourly
    where coverage_ratio = 1
    qualify bar_at > max(bar_at) over (partition by market_id) - interval '730 days'
),

due as (
    select
        market_id,
        hour_of_week,
        count(*) as hour_count,
        min(bar_at) as first_at,
        max(bar_at) as last_at,
        avg(cast(net_taker_usd as double)) as mean_net_taker_usd,
        median(cast(net_taker_usd as double)) as median_net_taker_usd,
        avg(cast(volume_usd as double)) as mean_volume_usd,
        cast(sum(net_taker_usd) as double) / cast(nullif(sum(volume_usd), 0) as double) as net_taker_ratio,
        avg(case when net_taker_usd > 0 then 1.0e0 else 0.0e0 end) as bought_ratio,
        avg(price_return) as mean_return,
        median(price_return) as median_return
    from hours
    group by market_id, hour_of_week
)

select
    coalesce(mart.market_id, due.market_id) as market_id,
    coalesce(mart.hour_of_week, due.hour_of_week) as hour_of_week,
    mart.weekday,
    mart.hour_of_day,
    mart.hour_count,
    mart.mean_net_taker_usd,
    mart.median_net_taker_usd,
    mart.mean_volume_usd,
    mart.net_taker_ratio,
    mart.bought_ratio,
    mart.mean_return,
    mart.median_return,
    mart.market_id is not null as is_in_profile,
    due.market_id is not null as has_hours,
    mart.market_id is null or coalesce(
        mart.hour_of_week = (mart.weekday - 1) * 24 + mart.hour_of_day
        and mart.weekday between 1 and 7
        -- The first of January 2024 was a Monday.
        and mart.weekday_name = dayname(date '2024-01-01' + cast(mart.weekday - 1 as integer))
        and mart.hour_of_day between 0 and 23,
        false
    ) as is_hour_right,
    mart.market_id is null or due.market_id is null or coalesce(
        mart.hour_count = due.hour_count and mart.first_at = due.first_at and mart.last_at = due.last_at, false
    ) as is_count_right,
    {% for column in ["mean_net_taker_usd", "median_net_taker_usd", "mean_volume_usd"] %}
    case
        when mart.market_id is null or due.market_id is null then 0.0e0
        else {{
            distance(
                "cast(mart." ~ column ~ " as double) / (1 + due.mean_volume_usd)",
                "due." ~ column ~ " / (1 + due.mean_volume_usd)"
            )
        }}
    end as {{ column }}_error,
    {% endfor %}
    {% for column in ["net_taker_ratio", "bought_ratio", "mean_return", "median_return"] %}
    case
        when mart.market_id is null or due.market_id is null then 0.0e0
        else {{ distance("mart." ~ column, "due." ~ column) }}
    end as {{ column }}_error{{ "," if not loop.last }}
    {% endfor %}
from fct_hour_of_week_profile as mart
full join due on mart.market_id = due.market_id and mart.hour_of_week = due.hour_of_week
