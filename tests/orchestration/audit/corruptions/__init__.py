"""Every corruption that the audit must find, by group of marts."""

from tests.orchestration.audit.corruptions import (
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

CORRUPTIONS = [
    *net_taker_volume.CORRUPTIONS,
    *minutes.CORRUPTIONS,
    *dominance.CORRUPTIONS,
    *spike_ranks.CORRUPTIONS,
    *reconciliation.CORRUPTIONS,
    *liquidations.CORRUPTIONS,
    *positioning.CORRUPTIONS,
    *markets.CORRUPTIONS,
    *claims.CORRUPTIONS,
    *event_study.CORRUPTIONS,
    *brief.CORRUPTIONS,
    *screen.CORRUPTIONS,
    *rank_revisions.CORRUPTIONS,
]
