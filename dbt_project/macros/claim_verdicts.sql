{#- Does a claim such as "the third-largest bearish spike in two years" hold? Written once: `fct_claim_verdicts` asks it of the seed, and
`taker claim` of whatever somebody types, over the published marts. So that it can be rendered without dbt, nothing here uses
anything of dbt's or of the other macro files, and the SQL is standard SQL. -#}

{#- Smaller = more extreme on that side. Only of a sell ratio is the largest value the most bearish. -#}
{% macro extremeness(side, unit, value) -%}
    case when ({{ side }} = 'bearish') = ({{ unit }} = 'sell_ratio') then -{{ value }} else {{ value }} end
{%- endmacro %}

{#- How far a value leans to one side: below zero takers sold more than they bought, above zero they bought more. A net amount is that
itself; a sell ratio leans away from one half, and takers sold more above it. -#}
{% macro leaning(unit, value) -%}
    case when {{ unit }} = 'sell_ratio' then 0.5 - {{ value }} else {{ value }} end
{%- endmacro %}

{#- The side of a value by itself, without any rank: the only rule by which something is called bearish or bullish for its value. NULL where
it is balanced or unknown. -#}
{% macro side_of(unit, value) -%}
    case when {{ leaning(unit, value) }} < 0 then 'bearish' when {{ leaning(unit, value) }} > 0 then 'bullish' end
{%- endmacro %}

{#- `2026-01-31 16:00 (-1474 M USD)`, or the day alone for daily bars. -#}
{% macro bar_text(grain, unit, bar_at, value) -%}
    substring(cast({{ bar_at }} as varchar), 1, case when {{ grain }} = '1d' then 10 else 16 end) || ' (' || {{ value_text(unit, value) }} || ')'
{%- endmacro %}

{% macro value_text(unit, value) -%}
    case
        when {{ unit }} = 'sell_ratio' then 'sell ratio ' || cast(cast({{ value }} as decimal(9,4)) as varchar)
        when {{ unit }} = 'base' then cast(cast(round({{ value }}) as bigint) as varchar) || ' base'
        when abs({{ value }}) >= 100000000 then cast(cast(round({{ value }} / 1000000) as bigint) as varchar) || ' M USD'
        when abs({{ value }}) >= 1000000 then cast(cast({{ value }} / 1000000 as decimal(18,1)) as varchar) || ' M USD'
        else cast(cast(round({{ value }}) as bigint) as varchar) || ' USD'
    end
{%- endmacro %}

{#- The first ten of a group as one text, in order of `place` (1, 2, …); NULL when there is none. Ordered string aggregates differ from
engine to engine, this does not. -#}
{% macro listed(text, place) -%}
    max(case when {{ place }} = 1 then {{ text }} end)
    {%- for n in range(2, 11) %}
    || coalesce(max(case when {{ place }} = {{ n }} then ', ' || {{ text }} end), '')
    {%- endfor %}
    || case when max({{ place }}) > 10 then ' and ' || cast(max({{ place }}) - 10 as varchar) || ' more' else '' end
{%- endmacro %}

{#- One row per claim and definition. `claims` gives claim_id, published_on (may be NULL), market_id, event_from, event_to, side, claimed_rank
and window_days; `ranks` and `definitions` are the marts fct_taker_spike_ranks and dim_spike_definitions. -#}
{% macro claim_verdicts(claims, ranks, definitions) -%}
with claimed as (
    select
        claims.claim_id,
        definitions.definition_id,
        claims.market_id,
        claims.side,
        claims.claimed_rank,
        claims.window_days,
        definitions.grain,
        definitions.unit,
        case definitions.grain when '1h' then 1 when '4h' then 4 when '1d' then 24 end as bar_hours,
        cast(claims.event_from as timestamp) as range_from_at,
        cast(claims.event_to as timestamp) + interval '1' day as range_to_at,
        -- What a text of that day can know: the days before it.
        cast(claims.published_on as timestamp) as published_at
    from {{ claims }} as claims
    cross join {{ definitions }} as definitions
),

-- "In two years" are the years before the text, as long as these hold the event; else the years before the event's end.
dated as (
    select
        claimed.*,
        case
            when published_at > range_to_at and published_at - window_days * interval '1' day <= range_from_at then published_at
            else range_to_at
        end as as_of_at
    from claimed
),

bars as (
    select
        dated.claim_id,
        dated.definition_id,
        dated.claimed_rank,
        dated.grain,
        dated.unit,
        ranks.bar_at,
        ranks.value,
        {{ extremeness('dated.side', 'dated.unit', 'ranks.value') }} as extremeness,
        cast(ranks.bar_coverage_ratio as decimal(9,8)) as bar_coverage,
        ranks.is_provisional,
        ranks.set_changed_at,
        ranks.is_event,
        ranks.bar_at >= dated.range_from_at and ranks.bar_at < dated.range_to_at as is_in_range
    from dated
    inner join {{ ranks }} as ranks
        on dated.definition_id = ranks.definition_id
        and dated.market_id = ranks.market_id
        and dated.side = ranks.side
        and ranks.bar_at >= dated.as_of_at - dated.window_days * interval '1' day
        and ranks.bar_at < dated.as_of_at
        -- A bar that has not ended is no bar yet.
        and ranks.is_running is not true
),

ranked as (
    select
        bars.*,
        rank() over (partition by claim_id, definition_id order by extremeness) as bar_rank,
        case when is_event then rank() over (partition by claim_id, definition_id, is_event order by extremeness) end as event_rank,
        -- Up to and with bars as extreme as this one, less these: the more extreme ones alone.
        sum(case when is_event then 1 else 0 end) over (partition by claim_id, definition_id order by extremeness)
        - sum(case when is_event then 1 else 0 end) over (partition by claim_id, definition_id, extremeness) as larger_events,
        sum(case when is_event is null then 1 else 0 end) over (partition by claim_id, definition_id order by extremeness)
        - sum(case when is_event is null then 1 else 0 end) over (partition by claim_id, definition_id, extremeness) as larger_unsettled
    from bars
),

windows as (
    select
        claim_id,
        definition_id,
        count(*) as window_bars,
        max(set_changed_at) >= min(bar_at) as has_changed_set,
        sum(bar_coverage) as covered_bars,
        sum(case when is_in_range then bar_coverage else 0 end) as covered_range_bars,
        -- Were it an event, its rank would be one more than the larger events, of which some are not known yet.
        max(
            case
                when is_in_range and is_event is null
                    and claimed_rank between larger_events + 1 and larger_events + larger_unsettled + 1 then 1
                else 0
            end
        ) = 1 as may_yet_have_the_rank,
        min(case when event_rank = claimed_rank then {{ bar_text('grain', 'unit', 'bar_at', 'value') }} end) as holder
    from ranked
    group by claim_id, definition_id
),

-- The event of the range that has the claimed rank, else the range's most extreme bar. Other bars do not count: the second bar
-- of one crash is no second spike.
candidates as (
    select
        ranked.*,
        min(extremeness) over (partition by claim_id, definition_id) as range_extreme,
        row_number() over (
            partition by claim_id, definition_id
            order by case when event_rank = claimed_rank then 0 else 1 end, extremeness, bar_at
        ) as choice
    from ranked
    where is_in_range
),

larger as (
    select
        found.claim_id,
        found.definition_id,
        {{ bar_text('ranked.grain', 'ranked.unit', 'ranked.bar_at', 'ranked.value') }} as event_text,
        row_number() over (
            partition by found.claim_id, found.definition_id
            order by ranked.extremeness, ranked.bar_at
        ) as place
    from candidates as found
    inner join ranked
        on found.claim_id = ranked.claim_id
        and found.definition_id = ranked.definition_id
        and ranked.is_event
        and ranked.extremeness < found.extremeness
    where found.choice = 1
),

larger_listed as (
    select
        claim_id,
        definition_id,
        {{ listed('event_text', 'place') }} as larger_events
    from larger
    group by claim_id, definition_id
),

judged as (
    select
        dated.*,
        found.bar_at,
        found.value,
        found.bar_rank,
        found.event_rank,
        found.is_event,
        found.is_provisional,
        found.bar_rank = dated.claimed_rank and found.extremeness = found.range_extreme as is_rank_by_bars,
        coalesce(found.event_rank = dated.claimed_rank, false) as is_rank_by_events,
        coalesce(windows.window_bars, 0) as window_bars,
        coalesce(windows.may_yet_have_the_rank, false) as may_yet_have_the_rank,
        windows.holder,
        larger_listed.larger_events,
        cast(coalesce(windows.covered_bars, 0) * dated.bar_hours as double) / (dated.window_days * 24) as window_coverage,
        case
            when windows.window_bars is null then 'it ranks no bars of this market'
            when windows.covered_bars * dated.bar_hours < 0.95 * dated.window_days * 24 then 'less than 95 % of the window is covered'
            when windows.has_changed_set then 'the markets that are summed changed'
            when found.bar_at is null then 'there is no bar in the claimed range'
            when windows.covered_range_bars * dated.bar_hours
                < 0.95 * 24 * extract(day from (dated.range_to_at - dated.range_from_at)) then 'less than 95 % of the claimed range is covered'
            when found.bar_coverage < 0.95 then 'less than 95 % of the bar is covered'
        end as blind_reason
    from dated
    left join windows
        on dated.claim_id = windows.claim_id and dated.definition_id = windows.definition_id
    left join candidates as found
        on dated.claim_id = found.claim_id and dated.definition_id = found.definition_id and found.choice = 1
    left join larger_listed
        on dated.claim_id = larger_listed.claim_id and dated.definition_id = larger_listed.definition_id
),

decided as (
    select
        judged.*,
        case
            when blind_reason is not null then null
            when is_rank_by_bars or is_rank_by_events then true
            when may_yet_have_the_rank then null
            else false
        end as holds,
        {{ bar_text('grain', 'unit', 'bar_at', 'value') }} as found_text,
        ' in the ' || cast(window_days as varchar) || ' days to ' || substring(cast(as_of_at as varchar), 1, 10) as window_text
    from judged
)

select
    claim_id,
    definition_id,
    market_id,
    side,
    claimed_rank,
    window_days,
    as_of_at,
    bar_at,
    value,
    case when blind_reason is null then bar_rank end as actual_rank,
    case when blind_reason is null then event_rank end as actual_event_rank,
    window_bars,
    window_coverage as coverage_ratio,
    holds,
    case
        -- NULL is no verdict: neither `holds` nor `not holds` is true of it.
        when holds is not true then null
        when is_rank_by_bars and is_rank_by_events then 'bars and events'
        when is_rank_by_bars then 'bars'
        when is_rank_by_events then 'events'
    end as holds_by,
    case when blind_reason is null then larger_events end as larger_events,
    case
        when blind_reason is not null then 'Cannot tell under ' || definition_id || ': ' || blind_reason || window_text
        else
            case when holds then 'Holds under ' when not holds then 'Does not hold under ' else 'Cannot tell yet under ' end
            || definition_id || ': ' || found_text || ' is rank ' || cast(bar_rank as varchar) || ' of ' || cast(window_bars as varchar) || ' bars'
            || coalesce(' and rank ' || cast(event_rank as varchar) || ' among events', '') || window_text
            || case when holds then '' else ', not rank ' || cast(claimed_rank as varchar) end
            || case
                when is_event then ''
                when is_event is null then '; whether it is an event is not known yet'
                else '; it is no event of its own'
            end
            || case when holds then '' else coalesce('; that rank among events is held by ' || holder, '') end
            || case when is_provisional then '; the bar is provisional, until the archive has its day' else '' end
    end || '.' as verdict_sentence
from decided
order by claim_id, definition_id
{%- endmacro %}
