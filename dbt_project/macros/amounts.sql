{#- What a quantity at a price is worth, by contract type. Exact decimals: the casts make room before the multiplication, since
DECIMAL(18,8) times DECIMAL(18,8) overflows. -#}

{#- USD (quote of a linear contract): quantity × contract size × price. Inverse: contracts × contract size, whatever the price. NULL when the
contract size is. `price_scale`: the decimals of the price. DECIMAL(38, `scale`), rounded once. The product of three has 16 + `price_scale` decimals,
and 38 − 16 − `price_scale` digits before them are its limit. -#}
{% macro notional_usd(contract_type, contract_size, price, quantity, price_scale=8, scale=16) -%}
    case
        when {{ contract_type }} = 'inverse' then cast(
            cast({{ quantity }} as decimal(38,8)) * cast({{ contract_size }} as decimal(38,8)) as decimal(38,{{ scale }})
        )
        when {{ contract_size }} = 1 then cast(
            cast({{ quantity }} as decimal(38,8)) * cast({{ price }} as decimal(38,{{ price_scale }})) as decimal(38,{{ scale }})
        )
        else cast(
            cast({{ quantity }} as decimal(38,8)) * cast({{ contract_size }} as decimal(18,8)) * cast({{ price }} as decimal(38,{{ price_scale }}))
            as decimal(38,{{ scale }})
        )
    end
{%- endmacro %}

{#- Base: quantity × contract size. Inverse: contracts × contract size ÷ price, rounded at 16 decimals. DECIMAL(38,16). -#}
{% macro base_amount(contract_type, contract_size, price, quantity) -%}
    case
        when {{ contract_type }} = 'inverse'
            then {{ taker.contracts_to_base(quantity, contract_size, price) }}
        when {{ contract_size }} = 1 then cast({{ quantity }} as decimal(38,16))
        else cast({{ quantity }} as decimal(38,8)) * cast({{ contract_size }} as decimal(38,8))
    end
{%- endmacro %}

{#- A share of a whole as DECIMAL(9,8): coverages are summed in windows, and sums of doubles depend on the order. -#}
{% macro share(part, whole) -%}
    cast({{ taker.exact_quotient(part, whole) }} as decimal(9,8))
{%- endmacro %}
