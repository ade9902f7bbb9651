-- One row per bar that the archive's trades and klines both hold, of each length that the day has klines of, and
-- whether the two agree. Where they contradict each other, with the figures of both.
--
-- A source that counts fewer trades and holds less of a bar lacks part of it: incomplete, and by itself no
-- contradiction.
with compared_pairs as (
    select
        pairs.*,
        trade_count < klines_trade_count and klines_volume_usd - volume_usd > tolerance_usd as trades_lack,
        trade_count > klines_trade_count and volume_usd - klines_volume_usd > tolerance_usd as klines_lack,
        abs(volume_usd - klines_volume_usd) > tolerance_usd as is_usd_off,
        abs(net_usd - klines_net_usd) > tolerance_usd as is_net_off,
        abs(volume_base - klines_volume_base) > tolerance_base as is_base_off,
        greatest(
            {{ price_gap('open_price', 'klines_open_price') }},
            {{ price_gap('close_price', 'klines_close_price') }}
        ) as end_gap,
        greatest(high_price / nullif(klines_high_price, 0), klines_low_price / nullif(low_price, 0)) - 1
            as beyond_klines,
        greatest(klines_high_price / nullif(high_price, 0), low_price / nullif(klines_low_price, 0)) - 1
            as beyond_trades
    from {{ ref('int_flow_paired_bars') }} as pairs
),

-- Each holds more than the other somewhere on a whole day: neither only lacks something.
exchanged_days as (
    select market_id, bar_date, bar_hours
    from compared_pairs
    group by market_id, bar_date, bar_hours
    having max(case when trades_lack then 1 else 0 end) + max(case when klines_lack then 1 else 0 end) = 2
),

judged_pairs as (
    select
        compared_pairs.*,
        trades_lack or klines_lack as is_incomplete,
        greatest(end_gap, beyond_klines, beyond_trades) > {{ bar_price_tolerance() }} as is_price_off,
        case
            when trades_lack or klines_lack
                then exchanged_days.market_id is not null
                or case when trades_lack then beyond_klines else beyond_trades end > {{ bar_price_tolerance() }}
            else is_usd_off or is_net_off or is_base_off
                or greatest(end_gap, beyond_klines, beyond_trades) > {{ bar_price_tolerance() }}
        end as is_contradiction
    from compared_pairs
    left join exchanged_days using (market_id, bar_date, bar_hours)
),

measured_pairs as (
    select
        judged_pairs.*,
        case
            when is_contradiction is not true then null
            when is_incomplete or is_usd_off then 'volume_usd'
            when is_net_off then 'net_taker_usd'
            when is_price_off then 'price'
            else 'volume_base'
        end as measure
    from judged_pairs
)

select
    cast(market_id as string) as market_id,
    cast(bar_hours as integer) as bar_hours,
    cast(bar_at as timestamp) as bar_at,
    case
        when is_contradiction then 'contradict'
        when not is_contradiction and not is_incomplete then 'agree'
        else 'undecided'
    end as verdict,
    measure,
    {%- for name, source in [('ours', ''), ('theirs', 'klines_')] %}
    case measure
        when 'volume_usd' then {{ source }}volume_usd
        when 'net_taker_usd' then {{ source }}net_usd
        when 'volume_base' then {{ source }}volume_base
        when 'price'
            then case
                {%- for price in ['open_price', 'close_price', 'high_price'] %}
                when {{ price_gap(price, 'klines_' ~ price) }} > {{ bar_price_tolerance() }}
                    then {{ source }}{{ price }}
                {%- endfor %}
                else {{ source }}low_price
            end
    end as {{ name }},
    {%- endfor %}
    case measure
        when 'volume_base' then tolerance_base
        when 'price' then {{ bar_price_tolerance() }} * least(low_price, klines_low_price)
        else tolerance_usd
    end as tolerance
from measured_pairs
order by market_id, bar_hours, bar_at
