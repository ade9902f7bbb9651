-- One row per market and UTC day on which anything was traded: how one-sided the takers were, against the days before.
{%- set window_days = 730 %}
{%- set keys = ['market_id'] %}

with days as (
    select
        market_id,
        venue,
        venue_set,
        bar_at,
        bar_date,
        is_provisional,
        is_running,
        set_changed_at,
        taker_sell_ratio,
        -taker_sell_ratio as pressure,
        coverage_ratio,
        24 as bar_hours,
        {{ window_days }} * 24 as window_hours
    from {{ ref('int_bars') }}
    where grain_hours = 24 and taker_sell_ratio is not null
),

windowed_days as (
    select *
    from {{ windowed('days', [
        'market_id', 'venue', 'venue_set', 'bar_at', 'bar_date', 'is_provisional', 'is_running', 'set_changed_at',
        'taker_sell_ratio', 'pressure', 'coverage_ratio', 'bar_hours', 'window_hours',
    ], keys) }} as days_in_window
),

judged_days as (
    select
        windowed_days.*,
        {{ is_rankable() }} as is_rankable,
        {{ window_coverage() }} as window_coverage_ratio
    from windowed_days
)

select
    market_id,
    venue,
    venue_set,
    bar_date,
    {{ exact_as_double('taker_sell_ratio', 16) }} as taker_sell_ratio,
    case when is_rankable then {{ strict_percentile('rank_from_highest') }} end as sell_dominance_percentile,
    case when is_rankable then {{ strict_percentile('rank_from_lowest') }} end as buy_dominance_percentile,
    cast({{ window_days }} as bigint) as window_days,
    window_bars,
    window_coverage_ratio as coverage_ratio,
    is_provisional,
    {{ unranked_reason('is_rankable', 'window_coverage_ratio') }} as unranked_reason
from judged_days
