{#- A relation: `bar_number`, `rank_from_lowest`, `rank_from_highest`, `window_bars`, `covered_bars` and `prior_quartiles` of each row of `bars`, as
`windowed` gives them. `series` (a CTE) holds every bar of the windows, and few others; `bars` (another) some of its last bars, numbered. Both have
`series_id`, `bar_at` and `window_hours`. The `pressure` of a series is its `value`, or that with the other sign: so it is sorted once.

A bar stands in its window as it does in the series, less the bars outside of the window: the series is sorted once, and a bar is compared with the
few outside. To compare it with each bar of its window costs bars × window, and for quartiles the memory of all these pairs.

Of n values in order quartile q stands at (n - 1) × q, from 0; between two values DuckDB's `quantile_cont` weighs both, and so does this. Without
the bars outside, the value at place k of n is at place k + those of them that sort before it. -#}
{% macro standings_of_few(bars, series) -%}
    {%- set shares = {1: '0.25', 2: '0.5', 3: '0.75'} %}
    (
        with ordered_series as (
            select
                series_id,
                bar_at,
                window_hours,
                value,
                pressure,
                coverage_ratio,
                row_number() over by_value as value_place,
                rank() over by_value as place_from_least,
                count(*) over by_value as bars_up_to
            from {{ series }}
            window by_value as (partition by series_id order by value)
        ),

        totals as (
            select
                series_id,
                count(*) as series_bars,
                sum(coverage_ratio) as series_covered,
                max(case when pressure <> value then 1 else 0 end) = 1 as is_turned
            from {{ series }}
            group by series_id
        ),

        compared_bars as (
            select
                bars.bar_number,
                ordered_series.*,
                totals.series_bars,
                totals.series_covered,
                case
                    when totals.is_turned then totals.series_bars - ordered_series.bars_up_to + 1
                    else ordered_series.place_from_least
                end as place_from_lowest,
                case
                    when totals.is_turned then ordered_series.place_from_least
                    else totals.series_bars - ordered_series.bars_up_to + 1
                end as place_from_highest
            from {{ bars }} as bars
            inner join ordered_series
                on bars.series_id = ordered_series.series_id and bars.bar_at = ordered_series.bar_at
            inner join totals on bars.series_id = totals.series_id
        ),

        spans as (
            select series_id, min(bar_at) as first_bar_at, max(bar_at) as last_bar_at
            from compared_bars
            group by series_id
        ),

        -- What is in no window, or not in that of every compared bar.
        edges as (
            select ordered_series.*
            from ordered_series
            inner join spans on ordered_series.series_id = spans.series_id
            where ordered_series.bar_at >= spans.first_bar_at
                or ordered_series.bar_at
                <= spans.last_bar_at - {{ taker.hours_as_interval('ordered_series.window_hours') }}
        ),

        -- Outside of the window, and the bar itself, which is not among those before it.
        not_prior as (
            select
                compared_bars.bar_number,
                edges.bar_at <> compared_bars.bar_at as is_outside,
                edges.pressure < compared_bars.pressure as is_lower,
                edges.pressure > compared_bars.pressure as is_higher,
                edges.coverage_ratio,
                edges.value_place
                - row_number() over (partition by compared_bars.bar_number order by edges.value_place) as prior_before
            from compared_bars
            inner join edges
                on compared_bars.series_id = edges.series_id
                and (
                    edges.bar_at >= compared_bars.bar_at
                    or edges.bar_at
                    <= compared_bars.bar_at - {{ taker.hours_as_interval('compared_bars.window_hours') }}
                )
        ),

        standings as (
            select
                compared_bars.bar_number,
                compared_bars.series_id,
                compared_bars.place_from_lowest - sum(case when is_outside and is_lower then 1 else 0 end)
                    as rank_from_lowest,
                compared_bars.place_from_highest
                - sum(case when is_outside and is_higher then 1 else 0 end) as rank_from_highest,
                compared_bars.series_bars - sum(case when is_outside then 1 else 0 end) as window_bars,
                compared_bars.series_covered
                - sum(case when is_outside then not_prior.coverage_ratio else 0 end) as covered_bars,
                compared_bars.series_bars - count(*) as prior_bars
            from compared_bars
            inner join not_prior on compared_bars.bar_number = not_prior.bar_number
            group by
                compared_bars.bar_number, compared_bars.series_id, compared_bars.place_from_lowest,
                compared_bars.place_from_highest, compared_bars.series_bars, compared_bars.series_covered
        ),

        wanted_values as (
            {%- for number, share in shares.items() %}
            {%- for end in ['lower', 'upper'] %}
            select
                bar_number,
                series_id,
                '{{ end }}_{{ number }}' as wanted,
                {%- if end == 'lower' %}
                cast(floor((prior_bars - 1) * {{ share }}) as bigint) + 1 as prior_place
                {%- else %}
                cast(ceil((prior_bars - 1) * {{ share }}) as bigint) + 1 as prior_place
                {%- endif %}
            from standings
            {{ 'union all' if not (loop.last and number == 3) }}
            {%- endfor %}
            {%- endfor %}
        ),

        wanted_places as (
            select
                wanted_values.bar_number,
                wanted_values.series_id,
                wanted_values.wanted,
                wanted_values.prior_place
                + sum(case when not_prior.prior_before < wanted_values.prior_place then 1 else 0 end) as value_place
            from wanted_values
            inner join not_prior on wanted_values.bar_number = not_prior.bar_number
            group by
                wanted_values.bar_number, wanted_values.series_id, wanted_values.wanted, wanted_values.prior_place
        ),

        found_values as (
            select
                wanted_places.bar_number,
                {%- for number in shares %}
                {%- for end in ['lower', 'upper'] %}
                max(
                    case
                        when wanted_places.wanted = '{{ end }}_{{ number }}'
                            then {{ taker.exact_as_double('ordered_series.value', 8) }}
                    end
                ) as {{ end }}_{{ number }}{{ ',' if not (loop.last and number == 3) }}
                {%- endfor %}
                {%- endfor %}
            from wanted_places
            inner join ordered_series
                on wanted_places.series_id = ordered_series.series_id
                and wanted_places.value_place = ordered_series.value_place
            group by wanted_places.bar_number
        )

        select
            standings.bar_number,
            cast(standings.rank_from_lowest as bigint) as rank_from_lowest,
            cast(standings.rank_from_highest as bigint) as rank_from_highest,
            cast(standings.window_bars as bigint) as window_bars,
            standings.covered_bars,
            {%- set quartiles = [] %}
            {%- for number, share in shares.items() %}
            {%- set weight = 'cast((prior_bars - 1) * ' ~ share ~ ' - floor((prior_bars - 1) * ' ~ share ~ ') as double)' %}
            {%- do quartiles.append(
                'lower_' ~ number ~ ' * (1 - ' ~ weight ~ ') + upper_' ~ number ~ ' * ' ~ weight
            ) %}
            {%- endfor %}
            {{ taker.list_of(quartiles) }} as prior_quartiles
        from standings
        left join found_values on standings.bar_number = found_values.bar_number
    )
{%- endmacro %}
