-- One row per market, or aggregate over venues, and day, now or in the last build: which have other bars than the last
-- build ranked. Aggregates over venues have no days in `int_market_bar_days`, and are compared whole.
-- depends_on: {{ ref('int_market_bar_days') }}
{%- set columns = [
    'venue', 'venue_set', 'grain_hours', 'bar_at', 'taker_buy_usd', 'taker_sell_usd', 'net_taker_usd',
    'taker_buy_base', 'taker_sell_base', 'net_taker_base', 'volume_usd', 'volume_base', 'taker_sell_ratio',
    'taker_buy_sell_ratio', 'open_price', 'high_price', 'low_price', 'close_price', 'trade_count', 'flow_source',
    'source_bar_hours', 'coverage_ratio', 'is_provisional', 'is_running', 'flow_quality', 'set_changed_at',
] %}
{%- set of_aggregates = 'market_id in (select market_id from ' ~ ref('int_aggregate_bars') ~ ')' %}

with found as (
    {%- if note_of_last_build() %}
    select market_id, bar_date, row_count, row_hashes
    from {{ hashed_changed_days('int_bars', columns, 'bars', 'int_market_bar_days') }} as hashed
    union all
    select market_id, bar_date, row_count, row_hashes
    from {{ hashed_days('int_bars', columns, of_aggregates) }} as hashed_aggregates
    {%- else %}
    select market_id, bar_date, row_count, row_hashes
    from {{ hashed_days('int_bars', columns) }} as hashed
    {%- endif %}
)

select market_id, bar_date, row_count, row_hashes, is_changed, build_id
from {{ compared_days('bars') }} as compared
order by market_id, bar_date
