-- One row per definition, market, side and horizon: did positions against the crowd do better after spikes than at any
-- other time?
{%- set keys = ['definition_id', 'market_id', 'side', 'horizon_days'] %}

with horizons as (
    {%- for days in study_horizons() %}
    select {{ days }} as horizon_days{{ ' union all' if not loop.last }}
    {%- endfor %}
),

ranked_sides as (
    select distinct definition_id, market_id, side
    from {{ ref('fct_taker_spike_ranks') }}
),

questions as (
    select ranked_sides.definition_id, ranked_sides.market_id, ranked_sides.side, horizons.horizon_days
    from ranked_sides
    cross join horizons
),

compared_samples as (
    select
        questions.definition_id,
        questions.market_id,
        questions.side,
        questions.horizon_days,
        coalesce(next_bar.sample_size, 0) as sample_size,
        coalesce(next_bar.block_count, 0) as block_count,
        coalesce(next_bar.contradicted_count, 0) as contradicted_count,
        next_bar.hit_rate,
        next_bar.median_return,
        next_bar.mean_return,
        coalesce(baselines.baseline_size, 0) as baseline_size,
        case questions.side when 'bearish' then baselines.rise_rate else baselines.fall_rate end as baseline_hit_rate,
        {{ contrarian('questions.side', 'baselines.median_return') }} as baseline_median,
        {{ contrarian('questions.side', 'baselines.mean_return') }} as baseline_mean,
        next_bar_chance.p_value,
        coalesce(when_known.sample_size, 0) as sample_size_when_known,
        when_known.hit_rate as hit_rate_when_known,
        when_known.median_return as median_return_when_known,
        when_known.mean_return as mean_return_when_known,
        when_known_chance.p_value as p_value_when_known,
        coalesce(next_bar.sample_size, 0) >= {{ study_minimum() }} as is_conclusive
    from questions
    left join {{ ref('int_study_baseline_returns') }} as baselines
        on questions.definition_id = baselines.definition_id
        and questions.market_id = baselines.market_id
        and questions.horizon_days = baselines.horizon_days
    {%- for entered in ['next_bar', 'when_known'] %}
    left join {{ ref('int_study_sample_returns') }} as {{ entered }}
        on {{ entered }}.entered = '{{ entered }}'
        {%- for key in keys %}
        and questions.{{ key }} = {{ entered }}.{{ key }}
        {%- endfor %}
    left join {{ ref('int_study_p_values') }} as {{ entered }}_chance
        on {{ entered }}_chance.entered = '{{ entered }}'
        {%- for key in keys %}
        and questions.{{ key }} = {{ entered }}_chance.{{ key }}
        {%- endfor %}
    {%- endfor %}
),

samples_with_test_count as (
    select
        compared_samples.*,
        sum(case when is_conclusive then 1 else 0 end) over (partition by market_id) as test_count
    from compared_samples
)

select
    definition_id,
    market_id,
    side,
    cast(horizon_days as integer) as horizon_days,
    cast(sample_size as bigint) as sample_size,
    cast(block_count as bigint) as block_count,
    hit_rate,
    median_return,
    mean_return,
    cast(baseline_size as bigint) as baseline_size,
    baseline_hit_rate,
    baseline_median,
    baseline_mean,
    p_value,
    cast(sample_size_when_known as bigint) as sample_size_when_known,
    hit_rate_when_known,
    median_return_when_known,
    mean_return_when_known,
    p_value_when_known,
    is_conclusive,
    {{ study_conclusion() }} as conclusion,
    cast(contradicted_count as bigint) as contradicted_count
from samples_with_test_count
order by definition_id, market_id, side, horizon_days
