-- One row per market and day whose open interest is compared with that of other days within three of it, and whether
-- more than half of these contradict it: open interest changes by no more than is traded.
{{ config(materialized='ephemeral') }}
{%- set traded_base
    = 'cast(later_traded.volume_base - former_traded.volume_base + former_traded.day_base as double)' %}

with days as (
    select
        market_id,
        bar_date,
        open_interest_base
    from {{ ref('int_open_interest_days') }}
    where open_interest_base is not null
),

-- What was traded until the end of each day with a complete bar, and how many such days there were. Exact, so that what
-- was traded between two days depends on nothing but the bars between them.
traded_until as (
    select
        market_id,
        cast(bar_at as date) as bar_date,
        cast(volume_base as decimal(36,8)) as day_base,
        cast(sum(volume_base) over until_day as decimal(36,8)) as volume_base,
        count(*) over until_day as bar_count
    from {{ ref('int_market_bars') }}
    where grain_hours = 24 and coverage_ratio = 1 and is_running is not true
    window until_day as (partition by market_id order by bar_at rows between unbounded preceding and current row)
),

-- Each two days of a market within three, and what was traded from the begin of the former to the end of the latter.
pairs as (
    select
        former_days.market_id,
        former_days.bar_date as former_date,
        later_days.bar_date as later_date,
        {{ is_open_interest_jump('later_days.open_interest_base', 'former_days.open_interest_base') }}
        and abs(cast(later_days.open_interest_base - former_days.open_interest_base as double))
        > {{ traded_base }} as is_contradiction,
        cast(former_days.open_interest_base as double) as former_base,
        cast(later_days.open_interest_base as double) as later_base,
        {{ traded_base }} as traded_base
    from days as former_days
    inner join days as later_days
        on former_days.market_id = later_days.market_id
        and later_days.bar_date > former_days.bar_date
        and later_days.bar_date <= former_days.bar_date + interval '3' day
    inner join traded_until as later_traded
        on later_days.market_id = later_traded.market_id and later_days.bar_date = later_traded.bar_date
    inner join traded_until as former_traded
        on former_days.market_id = former_traded.market_id and former_days.bar_date = former_traded.bar_date
    -- Every day between has a complete bar.
    where later_traded.bar_count - former_traded.bar_count
        = {{ days_between('former_days.bar_date', 'later_days.bar_date') }}
),

sides_of_pairs as (
    {%- for own, other in [('former', 'later'), ('later', 'former')] %}
    select
        market_id,
        {{ own }}_date as bar_date,
        is_contradiction,
        case when is_contradiction then {{ other }}_base end as other_base,
        case when is_contradiction then {{ other }}_date end as other_date,
        case when is_contradiction then traded_base end as traded_base
    from pairs{{ ' union all' if not loop.last }}
    {%- endfor %}
)

select
    market_id,
    bar_date,
    2 * sum(case when is_contradiction then 1 else 0 end) > count(*) as is_outvoted,
    min(other_date) as other_date,
    {{ value_at_first('other_base', 'other_date') }} as other_base,
    {{ value_at_first('traded_base', 'other_date') }} as traded_base
from sides_of_pairs
group by market_id, bar_date
