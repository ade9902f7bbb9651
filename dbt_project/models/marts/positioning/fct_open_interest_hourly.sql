-- One row per market and hour of the venue's metrics: the hour's last observation of open interest, its change over an
-- hour and a day, and what contradicts it. What `int_metrics_changes` names is replaced.
--
-- `conflict`: that of the day (`int_open_interest_daily`), where it is of all its observations or this is its own. By
-- the market's bars: its value divided by its amount is no price of the market. By the hours before and after: it
-- stands alone between them, by more than was traded around it.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {'changes': 'int_metrics_changes', 'keys': ['market_id'], 'instant': 'bar_at'}},
) }}
{%- set changes = changes_in('int_metrics_changes') %}

-- An hour is compared with that of the day before, which is judged by the one before it.
with hours as (
    select
        market_id,
        hour_at as bar_at,
        {{ value_at_last('bar_date', 'observed_at') }} as bar_date,
        max(observed_at) as observed_at,
        {{ value_at_last('open_interest_base', 'observed_at') }} as open_interest_base,
        {{ value_at_last('open_interest_usd', 'observed_at') }} as open_interest_usd,
        sum(observation_count) as observation_count
    from {{ ref('int_metrics_hours') }} as metrics
    where {{ is_near_changed_metrics('metrics', 'hour_at', before=25, after=1) }}
    group by market_id, hour_at
),

bars as (
    -- The first of these hours is 25 before a change, and its witnesses are at most three days older.
    {%- set first = least_of(changes, 'from_at') ~ " - interval '5' day" if replaces_changes() %}
    select * from {{ witness_bars('hours', 'observed_at', first) }} as witnesses
),

hours_with_witnesses as (
    select
        hours.*,
        {{ of_shortest_bar(['low_price', 'high_price', 'volume_base']) }},
        max(hours.open_interest_base) over hour_before as former_base,
        max(hours.open_interest_base) over hour_after as next_base
    from hours
    {{ join_witness_bars('bars', 'hours', "hours.observed_at - interval '1' second") }}
    window
        hour_before as {{ hours_apart('hours.market_id', 'hours.bar_at', 1) }},
        hour_after as {{ hours_apart('hours.market_id', 'hours.bar_at', 1, 'following') }}
),

judged_hours as (
    select
        hours.*,
        case
            when days.is_of_whole_day or days.observed_at = hours.observed_at then days.conflict
        end as day_conflict,
        {{ is_price_elsewhere('cast(hours.open_interest_usd as double) / cast(hours.open_interest_base as double)',
            'hours', traded_price_factor()) }} as is_price_elsewhere,
        {{ stands_alone('hours.open_interest_base', 'hours.former_base', 'hours.open_interest_base', 'hours.next_base',
            'hours.volume_base') }} as is_alone
    from hours_with_witnesses as hours
    left join {{ ref('int_open_interest_daily') }} as days
        on hours.market_id = days.market_id and hours.bar_date = days.bar_date
),

hours_with_conflicts as (
    select
        judged_hours.*,
        coalesce(
            day_conflict,
            'open interest of ' || {{ figure_text('open_interest_base') }} || ' base' || case
                when is_price_elsewhere then {{ worth_elsewhere_text() }}
                when is_alone then {{ stands_between_text('former_base', 'next_base') }}
            end
        ) as conflict
    from judged_hours
),

compared_hours as (
    select
        hours.*,
        max(case when conflict is null then open_interest_base end) over hour_before as base_1h_before,
        max(case when conflict is null then open_interest_base end) over day_before as base_24h_before
    from hours_with_conflicts as hours
    window
        hour_before as {{ hours_apart('market_id', 'bar_at', 1) }},
        day_before as {{ hours_apart('market_id', 'bar_at', 24) }}
)

select
    market_id,
    substring(market_id, 1, position(':' in market_id) - 1) as venue,
    bar_at,
    {{ open_interest_columns(hours=[1, 24], observations=12) }}
from compared_hours
where {{ is_near_changed_metrics('compared_hours', 'bar_at') }}
order by market_id, bar_at
