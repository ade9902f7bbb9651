-- One row per market, grain, bar and horizon of the event study: what the price did from the bar's open to the open so
-- many days later. Bars whose exit is not there have no row. Entries that `int_entry_changes` names are replaced.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {
        'changes': 'int_entry_changes', 'keys': ['market_id', 'horizon_days'], 'instant': 'entry_at',
    }},
) }}
{%- set changes = changes_in('int_entry_changes') %}
{%- set replaces = replaces_changes() %}

with horizons as (
    {%- for days in study_horizons() %}
    select {{ days }} as horizon_days{{ ' union all' if not loop.last }}
    {%- endfor %}
),

opens as (
    select market_id, grain_hours, bar_at, open_price
    from {{ ref('int_bars') }}
),

-- Entries are joined with horizons first: then an exit is found by equality.
entries as (
    select
        opens.market_id,
        opens.grain_hours,
        horizons.horizon_days,
        opens.bar_at as entry_at,
        opens.open_price as entry_price,
        opens.bar_at + {{ hours_as_interval('horizons.horizon_days * 24') }} as exit_at
    from opens
    cross join horizons
    {%- if replaces %}
    inner join {{ changes }} as changes
        on opens.market_id = changes.market_id and horizons.horizon_days = changes.horizon_days
        and opens.bar_at >= changes.from_at and opens.bar_at < changes.to_at
    {%- endif %}
),

exits as (
    select market_id, grain_hours, bar_at, open_price
    from opens
    where bar_at >= (select min(exit_at) from entries)
)

select
    entries.market_id,
    entries.grain_hours,
    cast(entries.horizon_days as integer) as horizon_days,
    entries.entry_at,
    entries.entry_price,
    entries.exit_at,
    exits.open_price as exit_price,
    -- A double's quotient, rounded to a decimal: sums of these no longer depend on the order of the rows, and an exact
    -- quotient of every bar would cost more than the rest of the study.
    cast(
        {{ exact_as_double('exits.open_price', 18) }} / {{ exact_as_double('entries.entry_price', 18) }} - 1
        as decimal(18,12)
    ) as price_return
from entries
inner join exits
    on entries.market_id = exits.market_id
    and entries.grain_hours = exits.grain_hours
    and entries.exit_at = exits.bar_at
    -- A return of a million has no room, and is none.
    and cast(exits.open_price as double) < 1e6 * cast(entries.entry_price as double)
order by entries.market_id, entries.grain_hours, entries.horizon_days, entries.entry_at
