-- One row per bar with trades of the archive's trades or klines, beside the bars before and after it, with the number
-- of the level of prices to which it belongs. A level is what follows upon each other without a step in price.
--
-- Where `int_flow_price_levels` replaces what `int_price_changes` names, of those bars alone: levels are counted on
-- from that of the last bar before.
-- Longer than 100 lines: what is counted on from is read beside what is counted.
{{ config(materialized='ephemeral') }}
{%- set changes = changes_in('int_price_changes') %}
{%- set replaces = replaces_changes('int_flow_price_levels') %}

with
{%- if replaces %}
former_bars as (
    select
        levels.market_id,
        levels.source,
        levels.bar_hours,
        max(levels.bar_at) as bar_at,
        max(levels.price_level) as price_level
    from {{ this.incorporate(path={'identifier': 'int_flow_price_levels'}) }} as levels
    inner join {{ changes }} as changes on levels.market_id = changes.market_id and levels.bar_at < changes.from_at
    group by levels.market_id, levels.source, levels.bar_hours
),
{%- endif %}

judged_bars as (
    select
        archive_bars.*,
        {%- if replaces %}
        coalesce(former_bars.price_level, 0) as former_level,
        archive_bars.bar_at >= changes.from_at as is_replaced
        {%- else %}
        0 as former_level,
        true as is_replaced
        {%- endif %}
    from {{ archive_bars() }} as archive_bars
    {%- if replaces %}
    inner join {{ changes }} as changes on archive_bars.market_id = changes.market_id
    left join former_bars
        on archive_bars.market_id = former_bars.market_id and archive_bars.source = former_bars.source
        and archive_bars.bar_hours = former_bars.bar_hours
    where archive_bars.bar_at >= coalesce(former_bars.bar_at, changes.from_at)
    {%- endif %}
),

bars as (
    select
        market_id,
        source,
        bar_hours,
        bar_at,
        open_price,
        high_price,
        low_price,
        close_price,
        trade_count,
        former_level,
        is_replaced,
        lag(bar_at) over series as former_at,
        lag(close_price) over series as former_close,
        lag(trade_count) over series as former_count,
        lead(bar_at) over series as next_at,
        lead(open_price) over series as next_open,
        lead(trade_count) over series as next_count
    from judged_bars
    where volume_usd > 0 and low_price > 0
    window series as (partition by market_id, source, bar_hours order by bar_at)
),

bars_with_gaps as (
    select
        bars.*,
        case
            when bar_at = former_at + {{ hours_as_interval('bar_hours') }}
                then {{ price_gap('open_price', 'former_close') }}
        end as gap_before,
        case
            when next_at = bar_at + {{ hours_as_interval('bar_hours') }}
                then {{ price_gap('close_price', 'next_open') }}
        end as gap_after
    from bars
)

select
    market_id,
    source,
    bar_hours,
    bar_at,
    open_price,
    high_price,
    low_price,
    close_price,
    trade_count,
    former_close,
    former_count,
    next_count,
    gap_before,
    gap_after,
    former_level + sum(case when gap_before > {{ price_step() }} then 1 else 0 end) over (
        partition by market_id, source, bar_hours
        order by bar_at
        rows between unbounded preceding and current row
    ) as price_level
from bars_with_gaps
where is_replaced
