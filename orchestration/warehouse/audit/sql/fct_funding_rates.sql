-- One row per funding, with the residuals of its identities: sums are summed again, missing hours counted again.
{% from "macros.sql" import residual, distance %}

with fundings as (
    select
        *,
        sum(funding_rate) over until_here as due_rate,
        max(case when funding_rate is not null then funded_at end) over before_here as rated_at,
        sum(missing_hours) over until_here as due_missing_hours
    from fct_funding_rates
    window
        until_here as (
            partition by market_id
            order by funded_at
            rows between unbounded preceding and current row
        ),
        before_here as (
            partition by market_id
            order by funded_at
            rows between unbounded preceding and 1 preceding
        )
)

select
    market_id,
    funded_at,
    bar_date,
    venue,
    funding_interval_hours,
    funding_rate,
    annualised_rate,
    cumulative_rate,
    missing_hours,
    cumulative_missing_hours,
    is_in_conflict,
    conflict,
    coalesce(bar_date = cast(funded_at as date), false) as is_day_right,
    coalesce(venue = substring(market_id, 1, position(':' in market_id) - 1), false) as is_venue_of_market,
    {{
        distance(
            "cast(annualised_rate as double)",
            "cast(funding_rate as double) * 8760 / funding_interval_hours"
        )
    }} as annual_error,
    case
        when cumulative_rate is null and due_rate is null then 0
        else {{ residual("cumulative_rate - due_rate") }}
    end as cumulative_residual,
    {{ residual("cumulative_missing_hours - due_missing_hours") }} as missing_sum_residual,
    case
        when funding_rate is null or rated_at is null then coalesce(missing_hours, 1)
        else {{
            residual(
                "missing_hours - greatest(date_diff('minute', rated_at, funded_at) // 60 - funding_interval_hours, 0)"
            )
        }}
    end as missing_residual,
    coalesce(is_in_conflict = (conflict is not null) and is_in_conflict = (funding_rate is null), false)
        as is_conflict_excluded,
    coalesce(not is_in_conflict, false) as is_consistent
from fundings
