-- One row per market and day: what trades and klines each report, whether they agree, and which one the bars are taken
-- from. Volumes and verdict are those of the files as published; the choice is made with the klines as
-- `int_flow_klines` judges them. Days that `int_judged_days` names are replaced.
-- Longer than 100 lines: each reason that a day may state is a case of its own.
{{ config(
    materialized='changed_rows',
    meta={'replaced': {'changes': 'int_judged_days', 'keys': ['market_id', 'bar_date']}},
) }}
{%- set changes = changes_in('int_judged_days') %}

with defects as (
    select
        market_id,
        bar_date,
        sum(case when kind = 'quarantined_rows' then row_count else 0 end) as quarantined_rows,
        max(case when kind = 'refused_source' then 1 else 0 end) as refused_files,
        {{ sorted_list("case when kind in ('replaced_source', 'refused_source', 'quarantined_rows') then reason end") }}
            as reasons,
        {{ sorted_list(
            "case when kind = 'replaced_source' then source_key || ' by '"
            ~ " || coalesce(nullif(used_instead, ''), 'what was stored before') end"
        ) }} as replaced_files
    from {{ ref('int_flow_defects') }}
    where source in ('trades', 'klines')
    group by market_id, bar_date
)

select
    days.market_id,
    days.bar_date,
    days.trades_volume_usd,
    days.klines_volume_usd,
    days.difference_usd,
    days.trades_net_usd,
    days.klines_net_usd,
    days.agg_id_gaps,
    days.duplicate_rows,
    days.zero_rows,
    days.out_of_order_rows,
    days.verdict,
    days.is_built_from_trades,
    days.is_confirmed,
    days.kline_bar_hours,
    days.kline_coverage_ratio,
    days.coarser_bar_hours,
    days.coarser_volume_usd,
    days.interval_difference_usd,
    days.interval_verdict,
    cast(days.replaced_bars as bigint) as replaced_bars,
    cast(days.doubtful_bars as bigint) as doubtful_bars,
    cast(days.contradicted_bars as bigint) as contradicted_bars,
    days.contradicted_by,
    cast(coalesce(defects.quarantined_rows, 0) as bigint) as quarantined_rows,
    nullif(
        concat_ws(
            ', ',
            defects.replaced_files,
            case when {{ is_trades_replaced('days') }} then 'trades by klines' end,
            case
                when days.replaced_bars > 0
                    then cast(days.replaced_bars as string) || ' bars of the klines by the trades'
            end
        ),
        ''
    ) as replaced_sources,
    nullif(
        concat_ws(
            '; ',
            days.implausible_reason,
            defects.reasons,
            {{ replaced_trades_reason('days') }},
            case
                when days.replaced_bars > 0
                    then cast(days.replaced_bars as string) || ' bars of the klines lack what the trades hold'
            end,
            case
                when days.empty_bars > 0
                    then cast(days.empty_bars as string)
                        || ' bars of the klines have no volume although the market traded'
            end,
            case
                when days.replaced_trade_bars > 0
                    then cast(days.replaced_trade_bars as string)
                        || ' bars of the trades are not those of the klines, which are used'
            end,
            case
                when days.contradicted_bars > days.replaced_trade_bars
                    then cast(days.contradicted_bars - days.replaced_trade_bars as string)
                        || ' bars are contradicted and not used, by ' || days.contradicted_by
            end
        ),
        ''
    ) as defect_reason,
    -- What concerns every bar of the day; rows set aside and doubtful bars concern theirs.
    case
        when days.verdict = 'trades_implausible' then 3
        -- Bars of a day of which a file was refused come from another one: trades for klines, or another interval.
        when {{ is_trades_replaced('days') }} or days.replaced_bars > 0 or defects.replaced_files is not null
            or defects.refused_files > 0
            then 1
        else 0
    end as quality
from {{ ref('int_flow_day_verdicts') }} as days
left join defects on days.market_id = defects.market_id and days.bar_date = defects.bar_date
order by days.market_id, days.bar_date
