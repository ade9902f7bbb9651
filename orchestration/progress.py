"""The progress callback: how a run reports how far it is.

Belongs here: the protocol between assets, which get it as the resource `progress`, and what shows it. Does not: how it
looks (`orchestration.cli`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingestion.archive import Outcome


class Progress:
    """Called at each step. This base class does nothing: runs that are started in the UI show their own progress."""

    def comparing(self) -> None:
        """The sources are being compared with what is stored and published."""

    def preparing(self) -> None:
        """Dagster and dbt are being loaded."""

    def ingesting(self, dataset: str, objects: int) -> None:
        """Ingestion of one dataset begins; `objects` raw objects are requested."""

    def ingested(self, outcome: Outcome) -> None:
        """One raw object is done, whatever its outcome."""

    def noticed(self, notice: str) -> None:
        """A fact about an archive as a whole: one sentence without a full stop."""

    def healed(self, text: str) -> None:
        """A damaged file was set aside, or a dead run ended: one sentence."""

    def waiting(self, text: str) -> None:
        """Another process is at work and this one waits: one sentence, at once and every half minute."""

    def building(self, nodes: int) -> None:
        """dbt begins; `nodes` models, seeds and tests will run."""

    def built(self, node: str, status: str) -> None:
        """One dbt node ended: `success`, `pass`, `warn`, `fail`, `error` or `skipped`."""

    def auditing(self, suite: str) -> None:
        """A Great Expectations suite begins."""

    def publishing(self, marts: int) -> None:
        """The audited marts are being published."""

    def published(self) -> None:
        """Readers have them."""

    def failed(self) -> None:
        """What began last did not end as it should; the report states why."""
