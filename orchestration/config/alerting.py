"""What the settings state about alerts, as one narrow value.

Belongs here: which publication, markets and limits are watched, and who receives alerts. Does not: what deserves an
alert (`orchestration.alerts`), or how a setting is checked (`settings`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr


@dataclass(frozen=True)
class AlertRules:
    """What is watched, and from which limit on it deserves an alert.

    `serving`: marts.duckdb. `spool`: the collector's folder. `outbox`: where alerts are recorded. `definition`, `rank`:
    spikes of the first ranks under that definition. `liquidation_percentile`: of 24 h totals among their own history.
    `receiver`: the webhook's URL, None without one; it holds a token.
    """

    serving: Path
    spool: Path
    outbox: Path
    markets: tuple[str, ...]
    is_simulated: bool
    definition: str
    rank: int
    liquidation_percentile: float
    receiver: SecretStr | None
