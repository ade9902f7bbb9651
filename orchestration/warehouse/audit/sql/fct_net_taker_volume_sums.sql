-- One row per bar of a sum over venues, and one per bar that should have one. Of what changed: from the bar
-- before the first changed one of any market to the bar after the last, since a sum may lack the change of a market.
{% from "macros.sql" import residual, distance, sum_venues %}
{% set time_column = key | last %}
{% set bars = "judged_bars" if changed else mart %}

with {% if changed %}
judged_bars as (
    select *
    from {{ mart }}
    where {{ time_column }} >= (select min(previous_at) from judged_days)
        and {{ time_column }} <= (select max(next_at) from judged_days)
),

{% endif %}
markets as (
    select market_id, venue, base_asset, is_simulated
    from dim_markets
    where venue not in ({{ sum_venues }})
),

lives as (
    select market_id, min({{ time_column }}) as first_bar, max({{ time_column }}) as last_bar
    from {{ mart }}
    group by market_id
),

expected as (
    select sums.market_id, bars.{{ time_column }}, count(*) as markets_due
    from dim_markets as sums
    inner join {{ bars }} as bars on bars.market_id = sums.market_id
    inner join markets
        on markets.base_asset = sums.base_asset and markets.is_simulated = sums.is_simulated
    inner join lives
        on lives.market_id = markets.market_id and bars.{{ time_column }} between lives.first_bar and lives.last_bar
    where sums.venue in ({{ sum_venues }})
    group by sums.market_id, bars.{{ time_column }}
),

due as (
    select
        sums.market_id,
        bars.{{ time_column }},
        count(*) as markets_held,
        sum(bars.taker_buy_usd) as taker_buy_usd,
        sum(bars.taker_sell_usd) as taker_sell_usd,
        sum(bars.taker_buy_base) as taker_buy_base,
        sum(bars.taker_sell_base) as taker_sell_base,
        sum(bars.trade_count) as trade_count,
        min(bars.coverage_ratio) as least_coverage_ratio,
        max(case when bars.is_provisional then 1 else 0 end) = 1 as is_provisional,
        max(case when bars.is_running then 1 else 0 end) = 1 as is_running,
        string_agg(distinct bars.venue, ',' order by bars.venue) as venue_set
    from dim_markets as sums
    inner join markets
        on markets.base_asset = sums.base_asset and markets.is_simulated = sums.is_simulated
    inner join {{ bars }} as bars
        on bars.market_id = markets.market_id
    where sums.venue in ({{ sum_venues }})
    group by sums.market_id, bars.{{ time_column }}
),

covered as (
    select
        due.*,
        case when due.markets_held < expected.markets_due then 0.0e0 else due.least_coverage_ratio end as coverage_ratio
    from due
    left join expected
        on due.market_id = expected.market_id and due.{{ time_column }} = expected.{{ time_column }}
)

select
    coalesce(bars.market_id, due.market_id) as market_id,
    coalesce(bars.{{ time_column }}, due.{{ time_column }}) as {{ time_column }},
    bars.market_id is not null as is_summed,
    due.market_id is not null as has_markets,
    bars.taker_buy_usd,
    bars.taker_sell_usd,
    due.taker_buy_usd as due_buy_usd,
    due.taker_sell_usd as due_sell_usd,
    bars.venue_set,
    due.venue_set as due_venue_set,
    bars.coverage_ratio,
    due.coverage_ratio as due_coverage_ratio,
    {{ residual("abs(bars.taker_buy_usd - due.taker_buy_usd) + abs(bars.taker_sell_usd - due.taker_sell_usd)") }}
        as usd_difference,
    {{ residual("abs(bars.taker_buy_base - due.taker_buy_base) + abs(bars.taker_sell_base - due.taker_sell_base)") }}
        as base_difference,
    {{ residual("abs(bars.trade_count - due.trade_count)") }} as trade_count_difference,
    {{ distance("bars.coverage_ratio", "due.coverage_ratio") }} as coverage_error,
    coalesce(bars.venue_set = due.venue_set, false) as is_venue_set_right,
    coalesce(bars.is_provisional = due.is_provisional and bars.is_running = due.is_running, false) as is_state_right
from (select * from {{ bars }} where venue in ({{ sum_venues }})) as bars
full join covered as due
    on bars.market_id = due.market_id
    and bars.{{ time_column }} = due.{{ time_column }}
