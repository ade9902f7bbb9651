-- One row per market and UTC day with bars: the close against the day before and against the year's high.
{%- set high_days = 365 %}

with days as (
    select
        market_id,
        bar_date,
        close_price,
        lag(bar_date) over market_days as previous_date,
        lag(close_price) over market_days as previous_close,
        max(high_price) over trailing_days as trailing_high,
        count(*) over trailing_days as trailing_days_found
    from {{ ref('int_bars') }}
    where grain_hours = 24
    window
        market_days as (partition by market_id order by bar_date),
        trailing_days as (
            partition by market_id
            order by cast(bar_date as timestamp)
            range between interval '{{ high_days - 1 }}' day preceding and current row
        )
)

select
    market_id,
    bar_date,
    close_price,
    case
        when previous_date + interval '1' day = bar_date
            then {{ price_change('previous_close', 'close_price') }}
    end as price_change_ratio,
    case
        when trailing_days_found >= 0.95 * {{ high_days }}
            then {{ price_change('trailing_high', 'close_price') }}
    end as distance_from_high_ratio
from days
order by market_id, bar_date
