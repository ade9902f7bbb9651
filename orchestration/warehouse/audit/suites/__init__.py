"""The suites, as data: one module per mart or group of marts.

Belongs here: which frames are audited and what must hold in each. Does not: the SQL of a frame (`sql/`), how a rule is
judged (`expectations`, `gx`).
"""

from __future__ import annotations

from typing import Final

from orchestration.warehouse.audit.rules import AuditSuite
from orchestration.warehouse.audit.suites import (
    brief,
    claims,
    dominance,
    event_study,
    liquidations,
    markets,
    minutes,
    net_taker_volume,
    positioning,
    rank_revisions,
    reconciliation,
    screen,
    spike_ranks,
)

# In the order in which the checks of a run are defined.
SUITES: Final[tuple[AuditSuite, ...]] = (
    markets.MARKETS,
    markets.REFERENCES,
    net_taker_volume.HOURLY,
    net_taker_volume.HOURLY_DAYS,
    net_taker_volume.HOURLY_SUMS,
    net_taker_volume.DAILY_SUMS,
    net_taker_volume.DAILY,
    net_taker_volume.DAILY_GAPS,
    net_taker_volume.HOURLY_CVD,
    net_taker_volume.DAILY_CVD,
    minutes.MINUTES,
    minutes.MINUTE_HOURS,
    dominance.DOMINANCE,
    spike_ranks.RANKS,
    spike_ranks.RANKS_DEFINITIONS,
    reconciliation.RECONCILIATION,
    reconciliation.CHOICE,
    reconciliation.ROWS,
    reconciliation.CONTRADICTIONS,
    liquidations.HOURLY,
    liquidations.HOURLY_WIDTHS,
    liquidations.DAILY,
    liquidations.DAILY_DAYS,
    liquidations.ROLLING,
    liquidations.ROLLING_WINDOWS,
    positioning.OPEN_INTEREST_HOURLY,
    positioning.OPEN_INTEREST_DAILY,
    positioning.RATIOS,
    positioning.FUNDINGS,
    positioning.FUNDING_DAYS,
    claims.CLAIMS,
    event_study.RETURNS,
    event_study.CONTEXT,
    event_study.STUDY,
    brief.BRIEF,
    screen.SCREEN,
    screen.PROFILE,
)

# Not among SUITES: the history is no model of dbt's and is judged in the publication that is being built.
HISTORY_SUITE: Final = rank_revisions.HISTORY
