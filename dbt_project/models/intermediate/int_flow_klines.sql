-- One row per market, bar length and bar of the archive's klines, judged. A row that is there is no proof: the venue
-- has published bars without volume for hours in which it traded. `replaced`: the trades prove more than the bar holds
-- and are taken instead; `filled`: likewise where the bar is missing; `doubtful`: the bar has no volume and cannot be
-- right, or a witness contradicts it (`int_flow_contradictions`), and nothing proves what was traded, so that its time
-- is uncovered. Every other bar is `published`, and so is one that the trades contradict: it is theirs that are not
-- used.
--
-- A bar without volume is wrong, and no quiet hour, when
-- - the trades hold something for it (`int_flow_proven_bars`); or
-- - its price moved, or it counts trades; or
-- - no trades prove it quiet, and of the bars with volume of the week before and after nine in ten count 20 trades an
--   hour or more (`int_flow_usual_trade_rates`): at such a rate an hour without one has a probability of 2e-9. A market
--   that trades a few times a day has smaller bars, and keeps its empty ones.
--
-- Days that `int_judged_days` names are replaced.
-- Longer than 100 lines: when a bar is wrong is stated first.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {'changes': 'int_judged_days', 'keys': ['market_id', 'bar_date']}},
) }}
{%- set least_trades_an_hour = 20 %}

with klines as (
    select
        bars.*,
        bars.taker_buy_usd + bars.taker_sell_usd as volume_usd
    from {{ ref('int_flow_bars') }} as bars
    where bars.source = 'klines' and {{ is_of_changed_day('bars', 'int_judged_days') }}
),

contradicted_bars as (
    select
        market_id,
        bar_hours,
        bar_at,
        max(case when source = 'klines' and effect = 'uncovered' then 1 else 0 end) = 1 as is_contradicted,
        max(case when witness = 'klines' then 1 else 0 end) = 1 as contradicts_trades
    from {{ ref('int_flow_contradictions') }}
    group by market_id, bar_hours, bar_at
),

judged_bars as (
    select
        coalesce(klines.market_id, trades.market_id) as market_id,
        coalesce(klines.bar_date, trades.bar_date) as bar_date,
        coalesce(klines.bar_hours, trades.bar_hours) as bar_hours,
        coalesce(klines.bar_at, trades.bar_at) as bar_at,
        case
            when klines.market_id is null then 'filled'
            when contradicted_bars.is_contradicted then 'doubtful'
            when klines.volume_usd = 0 and trades.volume_usd > 0
                then case when trades.is_whole then 'replaced' else 'doubtful' end
            when klines.volume_usd = 0 and (klines.high_price <> klines.low_price or klines.trade_count > 0)
                then 'doubtful'
            when klines.volume_usd = 0 and trades.is_whole and trades.proven_minutes = klines.bar_hours * 60
                then 'published'
            when klines.volume_usd = 0 and usual_trade_rates.trades_an_hour >= {{ least_trades_an_hour }}
                then 'doubtful'
            when trades.is_whole
                and trades.volume_usd - klines.volume_usd > klines.volume_usd * 0.0001
                and trades.trade_count > klines.trade_count
                and not coalesce(contradicted_bars.contradicts_trades, false)
                then 'replaced'
            else 'published'
        end as state,
        {%- for column in ['taker_buy_usd', 'taker_sell_usd', 'taker_buy_base', 'taker_sell_base', 'open_price',
            'high_price', 'low_price', 'close_price', 'trade_count'] %}
        klines.{{ column }} as klines_{{ column }},
        trades.{{ column }} as trades_{{ column }},
        {%- endfor %}
        klines.covered_minutes,
        trades.proven_minutes,
        coalesce(contradicted_bars.is_contradicted, false) as is_contradicted
    from klines
    full outer join {{ ref('int_flow_proven_bars') }} as trades
        on klines.market_id = trades.market_id and klines.bar_hours = trades.bar_hours and klines.bar_at = trades.bar_at
    left join {{ ref('int_flow_usual_trade_rates') }} as usual_trade_rates
        on klines.market_id = usual_trade_rates.market_id and klines.bar_hours = usual_trade_rates.bar_hours
        and klines.bar_date = usual_trade_rates.bar_date
    left join contradicted_bars
        on klines.market_id = contradicted_bars.market_id and klines.bar_hours = contradicted_bars.bar_hours
        and klines.bar_at = contradicted_bars.bar_at
    where klines.market_id is not null or (trades.is_whole and trades.volume_usd > 0)
)

select
    market_id,
    bar_date,
    bar_hours,
    bar_at,
    state,
    case when state in ('replaced', 'filled') then 'trades' else 'klines' end as source,
    {%- for column, type in {
        'taker_buy_usd': 'decimal(38,16)', 'taker_sell_usd': 'decimal(38,16)', 'taker_buy_base': 'decimal(38,16)',
        'taker_sell_base': 'decimal(38,16)', 'open_price': none, 'high_price': none, 'low_price': none,
        'close_price': none, 'trade_count': 'bigint',
    }.items() %}
    {%- set value = "case when state in ('replaced', 'filled') then trades_" ~ column
        ~ " else klines_" ~ column ~ " end" %}
    {{ 'cast(' ~ value ~ ' as ' ~ type ~ ')' if type else value }} as {{ column }},
    {%- endfor %}
    cast(
        case state when 'doubtful' then 0 when 'published' then covered_minutes else proven_minutes end as bigint
    ) as covered_minutes,
    is_contradicted
from judged_bars
order by market_id, bar_hours, bar_at
