-- One row per bar of a net taker volume mart, with its cumulative sums continued from the bar before it. Of what
-- changed: every bar from the first changed one on, since each states the net so far.
{% from "macros.sql" import residual, distance %}
{% set time_column = key | last %}
{% set is_hourly = time_column == 'bar_at' %}
{% set hours = 1 if is_hourly else 24 %}

with beginnings as (
    select market_id, min({{ time_column }}) as first_bar
    from {{ mart }}
    where coverage_ratio = 1
    group by market_id
),

bars as (
    select
        mart.*,
        beginnings.first_bar,
        lag(mart.{{ time_column }}) over market_bars as previous_bar,
        {% for column in ['cvd_usd', 'cvd_base', 'cvd_missing_hours'] %}
        lag(mart.{{ column }}) over market_bars as previous_{{ column }},
        {% endfor %}
        {% if is_hourly %}
        {% for unit in ['usd', 'base'] %}
        sum(mart.net_taker_{{ unit }}) over day_so_far as due_day_{{ unit }},
        {% endfor %}
        {% else %}
        {% for days in [7, 30] %}
        {% for unit in ['usd', 'base'] %}
        case
            when count(*) over last_{{ days }}_days = {{ days }}
                then avg(cast(mart.net_taker_{{ unit }} as double)) over last_{{ days }}_days
        end as due_mean_{{ days }}d_{{ unit }},
        max(abs(cast(mart.net_taker_{{ unit }} as double))) over last_{{ days }}_days as largest_{{ days }}d_{{ unit }},
        {% endfor %}
        {% endfor %}
        {% endif %}
        cast(mart.net_taker_usd as double) / cast(nullif(mart.volume_usd, 0) as double) as net_share,
        cast(mart.close_price as double) / cast(nullif(mart.open_price, 0) as double) - 1 as price_change
    from {{ mart }} as mart
    left join beginnings on mart.market_id = beginnings.market_id
    {% if changed %}
    inner join judged_days as judged
        on mart.market_id = judged.market_id and mart.{{ time_column }} >= judged.previous_at - interval '1 day'
    {% endif %}
    window
        market_bars as (partition by mart.market_id order by mart.{{ time_column }}){% if is_hourly %},
        day_so_far as (
            partition by mart.market_id, cast(mart.bar_at as date)
            order by mart.bar_at
            rows between unbounded preceding and current row
        )
        {% else %}{% for days in [7, 30] %},
        last_{{ days }}_days as (
            partition by mart.market_id
            order by mart.bar_date
            range between interval '{{ days - 1 }} days' preceding and current row
        )
        {% endfor %}{% endif %}
)

select
    market_id,
    {{ time_column }},
    net_taker_usd,
    net_taker_base,
    coverage_ratio,
    net_taker_ratio,
    cvd_usd,
    cvd_base,
    cvd_missing_hours,
    previous_cvd_usd,
    previous_cvd_base,
    {% if is_hourly %}
    cvd_day_usd,
    cvd_day_base,
    {% else %}
    {% for days in [7, 30] %}
    {% for unit in ['usd', 'base'] %}
    mean_{{ days }}d_net_taker_{{ unit }},
    {{
        distance(
            "cast(mean_" ~ days ~ "d_net_taker_" ~ unit ~ " as double) / (1 + largest_" ~ days ~ "d_" ~ unit ~ ")",
            "due_mean_" ~ days ~ "d_" ~ unit ~ " / (1 + largest_" ~ days ~ "d_" ~ unit ~ ")"
        )
    }} as mean_{{ days }}d_{{ unit }}_error,
    {% endfor %}
    {% endfor %}
    {% endif %}
    {{ distance("net_taker_ratio", "net_share") }} as net_ratio_error,
    price_return,
    {{ distance("cast(price_return as double)", "price_change") }} as return_error,
    (cvd_usd is null) = (first_bar is null or {{ time_column }} < first_bar)
    and (cvd_base is null) = (cvd_usd is null)
    and (cvd_missing_hours is null) = (cvd_usd is null) as is_begun_rightly,
    {% for unit in ['usd', 'base'] %}
    case
        when cvd_{{ unit }} is null then 0
        else {{ residual("cvd_" ~ unit ~ " - coalesce(previous_cvd_" ~ unit ~ ", 0) - net_taker_" ~ unit) }}
    end as cvd_{{ unit }}_residual,
    {% if is_hourly %}
    {{ residual("cvd_day_" ~ unit ~ " - due_day_" ~ unit) }} as cvd_day_{{ unit }}_residual,
    {% endif %}
    {% endfor %}
    case
        when cvd_missing_hours is null then 0.0e0
        when previous_cvd_missing_hours is null then {{ distance("cvd_missing_hours", "0.0e0") }}
        else {{
            distance(
                "cast(cvd_missing_hours - previous_cvd_missing_hours as double)",
                "(date_diff('hour', cast(previous_bar as timestamp), cast(" ~ time_column ~ " as timestamp)) - "
                ~ hours ~ " * coverage_ratio)"
            )
        }}
    end as missing_error
from bars
{% if changed %}
where exists (
    select 1
    from judged_days as judged
    where judged.market_id = bars.market_id and bars.{{ time_column }} >= judged.from_at
)
{% endif %}
