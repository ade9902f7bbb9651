-- One row per market and day: what trades and klines each report, whether they agree, and which one the bars are taken
-- from. Volumes and verdict are those of the files as published; the choice is made with the klines as
-- `int_flow_klines` judges them.
-- Long, since choice of klines, comparison with the trades and comparison of intervals decide one verdict together.
with published_klines as (
    select
        market_id,
        bar_date,
        bar_hours,
        cast(sum(taker_buy_usd + taker_sell_usd) as decimal(38,8)) as volume_usd,
        cast(sum(taker_buy_usd - taker_sell_usd) as decimal(38,8)) as net_usd,
        {{ share('sum(covered_minutes)', 1440) }} as published_coverage_ratio
    from {{ ref('int_flow_bars') }}
    where source = 'klines'
    group by market_id, bar_date, bar_hours
),

judged_klines as (
    select
        market_id,
        bar_date,
        bar_hours,
        cast(sum(case when state <> 'doubtful' then taker_buy_usd + taker_sell_usd else 0 end) as decimal(38,8))
            as volume_usd,
        cast(sum(case when state <> 'doubtful' then taker_buy_usd - taker_sell_usd else 0 end) as decimal(38,8))
            as net_usd,
        {{ share('sum(covered_minutes)', 1440) }} as coverage_ratio,
        {{ share("sum(case when state = 'published' then covered_minutes else 0 end)", 1440) }} as kline_coverage_ratio,
        sum(case when state in ('replaced', 'filled') then 1 else 0 end) as replaced_bars,
        sum(case when state = 'doubtful' then 1 else 0 end) as doubtful_bars,
        sum(case when state = 'doubtful' and is_contradicted is not true then 1 else 0 end) as empty_bars
    from {{ ref('int_flow_klines') }}
    group by market_id, bar_date, bar_hours
),

kline_choices as (
    select
        published.market_id,
        published.bar_date,
        published.bar_hours,
        published.volume_usd,
        published.net_usd,
        published.published_coverage_ratio,
        judged.volume_usd as judged_volume_usd,
        judged.net_usd as judged_net_usd,
        judged.coverage_ratio,
        judged.kline_coverage_ratio,
        judged.replaced_bars,
        judged.doubtful_bars,
        judged.empty_bars,
        row_number() over (
            partition by published.market_id, published.bar_date
            order by judged.coverage_ratio desc, published.bar_hours asc
        ) as choice
    from published_klines as published
    inner join judged_klines as judged
        on published.market_id = judged.market_id
        and published.bar_date = judged.bar_date
        and published.bar_hours = judged.bar_hours
),

kline_days as (
    select *
    from kline_choices
    where choice = 1
),

-- Only intervals that hold as much of the day are comparable; of several, the one that disagrees most is shown.
interval_differences as (
    select
        finest.market_id,
        finest.bar_date,
        coarser.bar_hours as coarser_bar_hours,
        coarser.volume_usd as coarser_volume_usd,
        finest.volume_usd - coarser.volume_usd as volume_difference,
        finest.net_usd - coarser.net_usd as net_difference,
        row_number() over (
            partition by finest.market_id, finest.bar_date
            order by abs(finest.volume_usd - coarser.volume_usd) desc, coarser.bar_hours asc
        ) as choice
    from kline_days as finest
    inner join kline_choices as coarser
        on finest.market_id = coarser.market_id
        and finest.bar_date = coarser.bar_date
        and finest.bar_hours < coarser.bar_hours
        and finest.published_coverage_ratio = coarser.published_coverage_ratio
),

defects as (
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
),

-- Bars that a witness contradicts, of the trades and of the klines that are used; those that are only stated are none.
contradictions as (
    select
        bars.market_id,
        bars.bar_date,
        count(distinct bars.bar_at) as contradicted_bars,
        count(distinct case when bars.witness = 'klines' then bars.bar_at end) as replaced_trade_bars,
        {{ sorted_list('bars.witness') }} as contradicted_by
    from {{ ref('int_flow_contradictions') }} as bars
    left join kline_days
        on bars.market_id = kline_days.market_id and bars.bar_date = kline_days.bar_date
    where bars.effect <> 'stated' and bars.bar_hours = coalesce(kline_days.bar_hours, 1)
    group by bars.market_id, bars.bar_date
),

-- A stored file without a single trade is a statement too: nothing was traded.
paired_days as (
    select
        coalesce(trades.market_id, klines.market_id) as market_id,
        coalesce(trades.bar_date, klines.bar_date) as bar_date,
        trades.volume_usd as trades_volume_usd,
        trades.net_usd as trades_net_usd,
        klines.volume_usd as klines_volume_usd,
        klines.net_usd as klines_net_usd,
        trades.volume_usd - klines.volume_usd as difference_usd,
        trades.net_usd - klines.net_usd as net_difference_usd,
        klines.volume_usd * 0.0001 as tolerance_usd,
        abs(trades.volume_usd - klines.judged_volume_usd) <= klines.judged_volume_usd * 0.0001
        and abs(trades.net_usd - klines.judged_net_usd) <= klines.judged_volume_usd * 0.0001 as agree_as_judged,
        trades.id_gaps as agg_id_gaps,
        trades.duplicate_rows,
        trades.zero_rows,
        trades.out_of_order_rows,
        trades.implausible_reason,
        klines.bar_hours as kline_bar_hours,
        klines.published_coverage_ratio,
        klines.kline_coverage_ratio,
        coalesce(klines.replaced_bars, 0) as replaced_bars,
        coalesce(klines.doubtful_bars, 0) as doubtful_bars,
        coalesce(klines.empty_bars, 0) as empty_bars
    from {{ ref('int_flow_trade_days') }} as trades
    full outer join kline_days as klines
        on trades.market_id = klines.market_id and trades.bar_date = klines.bar_date
),

judged_days as (
    select
        paired_days.*,
        coarser.coarser_bar_hours,
        coarser.coarser_volume_usd,
        coarser.volume_difference as interval_difference_usd,
        case
            when implausible_reason is not null then 'trades_implausible'
            when trades_volume_usd is null then 'klines_only'
            when klines_volume_usd is null then 'trades_only'
            when difference_usd = 0 and net_difference_usd = 0 then 'exact'
            when difference_usd < -tolerance_usd then 'trades_incomplete'
            when difference_usd > tolerance_usd or abs(net_difference_usd) > tolerance_usd then 'conflict'
            else 'within_tolerance'
        end as verdict_of_sums,
        coalesce(contradictions.contradicted_bars, 0) as contradicted_bars,
        coalesce(contradictions.replaced_trade_bars, 0) as replaced_trade_bars,
        contradictions.contradicted_by,
        case
            when klines_volume_usd is null then null
            when coarser.volume_difference is null then 'single_interval'
            when coarser.volume_difference = 0 and coarser.net_difference = 0 then 'exact'
            when abs(coarser.volume_difference) > tolerance_usd or abs(coarser.net_difference) > tolerance_usd
                then 'conflict'
            else 'within_tolerance'
        end as interval_verdict
    from paired_days
    left join interval_differences as coarser
        on paired_days.market_id = coarser.market_id and paired_days.bar_date = coarser.bar_date and coarser.choice = 1
    left join contradictions
        on paired_days.market_id = contradictions.market_id and paired_days.bar_date = contradictions.bar_date
),

-- Sums that agree are no agreement where single bars do not, and a source that stands alone may be contradicted too.
chosen_days as (
    select
        judged_days.*,
        case
            when contradicted_bars > 0
                and verdict_of_sums in ('exact', 'within_tolerance', 'trades_only', 'klines_only')
                then 'conflict'
            else verdict_of_sums
        end as verdict,
        -- Klines, those as published or those with the bars that the trades prove, agree with the trades.
        contradicted_bars = 0
        and (
            verdict_of_sums in ('exact', 'within_tolerance')
            or coalesce(verdict_of_sums = 'conflict' and replaced_bars > 0 and agree_as_judged, false)
        ) as is_confirmed
    from judged_days
)

select
    chosen_days.market_id,
    chosen_days.bar_date,
    chosen_days.trades_volume_usd,
    chosen_days.klines_volume_usd,
    chosen_days.difference_usd,
    chosen_days.trades_net_usd,
    chosen_days.klines_net_usd,
    chosen_days.agg_id_gaps,
    chosen_days.duplicate_rows,
    chosen_days.zero_rows,
    chosen_days.out_of_order_rows,
    chosen_days.verdict,
    chosen_days.is_confirmed
    or chosen_days.verdict_of_sums = 'trades_only'
    -- Klines that lack part of the day and hold less than the trades are not the complete source.
    or (
        chosen_days.verdict = 'conflict'
        and chosen_days.published_coverage_ratio < 1
        and chosen_days.difference_usd > 0
        and chosen_days.replaced_bars = 0
        and chosen_days.doubtful_bars = 0
        and chosen_days.contradicted_bars = 0
    ) as is_built_from_trades,
    chosen_days.is_confirmed,
    chosen_days.kline_bar_hours,
    chosen_days.kline_coverage_ratio,
    chosen_days.coarser_bar_hours,
    chosen_days.coarser_volume_usd,
    chosen_days.interval_difference_usd,
    chosen_days.interval_verdict,
    cast(chosen_days.replaced_bars as bigint) as replaced_bars,
    cast(chosen_days.doubtful_bars as bigint) as doubtful_bars,
    cast(chosen_days.contradicted_bars as bigint) as contradicted_bars,
    chosen_days.contradicted_by,
    cast(coalesce(defects.quarantined_rows, 0) as bigint) as quarantined_rows,
    nullif(
        concat_ws(
            ', ',
            defects.replaced_files,
            case
                when chosen_days.replaced_bars > 0
                    then cast(chosen_days.replaced_bars as varchar) || ' bars of the klines by the trades'
            end
        ),
        ''
    ) as replaced_sources,
    nullif(
        concat_ws(
            '; ',
            chosen_days.implausible_reason,
            defects.reasons,
            case
                when chosen_days.replaced_bars > 0
                    then cast(chosen_days.replaced_bars as varchar) || ' bars of the klines lack what the trades hold'
            end,
            case
                when chosen_days.empty_bars > 0
                    then cast(chosen_days.empty_bars as varchar)
                        || ' bars of the klines have no volume although the market traded'
            end,
            case
                when chosen_days.replaced_trade_bars > 0
                    then cast(chosen_days.replaced_trade_bars as varchar)
                        || ' bars of the trades are not those of the klines, which are used'
            end,
            case
                when chosen_days.contradicted_bars > chosen_days.replaced_trade_bars
                    then cast(chosen_days.contradicted_bars - chosen_days.replaced_trade_bars as varchar)
                        || ' bars are contradicted and not used, by ' || chosen_days.contradicted_by
            end
        ),
        ''
    ) as defect_reason,
    -- What concerns every bar of the day; rows set aside and doubtful bars concern theirs.
    case
        when chosen_days.verdict = 'trades_implausible' then 3
        -- Bars of a day of which a file was refused come from another one: trades for klines, or another interval.
        when chosen_days.replaced_bars > 0 or defects.replaced_files is not null or defects.refused_files > 0 then 1
        else 0
    end as quality
from chosen_days
left join defects on chosen_days.market_id = defects.market_id and chosen_days.bar_date = defects.bar_date
order by chosen_days.market_id, chosen_days.bar_date
