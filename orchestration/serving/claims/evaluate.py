"""The verdicts of a claim under every spike definition, from the published marts.

Belongs here: finding the claim's market, running the dbt models of claims over it, the outcome. Does not: the rule
(these models, `int_claim_windows` to `fct_claim_verdicts`, whose text is run as it is), reading a claim (`parse`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestration.config.marts import Marts
from orchestration.serving.claims.parse import Claim
from orchestration.serving.published import connect, resolve_market
from orchestration.warehouse.sql import literal

if TYPE_CHECKING:
    import duckdb


class Outcome(Enum):
    """`HOLDS`: under at least one definition. `FAILS`: under none. `UNKNOWN`: the data cannot tell."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True)
class Verdict:
    """The verdict of one definition: a row of `fct_claim_verdicts`, with the definition's grain and unit.

    `is_measured`: the market has bars of this definition at all; where it has none, the definition has no say.
    `holds`: None when the data cannot tell; `sentence` gives the reason. `contradicted_bars`: of the window.
    """

    definition_id: str
    definition_name: str
    grain: str
    unit: str
    is_measured: bool
    as_of_at: datetime
    bar_at: datetime | None
    value: Decimal | None
    actual_rank: int | None
    actual_event_rank: int | None
    window_bars: int
    coverage_ratio: float
    holds: bool | None
    holds_by: str | None
    larger_events: str | None
    sentence: str
    flow_quality: str | None = None
    contradicted_bars: int = 0


@dataclass(frozen=True)
class Answer:
    """The claim, the market that it is about, and every definition's verdict. `latest_day`: the last published one."""

    claim: Claim
    market_id: str
    is_simulated: bool
    verdicts: tuple[Verdict, ...]
    latest_day: date | None = None

    @property
    def is_of_later_days(self) -> bool:
        """The claim is about days that are not published yet, and may not have begun."""
        return self.latest_day is not None and self.claim.event_from > self.latest_day

    @property
    def outcome(self) -> Outcome:
        """One definition that confirms it is enough; one that cannot tell could have been it."""
        outcomes = [verdict.holds for verdict in self.verdicts if verdict.is_measured]
        if True in outcomes:
            return Outcome.HOLDS
        return Outcome.UNKNOWN if None in outcomes or not outcomes else Outcome.FAILS


def check(serving: Marts, claim: Claim) -> Answer:
    """Every definition's verdict, from the published marts.

    Raises NothingPublished before the first publication, MarketNotPublished, and QueryFailed when the publication is
    from before claims could be checked.
    """
    with connect(serving) as connection:
        markets = dict(connection.execute("select market_id, is_simulated from dim_markets").fetchall())
        market_id = resolve_market(claim.market, sorted(markets))
        of_market = f"select max(bar_date) from fct_net_taker_volume_daily where market_id = {literal(market_id)}"
        ((latest_day,),) = connection.execute(of_market).fetchall()
        rows = _verdicts(connection, claim, market_id)
    return Answer(claim, market_id, markets[market_id], tuple(rows), latest_day)


# The models of claims, each reading those before it, and what stands for their other inputs in the published marts.
CLAIM_MODELS: Final = (
    "intermediate/int_claim_windows.sql",
    "intermediate/int_claim_bars.sql",
    "intermediate/int_claim_found_bars.sql",
    "intermediate/int_claim_larger_events.sql",
    "intermediate/int_claim_evidence.sql",
    "marts/analysis/fct_claim_verdicts.sql",
)
_PUBLISHED_AS: Final = {"int_spike_ranks": "fct_taker_spike_ranks", "spike_definitions": "dim_spike_definitions"}
_REF: Final = re.compile(r"\{\{ ref\('(\w+)'\) \}\}")
_MODELS_DIR: Final = Path(__file__).resolve().parents[3] / "dbt_project" / "models"
# One claim, made of the connection's variables. Bound parameters would make DuckDB import pandas, which takes longer
# than the answer.
_CLAIM: Final = """
    select
        'ad hoc' as claim_id,
        cast(getvariable('published_on') as date) as published_on,
        cast(getvariable('market_id') as varchar) as market_id,
        cast(getvariable('event_from') as date) as event_from,
        cast(getvariable('event_to') as date) as event_to,
        cast(getvariable('side') as varchar) as side,
        cast(getvariable('claimed_rank') as bigint) as claimed_rank,
        cast(getvariable('window_days') as bigint) as window_days
"""
_VERDICTS: Final = """
    select
        verdicts.definition_id, definitions.definition_name, definitions.grain, definitions.unit,
        exists (
            select 1 from fct_taker_spike_ranks as ranks
            where ranks.definition_id = verdicts.definition_id and ranks.market_id = verdicts.market_id
        ) as is_measured,
        verdicts.as_of_at, verdicts.bar_at, verdicts.value, verdicts.actual_rank, verdicts.actual_event_rank,
        verdicts.window_bars, verdicts.coverage_ratio, verdicts.holds, verdicts.holds_by, verdicts.larger_events,
        verdicts.verdict_sentence, verdicts.flow_quality, verdicts.contradicted_bars
    from fct_claim_verdicts as verdicts
    inner join dim_spike_definitions as definitions on verdicts.definition_id = definitions.definition_id
    order by verdicts.definition_id
"""


def over_published_marts(claims: str, query: str) -> str:
    """`query` over `fct_claim_verdicts` as dbt would build it if `claims` (SQL) were its seed of claims.

    The text of each model becomes a common table expression of its name: the models use nothing of dbt but `ref`.
    """
    steps = {"claims": claims}
    for path in CLAIM_MODELS:
        text = (_MODELS_DIR / path).read_text(encoding="utf-8")
        steps[Path(path).stem] = _REF.sub(lambda found: _PUBLISHED_AS.get(found[1], found[1]), text)
    return "with " + ",\n".join(f"{name} as (\n{text}\n)" for name, text in steps.items()) + query


def _verdicts(connection: duckdb.DuckDBPyConnection, claim: Claim, market_id: str) -> list[Verdict]:
    parameters = {
        "published_on": None if claim.as_of is None else str(claim.as_of),
        "market_id": market_id,
        "event_from": str(claim.event_from),
        "event_to": str(claim.event_to),
        "side": claim.side,
        "claimed_rank": str(claim.rank),
        "window_days": str(claim.window_days),
    }
    for name, value in parameters.items():
        connection.execute(f"set variable {name} = {'null' if value is None else literal(value)}")
    rows = connection.execute(over_published_marts(_CLAIM, _VERDICTS)).fetchall()
    return [Verdict(*row) for row in rows]


def facts(answer: Answer) -> Mapping[str, Any]:
    """The answer as plain facts, for --json."""

    claim = {**asdict(answer.claim), "market": answer.market_id}
    return {
        "claim": claim,
        "outcome": answer.outcome.value,
        "latest_day": answer.latest_day,
        "is_simulated": answer.is_simulated,
        "verdicts": [asdict(verdict) for verdict in answer.verdicts],
    }
