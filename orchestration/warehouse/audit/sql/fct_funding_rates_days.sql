-- One row per market and day of which the brief states a funding: that of the day's fundings, as often as they came.
{% from "macros.sql" import distance %}

with days as (
    select market_id, bar_date, cast(sum(funding_rate) as double) as funding_rate, count(funding_rate) as rate_count
    from fct_funding_rates
    group by market_id, bar_date
)

select
    briefs.market_id,
    briefs.bar_date,
    briefs.funding_rate as stated_rate,
    days.funding_rate,
    coalesce(days.rate_count > 0, false) as has_fundings,
    {{ distance("days.funding_rate", "briefs.funding_rate") }} as rate_error
from rpt_market_brief_daily as briefs
left join days on briefs.market_id = days.market_id and briefs.bar_date = days.bar_date
where briefs.funding_rate is not null
