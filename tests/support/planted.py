"""One corruption per audit suite, and audit and publication of a warehouse as the job of `taker run` does them.

Belongs here: the publication that is to stand, what is planted in a warehouse that dbt has built (a bug of a model, as
no source can bring it about: the models state these identities), the run from there on, and what a person reads of it.
Does not: what must follow (`tests/torture/test_refusals.py`, `tests/torture/test_faulty_models.py`).
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console

from ingestion.simulator.simulated import simulate
from orchestration.checks.audit import audit_key
from orchestration.cli.render.run_report import show_report
from orchestration.config.settings import Settings
from orchestration.defs.publish import PUBLISHED_KEY
from orchestration.progress import Progress
from orchestration.runs import execution
from orchestration.runs.report import Recorder, RunReport
from orchestration.warehouse.audit.rules import AuditSuite
from orchestration.warehouse.audit.suites import SUITES
from tests.support.commands import Taker

FIRST, LAST = date(2026, 2, 20), date(2026, 3, 10)
MARKET = "simulated:BTCUSDT"
RUN = ("run", "-q", "--from", str(FIRST), "--to", str(LAST))

_ONE_HOUR = "(market_id, bar_at) = (select (market_id, bar_at) from {0} where venue <> 'all' order by all limit 1)"
_ONE_DAY = "(market_id, bar_date) = (select (market_id, bar_date) from {0} where venue <> 'all' order by all limit 1)"
_HOURLY, _DAILY = "fct_net_taker_volume_hourly", "fct_net_taker_volume_daily"
_RECONCILIATION, _RANKS = "fct_flow_reconciliation_daily", "fct_taker_spike_ranks"
_L_HOURLY, _L_DAILY, _L_ROLLING = "fct_liquidations_hourly", "fct_liquidations_daily", "fct_liquidations_rolling_24h"


def _of_a_sum(mart: str) -> str:
    """A sum over venues that is not that of its only market."""
    return (
        f"insert into {mart} by name select * replace ('simulated_all:BTC' as market_id, 'simulated_all' as venue, "
        f"taker_buy_usd + 1 as taker_buy_usd) from {mart} where market_id = 'simulated:BTCUSDT'"
    )


PLANTED = {
    "dim_markets": "update dim_markets set contract_type = 'quanto'",
    "dim_markets_references": "delete from dim_markets where market_id = 'simulated:BTCUSDT'",
    _HOURLY: f"update {_HOURLY} set net_taker_usd = net_taker_usd + 1 where {_ONE_HOUR.format(_HOURLY)}",
    f"{_HOURLY}_sums": _of_a_sum(_HOURLY),
    f"{_HOURLY}_days": f"update {_HOURLY} set taker_buy_usd = taker_buy_usd + 1 where {_ONE_HOUR.format(_HOURLY)}",
    _DAILY: f"update {_DAILY} set net_taker_usd = net_taker_usd + 1 where {_ONE_DAY.format(_DAILY)}",
    f"{_DAILY}_sums": _of_a_sum(_DAILY),
    f"{_HOURLY}_cvd": f"update {_HOURLY} set cvd_usd = cvd_usd + 1 where {_ONE_HOUR.format(_HOURLY)}",
    f"{_DAILY}_cvd": f"update {_DAILY} set cvd_base = -cvd_base where {_ONE_DAY.format(_DAILY)}",
    "fct_net_taker_volume_minute": "update fct_net_taker_volume_minute set net_taker_usd = net_taker_usd + 1",
    "fct_net_taker_volume_minute_hours": (
        "delete from fct_net_taker_volume_minute where date_trunc('hour', bar_at) = "
        "(select date_trunc('hour', max(bar_at)) from fct_net_taker_volume_minute)"
    ),
    f"{_DAILY}_gaps": f"delete from {_DAILY} where bar_date = date '2026-03-01'",
    "fct_taker_dominance_daily": "update fct_taker_dominance_daily set buy_dominance_percentile = 2",
    _RANKS: f"update {_RANKS} set spike_rank = 0",
    f"{_RANKS}_definitions": f"delete from {_RANKS} where definition_id = 'daily_usd'",
    _RECONCILIATION: f"update {_RECONCILIATION} set verdict = 'fine' where bar_date = date '2026-03-01'",
    f"{_RECONCILIATION}_choice": f"delete from {_RECONCILIATION} where bar_date = date '2026-03-01'",
    f"{_RECONCILIATION}_rows": (
        "insert into int_raw_row_counts by name select 'klines' as dataset, market_id, '1h' as kline_interval, "
        "bar_date, 24 as expected_rows, 23 as found_rows from fct_net_taker_volume_daily order by all limit 1"
    ),
    "fct_flow_contradictions": (
        "insert into fct_flow_contradictions by name select market_id, venue, 'klines' as source, '1h' as "
        "bar_interval, bar_at, cast(bar_at as date) as bar_date, 'a guess' as witness, 'volume_usd' as measure, "
        f"1 as ours, 2 as theirs, 0.5 as tolerance, 'stated' as effect from {_HOURLY} where venue <> 'all' "
        "order by all limit 1"
    ),
    _L_HOURLY: f"update {_L_HOURLY} set long_usd = -1 where market_id like 'simulated:%'",
    f"{_L_HOURLY}_widths": (
        f"insert into {_L_HOURLY} by name select * replace ('simulated:ALL' as market_id, order_count + 1 as "
        f"order_count) from {_L_HOURLY} where market_id = 'simulated:BTCUSDT'"
    ),
    _L_DAILY: f"update {_L_DAILY} set long_usd = -1 where market_id like 'simulated:%'",
    f"{_L_DAILY}_days": f"delete from {_L_DAILY} where bar_date = date '2026-03-08'",
    _L_ROLLING: f"update {_L_ROLLING} set long_usd = -1 where market_id like 'simulated:%'",
    f"{_L_ROLLING}_windows": f"update {_L_ROLLING} set order_count = order_count + 1 where venue = 'simulated'",
    "fct_open_interest_hourly": (
        "update fct_open_interest_hourly set open_interest_base = open_interest_base + 1 "
        "where bar_at = timestamp '2026-03-01 05:00:00'"
    ),
    "fct_open_interest_daily": "update fct_open_interest_daily set change_24h_base = change_24h_base + 1",
    "fct_long_short_ratios": "delete from fct_long_short_ratios where bar_at = timestamp '2026-03-01 05:00:00'",
    "fct_funding_rates": "update fct_funding_rates set cumulative_rate = cumulative_rate + 1",
    "fct_funding_rates_days": "delete from fct_funding_rates where bar_date = date '2026-02-25'",
    "fct_claim_verdicts": "insert into fct_claim_verdicts select * from fct_claim_verdicts limit 1",
    # An event of a rank that is not followed, where the archive is too short for any other.
    "fct_spike_forward_returns": (
        "insert into fct_spike_forward_returns by name select definition_id, market_id, side, bar_at as event_at, "
        "21 as event_rank, value, 1 as horizon_days, bar_at as entry_at, bar_at as exit_at, bar_at as known_at, "
        f"false as is_complete, 'as_published' as flow_quality from {_RANKS} order by all limit 1"
    ),
    "fct_spike_context": (
        "insert into fct_spike_context by name select definition_id, market_id, side, bar_at as event_at, 21 as "
        "event_rank, value, 4 as horizon_hours, bar_at as from_at, bar_at as to_at, 0 as funding_coverage_ratio, "
        f"0 as liquidations_coverage_ratio, true as is_lower_bound from {_RANKS} order by all limit 1"
    ),
    "rpt_market_screen": "update rpt_market_screen set net_taker_usd = net_taker_usd + 1",
    "fct_hour_of_week_profile": "update fct_hour_of_week_profile set weekday = 8 - weekday",
    "agg_spike_event_study": "insert into agg_spike_event_study select * from agg_spike_event_study limit 1",
    "rpt_market_brief_daily": "insert into rpt_market_brief_daily select * from rpt_market_brief_daily limit 1",
}

_JOB = "audit_and_publish"


def published_simulation(folder: Path) -> Taker:
    """A warehouse that dbt built from a simulated archive, and its publication."""
    simulate(folder / "archive", last_day=LAST, days=45, trades_days=7, rows_per_day=500)
    settings = {"TAKER_ARCHIVE_URL": (folder / "archive").as_uri(), "TAKER_MARKETS": MARKET}
    taker = Taker(folder / "var", settings)
    done = taker.run(*RUN)
    assert done.returncode == 0, done.stderr
    return taker


def standing(marts: Path) -> dict[str, bytes]:
    """What readers of this publication see."""
    return {path.name: path.read_bytes() for path in (marts, marts.parent / "latest.json")}


def names_row(line: str, suite: AuditSuite) -> bool:
    """The row that is shown first has the whole key of the suite: market, day and what else there is."""
    shown = line.partition("; first: ")[2].split(", ")
    return all(any(value.startswith(f"{name} ") for value in shown) for name in suite.key)


@dataclass(frozen=True)
class Published:
    """What a run left: whether new marts are out, and what it prints of failures."""

    published: bool
    printed: str
    blocked_by: frozenset[str]


class Audits:
    """Audits and publishes whatever the warehouse of these settings holds: `build_and_publish` without its build."""

    def __init__(self, session: Any) -> None:
        self._session = session

    @classmethod
    @contextmanager
    def of(cls, settings: Settings) -> Iterator[Audits]:
        with execution._session(settings, Recorder(Progress(), RunReport()), RunReport(), debug=False) as session:
            checks = dg.AssetSelection.checks(*map(audit_key, SUITES))
            selection = dg.AssetSelection.assets(PUBLISHED_KEY) | checks
            job = dg.define_asset_job(_JOB, selection=selection, executor_def=dg.in_process_executor)
            definitions = dg.Definitions.merge(session.definitions, dg.Definitions(jobs=[job]))
            yield cls(dataclasses.replace(session, definitions=definitions))

    def publish(self) -> Published:
        report = RunReport()
        execution._execute(dataclasses.replace(self._session, report=report), _JOB)
        text = io.StringIO()
        show_report(Console(file=text, width=100_000), report, [], problems_only=True)
        blocked_by = frozenset(check.name.removeprefix("gx_") for check in report.checks if check.blocks)
        return Published(report.published, text.getvalue(), blocked_by)
