-- One row per market, or sum over venues: its last complete day, as one line to sort markets by. Every figure is
-- another mart's.
with latest_days as (
    select market_id, max(bar_date) as bar_date
    from {{ ref('fct_net_taker_volume_daily') }}
    where coverage_ratio >= 0.95 and not is_running
    group by market_id
),

ranks_of_days as (
    select
        latest_days.bar_date,
        ranks.*,
        row_number() over (
            partition by ranks.market_id
            order by ranks.spike_rank nulls last, ranks.definition_id, ranks.side, ranks.bar_at
        ) as place
    from {{ ref('fct_taker_spike_ranks') }} as ranks
    inner join latest_days
        on ranks.market_id = latest_days.market_id and cast(ranks.bar_at as date) = latest_days.bar_date
)

select
    days.market_id,
    days.venue,
    markets.base_asset,
    days.bar_date,
    briefs.side,
    days.net_taker_usd,
    days.net_taker_ratio,
    days.volume_usd,
    briefs.sell_dominance_percentile,
    dominance.buy_dominance_percentile,
    best.spike_rank as best_rank,
    case when best.spike_rank is not null then best.definition_id end as best_rank_definition_id,
    case when best.spike_rank is not null then definitions.definition_name end as best_rank_definition_name,
    case when best.spike_rank is not null then best.side end as best_rank_side,
    case when best.spike_rank is not null then best.bar_at end as best_rank_at,
    case when best.spike_rank is not null then best.window_bars end as best_rank_window_bars,
    of_day.robust_z,
    days.close_price,
    briefs.price_change_ratio,
    briefs.open_interest_usd,
    open_interest.change_24h_base as open_interest_change_24h_base,
    open_interest.change_24h_ratio as open_interest_change_24h_ratio,
    briefs.funding_rate,
    briefs.long_liquidations_usd,
    briefs.short_liquidations_usd,
    briefs.liquidations_coverage_ratio,
    days.flow_source,
    days.flow_quality,
    days.coverage_ratio,
    days.is_provisional,
    briefs.is_simulated
from latest_days
inner join {{ ref('fct_net_taker_volume_daily') }} as days
    on latest_days.market_id = days.market_id and latest_days.bar_date = days.bar_date
inner join {{ ref('dim_markets') }} as markets on days.market_id = markets.market_id
inner join {{ ref('rpt_market_brief_daily') }} as briefs
    on days.market_id = briefs.market_id and days.bar_date = briefs.bar_date
left join {{ ref('fct_taker_dominance_daily') }} as dominance
    on days.market_id = dominance.market_id and days.bar_date = dominance.bar_date
left join ranks_of_days as best on days.market_id = best.market_id and best.place = 1
left join {{ ref('dim_spike_definitions') }} as definitions on best.definition_id = definitions.definition_id
left join ranks_of_days as of_day
    on days.market_id = of_day.market_id and of_day.definition_id = 'daily_usd' and briefs.side = of_day.side
left join {{ ref('fct_open_interest_daily') }} as open_interest
    on days.market_id = open_interest.market_id and days.bar_date = open_interest.bar_date
order by days.market_id
