-- One row per market and UTC day of the venue's metrics: the day's last observation, NULL when there is none. Only days
-- that are new or corrected since the last build are read. A zero is a hole in the venue's file, not an empty market.
-- Long, since reading and the comparison with other data of the market are about the same observations.
--
-- `conflict`: the observation is contradicted, with the figures of both. By the market's bars: its value divided by its
-- amount is no price of the market. By its neighbours of five minutes, before and after: it stands alone between them,
-- or its day does, by more than was traded around it. By the days around it: open interest changes by no more than is
-- traded, and more than half of the days within three of it differ by more. What no witness contradicts stays.
{%- set kept = [
    'open_interest_base', 'open_interest_usd', 'observed_at', 'first_observed_at', 'first_open_interest_base',
    'former_observed_at', 'former_open_interest_base',
] %}
{%- set days_around = 3 %}

with current_receipts as (
    select market_id, trade_date, source_state
    from {{ ref('int_metrics_receipts') }}
),

unchanged_days as (
    select
        built.market_id,
        built.trade_date,
        built.source_state,
        {%- for column in kept %}
        built.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ built_open_interest() }} as built
    inner join current_receipts
        on built.market_id = current_receipts.market_id
        and built.trade_date = current_receipts.trade_date
        and built.source_state = current_receipts.source_state
),

observations as (
    select
        metrics.market_id,
        metrics.trade_date,
        case when metrics.open_interest > 0 and metrics.open_interest_value > 0 then metrics.observed_at end
            as observed_at,
        metrics.open_interest,
        metrics.open_interest_value
    from {{ ref('stg_raw__metrics') }} as metrics
    inner join current_receipts
        on metrics.market_id = current_receipts.market_id and metrics.trade_date = current_receipts.trade_date
    where {{ is_stale_open_interest_day('metrics.trade_date') }}
        and not exists (
            select 1
            from unchanged_days
            where unchanged_days.market_id = metrics.market_id and unchanged_days.trade_date = metrics.trade_date
        )
),

observed_days as (
    select
        market_id,
        trade_date,
        max(observed_at) as observed_at,
        min(observed_at) as first_observed_at,
        {{ value_at_last_but_one('observed_at', 'observed_at') }} as former_observed_at,
        {%- for column in ['open_interest', 'open_interest_value'] %}
        {{ value_at_last(column, 'observed_at') }} as {{ column }},
        {{ value_at_first(column, 'observed_at') }} as first_{{ column }},
        {{ value_at_last_but_one(column, 'observed_at') }} as former_{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from observations
    group by market_id, trade_date
),

-- Linear: base and quote. Inverse: contracts and base.
read_days as (
    select
        observed_days.market_id,
        observed_days.trade_date,
        current_receipts.source_state,
        {%- for which in ['', 'first_', 'former_'] %}
        cast(
            case markets.contract_type
                when 'inverse' then observed_days.{{ which }}open_interest_value
                else observed_days.{{ which }}open_interest
            end * coalesce(markets.base_multiplier, 1) as decimal(38,8)
        ) as {{ which }}open_interest_base,
        {%- endfor %}
        case markets.contract_type
            when 'inverse'
                then cast(
                    cast(observed_days.open_interest as decimal(38,8)) * cast(markets.contract_size as decimal(38,8))
                        as decimal(38,8)
                )
            else cast(observed_days.open_interest_value as decimal(38,8))
        end as open_interest_usd,
        observed_days.observed_at,
        observed_days.first_observed_at,
        observed_days.former_observed_at
    from observed_days
    inner join current_receipts
        on observed_days.market_id = current_receipts.market_id
        and observed_days.trade_date = current_receipts.trade_date
    inner join {{ ref('int_markets') }} as markets on observed_days.market_id = markets.market_id
),

days as (
    {%- for days in ['unchanged_days', 'read_days'] %}
    select
        market_id,
        trade_date,
        source_state,
        {%- for column in kept %}
        {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ days }}{{ ' union all' if not loop.last }}
    {%- endfor %}
),

bars as (
    select * from {{ witness_bars() }} as witnesses
),

-- The shortest complete bar that holds the five minutes to the observation.
price_witnesses as (
    select
        days.market_id,
        days.trade_date,
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
    window market_days as (partition by market_id order by trade_date)
),

-- What was traded until the end of each day, and how many days that counts: days without a complete bar are missing.
traded_until as (
    select
        market_id,
        cast(bar_at as date) as trade_date,
        sum(cast(volume_base as double)) over until_day as volume_base,
        count(*) over until_day as bar_count
    from {{ ref('int_market_bars') }}
    where grain_hours = 24 and coverage_ratio = 1 and is_running is not true
    window until_day as (partition by market_id order by bar_at rows between unbounded preceding and current row)
),

-- Each two days of a market within so many, and what was traded from the begin of the former to the end of the latter.
pairs as (
    select
        former_days.market_id,
        former_days.trade_date as former_date,
        later_days.trade_date as later_date,
        {{ is_open_interest_jump('later_days.open_interest_base', 'former_days.open_interest_base') }}
        and abs(cast(later_days.open_interest_base - former_days.open_interest_base as double))
        > later_traded.volume_base - coalesce(former_traded.volume_base, 0) as is_contradiction,
        cast(former_days.open_interest_base as double) as former_base,
        cast(later_days.open_interest_base as double) as later_base,
        later_traded.volume_base - coalesce(former_traded.volume_base, 0) as traded_base
    from days as former_days
    inner join days as later_days
        on former_days.market_id = later_days.market_id
        and later_days.trade_date > former_days.trade_date
        and later_days.trade_date <= former_days.trade_date + interval '{{ days_around }}' day
    inner join traded_until as later_traded
        on later_days.market_id = later_traded.market_id and later_days.trade_date = later_traded.trade_date
    left join traded_until as former_traded
        on former_days.market_id = former_traded.market_id
        and former_days.trade_date - interval '1' day = former_traded.trade_date
    where former_days.open_interest_base is not null
        and later_days.open_interest_base is not null
        -- Every day between has a complete bar.
        and (
            later_traded.bar_count - coalesce(former_traded.bar_count, 0)
            = later_days.trade_date - former_days.trade_date + 1
        )
),

sides_of_pairs as (
    select
        market_id,
        former_date as trade_date,
        is_contradiction,
        case when is_contradiction then later_base end as other_base,
        case when is_contradiction then later_date end as other_date,
        case when is_contradiction then traded_base end as traded_base
    from pairs
    union all
    select
        market_id,
        later_date as trade_date,
        is_contradiction,
        case when is_contradiction then former_base end as other_base,
        case when is_contradiction then former_date end as other_date,
        case when is_contradiction then traded_base end as traded_base
    from pairs
),

votes as (
    select
        market_id,
        trade_date,
        2 * sum(case when is_contradiction then 1 else 0 end) > count(*) as is_outvoted,
        min(other_date) as other_date,
        {{ value_at_first('other_base', 'other_date') }} as other_base,
        {{ value_at_first('traded_base', 'other_date') }} as traded_base
    from sides_of_pairs
    group by market_id, trade_date
),

judged_days as (
    select
        days.*,
        {{ is_price_elsewhere('cast(days.open_interest_usd as double) / cast(days.open_interest_base as double)',
            'price_witnesses', traded_price_factor()) }} as is_price_elsewhere,
        {%- for name, before, own in [
            ('alone', 'former_base', 'open_interest_base'), ('day_alone', 'former_day_base', 'first_open_interest_base')
        ] %}
        {{ is_open_interest_jump('days.' ~ own, 'days.' ~ before) }}
        and {{ is_open_interest_jump('days.open_interest_base', 'days.next_base') }}
        and (days.{{ own }} > days.{{ before }}) = (days.open_interest_base > days.next_base)
        and abs(cast(days.{{ own }} - days.{{ before }} as double)) > coalesce(price_witnesses.volume_base, 0)
        and abs(cast(days.open_interest_base - days.next_base as double)) > coalesce(price_witnesses.volume_base, 0)
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
        on days.market_id = price_witnesses.market_id and days.trade_date = price_witnesses.trade_date
    left join votes on days.market_id = votes.market_id and days.trade_date = votes.trade_date
)

select
    cast(market_id as varchar) as market_id,
    cast(trade_date as date) as trade_date,
    cast(source_state as varchar) as source_state,
    cast(open_interest_base as decimal(38,8)) as open_interest_base,
    cast(open_interest_usd as decimal(38,8)) as open_interest_usd,
    cast(observed_at as timestamp) as observed_at,
    cast(first_observed_at as timestamp) as first_observed_at,
    cast(first_open_interest_base as decimal(38,8)) as first_open_interest_base,
    cast(former_observed_at as timestamp) as former_observed_at,
    cast(former_open_interest_base as decimal(38,8)) as former_open_interest_base,
    'open interest of ' || {{ figure_text('open_interest_base') }} || ' base' || case
        when is_price_elsewhere
            then ' is worth ' || {{ figure_text('open_interest_usd') }} || ' USD, '
                || {{ figure_text('cast(open_interest_usd as double) / cast(open_interest_base as double)') }}
                || ' a unit, and the market traded at ' || {{ figure_text('low_price') }} || ' to '
                || {{ figure_text('high_price') }}
        when is_alone
            then ' stands between ' || {{ figure_text('former_base') }} || ' before and '
                || {{ figure_text('next_base') }} || ' after it'
        when is_day_alone
            then ' is of a day that stands between ' || {{ figure_text('former_day_base') }} || ' before and '
                || {{ figure_text('next_base') }} || ' after it'
        when is_outvoted
            then ' differs from ' || {{ figure_text('other_base') }} || ' of ' || cast(other_date as varchar)
                || ' by more than the ' || {{ figure_text('traded_base') }} || ' base traded in between'
    end as conflict
from judged_days
order by market_id, trade_date
