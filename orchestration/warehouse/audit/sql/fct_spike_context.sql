-- One row per event of the study and horizon, from the ranks or from the mart, with the sums of its window taken again:
-- as differences of sums up to its end and up to its beginning.
{% from "macros.sql" import residual, distance %}

with definitions as (
    select
        definition_id,
        case grain when '1h' then 1 when '4h' then 4 when '1d' then 24 end as bar_hours
    from dim_spike_definitions
),

due as (
    select ranks.*, horizons.horizon_hours, definitions.bar_hours
    from fct_taker_spike_ranks as ranks
    inner join definitions on ranks.definition_id = definitions.definition_id
    cross join (values (4), (24)) as horizons (horizon_hours)
    where ranks.event_rank <= 20
),

fundings as (
    select market_id, funded_at, coalesce(cumulative_rate, 0) as funding_rate
    from fct_funding_rates
),

liquidations as (
    select
        market_id,
        bar_at,
        sum(coalesce(long_usd, 0)) over until_here as long_usd,
        sum(coalesce(short_usd, 0)) over until_here as short_usd,
        sum(cast(coverage_ratio as decimal(9, 8))) over until_here as coverage
    from fct_liquidations_hourly
    window until_here as (partition by market_id order by bar_at rows between unbounded preceding and current row)
),

recomputed as (
    select
        context.*,
        date_diff('hour', context.from_at, context.to_at) as window_hours,
        after.open_interest_base - before.open_interest_base as due_change_base,
        cast(after.open_interest_base as double) / cast(before.open_interest_base as double) as due_growth,
        coalesce(funding_end.funding_rate, 0) - coalesce(funding_begin.funding_rate, 0) as due_funding_rate,
        {% for column in ["long_usd", "short_usd", "coverage"] %}
        coalesce(liquidation_end.{{ column }}, 0) - coalesce(liquidation_begin.{{ column }}, 0) as due_{{ column }},
        {% endfor %}
    from fct_spike_context as context
    left join fct_open_interest_hourly as before
        on context.market_id = before.market_id and context.from_at = before.bar_at + interval '1 hour'
    left join fct_open_interest_hourly as after
        on context.market_id = after.market_id and context.to_at = after.bar_at + interval '1 hour'
    {% for edge, instant in [("begin", "from_at"), ("end", "to_at")] %}
    asof left join fundings as funding_{{ edge }}
        on context.market_id = funding_{{ edge }}.market_id and context.{{ instant }} > funding_{{ edge }}.funded_at
    asof left join liquidations as liquidation_{{ edge }}
        on context.market_id = liquidation_{{ edge }}.market_id
        and context.{{ instant }} > liquidation_{{ edge }}.bar_at
    {% endfor %}
)

select
    coalesce(due.definition_id, context.definition_id) as definition_id,
    coalesce(due.market_id, context.market_id) as market_id,
    coalesce(due.side, context.side) as side,
    coalesce(due.bar_at, context.event_at) as event_at,
    coalesce(due.horizon_hours, context.horizon_hours) as horizon_hours,
    context.event_rank,
    context.value,
    context.from_at,
    context.to_at,
    context.open_interest_change_base,
    context.open_interest_change_ratio,
    context.funding_rate,
    context.funding_coverage_ratio,
    context.long_liquidations_usd,
    context.short_liquidations_usd,
    context.liquidations_coverage_ratio,
    context.is_lower_bound,
    context.due_change_base,
    context.due_funding_rate,
    context.due_long_usd,
    context.due_short_usd,
    due.bar_at is not null as is_event,
    context.event_at is not null as is_followed,
    due.bar_at is null or context.event_at is null
    or coalesce(due.event_rank = context.event_rank and due.value = context.value, false) as is_event_unchanged,
    due.bar_at is null or context.event_at is null or coalesce(
        context.from_at = due.bar_at - to_hours(due.horizon_hours)
        and context.to_at = due.bar_at + to_hours(due.bar_hours + due.horizon_hours),
        false
    ) as is_window_right,
    case
        when context.open_interest_change_base is null and context.due_change_base is null then 0
        else {{ residual("context.open_interest_change_base - context.due_change_base") }}
    end as change_residual,
    {{ distance("context.open_interest_change_ratio", "(context.due_growth - 1)") }} as change_error,
    case
        when context.event_at is null or context.funding_coverage_ratio = 0
            then case when context.funding_rate is null then 0 else 1 end
        else {{ residual("context.funding_rate - context.due_funding_rate") }}
    end as funding_residual,
    case
        when context.event_at is null or context.liquidations_coverage_ratio = 0
            then case
                when context.long_liquidations_usd is null and context.short_liquidations_usd is null then 0
                else 1
            end
        else {{
            residual(
                "abs(context.long_liquidations_usd - context.due_long_usd) "
                ~ "+ abs(context.short_liquidations_usd - context.due_short_usd)"
            )
        }}
    end as liquidations_residual,
    {{
        distance(
            "context.liquidations_coverage_ratio", "cast(context.due_coverage as double) / context.window_hours"
        )
    }} as coverage_error,
    context.event_at is null or coalesce(context.is_lower_bound or context.liquidations_coverage_ratio = 1, false)
        as is_bound_honest
from due
full join recomputed as context
    on due.definition_id = context.definition_id
    and due.market_id = context.market_id
    and due.side = context.side
    and due.bar_at = context.event_at
    and due.horizon_hours = context.horizon_hours
