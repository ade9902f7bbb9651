-- One row per bar that the archive's trades and klines both hold, of each length that the day has klines of, and
-- whether the two agree. Where they contradict each other, with the figures of both.
with bars as (
    select * from {{ archive_bars() }} as archive_bars
),

kline_days as (
    select market_id, bar_date, bar_hours, sum(volume_usd) as volume_usd, sum(volume_base) as volume_base
    from bars
    where source = 'klines'
    group by market_id, bar_date, bar_hours
),

trade_bars as (
    select
        hours.market_id,
        hours.bar_date,
        days.bar_hours,
        {{ bar_start('hours.bar_at', 'days.bar_hours') }} as bar_at,
        sum(hours.volume_usd) as volume_usd,
        sum(hours.volume_base) as volume_base,
        sum(hours.net_usd) as net_usd,
        {{ value_at_first('hours.open_price', 'hours.bar_at') }} as open_price,
        max(hours.high_price) as high_price,
        min(hours.low_price) as low_price,
        {{ value_at_last('hours.close_price', 'hours.bar_at') }} as close_price,
        sum(hours.trade_count) as trade_count,
        max(days.volume_usd) as day_volume_usd,
        max(days.volume_base) as day_volume_base
    from bars as hours
    inner join kline_days as days on hours.market_id = days.market_id and hours.bar_date = days.bar_date
    inner join {{ ref('int_flow_trade_days') }} as trade_days
        on hours.market_id = trade_days.market_id and hours.bar_date = trade_days.bar_date
    where hours.source = 'trades' and trade_days.implausible_reason is null
    group by hours.market_id, hours.bar_date, days.bar_hours, {{ bar_start('hours.bar_at', 'days.bar_hours') }}
),

pairs as (
    select
        trades.*,
        {%- for column in [
            'volume_usd', 'volume_base', 'net_usd', 'open_price', 'high_price', 'low_price', 'close_price', 'trade_count',
        ] %}
        klines.{{ column }} as klines_{{ column }},
        {%- endfor %}
        {%- for unit in ['usd', 'base'] %}
        greatest(
            {{ bar_amount_tolerance() }} * klines.volume_{{ unit }},
            {{ day_amount_tolerance() }} * trades.day_volume_{{ unit }}
        ) as tolerance_{{ unit }}{{ ',' if not loop.last }}
        {%- endfor %}
    from trade_bars as trades
    inner join bars as klines
        on klines.source = 'klines' and trades.market_id = klines.market_id and trades.bar_hours = klines.bar_hours
        and trades.bar_at = klines.bar_at
    -- A bar without volume is judged where its neighbours are known (`int_flow_klines`).
    where klines.volume_usd > 0
        and greatest(trades.trade_count, klines.trade_count) >= {{ fewest_trades_to_compare() }} * klines.bar_hours
),

-- A source that counts fewer trades and holds less of a bar lacks part of it: incomplete, and by itself no
-- contradiction.
compared_pairs as (
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
    from pairs
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
    cast(market_id as varchar) as market_id,
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
