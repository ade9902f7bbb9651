{#- How the bars of a series stand in frames of their own lengths. What a rank is, and where its window begins, is the models' business and that of
`trailing_window.sql`. -#}

{#- A relation: the columns of `rows` (a CTE; its names in `columns`) and `rank_from_lowest`, `rank_from_highest`, `window_bars` and `covered_bars` of
each row in the trailing window of its series (`keys`), by the columns `pressure` and `coverage`; with `has_neighbours`, `prior_quartiles` of the rows before it, `lowest_nearby`,
`highest_nearby` and `last_bar_at` too. -#}
{% macro windowed(rows, columns, keys, pressure='pressure', coverage='coverage_ratio', has_neighbours=false) -%}
    {{ return(adapter.dispatch('windowed', 'taker')(rows, columns, keys, pressure, coverage, has_neighbours)) }}
{%- endmacro %}

{#- Standard SQL lets a rank ignore its frame; DuckDB takes an order of its own inside the function and honours the frame: 1 + the number of rows in
the frame that sort before the current row, so that ties share the lower number. -#}
{% macro duckdb__windowed(rows, columns, keys, pressure, coverage, has_neighbours) -%}
    (
        select
            {%- for column in columns %}
            {{ column }},
            {%- endfor %}
            rank(order by {{ pressure }} asc) over trailing_window as rank_from_lowest,
            rank(order by {{ pressure }} desc) over trailing_window as rank_from_highest,
            count(*) over trailing_window as window_bars,
            sum({{ coverage }}) over trailing_window as covered_bars
            {%- if has_neighbours %},
            quantile_cont(cast(value as double), [0.25, 0.5, 0.75]) over prior_window as prior_quartiles,
            min({{ pressure }}) over neighbours as lowest_nearby,
            max({{ pressure }}) over neighbours as highest_nearby,
            max(case when is_running is not true then bar_at end) over whole_series as last_bar_at
            {%- endif %}
        from {{ rows }}
        window
            trailing_window as {{ taker.trailing_frame(keys) }}
            {%- if has_neighbours %},
            prior_window as {{ taker.prior_frame(keys) }},
            neighbours as (
                partition by {{ keys | join(', ') }}
                order by bar_at
                range between {{ taker.hours_as_interval('decluster_hours') }} preceding
                    and {{ taker.hours_as_interval('decluster_hours') }} following
            ),
            whole_series as (partition by {{ keys | join(', ') }})
            {%- endif %}
    )
{%- endmacro %}

{#- Its frames cost rows × window, and their bounds are constants of the query: a series is collected into arrays, and `taker_trailing`
(`orchestration/warehouse/spark/trailing.py`) takes the frames in DuckDB. Exact decimals go through it as what they are compared by: the place
among all values of the series, and coverage as a whole number of 1e-8. -#}
{% macro spark__windowed(rows, columns, keys, pressure, coverage, has_neighbours) -%}
    (
        with placed_rows as (
            select
                struct(bar_at as ordered_at, {{ columns | join(', ') }}) as held,
                dense_rank() over (partition by {{ keys | join(', ') }} order by {{ pressure }}) as place,
                {{ keys | join(', ') }}
            from {{ rows }}
        ),

        collected_series as (
            select sort_array(collect_list(struct(held, place))) as bars
            from placed_rows
            group by {{ keys | join(', ') }}
        ),

        framed_series as (
            select
                bars,
                taker_trailing(
                    transform(bars, bar -> unix_micros(bar.held.bar_at)),
                    transform(bars, bar -> cast(bar.place as bigint)),
                    {%- if has_neighbours %}
                    transform(bars, bar -> {{ taker.exact_as_double('bar.held.value', 8) }}),
                    {%- else %}
                    transform(bars, bar -> cast(0 as double)),
                    {%- endif %}
                    transform(bars, bar -> cast(bar.held.{{ coverage }} * 100000000 as bigint)),
                    transform(bars, bar -> cast(bar.held.window_hours as bigint) * 3600000000),
                    {%- if has_neighbours %}
                    transform(bars, bar -> cast(bar.held.decluster_hours as bigint) * 3600000000)
                    {%- else %}
                    transform(bars, bar -> cast(0 as bigint))
                    {%- endif %}
                ) as frames
                {%- if has_neighbours %},
                array_max(transform(bars, bar -> case when bar.held.is_running is not true then bar.held.bar_at end)) as last_bar_at
                {%- endif %}
            from collected_series
        ),

        framed_rows as (
            select
                bars,
                frames,
                {{ 'last_bar_at,' if has_neighbours }}
                posexplode(bars.held) as (number, held)
            from framed_series
        )

        select
            {%- for column in columns %}
            held.{{ column }},
            {%- endfor %}
            frames.rank_from_lowest[number] as rank_from_lowest,
            frames.rank_from_highest[number] as rank_from_highest,
            frames.window_bars[number] as window_bars,
            cast(cast(frames.covered[number] as decimal(38,0)) * cast(0.00000001 as decimal(9,8)) as decimal(38,8)) as covered_bars
            {%- if has_neighbours %},
            array(frames.lower_quartile[number], frames.median[number], frames.upper_quartile[number]) as prior_quartiles,
            bars[frames.lowest_nearby[number]].held.{{ pressure }} as lowest_nearby,
            bars[frames.highest_nearby[number]].held.{{ pressure }} as highest_nearby,
            last_bar_at
            {%- endif %}
        from framed_rows
    )
{%- endmacro %}

{#- Frames of the last hours up to a row, of as many as the column `hours` states: those that a definition smooths over. `named_frame` is the WINDOW
clause, `over_frame` a function over it. Where an engine's frames have constant bounds, each length is a window of its own. -#}
{% macro named_frame(name, keys, hours) -%}
    {{ return(adapter.dispatch('named_frame', 'taker')(name, keys, hours)) }}
{%- endmacro %}

{% macro duckdb__named_frame(name, keys, hours) -%}
    window {{ name }} as (
        partition by {{ keys | join(', ') }}
        order by bar_at
        range between {{ taker.hours_as_interval(hours) }} preceding and current row
    )
{%- endmacro %}

{% macro spark__named_frame(name, keys, hours) -%}
    window
    {%- for length in taker.frame_lengths() %}
    {{ name }}_{{ length }} as (
        partition by {{ keys | join(', ') }}
        order by bar_at
        range between interval '{{ length }}' hour preceding and current row
    ){{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{% macro over_frame(expression, name, hours) -%}
    {{ return(adapter.dispatch('over_frame', 'taker')(expression, name, hours)) }}
{%- endmacro %}

{% macro duckdb__over_frame(expression, name, hours) -%}
    {{ expression }} over {{ name }}
{%- endmacro %}

{% macro spark__over_frame(expression, name, hours) -%}
    case {{ hours }}
    {%- for length in taker.frame_lengths() %}
        when {{ length }} then {{ expression }} over {{ name }}_{{ length }}
    {%- endfor %}
    end
{%- endmacro %}

{#- Read while the model is rendered, so past `int_spike_definitions`, which is no relation. -#}
{% macro frame_lengths() -%}
    {%- if not execute -%}{{ return([0]) }}{%- endif -%}
    {%- set lengths -%}
        select distinct (smoothing_bars - 1) * {{ taker.bar_hours('grain') }} from {{ target.schema }}.spike_definitions
    {%- endset -%}
    {{ return(run_query(lengths).columns[0].values() | map('int') | list or [0]) }}
{%- endmacro %}

{#- Of a series in which no more bars changed, each of them is compared with its window; of others the whole series is ranked, in one pass. -#}
{% macro bars_compared_singly() -%}
    {{ return(adapter.dispatch('bars_compared_singly', 'taker')()) }}
{%- endmacro %}

{% macro duckdb__bars_compared_singly() -%}
    {{ return(60) }}
{%- endmacro %}

{#- To start a query costs more than to rank a series, and the frames around a bar have a length of its own. -#}
{% macro spark__bars_compared_singly() -%}
    {{ return(-1) }}
{%- endmacro %}
