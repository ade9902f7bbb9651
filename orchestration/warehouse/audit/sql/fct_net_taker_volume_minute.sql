-- One row per minute of trades, with the residuals of its identities.
{% from "macros.sql" import residual, distance %}

select
    mart.market_id,
    mart.bar_at,
    mart.five_minutes_at,
    mart.fifteen_minutes_at,
    mart.taker_buy_usd,
    mart.taker_sell_usd,
    mart.net_taker_usd,
    mart.volume_usd,
    mart.taker_buy_base,
    mart.taker_sell_base,
    mart.net_taker_base,
    mart.volume_base,
    mart.net_taker_ratio,
    mart.open_price,
    mart.high_price,
    mart.low_price,
    mart.close_price,
    mart.trade_count,
    mart.coverage_ratio,
    mart.venue,
    coalesce(mart.venue = substring(mart.market_id, 1, position(':' in mart.market_id) - 1), false)
        as is_venue_of_market,
    coalesce(
        mart.bar_at = date_trunc('minute', mart.bar_at)
        and mart.five_minutes_at = time_bucket(interval '5 minutes', mart.bar_at)
        and mart.fifteen_minutes_at = time_bucket(interval '15 minutes', mart.bar_at),
        false
    ) as is_begin_right,
    {{ residual("mart.taker_buy_usd + mart.taker_sell_usd - mart.volume_usd") }} as usd_sum_residual,
    {{ residual("mart.taker_buy_base + mart.taker_sell_base - mart.volume_base") }} as base_sum_residual,
    {{ residual("mart.net_taker_usd - (mart.taker_buy_usd - mart.taker_sell_usd)") }} as usd_net_residual,
    {{ residual("mart.net_taker_base - (mart.taker_buy_base - mart.taker_sell_base)") }} as base_net_residual,
    least(mart.taker_buy_usd, mart.taker_sell_usd, mart.taker_buy_base, mart.taker_sell_base) as smallest_amount,
    {{
        distance(
            "mart.net_taker_ratio",
            "cast(mart.net_taker_usd as double) / cast(nullif(mart.volume_usd, 0) as double)"
        )
    }} as net_ratio_error,
    coalesce(
        mart.low_price > 0
        and mart.open_price between mart.low_price and mart.high_price
        and mart.close_price between mart.low_price and mart.high_price,
        false
    ) as is_price_in_order
from fct_net_taker_volume_minute as mart
{% if changed %}
inner join judged_days as judged
    on mart.market_id = judged.market_id
    and mart.bar_at >= judged.from_at
    and mart.bar_at < judged.to_at
{% endif %}
