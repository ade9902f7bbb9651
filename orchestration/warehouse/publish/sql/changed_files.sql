-- Every file that changed since the former publication, as its checksum shows. One that replaces another of the same
-- day is a correction, also under another key: the venue replaces days by a month. One whose day has no file any more
-- is withdrawn.

with changed as (
    select
        now.market_id,
        now.bar_date,
        now.source_key,
        case
            when exists (
                select 1
                from {{ former }} as held
                where held.market_id = now.market_id
                    and held.dataset = now.dataset
                    and held.kline_interval = now.kline_interval
                    and held.bar_date = now.bar_date
            ) then 'corrected_file'
            else 'late_file'
        end as cause
    from publication_sources as now
    left join {{ former }} as was
        on now.market_id = was.market_id
        and now.dataset = was.dataset
        and now.kline_interval = was.kline_interval
        and now.bar_date = was.bar_date
        and now.source_key = was.source_key
        and now.source_sha256 = was.source_sha256
    where {{ "true" if is_comparable else "false" }} and was.source_key is null
    union all
    select
        was.market_id,
        was.bar_date,
        was.source_key,
        'withdrawn_file' as cause
    from {{ former }} as was
    left join publication_sources as now
        on was.market_id = now.market_id
        and was.dataset = now.dataset
        and was.kline_interval = now.kline_interval
        and was.bar_date = now.bar_date
    where {{ "true" if is_comparable else "false" }} and now.source_key is null
)

select market_id, bar_date, source_key, cause
from changed
{% if markets %}
-- A sum over venues has no files of its own: those of its markets are behind it.
union all
select sums.market_id, changed.bar_date, changed.source_key, changed.cause
from changed
inner join {{ markets }} as parts on changed.market_id = parts.market_id
inner join {{ markets }} as sums
    on sums.contract_type = 'aggregate'
    and parts.contract_type <> 'aggregate'
    and parts.base_asset = sums.base_asset
    and parts.is_simulated = sums.is_simulated
{% endif %}
