-- One row per market and hour with liquidation orders: what they sum to, and what of them other data contradict.
{{ config(materialized='ephemeral') }}

with order_totals as (
    select
        market_id,
        hour_at,
        sum(case when is_long_liquidated then liquidated_usd else 0 end) as long_usd,
        sum(case when is_long_liquidated then 0 else liquidated_usd end) as short_usd,
        count(*) as order_count,
        count(*) - count(liquidated_usd) as unvalued_order_count,
        max(liquidated_usd) as largest_order_usd,
        count(conflict) as conflicting_order_count,
        count(distinct case when conflict is not null then date_trunc('minute', liquidated_at) end)
            as conflicting_minutes,
        min(conflict) as first_conflict,
        {%- for side, is_side in {'SELL': 'is_long_liquidated', 'BUY': 'not is_long_liquidated'}.items() %}
        sum(case when {{ is_side }} and side_usd is not null then cast(liquidated_usd as double) end)
            as "{{ side }}_usd",
        max(case when {{ is_side }} then side_usd end) as "{{ side }}_taker_usd"
        {{- ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('int_liquidation_orders') }}
    group by market_id, hour_at
)

select
    market_id,
    hour_at,
    long_usd,
    short_usd,
    order_count,
    unvalued_order_count,
    largest_order_usd,
    conflicting_order_count,
    conflicting_minutes,
    first_conflict,
    case
        {%- for side in ['SELL', 'BUY'] %}
        when "{{ side }}_usd" > "{{ side }}_taker_usd"
            then cast(hour_at as string) || ' ' || market_id || ' all {{ side }} orders of the hour are worth '
                || {{ figure_text('"' ~ side ~ '_usd"') }} || ' USD, takers of that side traded '
                || {{ figure_text('"' ~ side ~ '_taker_usd"') }} || ' USD'
        {%- endfor %}
    end as hour_conflict,
    2 * sum(conflicting_order_count) over day_of_market > sum(order_count) over day_of_market as is_day_in_conflict
from order_totals
window day_of_market as (partition by market_id, cast(hour_at as date))
