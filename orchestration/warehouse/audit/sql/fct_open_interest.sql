-- One row per hour or day of open interest, with the changes computed again from the rows before it.
{% from "macros.sql" import residual, distance %}
{% set time_column = key | last %}
{% set is_hourly = time_column == 'bar_at' %}
{% set starts_at = "cast(mart." ~ time_column ~ " as timestamp)" %}

select
    mart.market_id,
    mart.{{ time_column }},
    mart.venue,
    mart.observed_at,
    mart.open_interest_base,
    mart.open_interest_usd,
    {% for hours in ([1, 24] if is_hourly else [24]) %}
    mart.change_{{ hours }}h_base,
    mart.change_{{ hours }}h_ratio,
    before_{{ hours }}h.open_interest_base as base_{{ hours }}h_before,
    case
        when mart.change_{{ hours }}h_base is null
            then case when mart.open_interest_base - before_{{ hours }}h.open_interest_base is null then 0 else 1 end
        else {{
            residual(
                "mart.change_" ~ hours ~ "h_base - (mart.open_interest_base - before_" ~ hours ~ "h.open_interest_base)"
            )
        }}
    end as change_{{ hours }}h_residual,
    {{
        distance(
            "mart.change_" ~ hours ~ "h_ratio",
            "(cast(mart.open_interest_base as double) / cast(before_" ~ hours ~ "h.open_interest_base as double) - 1)"
        )
    }} as change_{{ hours }}h_error,
    {% endfor %}
    mart.observation_count,
    mart.coverage_ratio,
    mart.is_in_conflict,
    mart.conflict,
    coalesce(mart.venue = substring(mart.market_id, 1, position(':' in mart.market_id) - 1), false)
        as is_venue_of_market,
    {% if is_hourly %}
    coalesce(mart.bar_at = date_trunc('hour', mart.bar_at), false) as is_whole_hour,
    coalesce(mart.observed_at >= mart.bar_at and mart.observed_at < mart.bar_at + interval '1 hour', true)
        as is_observed_in_time,
    {% else %}
    -- The venue's file of a day ends with the first moment of the next.
    coalesce(
        mart.observed_at >= mart.bar_date and mart.observed_at <= mart.bar_date + interval '1 day', true
    ) as is_observed_in_time,
    mart.observed_at is null or mart.is_in_conflict or coalesce(
        hours.is_in_conflict or hours.observed_at > mart.observed_at
        or hours.open_interest_base = mart.open_interest_base, false
    ) as is_that_of_its_hour,
    briefs.market_id is null or briefs.open_interest is not distinct from mart.open_interest_base as is_the_briefs,
    {% endif %}
    (mart.observed_at is null) = (mart.observation_count = 0) as is_observation_counted,
    {{ distance("mart.coverage_ratio", "least(mart.observation_count, " ~ (12 if is_hourly else 288) ~ ") / "
        ~ ("12.0e0" if is_hourly else "288.0e0")) }} as coverage_error,
    coalesce(mart.is_in_conflict = (mart.conflict is not null), false)
    and coalesce(
        (mart.open_interest_base is null) = (mart.is_in_conflict or mart.observed_at is null)
        and (mart.open_interest_usd is null) = (mart.open_interest_base is null),
        false
    ) as is_conflict_excluded,
    coalesce(not mart.is_in_conflict, false) as is_consistent
from {{ mart }} as mart
{% for hours in ([1, 24] if is_hourly else [24]) %}
left join {{ mart }} as before_{{ hours }}h
    on mart.market_id = before_{{ hours }}h.market_id
    and {{ starts_at }} = cast(before_{{ hours }}h.{{ time_column }} as timestamp) + interval '{{ hours }} hours'
{% endfor %}
{% if not is_hourly %}
left join fct_open_interest_hourly as hours
    on mart.market_id = hours.market_id and date_trunc('hour', mart.observed_at) = hours.bar_at
left join rpt_market_brief_daily as briefs
    on mart.market_id = briefs.market_id and mart.bar_date = briefs.bar_date
{% endif %}
