"""The stages of each upload in Redis, each under a lease with a fencing token: `ports.StageRuns`, `StageIdle`,
`StageReads`, `StageResults`, `StageRetries` and `StageWatch`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.jobs import fenced, known_stage, to_job, to_jobs
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.reads import hash_all
from pipeline.adapters.redis.records import from_flat, to_upload
from pipeline.adapters.redis.scripts import Scripts
from pipeline.core.errors import RequestError, SluiceError, UploadEnded
from pipeline.core.model import StageJob
from pipeline.core.reading import MAX_REQUESTS
from pipeline.core.retry import Dependency, Outage
from pipeline.core.stages import Stage, StageState
from pipeline.ports import Continuation, Finished, HeldSegment, OverdueStage, RetriedStage, StageStart

# Admission workers check every second: without a check for this long, Redis was unavailable. A run renews four times
# per lease time, so half a lease time is enough for every run to renew.
_PAUSE_MS = 5_000


class RedisStageBoard:
    """A run that has not renewed its lease for `lease_ms` is taken over. A queued stage that has not started for
    `requeue_ms` is enqueued again, in case its job was lost; enqueueing is idempotent, so that is never too early."""

    def __init__(self, redis: Redis, scripts: Scripts, keys: Keys, lease_ms: int, requeue_ms: int) -> None:
        self._redis = redis
        self._scripts = scripts
        self._keys = keys
        self._lease_ms = lease_ms
        self._requeue_ms = requeue_ms

    @property
    def lease_seconds(self) -> float:
        return self._lease_ms / 1000

    async def _call(self, script: str, job: StageJob, **more: Any) -> dict[str, Any]:
        reply = await self._scripts.call(
            script, upload_id=job.upload_id, stage=str(job.stage), fencing_token=job.fencing_token, **more
        )
        return fenced(job, reply)

    async def start(self, job: StageJob, worker: str) -> StageStart:
        reply = await self._call(
            "stage_start", job, worker=worker, lease_ms=self._lease_ms, requeue_ms=self._requeue_ms
        )
        return _started(reply)

    async def renew(self, job: StageJob) -> None:
        await self._call("stage_renew", job, lease_ms=self._lease_ms)

    async def finish(
        self,
        job: StageJob,
        result: Mapping[str, Any] | None,
        *,
        skipped: bool = False,
        also: Mapping[Stage, Mapping[str, Any] | None] | None = None,
        continuation: Continuation | None = None,
    ) -> Finished:
        more: dict[str, Any] = {}
        if continuation is not None and continuation.stages:
            more = {"continues": dict.fromkeys(map(str, continuation.stages), True), "worker": continuation.worker}
            more["lease_ms"] = self._lease_ms
        reply = await self._call(
            "stage_finish",
            job,
            state="skipped" if skipped else "done",
            result=None if result is None else json.dumps(dict(result)),
            also={str(stage): _outcome(other) for stage, other in also.items()} if also else None,
            requeue_ms=self._requeue_ms,
            **more,
        )
        started = reply.get("started")
        return Finished(to_jobs(reply["jobs"]), (to_job(started["job"]), _started(started)) if started else None)

    async def idle(self, job: StageJob) -> bool:
        return bool((await self._call("stage_idle", job))["idle"])

    async def hold(
        self, job: StageJob, numbers: Collection[int], max_reads: int | None, *, from_store: bool = False
    ) -> Mapping[int, HeldSegment]:
        reply = await self._call(
            "segment_hold", job, numbers=sorted(numbers), max_reads=max_reads, from_store=from_store
        )
        return {
            int(item["number"]): HeldSegment(int(item["crc32c"], 16), item["held"], item["stored"])
            for item in reply["segments"] or ()
        }

    async def want(
        self, job: StageJob, numbers: Collection[int], max_reads: int | None, *, from_store: bool = False
    ) -> bool:
        return bool((await self._park(job, numbers, max_reads, from_store, park=False)).get("waiting"))

    async def park(
        self,
        job: StageJob,
        numbers: Collection[int],
        max_reads: int | None,
        *,
        from_store: bool = False,
        sealed: bool = False,
    ) -> bool:
        return bool((await self._park(job, numbers, max_reads, from_store, sealed=sealed, park=True))["parked"])

    async def _park(
        self,
        job: StageJob,
        numbers: Collection[int],
        max_reads: int | None,
        from_store: bool,
        *,
        sealed: bool = False,
        park: bool,
    ) -> dict[str, Any]:
        return await self._call(
            "stage_park",
            job,
            numbers=sorted(numbers),
            max_reads=max_reads,
            max_requests=MAX_REQUESTS,
            from_store=from_store,
            sealed=sealed,
            park=park,
        )

    async def record_outage(self, job: StageJob, dependency: Dependency) -> Outage:
        reply = await self._call("stage_outage", job, dependency=str(dependency))
        return Outage(seconds=reply["outage_ms"] / 1000, failures=reply["failures"])

    async def retry(self, job: StageJob, error_code: str, after_seconds: float, *, outage: bool = False) -> StageJob:
        reply = await self._call(
            "stage_requeue",
            job,
            count=True,
            outage=outage,
            error_code=error_code,
            after_ms=int(after_seconds * 1000),
            requeue_ms=self._requeue_ms,
        )
        return to_job(reply["job"])

    async def requeue(self, job: StageJob) -> StageJob:
        reply = await self._call("stage_requeue", job, count=False, after_ms=0, requeue_ms=self._requeue_ms)
        return to_job(reply["job"])

    async def fail(self, job: StageJob, error: SluiceError) -> None:
        await self._call("stage_fail", job, error_code=error.code, error_message=error.message)

    async def acknowledge_end(self, job: StageJob) -> None:
        await self._call("stage_stopped", job)

    async def results(self, upload_id: str) -> Mapping[Stage, Mapping[str, Any]]:
        fields = await hash_all(self._redis, self._keys.results(upload_id))
        results = {known_stage(name): json.loads(value) for name, value in fields.items()}
        return {stage: result for stage, result in results.items() if stage}

    async def stale(self, jobs: Sequence[StageJob]) -> Sequence[StageJob]:
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                for job in jobs:
                    fields = [f"stage.{job.stage}.generation", f"stage.{job.stage}.state"]
                    pipe.hmget(self._keys.upload(job.upload_id), fields)
                replies = await pipe.execute()
        live = (str(StageState.QUEUED), str(StageState.RUNNING))
        return [
            job
            for job, (fencing_token, state) in zip(jobs, replies, strict=True)
            if fencing_token != str(job.fencing_token) or state not in live
        ]

    async def retry_now(self, upload_id: str, stage: Stage) -> RetriedStage:
        reply = await self._scripts.call(
            "stage_retry", upload_id=upload_id, stage=str(stage), requeue_ms=self._requeue_ms
        )
        if reply.get("missing"):
            raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)
        if status := reply.get("ended"):
            raise UploadEnded("UPLOAD_ENDED", upload_id=upload_id, status=status)
        job = reply.get("job")
        return RetriedStage(
            StageState(reply["state"]),
            reply["retried"],
            to_job(job) if job else None,
            job.get("dead_token") if job else None,
        )

    async def overdue(self, limit: int) -> Sequence[OverdueStage]:
        reply = await self._scripts.call(
            "stage_overdue", limit=limit, requeue_ms=self._requeue_ms, pause_ms=_PAUSE_MS, grace_ms=self._lease_ms // 2
        )
        return [
            OverdueStage(
                job=to_job(item),
                dead_token=item.get("dead_token"),
                due_in_seconds=item.get("due_in_ms", 0) / 1000,
            )
            for item in reply["jobs"] or ()
        ]


def _started(reply: Mapping[str, Any]) -> StageStart:
    return StageStart(
        waited_seconds=reply["waited_ms"] / 1000,
        takeovers=reply["takeovers"],
        upload=to_upload(from_flat(reply["fields"])),
    )


def _outcome(result: Mapping[str, Any] | None) -> dict[str, str]:
    """Of a stage that another one has done: its result, or None if there was nothing to do."""
    return {"state": "skipped"} if result is None else {"state": "done", "result": json.dumps(dict(result))}
