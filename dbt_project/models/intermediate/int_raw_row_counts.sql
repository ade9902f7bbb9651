-- One row per dataset, market, interval and day that is stored: the rows that its receipt states, and those that are
-- read. Only what has changed since it was counted, and what every build reads, is counted.
{% for dataset in counted_datasets() -%}
-- depends_on: {{ source('raw', dataset) }}
{% endfor -%}
-- depends_on: {{ ref('base_raw__receipts') }}
with receipts as (
    select dataset, market_id, kline_interval, bar_date, stored_sha256, row_count
    from {{ ref('stg_raw__receipts') }}
    where status = 'stored'
),

counted_before as (
    select dataset, market_id, kline_interval, bar_date, stored_sha256, found_rows
    from {{ counted_rows() }} as counted
    where not ({{ is_counted_at_every_build('dataset') }})
),

counted_now as (
    select dataset, market_id, kline_interval, bar_date, found_rows
    from {{ rows_to_count() }} as counted
)

select
    cast(receipts.dataset as string) as dataset,
    cast(receipts.market_id as string) as market_id,
    cast(receipts.kline_interval as string) as kline_interval,
    cast(receipts.bar_date as date) as bar_date,
    cast(receipts.stored_sha256 as string) as stored_sha256,
    cast(receipts.row_count as bigint) as expected_rows,
    -- What differed before may be right now.
    cast(
        coalesce(
            case when counted_before.found_rows = receipts.row_count then counted_before.found_rows end,
            counted_now.found_rows,
            0
        ) as bigint
    ) as found_rows
from receipts
left join counted_before
    on receipts.dataset = counted_before.dataset
    and receipts.market_id = counted_before.market_id
    and receipts.kline_interval = counted_before.kline_interval
    and receipts.bar_date = counted_before.bar_date
    and receipts.stored_sha256 = counted_before.stored_sha256
left join counted_now
    on receipts.dataset = counted_now.dataset
    and receipts.market_id = counted_now.market_id
    and receipts.kline_interval = counted_now.kline_interval
    and receipts.bar_date = counted_now.bar_date
order by receipts.dataset, receipts.market_id, receipts.kline_interval, receipts.bar_date
