-- The note for the next build: rows and hash of every market and day, and every definition, that the tables now
-- standing were built from. It exists only after these tables do, so a build that dies in between leaves the old note,
-- and what it had replaced is replaced again.
{%- for table in ['int_kline_buckets', 'int_market_bars', 'int_spike_values', 'int_spike_ranks', 'int_forward_returns',
    'fct_taker_spike_ranks', 'fct_net_taker_volume_hourly', 'fct_open_interest_hourly', 'fct_long_short_ratios',
    'fct_hour_of_week_profile', 'fct_net_taker_volume_minute', 'int_flow_price_levels', 'int_flow_klines',
    'int_flow_days', 'int_brief_ranks', 'int_closes_daily', 'fct_net_taker_volume_daily',
    'fct_spike_forward_returns'] %}
-- depends_on: {{ ref(table) }}
{%- endfor %}
{%- set former = build_of_note() %}
{%- set layers = {'sources': 'int_source_days', 'judged': 'int_judged_days', 'klines': 'int_kline_days',
    'market_bars': 'int_market_bar_days', 'bars': 'int_bar_days', 'metrics': 'int_metrics_days'} %}

with noted as (
    {%- for layer, days in layers.items() %}
    select '{{ layer }}' as layer, market_id, bar_date, row_count, row_hashes
    from {{ ref(days) }}
    where row_count is not null
    union all
    {%- endfor %}
    select
        'definitions' as layer,
        definition_id as market_id,
        cast(null as date) as bar_date,
        1 as row_count,
        cast({{ definition_hash() }} as decimal(38,0)) as row_hashes
    from {{ ref('spike_definitions') }}
)

select
    cast(layer as string) as layer,
    cast(market_id as string) as market_id,
    cast(bar_date as date) as bar_date,
    cast(row_count as bigint) as row_count,
    cast(row_hashes as decimal(38,0)) as row_hashes,
    cast('{{ var('logic_version', '') }}' as string) as logic_version,
    cast('{{ invocation_id }}' as string) as build_id,
    cast({{ "'" ~ former ~ "'" if former else 'null' }} as string) as former_build_id
from noted
order by layer, market_id, bar_date
