"""The audit passes good marts, fails every single corruption of them, and says what it saw.

The marts are built here in a few statements of SQL, independently of dbt, with everything a good warehouse may hold: an
absent day, a missing hour, ties, days from trades and days from klines, a day within tolerance, uncovered windows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from orchestration.warehouse.audit.suites import (
    CRITICAL,
    HISTORY_SUITE,
    SUITES,
    WARNING,
    AuditNotEvaluated,
    AuditSuite,
    Verdict,
    validate,
)

LINEAR = "binance_um:BTCUSDT"
INVERSE = "binance_cm:BTCUSD_PERP"
ALL_SUITES = (*SUITES, HISTORY_SUITE)
SUITE_BY_NAME = {suite.name: suite for suite in ALL_SUITES}

# Windows of ten days, so that three weeks of bars show covered and uncovered windows.
GOOD_MARTS = """
create table spike_definitions (
    definition_id varchar, grain varchar, smoothing_bars integer, unit varchar, window_days integer,
    decluster_hours integer, venue varchar
);
insert into spike_definitions values
    ('daily_usd', '1d', 1, 'usd', 10, 24, null),
    ('daily_base', '1d', 1, 'base', 10, 24, null),
    ('daily_sell_ratio', '1d', 1, 'sell_ratio', 10, 24, null),
    ('4h_usd', '4h', 1, 'usd', 10, 24, null),
    ('hourly_ma7_usd', '1h', 7, 'usd', 10, 24, null),
    ('sums_usd', '1d', 1, 'usd', 10, 24, 'all');

create table dim_markets (
    market_id varchar, venue varchar, symbol varchar, base_asset varchar, quote_asset varchar, contract_type varchar,
    contract_size decimal(18, 8), contract_size_source varchar, listed_at timestamp, is_ingested boolean,
    is_simulated boolean
);
insert into dim_markets values
    ('binance_um:BTCUSDT', 'binance_um', 'BTCUSDT', 'BTC', 'USDT', 'linear', 1, 'instruments', '2019-09-08', true,
     false),
    ('binance_cm:BTCUSD_PERP', 'binance_cm', 'BTCUSD_PERP', 'BTC', 'USD', 'inverse', 100, 'seed', null, true, false),
    ('bybit:XRPUSDT', 'bybit', 'XRPUSDT', 'XRP', 'USDT', 'linear', 1, 'convention', null, false, false),
    ('binance_um:ETHBTC', 'binance_um', 'ETHBTC', null, null, null, null, 'unknown', null, false, false);

-- Every hour of 22 days, but for one missing hour of the linear market and one absent day of the inverse one.
create table hours as
select
    market_id,
    bar_at,
    cast(bar_at as date) as trade_date,
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
    case when trade_date >= date '2024-03-20' then 'trades' else 'klines' end as flow_source,
    1.0::double as coverage_ratio,
    split_part(market_id, ':', 1) as venue,
    split_part(market_id, ':', 1) as venue_set,
    false as is_provisional,
    false as is_running
from (
    select
        market_id, bar_at, trade_date, price, buy_usd as taker_buy_usd, sell_usd as taker_sell_usd,
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
    cast(bar_at as date) as trade_date,
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
    select trade_date, min(coverage_ratio) as coverage_ratio
    from fct_net_taker_volume_daily where venue <> 'all' group by trade_date
) as parts
where sums.venue = 'all' and sums.trade_date = parts.trade_date;

update fct_net_taker_volume_daily set coverage_ratio = 0 where venue = 'all' and trade_date = date '2024-03-16';

create table fct_flow_reconciliation_daily as
select
    *,
    trades_volume_usd - klines_volume_usd as difference_usd,
    case
        when trades_volume_usd is null then 'klines_only'
        when trade_date = date '2024-03-21' then 'within_tolerance'
        when trade_date = date '2024-03-22' then 'trades_only'
        else 'exact'
    end as verdict,
    case when klines_volume_usd is not null then '1h' end as kline_interval,
    case when klines_volume_usd is not null then 1.0::double end as kline_coverage_ratio,
    case when klines_volume_usd is not null then '1d' end as coarser_interval,
    klines_volume_usd as coarser_volume_usd,
    klines_volume_usd - klines_volume_usd as interval_difference_usd,
    case when klines_volume_usd is not null then 'exact' end as interval_verdict,
    -- What the api had said of two days, before the archive had them; of the last one only an hour at its end.
    case trade_date when date '2024-03-20' then 24 when date '2024-03-21' then 1 end::bigint as rest_hours,
    case trade_date when date '2024-03-20' then trades_volume_usd when date '2024-03-21' then 10001 end
        ::decimal(38, 8) as rest_volume_usd,
    case trade_date when date '2024-03-20' then trades_net_usd when date '2024-03-21' then 5 end
        ::decimal(38, 8) as rest_net_usd,
    case trade_date when date '2024-03-20' then 0 when date '2024-03-21' then 1 end
        ::decimal(38, 8) as rest_difference_usd,
    case trade_date when date '2024-03-20' then 'exact' when date '2024-03-21' then 'within_tolerance' end
        as rest_verdict,
    case trade_date when date '2024-03-20' then 0.0001 end::double as venue_taker_ratio_difference
from (
    select
        market_id,
        venue,
        trade_date,
        case when trade_date >= date '2024-03-20' then volume_usd end as trades_volume_usd,
        case
            when trade_date = date '2024-03-21' then volume_usd + 1
            when trade_date < date '2024-03-22' then volume_usd
        end as klines_volume_usd,
        case when trade_date >= date '2024-03-20' then net_taker_usd end as trades_net_usd,
        case when trade_date < date '2024-03-22' then net_taker_usd end as klines_net_usd,
        0::bigint as agg_id_gaps,
        0::bigint as duplicate_rows,
        0::bigint as zero_rows,
        0::bigint as out_of_order_rows,
        0::bigint as quarantined_rows,
        0::bigint as replaced_bars,
        0::bigint as doubtful_bars,
        null::varchar as replaced_sources,
        null::varchar as defect_reason
    from fct_net_taker_volume_daily
    where venue <> 'all'
) as volumes;

-- Bars of every definition; the pressure is lowest where takers sold most unusually.
create table rank_bars as
with grains as (
    select market_id, '1d' as grain, cast(trade_date as timestamp) as bar_at, net_taker_usd, net_taker_base,
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
    set_changed_at
from ranked as t;

create table fct_taker_dominance_daily as
select
    bearish.market_id,
    cast(bearish.bar_at as date) as trade_date,
    daily.taker_sell_ratio,
    bearish.percentile as sell_dominance_percentile,
    bullish.percentile as buy_dominance_percentile,
    10 as window_days,
    bearish.window_bars,
    bearish.coverage_ratio,
    bearish.venue,
    bearish.venue_set,
    false as is_provisional
from fct_taker_spike_ranks as bearish
inner join fct_taker_spike_ranks as bullish using (definition_id, market_id, bar_at)
inner join fct_net_taker_volume_daily as daily
    on daily.market_id = bearish.market_id and daily.trade_date = cast(bearish.bar_at as date)
where definition_id = 'daily_sell_ratio' and bearish.side = 'bearish' and bullish.side = 'bullish';

-- Of the archive five days, the third of them absent; of the feeds of two venues the 48 hours of 10 and 11 March, one
-- of which nobody listened to on Binance. Bybit sends every order.
create table fct_liquidations_hourly as
with hours as (
    select
        'binance_cm' as venue, bar_at, null::integer as n, bar_at::date <> '2024-03-03' as is_heard, false as is_exact
    from generate_series(timestamp '2024-03-01', timestamp '2024-03-05 23:00', interval 1 hour) as series (bar_at)
    union all
    select venue, timestamp '2024-03-10' + to_hours(n::integer), n, venue = 'bybit' or n <> 5, venue = 'bybit'
    from (values ('binance_um'), ('bybit')) as venues (venue)
    cross join range(48) as numbers (n)
),
markets as (
    select
        venue, 'binance_cm:BTCUSD_PERP' as market_id, bar_at, is_heard, is_exact,
        case hour(bar_at) when 4 then 300.5 else 0 end as longs,
        case hour(bar_at) when 4 then 200.25 else 0 end as shorts,
        case hour(bar_at) when 4 then 3 else 0 end as orders, 0 as unvalued,
        case hour(bar_at) when 4 then 250 end as largest
    from hours where venue = 'binance_cm'
    union all
    select
        venue, 'binance_um:BTCUSDT', bar_at, is_heard, is_exact, if(n % 3 = 0, n + 0.5, 0), if(n % 3 = 0, 2.25, 0),
        if(n % 3 = 0, 2, 0), 0, if(n % 3 = 0, greatest(n + 0.5, 2.25), null)
    from hours where venue = 'binance_um'
    union all
    select venue, 'bybit:XRPUSDT', bar_at, is_heard, is_exact, 7, 0, 1, 0, 7
    from hours where venue = 'bybit' and n % 20 = 0
    union all
    select venue, 'binance_um:ETHBTC', bar_at, is_heard, is_exact, 0, 0, 1, 1, null
    from hours where venue = 'binance_um' and n = 30
),
venues as (
    select
        hours.venue, hours.venue || ':ALL' as market_id, bar_at, any_value(hours.is_heard) as is_heard,
        any_value(hours.is_exact) as is_exact, coalesce(sum(longs), 0) as longs, coalesce(sum(shorts), 0) as shorts,
        coalesce(sum(orders), 0) as orders, coalesce(sum(unvalued), 0) as unvalued, max(largest) as largest
    from hours left join markets using (venue, bar_at)
    where hours.venue <> 'binance_cm' group by hours.venue, bar_at
),
rows_of_one as (
    select *, is_heard::integer::double as share, venue as venue_set from markets
    union all
    select *, is_heard::integer::double, venue from venues
    union all
    select
        'all', 'all:ALL', bar_at, true, false, sum(longs) filter (is_heard), sum(shorts) filter (is_heard),
        sum(orders) filter (is_heard), sum(unvalued) filter (is_heard), max(largest) filter (is_heard),
        avg(is_heard::integer), 'binance_um,bybit'
    from venues group by bar_at
)
select
    venue, market_id, bar_at,
    case when is_heard then longs end::decimal(38, 8) as long_usd,
    case when is_heard then shorts end::decimal(38, 8) as short_usd,
    case when is_heard then longs + shorts end::decimal(38, 8) as total_usd,
    case when is_heard then orders end::bigint as order_count,
    case when is_heard then unvalued end::bigint as unvalued_order_count,
    case when is_heard then largest end::decimal(38, 8) as largest_order_usd,
    share as coverage_ratio,
    not is_exact as is_lower_bound,
    case venue when 'binance_cm' then 'archive' else 'live' end as liquidation_source,
    venue_set,
    case when market_id = 'all:ALL' then 2 end::bigint as subscribed_symbol_count
from rows_of_one;

-- A day, or a rolling day, is a window of 24 hours that ends at some hour. A market that was only heard has a row where
-- an order is in it, covered as its venue is.
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
    min(h.subscribed_symbol_count) as subscribed_symbol_count
from fct_liquidations_hourly as h
join ends as e on h.venue = e.venue and h.bar_at < e.until_at and h.bar_at >= e.until_at - interval 24 hour
join covered as c
    on c.venue = h.venue and c.until_at = e.until_at
    and c.market_id = case when h.market_id in ('bybit:XRPUSDT', 'binance_um:ETHBTC') then h.venue || ':ALL'
        else h.market_id end
group by h.venue, h.market_id, e.until_at;

create table fct_liquidations_daily as
select venue, market_id, (until_at - interval 1 day)::date as trade_date, * exclude (venue, market_id, until_at)
from liquidation_windows where hour(until_at) = 0;

create table fct_liquidations_rolling_24h as
select venue, market_id, until_at as as_of_at, * exclude (venue, market_id, until_at) from liquidation_windows;

-- The receipts of the configured flow datasets stand in a table of their own, as in the warehouse.
create table stg_raw__receipts as
select
    dataset, market_id, trade_date::date as trade_date,
    case when absent then 'absent' else 'stored' end as status,
    case when absent then 0 else 24 end::bigint as row_count
from (
    select
        'klines' as dataset, market_id, trade_date,
        market_id = 'binance_cm:BTCUSD_PERP' and trade_date = timestamp '2024-03-16' as absent
    from (select market_id from dim_markets where is_ingested) as markets,
        generate_series(timestamp '2024-03-01', timestamp '2024-03-21', interval 1 day) as series (trade_date)
    union all
    select 'aggTrades', market_id, trade_date, false
    from (select market_id from dim_markets where is_ingested) as markets,
        generate_series(timestamp '2024-03-20', timestamp '2024-03-22', interval 1 day) as series (trade_date)
    union all
    select 'liquidationSnapshot', 'binance_cm:BTCUSD_PERP', trade_date, trade_date = timestamp '2024-03-03'
    from generate_series(timestamp '2024-03-01', timestamp '2024-03-05', interval 1 day) as series (trade_date)
) as asked;

create table int_flow_receipts as
select dataset, market_id, trade_date as bar_date, status, row_count
from stg_raw__receipts
where dataset <> 'liquidationSnapshot';

insert into dim_markets values ('all:BTC', 'all', 'BTC', 'BTC', 'USD', 'aggregate', 1, 'convention', null, true, false);

create table dim_spike_definitions as from spike_definitions;

-- Of the linear market's largest bearish day of the last ten; of a rank that another day has; of days before any
-- window; of a market that nobody ingested.
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
select '1d' as grain, market_id, cast(trade_date as timestamp) as bar_at, open_price, high_price, low_price
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
        market_id, side, cast(bar_at as date) as brief_date, definition_id, min(spike_rank) as best,
        min(event_rank) as event
    from fct_taker_spike_ranks group by all
)
select
    d.market_id,
    d.trade_date as brief_date,
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
    d.market_id || ' on ' || d.trade_date || ': sold more, from ' || d.flow_source || ', rank 3 under daily_usd.'
        as headline
from fct_net_taker_volume_daily as d
left join fct_net_taker_volume_daily as y on y.market_id = d.market_id and y.trade_date = d.trade_date - 1
left join fct_taker_dominance_daily as p on p.market_id = d.market_id and p.trade_date = d.trade_date
left join fct_liquidations_daily as l on l.market_id = d.market_id and l.trade_date = d.trade_date
left join fct_liquidations_daily as a on a.market_id = 'all:ALL' and a.trade_date = d.trade_date
left join ranks as r
    on r.market_id = d.market_id and r.brief_date = d.trade_date
    and r.side = case when d.net_taker_usd < 0 then 'bearish' else 'bullish' end
group by all;

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
"""


@pytest.fixture(scope="session")
def good_marts() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(GOOD_MARTS)
        yield connection


@pytest.fixture
def marts(good_marts: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The good marts, to be corrupted: whatever a test does to them is undone."""
    good_marts.execute("begin transaction")
    yield good_marts
    good_marts.execute("rollback")


def audit(connection: duckdb.DuckDBPyConnection, suite: AuditSuite, *, only: str | None = None) -> Verdict:
    """`only`: judge by the expectations on that column alone, which takes a fraction of the time."""
    built = suite.build()
    if only is not None:
        built.expectations = [e for e in built.expectations if columns_of(e) == only]
    return validate(connection.execute(suite.query).df(), built)


def columns_of(expectation: Any) -> str:
    kwargs = expectation.configuration.kwargs
    names = kwargs.get("column_list") or [kwargs[k] for k in ("column", "column_A", "column_B") if k in kwargs]
    return ", ".join(names)


@dataclass(frozen=True)
class Corruption:
    """`sql` breaks one thing; then the suite's expectation on `column` fails with `severity`."""

    suite: str
    column: str
    sql: str
    severity: str = CRITICAL

    def __str__(self) -> str:
        return f"{self.suite}-{self.column}-{self.severity}"


def _flow_corruptions(mart: str, row: str) -> list[Corruption]:
    """What may go wrong in a net taker volume mart; `row` selects one bar."""

    def one(column: str, change: str, severity: str = CRITICAL) -> Corruption:
        return Corruption(mart, column, f"update {mart} set {change} where {row}", severity)

    key = "market_id, bar_at" if mart.endswith("hourly") else "market_id, trade_date"
    return [
        Corruption(mart, key, f"insert into {mart} select * from {mart} where {row}"),
        one("usd_sum_residual", "volume_usd = volume_usd + 0.00000001"),
        one("usd_sum_residual", "taker_sell_usd = null"),
        one("base_sum_residual", "volume_base = volume_base + 0.00000001"),
        one("usd_net_residual", "net_taker_usd = -net_taker_usd"),
        one("base_net_residual", "net_taker_base = net_taker_base - 0.00000001"),
        one("smallest_amount", "taker_buy_usd = -1"),
        one("taker_sell_ratio", "taker_sell_ratio = 1.01"),
        one("sell_ratio_error", "taker_sell_ratio = 1 - taker_sell_ratio"),
        one("sell_ratio_error", "taker_sell_ratio = 'nan'::double"),
        one("sell_ratio_error", "taker_sell_ratio = null"),
        one("buy_sell_ratio_error", "taker_buy_sell_ratio = 1 / taker_buy_sell_ratio"),
        one("coverage_ratio", "coverage_ratio = 1.5"),
        one("coverage_ratio", "coverage_ratio = null"),
        one("trade_count", "trade_count = -1"),
        one("flow_source", "flow_source = 'guess'"),
        one("flow_source", "flow_source = null"),
        one("is_venue_of_market", "venue = 'bybit'"),
        one("is_venue_set_named", "venue_set = 'binance_um,bybit'"),
        one("is_provision_said", "is_provisional = true"),
        one("is_provision_said", "flow_source = 'rest_klines'"),
        one("is_running_provisional", "is_running = true"),
        one("is_running_provisional", "is_running = null"),
        one("is_price_known", "close_price = null"),
        one("is_venue_price_in_order", "low_price = 0", WARNING),
        one("is_venue_price_in_order", "open_price = low_price - 1", WARNING),
        one("lower_end_price, low_price", "flow_source = 'trades', open_price = low_price - 1"),
        one("high_price, upper_end_price", "flow_source = 'trades', close_price = high_price + 1"),
        one("average_price_excursion", "volume_base = volume_base * 3"),
        one(
            "average_price_excursion",
            "low_price = high_price, open_price = high_price, close_price = high_price",
            WARNING,
        ),
        one("close_change_ratio", "close_price = close_price * 2, high_price = close_price * 3", WARNING),
    ]


HOURLY, DAILY = "fct_net_taker_volume_hourly", "fct_net_taker_volume_daily"
RANKS, RECONCILIATION = "fct_taker_spike_ranks", "fct_flow_reconciliation_daily"
DOMINANCE, LIQUIDATIONS = "fct_taker_dominance_daily", "fct_liquidations_daily"
LIQUIDATIONS_HOURLY, LIQUIDATIONS_ROLLING = "fct_liquidations_hourly", "fct_liquidations_rolling_24h"
CLAIMS, RETURNS, STUDY = "fct_claim_verdicts", "fct_spike_forward_returns", "agg_spike_event_study"
BRIEF, HISTORY = "rpt_market_brief_daily", "fct_spike_rank_revisions"

ONE_HOUR = f"market_id = '{LINEAR}' and bar_at = timestamp '2024-03-10 05:00'"
ONE_DAY = f"market_id = '{LINEAR}' and trade_date = date '2024-03-10'"
RANKED_BAR = (
    f"definition_id = 'daily_usd' and market_id = '{LINEAR}' and bar_at = timestamp '2024-03-13' and side = 'bearish'"
)
RANKED_MARKET = f"market_id = '{LINEAR}'"
REST_DAY = f"market_id = '{LINEAR}' and trade_date = date '2024-03-20'"
ONE_EVENT = f"""(definition_id, market_id, side, bar_at) = (
    select (definition_id, market_id, side, bar_at) from {RANKS}
    where definition_id = '4h_usd' and event_rank = 1 order by market_id, side, bar_at limit 1)"""
ONE_LIQUIDATION_DAY = "trade_date = date '2024-03-02'"
ABSENT_LIQUIDATION_DAY = "trade_date = date '2024-03-03'"
ONE_LIQUIDATION_HOUR = f"market_id = '{INVERSE}' and bar_at = timestamp '2024-03-02 04:00'"
ONE_LIVE_HOUR = "bar_at = timestamp '2024-03-11 06:00'"
ONE_ROLLING_DAY = f"market_id = '{INVERSE}' and as_of_at = timestamp '2024-03-03 00:00'"
LATER = "{0} = {0} + interval 1 minute"
TRUE_CLAIM = "claim_id = 'true' and definition_id = 'daily_usd'"
FALSE_CLAIM = "claim_id = 'false' and definition_id = 'daily_usd'"
ONE_RETURN = f"""(definition_id, market_id, side, event_at, horizon_days) = (
    select (definition_id, market_id, side, event_at, horizon_days) from {RETURNS}
    where definition_id = '4h_usd' and horizon_days = 1 and is_complete order by market_id, side, event_at limit 1)"""
OPEN_RETURN = f"horizon_days = 30 and definition_id = '4h_usd' and market_id = '{LINEAR}' and side = 'bearish'"
ONE_STUDY = f"definition_id = '4h_usd' and market_id = '{LINEAR}' and side = 'bearish' and horizon_days = 1"
ONE_BRIEF = f"market_id = '{LINEAR}' and brief_date = date '2024-03-13'"
FIRST_REVISION = "run_id = 'run-2'"
LAST_REVISION = "cause = 'rules'"


def _sum_corruptions(mart: str, row: str) -> list[Corruption]:
    """What may go wrong in a sum over venues; `row` selects one bar of it."""
    suite = f"{mart}_sums"

    def one(column: str, change: str) -> Corruption:
        return Corruption(suite, column, f"update {mart} set {change} where {row}")

    return [
        Corruption(suite, "is_summed", f"delete from {mart} where {row}"),
        Corruption(suite, "has_markets", f"delete from {mart} where venue <> 'all'"),
        one("usd_difference", "taker_buy_usd = taker_buy_usd + 0.00000001"),
        one("base_difference", "taker_sell_base = taker_sell_base - 0.00000001"),
        one("trade_count_difference", "trade_count = trade_count + 1"),
        one("coverage_error", "coverage_ratio = 0.5"),
        one("is_venue_set_right", "venue_set = 'binance_um'"),
        one("is_state_right", "is_provisional = true"),
        one("is_state_right", "is_running = true"),
    ]


def _liquidation_corruptions(mart: str, row: str) -> list[Corruption]:
    """What may go wrong in a liquidations mart; `row` selects one of the archive, 300.5 and 200.25 USD in 3 orders."""

    def one(column: str, change: str, where: str = row) -> Corruption:
        return Corruption(mart, column, f"update {mart} set {change} where {where}")

    time_column = {LIQUIDATIONS: "trade_date", LIQUIDATIONS_HOURLY: "bar_at"}.get(mart, "as_of_at")
    return [
        Corruption(mart, f"venue, market_id, {time_column}", f"insert into {mart} select * from {mart} where {row}"),
        one("sum_residual", "total_usd = total_usd + 0.00000001"),
        one("smallest_amount", "short_usd = -1, total_usd = 299.5"),
        one("smallest_amount", "unvalued_order_count = -1"),
        one("is_absence_unknown", "total_usd = 0", "coverage_ratio = 0"),
        one("is_absence_unknown", "order_count = 0", "coverage_ratio = 0"),
        one("is_absence_unknown", "long_usd = null"),
        one("is_count_consistent", "order_count = 0"),
        one("is_count_consistent", "unvalued_order_count = 3"),
        one("is_largest_within_total", "largest_order_usd = 501"),
        one("coverage_ratio", "coverage_ratio = 2"),
        one("coverage_ratio", "coverage_ratio = null"),
        one("is_bound_honest", "is_lower_bound = false"),
        one("is_bound_honest", "is_lower_bound = false, liquidation_source = 'live', coverage_ratio = 0.99"),
        one("is_bound_honest", "is_lower_bound = false, liquidation_source = 'live', unvalued_order_count = 1"),
        one("is_lower_bound", "is_lower_bound = null"),
        one("liquidation_source", "liquidation_source = 'guess'"),
        one("liquidation_source", "liquidation_source = null"),
        one("is_venue_set_right", "venue_set = 'okx'"),
        one("is_venue_set_right", "venue_set = null"),
        one("is_venue_set_right", "venue_set = 'binance_um,simulated'", "venue = 'all'"),
        one("is_id_of_parts", "market_id = 'okx:BTC-USD-SWAP'"),
        one("subscribed_symbol_count", "subscribed_symbol_count = -1", "venue = 'all'"),
        one("is_symbol_count_of_sum", "subscribed_symbol_count = 1"),
        one("is_symbol_count_of_sum", "subscribed_symbol_count = 1", "coverage_ratio = 0"),
        one("is_bound_honest", "is_lower_bound = false, subscribed_symbol_count = 5", "market_id = 'bybit:ALL'"),
    ]


def _update(suite: str, mart: str, row: str, column: str, change: str, severity: str = CRITICAL) -> Corruption:
    return Corruption(suite, column, f"update {mart} set {change} where {row}", severity)


CORRUPTIONS = [
    *_flow_corruptions(HOURLY, ONE_HOUR),
    *_flow_corruptions(DAILY, ONE_DAY),
    _update(HOURLY, HOURLY, ONE_HOUR, "is_whole_hour", "bar_at = bar_at + interval 1 minute"),
    _update(DAILY, DAILY, ONE_DAY, "source_bar_hours", "source_bar_hours = 2"),
    *_sum_corruptions(HOURLY, "market_id = 'all:BTC' and bar_at = timestamp '2024-03-10 05:00'"),
    *_sum_corruptions(DAILY, "market_id = 'all:BTC' and trade_date = date '2024-03-10'"),
    Corruption(DAILY, "", f"delete from {DAILY}"),
    # The hours of a day.
    Corruption(f"{HOURLY}_days", "is_in_daily", f"delete from {DAILY} where {ONE_DAY}"),
    Corruption(
        f"{HOURLY}_days", "is_in_hourly", f"delete from {HOURLY} where cast(bar_at as date) = date '2024-03-10'"
    ),
    Corruption(f"{HOURLY}_days", "usd_difference", f"delete from {HOURLY} where {ONE_HOUR}"),
    Corruption(f"{HOURLY}_days", "coverage_error", f"delete from {HOURLY} where {ONE_HOUR}"),
    _update(f"{HOURLY}_days", DAILY, ONE_DAY, "base_difference", "taker_buy_base = taker_buy_base + 0.00001"),
    _update(f"{HOURLY}_days", DAILY, ONE_DAY, "trade_count_difference", "trade_count = trade_count + 1"),
    _update(f"{HOURLY}_days", DAILY, ONE_DAY, "high_difference", "high_price = high_price + 1"),
    _update(f"{HOURLY}_days", DAILY, ONE_DAY, "low_difference", "low_price = low_price - 1"),
    _update(f"{HOURLY}_days", HOURLY, ONE_HOUR, "is_fill_negligible", "flow_source = 'trades'"),
    # Lost days.
    Corruption(f"{DAILY}_gaps", "lost_days", f"delete from {DAILY} where {ONE_DAY}"),
    Corruption(
        f"{DAILY}_gaps",
        "unusable_days",
        f"delete from {DAILY} where {ONE_DAY}; "
        f"update fct_flow_reconciliation_daily set verdict = 'trades_implausible' where {ONE_DAY}",
        WARNING,
    ),
    Corruption(f"{DAILY}_gaps", "unasked_days", "delete from int_flow_receipts where status = 'absent'", WARNING),
    Corruption(
        f"{DAILY}_gaps",
        "lost_days",
        f"insert into int_flow_receipts values ('aggTrades', '{INVERSE}', '2024-03-16', 'stored', 5)",
    ),
    Corruption(
        f"{DAILY}_gaps", "empty_days", "update int_flow_receipts set status = 'stored' where status = 'absent'", WARNING
    ),
    Corruption(f"{DAILY}_gaps", "lost_days", f"delete from {DAILY} where trade_date = date '2024-03-22'"),
    Corruption(f"{DAILY}_gaps", "lost_days", f"delete from {DAILY} where market_id = '{LINEAR}'"),
    # Dominance.
    Corruption(
        DOMINANCE, "market_id, trade_date", f"insert into {DOMINANCE} select * from {DOMINANCE} where {ONE_DAY}"
    ),
    Corruption(DOMINANCE, "is_in_daily", f"delete from {DAILY} where {ONE_DAY}"),
    Corruption(DOMINANCE, "is_in_dominance", f"delete from {DOMINANCE} where {ONE_DAY}"),
    _update(DOMINANCE, DOMINANCE, ONE_DAY, "taker_sell_ratio", "taker_sell_ratio = -0.1"),
    _update(DOMINANCE, DOMINANCE, ONE_DAY, "sell_ratio_error", "taker_sell_ratio = 0.5"),
    _update(DOMINANCE, DOMINANCE, ONE_DAY, "sell_dominance_percentile", "sell_dominance_percentile = 1.2"),
    _update(DOMINANCE, DOMINANCE, ONE_DAY, "buy_dominance_percentile", "buy_dominance_percentile = 1.2"),
    _update(DOMINANCE, DOMINANCE, ONE_DAY, "less_sold_fraction", "sell_dominance_percentile = 0.12345"),
    _update(DOMINANCE, DOMINANCE, ONE_DAY, "more_sold_fraction", "buy_dominance_percentile = 0.12345"),
    _update(DOMINANCE, DOMINANCE, ONE_DAY, "tied_days", "sell_dominance_percentile = 1, buy_dominance_percentile = 1"),
    _update(DOMINANCE, DOMINANCE, ONE_DAY, "window_bars", "window_bars = 0"),
    _update(DOMINANCE, DOMINANCE, ONE_DAY, "days_outside_window", "window_bars = 11"),
    _update(DOMINANCE, DOMINANCE, ONE_DAY, "coverage_ratio", "coverage_ratio = 1.1"),
    _update(DOMINANCE, DOMINANCE, ONE_DAY, "is_percentile_due", "coverage_ratio = 0.9"),
    _update(DOMINANCE, DOMINANCE, ONE_DAY, "is_percentile_due", "buy_dominance_percentile = 'nan'::double"),
    _update(DOMINANCE, DOMINANCE, ONE_DAY, "is_percentile_due", "sell_dominance_percentile = null"),
    _update(DOMINANCE, DAILY, ONE_DAY, "is_percentile_due", "is_running = true"),
    _update(DOMINANCE, RANKS, RANKED_BAR, "is_percentile_due", "set_changed_at = timestamp '2024-03-12'"),
    _update(DOMINANCE, DOMINANCE, ONE_DAY, "is_state_right", "is_provisional = true"),
    # Spike ranks.
    Corruption(
        RANKS, "definition_id, market_id, side, bar_at", f"insert into {RANKS} select * from {RANKS} where {RANKED_BAR}"
    ),
    _update(RANKS, RANKS, RANKED_BAR, "is_defined", "definition_id = 'invented'"),
    _update(RANKS, RANKS, RANKED_BAR, "side", "side = 'up'"),
    _update(RANKS, RANKS, RANKED_BAR, "is_rank_of_ended", "is_running = true, is_provisional = true"),
    _update(RANKS, RANKS, RANKED_BAR, "is_rank_of_one_set", "set_changed_at = timestamp '2024-03-12'"),
    _update(RANKS, RANKS, RANKED_BAR, "is_running_provisional", "is_running = true"),
    _update(RANKS, RANKS, RANKED_BAR, "is_change_of_sum", "set_changed_at = timestamp '2000-01-01'"),
    _update(RANKS, "spike_definitions", "definition_id = 'daily_usd'", "is_of_its_venue", "venue = 'okx'"),
    _update(RANKS, RANKS, RANKED_BAR, "is_venue_set_named", "venue_set = 'binance_um,bybit'"),
    Corruption(RANKS, "bar_sides", f"delete from {RANKS} where {RANKED_BAR}"),
    _update(RANKS, RANKS, RANKED_BAR, "percentile", "percentile = -0.1"),
    _update(RANKS, RANKS, RANKED_BAR, "percentile_error", "percentile = 1 - percentile + 0.1"),
    _update(RANKS, RANKS, RANKED_BAR, "percentile_error", "percentile = null"),
    _update(RANKS, RANKS, RANKED_BAR, "tied_bars", "spike_rank = window_bars + 1"),
    _update(RANKS, RANKS, RANKED_BAR, "spike_rank", "spike_rank = 0"),
    _update(RANKS, RANKS, RANKED_BAR, "window_bars", "window_bars = 0"),
    _update(RANKS, RANKS, RANKED_BAR, "window_size_bars, window_bars", "window_bars = 11"),
    _update(RANKS, RANKS, RANKED_BAR, "coverage_ratio", "coverage_ratio = 1.1"),
    _update(RANKS, RANKS, RANKED_BAR, "is_rank_covered", "coverage_ratio = 0.94"),
    _update(RANKS, RANKS, RANKED_BAR, "is_rank_covered", "bar_coverage_ratio = 0.94"),
    _update(RANKS, RANKS, RANKED_BAR, "bar_coverage_ratio", "bar_coverage_ratio = 1.1"),
    _update(RANKS, RANKS, RANKED_BAR, "bar_coverage_ratio", "bar_coverage_ratio = null"),
    _update(RANKS, RANKS, RANKED_BAR, "is_rank_given", "spike_rank = null"),
    _update(RANKS, RANKS, ONE_EVENT, "is_event_ranked", "is_event = false"),
    _update(RANKS, RANKS, ONE_EVENT, "is_event_ranked", "event_rank = null"),
    _update(RANKS, RANKS, "bar_at >= timestamp '2024-03-22'", "is_event_ripe", "is_event = false"),
    _update(RANKS, RANKS, ONE_EVENT, "event_rank", "event_rank = 0"),
    _update(RANKS, RANKS, ONE_EVENT, "spike_rank, event_rank", "event_rank = spike_rank + 1"),
    Corruption(f"{RANKS}_definitions", "days_behind", f"delete from {RANKS} where definition_id = 'hourly_ma7_usd'"),
    Corruption(
        f"{RANKS}_definitions",
        "days_behind",
        f"delete from {RANKS} where definition_id = '4h_usd' and bar_at >= timestamp '2024-03-22'",
    ),
    Corruption(
        f"{RANKS}_definitions", "days_without_rank", f"delete from {RANKS} where {RANKED_BAR.rsplit(' and ', 1)[0]}"
    ),
    _update(f"{RANKS}_definitions", RANKS, RANKED_BAR, "largest_value_difference", "value = value + 1"),
    # Reconciliation.
    Corruption(
        RECONCILIATION,
        "market_id, trade_date",
        f"insert into {RECONCILIATION} select * from {RECONCILIATION} where {ONE_DAY}",
    ),
    _update(RECONCILIATION, RECONCILIATION, ONE_DAY, "verdict", "verdict = 'fine'"),
    _update(RECONCILIATION, RECONCILIATION, ONE_DAY, "interval_verdict", "interval_verdict = 'fine'"),
    _update(RECONCILIATION, RECONCILIATION, ONE_DAY, "is_verdict_right", "verdict = 'exact'"),
    _update(RECONCILIATION, RECONCILIATION, ONE_DAY, "is_verdict_right", "verdict = null"),
    _update(
        RECONCILIATION, RECONCILIATION, ONE_DAY, "is_interval_verdict_right", "interval_verdict = 'single_interval'"
    ),
    _update(RECONCILIATION, RECONCILIATION, ONE_DAY, "is_difference_right", "difference_usd = 0"),
    _update(RECONCILIATION, RECONCILIATION, ONE_DAY, "is_venue_of_market", "venue = 'all'"),
    _update(RECONCILIATION, RECONCILIATION, REST_DAY, "rest_verdict", "rest_verdict = 'guess'"),
    _update(
        RECONCILIATION,
        RECONCILIATION,
        REST_DAY,
        "rest_verdict",
        "rest_verdict = 'conflict', rest_difference_usd = 500, rest_volume_usd = rest_volume_usd + 500",
        WARNING,
    ),
    _update(RECONCILIATION, RECONCILIATION, REST_DAY, "is_rest_verdict_right", "rest_difference_usd = 500"),
    _update(RECONCILIATION, RECONCILIATION, REST_DAY, "is_rest_verdict_right", "rest_verdict = null"),
    _update(RECONCILIATION, RECONCILIATION, REST_DAY, "is_rest_verdict_right", "rest_hours = 0"),
    _update(RECONCILIATION, RECONCILIATION, REST_DAY, "is_rest_possible", "rest_hours = 25"),
    _update(RECONCILIATION, RECONCILIATION, REST_DAY, "is_rest_possible", "rest_net_usd = -2 * rest_volume_usd"),
    _update(
        RECONCILIATION,
        RECONCILIATION,
        REST_DAY,
        "venue_taker_ratio_difference",
        "venue_taker_ratio_difference = 1.5",
    ),
    _update(
        RECONCILIATION,
        RECONCILIATION,
        REST_DAY,
        "venue_taker_ratio_difference",
        "venue_taker_ratio_difference = 0.05",
        WARNING,
    ),
    _update(
        RECONCILIATION, RECONCILIATION, ONE_DAY, "is_interval_difference_right", "interval_difference_usd = 0.00000001"
    ),
    _update(RECONCILIATION, RECONCILIATION, ONE_DAY, "smallest_defect_count", "zero_rows = -1"),
    Corruption(
        RECONCILIATION,
        "verdict",
        f"""update {RECONCILIATION} set trades_volume_usd = klines_volume_usd * 2,
            difference_usd = klines_volume_usd, verdict = 'conflict' where trade_date = date '2024-03-20'""",
        WARNING,
    ),
    Corruption(
        RECONCILIATION,
        "verdict",
        f"""update {RECONCILIATION} set trades_net_usd = klines_net_usd + klines_volume_usd, verdict = 'conflict'
            where trade_date = date '2024-03-20'""",
        WARNING,
    ),
    Corruption(
        RECONCILIATION,
        "verdict",
        f"""update {RECONCILIATION} set trades_volume_usd = 1, difference_usd = 1 - klines_volume_usd,
            verdict = 'trades_incomplete' where trade_date = date '2024-03-20'""",
        WARNING,
    ),
    _update(RECONCILIATION, RECONCILIATION, REST_DAY, "is_verdict_right", "verdict = 'trades_implausible'"),
    Corruption(
        RECONCILIATION,
        "verdict",
        f"""update {RECONCILIATION} set verdict = 'trades_implausible', defect_reason = 'every trade is on one side'
            where {REST_DAY}""",
        WARNING,
    ),
    Corruption(
        RECONCILIATION,
        "interval_verdict",
        f"""update {RECONCILIATION} set coarser_volume_usd = klines_volume_usd * 2,
            interval_difference_usd = -klines_volume_usd, interval_verdict = 'conflict' where {ONE_DAY}""",
        WARNING,
    ),
    Corruption(f"{RECONCILIATION}_choice", "is_in_daily", f"delete from {DAILY} where {ONE_DAY}"),
    Corruption(f"{RECONCILIATION}_choice", "is_in_reconciliation", f"delete from {RECONCILIATION} where {ONE_DAY}"),
    _update(f"{RECONCILIATION}_choice", DAILY, ONE_DAY, "is_due_source", "flow_source = 'trades'"),
    _update(
        f"{RECONCILIATION}_choice",
        RECONCILIATION,
        "trade_date = date '2024-03-20'",
        "is_due_source",
        "verdict = 'trades_incomplete'",
    ),
    _update(f"{RECONCILIATION}_choice", RECONCILIATION, REST_DAY, "is_due_source", "verdict = 'trades_implausible'"),
    _update(f"{RECONCILIATION}_choice", DAILY, ONE_DAY, "volume_difference_usd", "volume_usd = volume_usd - 1"),
    # Liquidations.
    *_liquidation_corruptions(LIQUIDATIONS, ONE_LIQUIDATION_DAY),
    *_liquidation_corruptions(LIQUIDATIONS_HOURLY, ONE_LIQUIDATION_HOUR),
    *_liquidation_corruptions(LIQUIDATIONS_ROLLING, ONE_ROLLING_DAY),
    Corruption(LIQUIDATIONS, "days_since_previous", f"delete from {LIQUIDATIONS} where {ONE_LIQUIDATION_DAY}", WARNING),
    _update(LIQUIDATIONS_HOURLY, LIQUIDATIONS_HOURLY, ONE_LIQUIDATION_HOUR, "is_whole_hour", LATER.format("bar_at")),
    _update(LIQUIDATIONS_ROLLING, LIQUIDATIONS_ROLLING, ONE_ROLLING_DAY, "is_whole_hour", LATER.format("as_of_at")),
    Corruption(
        f"{LIQUIDATIONS_HOURLY}_widths", "long_residual", f"delete from {LIQUIDATIONS_HOURLY} where venue = 'bybit'"
    ),
    *(
        _update(f"{LIQUIDATIONS_HOURLY}_widths", LIQUIDATIONS_HOURLY, f"{row} and {ONE_LIVE_HOUR}", column, change)
        for column, change in (
            ("long_residual", "long_usd = long_usd + 0.00000001"),
            ("short_residual", "short_usd = null"),
            ("count_residual", "order_count = order_count + 1"),
            ("unvalued_residual", "unvalued_order_count = unvalued_order_count + 1"),
        )
        for row in (f"market_id = '{LINEAR}'", "market_id = 'binance_um:ALL'", "venue = 'all'")
    ),
    Corruption(f"{LIQUIDATIONS}_days", "is_in_mart", f"delete from {LIQUIDATIONS} where coverage_ratio = 0"),
    Corruption(f"{LIQUIDATIONS}_days", "is_in_mart", f"delete from {LIQUIDATIONS} where venue = 'all'"),
    Corruption(
        f"{LIQUIDATIONS}_days",
        "has_hours",
        f"delete from {LIQUIDATIONS_HOURLY} where cast(bar_at as date) = date '2024-03-02'",
    ),
    *(
        _update(f"{LIQUIDATIONS}_days", LIQUIDATIONS, ONE_LIQUIDATION_DAY, column, change)
        for column, change in (
            ("long_difference", "long_usd = long_usd + 0.00000001"),
            ("short_difference", "short_usd = null"),
            ("count_difference", "order_count = 2"),
            ("coverage_error", "coverage_ratio = 0"),
            ("coverage_excess", "coverage_ratio = 0.5"),
            ("surplus_rows", "order_count = 25"),
        )
    ),
    _update(f"{LIQUIDATIONS}_days", LIQUIDATIONS, ABSENT_LIQUIDATION_DAY, "coverage_error", "coverage_ratio = 1"),
    Corruption(
        f"{LIQUIDATIONS_ROLLING}_windows",
        "has_hours",
        f"delete from {LIQUIDATIONS_HOURLY} where market_id = 'bybit:XRPUSDT'",
    ),
    *(
        _update(f"{LIQUIDATIONS_ROLLING}_windows", LIQUIDATIONS_ROLLING, ONE_ROLLING_DAY, column, change)
        for column, change in (
            ("long_difference", "long_usd = long_usd + 0.00000001"),
            ("short_difference", "short_usd = null"),
            ("count_difference", "order_count = order_count + 1"),
            ("is_largest_right", "largest_order_usd = null"),
            ("coverage_excess", "coverage_ratio = 0.5"),
        )
    ),
    Corruption("dim_markets", "", "delete from dim_markets"),
    Corruption("dim_markets", "market_id", "insert into dim_markets select * from dim_markets limit 1"),
    Corruption("dim_markets", "is_id_of_parts", "update dim_markets set symbol = 'ETHUSDT'"),
    Corruption("dim_markets", "has_assets", "update dim_markets set base_asset = null"),
    Corruption("dim_markets", "contract_type", "update dim_markets set contract_type = 'quanto'"),
    Corruption("dim_markets", "has_assets", "update dim_markets set contract_type = null"),
    Corruption("dim_markets", "has_assets", "update dim_markets set is_ingested = true"),
    Corruption("dim_markets", "contract_size", "update dim_markets set contract_size = 0"),
    Corruption("dim_markets", "contract_size_source", "update dim_markets set contract_size_source = 'guess'"),
    Corruption("dim_markets", "is_size_explained", "update dim_markets set contract_size = null"),
    Corruption("dim_markets", "is_size_explained", "update dim_markets set contract_size_source = 'unknown'"),
    Corruption("dim_markets", "is_flow_valued", "update dim_markets set contract_size = null"),
    Corruption(
        "dim_markets",
        "is_size_known",
        "update dim_markets set contract_size = null, contract_size_source = 'unknown', is_ingested = true "
        "where market_id = 'bybit:XRPUSDT'",
        WARNING,
    ),
    Corruption("dim_markets", "is_size_of_type", "update dim_markets set contract_type = 'inverse'"),
    Corruption("dim_markets", "is_ingested", "update dim_markets set is_ingested = null"),
    Corruption("dim_markets", "is_sum_named", f"update dim_markets set venue = 'all' where market_id = '{INVERSE}'"),
    Corruption("dim_markets", "is_labelled", "update dim_markets set is_simulated = true"),
    Corruption("dim_markets_references", "is_known_market", f"delete from dim_markets where market_id = '{INVERSE}'"),
    # Claims.
    Corruption(CLAIMS, "claim_id, definition_id", f"insert into {CLAIMS} select * from {CLAIMS} where {TRUE_CLAIM}"),
    Corruption(CLAIMS, "is_asked", "delete from dim_claims where claim_id = 'true'"),
    Corruption(CLAIMS, "is_answered", f"delete from {CLAIMS} where {TRUE_CLAIM}"),
    _update(CLAIMS, "dim_claims", "claim_id = 'true'", "is_claim_unchanged", "claimed_rank = 2"),
    _update(CLAIMS, "dim_claims", "claim_id = 'true'", "is_claim_unchanged", "side = 'bullish'"),
    _update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_as_of_due", "as_of_at = as_of_at - interval 1 hour"),
    _update(CLAIMS, CLAIMS, FALSE_CLAIM, "is_as_of_due", "as_of_at = as_of_at + interval 1 day"),
    _update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_bar_of_claim", "bar_at = bar_at - interval 1 day"),
    _update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_bar_of_claim", "value = value + 1"),
    _update(CLAIMS, CLAIMS, TRUE_CLAIM, "window_bars_difference", "window_bars = window_bars + 1"),
    _update(CLAIMS, CLAIMS, FALSE_CLAIM, "is_rank_right", "actual_rank = actual_rank + 1"),
    _update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_event_rank_right", "actual_event_rank = 5"),
    _update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_verdict_right", "holds = false"),
    _update(CLAIMS, CLAIMS, FALSE_CLAIM, "is_verdict_right", "holds = true"),
    _update(CLAIMS, CLAIMS, TRUE_CLAIM, "holds_by", "holds_by = 'luck'"),
    _update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_reason_given", "holds_by = null"),
    _update(CLAIMS, CLAIMS, FALSE_CLAIM, "is_reason_given", "holds_by = 'bars'"),
    _update(CLAIMS, CLAIMS, TRUE_CLAIM, "coverage_ratio", "coverage_ratio = 1.5"),
    _update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_verdict_covered", "coverage_ratio = 0.9"),
    _update(CLAIMS, CLAIMS, "claim_id = 'early'", "is_verdict_covered", "holds = false"),
    _update(CLAIMS, RANKS, RANKED_MARKET, "is_verdict_of_one_set", "set_changed_at = bar_at"),
    _update(CLAIMS, RANKS, RANKED_MARKET, "is_provision_said", "is_provisional = true"),
    _update(
        CLAIMS,
        CLAIMS,
        TRUE_CLAIM,
        "is_provision_said",
        "verdict_sentence = 'Holds under daily_usd; the bar is provisional'",
    ),
    _update(CLAIMS, CLAIMS, TRUE_CLAIM, "is_sentence_right", "verdict_sentence = 'Holds under daily_base.'"),
    _update(CLAIMS, CLAIMS, FALSE_CLAIM, "is_sentence_right", "verdict_sentence = 'Holds under daily_usd.'"),
    # The event study.
    Corruption(
        RETURNS,
        "definition_id, market_id, side, event_at, horizon_days",
        f"insert into {RETURNS} select * from {RETURNS} where {ONE_RETURN}",
    ),
    _update(RETURNS, RANKS, ONE_EVENT, "is_event", "event_rank = 21"),
    Corruption(RETURNS, "is_followed", f"delete from {RETURNS} where {ONE_RETURN}"),
    _update(RETURNS, RETURNS, ONE_RETURN, "is_event_unchanged", "value = value - 1"),
    _update(RETURNS, RETURNS, ONE_RETURN, "is_event_unchanged", "event_rank = event_rank + 1"),
    _update(RETURNS, RETURNS, ONE_RETURN, "is_entry_next_bar", "entry_at = event_at"),
    _update(RETURNS, RETURNS, ONE_RETURN, "is_exit_due", "exit_at = exit_at + interval 1 day"),
    _update(RETURNS, RETURNS, ONE_RETURN, "is_known_late_enough", "known_at = entry_at"),
    _update(RETURNS, RETURNS, ONE_RETURN, "entry_price", "entry_price = 0"),
    _update(RETURNS, RETURNS, ONE_RETURN, "exit_price", "exit_price = -1"),
    _update(RETURNS, RETURNS, ONE_RETURN, "return_error", "forward_return = -forward_return - 0.001"),
    _update(RETURNS, RETURNS, ONE_RETURN, "return_error", "forward_return = null"),
    _update(RETURNS, RETURNS, ONE_RETURN, "is_completeness_right", "is_complete = false"),
    _update(RETURNS, RETURNS, OPEN_RETURN, "is_completeness_right", "is_complete = true"),
    _update(RETURNS, RETURNS, ONE_RETURN, "max_adverse_excursion", "max_adverse_excursion = 0.01"),
    _update(RETURNS, RETURNS, ONE_RETURN, "max_favourable_excursion", "max_favourable_excursion = -0.01"),
    _update(RETURNS, RETURNS, OPEN_RETURN, "is_excursion_due", "max_adverse_excursion = -0.01"),
    Corruption(
        STUDY,
        "definition_id, market_id, side, horizon_days",
        f"insert into {STUDY} select * from {STUDY} where {ONE_STUDY}",
    ),
    Corruption(STUDY, "is_due", f"delete from {RANKS} where definition_id = '4h_usd'"),
    Corruption(STUDY, "is_studied", f"delete from {STUDY} where {ONE_STUDY}"),
    _update(STUDY, STUDY, ONE_STUDY, "sample_size_difference", "sample_size = sample_size + 1"),
    _update(STUDY, STUDY, ONE_STUDY, "sample_size_when_known_difference", "sample_size_when_known = 0"),
    _update(STUDY, STUDY, ONE_STUDY, "hit_rate_error", "hit_rate = hit_rate - 0.01"),
    _update(STUDY, STUDY, ONE_STUDY, "median_error", "median_return = 1"),
    _update(STUDY, STUDY, ONE_STUDY, "mean_error", "mean_return = null"),
    _update(STUDY, STUDY, ONE_STUDY, "mean_when_known_error", "mean_return_when_known = 0"),
    _update(STUDY, STUDY, ONE_STUDY, "is_block_count_possible", "block_count = sample_size + 1"),
    _update(STUDY, STUDY, ONE_STUDY, "is_block_count_possible", "block_count = 0"),
    _update(STUDY, STUDY, ONE_STUDY, "baseline_hit_rate", "baseline_hit_rate = 55"),
    _update(STUDY, STUDY, ONE_STUDY, "p_value", "p_value = 0"),
    _update(STUDY, STUDY, ONE_STUDY, "p_value_when_known", "p_value_when_known = 1.1"),
    _update(STUDY, STUDY, "horizon_days = 30", "is_refusal_due", "is_conclusive = true"),
    _update(STUDY, STUDY, "horizon_days = 30", "is_p_value_due", "p_value = 0.01"),
    _update(STUDY, STUDY, "horizon_days = 30", "is_conclusion_right", "conclusion = 'Buy.'"),
    _update(STUDY, STUDY, "horizon_days = 30", "is_conclusion_right", "conclusion = null"),
    # The brief.
    Corruption(BRIEF, "market_id, brief_date", f"insert into {BRIEF} select * from {BRIEF} where {ONE_BRIEF}"),
    Corruption(BRIEF, "is_in_daily", f"delete from {DAILY} where {ONE_DAY}"),
    Corruption(BRIEF, "is_in_brief", f"delete from {BRIEF} where {ONE_BRIEF}"),
    Corruption(
        BRIEF,
        "is_in_brief",
        f"delete from {BRIEF} where {ONE_BRIEF}; update {DAILY} set is_running = null",
    ),
    _update(BRIEF, DAILY, ONE_DAY, "is_of_ended_day", "is_running = true"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "is_provision_said", "headline = headline || ' (from klines, provisional)'"),
    _update(BRIEF, DAILY, ONE_DAY, "is_provision_said", "is_provisional = true"),
    _update(BRIEF, DAILY, ONE_DAY, "is_provision_said", "is_provisional = null"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "net_residual", "net_taker_usd = net_taker_usd + 0.00000001"),
    _update(
        BRIEF, BRIEF, ONE_BRIEF, "is_side_right", "side = case side when 'bearish' then 'bullish' else 'bearish' end"
    ),
    _update(BRIEF, BRIEF, ONE_BRIEF, "sell_ratio_error", "taker_sell_ratio = 0.1"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "percentile_error", "sell_dominance_percentile = null"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "is_close_right", "close_price = close_price + 1"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "change_error", "price_change_ratio = price_change_ratio * 100 + 1"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "distance_from_high_ratio", "distance_from_high_ratio = 0.01"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "is_source_right", "flow_source = 'trades'"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "are_ranks_right", "daily_usd_rank = daily_usd_rank + 1"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "are_ranks_right", "hourly_ma7_usd_rank = null"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "are_liquidations_right", "long_liquidations_usd = 0"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "are_all_liquidations_right", "all_long_liquidations_usd = 0"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "are_all_liquidations_right", "all_liquidations_venue_set = 'okx'"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "are_all_liquidations_right", "all_liquidations_subscribed_symbol_count = 9"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "open_interest", "open_interest = -1"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "open_interest_usd", "open_interest_usd = -1"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "funding_rate", "funding_rate = 0.3", WARNING),
    _update(BRIEF, BRIEF, ONE_BRIEF, "is_simulation_known", "is_simulated = null"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "is_headline_labelled", "headline = 'SIMULATED: ' || headline"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "is_headline_labelled", "is_simulated = true"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "is_headline_complete", "headline = replace(headline, 'daily_usd', '')"),
    _update(BRIEF, BRIEF, ONE_BRIEF, "is_headline_complete", "headline = null"),
    # The history of revised ranks.
    Corruption(
        HISTORY,
        "definition_id, market_id, side, bar_at, published_at",
        f"insert into {HISTORY} select * from {HISTORY} where {FIRST_REVISION}",
    ),
    _update(HISTORY, HISTORY, FIRST_REVISION, "side", "side = 'up'"),
    _update(HISTORY, HISTORY, FIRST_REVISION, "old_value", "old_value = null"),
    _update(HISTORY, HISTORY, FIRST_REVISION, "is_different", "old_value = new_value, old_rank = new_rank"),
    _update(HISTORY, HISTORY, FIRST_REVISION, "is_later", "previous_published_at = published_at"),
    _update(HISTORY, HISTORY, FIRST_REVISION, "run_id", "run_id = null"),
    _update(HISTORY, HISTORY, FIRST_REVISION, "cause", "cause = 'weather'"),
    _update(HISTORY, HISTORY, FIRST_REVISION, "is_file_named", "source_keys = null"),
    _update(HISTORY, HISTORY, FIRST_REVISION, "is_file_named", "cause = null"),
    _update(HISTORY, HISTORY, LAST_REVISION, "is_file_named", "source_keys = 'a.zip'"),
    _update(HISTORY, HISTORY, FIRST_REVISION, "is_chain_unbroken", "new_rank = new_rank + 1"),
    _update(HISTORY, HISTORY, LAST_REVISION, "is_true_now", "new_rank = new_rank + 1"),
    _update(HISTORY, HISTORY, LAST_REVISION, "is_true_now", "new_value = new_value + 1"),
]


@pytest.mark.parametrize("suite", ALL_SUITES, ids=lambda suite: suite.name)
def test_good_marts_pass(marts: duckdb.DuckDBPyConnection, suite: AuditSuite) -> None:
    verdict = audit(marts, suite)

    assert [(r["column"], r["rule"], r["sample"]) for r in verdict.results if not r["success"]] == []
    assert verdict.success
    assert not verdict.blocking
    assert verdict.results


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=str)
def test_a_single_corruption_fails_and_blocks_only_if_we_are_wrong(
    marts: duckdb.DuckDBPyConnection, corruption: Corruption
) -> None:
    marts.execute(corruption.sql)

    # What must not block is judged by the whole suite: nothing critical may fail along with it.
    only = corruption.column if corruption.severity == CRITICAL else None
    verdict = audit(marts, SUITE_BY_NAME[corruption.suite], only=only)

    failed = {(r["column"], r["severity"]) for r in verdict.results if not r["success"]}
    assert (corruption.column, corruption.severity) in failed
    assert not verdict.success
    assert verdict.blocking == (corruption.severity == CRITICAL)


@pytest.mark.parametrize("suite", ALL_SUITES, ids=lambda suite: suite.name)
def test_no_expectation_stands_that_no_corruption_breaks(suite: AuditSuite) -> None:
    stated = {(columns_of(e), e.severity.value) for e in suite.build().expectations}
    broken = {(c.column, c.severity) for c in CORRUPTIONS if c.suite == suite.name}

    assert stated == broken


@pytest.mark.parametrize("suite", ALL_SUITES, ids=lambda suite: suite.name)
def test_a_column_that_is_gone_is_an_error_and_not_a_verdict(
    marts: duckdb.DuckDBPyConnection, suite: AuditSuite
) -> None:
    column = columns_of(suite.build().expectations[-1]).split(", ")[-1]
    frame = marts.execute(suite.query).df().drop(columns=[column])

    with pytest.raises(AuditNotEvaluated, match=column):
        validate(frame, suite.build())


@pytest.mark.parametrize("suite", ALL_SUITES, ids=lambda suite: suite.name)
def test_marts_without_rows_are_judged(marts: duckdb.DuckDBPyConnection, suite: AuditSuite) -> None:
    """A warehouse that holds liquidations only, or nothing: the suites answer, and only required marts fail."""
    for table in (
        HOURLY,
        DAILY,
        DOMINANCE,
        RANKS,
        RECONCILIATION,
        LIQUIDATIONS,
        LIQUIDATIONS_HOURLY,
        LIQUIDATIONS_ROLLING,
        "dim_markets",
        "stg_raw__receipts",
        "int_flow_receipts",
        "dim_claims",
        CLAIMS,
        RETURNS,
        STUDY,
        BRIEF,
        HISTORY,
    ):
        marts.execute(f"delete from {table}")

    assert audit(marts, suite).success == (suite.name not in (DAILY, "dim_markets"))


def test_the_days_on_which_the_venues_klines_disagree_are_shown(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(
        f"""
        update {RECONCILIATION}
        set coarser_volume_usd = klines_volume_usd - 512, interval_difference_usd = 512, interval_verdict = 'conflict'
        where market_id = '{LINEAR}' and trade_date in (date '2024-03-08', date '2024-03-11')
        """
    )

    verdict = audit(marts, SUITE_BY_NAME[RECONCILIATION])

    (failed,) = [r for r in verdict.results if not r["success"]]
    volumes = dict(
        marts.execute(
            f"select trade_date, klines_volume_usd from {RECONCILIATION} where market_id = '{LINEAR}'"
        ).fetchall()
    )
    assert failed["rule"] == "the venue's klines of two intervals tell the same volume"
    assert failed["unexpected_count"] == 2
    assert failed["observed"] == "2 of 43 rows break the rule"
    assert failed["sample"] == [
        {
            "market_id": LINEAR,
            "trade_date": f"{day}",
            "interval_verdict": "conflict",
            "kline_interval": "1h",
            "coarser_interval": "1d",
            "klines_volume_usd": float(volumes[day]),
            "coarser_volume_usd": float(volumes[day]) - 512,
            "interval_difference_usd": 512.0,
        }
        for day in sorted(volumes)
        if day.day in (8, 11)
    ]


def test_a_lost_day_is_shown_between_its_neighbours(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(f"delete from {DAILY} where {ONE_DAY}")

    verdict = audit(marts, SUITE_BY_NAME[f"{DAILY}_gaps"])

    assert verdict.blocking
    assert verdict.results[0]["column"] == "lost_days"
    assert verdict.results[0]["sample"] == [
        {
            "market_id": LINEAR,
            "last_day_before": "2024-03-09",
            "first_day_after": "2024-03-11",
            "lost_days": 1,
            "missing_days": 1,
            "absent_days": 0,
            "empty_days": 0,
            "unasked_days": 0,
            "unusable_days": 0.0,
        }
    ]


def test_quiet_hours_of_a_day_of_trades_may_be_filled_from_klines(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(
        f"""
        insert into {HOURLY}
        select '{LINEAR}', timestamp '2024-03-20 23:00', 0, 0, 0, 0, 0, 0, 0, 0, null, null, 1, 1, 1, 1, 0, 'klines', 1,
            'binance_um', 'binance_um', false, false;
        delete from {HOURLY} where market_id = '{LINEAR}' and bar_at = timestamp '2024-03-20 23:00' and trade_count > 0;
        update {DAILY} as daily
        set taker_buy_usd = hours.taker_buy_usd, taker_sell_usd = hours.taker_sell_usd,
            taker_buy_base = hours.taker_buy_base, taker_sell_base = hours.taker_sell_base,
            trade_count = hours.trade_count
        from (select sum(columns(['taker_buy_usd', 'taker_sell_usd', 'taker_buy_base', 'taker_sell_base',
            'trade_count'])) from {HOURLY}
            where market_id = '{LINEAR}' and cast(bar_at as date) = date '2024-03-20') as hours
        where market_id = '{LINEAR}' and trade_date = date '2024-03-20'
        """
    )

    assert audit(marts, SUITE_BY_NAME[f"{HOURLY}_days"]).success


def test_intervals_that_agree_in_volume_may_disagree_in_net(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(f"update {RECONCILIATION} set interval_verdict = 'conflict' where {ONE_DAY}")

    verdict = audit(marts, SUITE_BY_NAME[RECONCILIATION])

    assert [r["column"] for r in verdict.results if not r["success"]] == ["interval_verdict"]
    assert not verdict.blocking


def test_a_day_from_coarser_klines_needs_no_hours(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(f"delete from {HOURLY}; update {DAILY} set source_bar_hours = 4")

    assert audit(marts, SUITE_BY_NAME[f"{HOURLY}_days"]).success


def test_evidence_is_short_serialisable_and_worst_first(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(f"update {HOURLY} set taker_sell_ratio = 'nan'::double, close_price = close_price * bar_at.hour()")

    verdict = audit(marts, SUITE_BY_NAME[HOURLY])

    order = [(r["success"], r["severity"] == WARNING) for r in verdict.results]
    assert order == sorted(order)
    assert json.loads(json.dumps(verdict.results, allow_nan=False)) == verdict.results
    assert {len(r["sample"]) for r in verdict.results if not r["success"]} <= set(range(1, 11))
    assert all(
        set(r) >= {"expectation", "column", "severity", "success", "observed", "unexpected_count", "sample"}
        for r in verdict.results
    )


@pytest.mark.parametrize("suite", ALL_SUITES, ids=lambda suite: suite.name)
def test_a_rule_whose_outcome_is_unknown_is_broken(marts: duckdb.DuckDBPyConnection, suite: AuditSuite) -> None:
    built = suite.build()
    built.expectations = [e for e in built.expectations if is_rule(e)]
    frame = marts.execute(suite.query).df().head(2).astype(object)
    for name in {columns_of(e) for e in built.expectations}:
        frame[name] = [None, *frame[name][1:]]

    if not frame.empty and built.expectations:
        assert [r["column"] for r in validate(frame, built).results if r["success"]] == []


def is_rule(expectation: Any) -> bool:
    """It allows one outcome alone: true, or a difference of zero."""
    kwargs = expectation.configuration.kwargs
    return kwargs.get("value_set") == [True] or kwargs.get("min_value") == kwargs.get("max_value") == 0


def test_the_only_bar_of_a_window_has_a_rank_and_no_percentile(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute(
        f"delete from {RANKS} where definition_id <> 'daily_usd';"
        f"update spike_definitions set window_days = 1;"
        f"update {RANKS} set spike_rank = 1, event_rank = case when is_event then 1 end, window_bars = 1,"
        " percentile = null, coverage_ratio = 1, bar_coverage_ratio = 1, set_changed_at = null"
    )

    assert audit(marts, SUITE_BY_NAME[RANKS]).success


def test_the_audit_is_silent_and_leaves_no_file(
    marts: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    audit(marts, SUITE_BY_NAME["dim_markets"])

    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"


def test_naming_the_suites_does_not_import_great_expectations() -> None:
    script = "import sys, orchestration.warehouse.audit.suites; sys.exit('great_expectations' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_suites_are_named_once_and_after_their_mart() -> None:
    assert len(SUITE_BY_NAME) == len(ALL_SUITES)
    assert all(suite.name.startswith(suite.mart) for suite in ALL_SUITES)
    assert all(suite.build().name == suite.name for suite in ALL_SUITES)


def test_frames_with_an_index_of_their_own_show_the_right_rows(marts: duckdb.DuckDBPyConnection) -> None:
    suite = SUITE_BY_NAME["dim_markets"]
    marts.execute(f"update dim_markets set is_simulated = true where market_id = '{INVERSE}'")
    frame: pd.DataFrame = marts.execute(suite.query).df()

    verdict = validate(frame.set_index(pd.Index([7] * len(frame))), suite.build())

    assert [row["market_id"] for row in verdict.results[0]["sample"]] == [INVERSE]
