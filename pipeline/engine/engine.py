"""The engine: runs one stage of one upload under a lease, and decides what follows.

Guarantee: of all runs of a stage only the latest can write (fencing token). A run whose lease is lost, or whose upload
ends, is stopped and acknowledges it, so that cleanup never races with it. `core.retry` decides whether a failed attempt
is repeated or fails the upload: an unavailable dependency and an unexpected exception are limited by time, the upload's
own errors by attempts. What the engine cannot record (Redis unavailable, process killed) is repaired by take-over.

A process that finishes a stage runs one that follows at once, if it has workers of its type: in the same slot, under a
lease of its own, and without a job. What the process does not record is repaired by take-over, as for every run.

No upload fails by a record that Redis has restored from before a restart: a stage that runs again after its upload was
`ready` would find no temp file. Before an upload fails, the records are compared with the journals.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from pipeline.core.errors import DependencyUnavailable, SluiceError, StageLost
from pipeline.core.model import StageJob, Upload
from pipeline.core.retry import (
    GiveUp,
    OutageBudget,
    RetryAfter,
    RetryPolicy,
    decide,
    decide_outage,
    dependency_of,
    outage_policy,
)
from pipeline.core.stages import FINAL, Stage
from pipeline.core.transports import TRANSPORTS
from pipeline.engine.contract import Blocked, Done, Idle, Outcome, Parked, Requeue, Skipped, StageHandler, StageRun
from pipeline.engine.drain import drained
from pipeline.engine.heartbeat import WORK_AGAIN_SECONDS, heartbeats
from pipeline.logs import Log, logger
from pipeline.ports import Continuation, RecordCheck, StageQueue, StageRuns, StageStart
from pipeline.tasks import end_tasks
from pipeline.telemetry import STAGE_RETRIES, STAGE_RUNNING, STAGE_SECONDS, STAGE_WAIT_SECONDS, UPLOADS_ENDED
from pipeline.tracing import note_error, note_outcome, stage_span

T = TypeVar("T")

_Following = tuple[StageJob, StageStart] | None

# A file that kills its worker every time (out of memory, for example) must not be retried indefinitely.
_MAX_TAKEOVERS = 20
_REDIS_RETRY_SECONDS = 0.5
_STALE_RECORDS_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class EngineRules:
    """`worker` is the process's name in records and logs. `continues`: the stages that it runs after another one."""

    worker: str
    budget: OutageBudget = field(default_factory=OutageBudget)
    continues: frozenset[Stage] = frozenset()


class StageEngine:
    """Runs the stages that it has handlers for."""

    def __init__(
        self,
        runs: StageRuns,
        queue: StageQueue,
        handlers: Mapping[Stage, StageHandler],
        records: RecordCheck,
        rules: EngineRules,
    ) -> None:
        self._runs = runs
        self._queue = queue
        self._handlers = handlers
        self._records = records
        self._rules = rules
        self.stop = asyncio.Event()

    async def run(self, job: StageJob) -> None:
        """Run a job to its end, and the stages that it continues with. Raises nothing except CancelledError, and
        requeues the stage before that."""
        log = logger(upload_id=job.upload_id, stage=str(job.stage), fencing_token=job.fencing_token)
        try:
            started = await self._runs.start(job, self._rules.worker)
        except StageLost:
            log.debug(Log.STAGE_LOST, when="start")
            return
        except SluiceError as error:
            log.warning(Log.STAGE_LOST, when="start", code=error.code)
            return
        except Exception as error:  # a record of another release, for example
            log.exception(Log.STAGE_FAILED)
            await self._conclude_failure(job, None, _crashed(job, type(error).__name__), log)
            return
        following: _Following = (job, started)
        while following is not None:
            following = await self._run_started(*following)

    async def _run_started(self, job: StageJob, started: StageStart) -> _Following:
        log = logger(upload_id=job.upload_id, stage=str(job.stage), fencing_token=job.fencing_token)
        upload, waited_seconds = started.upload, max(0.0, started.waited_seconds)
        attempt = upload.stages[job.stage].attempt
        log = log.bind(attempt=attempt)
        STAGE_WAIT_SECONDS.labels(job.stage).observe(waited_seconds)
        began = time.monotonic()
        with (
            STAGE_RUNNING.labels(job.stage).track_inprogress(),
            stage_span(job.stage, upload.traceparent, job.upload_id, attempt, job.fencing_token, waited_seconds),
        ):
            log.info(Log.STAGE_STARTED, waited_seconds=started.waited_seconds)
            result, following = await self._run(StageRun(job, upload, self.stop), started.takeovers, log)
            note_outcome(result)
        STAGE_SECONDS.labels(job.stage, result).observe(time.monotonic() - began)
        return following

    async def _run(
        self, run: StageRun, takeovers: int, log: structlog.typing.FilteringBoundLogger
    ) -> tuple[str, _Following]:
        """Run the handler and record its outcome; returns the result's name for the metrics, and the run that follows
        in this process."""
        job = run.job
        try:
            if takeovers > _MAX_TAKEOVERS:
                died = _crashed(job, f"its worker died {takeovers} times")
                return await self._conclude_failure(job, run.upload, died, log, final=True), None
            outcome = await self._handle(run)
            return await self._conclude(job, outcome, log)
        except StageLost:
            log.info(Log.STAGE_LOST, when="run")
            await self._acknowledge_end(job)
            return "lost", None
        except asyncio.CancelledError:
            await drained(self._requeue(job, log))
            raise
        except SluiceError as error:
            return await self._conclude_failure(job, run.upload, error, log), None
        except Exception as error:  # a bug in a handler is a failed attempt, not the end of the worker
            log.exception(Log.STAGE_FAILED)
            return await self._conclude_failure(job, run.upload, _crashed(job, type(error).__name__), log), None

    async def _handle(self, run: StageRun) -> Outcome:
        stage = run.job.stage
        limit = TRANSPORTS[run.upload.transport].graph[stage].timeout_seconds
        work = asyncio.ensure_future(self._handlers[stage](run))
        async with heartbeats(self._runs, run.job, work):
            try:
                await asyncio.wait({work}, timeout=limit)
                if not work.done():
                    raise SluiceError("STAGE_TIMEOUT", stage=str(stage), timeout_seconds=limit)
                return work.result()
            finally:
                await end_tasks(work, again_seconds=WORK_AGAIN_SECONDS)

    async def _conclude(
        self, job: StageJob, outcome: Outcome, log: structlog.typing.FilteringBoundLogger
    ) -> tuple[str, _Following]:
        if isinstance(outcome, Idle):
            return "idle", None
        if isinstance(outcome, Parked):
            log.debug(Log.STAGE_PARKED)
            return "parked", None
        if isinstance(outcome, Blocked):
            await self._enqueue(outcome.jobs)
            return "blocked", None
        if isinstance(outcome, Requeue):
            await self._requeue(job, log)
            return "requeued", None
        skipped = isinstance(outcome, Skipped)
        done = outcome if isinstance(outcome, Done) else Done()
        finished = await self._persistently(
            lambda: self._runs.finish(
                job, done.result, skipped=skipped, also=done.also, continuation=self._continuation()
            )
        )
        await self._enqueue(finished.jobs)
        log.info(Log.STAGE_DONE, skipped=skipped)
        if job.stage is FINAL:
            UPLOADS_ENDED.labels("ready", "").inc()
            log.info(Log.UPLOAD_ENDED, status="ready")
        return "skipped" if skipped else "done", finished.following

    def _continuation(self) -> Continuation | None:
        """A process that stops takes no further work."""
        return None if self.stop.is_set() else Continuation(self._rules.worker, self._rules.continues)

    async def _conclude_failure(
        self,
        job: StageJob,
        upload: Upload | None,
        error: SluiceError,
        log: structlog.typing.FilteringBoundLogger,
        *,
        final: bool = False,
    ) -> str:
        """Retry the stage or fail the upload (`final`: always fail it)."""
        note_error(error.code)
        try:
            decision = GiveUp(error.code) if final else await self._decide(job, upload, error)
            if isinstance(decision, GiveUp) and not await self._records_are_current():
                decision = RetryAfter(_STALE_RECORDS_SECONDS)
            if isinstance(decision, GiveUp):
                await self._persistently(lambda: self._runs.fail(job, error))
                UPLOADS_ENDED.labels("failed", error.code).inc()
                log.warning(Log.STAGE_FAILED, code=error.code, reason=error.message)
                return "failed"
            seconds, outage = decision.seconds, dependency_of(error) is not None
            again = await self._persistently(lambda: self._runs.retry(job, error.code, seconds, outage=outage))
            STAGE_RETRIES.labels(job.stage, error.code).inc()
            log.info(Log.STAGE_RETRIED, code=error.code, reason=error.message, after_seconds=round(seconds, 3))
            await self._enqueue([again], seconds)
        except StageLost:
            await self._acknowledge_end(job)
            return "lost"
        except DependencyUnavailable as unavailable:  # only while the worker stops: the lease lapses and is taken over
            log.warning(Log.STAGE_LOST, when="end", code=unavailable.code)
            return "lost"
        except Exception:  # as above
            log.exception(Log.STAGE_LOST, when="end")
            return "lost"
        return "retried"

    async def _decide(self, job: StageJob, upload: Upload | None, error: SluiceError) -> RetryAfter | GiveUp:
        dependency = dependency_of(error)
        if dependency is not None:
            outage = await self._persistently(lambda: self._runs.record_outage(job, dependency))
            budget_seconds = self._rules.budget.seconds_for(dependency)
            return decide_outage(error, outage, budget_seconds, outage_policy(dependency), random.random())
        assert upload is not None  # noqa: S101  # without its record, only a crash is known of it
        policy = RetryPolicy(TRANSPORTS[upload.transport].graph[job.stage].max_attempts)
        return decide(error, upload.stages[job.stage].own_attempt, policy, random.random())

    async def _records_are_current(self) -> bool:
        try:
            return await self._records.up_to_date()
        except SluiceError:  # unknown
            return False

    async def _requeue(self, job: StageJob, log: structlog.typing.FilteringBoundLogger) -> None:
        try:
            again = await self._runs.requeue(job)
        except SluiceError:
            await self._acknowledge_end(job)
        except Exception:  # the lease lapses
            log.exception(Log.STAGE_LOST, when="end")
        else:
            log.info(Log.STAGE_REQUEUED)
            await self._enqueue([again])

    async def _enqueue(self, jobs: Sequence[StageJob], after_seconds: float = 0.0) -> None:
        for job in jobs:
            log = logger(upload_id=job.upload_id, stage=str(job.stage))
            try:
                await self._queue.enqueue(job, after_seconds)
            except DependencyUnavailable:  # take-over enqueues it again
                continue
            except Exception:  # as above
                log.exception(Log.STAGE_LOST, when="enqueue")

    async def _acknowledge_end(self, job: StageJob) -> None:
        log = logger(upload_id=job.upload_id, stage=str(job.stage))
        try:
            await self._runs.acknowledge_end(job)
        except SluiceError:  # the lease lapses
            return
        except Exception:  # as above
            log.exception(Log.STAGE_LOST, when="end")

    async def _persistently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat `call` while Redis is unavailable, so that finished work is not lost. Raises StageLost if another run
        has started meanwhile."""
        while True:
            try:
                return await call()
            except DependencyUnavailable:
                if self.stop.is_set():
                    raise
                await asyncio.sleep(_REDIS_RETRY_SECONDS)


def _crashed(job: StageJob, reason: str) -> SluiceError:
    return SluiceError("STAGE_CRASHED", stage=str(job.stage), reason=reason)
