-- One row per market, grain (1, 4, 24 hours) and bar, each from the source that is complete. A grain coarser than what a market has is
-- filled, a finer one is not. Days that the archive does not have come from the venue's api and feed: they are provisional.
with grains as (
    select 1 as grain_hours
    union all
    select 4 as grain_hours
    union all
    select 24 as grain_hours
),

-- Of each hour the rows of the venue's files that were set aside; a row whose hour is not known may belong to any hour of its day.
set_aside as (
    select market_id, source, bar_date, hour_at, sum(row_count) as row_count
    from {{ ref('int_flow_defects') }}
    where kind = 'quarantined_rows'
    group by market_id, source, bar_date, hour_at
),

bars_by_source as (
    select
        bars.market_id,
        bars.source as family,
        bars.source,
        bars.bar_hours,
        bars.bar_at,
        bars.bar_date,
        {%- for column in ['taker_buy_usd', 'taker_sell_usd', 'taker_buy_base', 'taker_sell_base', 'open_price', 'high_price', 'low_price', 'close_price', 'trade_count'] %}
        bars.{{ column }},
        {%- endfor %}
        -- Each row set aside may have been all that its minute held.
        greatest(bars.covered_minutes - coalesce(of_hour.row_count, 0) - coalesce(of_day.row_count, 0), 0) as covered_minutes
    from {{ ref('int_flow_bars') }} as bars
    left join set_aside as of_hour
        on bars.market_id = of_hour.market_id and bars.source = of_hour.source and bars.bar_at = of_hour.hour_at
    left join set_aside as of_day
        on bars.market_id = of_day.market_id
        and bars.source = of_day.source
        and bars.bar_date = of_day.bar_date
        and of_day.hour_at is null
    where bars.source = 'trades'
    union all
    select
        market_id,
        'klines' as family,
        source,
        bar_hours,
        bar_at,
        bar_date,
        {%- for column in ['taker_buy_usd', 'taker_sell_usd', 'taker_buy_base', 'taker_sell_base', 'open_price', 'high_price', 'low_price', 'close_price', 'trade_count'] %}
        {{ column }},
        {%- endfor %}
        covered_minutes
    from {{ ref('int_flow_klines') }}
    where state <> 'doubtful'
),

buckets as (
    select
        bars.market_id,
        bars.family,
        case when min(bars.source) = max(bars.source) then min(bars.source) else 'mixed' end as source,
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
    from bars_by_source as bars
    inner join grains on bars.bar_hours <= grains.grain_hours
    group by
        bars.market_id, bars.family, bars.bar_hours, grains.grain_hours,
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
    where family = 'klines'
    group by market_id, bar_date, grain_hours, source_bar_hours
),

kline_buckets as (
    select
        buckets.*,
        {{ share('buckets.covered_minutes', 'buckets.grain_hours * 60') }} as coverage_ratio
    from buckets
    inner join kline_choices as choices
        on buckets.market_id = choices.market_id
        and buckets.bar_date = choices.bar_date
        and buckets.grain_hours = choices.grain_hours
        and buckets.source_bar_hours = choices.source_bar_hours
    where buckets.family = 'klines' and choices.choice = 1
),

-- Klines that agree with the trades of a day prove them as complete as they are themselves, over the same time or, where they are longer, the
-- bar that holds it. Without them only minutes with a trade are proven: a lower bound, since a quiet minute looks like a lost one.
trade_buckets as (
    select
        buckets.*,
        case
            when days.is_confirmed
                then coalesce(
                    same.coverage_ratio,
                    {{ share('longer.covered_minutes', 'longer.bar_hours * 60') }},
                    {{ share('buckets.covered_minutes', 'buckets.grain_hours * 60') }}
                )
            else {{ share('buckets.covered_minutes', 'buckets.grain_hours * 60') }}
        end as coverage_ratio
    from buckets
    inner join {{ ref('int_flow_days') }} as days
        on buckets.market_id = days.market_id and buckets.bar_date = days.bar_date
    left join kline_buckets as same
        on buckets.market_id = same.market_id
        and buckets.grain_hours = same.grain_hours
        and buckets.bar_at = same.bar_at
    left join {{ ref('int_flow_klines') }} as longer
        on buckets.market_id = longer.market_id
        and days.kline_bar_hours = longer.bar_hours
        and longer.bar_hours > buckets.grain_hours
        and {{ bar_start('buckets.bar_at', 'days.kline_bar_hours') }} = longer.bar_at
    where buckets.family = 'trades' and days.is_built_from_trades
),

-- Klines fill every bar that trades do not: whole days, and on a day of trades the bars in which, as both sources agree,
-- nothing was traded.
filled_buckets as (
    select kline_buckets.*
    from kline_buckets
    where not exists (
        select 1
        from trade_buckets
        where trade_buckets.market_id = kline_buckets.market_id
            and trade_buckets.grain_hours = kline_buckets.grain_hours
            and trade_buckets.bar_at = kline_buckets.bar_at
    )
),

-- What the archive has of a day is no flow where its trades are implausible and it has no klines.
archive_days as (
    select market_id, bar_date
    from {{ ref('int_flow_days') }}
    where not coalesce(verdict = 'trades_implausible' and klines_volume_usd is null, false)
),

recent_bars as (
    select bars.*
    from {{ ref('int_flow_bars') }} as bars
    where bars.source in ('rest_klines', 'rest_trades', 'live_trades')
        and not exists (
            select 1
            from archive_days as days
            where days.market_id = bars.market_id and days.bar_date = bars.bar_date
        )
),

-- Trades that we collected prove what they hold for as many minutes as we listened, and no more.
heard_hours as (
    select
        coverage.venue || ':' || coverage.symbol as market_id,
        case coverage.dataset when 'restTrades' then 'rest_trades' else 'live_trades' end as source,
        coverage.hour_at as bar_at,
        cast(coverage.hour_at as date) as bar_date,
        coverage.covered_minutes
    from {{ ref('stg_raw__coverage') }} as coverage
    where coverage.dataset in ('restTrades', 'liveTrades')
        and not exists (
            select 1
            from archive_days as days
            where days.market_id = coverage.venue || ':' || coverage.symbol
                and days.bar_date = cast(coverage.hour_at as date)
        )
),

recent_hours as (
    select
        coalesce(bars.market_id, heard.market_id) as market_id,
        coalesce(bars.bar_at, heard.bar_at) as bar_at,
        coalesce(bars.bar_date, heard.bar_date) as bar_date,
        coalesce(bars.source, heard.source) as source,
        bars.market_id is not null as has_bar,
        bars.taker_buy_usd,
        bars.taker_sell_usd,
        bars.taker_buy_base,
        bars.taker_sell_base,
        bars.open_price,
        bars.high_price,
        bars.low_price,
        bars.close_price,
        bars.trade_count,
        case when bars.source = 'rest_klines' then 60 else least(coalesce(heard.covered_minutes, 0), 60) end as covered_minutes
    from recent_bars as bars
    full outer join heard_hours as heard
        on bars.market_id = heard.market_id and bars.source = heard.source and bars.bar_at = heard.bar_at
),

-- Of several sources the one that covers most of the hour, of equals the venue's own bars, then its trades, then what we heard.
-- An hour that was listened to without a trade has no bar, and is covered.
recent_choices as (
    select
        recent_hours.*,
        row_number() over (
            partition by market_id, bar_at
            order by
                has_bar desc,
                -- The venue's bar without volume is no proof against a trade.
                case when taker_buy_usd + taker_sell_usd > 0 then 0 else 1 end,
                covered_minutes desc,
                case source when 'rest_klines' then 1 when 'rest_trades' then 2 else 3 end
        ) as choice
    from recent_hours
),

-- Up to when each market is known: a bar that ends later is still running.
known_until as (
    select market_id, max(known_until_at) as known_until_at
    from (
        select market_id, max(cast(bar_date as timestamp) + interval '1' day) as known_until_at
        from {{ ref('int_flow_days') }}
        group by market_id
        union all
        select market_id, max(case when covered_minutes = 60 then bar_at + interval '1' hour else bar_at end) as known_until_at
        from recent_choices
        where choice = 1
        group by market_id
    ) as ends
    group by market_id
),

recent_buckets as (
    select
        hours.market_id,
        'recent' as family,
        case
            when min(case when has_bar then source end) = max(case when has_bar then source end)
                then max(case when has_bar then source end)
            else 'mixed'
        end as source,
        1 as source_bar_hours,
        grains.grain_hours,
        {{ bar_start('hours.bar_at', 'grains.grain_hours') }} as bar_at,
        hours.bar_date,
        cast(sum(hours.taker_buy_usd) as decimal(38,8)) as taker_buy_usd,
        cast(sum(hours.taker_sell_usd) as decimal(38,8)) as taker_sell_usd,
        cast(sum(hours.taker_buy_base) as decimal(38,8)) as taker_buy_base,
        cast(sum(hours.taker_sell_base) as decimal(38,8)) as taker_sell_base,
        {{ value_at_first('hours.open_price', 'hours.bar_at') }} as open_price,
        max(hours.high_price) as high_price,
        min(hours.low_price) as low_price,
        {{ value_at_last('hours.close_price', 'hours.bar_at') }} as close_price,
        cast(sum(hours.trade_count) as bigint) as trade_count,
        cast(sum(hours.covered_minutes) as bigint) as covered_minutes
    from recent_choices as hours
    cross join grains
    where hours.choice = 1
    group by
        hours.market_id, grains.grain_hours, {{ bar_start('hours.bar_at', 'grains.grain_hours') }}, hours.bar_date
    having max(case when has_bar then 1 else 0 end) = 1
),

bars as (
    select trade_buckets.*, false as is_provisional, false as is_running
    from trade_buckets
    union all
    select filled_buckets.*, false as is_provisional, false as is_running
    from filled_buckets
    union all
    select
        recent_buckets.*,
        {{ share('recent_buckets.covered_minutes', 'recent_buckets.grain_hours * 60') }} as coverage_ratio,
        true as is_provisional,
        recent_buckets.bar_at + {{ hours_as_interval('recent_buckets.grain_hours') }} > known_until.known_until_at as is_running
    from recent_buckets
    inner join known_until on recent_buckets.market_id = known_until.market_id
),

-- Hours in which something was set aside; of a row whose hour is not known the day.
noted_hours as (
    select market_id, bar_date, hour_at
    from set_aside
    union
    select market_id, bar_date, bar_at as hour_at
    from {{ ref('int_flow_klines') }}
    where state = 'doubtful'
),

noted as (
    select
        noted_hours.market_id,
        grains.grain_hours,
        {{ bar_start('noted_hours.hour_at', 'grains.grain_hours') }} as bar_at
    from noted_hours
    cross join grains
    where noted_hours.hour_at is not null
    union
    select market_id, 24 as grain_hours, cast(bar_date as timestamp) as bar_at
    from noted_hours
    where hour_at is null
),

amounts as (
    select
        bars.market_id,
        bars.grain_hours,
        bars.bar_at,
        bars.bar_date,
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
        coverage_ratio,
        is_provisional,
        is_running,
        greatest(
            case when noted.market_id is not null then {{ quality_number("'rows_quarantined'") }} else 0 end,
            coalesce(days.quality, 0)
        ) as quality
    from bars
    left join {{ ref('int_flow_days') }} as days on bars.market_id = days.market_id and bars.bar_date = days.bar_date
    left join noted
        on bars.market_id = noted.market_id and bars.grain_hours = noted.grain_hours and bars.bar_at = noted.bar_at
)

select
    market_id,
    substring(market_id, 1, position(':' in market_id) - 1) as venue,
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
    coverage_ratio,
    is_provisional,
    is_running,
    {{ quality_name('quality') }} as flow_quality
from amounts
order by market_id, grain_hours, bar_at
