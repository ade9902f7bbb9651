{#- What the event study is, declared once. -#}

{#- Days from entry to exit. -#}
{% macro study_horizons() -%}
    {{ return([1, 3, 7, 14, 30]) }}
{%- endmacro %}

{#- Largest `event_rank` of an event in the study. The rank is as of the event: what came later must not choose the sample. -#}
{% macro study_top_events() -%}
    {{ return(20) }}
{%- endmacro %}

{#- Samples that chance draws, and what their places are hashed from. -#}
{% macro study_draws() -%}
    {{ return(999) }}
{%- endmacro %}

{% macro study_seed() -%}
    {{ return('taker event study') }}
{%- endmacro %}

{#- Below this number of events nothing is concluded. -#}
{% macro study_minimum() -%}
    {{ return(10) }}
{%- endmacro %}

{#- Long after takers sold unusually, short after they bought unusually: the position against the crowd. -#}
{% macro contrarian(side, price_return) -%}
    case {{ side }} when 'bearish' then {{ price_return }} else -{{ price_return }} end
{%- endmacro %}

{#- What follows from a row of `agg_spike_event_study`, whose columns it reads, as a sentence. `test_count`: how many such tests the market has: of
many, some succeed by chance. -#}
{% macro study_conclusion() -%}
    case
        when not is_conclusive
            then 'Nothing can be concluded: ' || cast(sample_size as string)
                || ' events with a known exit, and {{ taker.study_minimum() }} are the least.'
        else
            'After ' || cast(sample_size as string) || ' ' || side || ' spikes (' || definition_id
                || ') the position against them gained over '
            || cast(horizon_days as string) || case horizon_days when 1 then ' day' else ' days' end
            || ' in ' || {{ taker.percent_text('hit_rate') }} || ' of the cases, mean ' || {{ taker.change_text('mean_return') }}
            || ', against ' || {{ taker.percent_text('baseline_hit_rate') }} || ' and ' || {{ taker.change_text('baseline_mean') }}
            || ' at any time; chance does as well with p = ' || cast(cast(p_value as decimal(9,3)) as string)
            || case
                when p_value > 0.05 then ': no evidence for trading against the crowd.'
                when p_value_when_known is null or p_value_when_known > 0.05
                    then ', but no evidence is left when entered once the event is known'
                        || coalesce(' (p = ' || cast(cast(p_value_when_known as decimal(9,3)) as string) || ')', '')
                        || '.'
                else
                    ', and when entered once the event is known with p = '
                        || cast(cast(p_value_when_known as decimal(9,3)) as string)
                    || ': more than chance explains, were it the only test and not one of '
                    || cast(test_count as string) || '.'
            end
    end
{%- endmacro %}

{#- Hours before and after an event's bar of which the context is stated. -#}
{% macro context_horizons() -%}
    {{ return([4, 24]) }}
{%- endmacro %}

{#- The context of an event: open interest of the hour before the window and of its last (`before`, `after`), and `sums` of its hours. -#}
{% macro context_columns() -%}
    {%- set change = 'after.open_interest_base - before.open_interest_base' -%}
    cast({{ change }} as decimal(38,8)) as open_interest_change_base,
    {{ taker.exact_as_double(taker.exact_quotient(change, 'before.open_interest_base'), 16) }} as open_interest_change_ratio,
    cast(case when sums.rated_hours > 0 then sums.funding_rate end as decimal(38,18)) as funding_rate,
    cast({{ taker.share('sums.rated_hours', 'sums.hour_count') }} as double) as funding_coverage_ratio,
    cast(sums.long_usd as decimal(38,8)) as long_liquidations_usd,
    cast(sums.short_usd as decimal(38,8)) as short_liquidations_usd,
    cast({{ taker.share('sums.liquidation_coverage', 'sums.hour_count') }} as double) as liquidations_coverage_ratio,
    sums.exact_hours < sums.hour_count as is_lower_bound
{%- endmacro %}
