-- One row per market and day of either mart: the daily bar must come from the source that the verdict names.
{% from "macros.sql" import residual, sum_venues %}

with days as (
    select
        coalesce(verdicts.market_id, daily.market_id) as market_id,
        coalesce(verdicts.bar_date, daily.bar_date) as bar_date,
        verdicts.market_id is not null as is_in_reconciliation,
        -- A stored file without a trade is reconciled too, but yields no bar.
        daily.market_id is not null
        or (coalesce(verdicts.trades_volume_usd, 0) = 0 and verdicts.klines_volume_usd is null)
        -- Nor do trades of which every hour is contradicted.
        or coalesce(verdicts.contradicted_bars > 0 and verdicts.klines_volume_usd is null, false)
        -- Implausible trades alone yield no bar, and neither do bars of which none can be right.
        or (verdicts.verdict = 'trades_implausible' and verdicts.klines_volume_usd is null)
        or coalesce(verdicts.doubtful_bars > 0 and verdicts.kline_coverage_ratio = 0, false) as is_in_daily,
        verdicts.market_id is not null and daily.market_id is not null as is_in_both,
        verdicts.verdict,
        daily.flow_source,
        case
            when verdicts.verdict = 'provisional_only' and daily.is_provisional then daily.flow_source
            when verdicts.verdict in ('exact', 'within_tolerance', 'trades_only') then 'trades'
            -- Implausible trades without klines: only the API's rows of the day are left.
            when verdicts.verdict = 'trades_implausible' and daily.is_provisional then daily.flow_source
            -- Bars that the trades replace: all of the day where both then agree, else these bars alone.
            when verdicts.replaced_bars > 0 and daily.flow_source in ('trades', 'mixed') then daily.flow_source
            -- Trades without klines, of which a witness contradicts some hours.
            when verdicts.contradicted_bars > 0 and verdicts.klines_volume_usd is null then 'trades'
            when verdicts.verdict = 'conflict' and verdicts.kline_coverage_ratio < 1 and verdicts.difference_usd > 0
                and verdicts.doubtful_bars = 0 and verdicts.contradicted_bars = 0
                then 'trades'
            else 'klines'
        end as due_flow_source,
        daily.volume_usd,
        case
            when verdicts.verdict = 'provisional_only' or daily.is_provisional then daily.volume_usd
            -- Part trades, part klines: no one source holds the day.
            when daily.flow_source = 'mixed' then daily.volume_usd
            -- Bars that a witness contradicts are left out of the day, and never add to it.
            when verdicts.contradicted_bars > 0
                then least(daily.volume_usd, coalesce(verdicts.klines_volume_usd, verdicts.trades_volume_usd))
            when daily.flow_source = 'trades' then verdicts.trades_volume_usd
            when verdicts.kline_interval = case daily.source_bar_hours when 1 then '1h' when 4 then '4h' else '1d' end
                then verdicts.klines_volume_usd
            else daily.volume_usd
        end as source_volume_usd
    from fct_flow_reconciliation_daily as verdicts
    full join (select * from fct_net_taker_volume_daily where venue not in ({{ sum_venues }})) as daily
        on verdicts.market_id = daily.market_id
        and verdicts.bar_date = daily.bar_date
)

select
    *,
    -- Where nothing was traded, both sources agree.
    not is_in_both or coalesce(volume_usd = 0 or flow_source = due_flow_source, false) as is_due_source,
    case when is_in_both then {{ residual("abs(volume_usd - source_volume_usd)") }} else 0 end as volume_difference_usd
from days
