{#- The definitions that the brief has a column for. Columns cannot come from a seed, so a test holds the two together. -#}
{% macro brief_definitions() -%}
    {{ return(['daily_usd', 'daily_base', 'daily_sell_ratio', '4h_usd', '4h_base', '4h_ma2_usd', 'hourly_usd', 'hourly_ma7_usd']) }}
{%- endmacro %}

{#- The side that a day's brief is about: that of its net; of a balanced day the bullish one. -#}
{% macro side_of_day(net_taker_usd) -%}
    coalesce({{ taker.side_of("'usd'", net_taker_usd) }}, 'bullish')
{%- endmacro %}

{#- The day's rank under `daily_usd`, with its window; of a day without one the reason. Of a row of `int_market_brief_facts`. -#}
{% macro rank_phrase() -%}
    case
        when "daily_usd_rank" is not null
            then 'rank ' || cast("daily_usd_rank" as string) || ' of ' || cast(daily_usd_window_bars as string)
                || ' in the '
                || cast(window_days as string) || ' days to it under daily_usd'
        when daily_usd_unranked_reason = 'window_not_covered'
            then 'not ranked under daily_usd, since ' || {{ taker.coverage_text('daily_usd_window_coverage') }}
                || ' of the '
                || cast(window_days as string) || ' days to it are covered'
        when daily_usd_unranked_reason = 'markets_changed'
            then 'not ranked under daily_usd, since the markets that are summed changed in the '
                || cast(window_days as string) || ' days to it'
        else 'not ranked under daily_usd, since too little of the day is covered'
    end
{%- endmacro %}

{#- Why a figure of the day is NULL; NULL where it stands. `status`: what became of the archive's file. Of a row that has `summed_venue_set`. -#}
{% macro missing_reason(value, conflict, status) -%}
    case
        when {{ value }} is not null then null
        when {{ conflict }} is not null then 'conflict'
        when summed_venue_set is not null then 'sum_over_venues'
        when {{ status }} = 'stored' then 'incomplete'
        when {{ status }} = 'absent' then 'not_published'
        when {{ status }} is not null then {{ status }}
        else 'not_ingested'
    end
{%- endmacro %}

{#- The columns of these reasons, of a row of `int_market_brief_facts`. -#}
{% macro missing_reasons() -%}
    {%- for figure, value in [
        ('open_interest', 'open_interest_usd'), ('funding', 'funding_rate'), ('liquidations', 'long_liquidations_usd')
    ] %}
    {{ taker.missing_reason(value, figure ~ '_conflict', figure ~ '_status') }} as {{ figure }}_missing_reason{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- Where the day's flow is from, and what of it was not used as published. Of a row of `int_market_brief_facts`. -#}
{% macro source_phrase() -%}
    'from ' || flow_source
        || case when flow_source = 'mixed' then ' sources' else '' end
        || case when is_provisional then ', provisional' else '' end
        || case
            when coverage_ratio < 1 then ' covering ' || {{ taker.coverage_text('coverage_ratio') }} || ' of the day'
            else ''
        end
        || case
            when flow_quality = 'trades_implausible' then ' (the trades published are implausible and not used)'
            when flow_quality = 'rows_quarantined' and quarantined_rows = 1
                then {{ taker.quoted(" (1 row of the venue's files set aside)") }}
            when flow_quality = 'rows_quarantined' and quarantined_rows > 1
                then ' (' || cast(quarantined_rows as string) || {{ taker.quoted(" rows of the venue's files set aside)") }}
            when flow_quality = 'rows_quarantined' then {{ taker.quoted(" (some rows of the venues' files set aside)") }}
            when flow_quality = 'contradicted' then ' (another source contradicts part of it)'
            when flow_quality = 'replaced_source' then ' (a faulty source replaced by another)'
            else ''
        end
{%- endmacro %}
