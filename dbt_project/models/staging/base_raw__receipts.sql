-- One row per dataset, market, interval and UTC day that was requested and answered: the receipt index as it is on
-- disk. A table on purpose: every model of one build must see the same receipts even while ingestion continues, and the
-- audit reads them from the warehouse file alone.
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
    base_multiplier,
    delivered_at,
    "interval",
    period,
    "day",
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
    known_at
from {{ raw_files('receipts') }} as receipts
