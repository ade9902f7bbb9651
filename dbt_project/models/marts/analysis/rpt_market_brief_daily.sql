-- One row per market and UTC day: the facts of `int_market_brief_facts`, and a sentence that names definition, window
-- and source.

with phrases as (
    select
        facts.*,
        case when is_simulated then 'SIMULATED: ' else '' end as warning_text,
        coalesce(' over ' || replace(summed_venue_set, ',', ' and '), '') as venues_text,
        case
            when net_taker_usd < 0
                then 'sold ' || {{ value_text("'usd'", '-net_taker_usd') }} || ' more than they bought'
            when net_taker_usd > 0
                then 'bought ' || {{ value_text("'usd'", 'net_taker_usd') }} || ' more than they sold'
            else 'bought as much as they sold'
        end as flow_text,
        {{ rank_phrase() }} as rank_text,
        {{ source_phrase() }} as source_text,
        coalesce('price ' || {{ change_text('price_change_ratio') }}, 'price change unknown') as price_text,
        case
            when liquidations_coverage_ratio > 0
                then 'liquidated at least ' || {{ value_text("'usd'", 'long_liquidations_usd') }} || ' long and '
                    || {{ value_text("'usd'", 'short_liquidations_usd') }} || ' short'
                    || case
                        when liquidations_coverage_ratio < 1
                            then ' with ' || {{ coverage_text('liquidations_coverage_ratio') }} || ' of the day covered'
                        else ''
                    end
        end as liquidations_text,
        case
            when all_liquidations_coverage_ratio > 0
                then 'at least ' || {{ value_text("'usd'", 'all_long_liquidations_usd') }} || ' long and '
                    || {{ value_text("'usd'", 'all_short_liquidations_usd') }} || ' short on '
                    || {{ enumeration_text('all_liquidations_venue_set') }} || ', '
                    || {{ coverage_text('all_liquidations_coverage_ratio') }} || ' of the day received'
        end as all_liquidations_text,
        nullif(
            concat_ws(
                ', ',
                case when open_interest_conflict is not null then 'open interest' end,
                case when funding_conflict is not null then 'a funding' end,
                case when liquidations_conflict is not null then 'liquidations' end
            ),
            ''
        ) as conflict_text
    from {{ ref('int_market_brief_facts') }} as facts
)

select
    market_id,
    bar_date,
    side,
    net_taker_usd,
    taker_sell_ratio,
    sell_dominance_percentile,
    {%- for definition in brief_definitions() %}
    "{{ definition }}_rank",
    {%- if loop.first %}
    daily_usd_event_rank,
    {%- endif %}
    {%- endfor %}
    larger_events,
    close_price,
    price_change_ratio,
    distance_from_high_ratio,
    long_liquidations_usd,
    short_liquidations_usd,
    liquidations_coverage_ratio,
    all_long_liquidations_usd,
    all_short_liquidations_usd,
    all_liquidations_coverage_ratio,
    all_liquidations_venue_set,
    all_liquidations_subscribed_symbol_count,
    open_interest_base as open_interest,
    open_interest_usd,
    funding_rate,
    flow_source,
    coverage_ratio,
    is_simulated,
    warning_text || market_id || venues_text || ' on ' || cast(bar_date as string) || ': takers ' || flow_text
        || ' (net taker volume of the UTC day in USD, '
        || source_text || '), ' || rank_text || '; ' || price_text || '; '
        || coalesce(
            liquidations_text,
            case when all_liquidations_text is null then 'liquidations unknown' else 'its own liquidations unknown' end
        ) || coalesce(
            case
                when all_liquidations_subscribed_symbol_count is null then '; all markets '
                else '; of the subscribed symbols '
            end || all_liquidations_text,
            ''
        ) || '.' || coalesce(' In conflict with other data and not used: ' || conflict_text || '.', '') as headline,
    open_interest_conflict,
    funding_conflict,
    liquidations_conflict,
    {{ missing_reasons() }}
from phrases
order by market_id, bar_date
