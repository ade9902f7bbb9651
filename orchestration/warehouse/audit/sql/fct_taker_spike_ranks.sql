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
        count(*) over bar as bar_sides,
        sum(ranks.spike_rank) over bar - ranks.spike_rank as opposite_rank,
        max(ranks.bar_at) over (partition by ranks.definition_id, ranks.market_id) as last_bar_at
    from fct_taker_spike_ranks as ranks
    left join definitions
        on ranks.definition_id = definitions.definition_id
    window bar as (partition by ranks.definition_id, ranks.market_id, ranks.bar_at)
),

incomplete_days as (
    select market_id, trade_date from fct_net_taker_volume_daily where coverage_ratio < 1
    union
    select market_id, cast(bar_at as date) as trade_date
    from fct_net_taker_volume_hourly
    group by market_id, cast(bar_at as date)
    having sum(coverage_ratio) < 24
),

unranked as (
    select definition_id, market_id, side, bar_at
    from ranks
    where spike_rank is null and value is not null and coverage_ratio >= {{ min_coverage }}
        and not is_running
        and (set_changed_at is null or set_changed_at <= bar_at - interval '1 day' * window_days)
        and not exists (
            select 1
            from incomplete_days
            where incomplete_days.market_id = ranks.market_id
                and incomplete_days.trade_date <= cast(ranks.bar_at as date)
                and incomplete_days.trade_date
                >= cast(ranks.bar_at - interval '1 hour' * ((ranks.smoothing_bars - 1) * ranks.bar_hours) as date)
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
    ranks.flow_quality,
    -- Of smoothed values and of bars of four hours no mart holds the quality.
    coalesce(
        ranks.flow_quality is not null
        and (daily.market_id is null or daily.flow_quality = ranks.flow_quality or ranks.smoothing_bars > 1),
        false
    ) as is_quality_stated
from ranks
left join fct_net_taker_volume_daily as daily
    on ranks.bar_hours = 24 and ranks.market_id = daily.market_id and cast(ranks.bar_at as date) = daily.trade_date
left join unranked
    on ranks.definition_id = unranked.definition_id
    and ranks.market_id = unranked.market_id
    and ranks.side = unranked.side
    and ranks.bar_at = unranked.bar_at
