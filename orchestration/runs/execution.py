"""Runs in this process, recorded in the same Dagster instance as the UI's.

Belongs here: running the jobs that a range of days needs, one after the other, and their results in the report.
Does not: which jobs those are (`orchestration.runs.ranges`), what is printed (`orchestration.cli`) or what the jobs do
(`orchestration.defs`).
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestration.config.settings import Settings
from orchestration.defs.choosing import choose, due
from orchestration.progress import Progress
from orchestration.resources import StorageResource
from orchestration.runs.comparison import Comparison, compared, recorded_outcomes
from orchestration.runs.follow_publication import follow_publication
from orchestration.runs.meanwhile import Meanwhile, losses_of
from orchestration.runs.preflight import check_reachable
from orchestration.runs.ranges import IngestRange, ingest_ranges, today_keys
from orchestration.runs.report import Recorder, RunReport
from orchestration.runs.unchanged import unchanged
from orchestration.state.disk import full_disk_sentence, means_full_disk
from orchestration.state.last_run import FRESHNESS, note_run
from orchestration.state.process import named
from orchestration.warehouse.audit.begun import begun_judge
from orchestration.warehouse.engines import require_engine
from orchestration.warehouse.lake.server import failed_catalog, failed_catalog_sentence
from orchestration.warehouse.s3_reads import failed_read, failed_read_sentence

if TYPE_CHECKING:
    import dagster as dg

    from orchestration.compat.types import SerializableErrorInfo

_ERROR_CLASS: Final = re.compile(r"^(?:ingestion|orchestration)\.[\w.]+: ")


@dataclass(frozen=True)
class _Session:
    """One graph and one instance, for every run of this process.

    `has_findings`: Dagster's history has a record of what former runs found.
    """

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    report: RunReport
    recorder: Recorder
    has_findings: bool
    debug: bool
    process: Mapping[str, str]
    folders: tuple[Path, ...]
    explain: Callable[[str, str], str | None]


def run(
    settings: Settings,
    first_day: date | None = None,
    last_day: date | None = None,
    *,
    begins: Mapping[str, date] | None = None,
    progress: Progress | None = None,
    full_refresh: bool = False,
    full_audit: bool = False,
    debug: bool = False,
) -> RunReport:
    """Ingest the range, build, audit and publish. Without `last_day`, what the archive does not have yet as well.

    Failed objects do not stop the rest, unless every single one fails; a failed audit stops publication and leaves the
    former one standing.

    Raises RangeError, SettingsError, NothingToChoose, ArchiveUnavailable, StorageError, WarehouseUnusable or DbtFailed
    before anything runs.
    """
    report = RunReport()
    recorder = Recorder(progress or Progress(), report)
    _choose_if_due(settings, recorder)
    ranges = ingest_ranges(settings.scope, first_day, last_day, begins)
    check_reachable(settings.endpoints, settings.storage, settings.paths.state)
    settings = _beginning_with(settings, ranges)
    recorder.comparing()
    with ExitStack() as until_ingested:
        comparing = partial(compared, settings.scope, settings.endpoints, settings.storage, settings.paths, ranges)
        found = until_ingested.enter_context(comparing())
        nothing_is_due = partial(_nothing_is_due, settings, ranges, recorder, report, with_today=last_day is None)
        is_wanted = full_refresh or full_audit
        if not is_wanted and nothing_is_due(found, counted=False):
            return report
        require_engine(settings.dbt)
        with _quiet(debug), _session(settings, recorder, report, debug=debug) as session:
            has_ingested = _ingest(session, ranges, found)
            # Of a large zone, what was found takes memory that the build needs.
            found = None
            until_ingested.close()
            if report.every_object_failed or report.nothing_ingested:
                return report
            if not is_wanted and has_ingested and report.nothing_stored:
                # What was due was new to this machine alone: another one may have published it.
                with comparing() as again:
                    if nothing_is_due(again, counted=True):
                        return report
            today = today_keys(settings.endpoints, settings.paths.spool) if last_day is None else []
            meanwhile = recorder.meanwhile = Meanwhile(settings, ranges)
            _build(session, today, full_refresh=full_refresh, full_audit=full_audit)
            if not report.published:
                recorder.failed()
            report.losses = meanwhile.losses()
    _conclude(settings, report, meanwhile.serving_sha256, with_today=last_day is None)
    return report


def _conclude(settings: Settings, report: RunReport, serving_sha256: Callable[[], str], *, with_today: bool) -> None:
    """What the checks mean for this run, and the note of one that published."""
    if not with_today:
        # Days long past were requested: that they are not fresh is expected.
        report.checks = [check for check in report.checks if check.name != FRESHNESS]
    if report.succeeded:
        store = StorageResource(settings.storage).store()
        note_run(settings.paths, store, report.run_ids[-1], report.checks, serving_sha256())


def _beginning_with(settings: Settings, ranges: Sequence[IngestRange]) -> Settings:
    """Partitions begin with the earliest requested day, if that is before TAKER_FIRST_DAY."""
    first = min(settings.first_day, *(wanted.first_day for wanted in ranges))
    return settings.model_copy(update={"first_day": first})


def _choose_if_due(settings: Settings, recorder: Recorder) -> None:
    """Choose the markets that patterns stand for, where that was not done this month."""
    if due(settings.patterns, settings.paths.choices):
        check_reachable(settings.endpoints, settings.storage, settings.paths.state)
        recorder.comparing()
        choose(settings.patterns, settings.paths.choices, settings.endpoints, settings.kline_interval, recorder.noticed)


def _nothing_is_due(
    settings: Settings,
    ranges: Sequence[IngestRange],
    recorder: Recorder,
    report: RunReport,
    comparison: Comparison | None,
    *,
    with_today: bool,
    counted: bool,
) -> bool:
    """Follow what another machine has published; whether nothing is left to do then. The report is filled in that case.

    `counted`: the report has the objects of the comparison already.
    """
    if comparison is None or comparison.is_due:
        return False
    if caught := follow_publication(settings.dbt, comparison.zone.store):
        recorder.noticed(caught)
    url = settings.publish_postgres_url.get_secret_value() if settings.publish_postgres_url else None
    found = unchanged(settings.scope, settings.endpoints, settings.dbt, comparison, url, with_today=with_today)
    if found is None:
        return False
    if not counted:
        recorder.known(comparison.known)
        for outcome in found.outcomes:
            recorder.counted(outcome)
        for notice in found.notices:
            recorder.noticed(notice)
    report.checks = list(found.checks)
    report.losses = losses_of(settings, ranges)
    report.published, report.up_to_date = True, found.published_at
    return True


@contextlib.contextmanager
def _session(settings: Settings, recorder: Recorder, report: RunReport, *, debug: bool) -> Iterator[_Session]:
    from orchestration.automation.abandoned_runs import end_abandoned_runs
    from orchestration.compat.instance import show_runs_in
    from orchestration.runs.instance import location_name, open_instance
    from orchestration.warehouse.dbt import ensure_manifest

    recorder.preparing()
    with begun_judge() as judge:
        # Loading Dagster takes about as long as dbt takes to parse its project, in a process of its own.
        with ThreadPoolExecutor(1) as pool:
            parsed = pool.submit(ensure_manifest, settings.dbt)
            from orchestration.definitions import build_definitions

            parsed.result()
        definitions = build_definitions(settings, recorder, judge=judge)
        process = named(settings.paths)
        with open_instance(settings.paths.dagster_home, report=recorder.healed) as instance:
            for sentence in end_abandoned_runs(instance, settings.paths):
                recorder.healed(sentence)
            show_runs_in(instance, "orchestration.definitions", location_name(is_simulated=settings.is_simulated))
            has_findings, explain = settings.paths.findings.is_file(), partial(_explained, settings)
            yield _Session(
                definitions, instance, report, recorder, has_findings, debug, process, _folders(settings), explain
            )


def _folders(settings: Settings) -> tuple[Path, ...]:
    """Where a run writes on this machine."""
    state = settings.paths.state
    return (state,) if settings.storage.is_s3 else (state, Path(settings.storage.url))


def _explained(settings: Settings, step: str, text: str) -> str | None:
    """The sentence about an error of a step that the bucket or the lake's catalog has caused; None for any other."""
    if settings.storage.is_s3 and (reason := failed_read(text)) is not None:
        return failed_read_sentence(step, settings.storage.url, reason)
    if settings.dbt.lake is not None and (reason := failed_catalog(text)) is not None:
        return failed_catalog_sentence(step, settings.dbt.lake, reason)
    return None


def _ingest(session: _Session, ranges: Sequence[IngestRange], found: Comparison | None) -> bool:
    """One run per range in which something is to be done, until it is clear that the archive answers nothing. Whether
    anything was done in any of them.

    Where nothing was found before, and where what was found speaks of a history that is lost, that is each range.
    """
    from ingestion.archive import Found
    from orchestration.automation.jobs import INGEST_BY_SPAN
    from orchestration.defs.partitions import range_tags
    from orchestration.defs.raw import ingest_config, raw_key

    parts = found.due(ranges) if found is not None and session.has_findings else ranges
    if found is not None:
        known, beside = found.beside(parts)
        session.recorder.known(known)
        for outcome in beside:
            session.recorder.counted(outcome)
        for notice in found.notices:
            session.recorder.noticed(notice)
        # Those without a receipt were known before.
        found.remember([Found.of(outcome) for outcome in beside if outcome.receipt is not None])
    has_ingested = False
    for part in parts:
        session.recorder.carried_out.clear()
        recorded = _execute(
            session,
            INGEST_BY_SPAN[part.span],
            tags=range_tags(*part.partitions),
            keys=[raw_key(name) for name in part.datasets],
            # The days as requested, not whole partitions: nothing else is downloaded.
            config=ingest_config(part.datasets, part.first_day, part.last_day),
        )
        if found is not None:
            found.remember(recorded_outcomes(session.recorder.carried_out, recorded))
        has_ingested = has_ingested or bool(session.recorder.carried_out)
        if session.report.every_object_failed:
            break
    return has_ingested


def _build(session: _Session, today: Sequence[dg.AssetKey], *, full_refresh: bool, full_audit: bool) -> None:
    """Bring the assets of `today` up to this hour, then build, audit and publish."""
    from orchestration.automation.jobs import BUILD_AND_PUBLISH, INGEST_TODAY
    from orchestration.defs.publish import AUDIT

    if today:
        _execute(session, INGEST_TODAY, keys=today)
    options = {"warehouse": {"full_refresh": full_refresh}, AUDIT: {"full_audit": full_audit}}
    config = {"ops": {name: {"config": values} for name, values in options.items()}}
    _execute(session, BUILD_AND_PUBLISH, config=config)


def _execute(
    session: _Session,
    job: str,
    *,
    tags: Mapping[str, str] | None = None,
    keys: Sequence[dg.AssetKey] | None = None,
    config: Mapping[str, Any] | None = None,
) -> set[tuple[str, str]]:
    """Run one job, or the assets `keys` of it, and add its results to the report. Returns the partitions that Dagster
    has recorded: the last part of the asset's key, and the partition's."""
    from orchestration.automation.note_publications import findings
    from orchestration.defs.publish import PUBLISHED_KEY

    quiet = {} if session.debug else {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = session.definitions.resolve_job_def(job).execute_in_process(
        instance=session.instance,
        tags={**(tags or {}), **session.process},
        asset_selection=keys,
        run_config={**(config or {}), **quiet},
        raise_on_error=False,
    )
    report = session.report
    report.run_ids.append(result.run_id)
    # What counts is whether readers have new marts; a check that fails after the swap does not take them back.
    made = result.get_asset_materialization_events()
    report.published |= any(event.asset_key == PUBLISHED_KEY for event in made)
    if any(
        _innermost(event).cls_name == "DagsterExecutionInterruptedError" for event in result.get_step_failure_events()
    ):
        # Dagster records the interruption as a failed step and would let the run continue.
        raise KeyboardInterrupt
    report.checks.extend(findings(result.get_asset_check_evaluations()))
    report.problems.extend(_problems(result, session.folders, session.explain))
    return {(event.asset_key.path[-1], event.partition) for event in made if event.asset_key and event.partition}


def _problems(
    result: dg.ExecuteInProcessResult, folders: Sequence[Path], explain: Callable[[str, str], str | None]
) -> list[str]:
    """One text per failed step. Failed objects are reported one by one already, and a failed audit by its check.

    A full disk is a sentence of its own, whichever library noticed it, and so is what `explain` knows of a step and
    its error. `folders` are those that a run writes to.
    """
    problems = []
    for event in result.get_step_failure_events():
        failure = event.step_failure_data
        stated = failure.user_failure_data
        if stated is not None and "failed" in stated.metadata:
            continue
        error = _innermost(event)
        if error.cls_name == "DagsterAssetCheckFailedError":
            continue
        # The errors of this project are sentences already: their class adds nothing.
        text = _ERROR_CLASS.sub("", (stated.description if stated else None) or error.message.strip())
        if means_full_disk(_all_of(failure.error) + text, folders):
            problems.append(full_disk_sentence(str(event.step_key), folders))
        elif explained := explain(str(event.step_key), text):
            problems.append(explained)
        else:
            problems.append(f"{event.step_key}: {_shortened(text)}")
    return problems


def _innermost(event: dg.DagsterEvent) -> SerializableErrorInfo:
    """The original error of a failed step, below what Dagster wraps around it."""
    error = event.step_failure_data.error
    assert error is not None
    while error.cause is not None:
        error = error.cause
    return error


def _all_of(error: SerializableErrorInfo | None) -> str:
    """The messages of an error and of all that caused it."""
    texts = []
    while error is not None:
        texts.append(error.message)
        error = error.cause or error.context
    return "\n".join(texts)


def _shortened(text: str) -> str:
    """Of a failed dbt command, the errors that dbt reports; of anything, no traceback."""
    from orchestration.warehouse.dbt_output import killed_sentence, without_tracebacks

    if (killed := killed_sentence(text)) is not None:
        return killed
    return without_tracebacks(text.partition("Errors parsed from dbt logs:")[2].strip() or text)


@contextlib.contextmanager
def _quiet(debug: bool) -> Iterator[None]:
    """Silence what Dagster, dbt and threads write for log files; people get the progress display and the closing table.

    The display holds the terminal that it was made for, so it still shows.
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
