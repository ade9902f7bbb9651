-- One row per reported state of a liquidation order, from the archive where its day is stored there, else as it was
-- received live. The archive publishes every row twice: once is enough.
{{ config(materialized='ephemeral') }}

with archived_states as (
    select distinct
        market_id,
        liquidated_at,
        bar_date,
        order_side,
        is_long_liquidated,
        order_type,
        original_quantity,
        price,
        average_price,
        order_status,
        accumulated_fill_quantity
    from {{ ref('stg_raw__liquidation_snapshots') }}
),

archived_days as (
    select market_id, bar_date
    from {{ ref('stg_raw__receipts') }}
    where dataset = 'liquidationSnapshot' and status = 'stored'
)

select
    market_id,
    liquidated_at,
    bar_date,
    'archive' as liquidation_source,
    is_long_liquidated,
    order_type,
    cast(original_quantity as decimal(38,8)) as original_quantity,
    cast(price as decimal(38,12)) as limit_price,
    cast(average_price as decimal(38,12)) as average_price,
    order_status,
    cast(accumulated_fill_quantity as decimal(38,8)) as filled_quantity,
    true as is_order_reported
from archived_states
union all
select
    market_id,
    liquidated_at,
    bar_date,
    'live' as liquidation_source,
    is_long_liquidated,
    'LIMIT' as order_type,
    cast(original_quantity as decimal(38,8)) as original_quantity,
    cast(limit_price as decimal(38,12)) as limit_price,
    cast(price as decimal(38,12)) as average_price,
    order_status,
    cast(quantity as decimal(38,8)) as filled_quantity,
    original_quantity is not null and limit_price is not null as is_order_reported
from {{ ref('stg_raw__liquidation_events') }} as messages
where not exists (
    select 1
    from archived_days
    where archived_days.market_id = messages.market_id and archived_days.bar_date = messages.bar_date
)
