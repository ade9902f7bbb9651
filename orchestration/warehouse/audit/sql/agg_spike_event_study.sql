-- One row per definition, market, side and horizon that has ranks or a row in the mart.
{% from "macros.sql" import distance, horizons %}

with ranked_sides as (
    select distinct definition_id, market_id, side
    from fct_taker_spike_ranks
),

due as (
    select ranked_sides.definition_id, ranked_sides.market_id, ranked_sides.side, horizons.horizon_days
    from ranked_sides
    cross join {{ horizons }}
),

observed as (
    select
        definition_id,
        market_id,
        side,
        horizon_days,
        count(forward_return) as sample_size,
        count(return_when_known) as sample_size_when_known,
        avg(case when forward_return > 0 then 1.0e0 when forward_return <= 0 then 0.0e0 end) as hit_rate,
        avg(forward_return) as mean_return,
        avg(return_when_known) as mean_return_when_known,
        percentile_cont(0.5) within group (order by forward_return) as median_return
    from fct_spike_forward_returns
    group by definition_id, market_id, side, horizon_days
)

select
    coalesce(due.definition_id, study.definition_id) as definition_id,
    coalesce(due.market_id, study.market_id) as market_id,
    coalesce(due.side, study.side) as side,
    coalesce(due.horizon_days, study.horizon_days) as horizon_days,
    due.definition_id is not null as is_due,
    study.definition_id is not null as is_studied,
    cast(study.sample_size as double) as sample_size,
    cast(study.block_count as double) as block_count,
    study.hit_rate,
    study.median_return,
    study.mean_return,
    cast(study.baseline_size as double) as baseline_size,
    study.baseline_hit_rate,
    study.p_value,
    study.p_value_when_known,
    study.is_conclusive,
    study.conclusion,
    coalesce(study.sample_size, 0) - coalesce(observed.sample_size, 0) as sample_size_difference,
    coalesce(study.sample_size_when_known, 0) - coalesce(observed.sample_size_when_known, 0)
        as sample_size_when_known_difference,
    {{ distance("study.hit_rate", "observed.hit_rate") }} as hit_rate_error,
    {{ distance("study.median_return", "observed.median_return") }} as median_error,
    {{ distance("study.mean_return", "observed.mean_return") }} as mean_error,
    {{ distance("study.mean_return_when_known", "observed.mean_return_when_known") }} as mean_when_known_error,
    study.definition_id is null
    or coalesce(
        study.block_count <= study.sample_size and (study.block_count > 0) = (study.sample_size > 0), false
    ) as is_block_count_possible,
    study.definition_id is null or coalesce(study.is_conclusive = (study.sample_size >= 10), false) as is_refusal_due,
    study.definition_id is null or coalesce(study.is_conclusive = (study.p_value is not null), false) as is_p_value_due,
    study.definition_id is null
    or coalesce(study.is_conclusive = (study.conclusion not like 'Nothing can be concluded%'), false)
        as is_conclusion_right
from due
full join agg_spike_event_study as study
    on due.definition_id = study.definition_id
    and due.market_id = study.market_id
    and due.side = study.side
    and due.horizon_days = study.horizon_days
left join observed
    on study.definition_id = observed.definition_id
    and study.market_id = observed.market_id
    and study.side = observed.side
    and study.horizon_days = observed.horizon_days
