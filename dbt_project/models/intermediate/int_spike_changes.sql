-- One row per definition and market of which bars changed, or the definition: the values of `int_spike_values` that
-- this build replaces, `from_at` until before `to_at`. A bar is part of its own value and, smoothed, of the next ones.
-- Of a definition that is new, another one or gone it replaces all.
{%- set note = note_of_last_build() %}
{%- set former = adapter.get_relation(this.database, this.schema, this.identifier) if execute and note else none %}

with definitions as (
    select
        definition_id,
        {{ bar_hours('grain') }} as bar_hours,
        smoothing_bars,
        cast({{ definition_hash() }} as decimal(38,0)) as definition_hash
    from {{ ref('spike_definitions') }}
),

noted_definitions as (
    {%- if note %}
    select market_id as definition_id, row_hashes as definition_hash
    from {{ note }}
    where layer = 'definitions'
    {%- else %}
    select definition_id, definition_hash
    from definitions
    where false
    {%- endif %}
),

-- As `compared_days`: what a build that did not complete has replaced is replaced again.
changed_definitions as (
    select coalesce(definitions.definition_id, noted.definition_id) as definition_id
    from definitions
    full outer join noted_definitions as noted on definitions.definition_id = noted.definition_id
    where definitions.definition_hash is distinct from noted.definition_hash
    {%- if former %}
    union
    select former.definition_id
    from {{ former }} as former
    where former.is_redefined
        and not exists (select 1 from {{ note }} as note where note.build_id = former.build_id)
    {%- endif %}
),

markets as (
    select distinct market_id
    from {{ ref('int_bar_days') }}
),

changed_markets as (
    select market_id, min(bar_date) as first_date, max(bar_date) as last_date
    from {{ ref('int_bar_days') }}
    where is_changed
    group by market_id
)

select
    definitions.definition_id,
    markets.market_id,
    cast(changed_markets.first_date as timestamp) as from_at,
    cast(changed_markets.last_date as timestamp) + interval '1' day
    + {{ hours_as_interval('(definitions.smoothing_bars - 1) * definitions.bar_hours') }} as to_at,
    false as is_redefined,
    '{{ invocation_id }}' as build_id
from definitions
cross join changed_markets
inner join markets on changed_markets.market_id = markets.market_id
where definitions.definition_id not in (select definition_id from changed_definitions)
union all
select
    changed_definitions.definition_id,
    markets.market_id,
    {{ first_instant() }} as from_at,
    {{ last_instant() }} as to_at,
    true as is_redefined,
    '{{ invocation_id }}' as build_id
from changed_definitions
cross join markets
