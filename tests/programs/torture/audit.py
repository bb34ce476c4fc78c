"""The end of a run: has anything been lost, is anything left over.

Lost: an upload that has not ended, that ended otherwise than its plan allows, or that is `ready` with other bytes than
were sent. Left over: whatever lies in Redis, on the temp volume, in the store or in PostgreSQL and belongs to no upload
that is `ready`, and whatever such an upload should have there and has not.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg

from pipeline.adapters.object_store.names import SEGMENT_PREFIX, segment_name
from pipeline.adapters.redis.reads import hash_all
from pipeline.bootstrap import open_store
from pipeline.core.model import object_key, thumbnail_key
from tests.programs.torture.client import FORGOTTEN, Client, RefusedError, Sent
from tests.programs.torture.schedule import Fate
from tests.programs.torture.world import World

# How an upload may end, and with which error. A cancellation may come too late, and a file be left after its last
# segment.
_HONEST: Final[Mapping[Fate, frozenset[str]]] = {
    Fate.WHOLE: frozenset({"ready"}),
    Fate.NOT_MEDIA: frozenset({"failed NOT_MEDIA"}),
    Fate.CANCELLED: frozenset({"ready", "cancelled UPLOAD_CANCELLED"}),
    Fate.ABANDONED: frozenset({"ready", "expired UPLOAD_EXPIRED"}),
}
_SWEEP_SECONDS = 60.0
_LOOK_SECONDS = 0.5


def ending(sent: Sent) -> str:
    """Status, and the error's code if there is one."""
    error = (sent.view or {}).get("error")
    return f"{sent.status} {error['code']}" if error else sent.status


async def lost(world: World, client: Client, sents: Sequence[Sent]) -> dict[int, str]:
    """By number: what is wrong with it."""
    found: dict[int, str] = {}
    slots = asyncio.Semaphore(8)

    async def judge(sent: Sent) -> None:
        async with slots:
            problem = await _problem(world, client, sent)
        if problem is not None:
            found[sent.plan.number] = problem

    await asyncio.gather(*(judge(sent) for sent in sents))
    return dict(sorted(found.items()))


async def _problem(world: World, client: Client, sent: Sent) -> str | None:
    if sent.error is not None:
        return f"its client was refused: {sent.error}"
    how = ending(sent)
    # Whoever left his upload alone may find that Redis has lost its end.
    if how == FORGOTTEN and world.total_losses and sent.plan.fate in (Fate.CANCELLED, Fate.ABANDONED):
        return None
    if how not in _HONEST[sent.plan.fate]:
        return f"{sent.plan.fate} ended as: {how}"
    if how != "ready":
        return None
    try:
        read = await client.download(f"/v1/contents/{sent.upload_id}/download?via=gateway")
    except RefusedError as refused:
        return f"ready, and then: {refused}"
    if hashlib.sha256(read).digest() != hashlib.sha256(sent.file.data).digest():
        return f"ready with other bytes: {len(read)} instead of {len(sent.file.data)}, or changed"
    content = await client.call("GET", f"/v1/contents/{sent.upload_id}")
    if content["object"]["size_bytes"] != len(sent.file.data):
        return f"ready with a row that says {content['object']['size_bytes']} bytes"
    return None


async def left_over(world: World, sents: Sequence[Sent]) -> list[str]:
    """What is left over when nothing moves any more; waits for what is still being removed."""
    clock = asyncio.get_running_loop().time
    ends_at = clock() + _SWEEP_SECONDS
    while (found := await _everything(world, sents)) and clock() < ends_at:  # noqa: ASYNC110  # in other processes
        await asyncio.sleep(_LOOK_SECONDS)
    return found


async def _everything(world: World, sents: Sequence[Sent]) -> list[str]:
    ready = {str(sent.upload_id): sent for sent in sents if sent.status == "ready"}
    ids = {str(sent.upload_id) for sent in sents if sent.upload_id}
    return [
        *await _in_redis(world, ids),
        *(f"temp file {path.name}" for path in sorted(world.settings.temp_dir.rglob("*")) if path.is_file()),
        *await _in_store(world, ready),
        *await _in_postgres(world, set(ready)),
    ]


async def _in_redis(world: World, ids: set[str]) -> list[str]:
    """Every key but those that an idle cell has, and the records of our uploads."""
    prefix, volume = world.keys.prefix, world.keys.volume(world.settings.volume)
    idle = re.compile(
        rf"{re.escape(prefix)}(uploads|retired|volumes|events|status:\w+|listed:\w+|worker:.+|idempotency:.+|watched_at_ms)"
        rf"|{re.escape(volume)}"
    )
    records = {f"{world.keys.upload(item)}{part}" for item in ids for part in ("", ":received", ":stored")}
    found = [
        f"redis key {key}"
        async for key in world.redis.scan_iter(count=1000)
        if key not in records and not idle.fullmatch(key)
    ]
    books: Mapping[str, str] = await hash_all(world.redis, volume)
    found += [
        f"redis {volume} {name}={books[name]}"
        for name in ("reserved_bytes", "backed_bytes")
        if books.get(name, "0") != "0"
    ]
    for item in sorted(ids):
        record = await hash_all(world.redis, world.keys.upload(item))
        if not (record.get("released_at_ms") or (world.total_losses and not record)):
            found.append(f"not cleaned up: upload {item}")
    return found


async def _in_store(world: World, ready: Mapping[str, Sent]) -> list[str]:
    """Objects and segments, both ways: what is too much, and what is missing."""
    wanted: set[str] = set()
    may_be = {thumbnail_key(item) for item in ready}
    for item, sent in ready.items():
        assert sent.view is not None
        wanted.add(object_key(item))
        if sent.view["segment_count"] > 1 and world.settings.store == "swift":  # S3's parts are no objects
            numbers = range(1, sent.view["segment_count"] + 1)
            wanted |= {SEGMENT_PREFIX + segment_name(item, number) for number in numbers}
    async with open_store(world.settings) as store:
        there = {key async for key in store.list_keys()}
    return [
        *(f"stored {key}" for key in sorted(there - wanted - may_be)),
        *(f"not stored {key}" for key in sorted(wanted - there)),
    ]


async def _in_postgres(world: World, ready: set[str]) -> list[str]:
    connection = await asyncpg.connect(world.settings.database_url.get_secret_value())
    try:
        rows = await connection.fetch("SELECT id::text AS id FROM contents")
        leftovers: int = await connection.fetchval("SELECT count(*) FROM leftovers WHERE done_at IS NULL")
    finally:
        await connection.close()
    there = {row["id"] for row in rows}
    return [
        *(f"row of content {item}" for item in sorted(there - ready)),
        *(f"no row of content {item}" for item in sorted(ready - there)),
        *([f"{leftovers} leftovers in PostgreSQL"] if leftovers else []),
    ]
