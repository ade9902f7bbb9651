"""Runs in this process, recorded in the same Dagster instance as the UI's.

Belongs here: which jobs a range of days needs, running them, and what came of it as plain facts.
Does not: what is printed (`orchestration.cli.render`) or what the jobs do (`orchestration.defs`).
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import socket
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from ingestion.domain.datasets import ARCHIVED, FLOW_DATASETS
from ingestion.domain.periods import Period, Span
from ingestion.venues import trades_dataset_of
from orchestration.config.settings import Settings, yesterday
from orchestration.progress import Progress
from orchestration.serving.defects import Losses, losses

if TYPE_CHECKING:
    import dagster as dg
    from dagster_shared.error import SerializableErrorInfo

    from ingestion.archive import Outcome
    from ingestion.raw.zone import Receipt

# Klines, metrics and funding are small: two years of them. Trades and liquidations are not: the last week.
RECENT_DAYS: Final = 7
_RECENT_DATASETS: Final = ("aggTrades", "trades", "liquidationSnapshot")
_PROCESS_TAG: Final = "taker/process"
_OUR_CLASS: Final = re.compile(r"^(?:ingestion|orchestration)\.[\w.]+: ")


class RangeError(ValueError):
    """The days asked for make no range. The text says why, in one sentence."""


@dataclass(frozen=True)
class IngestRange:
    """One ingestion run: datasets of one span over inclusive days."""

    datasets: tuple[str, ...]
    span: Span
    first_day: date
    last_day: date


@dataclass
class RunReport:
    """What came of a run.

    `outcomes`: raw objects by status. `requested`, `absent`: by dataset, and those the venue has no file for.
    `failed_objects`: (object, fault). `refused`: the same of objects whose files cannot be used, with nothing in their
    place: a fact about the venue's files, and no failure of the run; `holds_former`: of one of them a version stored
    before stays in use. `notices`: what is to be known of an archive.
    `problems`: steps that failed for another reason, one text each. `checks`: the checks that did not pass.
    `published`: new marts are out. `losses`: what could not be used of the venues' files, and the days without flow;
    None when the run ended before that was known.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    requested: Counter[str] = field(default_factory=Counter)
    absent: Counter[str] = field(default_factory=Counter)
    bytes_downloaded: int = 0
    failed_objects: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    checks: list[CheckFinding] = field(default_factory=list)
    published: bool = False
    run_ids: list[str] = field(default_factory=list)
    losses: Losses | None = None
    holds_former: bool = False

    @property
    def succeeded(self) -> bool:
        return self.published and not self.failed_objects and not self.problems

    @property
    def nothing_came(self) -> bool:
        """Not one object that was asked for could be had or used, for a reason other than that the venue has none: the
        archive is down, or not one of ours."""
        if self.holds_former and not self.outcomes["failed"]:
            return False
        return bool(self.outcomes["failed"] + self.outcomes["refused"]) and not any(
            count for status, count in self.outcomes.items() if status not in ("failed", "refused", "absent")
        )


@dataclass(frozen=True)
class CheckFinding:
    """A check that did not pass. `blocks`: it kept the marts from being published."""

    asset: str
    name: str
    blocks: bool
    description: str


def ingest_ranges(
    settings: Settings, first_day: date | None, last_day: date | None, recent: date | None = None
) -> list[IngestRange]:
    """The ingestion runs for what was asked; RangeError when the days make no sense.

    Without `first_day`: from TAKER_FIRST_DAY, and trades and liquidations from `recent`, by default the last 7 days.
    Without `last_day`: yesterday.
    """
    last = last_day or yesterday()
    first = first_day or settings.first_day
    if last > yesterday():
        raise RangeError(f"{last} has not ended yet (UTC); the newest day that can be asked for is {yesterday()}")
    if first > yesterday():
        raise RangeError(f"{first} has not ended yet (UTC); the newest day that can be asked for is {yesterday()}")
    if first > last:
        raise RangeError(f"the first day {first} is after the last day {last}; swap them")
    recent = first_day or recent or max(first, last - timedelta(days=RECENT_DAYS - 1))
    unused = set(FLOW_DATASETS) - {trades_dataset_of(market, settings.trades_dataset) for market in settings.markets}
    by_range: dict[tuple[Span, date], list[str]] = {}
    for dataset in ARCHIVED.values():
        if dataset.name not in unused:
            start = recent if dataset.name in _RECENT_DATASETS else first
            by_range.setdefault((dataset.span, start), []).append(dataset.name)
    ranges = [IngestRange(tuple(names), span, start, last) for (span, start), names in by_range.items()]
    # Small and long first: if the run is interrupted, the history is already there.
    return sorted(ranges, key=lambda r: (r.span is Span.DAY, r.first_day))


def run(
    settings: Settings,
    first_day: date | None = None,
    last_day: date | None = None,
    *,
    recent: date | None = None,
    progress: Progress | None = None,
    full_refresh: bool = False,
    debug: bool = False,
) -> RunReport:
    """Ingest the range, build, audit and publish. Without `last_day`, what the archive does not have yet as well.

    Failed objects do not stop the rest, unless every single one fails; a failed audit stops publication and leaves the
    former one standing.

    Raises RangeError, SettingsError, ArchiveUnavailable, StorageError or DbtFailed before anything runs.
    """
    ranges = ingest_ranges(settings, first_day, last_day, recent)
    check_reachable(settings)
    first = min(wanted.first_day for wanted in ranges)
    settings = settings.model_copy(update={"first_day": min(first, settings.first_day)})
    report = RunReport()
    listener = _Recorder(progress or Progress(), report)
    with _quiet(debug):
        from orchestration.runs.instance import open_instance
        from orchestration.warehouse.dbt import ensure_manifest

        listener.preparing()
        # Loading Dagster takes about as long as dbt takes to parse its project, in a process of its own.
        with ThreadPoolExecutor(1) as pool:
            parsed = pool.submit(ensure_manifest, settings)
            from orchestration.automation import jobs as automation
            from orchestration.defs.raw import raw_key
            from orchestration.wiring import build_definitions

            parsed.result()

        with open_instance(settings) as instance:
            clear_abandoned_runs(instance)
            for wanted in ranges:
                # The days as asked, not whole partitions: what was not asked for is not downloaded.
                limited = settings.model_copy(update={"first_day": wanted.first_day})
                definitions = build_definitions(limited, listener, last_day=wanted.last_day)
                tags = automation.range_tags(
                    Period.holding(wanted.first_day, wanted.span).label,
                    Period.holding(wanted.last_day, wanted.span).label,
                )
                job = automation.INGEST_DAYS if wanted.span is Span.DAY else automation.INGEST_MONTHS
                keys = [raw_key(name) for name in wanted.datasets]
                _execute(definitions, job, instance, report, tags=tags, asset_selection=keys, debug=debug)
                if set(report.outcomes) == {"failed"}:
                    return report  # to ask on is of no use
            if report.nothing_came:
                return report
            definitions = build_definitions(settings, listener)
            today = _today_keys(settings) if last_day is None else []
            if today:
                _execute(definitions, automation.INGEST_TODAY, instance, report, asset_selection=today, debug=debug)
            config = {"ops": {"warehouse": {"config": {"full_refresh": full_refresh}}}}
            _execute(definitions, automation.BUILD_AND_PUBLISH, instance, report, run_config=config, debug=debug)
        report.losses = _losses(settings, ranges)
    if last_day is not None:
        # Whoever asks for days long past knows that they are not fresh.
        report.checks = [check for check in report.checks if check.name != "is_fresh"]
    return report


def _losses(settings: Settings, ranges: list[IngestRange]) -> Losses:
    """What the raw zone, as indexed by the build, lacks of the requested days."""
    from orchestration.resources import StorageResource

    zone = StorageResource(settings).raw_zone()
    requested = {name: (wanted.first_day, wanted.last_day) for wanted in ranges for name in wanted.datasets}
    return losses(zone.index(), zone.defects(), settings.markets, requested, settings.trades_dataset)


def _today_keys(settings: Settings) -> list[dg.AssetKey]:
    """What can be brought up to this hour: what some venue's api is asked for, and what a collector has heard."""
    from ingestion.live.seal import heard_venues
    from orchestration.defs.recent import ASKED_KEYS, HEARD_KEYS

    asked = ASKED_KEYS if settings.rest_urls_with(heard_venues(settings.spool_dir)) else ()
    return [*asked, *(HEARD_KEYS if settings.spool_dir.is_dir() else ())]


def _execute(
    definitions: dg.Definitions,
    job: str,
    instance: dg.DagsterInstance,
    report: RunReport,
    *,
    debug: bool,
    tags: dict[str, str] | None = None,
    asset_selection: list[dg.AssetKey] | None = None,
    run_config: dict[str, Any] | None = None,
) -> None:
    from orchestration.defs.publish import PUBLISHED_KEY

    quiet = {} if debug else {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = definitions.resolve_job_def(job).execute_in_process(
        instance=instance,
        tags={**(tags or {}), _PROCESS_TAG: this_process()},
        asset_selection=asset_selection,
        run_config={**(run_config or {}), **quiet},
        raise_on_error=False,
    )
    report.run_ids.append(result.run_id)
    # Whether readers have new marts is what counts; a check that fails after the swap does not take them back.
    report.published |= any(event.asset_key == PUBLISHED_KEY for event in result.get_asset_materialization_events())
    if any(
        _innermost(event).cls_name == "DagsterExecutionInterruptedError" for event in result.get_step_failure_events()
    ):
        # Dagster records the interruption as a failed step and would let us go on.
        raise KeyboardInterrupt
    report.checks.extend(_findings(result))
    report.problems.extend(_problems(result))


def _findings(result: dg.ExecuteInProcessResult) -> list[CheckFinding]:
    import dagster as dg

    return [
        CheckFinding(
            asset=evaluation.asset_key.to_user_string(),
            name=evaluation.check_name,
            blocks=evaluation.severity is dg.AssetCheckSeverity.ERROR,
            description=evaluation.description or "",
        )
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed
    ]


def _problems(result: dg.ExecuteInProcessResult) -> list[str]:
    """One text per failed step. Failed objects are reported one by one already, and a failed audit by its check."""
    problems = []
    for event in result.get_step_failure_events():
        failure = event.step_failure_data
        said = failure.user_failure_data
        if said is not None and "failed" in said.metadata:
            continue
        error = _innermost(event)
        if error.cls_name == "DagsterAssetCheckFailedError":
            continue
        # Our own errors are sentences already: their class says nothing more.
        text = _OUR_CLASS.sub("", (said.description if said else None) or error.message.strip())
        problems.append(f"{event.step_key}: {_shortened(text)}")
    return problems


def _innermost(event: dg.DagsterEvent) -> SerializableErrorInfo:
    """The error that a step really failed of, below what Dagster wraps around it."""
    error = event.step_failure_data.error
    assert error is not None
    while error.cause is not None:
        error = error.cause
    return error


def _shortened(text: str) -> str:
    """Of a failed dbt command, what dbt says went wrong; of anything, no traceback."""
    from orchestration.warehouse.dbt import without_tracebacks

    return without_tracebacks(text.partition("Errors parsed from dbt logs:")[2].strip() or text)


def check_reachable(settings: Settings) -> None:
    """Fail at once, and in one sentence, when an archive's folder or the state folder cannot be what is wanted.

    Raises ArchiveUnavailable, StorageError or SettingsError.
    """
    from ingestion.domain.errors import StorageError
    from ingestion.http.fetch import Archives

    archives = Archives(settings.archive_place_of)
    for venue in settings.archive_venues:
        archives.of(venue)
    archives.close()
    settings.dbt_environment()
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.state_dir):
            pass
    except OSError as error:
        raise StorageError(
            f"cannot write to {settings.state_dir}: {error.strerror}; set TAKER_STORAGE_URL (or TAKER_STATE_DIR) to a "
            "folder that you may write to"
        ) from error


def clear_abandoned_runs(instance: dg.DagsterInstance) -> None:
    """End runs whose process was killed: they would show as running for ever and keep their pool from us."""
    import dagster as dg

    host, _, _ = this_process().partition(":")
    for found in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        owner, _, pid = found.tags.get(_PROCESS_TAG, "").partition(":")
        if owner == host and not _alive(int(pid)):
            instance.report_run_failed(found, "The process of this run ended without saying so.")
            instance.event_log_storage.free_concurrency_slots_for_run(found.run_id)


def this_process() -> str:
    """Who runs: host and process id, as a run's tag says it."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _holds_former(receipt: Receipt) -> bool:
    """A version stored before stays in use instead of a file that the archive did serve. Where not even a checksum can
    be read, the address is no archive of ours, and what is stored says nothing for it."""
    refused = [defect for defect in receipt.defects if defect.kind == "refused_source"]
    return receipt.status == "stored" and all(defect.source_sha256 or defect.source_fingerprint for defect in refused)


class _Recorder(Progress):
    """Keeps what the report needs and passes everything on."""

    def __init__(self, listener: Progress, report: RunReport) -> None:
        self._listener = listener
        self._report = report
        self._alike: dict[str, list[str]] = {}

    def preparing(self) -> None:
        self._listener.preparing()

    def ingesting(self, dataset: str, objects: int) -> None:
        self._listener.ingesting(dataset, objects)

    def ingested(self, outcome: Outcome) -> None:
        self._report.outcomes[outcome.status] += 1
        self._report.requested[outcome.task.dataset.name] += 1
        self._report.absent[outcome.task.dataset.name] += outcome.status == "absent"
        self._report.bytes_downloaded += outcome.bytes_downloaded
        if outcome.status == "failed":
            self._failed(str(outcome.task), str(outcome.error))
        if outcome.status == "refused":
            self._report.refused.append((str(outcome.task), str(outcome.error)))
            self._report.holds_former |= outcome.receipt is not None and _holds_former(outcome.receipt)
        self._listener.ingested(outcome)

    def noticed(self, notice: str) -> None:
        if notice not in self._report.notices:
            self._report.notices.append(notice)
        self._listener.noticed(notice)

    def _failed(self, name: str, fault: str) -> None:
        """A fault is told once, however many objects fail of it: a venue that refuses refuses everything."""
        alike = self._alike.setdefault(fault, [])
        alike.append(name)
        if len(alike) == 1:
            self._report.failed_objects.append((name, fault))
            return
        place = [said for _, said in self._report.failed_objects].index(fault)
        self._report.failed_objects[place] = (f"{alike[0]} and {len(alike) - 1} more", fault)

    def building(self, nodes: int) -> None:
        from orchestration.warehouse.audit.suites import load_great_expectations

        # Great Expectations takes seconds to import and is needed once dbt is through; until then this process waits.
        threading.Thread(target=load_great_expectations, daemon=True).start()
        self._listener.building(nodes)

    def built(self, node: str, status: str) -> None:
        self._listener.built(node, status)

    def auditing(self, suite: str) -> None:
        self._listener.auditing(suite)

    def publishing(self, marts: int) -> None:
        self._listener.publishing(marts)


@contextlib.contextmanager
def _quiet(debug: bool) -> Iterator[None]:
    """Dagster, dbt and threads write for log files; people get the progress display and the closing table.

    The display writes to the terminal that it was made for, so it still shows.
    """
    if debug:
        yield
        return
    import logging

    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
