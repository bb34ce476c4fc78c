"""The engine: runs one stage of one upload under a lease, and decides what its end means.

Guarantee: of all runs of a stage only the latest can write (fencing number); a run whose lease passes to somebody else,
or whose upload ends, is stopped and says so, so that cleaning up never races with it. A failed attempt is retried, or
fails the upload, by `core.retry`: a dependency that is away is waited for by the clock, anything else by attempts.
Whatever the engine could not tell the board (Redis away, process killed) is mended by the board's list of overdue
stages.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import structlog

from pipeline.core.errors import DependencyUnavailable, SluiceError, StageLost
from pipeline.core.model import StageJob
from pipeline.core.retry import GiveUp, OutageBudget, RetryAfter, RetryPolicy, decide, decide_outage
from pipeline.core.stages import FINAL, Stage
from pipeline.core.transports import TRANSPORTS
from pipeline.engine.contract import Blocked, Done, Idle, Outcome, Requeue, Skipped, StageHandler, StageRun
from pipeline.ports import StageBoard, StageQueue, UploadBoard
from pipeline.telemetry import (
    STAGE_RETRIES,
    STAGE_RUNNING,
    STAGE_SECONDS,
    STAGE_WAIT_SECONDS,
    UPLOADS_ENDED,
    Log,
    logger,
)

T = TypeVar("T")

# A file that takes its worker down every time (out of memory, say) must not go round for ever.
_MAX_TAKEOVERS = 20
_REDIS_RETRY_SECONDS = 0.5
_HEARTBEATS_PER_LEASE = 4


class StageEngine:
    """Runs the stages that it has handlers for, on behalf of `worker` (a name for people)."""

    def __init__(
        self,
        stages: StageBoard,
        board: UploadBoard,
        queue: StageQueue,
        handlers: Mapping[Stage, StageHandler],
        worker: str,
        patience: OutageBudget | None = None,
    ) -> None:
        self._stages = stages
        self._board = board
        self._queue = queue
        self._handlers = handlers
        self._worker = worker
        self._patience = patience or OutageBudget()
        self.stop = asyncio.Event()

    async def run(self, job: StageJob) -> None:
        """Run a job to its end. Never raises but CancelledError, and hands the stage back before that."""
        log = logger(upload_id=job.upload_id, stage=str(job.stage), fencing_token=job.fencing_token)
        try:
            started = await self._stages.start(job, self._worker)
            upload = await self._board.get(job.upload_id)
        except StageLost:
            log.debug(Log.STAGE_LOST, when="start")
            return
        except SluiceError as error:
            log.warning(Log.STAGE_LOST, when="start", code=error.code)
            return
        attempt = upload.stages[job.stage].attempt
        log = log.bind(attempt=attempt)
        STAGE_WAIT_SECONDS.labels(job.stage).observe(max(0.0, started.waited_seconds))
        log.info(Log.STAGE_STARTED, waited_seconds=started.waited_seconds)
        began = time.monotonic()
        with STAGE_RUNNING.labels(job.stage).track_inprogress():
            result = await self._guarded(StageRun(job, upload, self.stop), started.takeovers, log)
        STAGE_SECONDS.labels(job.stage, result).observe(time.monotonic() - began)

    async def _guarded(self, run: StageRun, takeovers: int, log: structlog.typing.FilteringBoundLogger) -> str:
        """Run the handler under heartbeats; returns the result's name for the metrics."""
        job = run.job
        attempt = run.upload.stages[job.stage].own_attempt
        try:
            if takeovers > _MAX_TAKEOVERS:
                raise SluiceError("STAGE_CRASHED", stage=str(job.stage), reason=f"its worker died {takeovers} times")
            outcome = await self._handle(run)
            return await self._conclude(job, outcome, log)
        except StageLost:
            log.info(Log.STAGE_LOST, when="run")
            await self._tell(lambda: self._stages.acknowledge_end(job))
            return "lost"
        except asyncio.CancelledError:
            await asyncio.shield(self._requeue(job, log))
            raise
        except SluiceError as error:
            return await self._failed(run, error, attempt if takeovers <= _MAX_TAKEOVERS else 10**6, log)
        except Exception as error:  # a bug in a handler is a failed attempt, not the end of the worker
            log.exception(Log.STAGE_FAILED)
            crashed = SluiceError("STAGE_CRASHED", stage=str(job.stage), reason=type(error).__name__)
            return await self._failed(run, crashed, attempt, log)

    async def _handle(self, run: StageRun) -> Outcome:
        stage = run.job.stage
        limit = TRANSPORTS[run.upload.transport].graph[stage].timeout_seconds
        work = asyncio.ensure_future(self._handlers[stage](run))
        async with self._heartbeats(run.job, work):
            try:
                async with asyncio.timeout(limit):
                    return await work
            except TimeoutError as error:
                raise SluiceError("STAGE_TIMEOUT", stage=str(stage), timeout_seconds=limit) from error
            finally:
                if not work.done():
                    work.cancel()
                    with suppress(asyncio.CancelledError, Exception):
                        await work

    @asynccontextmanager
    async def _heartbeats(self, job: StageJob, work: asyncio.Future[Outcome]) -> AsyncIterator[None]:
        """Renew the lease until the block ends. A lost lease cancels `work` and surfaces as StageLost."""
        lost: list[StageLost] = []

        async def beat() -> None:
            while True:
                await asyncio.sleep(self._stages.lease_seconds / _HEARTBEATS_PER_LEASE)
                try:
                    await self._stages.renew(job)
                except StageLost as error:
                    lost.append(error)
                    work.cancel()
                    return
                except DependencyUnavailable:
                    continue  # while Redis is away nobody else can take the stage over either

        beats = asyncio.create_task(beat())
        try:
            yield
        except asyncio.CancelledError:
            if lost:
                raise lost[0] from None
            raise
        finally:
            beats.cancel()
            await asyncio.wait({beats})

    async def _conclude(self, job: StageJob, outcome: Outcome, log: structlog.typing.FilteringBoundLogger) -> str:
        if isinstance(outcome, Idle):
            return "idle"
        if isinstance(outcome, Blocked):
            await self._enqueue(outcome.jobs)
            return "blocked"
        if isinstance(outcome, Requeue):
            await self._requeue(job, log)
            return "requeued"
        skipped = isinstance(outcome, Skipped)
        result = outcome.result if isinstance(outcome, Done) else None
        following = await self._persistently(lambda: self._stages.finish(job, result, skipped=skipped))
        await self._enqueue(following)
        log.info(Log.STAGE_DONE, skipped=skipped)
        if job.stage is FINAL:
            UPLOADS_ENDED.labels("ready", "").inc()
            log.info(Log.UPLOAD_ENDED, status="ready")
        return "skipped" if skipped else "done"

    async def _failed(
        self, run: StageRun, error: SluiceError, attempt: int, log: structlog.typing.FilteringBoundLogger
    ) -> str:
        job = run.job
        patience = self._patience.seconds_for(error)
        try:
            decision = await self._decide(run, error, attempt, patience)
            if isinstance(decision, GiveUp):
                await self._persistently(lambda: self._stages.fail(job, error))
                UPLOADS_ENDED.labels("failed", error.code).inc()
                log.warning(Log.STAGE_FAILED, code=error.code, reason=error.message)
                return "failed"
            seconds, away = decision.seconds, patience is not None
            again = await self._persistently(lambda: self._stages.retry(job, error.code, seconds, outage=away))
            STAGE_RETRIES.labels(job.stage, error.code).inc()
            log.info(Log.STAGE_RETRIED, code=error.code, reason=error.message, after_seconds=round(seconds, 3))
            await self._enqueue([again], seconds)
        except StageLost:
            await self._tell(lambda: self._stages.acknowledge_end(job))
            return "lost"
        except DependencyUnavailable as away:  # only while the worker stops: the lease lapses, somebody else goes on
            log.warning(Log.STAGE_LOST, when="end", code=away.code)
            return "lost"
        return "retried"

    async def _decide(
        self, run: StageRun, error: SluiceError, attempt: int, patience: float | None
    ) -> RetryAfter | GiveUp:
        policy = RetryPolicy(TRANSPORTS[run.upload.transport].graph[run.job.stage].max_attempts)
        if patience is None:
            return decide(error, attempt, policy, random.random())
        away = await self._persistently(lambda: self._stages.record_outage(run.job))
        return decide_outage(error, away, patience, policy, random.random())

    async def _requeue(self, job: StageJob, log: structlog.typing.FilteringBoundLogger) -> None:
        with suppress(SluiceError):
            again = await self._stages.requeue(job)
            log.info(Log.STAGE_REQUEUED)
            await self._enqueue([again])
            return
        await self._tell(lambda: self._stages.acknowledge_end(job))

    async def _enqueue(self, jobs: Sequence[StageJob], after_seconds: float = 0.0) -> None:
        for job in jobs:
            with suppress(DependencyUnavailable):  # the list of overdue stages brings it back
                await self._queue.enqueue(job, after_seconds)

    async def _tell(self, call: Callable[[], Awaitable[None]]) -> None:
        with suppress(SluiceError):  # the lease lapses by itself
            await call()

    async def _persistently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat while Redis is away: work that is done is not thrown away. Ends by StageLost when somebody else has
        gone on."""
        while True:
            try:
                return await call()
            except DependencyUnavailable:
                if self.stop.is_set():
                    raise
                await asyncio.sleep(_REDIS_RETRY_SECONDS)
