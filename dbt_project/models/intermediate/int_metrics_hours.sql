-- One row per market, day of the file and hour of the venue's metrics: between which values the takers' ratio of its
-- five minutes lay, the price by which the venue valued the open interest, and the hour's first and last observations
-- of that. Only days that are new or corrected since the last build are read. A zero is a hole in the venue's file, not
-- an empty market. The hours are witnesses of the bars, see `int_flow_metric_bars`, and make what is served of open
-- interest and of the venue's ratios.
with current_receipts as (
    select market_id, bar_date, source_state
    from {{ ref('int_metrics_receipts') }}
),

unchanged_hours as (
    select built.*
    from {{ built_metrics_hours() }} as built
    inner join current_receipts
        on built.market_id = current_receipts.market_id
        and built.bar_date = current_receipts.bar_date
        and built.source_state = current_receipts.source_state
),

read_metrics as (
    select
        metrics.*,
        current_receipts.source_state,
        markets.contract_type,
        markets.contract_size,
        coalesce(markets.base_multiplier, 1) as base_multiplier,
        metrics.open_interest > 0 and metrics.open_interest_value > 0 as is_observed
    from {{ metrics_to_read() }} as metrics
    inner join current_receipts
        on metrics.market_id = current_receipts.market_id and metrics.bar_date = current_receipts.bar_date
    inner join {{ ref('int_markets') }} as markets on metrics.market_id = markets.market_id
    where
        not exists (
            select 1
            from unchanged_hours
            where unchanged_hours.market_id = metrics.market_id and unchanged_hours.bar_date = metrics.bar_date
        )
),

observations as (
    select
        market_id,
        bar_date,
        source_state,
        date_trunc('hour', observed_at) as hour_at,
        observed_at as labelled_at,
        case when taker_buy_sell_ratio > 0 then {{ exact_as_double('taker_buy_sell_ratio', 18) }} end as taker_ratio,
        case when is_observed then observed_at end as observed_at,
        {%- for name, ratio in last_ratios().items() %}
        {{ exact_as_double('nullif(' ~ ratio ~ ', 0)', 18) }} as {{ name }},
        case when {{ ratio }} > 0 then observed_at end as {{ name }}_at,
        {%- endfor %}
        case when is_observed then {{ open_interest_price() }} / base_multiplier end as price,
        case when is_observed then {{ open_interest_base('base_multiplier') }} end as open_interest_base,
        case when is_observed then {{ open_interest_usd() }} end as open_interest_usd
    from read_metrics
),

read_hours as (
    select
        market_id,
        bar_date,
        max(source_state) as source_state,
        hour_at,
        count(taker_ratio) as ratio_count,
        min(taker_ratio) as lowest_ratio,
        max(taker_ratio) as highest_ratio,
        max(case when labelled_at = hour_at then taker_ratio end) as first_ratio,
        min(price) as lowest_price,
        max(price) as highest_price,
        max(observed_at) as observed_at,
        {{ value_at_last('open_interest_base', 'observed_at') }} as open_interest_base,
        {{ value_at_last('open_interest_usd', 'observed_at') }} as open_interest_usd,
        min(observed_at) as first_observed_at,
        {{ value_at_first('open_interest_base', 'observed_at') }} as first_open_interest_base,
        {{ value_at_last_but_one('observed_at', 'observed_at') }} as former_observed_at,
        {{ value_at_last_but_one('open_interest_base', 'observed_at') }} as former_open_interest_base,
        count(observed_at) as observation_count,
        {%- for name in last_ratios() %}
        {{ value_at_last(name, name ~ '_at') }} as {{ name }},
        {%- endfor %}
        max(greatest(top_trader_account_ratio_at, top_trader_position_ratio_at, account_ratio_at)) as ratios_observed_at,
        count(coalesce(top_trader_account_ratio, top_trader_position_ratio, account_ratio)) as long_short_count
    from observations
    group by market_id, bar_date, hour_at
)

{% for hours in ['unchanged_hours', 'read_hours'] %}
select
    {%- for name, type in metrics_hour_columns().items() %}
    cast({{ name }} as {{ type }}) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ hours }}
{{ 'union all' if not loop.last }}
{% endfor %}
order by market_id, hour_at
