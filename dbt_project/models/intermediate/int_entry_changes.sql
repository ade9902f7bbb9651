-- One row per market of which bars changed, horizon and span of entries whose return they may change: those that enter
-- in the changed days, and those that leave in them. Spans of a horizon do not overlap.
with changed_markets as (
    select
        market_id,
        cast(min(bar_date) as timestamp) as from_at,
        cast(max(bar_date) as timestamp) + interval '1' day as to_at
    from {{ ref('int_bar_days') }}
    where is_changed
    group by market_id
)

{% for days in study_horizons() %}
{%- set horizon = "interval '" ~ days ~ "' day" %}
select
    market_id,
    {{ days }} as horizon_days,
    from_at - {{ horizon }} as from_at,
    least(from_at, to_at - {{ horizon }}) as to_at
from changed_markets
union all
select market_id, {{ days }} as horizon_days, from_at, to_at
from changed_markets
{%- if not loop.last %}
union all
{%- endif %}
{% endfor -%}
order by market_id, horizon_days, from_at
