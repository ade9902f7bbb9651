-- One row per market, source and day whose bars this build replaces: the receipts now differ from what was
-- last built, or an earlier build replaced them and did not complete, so that they may be of receipts that are gone.
with built_receipts as (
    select dataset, source, market_id, kline_interval, bar_date, build_state
    from {{ built_receipts() }}
),

compared_receipts as (
    select
        coalesce(receipts.market_id, built_receipts.market_id) as market_id,
        coalesce(receipts.source, built_receipts.source) as source,
        coalesce(receipts.bar_date, built_receipts.bar_date) as bar_date,
        receipts.build_state as current_state,
        built_receipts.build_state as built_state
    from {{ ref('int_flow_receipts') }} as receipts
    full outer join built_receipts
        on receipts.dataset = built_receipts.dataset
        and receipts.market_id = built_receipts.market_id
        and receipts.kline_interval = built_receipts.kline_interval
        and receipts.bar_date = built_receipts.bar_date
),

unfinished_days as (
    select windows.market_id, windows.source, windows.bar_date
    from {{ former_build_window() }} as windows
    where not exists (select 1 from {{ built_receipts() }} as completed where completed.build_id = windows.build_id)
),

days_to_build as (
    select market_id, source, bar_date
    from compared_receipts
    where current_state is distinct from built_state
    union
    select market_id, source, bar_date
    from unfinished_days
)

select
    market_id,
    source,
    bar_date,
    cast('{{ invocation_id }}' as string) as build_id
from days_to_build
order by market_id, source, bar_date
