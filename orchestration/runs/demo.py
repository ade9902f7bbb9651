"""The demo: a simulated exchange in its own corner of ./var, apart from real data.

Belongs here: where the demo lives and which days it has. Does not: the simulation (`ingestion.simulator.simulated`).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ingestion.raw.durable import atomic_write
from orchestration.config.settings import OFF, Settings, load_settings, yesterday
from orchestration.state.locks import ARCHIVE, Workplace

if TYPE_CHECKING:
    from ingestion.simulator.simulated import SimulationSummary

MARKETS: Final = "simulated:BTCUSDT,simulated:BTCUSD_PERP"
FOLDER: Final = Path("var/demo")


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
        # Simulated numbers never replace real ones in a database that others read.
        publish_postgres_url=OFF,
        # Nor do they send alerts.
        alert_webhook_url=OFF,
    )


def next_steps() -> str:
    """What a newcomer can do now, as commands that work from where the demo was started."""
    taker = _command()
    return f"""
[bold]These numbers are SIMULATED.[/] Next:
  {taker} sql --demo "select market_id, bar_at, value, spike_rank, window_bars, event_rank from fct_taker_spike_ranks
      where definition_id = 'daily_usd' and side = 'bearish' and spike_rank <= 3 order by bar_at desc"
  {taker} status --demo     what the raw zone holds, lacks and corrected
  {taker} ui --demo         the same runs, assets and checks in Dagster, on http://127.0.0.1:3000
  {taker} run               real data: Binance BTCUSDT, two years
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
