-- One row per market and UTC day of the venue's metrics: the day's last observation, NULL when there is none. Only days
-- that are new or corrected since the last build are read. A zero is a hole in the venue's file, not an empty market.
with current_receipts as (
    select market_id, trade_date, source_state
    from {{ ref('int_metrics_receipts') }}
),

unchanged_days as (
    select built.market_id, built.trade_date, built.source_state, built.open_interest_base, built.open_interest_usd
    from {{ built_open_interest() }} as built
    inner join current_receipts
        on built.market_id = current_receipts.market_id
        and built.trade_date = current_receipts.trade_date
        and built.source_state = current_receipts.source_state
),

-- Linear: base and quote. Inverse: contracts and base.
observations as (
    select
        metrics.market_id,
        metrics.trade_date,
        current_receipts.source_state,
        case when metrics.open_interest > 0 and metrics.open_interest_value > 0 then metrics.observed_at end
            as observed_at,
        cast(
            case markets.contract_type when 'inverse' then metrics.open_interest_value else metrics.open_interest end
            * coalesce(markets.base_multiplier, 1) as decimal(38,8)
        ) as open_interest_base,
        case markets.contract_type
            when 'inverse'
                then cast(cast(metrics.open_interest as decimal(38,8)) * cast(markets.contract_size as decimal(38,8))
                    as decimal(38,8))
            else cast(metrics.open_interest_value as decimal(38,8))
        end as open_interest_usd
    from {{ ref('stg_raw__metrics') }} as metrics
    inner join current_receipts
        on metrics.market_id = current_receipts.market_id and metrics.trade_date = current_receipts.trade_date
    inner join {{ ref('int_markets') }} as markets on metrics.market_id = markets.market_id
    where {{ is_stale_open_interest_day('metrics.trade_date') }}
        and not exists (
            select 1
            from unchanged_days
            where unchanged_days.market_id = metrics.market_id and unchanged_days.trade_date = metrics.trade_date
        )
),

read_days as (
    select
        market_id,
        trade_date,
        max(source_state) as source_state,
        {{ value_at_last('open_interest_base', 'observed_at') }} as open_interest_base,
        {{ value_at_last('open_interest_usd', 'observed_at') }} as open_interest_usd
    from observations
    group by market_id, trade_date
),

days as (
    select * from unchanged_days
    union all
    select * from read_days
)

select
    cast(market_id as varchar) as market_id,
    cast(trade_date as date) as trade_date,
    cast(source_state as varchar) as source_state,
    cast(open_interest_base as decimal(38,8)) as open_interest_base,
    cast(open_interest_usd as decimal(38,8)) as open_interest_usd
from days
order by market_id, trade_date
