{#- What a quantity at a price is worth, by contract type. Exact decimals: the casts make room before the multiplication, since
DECIMAL(18,8) times DECIMAL(18,8) overflows. -#}

{#- USD (quote of a linear contract). Inverse: contracts × contract size, whatever the price. DECIMAL(38,16). -#}
{% macro notional_usd(contract_type, contract_size, price, quantity) -%}
    case
        when {{ contract_type }} = 'inverse' then cast({{ quantity }} as decimal(38,8)) * cast({{ contract_size }} as decimal(38,8))
        else cast({{ quantity }} as decimal(38,8)) * cast({{ price }} as decimal(38,8))
    end
{%- endmacro %}

{#- Base. Inverse: contracts × contract size ÷ price, rounded at 16 decimals. DECIMAL(38,16). -#}
{% macro base_amount(contract_type, contract_size, price, quantity) -%}
    case
        when {{ contract_type }} = 'inverse'
            then {{ taker.contracts_to_base(quantity, contract_size, price) }}
        else cast({{ quantity }} as decimal(38,16))
    end
{%- endmacro %}

{#- A share of a whole as DECIMAL(9,8): coverages are summed in windows, and sums of doubles depend on the order. -#}
{% macro share(part, whole) -%}
    cast({{ taker.exact_quotient(part, whole) }} as decimal(9,8))
{%- endmacro %}
