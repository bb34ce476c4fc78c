"""The audit at the end of a run: is any upload lost, is anything left over.

Lost: an upload that has not ended, that ended in a way its scenario does not allow, or that is `ready` with bytes other
than those sent. Left over: anything in Redis, on the temp volume, in the store or in PostgreSQL that belongs to no
`ready` upload, and anything that is missing there for a `ready` upload.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from pipeline.adapters.object_store.names import SEGMENT_PREFIX, segment_name
from pipeline.adapters.redis.reads import hash_all
from pipeline.bootstrap import open_store
from pipeline.contents.round_trip import CHECK_NAME
from pipeline.core.stored_objects import object_key, thumbnail_key
from tests.programs.torture.client import UNKNOWN, Client, ClientUpload, RefusedError
from tests.programs.torture.other_ways import import_key
from tests.programs.torture.schedule import Scenario, Way
from tests.programs.torture.world import World

# How an upload may end, with the error's code. A cancellation may come too late, and a client may abandon its upload
# after the last segment.
_ALLOWED_ENDINGS: Final[Mapping[Scenario, frozenset[str]]] = {
    Scenario.COMPLETE: frozenset({"ready"}),
    Scenario.NOT_MEDIA: frozenset({"failed NOT_MEDIA"}),
    Scenario.CANCELLED: frozenset({"ready", "cancelled UPLOAD_CANCELLED"}),
    Scenario.ABANDONED: frozenset({"ready", "expired UPLOAD_EXPIRED"}),
}
_CLEANUP_SECONDS = 120.0
# The journal of an ended upload is kept for half a minute, and removed by a worker that may have been killed meanwhile.
_JOURNAL_SECONDS = 90.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Findings:
    """`lost`: what is wrong with an upload, by its number. `left_over`: one line for each item."""

    lost: Mapping[int, str]
    left_over: Sequence[str]

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.left_over)


async def audit(world: World, client: Client, uploads: Sequence[ClientUpload]) -> Findings:
    """Check every upload, and then everything that is stored."""
    lost = await _lost(world, client, uploads)
    return Findings(lost, await _left_over(world, uploads))


def ending(upload: ClientUpload) -> str:
    """The status, followed by the error's code if there is one."""
    error = (upload.view or {}).get("error")
    return f"{upload.status} {error['code']}" if error else upload.status


async def _lost(world: World, client: Client, uploads: Sequence[ClientUpload]) -> dict[int, str]:
    found: dict[int, str] = {}
    slots = asyncio.Semaphore(8)

    async def check(upload: ClientUpload) -> None:
        async with slots:
            problem = await _problem(world, client, upload)
        if problem is not None:
            found[upload.plan.number] = problem

    await asyncio.gather(*(check(upload) for upload in uploads))
    return dict(sorted(found.items()))


async def _problem(world: World, client: Client, upload: ClientUpload) -> str | None:
    scenario = upload.plan.scenario
    if upload.error is not None:
        return f"its client received an error: {upload.error}"
    ended_as = ending(upload)
    # Redis may have lost the end of an upload whose client did not wait for it, and an upload that waited for room, of
    # which no journal knows, or the cancellation of one.
    stopped_early = scenario in (Scenario.CANCELLED, Scenario.ABANDONED)
    if ended_as == UNKNOWN and stopped_early and (world.total_losses or (world.data_losses and upload.waited)):
        return None
    if ended_as == "expired UPLOAD_EXPIRED" and scenario is Scenario.CANCELLED and world.data_losses and upload.waited:
        return None
    if upload.upload_id in world.damaged:
        return None
    if ended_as not in _ALLOWED_ENDINGS[scenario]:
        return f"{scenario} ended as: {ended_as}"
    if ended_as != "ready":
        return None
    sent = upload.file.data
    try:
        read = await client.download(f"/v1/contents/{upload.upload_id}/download?via=gateway")
    except RefusedError as refused:
        return f"ready, but its download failed: {refused}"
    if hashlib.sha256(read).digest() != hashlib.sha256(sent).digest():
        return f"ready with other bytes: {len(read)} bytes read, {len(sent)} bytes sent"
    content = await client.call("GET", f"/v1/contents/{upload.upload_id}")
    if content["object"]["size_bytes"] != len(sent):
        return f"ready with a metadata row that says {content['object']['size_bytes']} bytes, not {len(sent)}"
    return None


async def _left_over(world: World, uploads: Sequence[ClientUpload]) -> list[str]:
    """What is left over once cleanup has had `_CLEANUP_SECONDS` to finish."""
    clock = asyncio.get_running_loop().time
    ends_at = clock() + _CLEANUP_SECONDS
    while (found := await _everything(world, uploads)) and clock() < ends_at:  # noqa: ASYNC110  # in other processes
        await asyncio.sleep(_POLL_SECONDS)
    return found


async def _everything(world: World, uploads: Sequence[ClientUpload]) -> list[str]:
    ready = {str(upload.upload_id): upload for upload in uploads if upload.status == "ready"}
    ids = {str(upload.upload_id) for upload in uploads if upload.upload_id}
    raw = {import_key(upload.plan) for upload in uploads if upload.plan.way is Way.IMPORT}
    forgotten = {item for upload in uploads for item in upload.forgotten}
    # What one primary did not know, another may: such an upload expires.
    unknown = forgotten | {str(upload.upload_id) for upload in uploads if upload.status == UNKNOWN}
    return [
        *await _in_redis(world, ids, unknown),
        *await asyncio.to_thread(_temp_files, world.settings.temp_dir),
        *await _in_store(world, ready, raw, forgotten),
        *await _in_postgres(world, set(ready)),
    ]


def _temp_files(directory: Path) -> list[str]:
    """Every file, except the journals of uploads that ended less than `_JOURNAL_SECONDS` ago."""
    found: list[str] = []
    for path in sorted(directory.rglob("*")):
        with suppress(FileNotFoundError):  # it was removed meanwhile
            is_kept = path.suffix == ".journal-ended" and time.time() - path.stat().st_mtime < _JOURNAL_SECONDS
            if path.is_file() and not is_kept:
                found.append(f"temp file {path.name}")
    return found


async def _in_redis(world: World, ids: set[str], unknown: set[str]) -> list[str]:
    """Keys that an idle cell does not have, except the records of our uploads; reserved bytes; uploads not cleaned
    up. `unknown`: uploads that Redis has lost, which may have no record."""
    prefix, volume = world.keys.prefix, world.keys.volume(world.settings.volume)
    idle = re.compile(
        rf"{re.escape(prefix)}(uploads|retired|volumes|events|status:\w+|listed:\w+|worker:.+|idempotency:.+|placement:.+|watched_at_ms"
        rf"|owned:\w+|owner-day:\d+:\w+|owner-rate:\w+|retired-owners|permit:\w+|switches|stages|stages:samples|workers)"
        rf"|{re.escape(volume)}(:samples|:notified|:news)?"
    )
    records = {
        f"{world.keys.upload(item)}{part}"
        for item in ids | unknown
        for part in ("", ":received", ":stored", ":results")
    }
    found = [
        f"redis key {key}"
        async for key in world.redis.scan_iter(count=1000)
        if not (key in records or idle.fullmatch(key) or await _is_of_earlier_import(world, key))
    ]
    ledger: Mapping[str, str] = await hash_all(world.redis, volume)
    found += [
        f"redis {volume} {name}={ledger[name]}"
        for name in ("reserved_bytes", "backed_bytes")
        if ledger.get(name, "0") != "0"
    ]
    for item in sorted(ids | unknown):
        record = await hash_all(world.redis, world.keys.upload(item))
        if not (record.get("released_at_ms") or (not record and (world.total_losses or item in unknown))):
            found.append(f"not cleaned up: upload {item}")
    return found


async def _is_of_earlier_import(world: World, key: str) -> bool:
    """Whether it is of an import that failed, and was cleaned up, before its client asked again for want of a response:
    that began another one."""
    upload = re.fullmatch(rf"({re.escape(world.keys.upload(''))}[0-9a-f-]{{36}})(:\w+)?", key)
    record = await hash_all(world.redis, upload[1]) if upload else {}
    is_ended = record.get("status") == "failed" and "released_at_ms" in record
    return is_ended and record.get("transport") == Way.IMPORT


async def _in_store(world: World, ready: Mapping[str, ClientUpload], raw: set[str], forgotten: set[str]) -> list[str]:
    """Objects and segments that should not be there, and those that are missing. `raw`: objects to be imported, which
    stay. `forgotten`: direct uploads that Redis has lost; nobody knows what their clients have stored."""
    expected, unknown = set(raw), forgotten | world.damaged
    allowed = {thumbnail_key(item) for item in ready}
    for item, upload in ready.items():
        assert upload.view is not None
        if upload.plan.way is Way.IMPORT or item in world.damaged:
            continue
        expected.add(object_key(item))
        if upload.view["segment_count"] > 1 and world.settings.store == "swift":  # S3's parts are not objects
            numbers = range(1, upload.view["segment_count"] + 1)
            expected |= {SEGMENT_PREFIX + segment_name(item, number) for number in numbers}
    async with open_store(world.settings) as store:
        # A gateway that is killed while it examines the store leaves objects that a later examination removes.
        present = {key async for key in store.list_keys() if CHECK_NAME not in key}
    return [
        *(f"object {key}" for key in sorted(present - expected - allowed) if not any(item in key for item in unknown)),
        *(f"missing object {key}" for key in sorted(expected - present)),
    ]


async def _in_postgres(world: World, ready: set[str]) -> list[str]:
    connection = await asyncpg.connect(world.settings.database_url.get_secret_value())
    try:
        rows = await connection.fetch("SELECT id::text AS id FROM contents")
        pending: int = await connection.fetchval("SELECT count(*) FROM leftovers WHERE done_at IS NULL")
    finally:
        await connection.close()
    present = {row["id"] for row in rows}
    return [
        *(f"row of content {item}" for item in sorted(present - ready)),
        *(f"missing row of content {item}" for item in sorted(ready - present)),
        *([f"{pending} pending deletions in PostgreSQL"] if pending else []),
    ]
