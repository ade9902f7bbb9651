"""What the published marts conclude: the verdict of each claim, and of the event study a row that concludes something
and one that refuses to.

Belongs here: the queries. Does not: judging (dbt), a claim of the command line (`orchestration.serving.claims`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from orchestration.config.marts import Marts
from orchestration.serving.published import connect


@dataclass(frozen=True)
class JudgedClaim:
    """A claim about a market that has bars here, and under how many definitions it is true, false, and undecided.

    `true_names`: the definitions under which it holds, as people name them. `reason`: why nothing can be decided.
    `more_extreme_count`: of the definitions under which it is false, those whose bar is even more extreme than claimed.
    """

    claim_id: str
    market_id: str
    note: str | None
    true_count: int
    false_count: int
    undecided_count: int
    true_names: str | None
    reason: str | None
    more_extreme_count: int = 0


def is_more_extreme(holds: bool | None, actual_rank: int | None, claimed_rank: int) -> bool:
    """A claim that is false since its bar is more extreme than it states."""
    return holds is False and actual_rank is not None and actual_rank < claimed_rank


def more_extreme_text(definitions: int) -> str:
    """What follows a verdict: under how many definitions the bar outdoes the claim; empty under none."""
    return f"; even more extreme than claimed under {definitions}" if definitions else ""


def other_verdicts_text(false_count: int, more_extreme_count: int, undecided_count: int) -> str:
    """What follows `TRUE under 4 of 8`: under how many of the others the claim is false, and under how many
    it is undecided."""
    more = ""
    if more_extreme_count:
        under = "" if more_extreme_count == false_count else f" under {more_extreme_count}"
        more = f" (even more extreme than claimed{under})"
    is_false = f" · FALSE under {false_count}{more}" if false_count else ""
    return is_false + (f" · CANNOT TELL under {undecided_count}" if undecided_count else "")


@dataclass(frozen=True)
class Studied:
    """A row of the event study. `of_what`: definition, side and horizon, as people name them."""

    market_id: str
    of_what: str
    conclusion: str


@dataclass(frozen=True)
class Judged:
    """`studied`: a row of the event study that concludes something and one that refuses to, as far as there are."""

    claims: tuple[JudgedClaim, ...]
    studied: tuple[Studied, ...]


_CLAIMS: Final = """
    select
        claims.claim_id, claims.market_id, claims.note,
        count(*) filter (verdicts.holds),
        count(*) filter (not verdicts.holds),
        count(*) filter (verdicts.holds is null),
        string_agg(definitions.definition_name, '; ' order by verdicts.definition_id) filter (verdicts.holds),
        min(verdicts.verdict_sentence) filter (verdicts.holds is null),
        count(*) filter (not verdicts.holds and verdicts.actual_rank < claims.claimed_rank)
    from dim_claims as claims
    inner join fct_claim_verdicts as verdicts on claims.claim_id = verdicts.claim_id
    inner join dim_spike_definitions as definitions on verdicts.definition_id = definitions.definition_id
    where claims.market_id in (select market_id from fct_net_taker_volume_daily)
    group by claims.claim_id, claims.market_id, claims.note
    order by count(*) filter (verdicts.holds) > 0 desc, count(*) filter (verdicts.holds is null), claims.claim_id
"""
# Of those that conclude something the most certain; of those that refuse the one with most events.
_STUDY: Final = """
    select
        study.market_id,
        definitions.definition_name || ', ' || study.side || ', ' || study.horizon_days
            || case study.horizon_days when 1 then ' day' else ' days' end,
        study.conclusion
    from agg_spike_event_study as study
    inner join dim_spike_definitions as definitions on study.definition_id = definitions.definition_id
    where study.is_conclusive = {is_conclusive}
    order by study.p_value nulls last, study.sample_size desc, study.market_id, study.definition_id, study.side,
        study.horizon_days
    limit 1
"""


def judged(serving: Marts) -> Judged:
    """NothingPublished, PublicationUnreadable."""
    with connect(serving) as connection:
        claims = connection.execute(_CLAIMS).fetchall()
        found = [connection.execute(_STUDY.format(is_conclusive=wanted)).fetchone() for wanted in (True, False)]
    return Judged(tuple(JudgedClaim(*claim) for claim in claims), tuple(Studied(*row) for row in found if row))
