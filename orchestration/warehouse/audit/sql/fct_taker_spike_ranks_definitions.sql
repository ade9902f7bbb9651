-- One row per definition and market whose bars allow it. A definition smoothed over more than a day is left out: one
-- complete day does not promise a bar of it.
with definitions as (
    select
        definition_id,
        unit,
        smoothing_bars,
        nullif(venue, '') as venue,
        case grain when '1h' then 1 when '4h' then 4 when '1d' then 24 end as bar_hours
    from spike_definitions
),

full_days as (
    select market_id, cast(bar_at as date) as bar_date
    from fct_net_taker_volume_hourly
    group by market_id, cast(bar_at as date)
    having count(*) = 24
),

-- On a day of trades a quiet hour may have no bar, and the bars that smooth over it have no value.
due as (
    select
        definitions.definition_id,
        daily.market_id,
        count(*) as complete_days,
        max(daily.bar_date) as last_complete_date
    from definitions
    inner join fct_net_taker_volume_daily as daily
        on daily.coverage_ratio = 1
        and not daily.is_running
        and daily.volume_usd > 0
        and daily.source_bar_hours <= definitions.bar_hours
        and definitions.smoothing_bars * definitions.bar_hours <= 24
        and (definitions.venue is null or definitions.venue = daily.venue)
    left join full_days
        on full_days.market_id = daily.market_id
        and full_days.bar_date = daily.bar_date
    where definitions.smoothing_bars = 1
        or daily.flow_source in ('klines', 'rest_klines')
        or full_days.market_id is not null
    group by definitions.definition_id, daily.market_id
),

ranked as (
    select definition_id, market_id, count(*) as ranked_bars, max(cast(bar_at as date)) as last_ranked_date
    from fct_taker_spike_ranks
    group by definition_id, market_id
),

daily_values as (
    select
        definitions.definition_id,
        daily.market_id,
        sum(case when ranks.bar_at is null then 1 else 0 end) as days_without_rank,
        max(coalesce(abs(ranks.value - case definitions.unit
            when 'usd' then daily.net_taker_usd
            when 'base' then daily.net_taker_base
            else cast(daily.taker_sell_ratio as decimal(38, 8))
        end), 0)) as largest_value_difference
    from definitions
    inner join fct_net_taker_volume_daily as daily
        on definitions.bar_hours = 24
        and definitions.smoothing_bars = 1
        and daily.volume_usd > 0
        and (definitions.venue is null or definitions.venue = daily.venue)
    left join fct_taker_spike_ranks as ranks
        on ranks.definition_id = definitions.definition_id
        and ranks.market_id = daily.market_id
        and ranks.bar_at = cast(daily.bar_date as timestamp)
    group by definitions.definition_id, daily.market_id
)

select
    due.definition_id,
    due.market_id,
    due.complete_days,
    due.last_complete_date,
    coalesce(ranked.ranked_bars, 0) as ranked_bars,
    ranked.last_ranked_date,
    coalesce(due.last_complete_date - ranked.last_ranked_date, due.complete_days) as days_behind,
    coalesce(daily_values.days_without_rank, 0) as days_without_rank,
    coalesce(daily_values.largest_value_difference, 0) as largest_value_difference
from due
left join ranked
    on due.definition_id = ranked.definition_id
    and due.market_id = ranked.market_id
left join daily_values
    on due.definition_id = daily_values.definition_id
    and due.market_id = daily_values.market_id
