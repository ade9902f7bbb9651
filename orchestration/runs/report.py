"""The outcome of a run as plain facts.

Belongs here: `RunReport`, and the progress callback that fills it while the run proceeds. Does not: running
(`orchestration.runs.execution`), or how a report is shown (`orchestration.cli`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from orchestration.progress import Progress
from orchestration.state.last_run import CheckFinding

if TYPE_CHECKING:
    from ingestion.archive import Found, Known, Outcome
    from ingestion.raw.zone import Receipt
    from orchestration.runs.meanwhile import Meanwhile
    from orchestration.serving.defects import Losses


@dataclass
class RunReport:
    """The outcome of a run.

    `outcomes`: raw objects by status. `requested`, `absent`: raw objects by dataset, and those the venue has no file
    for. `failed_objects`: (object, fault). `refused`: the same of objects whose files cannot be used, with nothing in
    their place: a fact about the venue's files, and no failure of the run; `keeps_former`: for one of them a version
    stored before stays in use. `notices`: facts about a whole archive. `healed`:
    damaged files that were set aside and made anew.
    `problems`: steps that failed for another reason, one text each. `checks`: the checks that did not pass.
    `published`: new marts are out, or, with `up_to_date`, those that are out are what this run would publish.
    `losses`: what could not be used of the venues' files, and the days without flow; None when the run ended before
    that was known.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    requested: Counter[str] = field(default_factory=Counter)
    absent: Counter[str] = field(default_factory=Counter)
    bytes_downloaded: int = 0
    failed_objects: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    healed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    checks: list[CheckFinding] = field(default_factory=list)
    published: bool = False
    # When the publication was made that this run found up to date, and changed nothing of.
    up_to_date: datetime | None = None
    run_ids: list[str] = field(default_factory=list)
    losses: Losses | None = None
    keeps_former: bool = False

    @property
    def succeeded(self) -> bool:
        return self.published and not self.failed_objects and not self.problems

    @property
    def every_object_failed(self) -> bool:
        """Ingesting anything further is pointless: the archive does not answer."""
        return set(self.outcomes) == {"failed"}

    @property
    def nothing_stored(self) -> bool:
        """The storage had all that was requested, as far as the venue has it."""
        return set(self.outcomes) <= {"unchanged", "absent"}

    @property
    def nothing_ingested(self) -> bool:
        """Not one requested object could be fetched or used, for a reason other than that the venue has none: the
        archive is down, or the address is not an archive."""
        if self.keeps_former and not self.outcomes["failed"]:
            return False
        return bool(self.outcomes["failed"] + self.outcomes["refused"]) and not any(
            count for status, count in self.outcomes.items() if status not in ("failed", "refused", "absent")
        )


class Recorder(Progress):
    """Keeps what the report needs and passes every call on to another progress callback.

    `carried_out`: the outcomes of the raw objects of the present run. `meanwhile`: what is begun as steps begin.
    """

    def __init__(self, progress: Progress, report: RunReport) -> None:
        self._progress = progress
        self._report = report
        self._objects_by_fault: dict[str, list[str]] = {}
        self.carried_out: list[Found] = []
        self.meanwhile: Meanwhile | None = None

    def comparing(self) -> None:
        self._progress.comparing()

    def preparing(self) -> None:
        self._progress.preparing()

    def failed(self) -> None:
        self._progress.failed()

    def ingesting(self, dataset: str, objects: int) -> None:
        self._progress.ingesting(dataset, objects)

    def ingested(self, outcome: Outcome) -> None:
        from ingestion.archive import Found

        self.counted(outcome)
        self.carried_out.append(Found.of(outcome))
        self._progress.ingested(outcome)

    def counted(self, outcome: Outcome) -> None:
        """Into the report alone."""
        self._report.outcomes[outcome.status] += 1
        self._report.requested[outcome.task.dataset.name] += 1
        self._report.absent[outcome.task.dataset.name] += outcome.status == "absent"
        self._report.bytes_downloaded += outcome.bytes_downloaded
        if outcome.status == "failed":
            self._failed(str(outcome.task), str(outcome.error))
        if outcome.status == "refused":
            self._report.refused.append((str(outcome.task), str(outcome.error)))
            self._report.keeps_former |= outcome.receipt is not None and _keeps_former(outcome.receipt)

    def known(self, objects: Iterable[Known]) -> None:
        """Into the report alone: what was not looked at, since what was found of it before still holds."""
        for (dataset, status), count in Counter((each.dataset, each.status) for each in objects).items():
            self._report.outcomes[status] += count
            self._report.requested[dataset] += count
            self._report.absent[dataset] += count if status == "absent" else 0

    def noticed(self, notice: str) -> None:
        if notice not in self._report.notices:
            self._report.notices.append(notice)
        self._progress.noticed(notice)

    def healed(self, text: str) -> None:
        if text not in self._report.healed:
            self._report.healed.append(text)
        self._progress.healed(text)

    def waiting(self, text: str) -> None:
        self._progress.waiting(text)

    def _failed(self, name: str, fault: str) -> None:
        """A fault is listed once, however many objects it affects: a venue that refuses refuses everything."""
        objects = self._objects_by_fault.setdefault(fault, [])
        objects.append(name)
        if len(objects) == 1:
            self._report.failed_objects.append((name, fault))
            return
        index = [listed for _, listed in self._report.failed_objects].index(fault)
        self._report.failed_objects[index] = (f"{objects[0]} and {len(objects) - 1} more", fault)

    def building(self, nodes: int) -> None:
        self._progress.building(nodes)

    def built(self, node: str, status: str) -> None:
        if self.meanwhile is not None:
            self.meanwhile.dbt_builds()
        self._progress.built(node, status)

    def auditing(self, suite: str) -> None:
        self._progress.auditing(suite)

    def publishing(self, marts: int) -> None:
        self._progress.publishing(marts)

    def published(self) -> None:
        if self.meanwhile is not None:
            self.meanwhile.readers_are_switched()
        self._progress.published()


def _keeps_former(receipt: Receipt) -> bool:
    """Whether a version stored before stays in use instead of a file that the archive did serve.

    Where not even a checksum can be read, the address is not an archive, and what is stored does not speak for it.
    """
    refused = [defect for defect in receipt.defects if defect.kind == "refused_source"]
    return receipt.status == "stored" and all(defect.source_sha256 or defect.source_fingerprint for defect in refused)
