"""Appends to uploads, in Redis: `ports.recording.AppendWriter` and `ports.AppendReader`.

Every change is one script, and so happens completely or not at all.
"""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from pipeline.adapters.redis.jobs import to_jobs
from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.reads import hash_get_many
from pipeline.adapters.redis.refusals import refusal
from pipeline.adapters.redis.scripts import Scripts
from pipeline.core.creation_limits import CreationLimits
from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import Status
from pipeline.core.segments import SegmentPlan
from pipeline.core.tail import Tail
from pipeline.core.windows import on_disk_bytes, room_bytes
from pipeline.ports import AppendBegun, AppendTaken, LengthVerdict


class RedisAppendBoard:
    """Who may append to an upload, the tail that the last append has left, and the length of a file that was not known
    at its creation. `limits`: of its owner; None: none. `requeue_ms`: as for the stage board."""

    def __init__(
        self,
        redis: Redis,
        scripts: Scripts,
        keys: Keys,
        requeue_ms: int = 10_000,
        *,
        limits: CreationLimits | None = None,
    ) -> None:
        self._redis = redis
        self._scripts = scripts
        self._keys = keys
        self._requeue_ms = requeue_ms
        self._limits = limits

    async def appender(self, upload_id: str) -> str | None:
        [appender] = await hash_get_many(self._redis, self._keys.append(upload_id), ["appender"])
        return appender

    async def begin(self, upload_id: str, token: str, *, first: bool, force: bool) -> AppendBegun | AppendTaken:
        reply = await self._scripts.call("append_begin", upload_id=upload_id, token=token, first=first, force=force)
        if reply.get("missing"):
            raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)
        if reply.get("superseded") or reply.get("busy"):
            return AppendTaken(superseded=bool(reply.get("superseded")))
        tail = reply.get("tail")
        return AppendBegun(
            status=Status(reply["status"]),
            takes=reply["takes"],
            run=reply["run"],
            waits=reply["waits"],
            number=reply.get("number"),
            tail=_to_tail(tail) if tail else None,
        )

    async def record(self, upload_id: str, token: str, tail: Tail | None, *, waited: bool) -> bool:
        reply = await self._scripts.call(
            "append_record",
            upload_id=upload_id,
            token=token,
            tail=_to_data(tail) if tail else None,
            waited=waited,
        )
        return bool(reply["recorded"])

    async def restore(self, upload_id: str, tail: Tail) -> bool:
        return bool((await self._scripts.call("append_restore", upload_id=upload_id, tail=_to_data(tail)))["restored"])

    async def check_length(self, upload_id: str, volume: str, token: str, size_bytes: int) -> LengthVerdict:
        limits = self._limits.to_data() if self._limits else None
        return await self._length(upload_id, volume=volume, token=token, size_bytes=size_bytes, limits=limits)

    async def set_length(self, upload_id: str, volume: str, token: str | None, plan: SegmentPlan) -> LengthVerdict:
        final = {
            "segment_count": plan.count,
            "file_bytes": on_disk_bytes(plan.size_bytes),
            "last_bytes": room_bytes(plan, plan.count),
        }
        return await self._length(upload_id, volume=volume, token=token, size_bytes=plan.size_bytes, final=final)

    async def _length(self, upload_id: str, **arguments: Any) -> LengthVerdict:
        reply = await self._scripts.call("append_length", upload_id=upload_id, requeue_ms=self._requeue_ms, **arguments)
        if reply.get("missing"):
            raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)
        if refused := reply.get("refused"):
            raise refusal(refused)
        if reply.get("superseded") or reply.get("short"):
            return LengthVerdict(superseded=bool(reply.get("superseded")), short=bool(reply.get("short")))
        return LengthVerdict(Status(reply["status"]), reply.get("size_bytes"), to_jobs(reply["jobs"]))


def _to_data(tail: Tail) -> dict[str, Any]:
    data: dict[str, Any] = {"number": tail.number, "size_bytes": tail.size_bytes, "crc32c": f"{tail.crc32c:08x}"}
    return data | ({"held": tail.held.hex()} if tail.held else {})


def _to_tail(data: dict[str, Any]) -> Tail:
    return Tail(data["number"], data["size_bytes"], int(data["crc32c"], 16), bytes.fromhex(data.get("held", "")))
