{#- How far two reports of the same flow may be apart before one contradicts the other. Each tolerance stands here, with its reason. -#}

{#- Amounts of a bar, in trades and in klines: this share of the bar, or of its day. Where both are whole they agree to the last digit; a burst
of trades on the hour may be counted on either side of it. -#}
{% macro bar_amount_tolerance() -%}
    0.01
{%- endmacro %}

{% macro day_amount_tolerance() -%}
    0.001
{%- endmacro %}

{#- Prices of a bar in two sources of one venue, and its average price beyond its own low and high. -#}
{% macro bar_price_tolerance() -%}
    0.005
{%- endmacro %}

{#- With fewer trades an hour a single one moves everything: no verdict. -#}
{% macro fewest_trades_to_compare() -%}
    20
{%- endmacro %}

{#- With fewer trades an hour the last price of an hour may be old when the next one begins. -#}
{% macro fewest_trades_for_a_price() -%}
    100
{%- endmacro %}

{#- What is usual in a day or a month: known from so many bars. -#}
{% macro fewest_bars_for_the_usual() -%}
    12
{%- endmacro %}

{#- An open and the close before it: at least this. Of BTCUSDT's 17,544 hours of 2024 and 2025 and its bars of four hours since 2021 none is
more than 0.0012 apart. -#}
{% macro least_gap() -%}
    0.002
{%- endmacro %}

{#- And so many times the gap that three in four of the market's bars of the month keep below: what is normal differs by market. -#}
{% macro usual_gaps() -%}
    20
{%- endmacro %}

{#- A step in the level of prices, between two bars of which one follows the other. -#}
{% macro price_step() -%}
    0.1
{%- endmacro %}

{#- The mark price that values open interest lies near the last one; other venues quote in other dollars, and dated contracts have a basis. -#}
{% macro open_interest_price_tolerance() -%}
    0.1
{%- endmacro %}

{% macro other_markets_price_tolerance() -%}
    0.15
{%- endmacro %}

{#- The share of one side in a bar, on a day of many trades of which one side has all: this far from a half is no market. -#}
{% macro taker_share_tolerance() -%}
    0.4
{%- endmacro %}

{#- The ratio of an hour lies between those of its five minutes, whatever their volumes. -#}
{% macro taker_ratio_tolerance() -%}
    0.25
{%- endmacro %}

{#- So many times more, or less, of its day's usual hour than at every other busy market of its asset. -#}
{% macro volume_shape_factor() -%}
    5
{%- endmacro %}

{#- Klines of two lengths differ from this share on: less is what rounding leaves. -#}
{% macro least_interval_difference() -%}
    0.0001
{%- endmacro %}

{#- A difference between klines of two lengths up to this share is stated, and the bars are used: Binance's own bars of four hours and of a day
differ by 3 and 4 % on two days of five years, and nothing shows which are right. Beyond it they are not used. -#}
{% macro interval_difference_to_state() -%}
    0.1
{%- endmacro %}

{#- How far a price lies outside low and high of a reference, as a share; NULL where there is none. -#}
{% macro price_distance(low, high, reference_low, reference_high) -%}
    greatest({{ low }} / nullif({{ reference_high }}, 0) - 1, {{ reference_low }} / nullif({{ high }}, 0) - 1)
{%- endmacro %}

{#- How far one price lies from another, as a share of the lower one; NULL where there is none. -#}
{% macro price_gap(price, other) -%}
    (greatest({{ price }}, {{ other }}) / nullif(least({{ price }}, {{ other }}), 0) - 1)
{%- endmacro %}

{#- The markets whose asset another market has too, with it: the bars of the others are its witnesses. -#}
{% macro markets_with_others() -%}
    (
        select market_id, base_asset
        from {{ ref('int_markets') }}
        where base_asset in (select base_asset from {{ ref('int_markets') }} group by base_asset having count(*) > 1)
    )
{%- endmacro %}

{#- The bars of the archive's trades and klines, which are judged, in the numbers that are compared: six models read them, and making them of
exact decimals costs more than what these do with them, so they are kept. Unit tests give the bars themselves. -#}
{% macro archive_bars() -%}
    {%- if model.resource_type == 'unit_test' -%}
        {{ taker.archive_bars_of(ref('int_flow_bars')) }}
    {%- else -%}
        {{ ref('int_archive_bars') }}
    {%- endif -%}
{%- endmacro %}

{#- `where`: a condition on the bars, before they are made numbers. -#}
{% macro archive_bars_of(flow_bars, where='true') -%}
    (
        select
            market_id,
            source,
            bar_hours,
            bar_at,
            bar_date,
            {{ taker.exact_as_double('taker_buy_usd + taker_sell_usd', 16) }} as volume_usd,
            {{ taker.exact_as_double('taker_buy_base + taker_sell_base', 16) }} as volume_base,
            {{ taker.exact_as_double('taker_buy_usd - taker_sell_usd', 16) }} as net_usd,
            {{ taker.exact_as_double('taker_buy_base', 16) }} as buy_base,
            {{ taker.exact_as_double('taker_sell_base', 16) }} as sell_base,
            {{ taker.exact_as_double('open_price', 18) }} as open_price,
            {{ taker.exact_as_double('high_price', 18) }} as high_price,
            {{ taker.exact_as_double('low_price', 18) }} as low_price,
            {{ taker.exact_as_double('close_price', 18) }} as close_price,
            trade_count,
            reported_minutes
        from {{ flow_bars }} as flow_bars
        where source in ('trades', 'klines') and {{ where }}
    )
{%- endmacro %}
