-- One row per bar, day or rolling day of a liquidations mart, with the residuals of its identities.
{% from "macros.sql" import is_simulated, residual, sum_venues %}
{% set time_column = key | last %}

select
    venue,
    market_id,
    {{ time_column }},
    long_usd,
    short_usd,
    total_usd,
    order_count,
    unvalued_order_count,
    largest_order_usd,
    coverage_ratio,
    is_lower_bound,
    liquidation_source,
    venue_set,
    subscribed_symbol_count,
    conflicting_order_count,
    first_conflict,
    coalesce(
        (conflicting_order_count = 0 and first_conflict is null)
        or (
            conflicting_order_count > 0 and first_conflict is not null and is_lower_bound
            and (coverage_ratio < 1 or ends_with(market_id, ':ALL'))
        ),
        false
    ) as is_conflict_flagged,
    case
        when coverage_ratio = 0 then 0 else {{ residual("long_usd + short_usd - total_usd") }}
    end as sum_residual,
    least(long_usd, short_usd, largest_order_usd, order_count, unvalued_order_count) as smallest_amount,
    coalesce(
        (
            coverage_ratio = 0 and long_usd is null and short_usd is null and total_usd is null
            and order_count is null and unvalued_order_count is null and largest_order_usd is null
        )
        or (
            coverage_ratio > 0 and long_usd is not null and short_usd is not null and total_usd is not null
            and order_count is not null and unvalued_order_count is not null
        ),
        false
    ) as is_absence_unknown,
    coverage_ratio = 0
    or coalesce(order_count > unvalued_order_count or (total_usd = 0 and order_count = unvalued_order_count), false)
        as is_count_consistent,
    total_usd is null or coalesce(largest_order_usd, 0) <= total_usd as is_largest_within_total,
    coalesce(
        is_lower_bound
        or (
            coverage_ratio = 1 and unvalued_order_count = 0 and liquidation_source = 'live'
            and subscribed_symbol_count is null
        ),
        false
    ) as is_bound_honest,
    coalesce(
        venue_set = case when venue in ({{ sum_venues }}) then venue_set else venue end
        and length(venue_set) > 0
        -- Of a sum, every venue is real, or every one is simulated.
        and len(list_filter(string_split(venue_set, ','), lambda name: {{ is_simulated("name", simulated_venues) }}))
            = case when {{ is_simulated("venue", simulated_venues) }} then len(string_split(venue_set, ',')) else 0 end,
        false
    ) as is_venue_set_right,
    subscribed_symbol_count is null or coalesce(ends_with(market_id, ':ALL') and coverage_ratio > 0, false)
        as is_symbol_count_of_sum,
    coalesce(
        starts_with(market_id, venue || ':')
        and (ends_with(market_id, ':ALL') or venue not in ({{ sum_venues }})),
        false
    ) as is_id_of_parts,
    {% if time_column == 'bar_date' %}
    -- The archive ended years before the first feed was collected: the hole between the two is no gap.
    case
        when liquidation_source = 'archive'
            then bar_date - lag(bar_date) over (
                partition by venue, market_id, liquidation_source = 'archive'
                order by bar_date
            )
    end as days_since_previous
    {% else %}
    {{ time_column }} = date_trunc('hour', {{ time_column }}) as is_whole_hour
    {% endif %}
from {{ mart }}
