-- One row per ranked bar and side. The other side's rank counts what this side's percentile counts: less extreme bars.
{% from "macros.sql" import distance, sum_venues, min_coverage %}

with definitions as (
    select
        definition_id,
        smoothing_bars,
        window_days,
        decluster_hours,
        nullif(venue, '') as venue,
        case grain when '1h' then 1 when '4h' then 4 when '1d' then 24 end as bar_hours
    from spike_definitions
),

judged_bars as (
    select ranks.*
    from fct_taker_spike_ranks as ranks
    {% if changed %}
    inner join judged_ranks as judged
        on ranks.definition_id = judged.definition_id
        and ranks.market_id = judged.market_id
        and ranks.bar_at >= judged.from_at
        and ranks.bar_at < judged.to_at
    {% endif %}
),

-- Joined, since windows over wide rows of the whole history are slow and are written to disk.
sides as (
    select definition_id, market_id, bar_at, count(*) as bar_sides, sum(spike_rank) as both_ranks
    from judged_bars
    group by definition_id, market_id, bar_at
),

series as (
    select definition_id, market_id, max(bar_at) as last_bar_at
    from fct_taker_spike_ranks
    {% if changed %}
    where bar_at >= (select min(from_at) from judged_ranks)
    {% endif %}
    group by definition_id, market_id
),

ranks as (
    select
        ranks.*,
        definitions.definition_id is not null as is_defined,
        coalesce(definitions.venue is null or definitions.venue = ranks.venue, false) as is_of_its_venue,
        definitions.smoothing_bars,
        definitions.decluster_hours,
        definitions.bar_hours,
        definitions.window_days,
        definitions.window_days * 24 / definitions.bar_hours as window_size_bars,
        coalesce(sides.bar_sides, 0) as bar_sides,
        sides.both_ranks - ranks.spike_rank as opposite_rank,
        series.last_bar_at
    from judged_bars as ranks
    left join sides
        on ranks.definition_id = sides.definition_id
        and ranks.market_id = sides.market_id
        and ranks.bar_at = sides.bar_at
    left join series
        on ranks.definition_id = series.definition_id and ranks.market_id = series.market_id
    left join definitions
        on ranks.definition_id = definitions.definition_id
),

-- How many days a value reaches back, from none on.
reaches as (
    select unnest(range(0, coalesce(max((smoothing_bars - 1) * bar_hours + 23), 0) // 24 + 1)) as days
    from definitions
),

incomplete_days as (
    select market_id, bar_date from fct_net_taker_volume_daily where coverage_ratio < 1
    union
    select market_id, cast(bar_at as date) as bar_date
    from fct_net_taker_volume_hourly
    {% if changed %}
    where bar_at >= (
        select date_trunc('day', min(judged.from_at)) - interval '1 day' * max(reaches.days)
        from judged_ranks as judged
        cross join reaches
    )
    {% endif %}
    group by market_id, cast(bar_at as date)
    having sum(coverage_ratio) < 24
),

-- The days of bars that such a day is part of: its own and, of smoothed values, as many as these reach back.
incomplete_bars as (
    select distinct
        incomplete_days.market_id,
        incomplete_days.bar_date + cast(reaches.days as integer) as bar_date,
        reaches.days
    from incomplete_days
    cross join reaches
),

unranked as (
    select definition_id, market_id, side, bar_at
    from ranks
    where spike_rank is null and value is not null and coverage_ratio >= {{ min_coverage }}
        and not is_running
        and (set_changed_at is null or set_changed_at <= bar_at - interval '1 day' * window_days)
        and not exists (
            select 1
            from incomplete_bars
            where incomplete_bars.market_id = ranks.market_id
                and incomplete_bars.bar_date = cast(ranks.bar_at as date)
                and incomplete_bars.days <= cast(ranks.bar_at as date)
                - cast(ranks.bar_at - interval '1 hour' * ((ranks.smoothing_bars - 1) * ranks.bar_hours) as date)
        )
)

select
    ranks.definition_id,
    ranks.market_id,
    ranks.side,
    ranks.bar_at,
    cast(ranks.spike_rank as double) as spike_rank,
    cast(ranks.opposite_rank as double) as opposite_rank,
    ranks.percentile,
    ranks.window_bars,
    cast(ranks.window_size_bars as double) as window_size_bars,
    ranks.coverage_ratio,
    ranks.bar_coverage_ratio,
    ranks.is_event,
    cast(ranks.event_rank as double) as event_rank,
    ranks.is_defined,
    ranks.is_of_its_venue,
    ranks.bar_sides,
    -- The only bar of its window has no percentile.
    {{
        distance(
            "ranks.percentile * (ranks.window_bars - 1)",
            "(case when ranks.window_bars > 1 then ranks.opposite_rank - 1 end)"
        )
    }} as percentile_error,
    cast(ranks.window_bars + 1 - ranks.spike_rank - ranks.opposite_rank as double) as tied_bars,
    ranks.spike_rank is null
    or coalesce(ranks.coverage_ratio >= {{ min_coverage }} and ranks.bar_coverage_ratio >= {{ min_coverage }}, false)
        as is_rank_covered,
    ranks.is_running,
    ranks.set_changed_at,
    ranks.spike_rank is null or coalesce(not ranks.is_running, false) as is_rank_of_ended,
    ranks.spike_rank is null
    or ranks.set_changed_at is null
    or ranks.set_changed_at <= ranks.bar_at - interval '1 day' * ranks.window_days as is_rank_of_one_set,
    coalesce(ranks.is_provisional or not ranks.is_running, false) as is_running_provisional,
    ranks.set_changed_at is null or coalesce(ranks.venue in ({{ sum_venues }}), false) as is_change_of_sum,
    coalesce((ranks.venue_set <> ranks.venue) = (ranks.venue in ({{ sum_venues }})), false) as is_venue_set_named,
    unranked.bar_at is null as is_rank_given,
    case
        when ranks.event_rank is not null then coalesce(ranks.is_event, false)
        else not coalesce(ranks.is_event and ranks.spike_rank is not null, false)
    end as is_event_ranked,
    ranks.is_event is null or coalesce(
        ranks.last_bar_at >= ranks.bar_at + interval '1 hour' * ranks.decluster_hours, false
    ) as is_event_ripe,
    ranks.unranked_reason,
    (ranks.unranked_reason is null) = (ranks.spike_rank is not null)
    and coalesce(
        case ranks.unranked_reason
            when 'running' then ranks.is_running
            when 'window_not_covered' then ranks.coverage_ratio < {{ min_coverage }}
            when 'markets_changed' then ranks.set_changed_at > ranks.bar_at - interval '1 day' * ranks.window_days
            when 'bar_not_covered' then ranks.bar_coverage_ratio < {{ min_coverage }}
        end,
        ranks.unranked_reason is null
    ) as is_reason_right,
    ranks.flow_quality,
    -- Of smoothed values and of bars of four hours no mart holds the quality.
    coalesce(
        ranks.flow_quality is not null
        and (daily.market_id is null or daily.flow_quality = ranks.flow_quality or ranks.smoothing_bars > 1),
        false
    ) as is_quality_stated
from ranks
left join fct_net_taker_volume_daily as daily
    -- As one equation: a condition on the ranks alone would keep the join from being hashed.
    on ranks.market_id = daily.market_id
    and case when ranks.bar_hours = 24 then cast(ranks.bar_at as date) end = daily.bar_date
left join unranked
    on ranks.definition_id = unranked.definition_id
    and ranks.market_id = unranked.market_id
    and ranks.side = unranked.side
    and ranks.bar_at = unranked.bar_at
