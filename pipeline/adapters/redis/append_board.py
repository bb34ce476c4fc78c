"""Appends to uploads, in Redis: `ports.recording.AppendWriter` and `ports.AppendReader`.

Every change is one script, and so happens completely or not at all.
"""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from pipeline.adapters.redis.keys import Keys
from pipeline.adapters.redis.reads import hash_get_many
from pipeline.adapters.redis.scripts import Scripts
from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import Status
from pipeline.core.tail import Tail
from pipeline.ports import AppendBegun, AppendTaken


class RedisAppendBoard:
    """Who may append to an upload, and the tail that the last append has left."""

    def __init__(self, redis: Redis, scripts: Scripts, keys: Keys) -> None:
        self._redis = redis
        self._scripts = scripts
        self._keys = keys

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


def _to_data(tail: Tail) -> dict[str, Any]:
    data: dict[str, Any] = {"number": tail.number, "size_bytes": tail.size_bytes, "crc32c": f"{tail.crc32c:08x}"}
    return data | ({"held": tail.held.hex()} if tail.held else {})


def _to_tail(data: dict[str, Any]) -> Tail:
    return Tail(data["number"], data["size_bytes"], int(data["crc32c"], 16), bytes.fromhex(data.get("held", "")))
