"""The demo: two simulated exchanges in its own corner of ./var, apart from real data.

Belongs here: where the demo lives, which days it has, what is received and claimed there. Does not: the simulation
(`ingestion.simulator`).
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ingestion.raw.durable import atomic_write
from orchestration.config.claims import COLUMNS
from orchestration.config.dbt import DUCKDB
from orchestration.config.documentation import documentation
from orchestration.config.settings import OFF, Settings, load_settings, yesterday
from orchestration.state.locks import ARCHIVE, Workplace

if TYPE_CHECKING:
    from ingestion.simulator.simulated import SimulationSummary

MARKETS: Final = "simulated:BTCUSDT,simulated:BTCUSD_PERP,simulated:ETHUSDT,simulated_b:BTCUSDT"
FOLDER: Final = Path("var/demo")
METRICS_DAYS: Final = 120


def demo_settings(first_day: date | None = None) -> Settings:
    """Settings of the demo, independent of the environment's settings for real data."""
    folder = FOLDER.absolute()
    return load_settings(
        markets=MARKETS,
        archive_url=(folder / "archive").as_uri(),
        venue_urls=OFF,
        storage_url=str(folder),
        state_dir=folder,
        kline_interval="1h",
        trades_dataset="aggTrades",
        first_day=first_day or _recorded("first_day"),
        # Simulated numbers never replace real ones in a database or a lake that others read.
        publish_postgres_url=OFF,
        target=DUCKDB,
        # Nor do they send alerts.
        alert_webhook_url=OFF,
    )


def next_steps() -> str:
    """What a newcomer can do now, as commands that work from where the demo was started."""
    taker, pages = _command(), documentation()
    return f"""
[bold]These numbers are SIMULATED.[/] Next:
  {taker} sql --demo "select market_id, bar_date, net_taker_usd, robust_z, best_rank, best_rank_definition_name
      from rpt_market_screen order by abs(robust_z) desc"
  {taker} sql --demo "select r.market_id, r.bar_at, r.value, r.spike_rank as rank_when_it_happened,
        (select count(*) + 1 from fct_net_taker_volume_daily as d
         where d.market_id = r.market_id and d.net_taker_usd < r.value) as rank_of_all_days
      from fct_taker_spike_ranks as r
      where r.definition_id = 'daily_usd' and r.side = 'bearish' and r.spike_rank <= 3 order by r.bar_at desc"
  {taker} status --demo     what the raw zone holds, lacks and corrected
  {taker} ui --demo         the same runs, assets and checks in Dagster, on http://127.0.0.1:3000
  {taker} run               real data: Binance BTCUSDT, two years
  {taker} tables --demo     what can be queried, and what each column means
{f"The documentation is in {pages}: begin with querying.md" if pages is not None else ""}
"""


def _command() -> str:
    """`taker` where the shell finds it, else its place in the virtual environment."""
    if shutil.which("taker"):
        return "taker"
    installed = Path(sys.executable).with_name("taker")
    return str(installed.relative_to(Path.cwd())) if installed.is_relative_to(Path.cwd()) else str(installed)


def last_day() -> date:
    """The last day of the archive that is there; yesterday when there is none."""
    return _recorded("last_day") or yesterday()


def simulate_archive(last: date, progress: Callable[[float, str], None]) -> SimulationSummary:
    """Write the demo's archive, unless it is there already."""
    from ingestion.simulator.simulated import simulate

    summary = simulate(FOLDER.absolute() / "archive", last_day=last, progress=progress)
    with atomic_write(_record()) as staged:
        staged.write_text(json.dumps({"first_day": str(summary.first_day), "last_day": str(summary.last_day)}))
    return summary


def first_days(simulated: SimulationSummary) -> dict[str, date]:
    """Where the datasets begin that do not span the whole demo: a month of trades and of liquidations, since that is
    where the planned defects are, and metrics of the months in which most spikes lie."""
    recent = dict.fromkeys(("aggTrades", "trades", "liquidationSnapshot"), simulated.first_trades_day)
    return {**recent, "metrics": max(simulated.first_day, simulated.last_day - timedelta(days=METRICS_DAYS - 1))}


def receive_liquidations(settings: Settings, simulated: SimulationSummary) -> None:
    """Receive the last day's liquidations with the collector, and seal them; nothing once they are stored.

    SpoolBusy, SpoolFailed, SimulatedFeedLost, StorageError, OSError.
    """
    from ingestion.live.seal import collected_venues, seal
    from ingestion.raw.stores import open_store
    from ingestion.raw.zone import RawZone
    from ingestion.simulator.feed import replay
    from ingestion.venues.simulated import SIMULATED

    zone = RawZone(open_store(settings.storage_url))
    if SIMULATED.venue not in collected_venues(settings.spool_dir, zone):
        replay(simulated.root, simulated.last_day, settings.spool_dir)
    seal(settings.spool_dir, zone, now=datetime.now(UTC))


def write_claims(settings: Settings, simulated: SimulationSummary) -> None:
    """Three published sentences about the demo's markets: one is true, one is false, of one nothing can be decided."""
    last = simulated.last_day
    claims = [
        _claim("true", "BTCUSDT", last, "3", "730", "The last day was the third-largest selling day in two years."),
        _claim("false", "ETHUSDT", last, "1", "730", "The last day was the largest selling day in two years."),
        _claim(
            "cannot-tell",
            "BTCUSDT",
            last,
            "3",
            "1095",
            "The last day was the third-largest of three years.",
        ),
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(claims)
    with atomic_write(settings.paths.claims) as staged:
        staged.write_text(text.getvalue())


def _claim(name: str, symbol: str, day: date, rank: str, window_days: str, note: str) -> dict[str, str]:
    return {
        "claim_id": f"demo-{name}",
        "source": "the demo",
        "published_on": "",
        "market_id": f"simulated:{symbol}",
        "event_from": str(day),
        "event_to": str(day),
        "side": "bearish",
        "claimed_rank": rank,
        "window_days": window_days,
        "note": note,
    }


def forget(report: Callable[[str], None]) -> None:
    """Remove what the demo has made, once no other process works with it; Busy when one does for too long."""
    settings = demo_settings()
    with contextlib.closing(Workplace(settings.paths, settings.lock_wait_seconds)) as workplace:
        workplace.hold_warehouse(report)
        with workplace.alone(ARCHIVE, report):
            for found in FOLDER.absolute().iterdir():
                if found not in (settings.paths.locks, settings.paths.processes, settings.paths.scratch):
                    shutil.rmtree(found) if found.is_dir() else found.unlink()


def _record() -> Path:
    return FOLDER / "demo.json"


def _recorded(name: str) -> date | None:
    try:
        return date.fromisoformat(json.loads(_record().read_text())[name])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # torn: written again by the next simulation
