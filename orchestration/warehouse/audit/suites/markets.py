"""Markets: names, assets and contracts in `dim_markets`, and that every mart refers to it."""

from __future__ import annotations

from typing import Final

from orchestration.warehouse.audit.rules import WARNING, AuditSuite, Between, Holds, Known, NotEmpty, OneOf, UniqueKey

SIZE_SOURCES: Final = ("instruments", "seed", "convention", "unknown")

_CONTRACT: Final = ("contract_type", "contract_size", "contract_size_source", "quote_asset")

MARKETS: Final = AuditSuite(
    name="dim_markets",
    mart="dim_markets",
    key=("market_id",),
    sql="dim_markets.sql",
    description="Every market is named by its parts and has the contract size that its amounts were valued with.",
    rules=(
        NotEmpty(),
        UniqueKey(),
        Holds("is_id_of_parts", "a market is venue:symbol", ("venue", "symbol")),
        Holds("has_assets", "base and quote of a requested market are known", ("base_asset", "quote_asset")),
        OneOf("contract_type", ("linear", "inverse", "aggregate"), "a contract is linear, inverse or a sum", _CONTRACT),
        Between("contract_size", 0, None, "a contract has a size", _CONTRACT, strictly_above=True),
        OneOf("contract_size_source", SIZE_SOURCES, "the source of a contract's size is named", _CONTRACT),
        Holds("is_size_explained", "a size has a source, and no size has none", _CONTRACT),
        Holds("is_flow_valued", "no flow is valued with an unknown size", _CONTRACT),
        Holds(
            "is_size_known",
            "the contract size of every requested market is known; without it trades are kept and not valued: "
            "turn on the venue's REST API (TAKER_REST=on) or add the market to dbt_project/seeds/markets.csv",
            _CONTRACT,
            WARNING,
        ),
        Holds("is_size_of_type", "inverse contracts are sized in USD", _CONTRACT),
        Known("is_ingested", "whether a market was requested is known"),
        Holds("is_sum_named", "a sum over venues, and only that, is of the venue `all`", ("venue", "contract_type")),
        Holds("are_parts_named", "a sum over venues, and only that, names its markets", ("contract_type",)),
        Holds("is_labelled", "simulated markets, and only they, are labelled so", ("venue", "is_simulated")),
    ),
)

REFERENCES: Final = AuditSuite(
    name="dim_markets_references",
    mart="dim_markets",
    key=("market_id", "mart"),
    sql="dim_markets_references.sql",
    description="No mart holds a market that dim_markets lacks.",
    rules=(Holds("is_known_market", "every market of a mart stands in dim_markets"),),
)
