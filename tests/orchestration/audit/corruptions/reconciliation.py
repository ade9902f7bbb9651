"""What may go wrong in the reconciliation of sources."""

from __future__ import annotations

from orchestration.warehouse.audit.rules import WARNING
from tests.orchestration.audit.corruption import (
    CONTRADICTIONS,
    DAILY,
    HOURLY,
    ONE_DAY,
    ONE_HOUR,
    RECONCILIATION,
    REST_DAY,
    Corruption,
    update,
)

CORRUPTIONS = [
    Corruption(
        RECONCILIATION,
        "market_id, bar_date",
        f"insert into {RECONCILIATION} select * from {RECONCILIATION} where {ONE_DAY}",
    ),
    update(RECONCILIATION, RECONCILIATION, ONE_DAY, "verdict", "verdict = 'fine'"),
    update(RECONCILIATION, RECONCILIATION, ONE_DAY, "interval_verdict", "interval_verdict = 'fine'"),
    update(RECONCILIATION, RECONCILIATION, ONE_DAY, "is_verdict_right", "verdict = 'exact'"),
    update(RECONCILIATION, RECONCILIATION, ONE_DAY, "is_verdict_right", "verdict = null"),
    update(
        RECONCILIATION, RECONCILIATION, ONE_DAY, "is_interval_verdict_right", "interval_verdict = 'single_interval'"
    ),
    update(RECONCILIATION, RECONCILIATION, REST_DAY, "is_verdict_right", "contradicted_bars = 1"),
    update(RECONCILIATION, RECONCILIATION, ONE_DAY, "is_witness_named", "contradicted_bars = 1"),
    update(RECONCILIATION, RECONCILIATION, ONE_DAY, "is_difference_right", "difference_usd = 0"),
    update(RECONCILIATION, RECONCILIATION, ONE_DAY, "is_venue_of_market", "venue = 'all'"),
    update(RECONCILIATION, RECONCILIATION, REST_DAY, "rest_verdict", "rest_verdict = 'guess'"),
    update(
        RECONCILIATION,
        RECONCILIATION,
        REST_DAY,
        "rest_verdict",
        "rest_verdict = 'conflict', rest_difference_usd = 500, rest_volume_usd = rest_volume_usd + 500",
        WARNING,
    ),
    update(RECONCILIATION, RECONCILIATION, REST_DAY, "is_rest_verdict_right", "rest_difference_usd = 500"),
    update(RECONCILIATION, RECONCILIATION, REST_DAY, "is_rest_verdict_right", "rest_verdict = null"),
    update(RECONCILIATION, RECONCILIATION, REST_DAY, "is_rest_verdict_right", "rest_hours = 0"),
    update(RECONCILIATION, RECONCILIATION, REST_DAY, "is_rest_possible", "rest_hours = 25"),
    update(RECONCILIATION, RECONCILIATION, REST_DAY, "is_rest_possible", "rest_net_usd = -2 * rest_volume_usd"),
    update(
        RECONCILIATION,
        RECONCILIATION,
        REST_DAY,
        "venue_taker_ratio_difference",
        "venue_taker_ratio_difference = 1.5",
    ),
    update(
        RECONCILIATION,
        RECONCILIATION,
        REST_DAY,
        "venue_taker_ratio_difference",
        "venue_taker_ratio_difference = 0.05",
        WARNING,
    ),
    update(
        RECONCILIATION, RECONCILIATION, ONE_DAY, "is_interval_difference_right", "interval_difference_usd = 0.00000001"
    ),
    update(RECONCILIATION, RECONCILIATION, ONE_DAY, "smallest_defect_count", "zero_rows = -1"),
    Corruption(
        RECONCILIATION,
        "verdict",
        f"""update {RECONCILIATION} set trades_volume_usd = klines_volume_usd * 2,
            difference_usd = klines_volume_usd, verdict = 'conflict' where bar_date = date '2024-03-20'""",
        WARNING,
    ),
    Corruption(
        RECONCILIATION,
        "verdict",
        f"""update {RECONCILIATION} set trades_net_usd = klines_net_usd + klines_volume_usd, verdict = 'conflict'
            where bar_date = date '2024-03-20'""",
        WARNING,
    ),
    Corruption(
        RECONCILIATION,
        "verdict",
        f"""update {RECONCILIATION} set trades_volume_usd = 1, difference_usd = 1 - klines_volume_usd,
            verdict = 'trades_incomplete' where bar_date = date '2024-03-20'""",
        WARNING,
    ),
    update(RECONCILIATION, RECONCILIATION, REST_DAY, "is_verdict_right", "verdict = 'trades_implausible'"),
    Corruption(
        RECONCILIATION,
        "verdict",
        f"""update {RECONCILIATION} set verdict = 'trades_implausible', defect_reason = 'every trade is on one side'
            where {REST_DAY}""",
        WARNING,
    ),
    Corruption(
        RECONCILIATION,
        "interval_verdict",
        f"""update {RECONCILIATION} set coarser_volume_usd = klines_volume_usd * 2,
            interval_difference_usd = -klines_volume_usd, interval_verdict = 'conflict' where {ONE_DAY}""",
        WARNING,
    ),
    Corruption(
        f"{RECONCILIATION}_rows", "difference_rows", f"update int_raw_row_counts set found_rows = 0 where {ONE_DAY}"
    ),
    Corruption(f"{RECONCILIATION}_choice", "is_in_daily", f"delete from {DAILY} where {ONE_DAY}"),
    Corruption(f"{RECONCILIATION}_choice", "is_in_reconciliation", f"delete from {RECONCILIATION} where {ONE_DAY}"),
    update(f"{RECONCILIATION}_choice", DAILY, ONE_DAY, "is_due_source", "flow_source = 'trades'"),
    update(
        f"{RECONCILIATION}_choice",
        RECONCILIATION,
        "bar_date = date '2024-03-20'",
        "is_due_source",
        "verdict = 'trades_incomplete'",
    ),
    update(f"{RECONCILIATION}_choice", RECONCILIATION, REST_DAY, "is_due_source", "verdict = 'trades_implausible'"),
    update(f"{RECONCILIATION}_choice", DAILY, ONE_DAY, "volume_difference_usd", "volume_usd = volume_usd - 1"),
    Corruption(
        CONTRADICTIONS,
        "market_id, source, bar_interval, bar_at, witness",
        f"insert into {CONTRADICTIONS} select * from {CONTRADICTIONS}",
    ),
    update(CONTRADICTIONS, CONTRADICTIONS, "true", "source", "source = 'rest_klines'"),
    update(CONTRADICTIONS, CONTRADICTIONS, "true", "witness", "witness = 'rumour'"),
    update(CONTRADICTIONS, CONTRADICTIONS, "true", "effect", "effect = 'ignored'"),
    update(CONTRADICTIONS, CONTRADICTIONS, "true", "is_apart", "ours = theirs"),
    update(CONTRADICTIONS, CONTRADICTIONS, "true", "is_verdict_aware", "effect = 'uncovered'"),
    update(CONTRADICTIONS, CONTRADICTIONS, "true", "is_unused", "effect = 'uncovered'"),
    update(CONTRADICTIONS, HOURLY, ONE_HOUR, "is_stated", "flow_quality = 'as_published'"),
]
