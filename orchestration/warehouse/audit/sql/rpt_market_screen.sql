-- One row per market of the screen, or with a day that it should show, compared with the marts that it is made from.
{% from "macros.sql" import min_coverage %}

with latest as (
    select market_id, max(bar_date) as bar_date
    from fct_net_taker_volume_daily
    where coverage_ratio >= {{ min_coverage }} and not is_running
    group by market_id
),

best as (
    select ranks.market_id, min(ranks.spike_rank) as spike_rank
    from fct_taker_spike_ranks as ranks
    inner join latest on ranks.market_id = latest.market_id and cast(ranks.bar_at as date) = latest.bar_date
    group by ranks.market_id
)

select
    coalesce(screen.market_id, latest.market_id) as market_id,
    screen.bar_date,
    screen.side,
    screen.net_taker_usd,
    screen.volume_usd,
    screen.best_rank,
    screen.best_rank_definition_id,
    screen.best_rank_side,
    screen.best_rank_at,
    screen.robust_z,
    screen.open_interest_usd,
    screen.open_interest_change_24h_base,
    screen.funding_rate,
    screen.long_liquidations_usd,
    screen.liquidations_coverage_ratio,
    screen.market_id is not null as is_in_screen,
    screen.market_id is null or coalesce(screen.bar_date = latest.bar_date, false) as is_latest_day,
    screen.market_id is null or coalesce(
        screen.net_taker_usd = daily.net_taker_usd and screen.volume_usd = daily.volume_usd
        and screen.net_taker_ratio is not distinct from daily.net_taker_ratio
        and screen.close_price is not distinct from daily.close_price
        and screen.flow_source = daily.flow_source and screen.flow_quality = daily.flow_quality
        and screen.coverage_ratio = daily.coverage_ratio and screen.is_provisional = daily.is_provisional
        and screen.venue = daily.venue,
        false
    ) as is_flow_right,
    screen.market_id is null or coalesce(
        screen.side = briefs.side
        and screen.sell_dominance_percentile is not distinct from briefs.sell_dominance_percentile
        and screen.price_change_ratio is not distinct from briefs.price_change_ratio
        and screen.open_interest_usd is not distinct from briefs.open_interest_usd
        and screen.funding_rate is not distinct from briefs.funding_rate
        and screen.long_liquidations_usd is not distinct from briefs.long_liquidations_usd
        and screen.short_liquidations_usd is not distinct from briefs.short_liquidations_usd
        and screen.liquidations_coverage_ratio = briefs.liquidations_coverage_ratio
        and screen.is_simulated = briefs.is_simulated,
        false
    ) as is_the_briefs,
    screen.market_id is null or screen.buy_dominance_percentile is not distinct from dominance.buy_dominance_percentile
        as is_percentile_right,
    screen.market_id is null or screen.best_rank is not distinct from best.spike_rank as is_rank_best,
    screen.best_rank is null or exists (
        select 1
        from fct_taker_spike_ranks as ranks
        inner join dim_spike_definitions as definitions on ranks.definition_id = definitions.definition_id
        where ranks.market_id = screen.market_id and ranks.definition_id = screen.best_rank_definition_id
            and ranks.side = screen.best_rank_side and ranks.bar_at = screen.best_rank_at
            and ranks.spike_rank = screen.best_rank and ranks.window_bars = screen.best_rank_window_bars
            and definitions.definition_name = screen.best_rank_definition_name
    ) as is_rank_of_its_bar,
    screen.market_id is null or screen.robust_z is not distinct from of_day.robust_z as is_score_right,
    screen.market_id is null or (
        screen.open_interest_change_24h_base is not distinct from open_interest.change_24h_base
        and screen.open_interest_change_24h_ratio is not distinct from open_interest.change_24h_ratio
    ) as is_change_right
from rpt_market_screen as screen
full join latest on screen.market_id = latest.market_id
left join best on screen.market_id = best.market_id
left join fct_net_taker_volume_daily as daily
    on screen.market_id = daily.market_id and screen.bar_date = daily.bar_date
left join rpt_market_brief_daily as briefs
    on screen.market_id = briefs.market_id and screen.bar_date = briefs.bar_date
left join fct_taker_dominance_daily as dominance
    on screen.market_id = dominance.market_id and screen.bar_date = dominance.bar_date
left join fct_taker_spike_ranks as of_day
    on screen.market_id = of_day.market_id and of_day.definition_id = 'daily_usd' and screen.side = of_day.side
    and of_day.bar_at = screen.bar_date
left join fct_open_interest_daily as open_interest
    on screen.market_id = open_interest.market_id and screen.bar_date = open_interest.bar_date
