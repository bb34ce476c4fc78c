"""Which segments of an upload have arrived and which are stored, in Redis: `ports.SegmentReader` and `SegmentWriter`.

Every change is one script, and so happens completely or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from redis.asyncio import Redis

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.jobs import fenced, to_jobs
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.reads import hash_all, hash_get_many, members, now_ms
from pipeline.adapters.redis.refusals import refusal
from pipeline.adapters.redis.scripts import Scripts
from pipeline.core.creation_limits import CreationLimits
from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import Status
from pipeline.core.model import StageJob, Upload
from pipeline.core.stored_objects import StoredSegment
from pipeline.ports import PendingSegments, SegmentVerdict, StoredVerdict
from pipeline.ports.recording import Abandoned, ReleaseOrder, SegmentClaim


class RedisSegmentBoard:
    """Redis keeps a crc32c as 8 hex digits. The client of an upload has `lease_ms` after each segment, and that of a
    complete one at least that long to send a segment again that is lost. `limits`: of the owners of files whose length
    is not known; None: none."""

    def __init__(
        self,
        redis: Redis,
        scripts: Scripts,
        keys: Keys,
        requeue_ms: int,
        *,
        lease_ms: int = 900_000,
        limits: CreationLimits | None = None,
    ) -> None:
        self._redis = redis
        self._scripts = scripts
        self._keys = keys
        self._requeue_ms = requeue_ms
        self._lease_ms = lease_ms
        self._limits = limits

    async def received(self, upload_id: str, numbers: Collection[int] | None = None) -> Mapping[int, int]:
        key = self._keys.received(upload_id)
        if numbers is None:
            return {int(number): int(crc, 16) for number, crc in (await hash_all(self._redis, key)).items()}
        wanted = [str(number) for number in numbers]
        values = await hash_get_many(self._redis, key, wanted) if wanted else []
        return {int(number): int(crc, 16) for number, crc in zip(wanted, values, strict=True) if crc is not None}

    async def record_received(
        self,
        upload_id: str,
        number: int,
        size_bytes: int,
        crc32c: int,
        token: str | None = None,
        *,
        restored: bool = False,
        etag: str | None = None,
        appender: str | None = None,
        md5_hex: str = "",
    ) -> SegmentVerdict:
        reply = await self._scripts.call(
            "segment_received",
            upload_id=upload_id,
            number=number,
            size_bytes=size_bytes,
            crc32c=f"{crc32c:08x}",
            md5=md5_hex or None,
            token=token,
            restored=restored,
            etag=etag,
            appender=appender,
            requeue_ms=self._requeue_ms,
            lease_ms=self._lease_ms,
        )
        if reply.get("missing"):
            raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)
        return SegmentVerdict(
            Status(reply["status"]),
            reply["accepted"],
            to_jobs(reply["jobs"]),
            tuple(sorted(reply["wanted"] or ())),
            reply.get("refused"),
        )

    async def claim(
        self, upload_id: str, number: int, token: str, seconds: float, *, end_bytes: int | None = None
    ) -> SegmentClaim:
        reply = await self._scripts.call(
            "segment_claim",
            upload_id=upload_id,
            number=number,
            token=token,
            claim_ms=int(seconds * 1000),
            end_bytes=end_bytes,
            limits=self._limits.to_data() if self._limits and end_bytes is not None else None,
        )
        if refused := reply.get("refused"):
            raise refusal(refused)
        if reply.get("missing"):
            raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)
        crc32c = reply.get("crc32c")
        return SegmentClaim(
            Status(reply["status"]), reply["claimed"], None if crc32c is None else int(crc32c, 16), busy=reply["busy"]
        )

    async def abandon(self, upload_id: str, number: int, token: str | None, *, taken: bool) -> Abandoned:
        reply = await self._scripts.call(
            "segment_abandon", upload_id=upload_id, number=number, token=token, taken=taken
        )
        return Abandoned(reply["punch"], reply["give"])

    async def choose_releases(self, upload_id: str, volume: str, limit: int) -> ReleaseOrder:
        reply = await self._scripts.call("segment_release", upload_id=upload_id, volume=volume, limit=limit)
        released = {int(number): etag for number, etag in reply["released"].items()}
        return ReleaseOrder(reply["windowed"], released, tuple(reply["unfinished"] or ()))

    async def record_given(self, upload_id: str, numbers: Collection[int], *, all_segments: bool = False) -> None:
        named = [*map(str, numbers), *(["*"] if all_segments else [])]
        await self._scripts.call("segment_given", upload_id=upload_id, numbers=named)

    async def unaccounted(self, upload_id: str) -> ReleaseOrder:
        reply = await self._scripts.call("segment_unaccounted", upload_id=upload_id)
        return ReleaseOrder(reply["windowed"], {}, tuple(reply["numbers"] or ()))

    async def released(self, upload_id: str) -> Collection[int]:
        return {int(number) for number in await members(self._redis, self._keys.released(upload_id))}

    async def to_release(self, volume: str, limit: int) -> Sequence[str]:
        latest = await now_ms(self._redis)
        with translated():
            found = await self._redis.zrangebyscore(self._keys.releasing(volume), "-inf", latest, start=0, num=limit)
        return list(found)

    async def invalidate(self, upload_id: str, number: int, crc32c: int, *, wrong_digest: bool = False) -> bool:
        reply = await self._scripts.call(
            "segment_invalidate",
            upload_id=upload_id,
            number=number,
            crc32c=f"{crc32c:08x}",
            code="SEGMENT_DIGEST_WRONG" if wrong_digest else "SEGMENT_CORRUPT",
            lease_ms=self._lease_ms,
        )
        return bool(reply["lost"])

    async def pending(self, job: StageJob, limit: int) -> PendingSegments:
        reply = fenced(job, await self._scripts.call("segment_pending", **_run(job), limit=limit))
        numbers = list(map(int, reply["numbers"] or ()))
        crcs = zip(numbers, reply["crcs"] or (), strict=True)
        md5s = zip(numbers, reply["md5s"] or (), strict=True)
        return PendingSegments(
            {number: int(crc, 16) for number, crc in crcs},
            reply["complete"],
            {number: md5_hex for number, md5_hex in md5s if md5_hex},
        )

    async def record_stored(self, job: StageJob, segment: StoredSegment, *, compared: bool = False) -> StoredVerdict:
        reply = await self._scripts.call(
            "segment_stored",
            **_run(job),
            number=segment.number,
            size_bytes=segment.size_bytes,
            etag=segment.etag,
            compared=compared,
        )
        return StoredVerdict(fenced(job, reply)["released"], reply["complete"])

    async def restore_stored(self, upload_id: str, etags: Mapping[int, str], released: Collection[int]) -> int:
        stored = {str(number): etag for number, etag in etags.items()}
        reply = await self._scripts.call(
            "segment_restore", upload_id=upload_id, stored=stored, released=sorted(released)
        )
        return int(reply["count"])

    async def requeue_segments(self, job: StageJob, numbers: Collection[int]) -> Sequence[StageJob]:
        reply = await self._scripts.call(
            "segment_requeue",
            **_run(job),
            numbers=sorted(numbers),
            lease_ms=self._lease_ms,
            requeue_ms=self._requeue_ms,
        )
        return to_jobs(fenced(job, reply)["jobs"])

    async def stored(self, upload: Upload) -> Sequence[StoredSegment]:
        fields = await hash_all(self._redis, self._keys.stored(upload.upload_id))
        etags = sorted((int(number), etag) for number, etag in fields.items())
        plan, places = upload.plan, upload.places
        return [
            StoredSegment(number, plan.length(number), etag, places[number - 1] if places else None)
            for number, etag in etags
        ]

    async def keep_session(self, upload_id: str, session: str) -> str:
        reply = await self._scripts.call("segment_keep_session", upload_id=upload_id, session=session)
        if reply.get("missing"):
            raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)
        return str(reply["session"])

    async def session_lost(self, job: StageJob, session: str) -> Collection[int]:
        reply = await self._scripts.call("segment_session_lost", **_run(job), session=session, lease_ms=self._lease_ms)
        return [int(number) for number in fenced(job, reply)["numbers"]]

    async def forget_session(self, upload_id: str, session: str) -> None:
        await self._scripts.call("segment_session_lost", upload_id=upload_id, session=session)


def _run(job: StageJob) -> dict[str, str | int]:
    return {"upload_id": job.upload_id, "stage": str(job.stage), "fencing_token": job.fencing_token}
