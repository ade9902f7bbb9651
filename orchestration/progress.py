"""Who is told how far a run is. The terminal implements it; runs started in the UI tell nobody.

Belongs here: the protocol between assets and whoever shows progress. Does not: how it looks
(`orchestration.cli.render`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingestion.archive import Outcome


class Progress:
    """Told about each step; this base class keeps silent."""

    def preparing(self) -> None:
        """Dagster and dbt are being loaded."""

    def ingesting(self, dataset: str, objects: int) -> None:
        """Ingestion of one dataset begins; `objects` raw objects are wanted."""

    def ingested(self, outcome: Outcome) -> None:
        """One raw object is done, whatever became of it."""

    def noticed(self, notice: str) -> None:
        """Something is to be known of an archive as a whole: one sentence without a full stop."""

    def building(self, nodes: int) -> None:
        """dbt begins; `nodes` models, seeds and tests will run."""

    def built(self, node: str, status: str) -> None:
        """One dbt node ended: `success`, `pass`, `warn`, `fail`, `error` or `skipped`."""

    def auditing(self, suite: str) -> None:
        """A Great Expectations suite begins."""

    def publishing(self, marts: int) -> None:
        """The audited marts are being published."""
