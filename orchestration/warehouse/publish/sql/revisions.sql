-- One row per revision, with its cause. A file is behind a revision when it changed, holds a day with other values, and
-- that day is in the bar's window, its smoothing or its neighbourhood included.

with changed_files as (
    {% include "changed_files.sql" %}
),

reaches as (
    select
        definition_id,
        cast(window_days + ceil((smoothing_bars - 1) * bar_hours / 24) as integer) as days_back,
        cast(ceil(decluster_hours / 24) as integer) as days_ahead,
        cast(ceil((smoothing_bars - 1) * bar_hours / 24) as integer) as smoothed_days
    from (
        select *, case grain when '1h' then 1 when '4h' then 4 when '1d' then 24 end as bar_hours
        from dim_spike_definitions
    ) as definitions
),

-- A smoothed value differs when any of the days it is made of does.
differing_days as (
    select distinct
        differing_bars.definition_id,
        differing_bars.market_id,
        cast(differing_bars.bar_at as date) - cast(steps.step as integer) as bar_date
    from differing_bars
    inner join reaches on differing_bars.definition_id = reaches.definition_id
    cross join lateral (select unnest(range(reaches.smoothed_days + 1)) as step) as steps
    where differing_bars.has_other_value
),

files_behind as (
    select distinct
        differing_days.definition_id,
        differing_days.market_id,
        changed_files.bar_date,
        changed_files.source_key,
        changed_files.cause
    from differing_days
    inner join changed_files
        on differing_days.market_id = changed_files.market_id
        and differing_days.bar_date = changed_files.bar_date
),

revised_days as (
    select distinct definition_id, market_id, cast(bar_at as date) as bar_date
    from differing_bars
    where is_revision
),

-- A file that holds several days is named once, by the day that is nearest.
candidates as (
    select
        revised_days.definition_id,
        revised_days.market_id,
        revised_days.bar_date,
        files_behind.source_key,
        arg_min(files_behind.cause, abs(files_behind.bar_date - revised_days.bar_date)) as cause,
        min(abs(files_behind.bar_date - revised_days.bar_date)) as distance
    from revised_days
    inner join reaches on revised_days.definition_id = reaches.definition_id
    inner join files_behind
        on revised_days.definition_id = files_behind.definition_id
        and revised_days.market_id = files_behind.market_id
        and files_behind.bar_date > revised_days.bar_date - reaches.days_back
        and files_behind.bar_date <= revised_days.bar_date + reaches.days_ahead
    group by
        revised_days.definition_id, revised_days.market_id, revised_days.bar_date, files_behind.source_key
),

ordered as (
    select
        *,
        row_number() over (
            partition by definition_id, market_id, bar_date order by distance, source_key
        ) as place,
        count(*) over (partition by definition_id, market_id, bar_date) as files
    from candidates
),

causes as (
    select
        definition_id,
        market_id,
        bar_date,
        arg_min(cause, place) as cause,
        string_agg(source_key, ' ' order by place)
        || case
            when max(files) > {{ named_files }} then ' and ' || (max(files) - {{ named_files }}) || ' more'
            else ''
        end as source_keys
    from ordered
    where place <= {{ named_files }}
    group by definition_id, market_id, bar_date
)

select
    bars.definition_id,
    bars.market_id,
    bars.side,
    bars.bar_at,
    bars.old_value,
    bars.new_value,
    bars.old_rank,
    bars.new_rank,
    bars.old_event_rank,
    bars.new_event_rank,
    coalesce(causes.cause, 'rules') as cause,
    causes.source_keys,
    (select max(published_at) from {{ publication }}) as previous_published_at,
    cast($published_at as timestamp) as published_at,
    $run_id as run_id
from differing_bars as bars
left join causes
    on bars.definition_id = causes.definition_id
    and bars.market_id = causes.market_id
    and cast(bars.bar_at as date) = causes.bar_date
where bars.is_revision
order by bars.definition_id, bars.market_id, bars.side, bars.bar_at
