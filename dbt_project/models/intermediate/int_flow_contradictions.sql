-- One row per bar of the archive's trades or klines and witness that contradicts it, with the figures of both.
-- Long, since every witness judges the same bars, and which of two bars is wrong is decided by all of them.
--
-- A witness with too little data gives no verdict, and two files of the venue that agree on a bar outvote any other.
-- What follows (`effect`): `uncovered`, the bar is not used; `replaced`, bars of the trades that the klines contradict,
-- the klines are used; `stated`, the bar is used, and everything that rests on it states so.
{%- set sides = ['usd', 'base'] %}

with bars as (
    select
        market_id,
        source,
        bar_hours,
        bar_at,
        bar_date,
        cast(taker_buy_usd + taker_sell_usd as double) as volume_usd,
        cast(taker_buy_base + taker_sell_base as double) as volume_base,
        cast(taker_buy_usd - taker_sell_usd as double) as net_usd,
        cast(taker_buy_base as double) as buy_base,
        cast(taker_sell_base as double) as sell_base,
        cast(open_price as double) as open_price,
        cast(high_price as double) as high_price,
        cast(low_price as double) as low_price,
        cast(close_price as double) as close_price,
        trade_count,
        reported_minutes
    from {{ ref('int_flow_bars') }}
    where source in ('trades', 'klines')
),

kline_days as (
    select
        market_id,
        bar_date,
        bar_hours,
        sum(volume_usd) as volume_usd,
        sum(volume_base) as volume_base
    from bars
    where source = 'klines'
    group by market_id, bar_date, bar_hours
),

-- Trades against klines, of each length that the day has klines of.
trade_bars as (
    select
        hours.market_id,
        hours.bar_date,
        days.bar_hours,
        {{ bar_start('hours.bar_at', 'days.bar_hours') }} as bar_at,
        sum(hours.volume_usd) as volume_usd,
        sum(hours.volume_base) as volume_base,
        sum(hours.net_usd) as net_usd,
        {{ value_at_first('hours.open_price', 'hours.bar_at') }} as open_price,
        max(hours.high_price) as high_price,
        min(hours.low_price) as low_price,
        {{ value_at_last('hours.close_price', 'hours.bar_at') }} as close_price,
        sum(hours.trade_count) as trade_count,
        max(days.volume_usd) as day_volume_usd,
        max(days.volume_base) as day_volume_base
    from bars as hours
    inner join kline_days as days on hours.market_id = days.market_id and hours.bar_date = days.bar_date
    inner join {{ ref('int_flow_trade_days') }} as trade_days
        on hours.market_id = trade_days.market_id and hours.bar_date = trade_days.bar_date
    where hours.source = 'trades' and trade_days.implausible_reason is null
    group by hours.market_id, hours.bar_date, days.bar_hours, {{ bar_start('hours.bar_at', 'days.bar_hours') }}
),

pairs as (
    select
        trades.*,
        {%- for column in [
            'volume_usd', 'volume_base', 'net_usd', 'open_price', 'high_price', 'low_price', 'close_price', 'trade_count',
        ] %}
        klines.{{ column }} as klines_{{ column }},
        {%- endfor %}
        {%- for side in sides %}
        greatest(
            {{ bar_amount_tolerance() }} * klines.volume_{{ side }},
            {{ day_amount_tolerance() }} * trades.day_volume_{{ side }}
        ) as tolerance_{{ side }}{{ ',' if not loop.last }}
        {%- endfor %}
    from trade_bars as trades
    inner join bars as klines
        on klines.source = 'klines' and trades.market_id = klines.market_id and trades.bar_hours = klines.bar_hours
        and trades.bar_at = klines.bar_at
    -- A bar without volume is judged where its neighbours are known (`int_flow_klines`).
    where klines.volume_usd > 0
        and greatest(trades.trade_count, klines.trade_count) >= {{ fewest_trades_to_compare() }} * klines.bar_hours
),

-- A source that counts fewer trades and holds less of a bar lacks part of it: incomplete, and by itself no
-- contradiction.
compared_pairs as (
    select
        pairs.*,
        trade_count < klines_trade_count and klines_volume_usd - volume_usd > tolerance_usd as trades_lack,
        trade_count > klines_trade_count and volume_usd - klines_volume_usd > tolerance_usd as klines_lack,
        abs(volume_usd - klines_volume_usd) > tolerance_usd as is_usd_off,
        abs(net_usd - klines_net_usd) > tolerance_usd as is_net_off,
        abs(volume_base - klines_volume_base) > tolerance_base as is_base_off,
        greatest(
            {{ price_gap('open_price', 'klines_open_price') }},
            {{ price_gap('close_price', 'klines_close_price') }}
        ) as end_gap,
        greatest(high_price / nullif(klines_high_price, 0), klines_low_price / nullif(low_price, 0)) - 1
            as beyond_klines,
        greatest(klines_high_price / nullif(high_price, 0), low_price / nullif(klines_low_price, 0)) - 1
            as beyond_trades
    from pairs
),

-- Each holds more than the other somewhere on a whole day: neither only lacks something.
exchanged_days as (
    select market_id, bar_date, bar_hours
    from compared_pairs
    group by market_id, bar_date, bar_hours
    having max(case when trades_lack then 1 else 0 end) + max(case when klines_lack then 1 else 0 end) = 2
),

judged_pairs as (
    select
        compared_pairs.*,
        case
            when compared_pairs.trades_lack or compared_pairs.klines_lack
                then exchanged_days.market_id is not null
                or case when compared_pairs.trades_lack then beyond_klines else beyond_trades end
                    > {{ bar_price_tolerance() }}
            else is_usd_off or is_net_off or is_base_off
                or greatest(end_gap, beyond_klines, beyond_trades) > {{ bar_price_tolerance() }}
        end as is_contradiction
    from compared_pairs
    left join exchanged_days
        on compared_pairs.market_id = exchanged_days.market_id and compared_pairs.bar_date = exchanged_days.bar_date
        and compared_pairs.bar_hours = exchanged_days.bar_hours
),

-- Bars to which no second file of the venue testifies.
lone_bars as (
    select
        bars.*,
        bars.source = 'klines' and confirmed.market_id is null
        or bars.source = 'trades' and kline_days.market_id is null as is_lone
    from bars
    left join judged_pairs as confirmed
        on bars.source = 'klines' and bars.market_id = confirmed.market_id and bars.bar_hours = confirmed.bar_hours
        and bars.bar_at = confirmed.bar_at and not confirmed.is_contradiction
        and not confirmed.trades_lack and not confirmed.klines_lack
    left join (select distinct market_id, bar_date from kline_days) as kline_days
        on bars.source = 'trades' and bars.market_id = kline_days.market_id and bars.bar_date = kline_days.bar_date
),

-- A bar against itself. Where most of a market's bars are beside their own prices its contract size is wrong, which the
-- audit refuses.
own_figures as (
    select
        lone_bars.*,
        volume_usd / nullif(volume_base, 0) as average_price,
        {{
            price_distance(
                'volume_usd / nullif(volume_base, 0)', 'volume_usd / nullif(volume_base, 0)', 'low_price', 'high_price'
            )
        }} > {{ bar_price_tolerance() }} as is_average_off,
        sum(trade_count) over of_day as day_trade_count,
        sum(buy_base) over of_day as day_buy_base,
        sum(sell_base) over of_day as day_sell_base
    from lone_bars
    window of_day as (partition by market_id, source, bar_hours, bar_date)
),

wrong_contract_sizes as (
    select market_id, source
    from own_figures
    group by market_id, source
    having 2 * sum(case when is_average_off then 1 else 0 end) > count(*)
),

-- The level of prices: what follows upon each other without a step, and both its neighbours.
traded_bars as (
    select
        lone_bars.*,
        lag(bar_at) over series as former_at,
        lag(close_price) over series as former_close,
        lag(trade_count) over series as former_count,
        lead(bar_at) over series as next_at,
        lead(open_price) over series as next_open,
        lead(trade_count) over series as next_count
    from lone_bars
    where volume_usd > 0 and low_price > 0
    window series as (partition by market_id, source, bar_hours order by bar_at)
),

gaps as (
    select
        traded_bars.*,
        case
            when bar_at = former_at + {{ hours_as_interval('bar_hours') }}
                then {{ price_gap('open_price', 'former_close') }}
        end as gap_before,
        case
            when next_at = bar_at + {{ hours_as_interval('bar_hours') }}
                then {{ price_gap('close_price', 'next_open') }}
        end as gap_after
    from traded_bars
),

usual_gaps as (
    select
        market_id,
        source,
        bar_hours,
        date_trunc('month', bar_at) as month_at,
        greatest({{ least_gap() }}, {{ usual_gaps() }} * percentile_disc(0.75) within group (order by gap_before))
            as tolerance
    from gaps
    where gap_before is not null
    group by market_id, source, bar_hours, date_trunc('month', bar_at)
    having count(*) >= 12
),

numbered_bars as (
    select
        gaps.*,
        sum(case when gap_before > {{ price_step() }} then 1 else 0 end) over (
            partition by market_id, source, bar_hours
            order by bar_at
            rows between unbounded preceding and current row
        ) as segment
    from gaps
),

segments as (
    select
        market_id,
        source,
        bar_hours,
        segment,
        count(*) as bar_count,
        {{ value_at_first('open_price', 'bar_at') }} as open_price,
        {{ value_at_last('close_price', 'bar_at') }} as close_price,
        {{ value_at_first('trade_count', 'bar_at') }} as first_trade_count,
        {{ value_at_last('trade_count', 'bar_at') }} as last_trade_count
    from numbered_bars
    group by market_id, source, bar_hours, segment
),

segments_with_neighbours as (
    select
        segments.*,
        lag(close_price) over series as former_close,
        lag(bar_count) over series as former_bars,
        lead(open_price) over series as next_open,
        lead(bar_count) over series as next_bars
    from segments
    window series as (partition by market_id, source, bar_hours order by segment)
),

-- Between two steps of which the second undoes the first; such a segment is no evidence for others.
isolated_segments as (
    select market_id, source, bar_hours, segment
    from segments_with_neighbours
    where former_close is not null and next_open is not null
        and bar_count <= greatest(former_bars, next_bars)
        and {{ price_gap('former_close', 'next_open') }} <= {{ price_step() }}
),

-- At an end of the data the neighbour is enough where both trade so often that no price can be old.
contradicted_segments as (
    select
        segments.market_id,
        segments.source,
        segments.bar_hours,
        segments.segment,
        coalesce(segments.former_close, segments.next_open) as other_price,
        case when segments.former_close is not null then segments.open_price else segments.close_price end as own_price
    from segments_with_neighbours as segments
    left join isolated_segments as itself using (market_id, source, bar_hours, segment)
    left join isolated_segments as former
        on segments.market_id = former.market_id and segments.source = former.source
        and segments.bar_hours = former.bar_hours and segments.segment = former.segment + 1
    left join isolated_segments as later
        on segments.market_id = later.market_id and segments.source = later.source
        and segments.bar_hours = later.bar_hours and segments.segment = later.segment - 1
    where itself.market_id is not null
        or (
            segments.former_close is null and segments.bar_count <= segments.next_bars and later.market_id is null
            and segments.last_trade_count >= {{ fewest_trades_to_judge() }} * segments.bar_hours
        )
        or (
            segments.next_open is null and segments.bar_count <= segments.former_bars and former.market_id is null
            and segments.first_trade_count >= {{ fewest_trades_to_judge() }} * segments.bar_hours
        )
),

-- Prices of the same time elsewhere: the venue's own valuation of open interest, and other markets of the asset.
joined_metric_hours as (
    select
        market_id,
        hour_at,
        sum(ratio_count) as ratio_count,
        min(lowest_ratio) as lowest_ratio,
        max(highest_ratio) as highest_ratio,
        max(first_ratio) as first_ratio,
        min(lowest_price) as lowest_price,
        max(highest_price) as highest_price
    from {{ ref('int_metrics_hours') }}
    group by market_id, hour_at
),

metric_hours as (
    select
        market_id,
        hour_at,
        lowest_price,
        highest_price,
        -- The five minutes from the hour to its end, whether a venue labels them by their start or by their end.
        case when ratio_count = 12 then least(lowest_ratio, lead(first_ratio) over hours) end as lowest_ratio,
        case when ratio_count = 12 then greatest(highest_ratio, lead(first_ratio) over hours) end as highest_ratio,
        case when lead(hour_at) over hours = hour_at + interval '1' hour then lead(first_ratio) over hours end
            as next_ratio
    from joined_metric_hours
    window hours as (partition by market_id order by hour_at)
),

metric_bars as (
    select
        hours.market_id,
        grains.grain_hours as bar_hours,
        {{ bar_start('hours.hour_at', 'grains.grain_hours') }} as bar_at,
        min(hours.lowest_price) as lowest_price,
        max(hours.highest_price) as highest_price,
        min(hours.lowest_ratio) as lowest_ratio,
        max(hours.highest_ratio) as highest_ratio,
        count(case when hours.next_ratio is not null then hours.lowest_ratio end) = grains.grain_hours as has_ratio
    from metric_hours as hours
    inner join (select distinct market_id, bar_hours as grain_hours from bars) as grains
        on hours.market_id = grains.market_id
    group by hours.market_id, grains.grain_hours, {{ bar_start('hours.hour_at', 'grains.grain_hours') }}
),

priced_bars as (
    select
        traded_bars.market_id,
        traded_bars.source,
        traded_bars.bar_hours,
        traded_bars.bar_at,
        markets.base_asset,
        traded_bars.low_price,
        traded_bars.high_price
    from traded_bars
    inner join {{ ref('int_markets') }} as markets on traded_bars.market_id = markets.market_id
),

other_market_bars as (
    select
        bars.market_id,
        bars.source,
        bars.bar_hours,
        bars.bar_at,
        min(others.low_price) as lowest_price,
        max(others.high_price) as highest_price
    from priced_bars as bars
    inner join priced_bars as others
        on bars.base_asset = others.base_asset and bars.bar_hours = others.bar_hours and bars.bar_at = others.bar_at
        and bars.market_id <> others.market_id
    group by bars.market_id, bars.source, bars.bar_hours, bars.bar_at
),

price_references as (
    {%- for witness, relation, keys, tolerance in [
        ('open_interest_price', 'metric_bars', '', open_interest_price_tolerance()),
        (
            'other_markets_price', 'other_market_bars', 'and bars.source = witnesses.source',
            other_markets_price_tolerance()
        ),
    ] %}
    select
        bars.market_id,
        bars.source,
        bars.bar_hours,
        bars.segment,
        bars.bar_at,
        '{{ witness }}' as witness,
        {{ tolerance }} as tolerance,
        case when bars.low_price > witnesses.highest_price then bars.low_price else bars.high_price end as ours,
        case when bars.low_price > witnesses.highest_price then witnesses.highest_price else witnesses.lowest_price end
            as theirs,
        {{
            price_distance('bars.low_price', 'bars.high_price', 'witnesses.lowest_price', 'witnesses.highest_price')
        }} > {{ tolerance }} as is_off
    from numbered_bars as bars
    inner join {{ relation }} as witnesses
        on bars.market_id = witnesses.market_id and bars.bar_hours = witnesses.bar_hours
        and bars.bar_at = witnesses.bar_at
        {{ keys }}
    where witnesses.lowest_price is not null
    {{- ' union all' if not loop.last }}
    {%- endfor %}
),

-- A level is wrong where most of its bars are: a witness that is wrong itself for a day is one against all the others.
segment_votes as (
    select
        market_id,
        source,
        bar_hours,
        segment,
        witness,
        2 * sum(case when is_off then 1 else 0 end) > count(*) as is_wrong
    from price_references
    group by market_id, source, bar_hours, segment, witness
),

-- Klines of two lengths, over the time of the longer bar.
sums_of_klines as (
    select
        longer.market_id,
        longer.bar_hours as longer_hours,
        longer.bar_at as longer_at,
        longer.bar_date,
        shorter.bar_hours as shorter_hours,
        sum(shorter.volume_usd) as sum_usd,
        max(longer.volume_usd) as longer_usd,
        greatest(
            abs(sum(shorter.volume_usd) - max(longer.volume_usd)) / nullif(max(longer.volume_usd), 0),
            abs(sum(shorter.volume_base) - max(longer.volume_base)) / nullif(max(longer.volume_base), 0),
            abs(sum(shorter.net_usd) - max(longer.net_usd)) / nullif(max(longer.volume_usd), 0)
        ) as amount_difference,
        greatest(
            {{ price_gap('max(shorter.high_price)', 'max(longer.high_price)') }},
            {{ price_gap('min(shorter.low_price)', 'max(longer.low_price)') }},
            {{ price_gap(value_at_first('shorter.open_price', 'shorter.bar_at'), 'max(longer.open_price)') }},
            {{ price_gap(value_at_last('shorter.close_price', 'shorter.bar_at'), 'max(longer.close_price)') }}
        ) as price_difference
    from bars as longer
    inner join bars as shorter
        on longer.market_id = shorter.market_id and shorter.source = 'klines' and longer.source = 'klines'
        and shorter.bar_hours < longer.bar_hours
        and shorter.bar_date = longer.bar_date
        and {{ bar_start('shorter.bar_at', 'longer.bar_hours') }} = longer.bar_at
    group by longer.market_id, longer.bar_hours, longer.bar_at, longer.bar_date, shorter.bar_hours
    having count(*) = max(longer.bar_hours) / max(shorter.bar_hours)
),

different_klines as (
    select
        different.*,
        case
            when amount_difference > {{ interval_difference_to_state() }}
                or price_difference > {{ bar_price_tolerance() }}
                then 'uncovered'
            else 'stated'
        end as effect,
        -- Klines of a third length tell which part of the day it is, or outvote the longest.
        exists (
            select 1
            from kline_days as third_days
            where third_days.market_id = different.market_id and third_days.bar_date = different.bar_date
                and third_days.bar_hours < different.longer_hours and third_days.bar_hours <> different.shorter_hours
        ) as has_third_length
    from sums_of_klines as different
    where amount_difference > 0.0001 or price_difference > {{ bar_price_tolerance() }}
),

-- How an hour compares with the usual hour of its day, at each busy market of the asset.
busy_hours as (
    select market_id, source, bar_at, bar_date, is_lone, volume_usd
    from lone_bars
    where bar_hours = 1 and volume_usd > 0 and trade_count >= {{ fewest_trades_to_judge() }}
),

usual_hours as (
    select market_id, source, bar_date, percentile_disc(0.5) within group (order by volume_usd) as volume_usd
    from busy_hours
    group by market_id, source, bar_date
    having count(*) >= 12
),

hour_shapes as (
    select
        hours.market_id,
        hours.source,
        hours.bar_at,
        hours.is_lone,
        markets.base_asset,
        hours.volume_usd / usual_hours.volume_usd as shape
    from busy_hours as hours
    inner join usual_hours using (market_id, source, bar_date)
    inner join {{ ref('int_markets') }} as markets on hours.market_id = markets.market_id
),

shape_comparisons as (
    select
        own.market_id,
        own.source,
        own.bar_at,
        max(own.shape) as ours,
        {{ value_at_first('others.shape', 'abs(ln(own.shape / others.shape))') }} as theirs
    from hour_shapes as own
    inner join hour_shapes as others
        on own.base_asset = others.base_asset and own.bar_at = others.bar_at and own.market_id <> others.market_id
    where own.is_lone
    group by own.market_id, own.source, own.bar_at
    having min(
        case
            when {{ price_gap('own.shape', 'others.shape') }} + 1 > {{ volume_shape_factor() }}
                and abs(ln(own.shape)) > abs(ln(others.shape))
                then 1
            else 0
        end
    ) = 1
),

contradictions as (
    select
        market_id,
        'trades' as source,
        bar_hours,
        bar_at,
        'klines' as witness,
        case
            when trades_lack or klines_lack or is_usd_off then 'volume_usd'
            when is_net_off then 'net_taker_usd'
            when greatest(end_gap, beyond_klines, beyond_trades) > {{ bar_price_tolerance() }} then 'price'
            else 'volume_base'
        end as measure,
        case
            when trades_lack or klines_lack or is_usd_off then volume_usd
            when is_net_off then net_usd
            when {{ price_gap('open_price', 'klines_open_price') }} > {{ bar_price_tolerance() }} then open_price
            when {{ price_gap('close_price', 'klines_close_price') }} > {{ bar_price_tolerance() }} then close_price
            when {{ price_gap('high_price', 'klines_high_price') }} > {{ bar_price_tolerance() }} then high_price
            when {{ price_gap('low_price', 'klines_low_price') }} > {{ bar_price_tolerance() }} then low_price
            else volume_base
        end as ours,
        case
            when trades_lack or klines_lack or is_usd_off then klines_volume_usd
            when is_net_off then klines_net_usd
            when {{ price_gap('open_price', 'klines_open_price') }} > {{ bar_price_tolerance() }} then klines_open_price
            when {{ price_gap('close_price', 'klines_close_price') }} > {{ bar_price_tolerance() }}
                then klines_close_price
            when {{ price_gap('high_price', 'klines_high_price') }} > {{ bar_price_tolerance() }} then klines_high_price
            when {{ price_gap('low_price', 'klines_low_price') }} > {{ bar_price_tolerance() }} then klines_low_price
            else klines_volume_base
        end as theirs,
        case
            when trades_lack or klines_lack or is_usd_off or is_net_off then tolerance_usd
            when greatest(end_gap, beyond_klines, beyond_trades) > {{ bar_price_tolerance() }}
                then {{ bar_price_tolerance() }} * least(low_price, klines_low_price)
            else tolerance_base
        end as tolerance,
        'replaced' as effect
    from judged_pairs
    where is_contradiction
    union all
    select
        market_id,
        source,
        bar_hours,
        bar_at,
        'own_length',
        'minutes',
        reported_minutes,
        bar_hours * 60,
        1,
        'uncovered'
    from own_figures
    where is_lone and abs(reported_minutes - bar_hours * 60) > 1
    union all
    select
        market_id,
        source,
        bar_hours,
        bar_at,
        'own_sides',
        'taker_buy_share',
        buy_base / volume_base,
        0.5,
        0.4,
        'uncovered'
    from own_figures
    where is_lone and volume_base > 0 and day_trade_count >= {{ fewest_trades_to_judge() }}
        and least(day_buy_base, day_sell_base) = 0
    union all
    select
        market_id,
        source,
        bar_hours,
        bar_at,
        'own_prices',
        'price',
        average_price,
        case when average_price > high_price then high_price else low_price end,
        {{ bar_price_tolerance() }} * least(average_price, low_price),
        'uncovered'
    from own_figures
    left join wrong_contract_sizes using (market_id, source)
    where is_lone and is_average_off and wrong_contract_sizes.market_id is null
    union all
    select
        gaps.market_id,
        gaps.source,
        gaps.bar_hours,
        gaps.bar_at,
        'neighbouring_bars',
        'price',
        gaps.open_price,
        gaps.former_close,
        usual_gaps.tolerance * least(gaps.open_price, gaps.former_close),
        'uncovered'
    from gaps
    inner join usual_gaps
        on gaps.market_id = usual_gaps.market_id and gaps.source = usual_gaps.source
        and gaps.bar_hours = usual_gaps.bar_hours and date_trunc('month', gaps.bar_at) = usual_gaps.month_at
    where gaps.is_lone
        and least(gaps.gap_before, gaps.gap_after) > usual_gaps.tolerance
        and gaps.gap_before is not null and gaps.gap_after is not null
        and least(gaps.former_count, gaps.trade_count, gaps.next_count)
        >= {{ fewest_trades_for_a_price() }} * gaps.bar_hours
    union all
    select
        bars.market_id,
        bars.source,
        bars.bar_hours,
        bars.bar_at,
        'price_level',
        'price',
        segments.own_price,
        segments.other_price,
        {{ price_step() }} * least(segments.own_price, segments.other_price),
        'uncovered'
    from numbered_bars as bars
    inner join contradicted_segments as segments using (market_id, source, bar_hours, segment)
    -- A level to which another price testifies is a real one.
    where bars.is_lone and not exists (
        select 1
        from segment_votes as votes
        where votes.market_id = bars.market_id and votes.source = bars.source and votes.bar_hours = bars.bar_hours
            and votes.segment = bars.segment and not votes.is_wrong
    )
    union all
    select
        bars.market_id,
        bars.source,
        bars.bar_hours,
        bars.bar_at,
        price_references.witness,
        'price',
        price_references.ours,
        price_references.theirs,
        price_references.tolerance * least(price_references.ours, price_references.theirs),
        'uncovered'
    from numbered_bars as bars
    inner join price_references using (market_id, source, bar_hours, segment, bar_at)
    inner join segment_votes using (market_id, source, bar_hours, segment, witness)
    where bars.is_lone and price_references.is_off and segment_votes.is_wrong
    union all
    select
        bars.market_id,
        'klines',
        bars.bar_hours,
        bars.bar_at,
        case when bars.bar_hours = different.longer_hours then 'shorter_klines' else 'longer_klines' end,
        'volume_usd',
        case
            when bars.bar_hours = different.longer_hours then max(different.longer_usd)
            else max(different.sum_usd)
        end,
        case
            when bars.bar_hours = different.longer_hours then max(different.sum_usd)
            else max(different.longer_usd)
        end,
        0.0001 * max(different.longer_usd),
        max(different.effect)
    from different_klines as different
    inner join lone_bars as bars
        on bars.source = 'klines' and bars.is_lone and different.market_id = bars.market_id
        and different.bar_date = bars.bar_date
        and bars.bar_hours in (different.longer_hours, different.shorter_hours)
        and {{ bar_start('bars.bar_at', 'different.longer_hours') }} = different.longer_at
    where bars.bar_hours = different.longer_hours or not different.has_third_length
    group by bars.market_id, bars.bar_hours, bars.bar_at, bars.bar_hours = different.longer_hours
    union all
    select
        bars.market_id,
        bars.source,
        bars.bar_hours,
        bars.bar_at,
        'taker_ratio',
        'taker_buy_sell_ratio',
        bars.buy_base / nullif(bars.sell_base, 0),
        case
            when bars.buy_base > witnesses.highest_ratio * bars.sell_base then witnesses.highest_ratio
            else witnesses.lowest_ratio
        end,
        case
            when bars.buy_base > witnesses.highest_ratio * bars.sell_base then witnesses.highest_ratio
            else witnesses.lowest_ratio
        end * (1 - 1 / (1 + {{ taker_ratio_tolerance() }})),
        'uncovered'
    from lone_bars as bars
    inner join metric_bars as witnesses
        on bars.market_id = witnesses.market_id and bars.bar_hours = witnesses.bar_hours
        and bars.bar_at = witnesses.bar_at
    where bars.is_lone and witnesses.has_ratio
        and bars.trade_count >= {{ fewest_trades_for_a_price() }} * bars.bar_hours
        and (
            bars.buy_base > witnesses.highest_ratio * (1 + {{ taker_ratio_tolerance() }}) * bars.sell_base
            or bars.buy_base * (1 + {{ taker_ratio_tolerance() }}) < witnesses.lowest_ratio * bars.sell_base
        )
    union all
    select
        market_id,
        source,
        1,
        bar_at,
        'other_markets_volume',
        'usual_hours',
        ours,
        theirs,
        ({{ volume_shape_factor() }} - 1) * least(ours, theirs),
        'uncovered'
    from shape_comparisons
)

select
    cast(market_id as varchar) as market_id,
    cast(source as varchar) as source,
    cast(bar_hours as integer) as bar_hours,
    cast(bar_at as timestamp) as bar_at,
    cast(bar_at as date) as bar_date,
    cast(witness as varchar) as witness,
    cast(measure as varchar) as measure,
    cast(ours as double) as ours,
    cast(theirs as double) as theirs,
    cast(tolerance as double) as tolerance,
    cast(effect as varchar) as effect
from contradictions
order by market_id, source, bar_hours, bar_at, witness
