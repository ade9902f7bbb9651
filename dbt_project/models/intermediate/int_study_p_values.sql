-- One row per definition, market, side, horizon and way of entering with enough events: how often chance alone does as
-- well. A moving-block bootstrap: each block of overlapping events is put at a random place of the same market and
-- period, its inner spacing kept, so that chance's samples overlap as the events do. The places come from a hash, so
-- every build draws the same ones.
with samples as (
    select
        samples.*,
        count(*) over sample as sample_size,
        sum(contrarian_return) over sample as observed_sum
    from {{ ref('int_study_samples') }} as samples
    window sample as (partition by definition_id, market_id, side, horizon_days, entered)
),

large_samples as (
    select *
    from samples
    where sample_size >= {{ study_minimum() }}
),

sizes as (
    select definition_id, market_id, horizon_days, count(*) as baseline_size
    from {{ ref('int_study_baseline') }}
    group by definition_id, market_id, horizon_days
),

draws as (
    select number as draw_number
    from {{ numbers_to(study_draws()) }} as numbers
),

block_numbers as (
    select distinct block_number
    from large_samples
),

-- One 32-bit number per draw and block, shared by all samples; what it means depends on how many places there are.
random_places as (
    select
        draws.draw_number,
        block_numbers.block_number,
        {{ hashed_bits(
            "'" ~ study_seed() ~ " ' || cast(draws.draw_number as string) || ' '
                || cast(block_numbers.block_number as string)"
        ) }} as place_bits
    from draws
    cross join block_numbers
),

drawn_entries as (
    select
        samples.definition_id,
        samples.market_id,
        samples.side,
        samples.horizon_days,
        samples.entered,
        samples.observed_sum,
        places.draw_number,
        ({{ bits_below('places.place_bits', 'sizes.baseline_size') }} + samples.block_offset) % sizes.baseline_size
            as entry_number
    from large_samples as samples
    inner join sizes
        on samples.definition_id = sizes.definition_id
        and samples.market_id = sizes.market_id
        and samples.horizon_days = sizes.horizon_days
    inner join random_places as places on samples.block_number = places.block_number
),

drawn_sums as (
    select
        drawn_entries.definition_id,
        drawn_entries.market_id,
        drawn_entries.side,
        drawn_entries.horizon_days,
        drawn_entries.entered,
        drawn_entries.draw_number,
        max(drawn_entries.observed_sum) as observed_sum,
        sum({{ contrarian('drawn_entries.side', 'baseline.price_return') }}) as drawn_sum
    from drawn_entries
    inner join {{ ref('int_study_baseline') }} as baseline
        on drawn_entries.definition_id = baseline.definition_id
        and drawn_entries.market_id = baseline.market_id
        and drawn_entries.horizon_days = baseline.horizon_days
        and drawn_entries.entry_number = baseline.entry_number
    group by
        drawn_entries.definition_id, drawn_entries.market_id, drawn_entries.side, drawn_entries.horizon_days,
        drawn_entries.entered, drawn_entries.draw_number
)

-- The observation counts as one of the draws: p is never zero.
select
    definition_id,
    market_id,
    side,
    horizon_days,
    entered,
    cast(1 + sum(case when drawn_sum >= observed_sum then 1 else 0 end) as double) / (1 + count(*)) as p_value
from drawn_sums
group by definition_id, market_id, side, horizon_days, entered
