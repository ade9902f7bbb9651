"""Every command that reads what is published, run on one machine.

Belongs here: the questions, and their answers as printed. Does not: expectations.
"""

from __future__ import annotations

from pathlib import Path

from orchestration.report.write import run_on
from tests.support.commands import Taker

RUN_ID = "select run_id from publication"


def answers(machine: Taker, market: str, day: object, **settings: str) -> dict[str, str]:
    """What each command answers on this machine, by its name; of `report`, the run that the page is of."""
    questions = (
        ("sql", "--csv", f"{RUN_ID} union all select sum(net_taker_usd)::varchar from fct_net_taker_volume_hourly"),
        ("tables", "--json"),
        ("brief", "--json"),
        ("claim", "--json", f"{market} {day} bearish rank 1 in 730 days"),
        ("status", "--json"),
        ("verify", "--json"),
    )
    found = {}
    for command in questions:
        done = machine.run(*command, **settings)
        assert (done.returncode, done.stderr) == (0, "") or command[0] == "claim", (command, done.stdout, done.stderr)
        assert done.stdout, (command, done.stderr)
        found[command[0]] = done.stdout
    page = Path(machine.run("report", "--no-open", **settings).stdout.strip())
    return found | {"report": str(run_on(page))}
