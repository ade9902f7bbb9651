-- One row per dataset, market, interval and UTC day that was requested and answered.
-- A table, so that the audit reads it from the warehouse file alone, whatever name that is attached under.
{{ config(materialized='table') }}

select
    dataset,
    venue,
    symbol,
    market_id,
    base_asset,
    quote_asset,
    contract_type,
    contract_size,
    coalesce(base_multiplier, 1) as base_multiplier,
    {{ utc_timestamp('delivered_at') }} as delivered_at,
    "interval" as kline_interval,
    period,
    "day" as bar_date,
    status,
    row_count,
    id_gaps,
    duplicate_rows,
    zero_rows,
    out_of_order_rows,
    first_id,
    last_id,
    source_keys,
    source_sha256,
    stored_sha256,
    revision,
    {{ utc_timestamp('known_at') }} as known_at
from {{ ref('base_raw__receipts') }} as receipts
