"""A finished demo that several test modules look at: made once, copied for those that change it.

Belongs here: making it as `make demo` does, with a last day that does not move; copies. Does not: expectations.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from ingestion.simulator.simulated import DefectKind, SimulationSummary, simulate
from tests.support.commands import Taker
from tests.support.installed import Installed

LINEAR, INVERSE, ETHER = "simulated:BTCUSDT", "simulated:BTCUSD_PERP", "simulated:ETHUSDT"
# Of the second exchange, and the sum over both.
OTHER, SUM = "simulated_b:BTCUSDT", "simulated_all:BTC"
LAST_DAY = date(2026, 6, 30)
_HOME = Path("var", "demo")


@dataclass(frozen=True)
class Demo:
    """`folder`: where `taker … --demo` is to be run. `facts`: the closing answer of the run that made it."""

    folder: Path
    simulated: SimulationSummary
    facts: Any

    @property
    def taker(self) -> Taker:
        """The same warehouse, by settings."""
        settings = {
            "TAKER_MARKETS": f"{LINEAR},{INVERSE},{ETHER},{OTHER}",
            "TAKER_ARCHIVE_URL": self.simulated.root.as_uri(),
            "TAKER_FIRST_DAY": str(self.simulated.first_day),
        }
        return Taker(self.folder / _HOME, settings)

    @property
    def days(self) -> tuple[str, str, str, str]:
        """The options that make `taker run` request what the demo requested."""
        return ("--from", str(self.simulated.first_trades_day), "--to", str(LAST_DAY))

    def day_of(self, kind: DefectKind) -> date:
        return next(defect.day for defect in self.simulated.defects if defect.kind is kind)

    def copied_to(self, folder: Path) -> Demo:
        """The same demo in another place, to be changed there."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return replace(self, folder=folder, simulated=replace(self.simulated, root=folder / _HOME / "archive"))


def made_demo(folder: Path, installed: Installed) -> Demo:
    """What `make demo` does, by the command that the wheel installs."""
    home = folder / _HOME
    home.mkdir(parents=True)
    (home / "demo.json").write_text(json.dumps({"last_day": str(LAST_DAY)}))
    facts = json.loads(installed.run(folder, "demo", "--json"))
    # The archive is there already: what is in it.
    return Demo(folder, simulate(home / "archive", last_day=LAST_DAY), facts)
