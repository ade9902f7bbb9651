{#- What a quantity at a price is worth, by contract type. Exact decimals: prices have 12 decimals as stored, quantities and contract sizes 8.
The casts of arguments change no value of that type, and cost nothing; casts to fewer decimals divide 128-bit integers, and belong after a sum. -#}

{#- USD (quote of a linear contract): quantity × contract size × price. Inverse: contracts × contract size, whatever the price. NULL when the
contract size is. DECIMAL(38, `scale`): the 20 decimals of quantity × price hold it exactly up to 10^18 USD; contracts of another size than 1 are
first made base, at 12 decimals. What ingestion accepts of contracts of size 1 always fits (`ingestion/domain/datasets.py`); of others, whose size
is known here alone, NULL where it would not: no trade is worth 10^13 USD, and one absurd row must not stop every build. -#}
{% macro notional_usd(contract_type, contract_size, price, quantity, scale=20) -%}
    case
        when {{ contract_type }} = 'inverse' then case
            when cast({{ quantity }} as double) * cast({{ contract_size }} as double) < 1e16 then cast(
                cast({{ quantity }} as decimal(38,8)) * cast({{ contract_size }} as decimal(38,8))
                as decimal(38,{{ scale }})
            )
        end
        when {{ contract_size }} = 1 then cast(
            cast({{ quantity }} as decimal(38,8)) * cast({{ price }} as decimal(38,12)) as decimal(38,{{ scale }})
        )
        when
            cast({{ quantity }} as double) * cast({{ contract_size }} as double) * cast({{ price }} as double) < 1e13
            and cast({{ quantity }} as double) * cast({{ contract_size }} as double) < 1e21
            then cast(
                cast(
                    cast({{ quantity }} as decimal(38,8)) * cast({{ contract_size }} as decimal(38,8))
                    as decimal(38,12)
                ) * cast({{ price }} as decimal(38,12)) as decimal(38,{{ scale }})
            )
    end
{%- endmacro %}

{#- Base as the venue counts it: quantity × contract size. Inverse: contracts × contract size ÷ price, rounded at 16 decimals. DECIMAL(38,16). -#}
{% macro base_amount(contract_type, contract_size, price, quantity) -%}
    case
        when {{ contract_type }} = 'inverse'
            then {{ taker.contracts_to_base(quantity, contract_size, price) }}
        when {{ contract_size }} = 1 then cast({{ quantity }} as decimal(38,16))
        when cast({{ quantity }} as double) * cast({{ contract_size }} as double) < 1e14
            then cast({{ quantity }} as decimal(38,8)) * cast({{ contract_size }} as decimal(38,8))
    end
{%- endmacro %}

{#- A share of a whole as DECIMAL(9,8): coverages are summed in windows, and sums of doubles depend on the order. -#}
{% macro share(part, whole) -%}
    cast({{ taker.exact_quotient(part, whole) }} as decimal(9,8))
{%- endmacro %}

{#- (to − from) ÷ from of two prices of 18 decimals, as DECIMAL(38,16). The decimal point of prices below 1 is moved by ten places, so that the
quotient's 8 decimals hold all of their digits. NULL when `from` is zero. -#}
{% macro price_change(from_price, to_price) -%}
    case
        when {{ from_price }} >= 1 then {{ taker.exact_quotient(to_price ~ ' - ' ~ from_price, from_price) }}
        else {{ taker.exact_quotient(
            '(' ~ to_price ~ ' - ' ~ from_price ~ ') * 10000000000', from_price ~ ' * 10000000000'
        ) }}
    end
{%- endmacro %}

{#- What a price is multiplied by to be that of one unit of the base asset: 1 ÷ the multiplier, which is a power of ten of at most 8 zeros, so
that DECIMAL(9,8) holds it exactly. -#}
{% macro unit_price_factor(base_multiplier) -%}
    cast(cast(1 as double) / {{ base_multiplier }} as decimal(9,8))
{%- endmacro %}
