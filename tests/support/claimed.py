"""A published file for claims and briefs: a few weeks of days with known ranks.

Belongs here: making the file. Does not: expectations.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

# 40 days from 1 March. Net is −(n modulo 11) million USD on the n-th day, but for three spikes: 15 March −100, 20 March
# −300, 25 March −200; in base the first of them is the largest. The last day is not settled, and half of 5 April is
# missing.
PUBLICATION = """
create table dim_markets as
select * from (values
    ('binance_um:BTCUSDT', false), ('binance_um:ETHUSDT', false), ('simulated:BTCUSDT', true)
) as markets (market_id, is_simulated);

create table dim_spike_definitions as
select * from (values
    ('4h_usd', '4-hour bars, USD', '4h', 1, 'usd', 730, 24),
    ('daily_base', 'UTC days, base asset', '1d', 1, 'base', 730, 24),
    ('daily_usd', 'UTC days, USD', '1d', 1, 'usd', 730, 24)
) as definitions (definition_id, definition_name, grain, smoothing_bars, unit, window_days, decluster_hours);

create table fct_taker_spike_ranks as
with bars as (
    select
        definition_id, market_id, timestamp '2024-03-01' + to_days(n::integer) as bar_at,
        cast(case n + 1
            when 15 then case definition_id when 'daily_usd' then -100 else -900 end
            when 20 then -300
            when 25 then -200
            else -((n + 1) % 11)
        end * case definition_id when 'daily_usd' then 1000000 else 10 end as decimal(38, 8)) as value,
        case n when 35 then 0.5 else 1 end::double as bar_coverage_ratio
    from range(40) as days (n)
    cross join (values ('daily_usd'), ('daily_base')) as definitions (definition_id)
    cross join dim_markets
),
sides as (
    select *, 'bearish' as side, value as pressure from bars
    union all
    select *, 'bullish' as side, -value as pressure from bars
)
select
    definition_id, market_id, side, bar_at, value, null::bigint as spike_rank, null::double as percentile,
    null::double as robust_z, 1::bigint as window_bars, 1::double as coverage_ratio,
    case when bar_at < timestamp '2024-04-09' then pressure = min(pressure) over (
        partition by definition_id, market_id, side order by bar_at
        range between interval 1 day preceding and interval 1 day following
    ) end as is_event,
    null::bigint as event_rank, bar_coverage_ratio, false as is_provisional, false as is_running,
    case when bar_at = timestamp '2024-03-25' then 'contradicted' else 'as_published' end as flow_quality,
    null::timestamp as set_changed_at
from sides;

create table rpt_market_brief_daily as
select
    market_id, day::date as bar_date, 'bearish' as side, cast(-1598330009.658 as decimal(38, 8)) as net_taker_usd,
    0.5368::double as taker_sell_ratio, 0.9931::double as sell_dominance_percentile, 10::bigint as daily_usd_rank,
    9::bigint as daily_usd_event_rank, 3::bigint as "4h_usd_rank", null::bigint as hourly_ma7_usd_rank,
    '2025-10-10 (-3267 M USD)' as larger_events, cast(78706.8 as decimal(18, 8)) as close_price,
    -0.0654::double as price_change_ratio, -0.3764::double as distance_from_high_ratio,
    case when is_simulated then 484000000 end::decimal(38, 8) as long_liquidations_usd,
    case when is_simulated then 300000000 end::decimal(38, 8) as short_liquidations_usd,
    case when is_simulated then 1 else 0 end::double as liquidations_coverage_ratio,
    null::decimal(38, 8) as open_interest, null::decimal(38, 8) as open_interest_usd, 0.0002::double as funding_rate,
    'klines' as flow_source, 1.0::double as coverage_ratio, is_simulated,
    case when is_simulated then 'SIMULATED: ' else '' end || market_id || ' on ' || day::date || ': takers sold.'
        as headline
from dim_markets
cross join generate_series(timestamp '2024-04-08', timestamp '2024-04-09', interval 1 day) as days (day)
where market_id <> 'binance_um:ETHUSDT' or day = timestamp '2024-04-08';

create table fct_net_taker_volume_daily as
select
    market_id, bar_date, net_taker_usd, cast(20000000000 as decimal(38, 8)) as volume_usd,
    taker_sell_ratio, flow_source, coverage_ratio, false as is_provisional, false as is_running,
    split_part(market_id, ':', 1) as venue_set
from rpt_market_brief_daily;

create table fct_taker_dominance_daily as
select market_id, bar_date, sell_dominance_percentile from rpt_market_brief_daily;
"""


def publish_for_claims(serving: Path) -> Path:
    """The file at `serving`, its folder included."""
    serving.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(serving)) as connection:
        connection.execute(PUBLICATION)
    return serving
