{#- The claims of one's own, added to the seed `claims`: the variable `own_claims`, a list of rows of text by column. Does
not hold: what a claim means (`int_claim_windows`). -#}
{% macro own_claims() -%}
    {%- set stated = taker.setting('own_claims', []) -%}
    {%- set claims = fromjson(stated) if stated is string else stated -%}{#- A profile holds texts. -#}
    {%- if claims -%}
        {%- set types = {
            'published_on': 'date', 'event_from': 'date', 'event_to': 'date',
            'claimed_rank': 'bigint', 'window_days': 'bigint',
        } -%}
        insert into {{ this }}
        {%- for claim in claims %}
        select
            {%- for name in [
                'claim_id', 'source', 'published_on', 'market_id', 'event_from', 'event_to', 'side', 'claimed_rank',
                'window_days', 'note',
            ] %}
            {%- set text = taker.quoted(claim[name]) if claim[name] else 'null' %}
            cast({{ text }} as {{ types.get(name, 'string') }}){{ ',' if not loop.last }}
            {%- endfor %}
        {{- ' union all' if not loop.last }}
        {%- endfor %}
    {%- endif -%}
{%- endmacro %}
