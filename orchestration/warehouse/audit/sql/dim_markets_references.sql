-- One row per mart and market in it. Claims are left out: they may be about markets that were never ingested.
{% set facts = [
    "fct_net_taker_volume_hourly",
    "fct_net_taker_volume_daily",
    "fct_taker_dominance_daily",
    "fct_taker_spike_ranks",
    "fct_flow_reconciliation_daily",
    "fct_liquidations_hourly",
    "fct_liquidations_daily",
    "fct_liquidations_rolling_24h",
    "fct_open_interest_hourly",
    "fct_open_interest_daily",
    "fct_long_short_ratios",
    "fct_funding_rates",
    "fct_spike_forward_returns",
    "fct_spike_context",
    "agg_spike_event_study",
    "rpt_market_brief_daily",
    "rpt_market_screen",
    "fct_hour_of_week_profile",
] %}

with fact_markets as (
    {% for fact in facts %}
    -- Sums over every symbol of a venue, or of all of them, are no markets.
    select distinct market_id, '{{ fact }}' as mart from {{ fact }} where not ends_with(market_id, ':ALL')
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
)

select
    fact_markets.market_id,
    fact_markets.mart,
    dim_markets.market_id is not null as is_known_market
from fact_markets
left join dim_markets
    on fact_markets.market_id = dim_markets.market_id
