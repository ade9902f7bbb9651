-- One row per market and UTC day of the venue's metrics: the day's last observation of open interest, NULL when
-- there is none, and what contradicts it.
--
-- `conflict`: the observation is contradicted, with the figures of both. By the market's bars: its value divided by its
-- amount is no price of the market. By its neighbours of five minutes, before and after: it stands alone between them,
-- or its day does, by more than was traded around it. By the days around it (`int_open_interest_votes`). What no
-- witness contradicts stays. `is_of_whole_day`: what contradicts it is of all observations of the day.
with days as (
    select * from {{ ref('int_open_interest_days') }}
),

bars as (
    select * from {{ witness_bars('days') }} as witnesses
),

-- The shortest complete bar that holds the five minutes to the observation.
price_witnesses as (
    select
        days.market_id,
        days.bar_date,
        {{ of_shortest_bar(['low_price', 'high_price', 'volume_base']) }}
    from days
    {{ join_witness_bars('bars', 'days', "days.observed_at - interval '1' second") }}
),

-- Observations next to the day's first and last, where they are no more than an hour away.
days_with_neighbours as (
    select
        days.*,
        case
            when observed_at <= former_observed_at + interval '1' hour then former_open_interest_base
        end as former_base,
        case
            when lead(first_observed_at) over market_days <= observed_at + interval '1' hour
                then lead(first_open_interest_base) over market_days
        end as next_base,
        case
            when first_observed_at <= lag(observed_at) over market_days + interval '1' hour
                then lag(open_interest_base) over market_days
        end as former_day_base
    from days
    window market_days as (partition by market_id order by bar_date)
),

judged_days as (
    select
        days.*,
        {{ is_price_elsewhere('cast(days.open_interest_usd as double) / cast(days.open_interest_base as double)',
            'price_witnesses', traded_price_factor()) }} as is_price_elsewhere,
        {%- for name, before, own in [
            ('alone', 'former_base', 'open_interest_base'), ('day_alone', 'former_day_base', 'first_open_interest_base')
        ] %}
        {{ stands_alone(
            'days.' ~ own, 'days.' ~ before, 'days.open_interest_base', 'days.next_base', 'price_witnesses.volume_base'
        ) }}
            as is_{{ name }},
        {%- endfor %}
        price_witnesses.low_price,
        price_witnesses.high_price,
        votes.is_outvoted,
        votes.other_date,
        votes.other_base,
        votes.traded_base
    from days_with_neighbours as days
    left join price_witnesses
        on days.market_id = price_witnesses.market_id and days.bar_date = price_witnesses.bar_date
    left join {{ ref('int_open_interest_votes') }} as votes
        on days.market_id = votes.market_id and days.bar_date = votes.bar_date
)

select
    cast(market_id as string) as market_id,
    cast(bar_date as date) as bar_date,
    cast(open_interest_base as decimal(38,8)) as open_interest_base,
    cast(open_interest_usd as decimal(38,8)) as open_interest_usd,
    cast(observed_at as timestamp) as observed_at,
    cast(observation_count as bigint) as observation_count,
    'open interest of ' || {{ figure_text('open_interest_base') }} || ' base' || case
        when is_price_elsewhere
            then {{ worth_elsewhere_text() }}
        when is_alone
            then {{ stands_between_text('former_base', 'next_base') }}
        when is_day_alone
            then ' is of a day that stands between ' || {{ figure_text('former_day_base') }} || ' before and '
                || {{ figure_text('next_base') }} || ' after it'
        when is_outvoted
            then ' differs from ' || {{ figure_text('other_base') }} || ' of ' || cast(other_date as string)
                || ' by more than the ' || {{ figure_text('traded_base') }} || ' base traded in between'
    end as conflict,
    coalesce(is_day_alone, false) or coalesce(is_outvoted, false) as is_of_whole_day
from judged_days
order by market_id, bar_date
