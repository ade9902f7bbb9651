"""The sensor `alerts`: sends what deserves an alert, once a minute.

Belongs here: the tick and its one sentence. Does not: what deserves an alert, and sending it (`orchestration.alerts`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from orchestration.alerts.evaluation import Evaluation


def alerts_sensor(evaluate: "Callable[[dg.DagsterInstance], Evaluation]", *, has_receiver: bool) -> dg.SensorDefinition:
    """`evaluate` records what is new and sends what is due. Running by default where there is a receiver."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING if has_receiver else dg.DefaultSensorStatus.STOPPED,
        description="Notifies TAKER_ALERT_WEBHOOK_URL of spikes, liquidations, refused publications, stale markets and "
        "a collector that receives nothing: each once, and until the receiver has accepted it.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        done = evaluate(context.instance)
        if done.faults:
            # What could be sent has been sent; a failed tick reports the rest.
            raise dg.Failure("; ".join(done.faults), allow_retries=False)
        return dg.SkipReason(summary(done))

    return alerts


def summary(done: "Evaluation") -> str:
    """One sentence for the sensor's tick."""
    counts = f"{len(done.new)} new, {done.delivery.delivered} sent, {len(done.undelivered)} undelivered"
    return f"{counts}; the last attempt: {done.delivery.error}" if done.delivery.error else counts
