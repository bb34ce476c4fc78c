"""Deletion: a content's row goes at once, and whatever lies in its store and in caches until it is gone.

Guarantee: from the moment that the row is gone the content is a leftover, and it stays one until its object, manifest,
segments, thumbnail and what a cache holds of them are removed, however often that has to be tried and whoever dies
over it. Everything is found by the content's own id and in the store that it remembers: an object's removal that was
cut off half-way leaves segments which no manifest names, so they are looked for by listing too. Every step may be done
twice, by several at once.

The cache is told twice: first, so that nobody is served what was just deleted, and last, since it may have fetched
once more in between.
"""

from __future__ import annotations

import asyncio
import random

from pipeline.core.errors import SluiceError, StoreUnavailable
from pipeline.core.model import ObjectTarget, object_key
from pipeline.core.retry import jittered
from pipeline.core.segments import SegmentPlan
from pipeline.ports import CachePurge, DeletionRepository, Stores
from pipeline.telemetry import Log, logger
from schemas.deletions import PendingDeletion

_LEASE_SECONDS = 120.0
_AT_ONCE = 4
_BATCH = 50
_BASE_SECONDS = 1.0
_CAP_SECONDS = 600.0
# How long a deletion waits for the store before it leaves the rest to the workers; shorter than clients wait.
_PATIENCE_SECONDS = 15.0
# How long the row of what is gone is kept: longer than a worker can be stuck over a content's last stage.
_REMEMBERED_SECONDS = 7 * 24 * 3600.0


class Deletions:
    """Deletes contents, and removes what is left of them."""

    def __init__(self, repository: DeletionRepository, stores: Stores, purge: CachePurge | None) -> None:
        self._repository = repository
        self._stores = stores
        self._purge = purge

    async def delete(self, content_id: str) -> bool:
        """Delete a content; True when all of it is gone, False when something is left for the workers. Raises
        CONTENT_NOT_FOUND (also when it was deleted before), DependencyUnavailable."""
        leftover = await self._repository.begin(content_id, _LEASE_SECONDS)
        logger(content_id=content_id).info(Log.CONTENT_DELETED, store=leftover.object.store)
        return await self._attempt(leftover, _PATIENCE_SECONDS)

    async def sweep(self) -> int:
        """Try what is due; returns how many leftovers that was. Raises DependencyUnavailable."""
        found = await self._repository.claim(_BATCH, _LEASE_SECONDS)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(leftover: PendingDeletion) -> None:
            async with slots:
                await self._attempt(leftover, _LEASE_SECONDS)

        async with asyncio.TaskGroup() as group:
            for leftover in found:
                group.create_task(one(leftover))
        return len(found)

    async def forget(self) -> None:
        """Drop the rows of what has long been gone. Raises DependencyUnavailable."""
        await self._repository.purge(_REMEMBERED_SECONDS)

    async def _attempt(self, leftover: PendingDeletion, seconds: float) -> bool:
        """Try once, for so long. A failure is written down; where even that fails, it is due when the lease ends."""
        log = logger(content_id=leftover.content_id)
        try:
            try:
                async with asyncio.timeout(seconds):
                    await self._remove(leftover)
            except TimeoutError:
                raise StoreUnavailable(reason=f"removing took longer than {seconds:.0f} s") from None
        except SluiceError as error:
            after_seconds = _backoff(leftover.attempts, error)
            log.warning(Log.DELETION_DEFERRED, code=error.code, reason=error.message, after_seconds=after_seconds)
            try:
                await self._repository.defer(leftover.content_id, (error.code, error.message), after_seconds)
            except SluiceError as away:
                log.warning(Log.DELETION_DEFERRED, code=away.code, reason=away.message)
            return False
        try:
            await self._repository.finish(leftover.content_id)
        except SluiceError as away:
            log.warning(Log.DELETION_DEFERRED, code=away.code, reason=away.message)
            return False
        log.info(Log.DELETION_DONE)
        return True

    async def _remove(self, leftover: PendingDeletion) -> None:
        """Everything, in the order that leaves nothing unnamed: the manifest's segments by the manifest, then what
        else lies under the content's id."""
        stored, thumbnail = leftover.object, leftover.thumbnail
        keys = [stored.key] + ([thumbnail.key] if thumbnail else [])
        failure = await self._purged(keys)
        # What was imported was there before and is somebody else's to delete: only its thumbnail and row are ours.
        if stored.key == object_key(leftover.content_id):
            store = self._stores.named(stored.store)
            await store.delete(stored.key)
            plan = SegmentPlan(max(1, stored.size_bytes), max(1, stored.size_bytes))
            await store.abort(ObjectTarget(leftover.content_id, stored.key, leftover.content_type, plan))
        if thumbnail is not None:
            await self._stores.named(thumbnail.store).delete(thumbnail.key)
        failure = await self._purged(keys)
        if failure is not None:
            raise failure

    async def _purged(self, keys: list[str]) -> SluiceError | None:
        """Tell the cache. A cache that is away does not keep the store from being cleared: its error is returned."""
        if self._purge is None:
            return None
        try:
            for key in keys:
                await self._purge.purge(key)
        except SluiceError as error:
            return error
        return None


def _backoff(attempts: int, error: SluiceError) -> float:
    """Seconds until the next attempt: doubling up to ten minutes, a random part of it, and never before the store said.
    There is no last attempt, and also what was refused for good is tried again: a setting may have been mended."""
    step = min(_CAP_SECONDS, _BASE_SECONDS * 2.0 ** min(attempts, 30))
    asked = getattr(error, "retry_after_seconds", None) or 0.0
    return float(max(asked, jittered(step, random.random())))
