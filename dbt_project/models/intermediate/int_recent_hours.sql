-- One row per market and hour that the archive does not have, from the venue's API or its feed. Of several sources the
-- one that covers most of the hour, of equals the venue's own bars, then its trades, then what the collector received.
with archive_days as (
    -- What the archive has of a day is no flow where its trades are implausible and it has no klines.
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

-- Collected trades prove their hour for as many minutes as a connection was up, and no more.
collected_hours as (
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

-- An hour that was collected without a trade has no bar, and is covered.
hours_by_source as (
    select
        coalesce(bars.market_id, collected.market_id) as market_id,
        coalesce(bars.bar_at, collected.bar_at) as bar_at,
        coalesce(bars.bar_date, collected.bar_date) as bar_date,
        coalesce(bars.source, collected.source) as source,
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
        case when bars.source = 'rest_klines' then 60 else least(coalesce(collected.covered_minutes, 0), 60) end
            as covered_minutes
    from recent_bars as bars
    full outer join collected_hours as collected
        on bars.market_id = collected.market_id and bars.source = collected.source and bars.bar_at = collected.bar_at
),

ranked_hours as (
    select
        hours_by_source.*,
        row_number() over (
            partition by market_id, bar_at
            order by
                has_bar desc,
                -- The venue's bar without volume is no proof against a trade.
                case when taker_buy_usd + taker_sell_usd > 0 then 0 else 1 end,
                covered_minutes desc,
                case source when 'rest_klines' then 1 when 'rest_trades' then 2 else 3 end
        ) as choice
    from hours_by_source
)

select
    market_id,
    bar_at,
    bar_date,
    source,
    has_bar,
    {{ bar_columns('ranked_hours') }}
from ranked_hours
where choice = 1
order by market_id, bar_at
