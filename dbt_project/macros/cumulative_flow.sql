{#- Net taker volume summed from a market's first complete bar on, and what that sum lacks. Exact decimals: a sum that is continued from a former
one is that of all bars. -#}

{#- The columns of a mart of bars: `bars` begin at `first_at` (NULL: no bar is complete yet) and may continue sums of earlier ones, `…_before`
(NULL: none). `hours`: the length of a bar. The window `until_here` is each market's bars so far. -#}
{% macro cumulative_columns(hours) -%}
    {%- set begun = 'bar_at >= first_at' -%}
    {%- for unit in ['usd', 'base'] %}
    cast(
        case
            when {{ begun }}
                then coalesce(net_{{ unit }}_before, 0)
                    + sum(case when {{ begun }} then net_taker_{{ unit }} end) over until_here
        end as decimal(38,8)
    ) as cvd_{{ unit }},
    {%- endfor %}
    cast(
        case
            when {{ begun }}
                then {{ taker.minutes_between('first_at', 'bar_at') }} / 60.0 + {{ hours }} - {{ hours }} * (
                    coalesce(coverage_before, 0) + sum(case when {{ begun }} then coverage_ratio end) over until_here
                )
        end as decimal(18,8)
    ) as cvd_missing_hours
{%- endmacro %}

{#- The sums of `bars` before those that `changes` names, which are continued; none without `changes`. A relation. -#}
{% macro sums_before(bars, changes) -%}
    (
    select
        bars.market_id,
        sum(bars.net_taker_usd) as net_usd_before,
        sum(bars.net_taker_base) as net_base_before,
        sum(bars.coverage_ratio) as coverage_before
    from {{ bars }} as bars
    {%- if changes %}
    inner join {{ changes }} as changes on bars.market_id = changes.market_id and bars.bar_at < changes.from_at
    where bars.bar_at >= bars.first_at
    {%- else %}
    where false
    {%- endif %}
    group by bars.market_id
    )
{%- endmacro %}

{#- The mean of so many days, of their sum and number: none may be missing. -#}
{% macro mean_of_days(sum, found, days) -%}
    cast(case when {{ found }} = {{ days }} then {{ taker.exact_quotient(sum, days) }} end as decimal(38,8))
{%- endmacro %}

{#- A window: each market's last so many days, this one included. -#}
{% macro last_days(days) -%}
    (
        partition by market_id
        order by bar_at
        range between interval '{{ days - 1 }}' day preceding and current row
    )
{%- endmacro %}
