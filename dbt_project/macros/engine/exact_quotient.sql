{#- numerator / denominator as DECIMAL(38,16), rounded half away from zero, without ever being a double. NULL when the denominator is zero.

Both are taken at 8 decimals. The numerator may reach 1.7e14: enough for one bar in any quote we know. -#}
{% macro exact_quotient(numerator, denominator) -%}
    {{ return(adapter.dispatch('exact_quotient', 'taker')(numerator, denominator)) }}
{%- endmacro %}

{% macro duckdb__exact_quotient(numerator, denominator) -%}
    {#- In units of 1e-8 both sides are integers, and DuckDB divides 128-bit integers exactly (`//` truncates towards zero).
        The last factor moves the decimal point back: it changes the type's scale, not a digit. -#}
    {%- set n = 'cast(cast(' ~ numerator ~ ' as decimal(38,8)) * 100000000 as hugeint)' -%}
    {%- set d = 'cast(cast(' ~ denominator ~ ' as decimal(38,8)) * 100000000 as hugeint)' -%}
    cast(
        (
            (abs({{ n }}) * 10000000000000000 + abs({{ d }}) // 2) // nullif(abs({{ d }}), 0)
            * sign({{ n }}) * sign({{ d }})
        ) as decimal(38,0)
    ) * cast(0.0000000000000001 as decimal(17,16))
{%- endmacro %}

{#- contracts × contract size ÷ price of one trade, as DECIMAL(38,16), rounded half away from zero. All three are DECIMAL(18,8) and not
negative. The same result as `exact_quotient`, at a fifth of its cost: there is one of these per trade. -#}
{% macro contracts_to_base(contracts, contract_size, price) -%}
    {{ return(adapter.dispatch('contracts_to_base', 'taker')(contracts, contract_size, price)) }}
{%- endmacro %}

{% macro duckdb__contracts_to_base(contracts, contract_size, price) -%}
    {%- set d = taker.duckdb__hundred_millionths(price) -%}
    cast(
        (
            {{ taker.duckdb__hundred_millionths(contracts) }} * {{ taker.duckdb__hundred_millionths(contract_size) }} * 100000000
            + {{ d }} // 2
        ) // nullif({{ d }}, 0) as decimal(38,0)
    ) * cast(0.0000000000000001 as decimal(17,16))
{%- endmacro %}

{#- A DECIMAL(18,8) in units of 1e-8. Whole and fraction apart stay within 64 bits; a cast of the whole to 128 bits would divide. -#}
{% macro duckdb__hundred_millionths(amount) -%}
    cast(
        cast(floor({{ amount }}) as bigint) * 100000000
        + cast(({{ amount }} - floor({{ amount }})) * 100000000 as bigint) as hugeint
    )
{%- endmacro %}
