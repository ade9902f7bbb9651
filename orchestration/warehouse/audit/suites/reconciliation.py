"""Reconciliation: what the sources of a day report, which of them its bar is from, and which bars are contradicted."""

from __future__ import annotations

from typing import Final

from orchestration.warehouse.audit.rules import WARNING, AuditSuite, Between, Holds, Never, OneOf, UniqueKey, Zero
from orchestration.warehouse.audit.tolerances import ROUNDING

VERDICTS: Final = (
    "exact",
    "within_tolerance",
    "trades_incomplete",
    "conflict",
    "trades_only",
    "klines_only",
    "trades_implausible",
    "provisional_only",
)
REST_VERDICTS: Final = ("exact", "within_tolerance", "conflict", "not_comparable")
INTERVAL_VERDICTS: Final = ("single_interval", "exact", "within_tolerance", "conflict")

# The venue rounds the taker ratio that it reports, and the column holds an hour's largest difference.
_VENUE_RATIO_DIFFERENCE: Final = 0.02

WITNESSES: Final = (
    "klines",
    "own_length",
    "own_sides",
    "own_prices",
    "neighbouring_bars",
    "price_level",
    "open_interest_price",
    "other_markets_price",
    "longer_klines",
    "shorter_klines",
    "taker_ratio",
    "other_markets_volume",
)

_SOURCES: Final = ("trades_volume_usd", "klines_volume_usd", "difference_usd", "trades_net_usd", "klines_net_usd")
_DEFECTS: Final = ("agg_id_gaps", "duplicate_rows", "zero_rows", "out_of_order_rows", "quarantined_rows")
_INTERVALS: Final = (
    "kline_interval",
    "coarser_interval",
    "klines_volume_usd",
    "coarser_volume_usd",
    "interval_difference_usd",
)
_REST: Final = ("rest_verdict", "rest_hours", "rest_volume_usd", "rest_net_usd", "rest_difference_usd")

RECONCILIATION: Final = AuditSuite(
    name="fct_flow_reconciliation_daily",
    mart="fct_flow_reconciliation_daily",
    key=("market_id", "bar_date"),
    sql="fct_flow_reconciliation_daily.sql",
    description="Every verdict follows from its numbers; warns of the days on which the venue contradicts itself.",
    rules=(
        UniqueKey(),
        OneOf("verdict", VERDICTS, "the verdict is one of the known ones", _SOURCES),
        OneOf("interval_verdict", INTERVAL_VERDICTS, "the interval verdict is one of the known ones", _INTERVALS),
        Holds(
            "is_verdict_right",
            "the verdict follows from the volumes",
            ("verdict", "recomputed_verdict", "contradicted_bars", *_SOURCES),
        ),
        Holds(
            "is_interval_verdict_right",
            "the interval verdict follows from the volumes",
            ("interval_verdict", "best_interval_verdict", *_INTERVALS),
        ),
        Holds("is_witness_named", "what contradicts a bar is named", ("contradicted_bars", "contradicted_by")),
        Holds("is_difference_right", "difference = trades - klines, to the last digit", _SOURCES),
        Holds("is_interval_difference_right", "difference = finest - coarser klines, to the last digit", _INTERVALS),
        Between("smallest_defect_count", 0, None, "counts of defects are not negative", _DEFECTS),
        Never("verdict", "conflict", "trades and klines tell the same flow", (*_SOURCES, *_DEFECTS)),
        Never("verdict", "trades_incomplete", "the day's trades are complete", (*_SOURCES, *_DEFECTS)),
        Never("verdict", "trades_implausible", "the day's trades can be a market's flow", ("defect_reason", *_SOURCES)),
        Holds("is_venue_of_market", "the venue is the market's, and a sum over venues is not reconciled"),
        OneOf("rest_verdict", REST_VERDICTS, "the verdict on the api is one of the known ones", _REST),
        Holds("is_rest_verdict_right", "the verdict on the api follows from the volumes", _REST),
        Holds("is_rest_possible", "a day has 24 hours, and a net is no larger than its volume", _REST),
        Between("venue_taker_ratio_difference", 0, 1, "a difference is a share of the hour"),
        Between(
            "venue_taker_ratio_difference",
            None,
            _VENUE_RATIO_DIFFERENCE,
            "the venue's own taker volumes are ours",
            ("verdict",),
            WARNING,
        ),
        Never("rest_verdict", "conflict", "the archive agrees with the venue's API before it", _REST),
        Never("interval_verdict", "conflict", "the venue's klines of two intervals tell the same volume", _INTERVALS),
    ),
)

ROWS: Final = AuditSuite(
    name="fct_flow_reconciliation_daily_rows",
    mart="fct_flow_reconciliation_daily",
    key=("dataset", "market_id", "kline_interval", "bar_date"),
    sql="fct_flow_reconciliation_daily_rows.sql",
    description="Every row that a receipt states is read from the raw zone, and no other.",
    rules=(
        Zero("difference_rows", "the rows that are read are those of the receipt", ("expected_rows", "found_rows")),
    ),
)

CHOICE: Final = AuditSuite(
    name="fct_flow_reconciliation_daily_choice",
    mart="fct_flow_reconciliation_daily",
    key=("market_id", "bar_date"),
    sql="fct_flow_reconciliation_daily_choice.sql",
    description="Every day of the daily mart comes from the source that the reconciliation found complete.",
    rules=(
        Holds("is_in_daily", "a reconciled day is a day of the daily mart", ("verdict",)),
        Holds("is_in_reconciliation", "a day of the daily mart is reconciled", ("flow_source",)),
        Holds(
            "is_due_source",
            "a day comes from the source that is complete",
            ("verdict", "flow_source", "due_flow_source"),
        ),
        Between(
            "volume_difference_usd",
            0,
            ROUNDING,
            "a day's volume is that of its source",
            ("verdict", "flow_source", "volume_usd", "source_volume_usd"),
        ),
    ),
)

_FIGURES: Final = ("measure", "ours", "theirs", "tolerance", "effect")

CONTRADICTIONS: Final = AuditSuite(
    name="fct_flow_contradictions",
    mart="fct_flow_contradictions",
    key=("market_id", "source", "bar_interval", "bar_at", "witness"),
    sql="fct_flow_contradictions.sql",
    description="A bar that something contradicts is not used unless stated, and whatever rests on it states so.",
    rules=(
        UniqueKey(),
        OneOf("source", ("trades", "klines"), "bars of the archive are judged"),
        OneOf("witness", WITNESSES, "the witness is one of the known ones", _FIGURES),
        OneOf("effect", ("uncovered", "replaced", "stated"), "what follows is one of the known effects", _FIGURES),
        Holds("is_apart", "the two figures are further apart than the tolerance", _FIGURES),
        Holds("is_verdict_aware", "no day agrees of which a bar is contradicted", ("verdict", *_FIGURES)),
        Holds("is_unused", "a contradicted bar is not published", ("flow_source", *_FIGURES)),
        Holds("is_stated", "an hour that is contradicted states so", ("flow_source", "flow_quality", *_FIGURES)),
    ),
)
