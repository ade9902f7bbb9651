{#- numerator / denominator as DECIMAL(38,16), rounded half away from zero, without ever being a double. NULL when the denominator is zero, and
when the quotient has more than the 21 digits before the point that there is room for: no conversion ever fails.

Both are taken at 8 decimals, and may reach 10^22. -#}
{% macro exact_quotient(numerator, denominator) -%}
    {{ return(adapter.dispatch('exact_quotient', 'taker')(numerator, denominator)) }}
{%- endmacro %}

{% macro duckdb__exact_quotient(numerator, denominator) -%}
    {#- In units of 1e-8 both sides are integers, and DuckDB divides 128-bit integers exactly (`//` truncates towards zero).
        The last factor moves the decimal point back: it changes the type's scale, not a digit. -#}
    {%- set n = 'cast(cast(' ~ numerator ~ ' as decimal(38,8)) * 100000000 as hugeint)' -%}
    {%- set d = 'cast(cast(' ~ denominator ~ ' as decimal(38,8)) * 100000000 as hugeint)' -%}
    {#- Beyond a numerator of 10^14, which no bar comes near, long division in two steps has room for it. -#}
    {%- set divisor = 'nullif(abs(' ~ d ~ '), 0)' -%}
    {%- set rest = '(abs(' ~ n ~ ') % ' ~ divisor ~ ') * 100000000' -%}
    {#- Below 10^9, as nearly all are, both fit 64 bits, and only their quotient takes 128: a fifth of the cost. The list is what
        binds each of them once; it is taken apart a vector at a time. -#}
    {%- set fitting = "{'n': cast(abs(" ~ numerator ~ ") as decimal(18,8)), 'd': cast(abs(" ~ denominator ~ ") as decimal(18,8))}" -%}
    cast(
        case
            when abs({{ numerator }}) < 1000000000 and abs({{ denominator }}) < 1000000000 then (
                list_transform(
                    [{{ fitting }}],
                    lambda pair: (
                        {{ taker.duckdb__hundred_millionths('pair.n') }} * 10000000000000000
                        + {{ taker.duckdb__hundred_millionths('pair.d') }} // 2
                    ) // nullif({{ taker.duckdb__hundred_millionths('pair.d') }}, 0)
                )[1] * case when ({{ numerator }} < 0) = ({{ denominator }} < 0) then 1 else -1 end
            )
            when abs({{ numerator }}) < 100000000000000 then (
                (abs({{ n }}) * 10000000000000000 + abs({{ d }}) // 2) // {{ divisor }}
                * sign({{ n }}) * sign({{ d }})
            )
            when abs(cast({{ numerator }} as double)) < 1e21 * abs(cast({{ denominator }} as double)) then (
                (abs({{ n }}) // {{ divisor }} * 10000000000000000
                + ({{ rest }}) // {{ divisor }} * 100000000
                + (({{ rest }}) % {{ divisor }} * 100000000 + abs({{ d }}) // 2) // {{ divisor }})
                * sign({{ n }}) * sign({{ d }})
            )
        end as decimal(38,0)
    ) * cast(0.0000000000000001 as decimal(17,16))
{%- endmacro %}

{#- In units of 1e-8 both sides are integers of at most 30 digits. Spark divides decimals of 38 digits and no integers of 128 bits: the remainder
is taken away first, so that the division is exact, and in three steps none needs more digits than there are. -#}
{% macro spark__exact_quotient(numerator, denominator) -%}
    {%- set n = taker.spark__hundred_millionths(numerator) -%}
    {%- set d = 'nullif(' ~ taker.spark__hundred_millionths(denominator) ~ ', 0)' -%}
    {%- set first = '((' ~ n ~ ' % ' ~ d ~ ') * 100000000)' -%}
    {%- set second = '((' ~ first ~ ' % ' ~ d ~ ') * 100000000)' -%}
    {%- set half = taker.spark__whole_quotient(d, '2') -%}
    try_cast(
        try_add(
            try_multiply({{ taker.spark__whole_quotient(n, d) }}, 10000000000000000),
            {{ taker.spark__whole_quotient(first, d) }} * 100000000
            + {{ taker.spark__whole_quotient('cast(' ~ second ~ ' + ' ~ half ~ ' as decimal(38,0))', d) }}
        ) * case when ({{ numerator }} < 0) = ({{ denominator }} < 0) then 1 else -1 end as decimal(38,0)
    ) * cast(0.0000000000000001 as decimal(17,16))
{%- endmacro %}

{#- m divided by d, cut to a whole number: both whole, none negative, d of at most 30 digits. -#}
{% macro spark__whole_quotient(m, d) -%}
    cast(cast({{ m }} - {{ m }} % {{ d }} as decimal(38,0)) / {{ d }} as decimal(38,0))
{%- endmacro %}

{% macro spark__hundred_millionths(amount) -%}
    try_cast(try_multiply(abs(cast({{ amount }} as decimal(38,8))), 100000000) as decimal(30,0))
{%- endmacro %}

{#- contracts × contract size ÷ price of one trade, as DECIMAL(38,16), rounded half away from zero. The price has 12 decimals, the others 8;
none is negative. There is one of these per trade: the result of `exact_quotient`, at a fifth of its cost. -#}
{% macro contracts_to_base(contracts, contract_size, price) -%}
    {{ return(adapter.dispatch('contracts_to_base', 'taker')(contracts, contract_size, price)) }}
{%- endmacro %}

{#- Prices below a million and trades below a billion USD, that is all there ever were, take one division of 128 bits. Others take long division in
two steps, which has room for what ingestion accepts (`ingestion/domain/datasets.py`) of any usual contract size; NULL beyond. -#}
{% macro duckdb__contracts_to_base(contracts, contract_size, price) -%}
    {%- set d = taker.duckdb__trillionths('cast(' ~ price ~ ' as decimal(18,12))') -%}
    {%- set usd = 'cast(' ~ contracts ~ ' as decimal(38,8)) * cast(' ~ contract_size ~ ' as decimal(38,8))' -%}
    {%- set far = 'cast(cast(' ~ usd ~ ' as decimal(38,8)) * 100000000 as hugeint) * 10000000000' -%}
    {%- set divisor = 'nullif(cast(cast(' ~ price ~ ' as decimal(38,12)) * 1000000000000 as hugeint), 0)' -%}
    cast(
        case
            when {{ price }} < 1000000 and {{ usd }} < 1000000000 then (
                {{ taker.duckdb__hundred_millionths('cast(' ~ contracts ~ ' as decimal(18,8))') }}
                * {{ taker.duckdb__hundred_millionths('cast(' ~ contract_size ~ ' as decimal(18,8))') }} * 1000000000000
                + {{ d }} // 2
            ) // nullif({{ d }}, 0)
            when cast({{ usd }} as double) < 1e16 and cast({{ usd }} as double) < 1e21 * cast({{ price }} as double) then (
                {{ far }} // {{ divisor }} * 10000000000
                + ({{ far }} % {{ divisor }} * 10000000000 + {{ divisor }} // 2) // {{ divisor }}
            )
        end as decimal(38,0)
    ) * cast(0.0000000000000001 as decimal(17,16))
{%- endmacro %}

{#- contracts × contract size is exact at 16 decimals; where it is 10^9 USD or more, or the price is a million, it is taken at 8, as DuckDB's long
division does. Prices reach 10^14. -#}
{% macro spark__contracts_to_base(contracts, contract_size, price) -%}
    {%- set usd = 'cast(' ~ contracts ~ ' as decimal(38,8)) * cast(' ~ contract_size ~ ' as decimal(38,8))' -%}
    {%- set u -%}
        case
            when {{ price }} < 1000000 and {{ usd }} < 1000000000
                then {{ taker.spark__hundred_millionths(contracts) }} * {{ taker.spark__hundred_millionths(contract_size) }}
            when cast({{ usd }} as double) < 1e16 and cast({{ usd }} as double) < 1e21 * cast({{ price }} as double)
                then {{ taker.spark__hundred_millionths(usd) }} * 100000000
        end
    {%- endset -%}
    {%- set p = 'nullif(try_cast(try_multiply(cast(' ~ price ~ ' as decimal(38,12)), 1000000000000) as decimal(26,0)), 0)' -%}
    {%- set u = '(' ~ u ~ ')' -%}
    {%- set rest = '((' ~ u ~ ' % ' ~ p ~ ') * 1000000000000)' -%}
    {%- set half = taker.spark__whole_quotient(p, '2') -%}
    try_cast(
        try_add(
            try_multiply({{ taker.spark__whole_quotient(u, p) }}, 1000000000000),
            {{ taker.spark__whole_quotient('cast(' ~ rest ~ ' + ' ~ half ~ ' as decimal(38,0))', p) }}
        ) as decimal(38,0)
    ) * cast(0.0000000000000001 as decimal(17,16))
{%- endmacro %}

{#- A DECIMAL(18,8) in units of 1e-8. Whole and fraction apart stay within 64 bits; a cast of the whole to 128 bits would divide. -#}
{% macro duckdb__hundred_millionths(amount) -%}
    cast(
        cast(floor({{ amount }}) as bigint) * 100000000
        + cast(({{ amount }} - floor({{ amount }})) * 100000000 as bigint) as hugeint
    )
{%- endmacro %}

{#- A DECIMAL(18,12) in units of 1e-12, in three parts for the same reason. -#}
{% macro duckdb__trillionths(price) -%}
    {%- set millionths = '((' ~ price ~ ' - floor(' ~ price ~ ')) * 1000000)' -%}
    cast(
        cast(floor({{ price }}) as bigint) * 1000000000000
        + cast(floor({{ millionths }}) as bigint) * 1000000
        + cast(({{ millionths }} - floor({{ millionths }})) * 1000000 as bigint) as hugeint
    )
{%- endmacro %}
