-- One row per market: its name, assets and contract, and whether its flow is valued.
{% from "macros.sql" import is_simulated, sum_venues %}

select
    market_id,
    venue,
    symbol,
    base_asset,
    quote_asset,
    contract_type,
    contract_size,
    contract_size_source,
    is_ingested,
    is_simulated,
    coalesce(market_id = venue || ':' || symbol, false) as is_id_of_parts,
    -- A symbol known from a feed only may be unparsed; a requested one may not.
    (base_asset is not null and quote_asset is not null and contract_type is not null)
    or coalesce(
        not is_ingested and base_asset is null and quote_asset is null and contract_type is null, false
    ) as has_assets,
    coalesce(contract_type <> 'inverse' or quote_asset = 'USD', true) as is_size_of_type,
    coalesce((contract_size is null) = (contract_size_source = 'unknown'), false) as is_size_explained,
    contract_size is not null
    or not (
        exists (select 1 from fct_net_taker_volume_hourly as hourly where hourly.market_id = dim_markets.market_id)
        or exists (select 1 from fct_net_taker_volume_daily as daily where daily.market_id = dim_markets.market_id)
    ) as is_flow_valued,
    coalesce(contract_size is not null or not is_ingested, false) as is_size_known,
    (coalesce(contract_type, '') = 'aggregate') = (venue in ({{ sum_venues }})) as is_sum_named,
    coalesce(
        is_aggregate = (coalesce(contract_type, '') = 'aggregate') and is_aggregate = (part_market_ids is not null), false
    ) as are_parts_named,
    coalesce(is_simulated = ({{ is_simulated("venue", simulated_venues) }}), false) as is_labelled
from dim_markets
