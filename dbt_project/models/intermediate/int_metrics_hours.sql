-- One row per market and hour of the venue's metrics: between which values the takers' ratio of its five minutes lay,
-- and the price by which the venue valued the open interest. Only days that are new or corrected since the last build
-- are read. Witnesses of the bars, see `int_flow_metric_bars`.
with current_receipts as (
    select market_id, trade_date, source_state
    from {{ ref('int_metrics_receipts') }}
),

unchanged_hours as (
    select built.*
    from {{ built_metrics_hours() }} as built
    inner join current_receipts
        on built.market_id = current_receipts.market_id
        and built.trade_date = current_receipts.trade_date
        and built.source_state = current_receipts.source_state
),

-- Linear: amounts are base and quote. Inverse: contracts and base.
observations as (
    select
        metrics.market_id,
        metrics.trade_date,
        current_receipts.source_state,
        date_trunc('hour', metrics.observed_at) as hour_at,
        metrics.observed_at,
        case when metrics.taker_buy_sell_ratio > 0 then cast(metrics.taker_buy_sell_ratio as double) end as taker_ratio,
        case
            when metrics.open_interest > 0 and metrics.open_interest_value > 0
                then case markets.contract_type
                    when 'inverse'
                        then cast(metrics.open_interest as double) * cast(markets.contract_size as double)
                            / cast(metrics.open_interest_value as double)
                    else cast(metrics.open_interest_value as double) / cast(metrics.open_interest as double)
                end / coalesce(markets.base_multiplier, 1)
        end as price
    from {{ ref('stg_raw__metrics') }} as metrics
    inner join current_receipts
        on metrics.market_id = current_receipts.market_id and metrics.trade_date = current_receipts.trade_date
    inner join {{ ref('int_markets') }} as markets on metrics.market_id = markets.market_id
    where {{ is_stale_metrics_day('metrics.trade_date') }}
        and not exists (
            select 1
            from unchanged_hours
            where unchanged_hours.market_id = metrics.market_id and unchanged_hours.trade_date = metrics.trade_date
        )
),

read_hours as (
    select
        market_id,
        trade_date,
        max(source_state) as source_state,
        hour_at,
        count(taker_ratio) as ratio_count,
        min(taker_ratio) as lowest_ratio,
        max(taker_ratio) as highest_ratio,
        max(case when observed_at = hour_at then taker_ratio end) as first_ratio,
        min(price) as lowest_price,
        max(price) as highest_price
    from observations
    group by market_id, trade_date, hour_at
),

hours as (
    select
        market_id,
        trade_date,
        source_state,
        hour_at,
        ratio_count,
        lowest_ratio,
        highest_ratio,
        first_ratio,
        lowest_price,
        highest_price
    from unchanged_hours
    union all
    select
        market_id,
        trade_date,
        source_state,
        hour_at,
        ratio_count,
        lowest_ratio,
        highest_ratio,
        first_ratio,
        lowest_price,
        highest_price
    from read_hours
)

select
    cast(market_id as varchar) as market_id,
    cast(trade_date as date) as trade_date,
    cast(source_state as varchar) as source_state,
    cast(hour_at as timestamp) as hour_at,
    cast(ratio_count as bigint) as ratio_count,
    cast(lowest_ratio as double) as lowest_ratio,
    cast(highest_ratio as double) as highest_ratio,
    cast(first_ratio as double) as first_ratio,
    cast(lowest_price as double) as lowest_price,
    cast(highest_price as double) as highest_price
from hours
order by market_id, hour_at
