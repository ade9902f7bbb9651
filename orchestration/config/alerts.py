"""What the evaluation of alerts needs to know of this installation.

Belongs here: the TAKER_ALERT_* settings with the files and markets they are about. Does not: what deserves an alert, or
sending it (`orchestration.alerts`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import SecretStr

    from orchestration.config.marts import Marts


@dataclass(frozen=True)
class AlertConfig:
    """`marts` are read; `spool` and `outbox` are files and folders, `webhook_url` is None without a receiver.

    `definition`, `rank`, `liquidation_percentile`: which spikes and liquidations deserve an alert.
    """

    marts: Marts
    spool: Path
    outbox: Path
    market_ids: tuple[str, ...]
    is_simulated: bool
    webhook_url: SecretStr | None
    definition: str
    rank: int
    liquidation_percentile: float
