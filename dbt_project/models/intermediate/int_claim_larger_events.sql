-- One row per claim and spike definition with events in the window that are larger than the bar of
-- `int_claim_found_bars`: the first ten as one text. Ordered string aggregates differ from engine to engine, this does
-- not.
with larger_events as (
    select
        found_bars.claim_id,
        found_bars.definition_id,
        bars.bar_text,
        row_number() over (
            partition by found_bars.claim_id, found_bars.definition_id
            order by bars.extremeness, bars.bar_at
        ) as place
    from {{ ref('int_claim_found_bars') }} as found_bars
    inner join {{ ref('int_claim_bars') }} as bars
        on found_bars.claim_id = bars.claim_id
        and found_bars.definition_id = bars.definition_id
        and bars.is_event
        and bars.extremeness < found_bars.extremeness
)

select
    claim_id,
    definition_id,
    max(case when place = 1 then bar_text end)
    || coalesce(max(case when place = 2 then ', ' || bar_text end), '')
    || coalesce(max(case when place = 3 then ', ' || bar_text end), '')
    || coalesce(max(case when place = 4 then ', ' || bar_text end), '')
    || coalesce(max(case when place = 5 then ', ' || bar_text end), '')
    || coalesce(max(case when place = 6 then ', ' || bar_text end), '')
    || coalesce(max(case when place = 7 then ', ' || bar_text end), '')
    || coalesce(max(case when place = 8 then ', ' || bar_text end), '')
    || coalesce(max(case when place = 9 then ', ' || bar_text end), '')
    || coalesce(max(case when place = 10 then ', ' || bar_text end), '')
    || case
        when max(place) > 10 then ' and ' || cast(max(place) - 10 as string) || ' more'
        else ''
    end as larger_events
from larger_events
group by claim_id, definition_id
