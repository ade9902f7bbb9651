-- Good marts, for the tests of the audit. Windows of ten days, so that three weeks of bars show covered and uncovered
-- windows.

create table spike_definitions (
    definition_id varchar, grain varchar, smoothing_bars integer, unit varchar, window_days integer,
    decluster_hours integer, venue varchar
);
insert into spike_definitions values
    ('daily_usd', '1d', 1, 'usd', 10, 24, null),
    ('daily_base', '1d', 1, 'base', 10, 24, null),
    ('daily_sell_ratio', '1d', 1, 'sell_ratio', 10, 24, null),
    ('4h_usd', '4h', 1, 'usd', 10, 24, null),
    ('hourly_usd', '1h', 1, 'usd', 10, 24, null),
    ('hourly_ma7_usd', '1h', 7, 'usd', 10, 24, null),
    ('sums_usd', '1d', 1, 'usd', 10, 24, 'all');

create table dim_markets (
    market_id varchar, venue varchar, symbol varchar, base_asset varchar, quote_asset varchar, contract_type varchar,
    contract_size decimal(18, 8), contract_size_source varchar, listed_at timestamp, is_ingested boolean,
    is_simulated boolean, is_aggregate boolean default false, part_market_ids varchar
);
insert into dim_markets values
    ('binance_um:BTCUSDT', 'binance_um', 'BTCUSDT', 'BTC', 'USDT', 'linear', 1, 'instruments', '2019-09-08', true,
     false, false, null),
    ('binance_cm:BTCUSD_PERP', 'binance_cm', 'BTCUSD_PERP', 'BTC', 'USD', 'inverse', 100, 'seed', null, true, false, false, null),
    ('bybit:XRPUSDT', 'bybit', 'XRPUSDT', 'XRP', 'USDT', 'linear', 1, 'convention', null, false, false, false, null),
    ('binance_um:ETHBTC', 'binance_um', 'ETHBTC', null, null, null, null, 'unknown', null, false, false, false, null);

-- Every hour of 22 days, but for one missing hour of the linear market and one absent day of the inverse one.
create table hours as
select
    market_id,
    bar_at,
    cast(bar_at as date) as bar_date,
    cast(40000 + hash(bar_at) % 50 as decimal(38, 8)) as price,
    -- 18 March repeats 17 March, hour by hour, in every market: a tie.
    cast(1000 + (bar_number * 7919) % 501 as decimal(38, 8)) as buy_usd,
    cast(1000 + (bar_number * 104729) % 499 as decimal(38, 8)) as sell_usd
from (
    select
        market_id,
        bar_at,
        date_diff('hour', timestamp '2024-03-01', bar_at)
            - case when cast(bar_at as date) = date '2024-03-18' then 24 else 0 end as bar_number
    from (values ('binance_um:BTCUSDT'), ('binance_cm:BTCUSD_PERP')) as markets (market_id),
        generate_series(timestamp '2024-03-01', timestamp '2024-03-22 23:00', interval 1 hour) as series (bar_at)
) as numbered
where not (market_id = 'binance_um:BTCUSDT' and bar_at = timestamp '2024-03-15 07:00')
    and not (market_id = 'binance_cm:BTCUSD_PERP' and cast(bar_at as date) = date '2024-03-16');

create table fct_net_taker_volume_hourly as
select
    market_id,
    bar_at,
    taker_buy_usd,
    taker_sell_usd,
    taker_buy_usd - taker_sell_usd as net_taker_usd,
    taker_buy_base,
    taker_sell_base,
    taker_buy_base - taker_sell_base as net_taker_base,
    taker_buy_usd + taker_sell_usd as volume_usd,
    taker_buy_base + taker_sell_base as volume_base,
    cast(taker_sell_usd as double) / cast(taker_buy_usd + taker_sell_usd as double) as taker_sell_ratio,
    cast(taker_buy_usd as double) / cast(taker_sell_usd as double) as taker_buy_sell_ratio,
    price - 1 as open_price,
    price + 10 as high_price,
    price - 10 as low_price,
    price + 1 as close_price,
    100::bigint as trade_count,
    case when bar_date >= date '2024-03-20' then 'trades' else 'klines' end as flow_source,
    1.0::double as coverage_ratio,
    split_part(market_id, ':', 1) as venue,
    split_part(market_id, ':', 1) as venue_set,
    false as is_provisional,
    false as is_running
from (
    select
        market_id, bar_at, bar_date, price, buy_usd as taker_buy_usd, sell_usd as taker_sell_usd,
        cast(cast(buy_usd as double) / cast(price as double) as decimal(38, 8)) as taker_buy_base,
        cast(cast(sell_usd as double) / cast(price as double) as decimal(38, 8)) as taker_sell_base
    from hours
) as valued;

-- Both venues together. The hour and the day that one of them lacks are sums over another set, and cover nothing.
insert into fct_net_taker_volume_hourly by name
select
    'all:BTC' as market_id, bar_at, 'all' as venue,
    string_agg(venue, ',' order by venue) as venue_set,
    sum(columns(['taker_buy_usd', 'taker_sell_usd', 'net_taker_usd', 'volume_usd', 'taker_buy_base', 'taker_sell_base',
        'net_taker_base', 'volume_base']))::decimal(38, 8),
    cast(sum(taker_sell_usd) as double) / cast(sum(volume_usd) as double) as taker_sell_ratio,
    cast(sum(taker_buy_usd) as double) / cast(sum(taker_sell_usd) as double) as taker_buy_sell_ratio,
    min(columns(['open_price', 'high_price', 'low_price', 'close_price', 'flow_source', 'coverage_ratio'])),
    sum(trade_count)::bigint as trade_count, false as is_provisional, false as is_running
from fct_net_taker_volume_hourly
group by bar_at;

update fct_net_taker_volume_hourly set coverage_ratio = 0 where venue = 'all' and venue_set not like '%,%';

create table fct_net_taker_volume_daily as
select
    market_id,
    cast(bar_at as date) as bar_date,
    sum(taker_buy_usd)::decimal(38, 8) as taker_buy_usd,
    sum(taker_sell_usd)::decimal(38, 8) as taker_sell_usd,
    sum(net_taker_usd)::decimal(38, 8) as net_taker_usd,
    sum(taker_buy_base)::decimal(38, 8) as taker_buy_base,
    sum(taker_sell_base)::decimal(38, 8) as taker_sell_base,
    sum(net_taker_base)::decimal(38, 8) as net_taker_base,
    sum(volume_usd)::decimal(38, 8) as volume_usd,
    sum(volume_base)::decimal(38, 8) as volume_base,
    cast(sum(taker_sell_usd) as double) / cast(sum(volume_usd) as double) as taker_sell_ratio,
    cast(sum(taker_buy_usd) as double) / cast(sum(taker_sell_usd) as double) as taker_buy_sell_ratio,
    arg_min(open_price, bar_at) as open_price,
    max(high_price) as high_price,
    min(low_price) as low_price,
    arg_max(close_price, bar_at) as close_price,
    sum(trade_count)::bigint as trade_count,
    min(flow_source) as flow_source,
    sum(coverage_ratio) / 24 as coverage_ratio,
    1 as source_bar_hours,
    venue,
    max(venue_set) as venue_set,
    false as is_provisional,
    false as is_running
from fct_net_taker_volume_hourly
group by all;

update fct_net_taker_volume_daily as sums
set coverage_ratio = parts.coverage_ratio
from (
    select bar_date, min(coverage_ratio) as coverage_ratio
    from fct_net_taker_volume_daily where venue <> 'all' group by bar_date
) as parts
where sums.venue = 'all' and sums.bar_date = parts.bar_date;

update fct_net_taker_volume_daily set coverage_ratio = 0 where venue = 'all' and bar_date = date '2024-03-16';

create table fct_flow_reconciliation_daily as
select
    *,
    trades_volume_usd - klines_volume_usd as difference_usd,
    case
        when trades_volume_usd is null then 'klines_only'
        when bar_date = date '2024-03-21' then 'within_tolerance'
        when bar_date = date '2024-03-22' then 'trades_only'
        else 'exact'
    end as verdict,
    case when klines_volume_usd is not null then '1h' end as kline_interval,
    case when klines_volume_usd is not null then 1.0::double end as kline_coverage_ratio,
    case when klines_volume_usd is not null then '1d' end as coarser_interval,
    klines_volume_usd as coarser_volume_usd,
    klines_volume_usd - klines_volume_usd as interval_difference_usd,
    case when klines_volume_usd is not null then 'exact' end as interval_verdict,
    -- What the API had reported of two days, before the archive had them; of the last one only an hour at its end.
    case bar_date when date '2024-03-20' then 24 when date '2024-03-21' then 1 end::bigint as rest_hours,
    case bar_date when date '2024-03-20' then trades_volume_usd when date '2024-03-21' then 10001 end
        ::decimal(38, 8) as rest_volume_usd,
    case bar_date when date '2024-03-20' then trades_net_usd when date '2024-03-21' then 5 end
        ::decimal(38, 8) as rest_net_usd,
    case bar_date when date '2024-03-20' then 0 when date '2024-03-21' then 1 end
        ::decimal(38, 8) as rest_difference_usd,
    case bar_date when date '2024-03-20' then 'exact' when date '2024-03-21' then 'within_tolerance' end
        as rest_verdict,
    case bar_date when date '2024-03-20' then 0.0001 end::double as venue_taker_ratio_difference
from (
    select
        market_id,
        venue,
        bar_date,
        case when bar_date >= date '2024-03-20' then volume_usd end as trades_volume_usd,
        case
            when bar_date = date '2024-03-21' then volume_usd + 1
            when bar_date < date '2024-03-22' then volume_usd
        end as klines_volume_usd,
        case when bar_date >= date '2024-03-20' then net_taker_usd end as trades_net_usd,
        case when bar_date < date '2024-03-22' then net_taker_usd end as klines_net_usd,
        0::bigint as agg_id_gaps,
        0::bigint as duplicate_rows,
        0::bigint as zero_rows,
        0::bigint as out_of_order_rows,
        0::bigint as quarantined_rows,
        0::bigint as replaced_bars,
        0::bigint as doubtful_bars,
        0::bigint as contradicted_bars,
        null::varchar as contradicted_by,
        null::varchar as replaced_sources,
        null::varchar as defect_reason
    from fct_net_taker_volume_daily
    where venue <> 'all'
) as volumes;

-- Bars of every definition; the pressure is lowest where takers sold most unusually.
create table rank_bars as
with grains as (
    select market_id, '1d' as grain, cast(bar_date as timestamp) as bar_at, net_taker_usd, net_taker_base,
        taker_sell_ratio, coverage_ratio, venue, venue_set
    from fct_net_taker_volume_daily
    union all
    select market_id, '4h', time_bucket(interval 4 hours, bar_at) as bar_at, sum(net_taker_usd), sum(net_taker_base),
        sum(taker_sell_usd)::double / sum(volume_usd)::double, count(*) / 4, venue, max(venue_set)
    from fct_net_taker_volume_hourly group by all
    union all
    select market_id, '1h', bar_at, net_taker_usd, net_taker_base, taker_sell_ratio, coverage_ratio, venue, venue_set
    from fct_net_taker_volume_hourly
),
changes as (
    select
        *,
        max(case when former_set <> venue_set then former_at end) over (
            partition by market_id, grain order by bar_at
        ) as changed_at
    from (
        select
            *, lag(venue_set) over series as former_set, lag(bar_at) over series as former_at
        from grains
        window series as (partition by market_id, grain order by bar_at)
    ) as followed
),
smoothed as (
    select
        definition_id, grain, unit, window_days, decluster_hours, smoothing_bars, market_id, bar_at, coverage_ratio,
        venue, venue_set,
        changed_at + to_hours((smoothing_bars - 1) * case grain when '1h' then 1 when '4h' then 4 else 24 end)
            as set_changed_at,
        avg(case unit when 'usd' then net_taker_usd::double when 'base' then net_taker_base::double
            else taker_sell_ratio end) over smoothing as value,
        count(*) over smoothing as smoothed_bars
    from (select * rename (venue as of_venue) from spike_definitions) inner join changes using (grain)
    where of_venue is null or of_venue = venue
    window smoothing as (
        partition by definition_id, market_id order by bar_at
        range between to_hours((smoothing_bars - 1)
            * case grain when '1h' then 1 when '4h' then 4 else 24 end) preceding and current row
    )
)
select
    * exclude (value, smoothed_bars),
    value::decimal(38, 8) as value,
    case unit when 'sell_ratio' then -1 else 1 end * value::decimal(38, 8) as pressure,
    window_days * case grain when '1h' then 24 when '4h' then 6 else 1 end as window_size
from smoothed
where smoothed_bars = smoothing_bars;

create table fct_taker_spike_ranks as
with sides as (
    select *, 'bearish' as side, pressure as sided from rank_bars
    union all
    select *, 'bullish' as side, -pressure as sided from rank_bars
),
compared as (
    select
        t.definition_id, t.market_id, t.side, t.bar_at,
        any_value(t.value) as value,
        any_value(t.sided) as sided,
        any_value(t.window_days) as window_days,
        any_value(t.venue) as venue,
        any_value(t.venue_set) as venue_set,
        any_value(t.set_changed_at) as set_changed_at,
        any_value(t.coverage_ratio) as own_coverage,
        1 + count(*) filter (s.sided < t.sided and s.bar_at <= t.bar_at) as spike_rank,
        count(*) filter (s.sided > t.sided and s.bar_at <= t.bar_at) as less_extreme,
        count(*) filter (s.bar_at <= t.bar_at) as window_bars,
        sum(s.coverage_ratio) filter (s.bar_at <= t.bar_at) / any_value(t.window_size) as coverage_ratio,
        count(*) filter (
            s.sided < t.sided and s.bar_at between t.bar_at - interval 24 hours and t.bar_at + interval 24 hours
        ) = 0 as is_extreme,
        max(s.bar_at) >= t.bar_at + interval 24 hours as is_ripe
    from sides as t
    inner join sides as s
        on s.definition_id = t.definition_id and s.market_id = t.market_id and s.side = t.side
        and s.bar_at > t.bar_at - to_days(t.window_days)
    group by t.definition_id, t.market_id, t.side, t.bar_at
),
ranked as (
    select
        *,
        coverage_ratio >= 0.95 and own_coverage >= 0.95
        and (set_changed_at is null or set_changed_at <= bar_at - to_days(window_days)) as is_rankable,
        case when is_ripe then is_extreme end as is_event
    from compared
)
select
    definition_id, market_id, side, bar_at, value,
    case when is_rankable then spike_rank end as spike_rank,
    case when is_rankable then less_extreme::double / (window_bars - 1) end as percentile,
    null::double as robust_z,
    window_bars,
    coverage_ratio,
    is_event,
    case when is_rankable and is_event then 1 + (
        select count(*) from ranked as e
        where e.definition_id = t.definition_id and e.market_id = t.market_id and e.side = t.side and e.is_event
            and e.bar_at > t.bar_at - to_days(t.window_days) and e.bar_at <= t.bar_at and e.sided < t.sided
    ) end as event_rank,
    own_coverage::double as bar_coverage_ratio,
    venue,
    venue_set,
    false as is_provisional,
    false as is_running,
    set_changed_at,
    case
        when is_rankable then null
        when coverage_ratio < 0.95 then 'window_not_covered'
        when set_changed_at > bar_at - to_days(window_days) then 'markets_changed'
        else 'bar_not_covered'
    end as unranked_reason
from ranked as t;

-- One hour is contradicted in a small difference, which is stated: of its day, and of what is ranked of it.
alter table fct_net_taker_volume_hourly add column flow_quality varchar default 'as_published';
alter table fct_net_taker_volume_daily add column flow_quality varchar default 'as_published';
alter table fct_taker_spike_ranks add column flow_quality varchar default 'as_published';
update fct_net_taker_volume_hourly set flow_quality = 'contradicted'
where market_id = 'binance_um:BTCUSDT' and bar_at = timestamp '2024-03-10 05:00';
update fct_net_taker_volume_daily set flow_quality = 'contradicted'
where market_id = 'binance_um:BTCUSDT' and bar_date = date '2024-03-10';
update fct_taker_spike_ranks set flow_quality = 'contradicted'
where market_id = 'binance_um:BTCUSDT' and bar_at::date = date '2024-03-10' and definition_id like 'daily%';

create table fct_flow_contradictions as
select
    'binance_um:BTCUSDT' as market_id,
    'binance_um' as venue,
    'klines' as source,
    '1h' as bar_interval,
    timestamp '2024-03-10 05:00' as bar_at,
    date '2024-03-10' as bar_date,
    'taker_ratio' as witness,
    'taker_buy_sell_ratio' as measure,
    2.0::double as ours,
    1.0::double as theirs,
    0.1::double as tolerance,
    'stated' as effect;

create table fct_taker_dominance_daily as
select
    bearish.market_id,
    cast(bearish.bar_at as date) as bar_date,
    daily.taker_sell_ratio,
    bearish.percentile as sell_dominance_percentile,
    bullish.percentile as buy_dominance_percentile,
    10 as window_days,
    bearish.window_bars,
    bearish.coverage_ratio,
    bearish.venue,
    bearish.venue_set,
    false as is_provisional,
    bearish.unranked_reason
from fct_taker_spike_ranks as bearish
inner join fct_taker_spike_ranks as bullish using (definition_id, market_id, bar_at)
inner join fct_net_taker_volume_daily as daily
    on daily.market_id = bearish.market_id and daily.bar_date = cast(bearish.bar_at as date)
where definition_id = 'daily_sell_ratio' and bearish.side = 'bearish' and bullish.side = 'bullish';

-- From the archive five days, the third of them absent; from the feeds of two venues the 48 hours of 10 and 11 March,
-- one of which was not collected on Binance. Bybit sends every order.
create table fct_liquidations_hourly as
with hours as (
    select
        'binance_cm' as venue, bar_at, null::integer as n, bar_at::date <> '2024-03-03' as is_collected,
        false as is_exact
    from generate_series(timestamp '2024-03-01', timestamp '2024-03-05 23:00', interval 1 hour) as series (bar_at)
    union all
    select venue, timestamp '2024-03-10' + to_hours(n::integer), n, venue = 'bybit' or n <> 5, venue = 'bybit'
    from (values ('binance_um'), ('bybit')) as venues (venue)
    cross join range(48) as numbers (n)
),
markets as (
    select
        venue, 'binance_cm:BTCUSD_PERP' as market_id, bar_at, is_collected, is_exact,
        case hour(bar_at) when 4 then 300.5 else 0 end as longs,
        case hour(bar_at) when 4 then 200.25 else 0 end as shorts,
        case hour(bar_at) when 4 then 3 else 0 end as orders, 0 as unvalued,
        case hour(bar_at) when 4 then 250 end as largest
    from hours where venue = 'binance_cm'
    union all
    select
        venue, 'binance_um:BTCUSDT', bar_at, is_collected, is_exact, if(n % 3 = 0, n + 0.5, 0), if(n % 3 = 0, 2.25, 0),
        if(n % 3 = 0, 2, 0), 0, if(n % 3 = 0, greatest(n + 0.5, 2.25), null)
    from hours where venue = 'binance_um'
    union all
    select venue, 'bybit:XRPUSDT', bar_at, is_collected, is_exact, 7, 0, 1, 0, 7
    from hours where venue = 'bybit' and n % 20 = 0
    union all
    select venue, 'binance_um:ETHBTC', bar_at, is_collected, is_exact, 0, 0, 1, 1, null
    from hours where venue = 'binance_um' and n = 30
),
venues as (
    select
        hours.venue, hours.venue || ':ALL' as market_id, bar_at, any_value(hours.is_collected) as is_collected,
        any_value(hours.is_exact) as is_exact, coalesce(sum(longs), 0) as longs, coalesce(sum(shorts), 0) as shorts,
        coalesce(sum(orders), 0) as orders, coalesce(sum(unvalued), 0) as unvalued, max(largest) as largest
    from hours left join markets using (venue, bar_at)
    where hours.venue <> 'binance_cm' group by hours.venue, bar_at
),
rows_of_one as (
    select *, is_collected::integer::double as share, venue as venue_set from markets
    union all
    select *, is_collected::integer::double, venue from venues
    union all
    select
        'all', 'all:ALL', bar_at, true, false, sum(longs) filter (is_collected), sum(shorts) filter (is_collected),
        sum(orders) filter (is_collected), sum(unvalued) filter (is_collected), max(largest) filter (is_collected),
        avg(is_collected::integer), 'binance_um,bybit'
    from venues group by bar_at
)
select
    venue, market_id, bar_at,
    case when is_collected then longs end::decimal(38, 8) as long_usd,
    case when is_collected then shorts end::decimal(38, 8) as short_usd,
    case when is_collected then longs + shorts end::decimal(38, 8) as total_usd,
    case when is_collected then orders end::bigint as order_count,
    case when is_collected then unvalued end::bigint as unvalued_order_count,
    case when is_collected then largest end::decimal(38, 8) as largest_order_usd,
    share as coverage_ratio,
    not is_exact as is_lower_bound,
    case venue when 'binance_cm' then 'archive' else 'live' end as liquidation_source,
    venue_set,
    case when market_id = 'all:ALL' then 2 end::bigint as subscribed_symbol_count,
    0::bigint as conflicting_order_count,
    null::varchar as first_conflict
from rows_of_one;

-- A day, or a rolling day, is a window of 24 hours that ends at some hour. A market known from a feed only has a row
-- where an order is in it, covered as its venue is.
create table liquidation_windows as
with ends as (
    select distinct venue, bar_at + interval 1 hour as until_at from fct_liquidations_hourly
    union
    select distinct venue, date_trunc('day', bar_at) + interval 1 day from fct_liquidations_hourly
),
covered as (
    select e.venue, e.until_at, h.market_id, sum(h.coverage_ratio) / 24 as share
    from ends as e
    join fct_liquidations_hourly as h
        on h.venue = e.venue and h.bar_at < e.until_at and h.bar_at >= e.until_at - interval 24 hour
    group by all
)
select
    h.venue, h.market_id, e.until_at,
    sum(long_usd)::decimal(38, 8) as long_usd, sum(short_usd)::decimal(38, 8) as short_usd,
    sum(total_usd)::decimal(38, 8) as total_usd, sum(order_count)::bigint as order_count,
    sum(unvalued_order_count)::bigint as unvalued_order_count, max(largest_order_usd) as largest_order_usd,
    any_value(c.share) as coverage_ratio,
    any_value(h.venue <> 'bybit' or c.share < 1) as is_lower_bound,
    any_value(h.liquidation_source) as liquidation_source, any_value(h.venue_set) as venue_set,
    min(h.subscribed_symbol_count) as subscribed_symbol_count,
    sum(h.conflicting_order_count)::bigint as conflicting_order_count, min(h.first_conflict) as first_conflict
from fct_liquidations_hourly as h
join ends as e on h.venue = e.venue and h.bar_at < e.until_at and h.bar_at >= e.until_at - interval 24 hour
join covered as c
    on c.venue = h.venue and c.until_at = e.until_at
    and c.market_id = case when h.market_id in ('bybit:XRPUSDT', 'binance_um:ETHBTC') then h.venue || ':ALL'
        else h.market_id end
group by h.venue, h.market_id, e.until_at;

create table fct_liquidations_daily as
select venue, market_id, (until_at - interval 1 day)::date as bar_date, * exclude (venue, market_id, until_at)
from liquidation_windows where hour(until_at) = 0;

create table fct_liquidations_rolling_24h as
select venue, market_id, until_at as as_of_at, * exclude (venue, market_id, until_at) from liquidation_windows;

-- The receipts of the configured flow datasets stand in a table of their own, as in the warehouse.
create table stg_raw__receipts as
select
    dataset, market_id, bar_date::date as bar_date,
    case when absent then 'absent' else 'stored' end as status,
    case when absent then 0 else 24 end::bigint as row_count
from (
    select
        'klines' as dataset, market_id, bar_date,
        market_id = 'binance_cm:BTCUSD_PERP' and bar_date = timestamp '2024-03-16' as absent
    from (select market_id from dim_markets where is_ingested) as markets,
        generate_series(timestamp '2024-03-01', timestamp '2024-03-21', interval 1 day) as series (bar_date)
    union all
    select 'aggTrades', market_id, bar_date, false
    from (select market_id from dim_markets where is_ingested) as markets,
        generate_series(timestamp '2024-03-20', timestamp '2024-03-22', interval 1 day) as series (bar_date)
    union all
    select 'liquidationSnapshot', 'binance_cm:BTCUSD_PERP', bar_date, bar_date = timestamp '2024-03-03'
    from generate_series(timestamp '2024-03-01', timestamp '2024-03-05', interval 1 day) as series (bar_date)
) as requested;

create table int_raw_row_counts as
select dataset, market_id, '' as kline_interval, bar_date, row_count as expected_rows, row_count as found_rows
from stg_raw__receipts
where status = 'stored';

create table int_flow_receipts as
select dataset, market_id, bar_date, status, row_count
from stg_raw__receipts
where dataset <> 'liquidationSnapshot';

insert into dim_markets values
    ('all:BTC', 'all', 'BTC', 'BTC', 'USD', 'aggregate', 1, 'convention', null, true, false, true,
     'binance_cm:BTCUSD_PERP,binance_um:BTCUSDT');

create table dim_spike_definitions as select *, definition_id as definition_name from spike_definitions;

-- Of the linear market's largest bearish day of the last ten; of a rank that another day has; of days before any
-- window; of a market that was not ingested.
create table dim_claims as
select
    claim_id, 'the news' as source, published_on::date as published_on, market_id, event_from::date as event_from,
    event_to::date as event_to, side, claimed_rank::bigint as claimed_rank, 10::bigint as window_days, null as note
from (
    select 'true' as claim_id, null as published_on, 'binance_um:BTCUSDT' as market_id,
        arg_min(bar_at, value) as event_from, arg_min(bar_at, value) as event_to, 'bearish' as side, 1 as claimed_rank
    from fct_taker_spike_ranks
    where definition_id = 'daily_usd' and market_id = 'binance_um:BTCUSDT' and side = 'bearish'
        and bar_at >= timestamp '2024-03-12' and spike_rank = 1
    union all
    select
        'false', timestamp '2024-03-23', 'binance_um:BTCUSDT', timestamp '2024-03-19', timestamp '2024-03-20',
        'bullish', 9
    union all
    select 'early', null, 'binance_um:BTCUSDT', timestamp '2024-03-03', timestamp '2024-03-03', 'bearish', 1
    union all
    select 'elsewhere', null, 'binance_um:ETHUSDT', timestamp '2024-03-20', timestamp '2024-03-20', 'bearish', 1
) as claims;

create table fct_claim_verdicts as
with bars as (
    select
        c.claim_id, c.claimed_rank, c.window_days, d.definition_id, c.market_id, c.side, r.bar_at, r.value, r.is_event,
        r.bar_coverage_ratio,
        case d.grain when '1h' then 1 when '4h' then 4 else 24 end as bar_hours,
        case when (c.side = 'bearish') = (d.unit = 'sell_ratio') then -r.value else r.value end as extremeness,
        coalesce(c.published_on, c.event_to + 1)::timestamp as as_of_at,
        r.bar_at between c.event_from::timestamp and c.event_to + interval '23:59:59' as is_claimed
    from dim_claims as c
    cross join dim_spike_definitions as d
    left join fct_taker_spike_ranks as r
        on r.definition_id = d.definition_id and r.market_id = c.market_id and r.side = c.side
        and r.bar_at < coalesce(c.published_on, c.event_to + 1)::timestamp
        and r.bar_at >= coalesce(c.published_on, c.event_to + 1)::timestamp - to_days(c.window_days::integer)
),
ranked as (
    select
        *,
        rank() over (partition by claim_id, definition_id order by extremeness) as bar_rank,
        case when is_event then rank() over (partition by claim_id, definition_id, is_event order by extremeness) end
            as event_rank,
        count(bar_at) over (partition by claim_id, definition_id) as window_bars,
        coalesce(sum(bar_coverage_ratio) over (partition by claim_id, definition_id), 0) * bar_hours / 24 / window_days
            as coverage_ratio
    from bars
),
found as (
    from ranked
    qualify row_number() over (
        partition by claim_id, definition_id
        order by is_claimed desc nulls last, event_rank is not distinct from claimed_rank desc, extremeness, bar_at
    ) = 1
),
judged as (
    select
        *,
        coverage_ratio >= 0.95 and is_claimed as is_known,
        bar_rank = claimed_rank as is_by_bars,
        coalesce(event_rank = claimed_rank, false) as is_by_events
    from found
)
select
    claim_id, definition_id, market_id, side, claimed_rank, window_days, as_of_at,
    case when is_claimed then bar_at end as bar_at,
    case when is_claimed then value end as value,
    case when is_known then bar_rank end as actual_rank,
    case when is_known then event_rank end as actual_event_rank,
    window_bars,
    coverage_ratio::double as coverage_ratio,
    case when is_known then is_by_bars or is_by_events end as holds,
    case
        when not coalesce(is_known, false) then null
        when is_by_bars and is_by_events then 'bars and events'
        when is_by_bars then 'bars'
        when is_by_events then 'events'
    end as holds_by,
    null::varchar as larger_events,
    case
        when not coalesce(is_known, false) then 'Cannot tell under '
        when is_by_bars or is_by_events then 'Holds under '
        else 'Does not hold under '
    end || definition_id || '.' as verdict_sentence
from judged;

create table prices as
select '1d' as grain, market_id, cast(bar_date as timestamp) as bar_at, open_price, high_price, low_price
from fct_net_taker_volume_daily
union all
select
    '4h', market_id, time_bucket(interval 4 hours, bar_at), arg_min(open_price, bar_at), max(high_price),
    min(low_price)
from fct_net_taker_volume_hourly group by all
union all
select '1h', market_id, bar_at, open_price, high_price, low_price from fct_net_taker_volume_hourly;

create table fct_spike_forward_returns as
with events as (
    select
        r.*, d.grain, d.decluster_hours, h.horizon_days,
        r.bar_at + to_hours(case d.grain when '1h' then 1 when '4h' then 4 else 24 end) as entry_at
    from fct_taker_spike_ranks as r
    inner join dim_spike_definitions as d using (definition_id)
    cross join (values (1), (3), (7), (14), (30)) as h (horizon_days)
    where r.event_rank <= 20
)
select
    e.definition_id, e.market_id, e.side, e.bar_at as event_at, e.event_rank, e.value, e.horizon_days,
    e.entry_at,
    entries.open_price as entry_price,
    e.entry_at + to_days(e.horizon_days) as exit_at,
    exits.open_price as exit_price,
    case e.side when 'bearish' then 1 else -1 end * (exits.open_price / entries.open_price - 1)::double
        as forward_return,
    case when exits.open_price is not null then -0.01 end::double as max_adverse_excursion,
    case when exits.open_price is not null then 0.01 end::double as max_favourable_excursion,
    e.entry_at + to_hours(e.decluster_hours) as known_at,
    case when exits.open_price is not null and e.horizon_days < 7 then 0.25 * e.event_rank end::double
        as return_when_known,
    exits.open_price is not null and entries.open_price is not null as is_complete
from events as e
left join prices as entries
    on entries.grain = e.grain and entries.market_id = e.market_id and entries.bar_at = e.entry_at
left join prices as exits
    on exits.grain = e.grain and exits.market_id = e.market_id and exits.bar_at = e.entry_at + to_days(e.horizon_days)
    and entries.open_price is not null;

create table agg_spike_event_study as
select
    definition_id, market_id, side, horizon_days,
    count(forward_return) as sample_size,
    least(count(forward_return), 3) as block_count,
    avg((forward_return > 0)::integer) as hit_rate,
    median(forward_return) as median_return,
    avg(forward_return) as mean_return,
    500::bigint as baseline_size,
    0.5::double as baseline_hit_rate,
    0.0::double as baseline_median,
    0.0::double as baseline_mean,
    case when count(forward_return) >= 10 then 0.5 end::double as p_value,
    count(return_when_known) as sample_size_when_known,
    avg((return_when_known > 0)::integer) as hit_rate_when_known,
    median(return_when_known) as median_return_when_known,
    avg(return_when_known) as mean_return_when_known,
    case when count(return_when_known) >= 10 then 0.25 end::double as p_value_when_known,
    count(forward_return) >= 10 as is_conclusive,
    case when count(forward_return) >= 10 then 'No evidence.' else 'Nothing can be concluded: too few.' end
        as conclusion
from (
    select r.definition_id, r.market_id, r.side, h.horizon_days, f.forward_return, f.return_when_known
    from (select distinct definition_id, market_id, side from fct_taker_spike_ranks) as r
    cross join (values (1), (3), (7), (14), (30)) as h (horizon_days)
    left join fct_spike_forward_returns as f using (definition_id, market_id, side, horizon_days)
) as followed
group by all;

create table rpt_market_brief_daily as
with ranks as (
    select
        market_id, side, cast(bar_at as date) as bar_date, definition_id, min(spike_rank) as best,
        min(event_rank) as event
    from fct_taker_spike_ranks group by all
)
select
    d.market_id,
    d.bar_date,
    case when d.net_taker_usd < 0 then 'bearish' else 'bullish' end as side,
    d.net_taker_usd,
    d.taker_sell_ratio,
    p.sell_dominance_percentile,
    max(best) filter (r.definition_id = 'daily_usd') as daily_usd_rank,
    max(event) filter (r.definition_id = 'daily_usd') as daily_usd_event_rank,
    max(best) filter (r.definition_id = 'daily_base') as daily_base_rank,
    max(best) filter (r.definition_id = 'daily_sell_ratio') as daily_sell_ratio_rank,
    max(best) filter (r.definition_id = '4h_usd') as "4h_usd_rank",
    max(best) filter (r.definition_id = '4h_base') as "4h_base_rank",
    max(best) filter (r.definition_id = '4h_ma2_usd') as "4h_ma2_usd_rank",
    max(best) filter (r.definition_id = 'hourly_usd') as hourly_usd_rank,
    max(best) filter (r.definition_id = 'hourly_ma7_usd') as hourly_ma7_usd_rank,
    null::varchar as larger_events,
    d.close_price,
    (d.close_price / y.close_price - 1)::double as price_change_ratio,
    -0.05::double as distance_from_high_ratio,
    l.long_usd as long_liquidations_usd,
    l.short_usd as short_liquidations_usd,
    coalesce(l.coverage_ratio, 0)::double as liquidations_coverage_ratio,
    a.long_usd as all_long_liquidations_usd,
    a.short_usd as all_short_liquidations_usd,
    coalesce(a.coverage_ratio, 0)::double as all_liquidations_coverage_ratio,
    a.venue_set as all_liquidations_venue_set,
    a.subscribed_symbol_count as all_liquidations_subscribed_symbol_count,
    1000::decimal(38, 8) as open_interest,
    40000000::decimal(38, 8) as open_interest_usd,
    0.0003::double as funding_rate,
    d.flow_source,
    d.coverage_ratio,
    false as is_simulated,
    d.market_id || ' on ' || d.bar_date || ': sold more, from ' || d.flow_source || ', rank 3 under daily_usd.'
        as headline,
    null::varchar as open_interest_conflict,
    null::varchar as funding_conflict,
    null::varchar as liquidations_conflict,
    null::varchar as open_interest_missing_reason,
    null::varchar as funding_missing_reason,
    case when l.long_usd is null then 'not_ingested' end as liquidations_missing_reason
from fct_net_taker_volume_daily as d
left join fct_net_taker_volume_daily as y on y.market_id = d.market_id and y.bar_date = d.bar_date - 1
left join fct_taker_dominance_daily as p on p.market_id = d.market_id and p.bar_date = d.bar_date
left join fct_liquidations_daily as l on l.market_id = d.market_id and l.bar_date = d.bar_date
left join fct_liquidations_daily as a on a.market_id = 'all:ALL' and a.bar_date = d.bar_date
left join ranks as r
    on r.market_id = d.market_id and r.bar_date = d.bar_date
    and r.side = case when d.net_taker_usd < 0 then 'bearish' else 'bullish' end
group by all;

-- The net so far, the hours that it lacks, and means of days.
create table hours_so_far as
select
    market_id,
    bar_at,
    net_taker_usd::double / volume_usd::double as net_taker_ratio,
    (close_price::double / open_price::double - 1)::decimal(38, 16) as price_return,
    case when bar_at >= first_at then sum(case when bar_at >= first_at then net_taker_usd end) over hours_to_here end
        ::decimal(38, 8) as cvd_usd,
    case when bar_at >= first_at then sum(case when bar_at >= first_at then net_taker_base end) over hours_to_here end
        ::decimal(38, 8) as cvd_base,
    case
        when bar_at >= first_at
            then date_diff('hour', first_at, bar_at) + 1
                - sum(case when bar_at >= first_at then coverage_ratio end) over hours_to_here
    end::decimal(18, 8) as cvd_missing_hours,
    sum(net_taker_usd) over day_so_far::decimal(38, 8) as cvd_day_usd,
    sum(net_taker_base) over day_so_far::decimal(38, 8) as cvd_day_base
from fct_net_taker_volume_hourly
inner join (
    select market_id, min(bar_at) as first_at from fct_net_taker_volume_hourly where coverage_ratio = 1 group by all
) as beginnings using (market_id)
window
    hours_to_here as (partition by market_id order by bar_at rows unbounded preceding),
    day_so_far as (partition by market_id, cast(bar_at as date) order by bar_at rows unbounded preceding);

create table days_so_far as
select
    market_id,
    bar_date,
    net_taker_usd::double / volume_usd::double as net_taker_ratio,
    (close_price::double / open_price::double - 1)::decimal(38, 16) as price_return,
    case when bar_date >= first_date then sum(case when bar_date >= first_date then net_taker_usd end) over days_to_here end
        ::decimal(38, 8) as cvd_usd,
    case when bar_date >= first_date then sum(case when bar_date >= first_date then net_taker_base end) over days_to_here
        end::decimal(38, 8) as cvd_base,
    case
        when bar_date >= first_date
            then 24 * (
                bar_date - first_date + 1 - sum(case when bar_date >= first_date then coverage_ratio end) over days_to_here
            )
    end::decimal(18, 8) as cvd_missing_hours,
    case when count(*) over week = 7 then sum(net_taker_usd) over week / 7 end::decimal(38, 8)
        as mean_7d_net_taker_usd,
    case when count(*) over week = 7 then sum(net_taker_base) over week / 7 end::decimal(38, 8)
        as mean_7d_net_taker_base,
    null::decimal(38, 8) as mean_30d_net_taker_usd,
    null::decimal(38, 8) as mean_30d_net_taker_base
from fct_net_taker_volume_daily
inner join (
    select market_id, min(bar_date) as first_date from fct_net_taker_volume_daily where coverage_ratio = 1 group by all
) as beginnings using (market_id)
window
    days_to_here as (partition by market_id order by bar_date rows unbounded preceding),
    week as (partition by market_id order by bar_date range between interval 6 days preceding and current row);

create or replace table fct_net_taker_volume_hourly as
select * from fct_net_taker_volume_hourly inner join hours_so_far using (market_id, bar_at);
create or replace table fct_net_taker_volume_daily as
select * from fct_net_taker_volume_daily inner join days_so_far using (market_id, bar_date);

-- Open interest of every hour, one of which was not observed; the day's last is the brief's.
create table fct_open_interest_hourly as
with hours as (
    select
        market_id,
        bar_at,
        hour(bar_at) as number,
        not (market_id = 'binance_um:BTCUSDT' and bar_at = timestamp '2024-03-12 05:00') as is_observed
    from (values ('binance_um:BTCUSDT'), ('binance_cm:BTCUSD_PERP')) as markets (market_id),
        generate_series(timestamp '2024-03-01', timestamp '2024-03-22 23:00', interval 1 hour) as series (bar_at)
),
observed as (
    select
        market_id,
        bar_at,
        case when is_observed then bar_at + interval 55 minutes end as observed_at,
        case when is_observed then 1000 + case number when 23 then 0 else number end end::decimal(38, 8)
            as open_interest_base,
        case when is_observed then 12 else 0 end::bigint as observation_count
    from hours
),
compared as (
    select
        *,
        lag(open_interest_base, 1) over series as base_before,
        lag(open_interest_base, 24) over series as day_before
    from observed
    window series as (partition by market_id order by bar_at)
)
select
    market_id,
    split_part(market_id, ':', 1) as venue,
    bar_at,
    observed_at,
    open_interest_base,
    (open_interest_base * 40000)::decimal(38, 8) as open_interest_usd,
    (open_interest_base - base_before)::decimal(38, 8) as change_1h_base,
    (open_interest_base - base_before)::double / base_before::double as change_1h_ratio,
    (open_interest_base - day_before)::decimal(38, 8) as change_24h_base,
    (open_interest_base - day_before)::double / day_before::double as change_24h_ratio,
    observation_count,
    observation_count / 12 as coverage_ratio,
    false as is_in_conflict,
    null::varchar as conflict
from compared;

create table fct_open_interest_daily as
select
    market_id, venue, cast(bar_at as date) as bar_date, observed_at, open_interest_base, open_interest_usd,
    change_24h_base, change_24h_ratio, 288::bigint as observation_count, 1.0::double as coverage_ratio,
    is_in_conflict, conflict
from fct_open_interest_hourly
where hour(bar_at) = 23;

create table fct_long_short_ratios as
select
    market_id,
    venue,
    bar_at,
    observed_at,
    case when observed_at is not null then 1.1 end::double as top_trader_account_long_short_ratio,
    case when observed_at is not null then 1.2 end::double as top_trader_position_long_short_ratio,
    case when observed_at is not null then 0.8 end::double as account_long_short_ratio,
    case when observed_at is not null then 1.0 end::double as taker_buy_sell_ratio,
    observation_count,
    coverage_ratio
from fct_open_interest_hourly;

-- Three fundings a day, of every market and day that has a brief.
create table fct_funding_rates as
select
    market_id,
    split_part(market_id, ':', 1) as venue,
    'BTC' as base_asset,
    bar_date + to_hours(hour) as funded_at,
    bar_date,
    8::bigint as funding_interval_hours,
    0.0001::decimal(38, 18) as funding_rate,
    0.1095::decimal(38, 16) as annualised_rate,
    sum(0.0001::decimal(38, 18)) over until_here as cumulative_rate,
    -- The inverse market has a day without bars, a brief and fundings.
    case
        when lag(bar_date + to_hours(hour)) over market_fundings < bar_date + to_hours(hour) - interval 8 hours
            then 24
        else 0
    end::bigint as missing_hours,
    0::bigint as cumulative_missing_hours,
    false as is_in_conflict,
    null::varchar as conflict
from rpt_market_brief_daily
cross join (values (0), (8), (16)) as hours (hour)
window
    market_fundings as (partition by market_id order by bar_date, hour),
    until_here as (
        partition by market_id order by bar_date, hour rows between unbounded preceding and current row
    );
update fct_funding_rates set cumulative_missing_hours = 24
where market_id = 'binance_cm:BTCUSD_PERP' and bar_date > date '2024-03-16';

-- What was around each event of the study.
create table fct_spike_context as
with windows as (
    select
        events.*, horizon_hours, event_at - to_hours(horizon_hours) as from_at, entry_at + to_hours(horizon_hours) as to_at
    from (
        select distinct definition_id, market_id, side, event_at, event_rank, value, entry_at
        from fct_spike_forward_returns
    ) as events
    cross join (values (4), (24)) as horizons (horizon_hours)
),
sums as (
    select
        windows.*,
        date_diff('hour', from_at, to_at) as hour_count,
        (select sum(f.funding_rate) from fct_funding_rates as f
            where f.market_id = windows.market_id and f.funded_at >= from_at and f.funded_at < to_at) as rates,
        (select sum(l.long_usd) from fct_liquidations_hourly as l
            where l.market_id = windows.market_id and l.bar_at >= from_at and l.bar_at < to_at) as longs,
        (select sum(l.short_usd) from fct_liquidations_hourly as l
            where l.market_id = windows.market_id and l.bar_at >= from_at and l.bar_at < to_at) as shorts,
        (select sum(l.coverage_ratio) from fct_liquidations_hourly as l
            where l.market_id = windows.market_id and l.bar_at >= from_at and l.bar_at < to_at) as covered
    from windows
)
select
    sums.definition_id, sums.market_id, sums.side, sums.event_at, sums.event_rank, sums.value, horizon_hours, from_at,
    to_at,
    (later.open_interest_base - former.open_interest_base)::decimal(38, 8) as open_interest_change_base,
    later.open_interest_base::double / former.open_interest_base::double - 1 as open_interest_change_ratio,
    coalesce(rates, 0)::decimal(38, 18) as funding_rate,
    1.0::double as funding_coverage_ratio,
    case when covered > 0 then coalesce(longs, 0) end::decimal(38, 8) as long_liquidations_usd,
    case when covered > 0 then coalesce(shorts, 0) end::decimal(38, 8) as short_liquidations_usd,
    coalesce(covered, 0)::double / hour_count as liquidations_coverage_ratio,
    true as is_lower_bound
from sums
left join fct_open_interest_hourly as former
    on former.market_id = sums.market_id and former.bar_at = sums.from_at - interval 1 hour
left join fct_open_interest_hourly as later
    on later.market_id = sums.market_id and later.bar_at = sums.to_at - interval 1 hour;

-- Markets side by side, and their hours of the week.
create table rpt_market_screen as
select
    d.market_id, d.venue, 'BTC' as base_asset, d.bar_date, b.side, d.net_taker_usd, d.net_taker_ratio, d.volume_usd,
    b.sell_dominance_percentile, p.buy_dominance_percentile, r.spike_rank as best_rank,
    r.definition_id as best_rank_definition_id, r.definition_name as best_rank_definition_name,
    r.side as best_rank_side, r.bar_at as best_rank_at, r.window_bars as best_rank_window_bars, z.robust_z,
    d.close_price, b.price_change_ratio, b.open_interest_usd, o.change_24h_base as open_interest_change_24h_base,
    o.change_24h_ratio as open_interest_change_24h_ratio, b.funding_rate, b.long_liquidations_usd,
    b.short_liquidations_usd, b.liquidations_coverage_ratio, d.flow_source, d.flow_quality, d.coverage_ratio,
    d.is_provisional, b.is_simulated
from fct_net_taker_volume_daily as d
inner join rpt_market_brief_daily as b on b.market_id = d.market_id and b.bar_date = d.bar_date
left join fct_taker_dominance_daily as p on p.market_id = d.market_id and p.bar_date = d.bar_date
left join (
    select ranks.*, ranks.definition_id as definition_name from fct_taker_spike_ranks as ranks
    where spike_rank is not null
    qualify row_number() over (partition by market_id, cast(bar_at as date) order by spike_rank, definition_id, side) = 1
) as r on r.market_id = d.market_id and cast(r.bar_at as date) = d.bar_date
left join fct_taker_spike_ranks as z
    on z.market_id = d.market_id and z.definition_id = 'daily_usd' and z.side = b.side and z.bar_at = d.bar_date
left join fct_open_interest_daily as o on o.market_id = d.market_id and o.bar_date = d.bar_date
where d.bar_date = date '2024-03-22';

create table fct_hour_of_week_profile as
select
    market_id,
    any_value(venue) as venue,
    dayofweek(bar_at - interval 1 day) * 24 + extract('hour' from bar_at) as hour_of_week,
    dayofweek(bar_at - interval 1 day) + 1 as weekday,
    any_value(dayname(bar_at)) as weekday_name,
    extract('hour' from bar_at) as hour_of_day,
    count(*) as hour_count,
    min(bar_at) as first_at,
    max(bar_at) as last_at,
    (sum(net_taker_usd)::double / count(*))::decimal(38, 8) as mean_net_taker_usd,
    median(net_taker_usd)::decimal(38, 8) as median_net_taker_usd,
    (sum(volume_usd)::double / count(*))::decimal(38, 8) as mean_volume_usd,
    sum(net_taker_usd)::double / sum(volume_usd)::double as net_taker_ratio,
    count(*) filter (net_taker_usd > 0) / count(*) as bought_ratio,
    avg(close_price::double / open_price::double - 1) as mean_return,
    median(close_price::double / open_price::double - 1) as median_return
from fct_net_taker_volume_hourly
where coverage_ratio = 1
group by market_id, dayofweek(bar_at - interval 1 day), extract('hour' from bar_at);

-- Two minutes of trades in each hour that is taken from trades.
create table fct_net_taker_volume_minute as
with parts as (
    select
        hours.*,
        minute,
        (case when minute = 7 then 0.25 else 0.75 end)::decimal(3, 2) as share,
        bar_at + to_minutes(minute) as minute_at
    from fct_net_taker_volume_hourly as hours, (values (7), (52)) as minutes (minute)
    where flow_source = 'trades' and not is_provisional and venue <> 'all'
),

amounts as (
    select
        parts.*,
        case when minute = 7 then (taker_buy_usd / 4)::decimal(38, 8) else taker_buy_usd - (taker_buy_usd / 4)::decimal(38, 8) end
            as buy_usd,
        case when minute = 7 then (taker_sell_usd / 4)::decimal(38, 8) else taker_sell_usd - (taker_sell_usd / 4)::decimal(38, 8) end
            as sell_usd,
        case when minute = 7 then (taker_buy_base / 4)::decimal(38, 8) else taker_buy_base - (taker_buy_base / 4)::decimal(38, 8) end
            as buy_base,
        case when minute = 7 then (taker_sell_base / 4)::decimal(38, 8) else taker_sell_base - (taker_sell_base / 4)::decimal(38, 8) end
            as sell_base
    from parts
)

select
    market_id,
    venue,
    minute_at as bar_at,
    time_bucket(interval 5 minutes, minute_at) as five_minutes_at,
    time_bucket(interval 15 minutes, minute_at) as fifteen_minutes_at,
    buy_usd as taker_buy_usd,
    sell_usd as taker_sell_usd,
    buy_usd - sell_usd as net_taker_usd,
    buy_base as taker_buy_base,
    sell_base as taker_sell_base,
    buy_base - sell_base as net_taker_base,
    buy_usd + sell_usd as volume_usd,
    buy_base + sell_base as volume_base,
    (buy_usd - sell_usd)::double / (buy_usd + sell_usd)::double as net_taker_ratio,
    case when minute = 7 then open_price else low_price end as open_price,
    high_price,
    low_price,
    case when minute = 7 then high_price else close_price end as close_price,
    (trade_count * share)::bigint as trade_count,
    coverage_ratio,
    flow_quality
from amounts;

-- Two publications changed the same bar, the second one back to what it was, and one took a bar's event away.
create table fct_spike_rank_revisions as
with bars as (
    select
        *, row_number() over (order by bar_at) as number
    from fct_taker_spike_ranks
    where definition_id = 'daily_usd' and market_id = 'binance_um:BTCUSDT' and side = 'bearish'
        and spike_rank is not null
)
select
    definition_id, market_id, side, bar_at,
    value as old_value, (value + 5)::decimal(38, 8) as new_value,
    spike_rank as old_rank, spike_rank + 1 as new_rank, event_rank as old_event_rank, event_rank as new_event_rank,
    'corrected_file' as cause, 'a.zip' as source_keys, timestamp '2024-04-01' as previous_published_at,
    timestamp '2024-04-02' as published_at, 'run-2' as run_id
from bars where number = 1
union all
select
    definition_id, market_id, side, bar_at, value + 5, value, spike_rank + 1, spike_rank, event_rank, event_rank,
    'rules', null, timestamp '2024-04-02', timestamp '2024-04-03', 'run-3'
from bars where number = 1
union all
select
    definition_id, market_id, side, bar_at, value, value, spike_rank, spike_rank, 7, event_rank,
    'late_file', 'b.zip c.zip', timestamp '2024-04-02', timestamp '2024-04-03', 'run-3'
from bars where number = 2;
