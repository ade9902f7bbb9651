"""When things run by themselves: by the day, by the hour, and when sensors find something.

Belongs here: jobs, schedules, sensors, and the plain functions that decide. Does not: what the jobs do.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import dagster as dg

from ingestion.domain.datasets import ARCHIVED, DATASETS, FLOW_DATASETS, RECENT
from ingestion.domain.periods import Period, Span
from ingestion.venues import trades_dataset_of
from orchestration.config.settings import Settings, yesterday
from orchestration.defs.partitions import key_ranges
from orchestration.defs.publish import PUBLISHED_KEY
from orchestration.defs.raw import RECEIPTS_KEY, raw_key, tasks_for
from orchestration.defs.recent import HEARD_KEYS
from orchestration.defs.report import REPORT_KEY
from orchestration.resources import ArchiveResource, StorageResource

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

    from ingestion.archive import Task
    from orchestration.alerts.evaluation import Evaluation

INGEST_DAYS: Final = "ingest_days"
INGEST_MONTHS: Final = "ingest_months"
INGEST_TODAY: Final = "ingest_today"
BUILD_AND_PUBLISH: Final = "build_and_publish"

# A venue uploads late now and then, so the daily run asks for a few days and not for one. OKX's second file of a UTC
# day is out three days after it, in the course of the day.
_DAYS_ASKED_DAILY: Final = 5
_DAYS_WATCHED: Final = 90
_RANGE_START: Final = "dagster/asset_partition_range_start"
_RANGE_END: Final = "dagster/asset_partition_range_end"


def ingested_datasets(settings: Settings) -> dict[Span, list[str]]:
    """Archived datasets that runs ask for, by span: of the trade datasets only those that some market is read from."""
    unused = set(FLOW_DATASETS) - {trades_dataset_of(market, settings.trades_dataset) for market in settings.markets}
    wanted = [dataset for dataset in ARCHIVED.values() if dataset.name not in unused]
    return {span: [dataset.name for dataset in wanted if dataset.span is span] for span in Span}


def range_tags(first_key: str, last_key: str) -> dict[str, str]:
    """Run tags for an inclusive range of partitions."""
    return {_RANGE_START: first_key, _RANGE_END: last_key}


def jobs(warehouse: dg.AssetsDefinition) -> "tuple[UnresolvedAssetJobDefinition, ...]":
    """`ingest_days`, `ingest_months`, `ingest_today` and `build_and_publish`, in this order."""
    by_span = {span: [raw_key(d.name) for d in ARCHIVED.values() if d.span is span] for span in Span}
    build = dg.AssetSelection.assets(RECEIPTS_KEY, *warehouse.keys, PUBLISHED_KEY, REPORT_KEY)
    return (
        dg.define_asset_job(
            INGEST_DAYS,
            selection=dg.AssetSelection.assets(*by_span[Span.DAY]),
            description="Ingest what venues publish by day: trades, metrics, liquidations.",
            executor_def=dg.in_process_executor,
        ),
        dg.define_asset_job(
            INGEST_MONTHS,
            selection=dg.AssetSelection.assets(*by_span[Span.MONTH]),
            description="Ingest what is kept by month: klines, funding rates.",
            executor_def=dg.in_process_executor,
        ),
        dg.define_asset_job(
            INGEST_TODAY,
            selection=dg.AssetSelection.assets(*(raw_key(name) for name in RECENT)),
            description="Ask the venues' apis for what the archive does not have yet, and seal the hours that the "
            "collector has finished.",
            executor_def=dg.in_process_executor,
        ),
        dg.define_asset_job(
            BUILD_AND_PUBLISH,
            selection=build,
            description="Index the receipts, build the days that changed, audit the marts, publish them if they pass, "
            "and render their report.",
            executor_def=dg.in_process_executor,
        ),
    )


def schedules(
    settings: Settings,
    days: "UnresolvedAssetJobDefinition",
    months: "UnresolvedAssetJobDefinition",
    recent: "UnresolvedAssetJobDefinition",
) -> list[dg.ScheduleDefinition]:
    """`daily_ingest`, one for each span, and `hourly_today`. Stopped by default: they reach the network."""
    return [
        dg.ScheduleDefinition(
            name="hourly_today",
            job=recent,
            cron_schedule="3 * * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.STOPPED,
            description="Three minutes after every hour: what the archive does not have yet, up to the hour just "
            "ended. The build follows by sensor.",
        ),
        _daily_schedule("daily_ingest", days, settings, Span.DAY, "the days just ended: trades, metrics, liquidations"),
        _daily_schedule(
            "daily_ingest_months", months, settings, Span.MONTH, "the running month: klines, funding rates"
        ),
    ]


def _daily_schedule(
    name: str, job: "UnresolvedAssetJobDefinition", settings: Settings, span: Span, what: str
) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=name,
        job=job,
        cron_schedule="30 2 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Every morning at 02:30 UTC, {what}. The build follows by sensor.",
    )
    def daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return daily_request(settings, span, context.scheduled_execution_time.date())

    return daily


def daily_request(settings: Settings, span: Span, day: date) -> dg.RunRequest:
    """What to ingest on the morning of `day`: the days just ended, or the months they lie in."""
    last = day - timedelta(days=1)
    first = max(last - timedelta(days=_DAYS_ASKED_DAILY - 1), settings.first_day)
    return dg.RunRequest(
        run_key=f"{span}:{day.isoformat()}",
        tags=range_tags(Period.holding(first, span).label, Period.holding(last, span).label),
        asset_selection=[raw_key(name) for name in ingested_datasets(settings)[span]],
    )


def sensors(
    settings: Settings,
    ingest: "Sequence[UnresolvedAssetJobDefinition]",
    recent: "UnresolvedAssetJobDefinition",
    build: "UnresolvedAssetJobDefinition",
) -> list[dg.SensorDefinition]:
    """`changed_source_files`, `seal_finished_hours`, `build_when_raw_is_newer` and `alerts`."""

    @dg.sensor(
        name="changed_source_files",
        jobs=list(ingest),
        minimum_interval_seconds=6 * 3600,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=f"Ingests again what the venue replaced: compares the checksums of the last {_DAYS_WATCHED} days, "
        "or what the server says of files that have none.",
    )
    def changed_source_files(
        context: dg.SensorEvaluationContext,
        archive: dg.ResourceParam[ArchiveResource],
        storage: dg.ResourceParam[StorageResource],
    ) -> dg.SensorResult | dg.SkipReason:
        from ingestion.archive import changed_sources

        with archive.open() as opened:
            changed = changed_sources(
                watched_tasks(settings, yesterday()),
                archives=opened,
                zone=storage.raw_zone(),
                report=lambda outcome: context.log.warning(f"{outcome.task} could not be judged: {outcome.error}"),
            )
        if not changed:
            return dg.SkipReason(f"no file of the last {_DAYS_WATCHED} days changed")
        return dg.SensorResult(run_requests=requests_for(changed, datetime.now(UTC)))

    @dg.sensor(
        name="build_when_raw_is_newer",
        job=build,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Builds and publishes once ingestion has brought something and nothing is running any more.",
    )
    def build_when_raw_is_newer(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        decision = build_decision(
            raw_at=latest_materialization(context.instance, [raw_key(name) for name in DATASETS]),
            # What a build knows of raw is what its index says; later objects are news, whenever the build ends.
            indexed_at=latest_materialization(context.instance, [RECEIPTS_KEY]),
            running=runs_in_progress(context.instance),
        )
        if isinstance(decision, str):
            return dg.SkipReason(decision)
        # The key is the state of raw: a build that failed is not repeated until raw changes again.
        return dg.RunRequest(run_key=f"raw:{decision.isoformat()}")

    @dg.sensor(
        name="seal_finished_hours",
        job=recent,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Seals into the raw zone what the collector has heard, once an hour is over. Looks at its folder "
        "and nowhere else.",
    )
    def seal_finished_hours() -> dg.RunRequest | dg.SkipReason:
        return seal_decision(settings, datetime.now(UTC))

    has_receiver = settings.alert_webhook_url is not None

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING if has_receiver else dg.DefaultSensorStatus.STOPPED,
        description="Tells TAKER_ALERT_WEBHOOK_URL of spikes, liquidations, refused publications, stale markets and a "
        "quiet collector: each once, and until the receiver has it.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from orchestration.alerts.evaluation import evaluate
        from orchestration.automation.publishing_runs import latest_publishing_run

        done = evaluate(settings.alerts, latest_run=lambda: latest_publishing_run(context.instance), only_news=True)
        if done.faults:
            # What could be told has been; the rest is for whoever sees a failed tick.
            raise dg.Failure("; ".join(done.faults), allow_retries=False)
        return dg.SkipReason(alerts_said(done))

    return [changed_source_files, seal_finished_hours, build_when_raw_is_newer, alerts]


def seal_decision(settings: Settings, now: datetime) -> dg.RunRequest | dg.SkipReason:
    """The run that seals what the collector has finished, or the reason why none is due."""
    if not settings.spool_dir.is_dir():
        return dg.SkipReason("nothing is collected here; `taker collect` does")
    from ingestion.live.seal import finished_hours

    finished = finished_hours(settings.spool_dir, now=now)
    if not finished:
        return dg.SkipReason("no hour has ended that is not sealed yet")
    # The key is what there is to seal: a run that failed is not repeated until another hour has ended.
    hours = hashlib.sha256("\n".join(sorted(map(str, finished))).encode()).hexdigest()
    return dg.RunRequest(run_key=f"seal:{hours}", asset_selection=list(HEARD_KEYS))


def alerts_said(done: "Evaluation") -> str:
    """One sentence for the sensor's tick."""
    sent = f"{len(done.new)} new, {done.delivery.delivered} sent, {len(done.undelivered)} undelivered"
    return f"{sent}; the last attempt: {done.delivery.error}" if done.delivery.error else sent


def watched_tasks(settings: Settings, last_day: date) -> "list[Task]":
    """Every raw object that holds one of the days whose checksums are watched."""
    first_day = max(last_day - timedelta(days=_DAYS_WATCHED - 1), settings.first_day)
    names = [name for names in ingested_datasets(settings).values() for name in names]
    return [task for name in names for task in tasks_for(DATASETS[name], settings, first_day, last_day)]


def requests_for(changed: "Sequence[Task]", now: datetime) -> list[dg.RunRequest]:
    """One run per dataset and unbroken range of changed partitions."""
    by_dataset: dict[str, list[Period]] = {}
    for task in changed:
        by_dataset.setdefault(task.dataset.name, []).append(task.period)
    return [
        dg.RunRequest(
            run_key=f"{dataset}:{first}..{last}:{now:%Y-%m-%dT%H}",
            job_name=INGEST_DAYS if DATASETS[dataset].span is Span.DAY else INGEST_MONTHS,
            tags=range_tags(first, last),
            asset_selection=[raw_key(dataset)],
        )
        for dataset, periods in sorted(by_dataset.items())
        for first, last in key_ranges(periods)
    ]


def build_decision(raw_at: datetime | None, indexed_at: datetime | None, running: Sequence[str]) -> datetime | str:
    """The state of raw that deserves a build, or the reason why none is due."""
    if raw_at is None:
        return "the raw zone is empty"
    if indexed_at is not None and indexed_at >= raw_at:
        return f"the last build began at {indexed_at:%Y-%m-%d %H:%M:%S} UTC, nothing was ingested since"
    if running:
        return f"waiting for {', '.join(sorted(set(running)))}"
    return raw_at


def latest_materialization(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]) -> datetime | None:
    """When the newest materialization of any of the assets was recorded, UTC."""
    events = instance.get_latest_materialization_events(keys).values()
    found = [event.timestamp for event in events if event is not None]
    return datetime.fromtimestamp(max(found), UTC) if found else None


def runs_in_progress(instance: dg.DagsterInstance) -> list[str]:
    """Names of the jobs that are queued or running."""
    unfinished = [
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    return [run.job_name for run in instance.get_runs(dg.RunsFilter(statuses=unfinished))]
