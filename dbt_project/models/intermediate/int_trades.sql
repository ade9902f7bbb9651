-- One row per trade, or aggregate of trades, of the archive: each market's from the dataset that `int_trades_receipts`
-- chooses.
{{ config(materialized='view') }}

{%- set staged = {'aggTrades': 'stg_raw__agg_trades', 'trades': 'stg_raw__trades'} %}

with stored_days as (
    select dataset, market_id, bar_date
    from {{ ref('int_trades_receipts') }}
    where status = 'stored'
)

-- Each dataset against its own days: an engine leaves the files of one without days closed.
{%- for dataset, model in staged.items() %}
select
    trades.market_id,
    trades.trade_id,
    trades.traded_at,
    trades.bar_date,
    trades.price,
    trades.quantity,
    trades.trade_count,
    trades.is_taker_buy
from {{ ref(model) }} as trades
where exists (
    select 1
    from stored_days
    where stored_days.dataset = '{{ dataset }}'
        and stored_days.market_id = trades.market_id
        and stored_days.bar_date = trades.bar_date
)
{{- '\nunion all' if not loop.last }}
{%- endfor %}
