{#- What contradicts a fact that is no flow: open interest, fundings, liquidations. Each tolerance stands here, with its reason. -#}

{#- Complete bars of a market as witnesses of what happened in them. Prices are those of the bar and of its neighbours, and the volumes of its
takers those of the bar and of the one before: clocks differ, and a venue labels five minutes by their start or by their end. A market has
them at the lengths of its klines. Of the markets of `judged` alone, and of the days around its column `instant`: the bars of all are millions,
and are put in order here. `first`: a literal before which no such day is, where that is known: older bars are then not read. -#}
{% macro witness_bars(judged, instant=none, first=none) -%}
    (
        select
            market_id,
            grain_hours,
            bar_at,
            min(cast(low_price as double)) over bar_and_neighbours as low_price,
            max(cast(high_price as double)) over bar_and_neighbours as high_price,
            sum(cast(volume_base as double)) over bar_and_neighbours as volume_base,
            sum(cast(taker_buy_usd as double)) over bar_and_former as taker_buy_usd,
            sum(cast(taker_sell_usd as double)) over bar_and_former as taker_sell_usd
        from {{ ref('int_market_bars') }}
        where coverage_ratio = 1 and is_running is not true and low_price > 0
            and market_id in (select market_id from {{ judged }})
            {%- if first %}
            and bar_at >= {{ first }}
            {%- endif %}
            {%- if instant %}
            and bar_at > (select min({{ instant }}) - interval '3' day from {{ judged }})
            and bar_at < (select max({{ instant }}) + interval '3' day from {{ judged }})
            {%- endif %}
        window
            bar_and_neighbours as (
                partition by market_id, grain_hours
                order by bar_at
                rows between 1 preceding and 1 following
            ),
            bar_and_former as (
                partition by market_id, grain_hours
                order by bar_at
                rows between 1 preceding and current row
            )
    )
{%- endmacro %}

{#- To each row of `rows` the bars of every length that hold `instant`. One join per length: an equality that an engine can hash. -#}
{% macro join_witness_bars(bars, rows, instant) -%}
    {%- for hours in taker.bar_lengths().values() %}
    left join {{ bars }} as bars_{{ hours }}
        on {{ rows }}.market_id = bars_{{ hours }}.market_id
        and bars_{{ hours }}.grain_hours = {{ hours }}
        and {{ taker.bar_start(instant, hours) }} = bars_{{ hours }}.bar_at
    {%- endfor -%}
{%- endmacro %}

{#- Their columns, from the shortest bar that there is. -#}
{% macro of_shortest_bar(columns) -%}
    {%- for column in columns %}
    coalesce(
        {%- for hours in taker.bar_lengths().values() %}bars_{{ hours }}.{{ column }}{{ ', ' if not loop.last }}{% endfor -%}
    ) as {{ column }}{{ ',' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- True where a price is no price of the time of these bars, `factor` allowed on both sides; NULL where there are none. -#}
{% macro is_price_elsewhere(price, bars, factor) -%}
    (
        {{ price }} * {{ factor }} < {{ bars }}.low_price
        or {{ price }} > {{ bars }}.high_price * {{ factor }}
    )
{%- endmacro %}

{#- An average price of fills lies among the trades of its hour, and open interest is valued at a mark price near them. Real metrics lie
within 0.01 % of the hour's range; a tenth leaves room for a mark price that lags in a crash. -#}
{% macro traded_price_factor() -%}
    1.1
{%- endmacro %}

{#- Venues without a limit in their messages report the bankruptcy price, which lies beyond the market by the maintenance margin: up to half
of the price in the highest risk tiers. -#}
{% macro bankruptcy_price_factor() -%}
    2
{%- endmacro %}

{#- The largest share of a position that is taken for a funding: the highest cap that was found announced is 3 % (Binance). -#}
{% macro highest_funding_rate() -%}
    0.05
{%- endmacro %}

{#- Open interest more than so many times that of its neighbours, or less than that part of it, is compared with what was traded. -#}
{% macro open_interest_factor() -%}
    2
{%- endmacro %}

{% macro is_open_interest_jump(amount, other) -%}
    (
        {{ amount }} > {{ other }} * {{ taker.open_interest_factor() }}
        or {{ other }} > {{ amount }} * {{ taker.open_interest_factor() }}
    )
{%- endmacro %}

{#- True where an observation lies between others (`before` of `own`, `after` of `last`) by a jump up and down, or down and up, of more than was
traded around it. -#}
{% macro stands_alone(own, before, last, after, traded) -%}
    (
        {{ taker.is_open_interest_jump(own, before) }}
        and {{ taker.is_open_interest_jump(last, after) }}
        and ({{ own }} > {{ before }}) = ({{ last }} > {{ after }})
        and abs(cast({{ own }} - {{ before }} as double)) > coalesce({{ traded }}, 0)
        and abs(cast({{ last }} - {{ after }} as double)) > coalesce({{ traded }}, 0)
    )
{%- endmacro %}

{#- Why open interest is in conflict, after its amount in base. -#}
{% macro worth_elsewhere_text() -%}
    ' is worth ' || {{ taker.figure_text('open_interest_usd') }} || ' USD, '
    || {{ taker.figure_text('cast(open_interest_usd as double) / cast(open_interest_base as double)') }}
    || ' a unit, and the market traded at ' || {{ taker.figure_text('low_price') }} || ' to '
    || {{ taker.figure_text('high_price') }}
{%- endmacro %}

{% macro stands_between_text(before, after) -%}
    ' stands between ' || {{ taker.figure_text(before) }} || ' before and ' || {{ taker.figure_text(after) }} || ' after it'
{%- endmacro %}

{#- A number in a sentence: 30631.6. -#}
{% macro figure_text(number) -%}
    {{ taker.double_text(number) }}
{%- endmacro %}
