"""What may go wrong in `dim_markets`."""

from __future__ import annotations

from orchestration.warehouse.audit.rules import WARNING
from tests.orchestration.audit.corruption import INVERSE, Corruption

CORRUPTIONS = [
    Corruption("dim_markets", "", "delete from dim_markets"),
    Corruption("dim_markets", "market_id", "insert into dim_markets select * from dim_markets limit 1"),
    Corruption("dim_markets", "is_id_of_parts", "update dim_markets set symbol = 'ETHUSDT'"),
    Corruption("dim_markets", "has_assets", "update dim_markets set base_asset = null"),
    Corruption("dim_markets", "contract_type", "update dim_markets set contract_type = 'quanto'"),
    Corruption("dim_markets", "has_assets", "update dim_markets set contract_type = null"),
    Corruption("dim_markets", "has_assets", "update dim_markets set is_ingested = true"),
    Corruption("dim_markets", "contract_size", "update dim_markets set contract_size = 0"),
    Corruption("dim_markets", "contract_size_source", "update dim_markets set contract_size_source = 'guess'"),
    Corruption("dim_markets", "is_size_explained", "update dim_markets set contract_size = null"),
    Corruption("dim_markets", "is_size_explained", "update dim_markets set contract_size_source = 'unknown'"),
    Corruption("dim_markets", "is_flow_valued", "update dim_markets set contract_size = null"),
    Corruption(
        "dim_markets",
        "is_size_known",
        "update dim_markets set contract_size = null, contract_size_source = 'unknown', is_ingested = true "
        "where market_id = 'bybit:XRPUSDT'",
        WARNING,
    ),
    Corruption("dim_markets", "is_size_of_type", "update dim_markets set contract_type = 'inverse'"),
    Corruption("dim_markets", "is_ingested", "update dim_markets set is_ingested = null"),
    Corruption("dim_markets", "is_sum_named", f"update dim_markets set venue = 'all' where market_id = '{INVERSE}'"),
    Corruption(
        "dim_markets", "are_parts_named", f"update dim_markets set is_aggregate = true where market_id = '{INVERSE}'"
    ),
    Corruption("dim_markets", "are_parts_named", "update dim_markets set part_market_ids = null"),
    Corruption("dim_markets", "are_parts_named", "update dim_markets set is_aggregate = null"),
    Corruption("dim_markets", "is_labelled", "update dim_markets set is_simulated = true"),
    Corruption("dim_markets_references", "is_known_market", f"delete from dim_markets where market_id = '{INVERSE}'"),
]
