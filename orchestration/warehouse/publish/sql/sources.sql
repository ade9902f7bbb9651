-- One row per file of the venue behind the bars of a day. A month of klines may be assembled from the venue's daily
-- files; of those, a day's own file has the day in its key.

with stored as (
    select
        market_id,
        dataset,
        kline_interval,
        bar_date,
        string_split(source_keys, ' ') as source_keys,
        string_split(source_sha256, ' ') as checksums,
        revision,
        known_at
    from {{ receipts }}
    where status = 'stored' and dataset in ('klines', 'aggTrades', 'trades')
),

files as (
    select
        * exclude (source_keys, checksums),
        unnest(source_keys) as source_key,
        unnest(checksums) as source_sha256
    from stored
)

select market_id, dataset, kline_interval, bar_date, source_key, source_sha256, revision, known_at
from files
qualify
    contains(source_key, cast(bar_date as varchar))
    or not bool_or(contains(source_key, cast(bar_date as varchar))) over (
        partition by market_id, dataset, kline_interval, bar_date
    )
order by market_id, dataset, kline_interval, bar_date, source_key
