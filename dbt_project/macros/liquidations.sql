{#- Liquidation totals at three lengths (hour, day, rolling day) and three widths (market, venue, all venues), by one set of rules.

A relation of parts gives venue, market_id, venue_set, a time column, and the parts of each row: long_usd, short_usd,
largest_order_usd (NULL without a valued order), order_count, unvalued_order_count, `conflicting_order_count` and `first_conflict` (orders that
other data of their market contradict, counted also where nothing is covered), minutes covered, `exact_hours` (hours in which every order
was received all the time and no message was lost), `archive_hours` and `live_hours` (how many hours came from where), and `subscribed_symbol_count` (the
number of symbols subscribed to, of venues that require per-symbol
subscriptions; NULL: every symbol. Over hours it is the smallest). -#}

{#- Quotes that count as dollars, as in `ingestion.domain.markets.DOLLARS` (a test compares them), and the dollar itself. -#}
{% macro dollars() -%}
    {{ return(['USD', 'FDUSD', 'USDT', 'USDC', 'BUSD', 'USD1']) }}
{%- endmacro %}

{% macro is_dollar(quote_asset) -%}
    {{ quote_asset }} in ({% for dollar in taker.dollars() %}'{{ dollar }}'{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{#- Parts of `venues` (one row per venue and time) summed over the venues of each time. Coverage is the mean over these venues: minutes
are summed, and `hours` per venue is what they are a share of. -#}
{% macro over_all_venues(venues, time_column, hours) -%}
    (
        select
            {{ taker.sum_of(taker.is_simulated('parts.venue')) }} as venue,
            {{ taker.sum_of(taker.is_simulated('parts.venue')) }} || ':ALL' as market_id,
            {{ taker.joined_names('parts.venue') }} as venue_set,
            parts.{{ time_column }},
            cast(sum(long_usd) as decimal(38,8)) as long_usd,
            cast(sum(short_usd) as decimal(38,8)) as short_usd,
            cast(sum(order_count) as bigint) as order_count,
            cast(sum(unvalued_order_count) as bigint) as unvalued_order_count,
            max(largest_order_usd) as largest_order_usd,
            cast(sum(conflicting_order_count) as bigint) as conflicting_order_count,
            min(first_conflict) as first_conflict,
            cast(sum(covered_minutes) as bigint) as covered_minutes,
            cast(sum(exact_hours) as bigint) as exact_hours,
            cast(sum(archive_hours) as bigint) as archive_hours,
            cast(sum(live_hours) as bigint) as live_hours,
            cast(sum(subscribed_symbol_count) as bigint) as subscribed_symbol_count,
            cast(count(*) * {{ hours }} as bigint) as due_hours
        from {{ venues }} as parts
        group by {{ taker.sum_of(taker.is_simulated('parts.venue')) }}, parts.{{ time_column }}
    )
{%- endmacro %}

{#- The columns of the marts from these parts. Nothing is known where no minute is covered. -#}
{% macro liquidation_columns() -%}
    cast(case when covered_minutes > 0 then long_usd end as decimal(38,8)) as long_usd,
    cast(case when covered_minutes > 0 then short_usd end as decimal(38,8)) as short_usd,
    cast(case when covered_minutes > 0 then long_usd + short_usd end as decimal(38,8)) as total_usd,
    cast(case when covered_minutes > 0 then order_count end as bigint) as order_count,
    cast(case when covered_minutes > 0 then unvalued_order_count end as bigint) as unvalued_order_count,
    cast(case when covered_minutes > 0 then largest_order_usd end as decimal(38,8)) as largest_order_usd,
    cast(covered_minutes as double) / (due_hours * 60) as coverage_ratio,
    not (exact_hours = due_hours and unvalued_order_count = 0 and conflicting_order_count = 0) as is_lower_bound,
    case
        when archive_hours > 0 and live_hours > 0 then 'mixed'
        when archive_hours > 0 then 'archive'
        else 'live'
    end as liquidation_source,
    cast(case when covered_minutes > 0 then subscribed_symbol_count end as bigint) as subscribed_symbol_count,
    cast(conflicting_order_count as bigint) as conflicting_order_count,
    cast(first_conflict as string) as first_conflict
{%- endmacro %}
