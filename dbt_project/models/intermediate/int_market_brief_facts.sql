-- One row per market, or sum over venues, and ended UTC day: every fact that the brief of the day states.
with ended_days as (
    select
        market_id,
        bar_date,
        {{ side_of_day('net_taker_usd') }} as side,
        net_taker_usd,
        {{ exact_as_double('taker_sell_ratio', 16) }} as taker_sell_ratio,
        flow_source,
        flow_quality,
        cast(coverage_ratio as double) as coverage_ratio,
        is_provisional,
        case when venue_set <> venue then venue_set end as summed_venue_set,
        coalesce({{ is_simulated('venue') }}, false) as is_simulated
    from {{ ref('int_bars') }}
    where grain_hours = 24 and is_running is not true
)

select
    days.market_id,
    days.bar_date,
    days.side,
    days.net_taker_usd,
    days.taker_sell_ratio,
    dominance.sell_dominance_percentile,
    {%- for definition in brief_definitions() %}
    ranks."{{ definition }}_rank",
    {%- endfor %}
    ranks.daily_usd_event_rank,
    ranks.daily_usd_window_bars,
    ranks.daily_usd_window_coverage,
    ranks.daily_usd_unranked_reason,
    ranks.window_days,
    ranks.larger_events,
    closes.close_price,
    {{ exact_as_double('closes.price_change_ratio', 16) }} as price_change_ratio,
    {{ exact_as_double('closes.distance_from_high_ratio', 16) }} as distance_from_high_ratio,
    liquidations.long_usd as long_liquidations_usd,
    liquidations.short_usd as short_liquidations_usd,
    coalesce(liquidations.coverage_ratio, 0) as liquidations_coverage_ratio,
    all_liquidations.long_usd as all_long_liquidations_usd,
    all_liquidations.short_usd as all_short_liquidations_usd,
    coalesce(all_liquidations.coverage_ratio, 0) as all_liquidations_coverage_ratio,
    all_liquidations.venue_set as all_liquidations_venue_set,
    all_liquidations.subscribed_symbol_count as all_liquidations_subscribed_symbol_count,
    case when open_interest.conflict is null then open_interest.open_interest_base end as open_interest_base,
    case when open_interest.conflict is null then open_interest.open_interest_usd end as open_interest_usd,
    case when funding.covered_hours >= 24 then {{ exact_as_double('funding.funding_rate', 18) }} end as funding_rate,
    days.flow_source,
    days.flow_quality,
    archive.quarantined_rows,
    days.coverage_ratio,
    days.is_provisional,
    days.summed_venue_set,
    days.is_simulated,
    open_interest.conflict as open_interest_conflict,
    funding.conflict as funding_conflict,
    liquidations.first_conflict as liquidations_conflict,
    receipts.open_interest_status,
    receipts.funding_status,
    receipts.liquidations_status
from ended_days as days
inner join {{ ref('int_closes_daily') }} as closes
    on days.market_id = closes.market_id and days.bar_date = closes.bar_date
left join {{ ref('int_dominance_daily') }} as dominance
    on days.market_id = dominance.market_id and days.bar_date = dominance.bar_date
left join {{ ref('int_brief_ranks') }} as ranks
    on days.market_id = ranks.market_id and days.bar_date = ranks.bar_date and days.side = ranks.side
left join {{ ref('int_liquidation_days') }} as liquidations
    on days.market_id = liquidations.market_id and days.bar_date = liquidations.bar_date
left join {{ ref('int_liquidation_days') }} as all_liquidations
    on all_liquidations.market_id = {{ sum_of('days.is_simulated') }} || ':ALL'
    and days.bar_date = all_liquidations.bar_date
left join {{ ref('int_flow_days') }} as archive
    on days.market_id = archive.market_id and days.bar_date = archive.bar_date
left join {{ ref('int_open_interest_daily') }} as open_interest
    on days.market_id = open_interest.market_id and days.bar_date = open_interest.bar_date
left join {{ ref('int_funding_daily') }} as funding
    on days.market_id = funding.market_id and days.bar_date = funding.bar_date
left join {{ ref('int_context_receipts') }} as receipts
    on days.market_id = receipts.market_id and days.bar_date = receipts.bar_date
order by days.market_id, days.bar_date
