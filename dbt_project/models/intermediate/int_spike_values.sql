-- One row per definition, market and bar: the value that is ranked. Bars whose smoothing lacks one of its bars are left
-- out. Those that `int_spike_changes` names are replaced.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {
        'changes': 'int_spike_changes', 'keys': ['definition_id', 'market_id'], 'instant': 'bar_at',
    }},
) }}
{%- set changes = changes_in('int_spike_changes') %}
{%- set replaces = replaces_changes() %}
{%- set aggregates = {
    'provisional_bars': 'count(case when is_provisional then 1 end)',
    'quality': 'max(' ~ quality_number('flow_quality') ~ ')',
    'found_bars': 'count(bar_value)',
    'value_sum': 'sum(bar_value)',
    'coverage_sum': 'sum(coverage_ratio)',
} %}
{%- set definition_columns = [
    'definition_id', 'bar_hours', 'smoothing_bars', 'smoothing_hours', 'unit', 'window_hours', 'decluster_hours',
] %}

with bars_by_definition as (
    select
        {%- for column in definition_columns %}
        definitions.{{ column }},
        {%- endfor %}
        bars.market_id,
        bars.venue,
        bars.venue_set,
        bars.bar_at,
        bars.coverage_ratio,
        bars.is_provisional,
        bars.is_running,
        bars.flow_quality,
        bars.set_changed_at,
        case definitions.unit
            when 'usd' then bars.net_taker_usd
            when 'base' then bars.net_taker_base
            when 'sell_ratio' then cast(bars.taker_sell_ratio as decimal(38,8))
        end as bar_value
    from {{ ref('int_bars') }} as bars
    inner join {{ ref('int_spike_definitions') }} as definitions
        on bars.grain_hours = definitions.bar_hours
        and (definitions.venue is null or definitions.venue = bars.venue)
    {%- if replaces %}
    inner join {{ changes }} as changes
        on definitions.definition_id = changes.definition_id
        and bars.market_id = changes.market_id
        -- With the bars before it that the first value is smoothed over.
        and bars.bar_at >= changes.from_at - {{ hours_as_interval('definitions.smoothing_hours') }}
        and bars.bar_at < changes.to_at
    {%- endif %}
),

smoothed_bars as (
    select
        {{ definition_columns | join(', ') }},
        market_id,
        venue,
        venue_set,
        bar_at,
        is_running,
        -- The last value that holds a bar of another set of markets.
        set_changed_at + {{ hours_as_interval('smoothing_hours') }} as set_changed_at,
        {%- for name, aggregate in aggregates.items() %}
        {{ over_frame(aggregate, 'smoothing', 'smoothing_hours') }} as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from bars_by_definition
    {{ named_frame('smoothing', ['definition_id', 'market_id'], 'smoothing_hours') }}
)
{%- set value = 'cast(' ~ exact_quotient('value_sum', 'smoothing_bars') ~ ' as decimal(38,8))' %}

select
    definition_id,
    market_id,
    venue,
    venue_set,
    cast(bar_hours as bigint) as bar_hours,
    cast(window_hours as bigint) as window_hours,
    cast(decluster_hours as bigint) as decluster_hours,
    bar_at,
    {{ value }} as value,
    {{ pressure_of(value, 'unit') }} as pressure,
    {{ share('coverage_sum', 'smoothing_bars') }} as coverage_ratio,
    provisional_bars > 0 as is_provisional,
    is_running,
    set_changed_at,
    {{ quality_name('quality') }} as flow_quality
from smoothed_bars
where found_bars = smoothing_bars
{%- if replaces %}
    and exists (
        select 1
        from {{ changes }} as changes
        where changes.definition_id = smoothed_bars.definition_id
            and changes.market_id = smoothed_bars.market_id
            and changes.from_at <= smoothed_bars.bar_at
    )
{%- endif %}
order by definition_id, market_id, bar_at
