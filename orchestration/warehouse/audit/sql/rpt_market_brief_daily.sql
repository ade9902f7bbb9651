-- One row per market and day of the brief or of the daily mart, compared with the marts that it is composed from.
{% from "macros.sql" import residual, distance %}
{% set definitions = [
    "daily_usd", "daily_base", "daily_sell_ratio", "4h_usd", "4h_base", "4h_ma2_usd", "hourly_usd",
    "hourly_ma7_usd"
] %}

with ranks as (
    select
        market_id,
        side,
        cast(bar_at as date) as bar_date,
        min(case when definition_id = 'daily_usd' then event_rank end) as daily_usd_event_rank,
        {% for name in definitions %}
        min(case when definition_id = '{{ name }}' then spike_rank end)
            as "{{ name }}_rank"{{ "," if not loop.last }}
        {% endfor %}
    from fct_taker_spike_ranks
    group by market_id, side, cast(bar_at as date)
),

daily as (
    select
        *,
        lag(close_price) over (partition by market_id order by bar_date) as previous_close,
        bar_date - lag(bar_date) over (partition by market_id order by bar_date) as days_since_previous
    from fct_net_taker_volume_daily
)

select
    coalesce(briefs.market_id, daily.market_id) as market_id,
    coalesce(briefs.bar_date, daily.bar_date) as bar_date,
    daily.market_id is not null as is_in_daily,
    briefs.market_id is not null or coalesce(daily.is_running, false) as is_in_brief,
    briefs.market_id is null or coalesce(not daily.is_running, true) as is_of_ended_day,
    briefs.market_id is null or daily.market_id is null or coalesce(
        (position(', provisional)' in briefs.headline) > 0 or position(', provisional covering' in briefs.headline) > 0)
        = daily.is_provisional,
        false
    ) as is_provision_stated,
    briefs.side,
    briefs.net_taker_usd,
    briefs.taker_sell_ratio,
    briefs.sell_dominance_percentile,
    briefs.close_price,
    briefs.price_change_ratio,
    briefs.distance_from_high_ratio,
    briefs.long_liquidations_usd,
    briefs.short_liquidations_usd,
    briefs.liquidations_coverage_ratio,
    briefs.all_long_liquidations_usd,
    briefs.all_short_liquidations_usd,
    briefs.all_liquidations_coverage_ratio,
    briefs.all_liquidations_venue_set,
    briefs.all_liquidations_subscribed_symbol_count,
    briefs.open_interest,
    briefs.open_interest_usd,
    briefs.funding_rate,
    briefs.headline,
    briefs.open_interest_conflict,
    briefs.funding_conflict,
    briefs.liquidations_conflict,
    briefs.open_interest_conflict is null as is_open_interest_consistent,
    briefs.funding_conflict is null as is_funding_consistent,
    briefs.market_id is null or coalesce(
        (briefs.open_interest_conflict is null or coalesce(briefs.open_interest, briefs.open_interest_usd) is null)
        and (briefs.funding_conflict is null or briefs.funding_rate is null)
        and briefs.liquidations_conflict is not distinct from liquidations.first_conflict
        and (position('. In conflict with other data' in briefs.headline) > 0) = (
            coalesce(
                briefs.open_interest_conflict, briefs.funding_conflict, briefs.liquidations_conflict
            ) is not null
        ),
        false
    ) as are_conflicts_excluded,
    briefs.market_id is null or (
        {% for value, conflict, reason in [
            ("open_interest_usd", "open_interest_conflict", "open_interest_missing_reason"),
            ("funding_rate", "funding_conflict", "funding_missing_reason"),
            ("long_liquidations_usd", "liquidations_conflict", "liquidations_missing_reason"),
        ] %}
        (briefs.{{ value }} is null) = (briefs.{{ reason }} is not null)
        and (coalesce(briefs.{{ reason }}, '') = 'conflict')
        = (briefs.{{ conflict }} is not null and briefs.{{ value }} is null)
        {{ "and" if not loop.last }}
        {% endfor %}
    ) as are_gaps_explained,
    case
        when briefs.market_id is null or daily.market_id is null then 0
        else {{ residual("briefs.net_taker_usd - daily.net_taker_usd") }}
    end as net_residual,
    briefs.market_id is null
    or coalesce((briefs.side = 'bearish') = (briefs.net_taker_usd < 0), false) as is_side_right,
    {{
        distance("briefs.taker_sell_ratio", "case when briefs.market_id is not null then daily.taker_sell_ratio end")
    }}
        as sell_ratio_error,
    {{
        distance(
            "briefs.sell_dominance_percentile",
            "case when briefs.market_id is not null then dominance.sell_dominance_percentile end"
        )
    }} as percentile_error,
    briefs.market_id is null or daily.market_id is null
    or coalesce(briefs.close_price = daily.close_price, false) as is_close_right,
    {{
        distance(
            "briefs.price_change_ratio",
            "case when briefs.market_id is not null and daily.days_since_previous = 1 then "
            ~ "cast(daily.close_price as double) / cast(nullif(daily.previous_close, 0) as double) - 1 end"
        )
    }} as change_error,
    briefs.market_id is null
    or coalesce(briefs.flow_source = daily.flow_source and briefs.coverage_ratio = daily.coverage_ratio, false)
        as is_source_right,
    briefs.market_id is null or (
        briefs.daily_usd_event_rank is not distinct from ranks.daily_usd_event_rank
        {% for name in definitions %}
        and briefs."{{ name }}_rank" is not distinct from ranks."{{ name }}_rank"
        {% endfor %}
    ) as are_ranks_right,
    briefs.market_id is null or (
        briefs.long_liquidations_usd is not distinct from liquidations.long_usd
        and briefs.short_liquidations_usd is not distinct from liquidations.short_usd
        and coalesce(briefs.liquidations_coverage_ratio = coalesce(liquidations.coverage_ratio, 0), false)
    ) as are_liquidations_right,
    briefs.market_id is null or (
        briefs.all_long_liquidations_usd is not distinct from all_liquidations.long_usd
        and briefs.all_short_liquidations_usd is not distinct from all_liquidations.short_usd
        and briefs.all_liquidations_venue_set is not distinct from all_liquidations.venue_set
        and briefs.all_liquidations_subscribed_symbol_count
            is not distinct from all_liquidations.subscribed_symbol_count
        and coalesce(
            briefs.all_liquidations_coverage_ratio = coalesce(all_liquidations.coverage_ratio, 0), false
        )
    ) as are_all_liquidations_right,
    briefs.market_id is null or coalesce(briefs.is_simulated = markets.is_simulated, false) as is_simulation_known,
    briefs.market_id is null
    or coalesce((briefs.headline like 'SIMULATED: %') = briefs.is_simulated, false) as is_headline_labelled,
    briefs.market_id is null or coalesce(
        position(briefs.market_id in briefs.headline) > 0
        and position(cast(briefs.bar_date as varchar) in briefs.headline) > 0
        and position('daily_usd' in briefs.headline) > 0
        and position(briefs.flow_source in briefs.headline) > 0,
        false
    ) as is_headline_complete
from rpt_market_brief_daily as briefs
full join daily
    on briefs.market_id = daily.market_id
    and briefs.bar_date = daily.bar_date
left join fct_taker_dominance_daily as dominance
    on briefs.market_id = dominance.market_id
    and briefs.bar_date = dominance.bar_date
left join ranks
    on briefs.market_id = ranks.market_id
    and briefs.bar_date = ranks.bar_date
    and briefs.side = ranks.side
left join fct_liquidations_daily as liquidations
    on briefs.market_id = liquidations.market_id
    and briefs.bar_date = liquidations.bar_date
left join dim_markets as markets
    on briefs.market_id = markets.market_id
left join fct_liquidations_daily as all_liquidations
    on all_liquidations.market_id = case when markets.is_simulated then 'simulated_all:ALL' else 'all:ALL' end
    and briefs.bar_date = all_liquidations.bar_date
