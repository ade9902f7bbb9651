-- One row per bar of the archive's trades or klines and witness that contradicts it, with the figures of both.
select
    market_id,
    substring(market_id, 1, position(':' in market_id) - 1) as venue,
    source,
    {{ bar_interval('bar_hours') }} as bar_interval,
    bar_at,
    bar_date,
    witness,
    measure,
    ours,
    theirs,
    tolerance,
    effect
from {{ ref('int_flow_contradictions') }}
order by market_id, source, bar_interval, bar_at, witness
