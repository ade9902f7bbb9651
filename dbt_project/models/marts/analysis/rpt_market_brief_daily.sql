-- One row per market and UTC day: what the news would say of it, as columns and as a sentence that names definition, window and source.

with days as (
    select
        market_id,
        trade_date as brief_date,
        -- A day in balance is ranked among the bullish ones.
        coalesce({{ side_of("'usd'", 'net_taker_usd') }}, 'bullish') as side,
        net_taker_usd,
        taker_sell_ratio,
        flow_source,
        flow_quality,
        coverage_ratio,
        is_provisional,
        case when venue_set <> venue then ' over ' || replace(venue_set, ',', ' and ') else '' end as venues_text
    from {{ ref('fct_net_taker_volume_daily') }}
    -- Nothing is said of a day before its end.
    where is_running is not true
),

headline_definition as (
    select max(window_days) as window_days
    from {{ ref('dim_spike_definitions') }}
    where definition_id = 'daily_usd'
),

-- Of a definition with several bars a day, the day's most extreme one.
day_ranks as (
    select
        market_id,
        cast(bar_at as date) as brief_date,
        side,
        {%- for definition in brief_definitions() %}
        min(case when definition_id = '{{ definition }}' then spike_rank end) as "{{ definition }}_rank",
        {%- endfor %}
        min(case when definition_id = 'daily_usd' then event_rank end) as daily_usd_event_rank,
        max(case when definition_id = 'daily_usd' then value end) as daily_usd_value,
        max(case when definition_id = 'daily_usd' then window_bars end) as daily_usd_window_bars,
        max(case when definition_id = 'daily_usd' then coverage_ratio end) as daily_usd_window_coverage,
        max(case when definition_id = 'daily_usd' then set_changed_at end) as daily_usd_set_changed_at
    from {{ ref('fct_taker_spike_ranks') }}
    group by market_id, cast(bar_at as date), side
),

events as (
    select market_id, side, bar_at, value
    from {{ ref('fct_taker_spike_ranks') }}
    where definition_id = 'daily_usd' and is_event
),

larger as (
    select
        ranked.market_id,
        ranked.brief_date,
        ranked.side,
        {{ bar_text("'1d'", "'usd'", 'events.bar_at', 'events.value') }} as event_text,
        row_number() over (
            partition by ranked.market_id, ranked.brief_date, ranked.side
            order by {{ extremeness('events.side', "'usd'", 'events.value') }}, events.bar_at
        ) as place
    from day_ranks as ranked
    cross join headline_definition
    inner join days
        on ranked.market_id = days.market_id and ranked.brief_date = days.brief_date and ranked.side = days.side
    inner join events
        on ranked.market_id = events.market_id
        and ranked.side = events.side
        and events.bar_at <= cast(ranked.brief_date as timestamp)
        and events.bar_at > cast(ranked.brief_date as timestamp) - {{ hours_as_interval('headline_definition.window_days * 24') }}
        and {{ extremeness('events.side', "'usd'", 'events.value') }}
            < {{ extremeness('events.side', "'usd'", 'ranked.daily_usd_value') }}
    where ranked."daily_usd_rank" is not null
),

larger_listed as (
    select
        market_id,
        brief_date,
        side,
        {{ listed('event_text', 'place') }} as larger_events
    from larger
    group by market_id, brief_date, side
),

gathered as (
    select
        days.market_id,
        days.brief_date,
        days.side,
        days.net_taker_usd,
        days.taker_sell_ratio,
        dominance.sell_dominance_percentile,
        {%- for definition in brief_definitions() %}
        day_ranks."{{ definition }}_rank",
        {%- endfor %}
        day_ranks.daily_usd_event_rank,
        day_ranks.daily_usd_window_bars,
        day_ranks.daily_usd_window_coverage,
        day_ranks.daily_usd_set_changed_at,
        headline_definition.window_days,
        larger_listed.larger_events,
        closes.close_price,
        cast(closes.price_change_ratio as double) as price_change_ratio,
        cast(closes.distance_from_high_ratio as double) as distance_from_high_ratio,
        liquidations.long_usd as long_liquidations_usd,
        liquidations.short_usd as short_liquidations_usd,
        coalesce(liquidations.coverage_ratio, 0) as liquidations_coverage_ratio,
        all_liquidations.long_usd as all_long_liquidations_usd,
        all_liquidations.short_usd as all_short_liquidations_usd,
        coalesce(all_liquidations.coverage_ratio, 0) as all_liquidations_coverage_ratio,
        all_liquidations.venue_set as all_liquidations_venue_set,
        all_liquidations.subscribed_symbol_count as all_liquidations_subscribed_symbol_count,
        open_interest.open_interest_base,
        open_interest.open_interest_usd,
        case when funding.covered_hours >= 24 then cast(funding.funding_rate as double) end as funding_rate,
        days.flow_source,
        days.flow_quality,
        reconciled.quarantined_rows,
        days.coverage_ratio,
        days.is_provisional,
        coalesce(days.venues_text, '') as venues_text,
        markets.is_simulated
    from days
    cross join headline_definition
    inner join {{ ref('int_closes_daily') }} as closes
        on days.market_id = closes.market_id and days.brief_date = closes.trade_date
    inner join {{ ref('dim_markets') }} as markets on days.market_id = markets.market_id
    left join {{ ref('fct_taker_dominance_daily') }} as dominance
        on days.market_id = dominance.market_id and days.brief_date = dominance.trade_date
    left join day_ranks
        on days.market_id = day_ranks.market_id and days.brief_date = day_ranks.brief_date and days.side = day_ranks.side
    left join larger_listed
        on days.market_id = larger_listed.market_id and days.brief_date = larger_listed.brief_date
    left join {{ ref('fct_liquidations_daily') }} as liquidations
        on days.market_id = liquidations.market_id and days.brief_date = liquidations.trade_date
    left join {{ ref('fct_liquidations_daily') }} as all_liquidations
        on all_liquidations.market_id = case when markets.is_simulated then 'simulated_all:ALL' else 'all:ALL' end
        and days.brief_date = all_liquidations.trade_date
    left join {{ ref('int_flow_days') }} as reconciled
        on days.market_id = reconciled.market_id and days.brief_date = reconciled.bar_date
    left join {{ ref('int_open_interest_daily') }} as open_interest
        on days.market_id = open_interest.market_id and days.brief_date = open_interest.trade_date
    left join {{ ref('int_funding_daily') }} as funding
        on days.market_id = funding.market_id and days.brief_date = funding.trade_date
),

worded as (
    select
        gathered.*,
        case when is_simulated then 'SIMULATED: ' else '' end as warning_text,
        case
            when net_taker_usd < 0 then 'sold ' || {{ value_text("'usd'", '-net_taker_usd') }} || ' more than they bought'
            when net_taker_usd > 0 then 'bought ' || {{ value_text("'usd'", 'net_taker_usd') }} || ' more than they sold'
            else 'bought as much as they sold'
        end as flow_text,
        case
            when "daily_usd_rank" is not null
                then 'rank ' || cast("daily_usd_rank" as varchar) || ' of ' || cast(daily_usd_window_bars as varchar) || ' in the '
                    || cast(window_days as varchar) || ' days to it under daily_usd'
            when daily_usd_window_coverage < 0.95
                then 'not ranked under daily_usd, since ' || {{ coverage_text('daily_usd_window_coverage') }} || ' of the '
                    || cast(window_days as varchar) || ' days to it are covered'
            when daily_usd_set_changed_at > cast(brief_date as timestamp) - {{ hours_as_interval('window_days * 24') }}
                then 'not ranked under daily_usd, since the markets that are summed changed in the '
                    || cast(window_days as varchar) || ' days to it'
            else 'not ranked under daily_usd, since too little of the day is covered'
        end as rank_text,
        'from ' || flow_source || case when flow_source = 'mixed' then ' sources' else '' end || case when is_provisional then ', provisional' else '' end
            || case when coverage_ratio < 1 then ' covering ' || {{ coverage_text('coverage_ratio') }} || ' of the day' else '' end
            || case
                when flow_quality = 'trades_implausible' then ' (the trades published are implausible and not used)'
                when flow_quality = 'rows_quarantined' and quarantined_rows = 1 then ' (1 row of the venue''s files set aside)'
                when flow_quality = 'rows_quarantined' and quarantined_rows > 1
                    then ' (' || cast(quarantined_rows as varchar) || ' rows of the venue''s files set aside)'
                when flow_quality = 'rows_quarantined' then ' (some rows of the venues'' files set aside)'
                when flow_quality = 'replaced_source' then ' (a faulty source replaced by another)'
                else ''
            end as source_text,
        coalesce('price ' || {{ change_text('price_change_ratio') }}, 'price change unknown') as price_text,
        case
            when liquidations_coverage_ratio > 0
                then 'liquidated at least ' || {{ value_text("'usd'", 'long_liquidations_usd') }} || ' long and '
                    || {{ value_text("'usd'", 'short_liquidations_usd') }} || ' short'
                    || case
                        when liquidations_coverage_ratio < 1
                            then ' with ' || {{ coverage_text('liquidations_coverage_ratio') }} || ' of the day covered'
                        else ''
                    end
        end as liquidations_text,
        case
            when all_liquidations_coverage_ratio > 0
                then 'at least ' || {{ value_text("'usd'", 'all_long_liquidations_usd') }} || ' long and '
                    || {{ value_text("'usd'", 'all_short_liquidations_usd') }} || ' short on '
                    || {{ enumeration_text('all_liquidations_venue_set') }} || ', '
                    || {{ coverage_text('all_liquidations_coverage_ratio') }} || ' of the day heard'
        end as all_liquidations_text
    from gathered
)

select
    market_id,
    brief_date,
    side,
    net_taker_usd,
    taker_sell_ratio,
    sell_dominance_percentile,
    {%- for definition in brief_definitions() %}
    "{{ definition }}_rank",
    {%- if loop.first %}
    daily_usd_event_rank,
    {%- endif %}
    {%- endfor %}
    larger_events,
    close_price,
    price_change_ratio,
    distance_from_high_ratio,
    long_liquidations_usd,
    short_liquidations_usd,
    liquidations_coverage_ratio,
    all_long_liquidations_usd,
    all_short_liquidations_usd,
    all_liquidations_coverage_ratio,
    all_liquidations_venue_set,
    all_liquidations_subscribed_symbol_count,
    open_interest_base as open_interest,
    open_interest_usd,
    funding_rate,
    flow_source,
    coverage_ratio,
    is_simulated,
    warning_text || market_id || venues_text || ' on ' || cast(brief_date as varchar) || ': takers ' || flow_text || ' (net taker volume of the UTC day in USD, '
        || source_text || '), ' || rank_text || '; ' || price_text || '; '
        || coalesce(
            liquidations_text || case
                when all_liquidations_subscribed_symbol_count is null then '; all markets '
                else '; of the symbols heard '
            end || all_liquidations_text,
            liquidations_text,
            case
                when all_liquidations_subscribed_symbol_count is null then 'liquidated '
                else 'liquidated of the symbols heard '
            end || all_liquidations_text,
            'liquidations unknown'
        ) || '.' as headline
from worded
order by market_id, brief_date
