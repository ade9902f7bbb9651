-- One row per bar of a net taker volume mart, with the residuals of its identities. Of what changed: also the bar that
-- follows, whose price is compared with the last one.
{% from "macros.sql" import residual, distance, sum_venues, provisional_sources %}
{% set time_column = key | last %}
{% set sell_share = "cast(taker_sell_usd as double) / cast(nullif(volume_usd, 0) as double)" %}
{% set buy_share = "cast(taker_buy_usd as double) / cast(nullif(volume_usd, 0) as double)" %}
{# The ratio of the two sides has no upper bound: it is compared as shares of the volume. #}
{% set stored_ratio =
    "case when taker_sell_usd = 0 then taker_buy_sell_ratio else taker_buy_sell_ratio * (" ~ sell_share ~ ") end" %}

with bars as (
    select
        mart.*,
        cast(volume_usd as double) / cast(nullif(volume_base, 0) as double) as average_price,
        lag(close_price) over (partition by mart.market_id order by {{ time_column }}) as previous_close_price
    from {{ mart }} as mart
    {% if changed %}
    inner join judged_days as judged
        on mart.market_id = judged.market_id
        and mart.{{ time_column }} >= judged.previous_at
        and mart.{{ time_column }} <= judged.next_at
    {% endif %}
)

select
    market_id,
    {{ time_column }},
    {% if time_column == 'bar_at' %}
    bar_at = date_trunc('hour', bar_at) as is_whole_hour,
    {% else %}
    source_bar_hours,
    {% endif %}
    taker_buy_usd,
    taker_sell_usd,
    net_taker_usd,
    volume_usd,
    taker_buy_base,
    taker_sell_base,
    net_taker_base,
    volume_base,
    taker_sell_ratio,
    taker_buy_sell_ratio,
    open_price,
    high_price,
    low_price,
    close_price,
    trade_count,
    flow_source,
    coverage_ratio,
    venue,
    venue_set,
    is_provisional,
    is_running,
    coalesce(venue = substring(market_id, 1, position(':' in market_id) - 1), false) as is_venue_of_market,
    coalesce((venue_set <> venue) = (venue in ({{ sum_venues }})), false) as is_venue_set_named,
    -- A sum over venues may be provisional in one part and be labelled `mixed`.
    coalesce(is_provisional = (flow_source in ({{ provisional_sources }})), false) or flow_source = 'mixed'
        as is_provision_stated,
    not is_running or coalesce(is_provisional and coverage_ratio < 1, false) as is_running_provisional,
    average_price,
    previous_close_price,
    {{ residual("taker_buy_usd + taker_sell_usd - volume_usd") }} as usd_sum_residual,
    {{ residual("taker_buy_base + taker_sell_base - volume_base") }} as base_sum_residual,
    {{ residual("net_taker_usd - (taker_buy_usd - taker_sell_usd)") }} as usd_net_residual,
    {{ residual("net_taker_base - (taker_buy_base - taker_sell_base)") }} as base_net_residual,
    least(taker_buy_usd, taker_sell_usd, taker_buy_base, taker_sell_base) as smallest_amount,
    {{ distance("taker_sell_ratio", sell_share) }} as sell_ratio_error,
    {{ distance(stored_ratio, "case when taker_sell_usd > 0 then " ~ buy_share ~ " end") }} as buy_sell_ratio_error,
    case when flow_source = 'trades' then least(open_price, close_price) end as lower_end_price,
    case when flow_source = 'trades' then greatest(open_price, close_price) end as upper_end_price,
    flow_source = 'trades' or volume_usd = 0
    or coalesce(
        low_price > 0
        and low_price <= least(open_price, close_price)
        and high_price >= greatest(open_price, close_price),
        false
    ) as is_venue_price_in_order,
    case
        when volume_usd = 0 then true
        else open_price is not null and high_price is not null and low_price is not null and close_price is not null
    end as is_price_known,
    greatest(low_price - average_price, average_price - high_price, 0) / close_price as average_price_excursion,
    -- The prices of a sum over venues are those of one contract, and its amounts those of all.
    case
        when venue not in ({{ sum_venues }})
            then greatest(low_price - average_price, average_price - high_price, 0) / close_price
    end as own_average_price_excursion,
    cast(close_price as double) / cast(nullif(previous_close_price, 0) as double) - 1 as close_change_ratio
from bars
{% if changed %}
where exists (
    select 1
    from judged_days as judged
    where judged.market_id = bars.market_id and bars.{{ time_column }} >= judged.from_at
)
{% endif %}
