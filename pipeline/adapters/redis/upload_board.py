"""Records of uploads in flight, in Redis: `ports.UploadReader`, `UploadWriter` and `UploadRebuilder`.

Every change is one script, and so happens completely or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from redis.asyncio import Redis

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.jobs import to_jobs
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.reads import Question, ask_each, hash_all, hash_all_and_one, hash_get_many, now_ms
from pipeline.adapters.redis.records import from_flat, recovered_fields, to_fields, to_snapshot, to_upload
from pipeline.adapters.redis.refusals import refusal
from pipeline.adapters.redis.scripts import Scripts
from pipeline.adapters.redis.server_runs import server_run
from pipeline.core.access import DEFAULT_OWNER, Permit
from pipeline.core.creation_limits import CreationLimits
from pipeline.core.errors import AccessError, RequestError
from pipeline.core.journal import Journal
from pipeline.core.lifecycle import Event, Status
from pipeline.core.model import NewUpload, StageJob, Upload
from pipeline.core.segments import SegmentPlan
from pipeline.core.stored_objects import StoredSegment
from pipeline.core.transports import TRANSPORTS
from pipeline.ports import FoundUploads, UploadSnapshot

# Index entries that one call of `page` may examine, so that a run of expired records cannot block Redis.
_EXAMINED = 1_000
# The uses of a permit are known for longer than any gateway accepts it: tokens have leeway, and clocks differ.
_PERMIT_SECONDS = 3600
# Records of one owner above which those that became no content are kept as briefly as those that received no byte.
_OWNER_RECORDS = 10_000


class RedisUploadBoard:
    """An ended upload can be read for `retention_ms`, one without a byte for `empty_ms`; `requeue_ms` as for the stage
    board. `limits` of what may be created; None: none. A direct upload expires `deadline_ms` after its first grants
    unless every byte has arrived."""

    def __init__(
        self,
        redis: Redis,
        scripts: Scripts,
        keys: Keys,
        retention_ms: int,
        requeue_ms: int = 10_000,
        *,
        empty_ms: int | None = None,
        limits: CreationLimits | None = None,
        deadline_ms: int = 86_400_000,
    ) -> None:
        self._redis = redis
        self._scripts = scripts
        self._keys = keys
        self._retention_ms = retention_ms
        self._requeue_ms = requeue_ms
        self._empty_ms = retention_ms if empty_ms is None else empty_ms
        self._limits = limits
        self._deadline_ms = deadline_ms

    async def create(self, new: NewUpload) -> tuple[Upload, bool]:
        reply = await self._scripts.call(
            "upload_create",
            upload_id=new.upload_id,
            fields=to_fields(new),
            fingerprint=new.fingerprint,
            idempotency_key=new.idempotency_key,
            idempotency_ms=self._retention_ms,
            again=new.again,
            permit=None if new.parts else _permit_use(new),  # its parts are counted
            limits=None if new.parts else self._limits and self._limits.to_data(),
            parts=[{"upload_id": part.upload_id} for part in new.parts] or None,
            requeue_ms=self._requeue_ms,
        )
        if refused := reply.get("refused"):
            raise refusal(refused)
        if reply.get("conflict"):
            raise RequestError("IDEMPOTENCY_KEY_REUSED")
        if reply.get("used_up"):
            raise AccessError("PERMIT_EXCEEDED", reason="it allows no more uploads")
        return to_upload(from_flat(reply["fields"])), reply["created"]

    async def get(self, upload_id: str) -> Upload:
        fields = await hash_all(self._redis, self._keys.upload(upload_id))
        if not fields:
            raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)
        return to_upload(fields)

    async def get_with_segment(self, upload_id: str, number: int) -> tuple[Upload, int | None]:
        key, received = self._keys.upload(upload_id), self._keys.received(upload_id)
        fields, crc32c = await hash_all_and_one(self._redis, key, received, str(number))
        if not fields:
            raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)
        return to_upload(fields), None if crc32c is None else int(crc32c, 16)

    async def owner(self, upload_id: str) -> str | None:
        name, owner = await hash_get_many(self._redis, self._keys.upload(upload_id), ["id", "owner"])
        return None if name is None else owner or DEFAULT_OWNER  # a record from before there were owners names none

    async def permit_id(self, upload_id: str) -> str | None:
        name, permit = await hash_get_many(self._redis, self._keys.upload(upload_id), ["id", "permit"])
        if name is None:
            return None
        return Permit.from_data(json.loads(permit)).permit_id if permit else ""

    async def known(self, upload_ids: Sequence[str]) -> Collection[str]:
        return await self._of(upload_ids, lambda pipe, key: pipe.exists(key))

    async def cleaned(self, upload_ids: Sequence[str]) -> Collection[str]:
        return await self._of(upload_ids, lambda pipe, key: pipe.hexists(key, "released_at_ms"))

    async def _of(self, upload_ids: Sequence[str], question: Question) -> Collection[str]:
        answers = await ask_each(self._redis, [self._keys.upload(name) for name in upload_ids], question)
        return {upload_id for upload_id, answer in zip(upload_ids, answers, strict=True) if answer}

    async def rebuild(
        self, journal: Journal, *, has_file: bool, grants_seconds: float
    ) -> tuple[bool, Sequence[StageJob]]:
        new = journal.new
        status = journal.ended.status if journal.ended else TRANSPORTS[new.transport].begins
        if status is Status.GRANTED and journal.completed:
            status = Status.PROCESSING
        if status is Status.WAITING and has_file:
            status = Status.ADMITTED
        granting = TRANSPORTS[new.transport].begins is Status.GRANTED
        reply = await self._scripts.call(
            "upload_rebuild",
            upload_id=new.upload_id,
            fields=recovered_fields(journal),
            created_at_ms=UUID(new.upload_id).int >> 80,  # RFC 9562, section 5.7: an id begins with its time
            fingerprint=new.fingerprint,
            idempotency_key=new.idempotency_key,
            idempotency_ms=self._retention_ms,
            permit=None if new.parts else _permit_use(new),
            parts=[part.upload_id for part in new.parts] or None,
            status=str(status),
            received={str(number): f"{crc32c:08x}" for number, crc32c in journal.received.items()},
            stored={str(number): etag for number, etag in journal.stored.items()},
            expected={str(number): f"{crc32c:08x}" for number, crc32c in journal.expected.items()},
            md5={str(number): md5 for number in journal.received if (md5 := journal.md5_hex(number))},
            released=sorted(journal.released),
            grants_ms=int(grants_seconds * 1000) if granting else None,
            requeue_ms=self._requeue_ms,
        )
        return reply["created"], to_jobs(reply["jobs"])

    async def snapshot(self, upload_id: str) -> UploadSnapshot:
        found = (await self._scripts.call("upload_snapshots", upload_id=upload_id))["uploads"]
        if not found:
            raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)
        return to_snapshot(found[0])

    async def page(
        self, status: Status | None, before: tuple[int, str] | None, limit: int, *, owner: str | None = None
    ) -> Sequence[UploadSnapshot]:
        """One round trip, unless so many records have expired that the script stops examining before the page is
        full."""
        found: list[UploadSnapshot] = []
        while len(found) < limit:
            before_ms, before_id = before or (None, None)
            reply = await self._scripts.call(
                "upload_snapshots",
                owner=owner,
                status=status and str(status),
                before_ms=before_ms,
                before_id=before_id,
                limit=limit - len(found),
                examine=max(limit, _EXAMINED),
            )
            found += map(to_snapshot, reply["uploads"] or ())
            if "next_id" not in reply:
                break
            before = reply["next_ms"], reply["next_id"]
        return found

    async def search(
        self,
        text: str,
        status: Status | None,
        before: tuple[int, str] | None,
        limit: int,
        examine: int,
        *,
        owner: str | None = None,
    ) -> FoundUploads:
        found: list[UploadSnapshot] = []
        examined = 0
        while True:
            before_ms, before_id = before or (None, None)
            reply = await self._scripts.call(
                "upload_snapshots",
                owner=owner,
                status=status and str(status),
                search="".join(letter.lower() if letter.isascii() else letter for letter in text),
                before_ms=before_ms,
                before_id=before_id,
                limit=limit - len(found),
                examine=min(_EXAMINED, examine - examined),
            )
            found += map(to_snapshot, reply["uploads"] or ())
            examined += reply["examined"]
            if "last_id" not in reply:
                return FoundUploads(found, examined, None)
            before = reply["last_ms"], reply["last_id"]
            if len(found) >= limit or examined >= examine:
                return FoundUploads(found, examined, before)

    async def ids(self, status: Status, older_than_ms: int, limit: int) -> Sequence[str]:
        highest = await now_ms(self._redis) - older_than_ms
        with translated():
            return list(await self._redis.zrangebyscore(self._keys.status(status), "-inf", highest, start=0, num=limit))

    async def apply(self, upload_id: str, event: Event, error: tuple[str, str] | None = None) -> tuple[Status, bool]:
        reply = await self._apply(upload_id, event, error)
        return Status(reply["status"]), reply["changed"]

    async def admit(self, upload_id: str) -> tuple[Status, bool, Sequence[StageJob]]:
        reply = await self._apply(upload_id, Event.ADMIT)
        return Status(reply["status"]), reply["changed"], to_jobs(reply["jobs"])

    async def record_grant(
        self, upload_id: str, valid_seconds: float, *, number: int = 0, least_bytes: int = 0
    ) -> Status:
        reply = await self._scripts.call(
            "upload_grant",
            upload_id=upload_id,
            valid_ms=int(valid_seconds * 1000),
            deadline_ms=self._deadline_ms,
            segment_count=number,
            size_bytes=least_bytes,
            limits=self._limits and self._limits.to_data(),
        )
        if refused := reply.get("refused"):
            raise refusal(refused)
        if reply.get("missing"):
            raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)
        return Status(reply["status"])

    async def complete(
        self, upload_id: str, segments: Sequence[StoredSegment], plan: SegmentPlan | None = None
    ) -> Status:
        etags = [segment.etag for segment in sorted(segments, key=lambda segment: segment.number)]
        fields = {"size_bytes": plan.size_bytes, "segment_bytes": plan.segment_bytes} if plan else None
        reply = await self._scripts.call(
            "upload_complete", upload_id=upload_id, etags=etags, plan=fields, requeue_ms=self._requeue_ms
        )
        if reply.get("missing"):
            raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)
        return Status(reply["status"])

    async def _apply(self, upload_id: str, event: Event, error: tuple[str, str] | None = None) -> dict[str, Any]:
        code, message = error or (None, None)
        reply = await self._scripts.call(
            "upload_apply",
            upload_id=upload_id,
            event=str(event),
            error_code=code,
            error_message=message,
            requeue_ms=self._requeue_ms,
        )
        if reply.get("missing"):
            raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)
        return reply

    async def mark_cleaned(self, upload_id: str, *, forget: bool = True) -> None:
        retention_ms = self._retention_ms if forget else None
        await self._scripts.call(
            "upload_cleaned",
            upload_id=upload_id,
            retention_ms=retention_ms,
            empty_ms=self._empty_ms,
            owner_records=_OWNER_RECORDS if self._limits and self._limits.owner else None,
        )

    async def purge_expired(self, limit: int) -> int:
        return int((await self._scripts.call("upload_purge", limit=limit))["count"])

    async def server_run(self) -> str:
        return await server_run(self._redis, self._keys)


def _permit_use(new: NewUpload) -> dict[str, Any] | None:
    """For the scripts: which permit is used, how often it may be, and until when that is counted."""
    permit = new.permit
    if permit is None:
        return None
    until_ms = (permit.expires_at + _PERMIT_SECONDS) * 1000
    return {"id": permit.permit_id, "count": permit.count, "until_ms": until_ms}
