"""Each sweep handles the items after one that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from pipeline.core.cells import in_cell
from pipeline.core.errors import RequestError, StoreError, StoreUnavailable
from pipeline.core.lifecycle import Status
from pipeline.core.model import StageJob
from pipeline.core.stages import Stage
from pipeline.core.stored_objects import object_key
from pipeline.engine.takeover import TakeOver
from pipeline.upkeep.cleanup import Cleanup, CleanupQueue
from pipeline.upkeep.expiry import Expiry
from pipeline.upkeep.orphaned_files import OrphanedFiles
from pipeline.upkeep.orphaned_objects import OrphanedObjects, OrphanRules
from pipeline.uploads.recovery import Recovery

pytestmark = pytest.mark.unit

ERRORS = [StoreUnavailable(reason="503"), StoreError("STORE_REJECTED", reason="405"), KeyError("name"), ValueError()]
ids = pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{type(error).__name__}")


class Recorder:
    """Any collaborator: every method records its first argument and raises `error` for the item `bad`."""

    def __init__(self, error: Exception, bad: str = "b") -> None:
        self.done: dict[str, list[str]] = {}
        self._error = error
        self._bad = bad

    def __getattr__(self, name: str) -> Any:
        async def call(item: Any, *rest: Any) -> Any:
            await asyncio.sleep(0)
            key = getattr(item, "upload_id", item)
            if key in (self._bad, object_key(self._bad)):
                raise self._error
            self.done.setdefault(name, []).append(key)

        return call


async def returning(value: Any) -> Any:
    return value


def job(upload_id: str) -> StageJob:
    return StageJob(upload_id, Stage.SEAL, 1, "v")


@ids
async def test_take_over(error: Exception) -> None:
    queue = Recorder(error)
    overdue = [SimpleNamespace(job=job(name), dead_token=None, due_in_seconds=0.0) for name in "abc"]
    watch = SimpleNamespace(overdue=lambda limit: returning(overdue))
    await TakeOver(cast(Any, watch), cast(Any, queue)).run()
    assert queue.done["enqueue"] == ["a", "c"]


@ids
async def test_expiry(error: Exception) -> None:
    record = Recorder(error)
    uploads = SimpleNamespace(ids=lambda status, ms, limit: returning(["a", "b", "c"]))
    cell = SimpleNamespace(uploads=uploads, record=record, volume=SimpleNamespace(name="v"))
    rules = SimpleNamespace(waiting_ms=1, direct_ms=1, held_ms=1)
    await Expiry(cast(Any, cell), cast(Any, None), cast(Any, None), cast(Any, rules)).end_idle()
    assert record.done["expire"] == ["a", "c"] * 3


@ids
async def test_stale_jobs(error: Exception) -> None:
    queue = Recorder(error)
    jobs = [job(name) for name in "abc"]
    cell = SimpleNamespace(
        queue=SimpleNamespace(jobs=lambda volume, limit: returning(jobs), discard=queue.discard),
        volume=SimpleNamespace(name="v"),
    )
    watch = SimpleNamespace(stale=lambda found: returning(found))
    await OrphanedFiles(cast(Any, cell), cast(Any, watch), cast(Any, None)).discard_stale_jobs()
    assert queue.done["discard"] == ["a", "c"]


@ids
async def test_recovery_after_a_restart_of_redis(error: Exception) -> None:
    """What fails is tried again by the next run: the volume does not count as recovered before."""
    followed: list[str] = []

    async def follow(run: str) -> None:
        followed.append(run)

    cell = SimpleNamespace(
        uploads=SimpleNamespace(server_run=lambda: returning("run")),
        journals=SimpleNamespace(ids=lambda: returning(["a", "b", "c"])),
        ledger=SimpleNamespace(epoch=lambda: returning(1), follow=follow),
        volume=SimpleNamespace(name="v"),
    )
    recovery = Recovery(cast(Any, cell), cast(Any, None), cast(Any, None), 1.0)
    recorder = Recorder(error)
    recovery.recover = recorder.recover  # type: ignore[method-assign]  # what recovers one upload is not tested here
    await recovery.follow()
    assert recorder.done["recover"] == ["a", "c"]
    assert followed == []


@ids
async def test_cleanups(error: Exception) -> None:
    cleanup = Recorder(error)

    async def clean(upload_id: str) -> bool:
        await cleanup.clean(upload_id)
        return True

    ended = SimpleNamespace(due=lambda volume, limit: returning(["a", "b", "c"]))
    cell = SimpleNamespace(volume=SimpleNamespace(name="v"))
    queue = CleanupQueue(cast(Any, cell), cast(Any, ended), cast(Cleanup, SimpleNamespace(clean=clean)))
    assert await queue.run() == 2
    assert sorted(cleanup.done["clean"]) == ["a", "c"]


@ids
async def test_orphaned_objects(error: Exception) -> None:
    removed = Recorder(error)
    uploads = [SimpleNamespace(upload_id=name, store="s", released_at_ms=10**15, created_at_ms=1) for name in "abc"]

    class Reader:
        async def page(self, status: Status, before: object, limit: int) -> list[Any]:
            first = before is None and status is Status.FAILED
            return [SimpleNamespace(upload=upload) for upload in uploads] if first else []

        async def get(self, upload_id: str) -> Any:
            return SimpleNamespace(status=Status.FAILED, released_at_ms=1, keeps_stored=False)

    class SessionStore:
        name = "s"

        async def open_sessions(self, key_prefix: str = "") -> AsyncIterator[tuple[str, str]]:
            for name in "abc":
                yield object_key(name), "session"

        async def end_session(self, key: str, session: str) -> None:
            await removed.end_session(key)

        async def remove_drafts(self, idle_seconds: float) -> int:
            removed.done["drafts"] = ["all"]
            return 1

    stores = SimpleNamespace(every=lambda: [SessionStore()])
    cleanup = SimpleNamespace(remove_stored=removed.remove_stored)
    sweeper = OrphanedObjects(cast(Any, Reader()), cast(Any, stores), cast(Any, cleanup), OrphanRules())
    await sweeper.sweep()
    assert removed.done == {
        "remove_stored": ["a", "c"],
        "end_session": [object_key("a"), object_key("c")],
        "drafts": ["all"],
    }


@pytest.mark.parametrize(("cells", "ended"), [((), True), ((0,), True), ((0, 12), False), ((12,), False)])
async def test_sessions_of_another_cell_are_left_to_that_cell(cells: tuple[int, ...], ended: bool) -> None:
    """However old they are: its upload may be kept for an operator."""
    name = str(in_cell(UUID("01000000-0000-7000-8000-000000000000"), 12))
    sessions: list[str] = []

    class Nothing:
        async def page(self, status: Status, before: object, limit: int) -> list[Any]:
            return []

        async def get(self, upload_id: str) -> Any:
            raise RequestError("UPLOAD_NOT_FOUND", upload_id=upload_id)

    class SessionStore:
        name = "s"

        async def open_sessions(self, key_prefix: str = "") -> AsyncIterator[tuple[str, str]]:
            yield object_key(name), "session"

        async def end_session(self, key: str, session: str) -> None:
            sessions.append(key)

    stores = SimpleNamespace(every=lambda: [SessionStore()])
    rules = OrphanRules(own=0, cells=frozenset(cells))
    await OrphanedObjects(cast(Any, Nothing()), cast(Any, stores), cast(Any, None), rules).sweep()
    assert sessions == ([object_key(name)] if ended else [])
