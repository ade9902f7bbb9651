-- One row per market and UTC day of open interest, fundings or liquidations that was requested of the archive: what
-- became of each. What was stored outdoes what was not: a day may be in a file of its month and in one of its own.
{{ config(materialized='ephemeral') }}
{%- set datasets = {
    'open_interest': 'metrics', 'funding': 'fundingRate', 'liquidations': 'liquidationSnapshot'
} %}

select
    market_id,
    bar_date,
    {%- for name, dataset in datasets.items() %}
    case
        {%- for status in ['stored', 'refused', 'damaged', 'absent'] %}
        when sum(case when dataset = '{{ dataset }}' and status = '{{ status }}' then 1 else 0 end) > 0
            then '{{ status }}'
        {%- endfor %}
    end as {{ name }}_status{{ ',' if not loop.last }}
    {%- endfor %}
from {{ ref('stg_raw__receipts') }}
where dataset in ('metrics', 'fundingRate', 'liquidationSnapshot')
group by market_id, bar_date
