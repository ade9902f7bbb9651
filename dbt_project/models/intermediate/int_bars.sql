-- One row per market, grain (1, 4, 24 hours) and bar, each from the source that is complete. Every mart of net taker volume,
-- dominance and spikes reads these. A grain coarser than what a market has is filled, a finer one is not.
with grains as (
    select 1 as grain_hours
    union all
    select 4 as grain_hours
    union all
    select 24 as grain_hours
),

buckets as (
    select
        bars.market_id,
        bars.source,
        bars.bar_hours as source_bar_hours,
        grains.grain_hours,
        {{ bar_start('bars.bar_at', 'grains.grain_hours') }} as bar_at,
        bars.bar_date,
        cast(sum(bars.taker_buy_usd) as decimal(38,8)) as taker_buy_usd,
        cast(sum(bars.taker_sell_usd) as decimal(38,8)) as taker_sell_usd,
        cast(sum(bars.taker_buy_base) as decimal(38,8)) as taker_buy_base,
        cast(sum(bars.taker_sell_base) as decimal(38,8)) as taker_sell_base,
        {{ value_at_first('bars.open_price', 'bars.bar_at') }} as open_price,
        max(bars.high_price) as high_price,
        min(bars.low_price) as low_price,
        {{ value_at_last('bars.close_price', 'bars.bar_at') }} as close_price,
        cast(sum(bars.trade_count) as bigint) as trade_count,
        cast(sum(bars.covered_minutes) as bigint) as covered_minutes
    from {{ ref('int_flow_bars') }} as bars
    inner join grains on bars.bar_hours <= grains.grain_hours
    group by
        bars.market_id, bars.source, bars.bar_hours, grains.grain_hours,
        {{ bar_start('bars.bar_at', 'grains.grain_hours') }}, bars.bar_date
),

-- Per day and grain: the klines that hold most of the day, of these the finest.
kline_choices as (
    select
        market_id,
        bar_date,
        grain_hours,
        source_bar_hours,
        row_number() over (
            partition by market_id, bar_date, grain_hours
            order by sum(covered_minutes) desc, source_bar_hours asc
        ) as choice
    from buckets
    where source = 'klines'
    group by market_id, bar_date, grain_hours, source_bar_hours
),

kline_buckets as (
    select buckets.*
    from buckets
    inner join kline_choices as choices
        on buckets.market_id = choices.market_id
        and buckets.bar_date = choices.bar_date
        and buckets.grain_hours = choices.grain_hours
        and buckets.source_bar_hours = choices.source_bar_hours
    where buckets.source = 'klines' and choices.choice = 1
),

-- Klines that agree with the trades of a day prove them as complete as they are themselves. Without whole klines, only minutes
-- with a trade are proven: a lower bound, since a quiet minute looks like a lost one.
trade_buckets as (
    select
        buckets.*,
        case
            when days.verdict in ('trades_only', 'conflict') then {{ share('buckets.covered_minutes', 'buckets.grain_hours * 60') }}
            else days.kline_coverage_ratio
        end as coverage_ratio
    from buckets
    inner join {{ ref('int_flow_days') }} as days
        on buckets.market_id = days.market_id and buckets.bar_date = days.bar_date
    where buckets.source = 'trades' and days.is_built_from_trades
),

-- Klines fill every bar that trades do not: whole days, and on a day of trades the bars in which, as both sources agree,
-- nothing was traded.
filled_buckets as (
    select
        kline_buckets.*,
        {{ share('kline_buckets.covered_minutes', 'kline_buckets.grain_hours * 60') }} as coverage_ratio
    from kline_buckets
    where not exists (
        select 1
        from trade_buckets
        where trade_buckets.market_id = kline_buckets.market_id
            and trade_buckets.grain_hours = kline_buckets.grain_hours
            and trade_buckets.bar_at = kline_buckets.bar_at
    )
),

bars as (
    select * from trade_buckets
    union all
    select * from filled_buckets
),

amounts as (
    select
        market_id,
        grain_hours,
        bar_at,
        bar_date,
        taker_buy_usd,
        taker_sell_usd,
        taker_buy_usd - taker_sell_usd as net_taker_usd,
        taker_buy_base,
        taker_sell_base,
        taker_buy_base - taker_sell_base as net_taker_base,
        taker_buy_usd + taker_sell_usd as volume_usd,
        taker_buy_base + taker_sell_base as volume_base,
        open_price,
        high_price,
        low_price,
        close_price,
        trade_count,
        source,
        source_bar_hours,
        coverage_ratio
    from bars
)

select
    market_id,
    cast(grain_hours as integer) as grain_hours,
    bar_at,
    bar_date,
    taker_buy_usd,
    taker_sell_usd,
    net_taker_usd,
    taker_buy_base,
    taker_sell_base,
    net_taker_base,
    volume_usd,
    volume_base,
    {{ exact_quotient('taker_sell_usd', 'volume_usd') }} as taker_sell_ratio,
    {{ exact_quotient('taker_buy_usd', 'taker_sell_usd') }} as taker_buy_sell_ratio,
    open_price,
    high_price,
    low_price,
    close_price,
    trade_count,
    source as flow_source,
    cast(source_bar_hours as integer) as source_bar_hours,
    coverage_ratio
from amounts
order by market_id, grain_hours, bar_at
