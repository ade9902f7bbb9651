{#- How a bar stands in its trailing window (t − window, t]: shared by the spike ranks (both sides) and dominance.
The length of the window is `window_days` of the seed spike_definitions.csv.

The rows give `bar_at`, `pressure` (lower = takers sold more unusually), `coverage_ratio` (DECIMAL, the bar's own),
`bar_hours`, `window_hours`, `is_running` (NULL = false) and `set_changed_at` (NULL = the set of markets never
changed). One pass ranks from both ends, so that bearish and bullish cannot drift apart. -#}

{#- The left edge is open: a frame includes its bounds, so it starts one microsecond later (730 daily bars, not 731). -#}
{% macro trailing_frame(keys) -%}
    (
        partition by {{ keys | join(', ') }}
        order by bar_at
        range between {{ taker.hours_as_interval('window_hours') }} - interval '1' microsecond preceding and current row
    )
{%- endmacro %}

{#- The window's bars before t: what t is compared with must not contain t. -#}
{% macro prior_frame(keys) -%}
    (
        partition by {{ keys | join(', ') }}
        order by bar_at
        range between {{ taker.hours_as_interval('window_hours') }} - interval '1' microsecond preceding
            and interval '1' microsecond preceding
    )
{%- endmacro %}

{#- A rank needs 95 % of its window and of its own bar, a bar that has ended, and a sum over the same markets in all of the window. -#}
{% macro is_rankable() -%}
    (
        coverage_ratio >= 0.95
        and covered_bars * bar_hours >= 0.95 * window_hours
        and is_running is not true
        and (set_changed_at is null or set_changed_at <= bar_at - {{ taker.hours_as_interval('window_hours') }})
    )
{%- endmacro %}

{#- Why a bar has no rank, the first that applies; NULL where it has one. Of a row that `is_rankable` has judged; `coverage`: of its window. -#}
{% macro unranked_reason(is_ranked, coverage) -%}
    case
        when {{ is_ranked }} then null
        when is_running then 'running'
        when {{ coverage }} < 0.95 then 'window_not_covered'
        when set_changed_at > bar_at - {{ taker.hours_as_interval('window_hours') }} then 'markets_changed'
        else 'bar_not_covered'
    end
{%- endmacro %}

{% macro window_coverage() -%}
    cast(covered_bars as double) / (window_hours / bar_hours)
{%- endmacro %}

{#- Share of the other bars in the window that are less extreme: 1 = the most extreme. `opposite_rank` counts from the other end. -#}
{% macro strict_percentile(opposite_rank) -%}
    cast({{ opposite_rank }} - 1 as double) / nullif(window_bars - 1, 0)
{%- endmacro %}
