{#- The venue's metrics are read once, into `int_metrics_hours`, and only those of days that have changed: a year of metrics is a year of
files, and opening them costs more than everything else that the analysis does. -#}

{#- Changes whenever the SQL behind an hour does, as `flow_logic_version` does for bars. -#}
{% macro metrics_logic_version() -%}
    {%- set texts = [taker.macros_version()] -%}
    {%- if execute -%}
        {%- for name in ['stg_raw__metrics', 'int_metrics_hours'] -%}
            {%- do texts.append(graph.nodes['model.taker.' ~ name].checksum.checksum) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(local_md5(texts | join(' '))) }}
{%- endmacro %}

{#- The columns of `int_metrics_hours`, with their types. -#}
{% macro metrics_hour_columns() -%}
    {{ return({
        'market_id': 'string', 'bar_date': 'date', 'source_state': 'string', 'hour_at': 'timestamp', 'ratio_count': 'bigint',
        'lowest_ratio': 'double', 'highest_ratio': 'double', 'first_ratio': 'double', 'lowest_price': 'double', 'highest_price': 'double',
        'observed_at': 'timestamp', 'open_interest_base': 'decimal(38,8)', 'open_interest_usd': 'decimal(38,8)',
        'first_observed_at': 'timestamp', 'first_open_interest_base': 'decimal(38,8)', 'former_observed_at': 'timestamp',
        'former_open_interest_base': 'decimal(38,8)', 'observation_count': 'bigint', 'ratios_observed_at': 'timestamp',
        'long_short_count': 'bigint', 'top_trader_account_ratio': 'double', 'top_trader_position_ratio': 'double',
        'account_ratio': 'double', 'last_taker_ratio': 'double',
    }) }}
{%- endmacro %}

{#- The venue's ratios of which the hour's last is kept: their names there, and the venue's. -#}
{% macro last_ratios() -%}
    {{ return({
        'top_trader_account_ratio': 'top_trader_account_long_short_ratio',
        'top_trader_position_ratio': 'top_trader_position_long_short_ratio',
        'account_ratio': 'account_long_short_ratio',
        'last_taker_ratio': 'taker_buy_sell_ratio',
    }) }}
{%- endmacro %}

{#- The hours that the last build left. -#}
{% macro built_metrics_hours() -%}
    {{ taker.former_rows('int_metrics_hours', taker.metrics_hour_columns()) }}
{%- endmacro %}

{#- The venue's metrics as staged: the staging model is this over what has a receipt; a build is this over the files of stale days. -#}
{% macro staged_metrics(relation) -%}
    (
        select
            metrics.venue || ':' || metrics.symbol as market_id,
            {{ taker.utc_timestamp('metrics.observed_at') }} as observed_at,
            metrics."date" as bar_date,
            metrics.open_interest,
            metrics.open_interest_value,
            metrics.top_trader_account_long_short_ratio,
            metrics.top_trader_position_long_short_ratio,
            metrics.account_long_short_ratio,
            metrics.taker_buy_sell_ratio
        from {{ relation }} as metrics
    )
{%- endmacro %}

{#- The metrics of the days to be read, as staged. -#}
{% macro metrics_to_read() -%}
    {%- set declared = ref('stg_raw__metrics') -%}
    {%- if declared.is_cte or not execute -%}{{ return(declared) }}{%- endif -%}
    {{ taker.staged_objects('metrics', declared, taker.staged_metrics,
        "select receipts.market_id, '' as kline_interval, receipts.period, receipts.bar_date from "
        ~ ref('int_metrics_receipts') ~ " as receipts where not exists (select 1 from " ~ taker.built_metrics_hours()
        ~ " as built where built.market_id = receipts.market_id and built.bar_date = receipts.bar_date "
        ~ "and built.source_state = receipts.source_state)"
    ) }}
{%- endmacro %}

{#- True for hours of `rows` that this build makes of what `int_metrics_changes` names, and so many hours before and after, which they are compared
with; every hour where the model is built whole. -#}
{% macro is_near_changed_metrics(rows, time_column, before=0, after=0) -%}
    {%- set changes = taker.changes_in('int_metrics_changes') -%}
    {%- if taker.replaces_changes() -%}
        exists (
            select 1
            from {{ changes }} as changes
            where changes.market_id = {{ rows }}.market_id
                and {{ rows }}.{{ time_column }} >= changes.from_at - interval '{{ before }}' hour
                and {{ rows }}.{{ time_column }} < changes.to_at + interval '{{ after }}' hour
        )
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#- What an observation of the venue's metrics states, which gives `contract_type`, `contract_size`, `open_interest` and `open_interest_value`:
these two are base and quote of a linear contract, contracts and base of an inverse one. The price by which the venue values it, in USD for a unit
of base as the venue counts it, as a double. -#}
{% macro open_interest_price() -%}
    case contract_type
        when 'inverse'
            then cast(open_interest as double) * cast(contract_size as double) / cast(open_interest_value as double)
        else cast(open_interest_value as double) / cast(open_interest as double)
    end
{%- endmacro %}

{#- Open interest in units of the base asset. DECIMAL(38,8). -#}
{% macro open_interest_base(base_multiplier) -%}
    cast(
        case contract_type when 'inverse' then open_interest_value else open_interest end * {{ base_multiplier }}
            as decimal(38,8)
    )
{%- endmacro %}

{#- The same in USD. DECIMAL(38,8). -#}
{% macro open_interest_usd() -%}
    case contract_type
        when 'inverse'
            then cast(cast(open_interest as decimal(38,8)) * cast(contract_size as decimal(38,8)) as decimal(38,8))
        else cast(open_interest_value as decimal(38,8))
    end
{%- endmacro %}

{#- The columns of the marts of open interest, of rows with an observation, its conflict and, for each of `hours`, the amount in base so long before
(`base_24h_before`, NULL where that is in conflict). `observations`: how many there are where none is missing. -#}
{% macro open_interest_columns(hours, observations) -%}
    cast(observed_at as timestamp) as observed_at,
    cast(case when conflict is null then open_interest_base end as decimal(38,8)) as open_interest_base,
    cast(case when conflict is null then open_interest_usd end as decimal(38,8)) as open_interest_usd,
    {%- for each in hours %}
    {%- set before = 'base_' ~ each ~ 'h_before' %}
    cast(case when conflict is null then open_interest_base - {{ before }} end as decimal(38,8)) as change_{{ each }}h_base,
    case
        when conflict is null
            then {{ taker.exact_as_double(taker.exact_quotient('open_interest_base - ' ~ before, before), 16) }}
    end as change_{{ each }}h_ratio,
    {%- endfor %}
    cast(observation_count as bigint) as observation_count,
    cast({{ taker.share('least(observation_count, ' ~ observations ~ ')', observations) }} as double) as coverage_ratio,
    conflict is not null as is_in_conflict,
    conflict
{%- endmacro %}

{#- A window: the row of so many hours before, or after, and no other. -#}
{% macro hours_apart(key, instant, hours, side='preceding') -%}
    (
        partition by {{ key }}
        order by {{ instant }}
        range between interval '{{ hours }}' hour {{ side }} and interval '{{ hours }}' hour {{ side }}
    )
{%- endmacro %}
