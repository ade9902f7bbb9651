"""Runs on several workers: Dagster's launcher by Celery, which queue a run goes to, and whether its worker is alive.

Belongs here: what `deploy/workers-dagster.yaml` names as the run launcher. Does not: the process that executes runs
(`orchestration.runs.worker`), how many of them run at once (`dagster.yaml`).

`dagster_celery` has the launcher. It sends every run to one queue, marks a run as failed when the broker does not
answer, and takes a task that has begun for alive for ever: a worker that was killed would leave its run running.

`QueueLauncher` overrides methods of that launcher, and raises an error that Dagster's queue takes for an outage.
    Upstream: https://github.com/dagster-io/dagster/pull/33493, which queries the worker by `inspect`, as here.
    Remove when: it is merged, or `dagster_celery` judges workers in another way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery.exceptions import CeleryError
from dagster import DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.make_app import make_app
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG, DAGSTER_CELERY_TASK_ID_TAG
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from ingestion.domain.datasets import ARCHIVED

if TYPE_CHECKING:
    from celery import Celery

# Any worker can ingest files of an archive: their objects go to the storage.
INGEST: Final = "dagster"
# Everything else needs the state folder: a build its warehouse, the sealing of hours the collector's spool.
STATE: Final = "state"
QUEUES: Final = (INGEST, STATE)

# A worker answers at once, from a process beside the one that works; a machine may be busy.
_ANSWERS_WITHIN: Final = 5.0
_ATTEMPTS: Final = 3
_ENDED: Final = {"SUCCESS": WorkerStatus.SUCCESS, "FAILURE": WorkerStatus.FAILED, "REVOKED": WorkerStatus.FAILED}
_ARCHIVED_KEYS: Final = frozenset(("raw", name) for name in ARCHIVED)
_INGEST_JOBS: Final = frozenset({"ingest_days", "ingest_months"})


def queue_of(run: DagsterRun) -> str:
    """The queue whose workers can execute the run."""
    if run.asset_selection:
        is_of_archive = all(tuple(key.path) in _ARCHIVED_KEYS for key in run.asset_selection)
        return INGEST if is_of_archive and not run.asset_check_selection else STATE
    return INGEST if run.job_name in _INGEST_JOBS else STATE


class QueueLauncher(CeleryRunLauncher):
    """`CeleryRunLauncher` with two queues; its configuration is that class's."""

    celery: Celery

    def launch_run(self, context: LaunchRunContext) -> None:
        """Hand the run to the workers of its queue. While the broker does not answer, the run goes back to Dagster's
        own queue and is tried again (`max_user_code_failure_retries`)."""
        run = context.dagster_run
        if DAGSTER_CELERY_QUEUE_TAG not in run.tags:
            tags = {DAGSTER_CELERY_QUEUE_TAG: queue_of(run)}
            self._instance.add_run_tags(run.run_id, tags)
            context = context._replace(dagster_run=run.with_tags({**run.tags, **tags}))
        try:
            super().launch_run(context)
        except (CeleryError, KombuError, RedisError, OSError, RuntimeError) as error:
            # Celery gives up its connection for results in the end, and for good (RuntimeError): begin anew.
            self.celery = make_app(app_args=self.app_args())  # type: ignore[no-untyped-call]
            why = " ".join(str(error).split())
            raise DagsterUserCodeUnreachableError(
                f"the queue of the workers does not answer ({why}); start Redis again, or check CELERY_BROKER_URL"
            ) from error

    def terminate(self, run_id: str) -> bool:
        """End the run on its worker; False for one that no worker was given."""
        run = self._instance.get_run_by_id(run_id)
        return run is not None and DAGSTER_CELERY_TASK_ID_TAG in run.tags and super().terminate(run_id)

    def get_run_worker_debug_info(self, run: DagsterRun, include_container_logs: bool | None = True) -> str | None:
        """The task of the run and its worker; None for a run that no worker was given."""
        if DAGSTER_CELERY_TASK_ID_TAG not in run.tags:
            return None
        found: str | None = super().get_run_worker_debug_info(run, include_container_logs)
        return found

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether a worker executes the run, by the worker's own answer. Raises while the broker does not answer, so
        that nothing is concluded from its silence."""
        task_id = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task_id is None:  # of a command such as `taker run`, which executes its runs itself
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        worker = ""
        for _ in range(_ATTEMPTS):
            task = self.celery.AsyncResult(task_id)
            state, facts = task.state, task.info
            if state in _ENDED:
                return CheckRunHealthResult(_ENDED[state], f"Celery's task ended: {state}.")
            worker = str(facts.get("hostname", "")) if isinstance(facts, dict) else ""
            # A broker that lost its memory knows no worker: then every one of them is queried.
            answers = self._queried(task_id, [worker] if worker else None)
            if any(task_id in tasks for tasks in answers.values()):
                return CheckRunHealthResult(WorkerStatus.RUNNING)
            if worker and answers:  # it lives, and does not have it; unless it ended in this moment
                state = self.celery.AsyncResult(task_id).state
                if state not in _ENDED:
                    break
        text = f"worker {worker} was ended while it executed the run" if worker else "no worker executes the run"
        return CheckRunHealthResult(WorkerStatus.FAILED, text)

    def _queried(self, task_id: str, workers: list[str] | None) -> dict[str, Any]:
        """By worker, the tasks of this id that it holds or executes; without those that do not answer."""
        inspect = self.celery.control.inspect(destination=workers, timeout=_ANSWERS_WITHIN, limit=len(workers or ()))
        found: dict[str, Any] = inspect.query_task(task_id) or {}
        return found
