"""Deletion: a content's row is removed at once; its objects and cached copies are removed until none is left.

Guarantee: once its row is gone, a content is a pending deletion, and remains one until its object, manifest, segments,
thumbnail and cached copies are removed, however often that has to be tried and whichever process dies meanwhile.
Everything is found by the content's id in the store that it remembers. An interrupted removal of an object leaves
segments that no manifest names, so segments are also found by listing. Every step may be repeated, also by several
processes at once. An attempt that fails, for whatever reason, is recorded with its deletion and delays no other one.

The cache is purged twice: first, so that a deleted content is no longer served, and last, since the cache may have
fetched the object again in between.
"""

from __future__ import annotations

import asyncio
import random

from pipeline.core.errors import SluiceError, StoreUnavailable
from pipeline.core.retry import jittered
from pipeline.core.segments import SegmentPlan
from pipeline.core.stored_objects import ObjectTarget, object_key
from pipeline.logs import Log, logger
from pipeline.ports import CachePurge, DeletionRepository, Stores
from pipeline.sweeps import Sweep
from pipeline.telemetry import OLDEST_DELETION_SECONDS, PENDING_DELETIONS
from schemas.deletions import PendingDeletion

_LEASE_SECONDS = 120.0
_CONCURRENCY = 4
_BATCH = 50
_BASE_SECONDS = 1.0
_CAP_SECONDS = 600.0
# How long a request waits for the store before the rest is left to the workers: shorter than clients wait.
_REQUEST_SECONDS = 15.0
# How long the row of a finished deletion is kept: longer than a worker can be delayed in a content's last stage.
_KEPT_SECONDS = 7 * 24 * 3600.0
_REASON_CHARACTERS = 512


class Deletions:
    """Deletes contents."""

    def __init__(self, repository: DeletionRepository, stores: Stores, purge: CachePurge | None) -> None:
        self._repository = repository
        self._stores = stores
        self._purge = purge

    async def delete(self, content_id: str, owner: str | None) -> bool:
        """Delete a content of this owner, or of any; True if nothing of it is left, False if workers have to remove
        the rest. Raises RequestError CONTENT_NOT_FOUND (also if it was deleted before); DependencyUnavailable."""
        pending = await self._repository.begin(content_id, _LEASE_SECONDS, owner)
        logger(content_id=content_id).info(Log.CONTENT_DELETED, store=pending.object.store)
        return await self._attempt(pending, _REQUEST_SECONDS)

    async def sweep(self) -> int:
        """Try every pending deletion that is due; returns how many were due. Raises DependencyUnavailable."""
        due = await self._repository.claim(_BATCH, _LEASE_SECONDS)
        slots = asyncio.Semaphore(_CONCURRENCY)

        async def one(pending: PendingDeletion) -> None:
            async with slots:
                await self._attempt(pending, _LEASE_SECONDS)

        async with asyncio.TaskGroup() as group:  # `_attempt` raises nothing, so no deletion cancels another
            for pending in due:
                group.create_task(one(pending))
        return len(due)

    async def measure(self) -> None:
        """Set the gauges of pending deletions. Raises DependencyUnavailable."""
        pending, oldest_seconds = await self._repository.backlog()
        PENDING_DELETIONS.set(pending)
        OLDEST_DELETION_SECONDS.set(max(0.0, oldest_seconds))

    async def purge(self) -> None:
        """Remove the rows of deletions that finished long ago. Raises DependencyUnavailable."""
        await self._repository.purge(_KEPT_SECONDS)

    async def _attempt(self, pending: PendingDeletion, seconds: float) -> bool:
        """Try once, for at most `seconds`. A failure of any kind is recorded; if that fails too, the deletion is due
        when its lease ends. Raises nothing but cancellation."""
        log = logger(content_id=pending.content_id)
        sweep = Sweep(Log.DELETION_DEFERRED, content_id=pending.content_id)
        error = await self._failure(pending, seconds)
        with sweep.item():
            if error is None:
                await self._repository.finish(pending.content_id)
                log.info(Log.DELETION_DONE)
            else:
                after_seconds = _pause_seconds(pending.attempts, error)
                log.warning(Log.DELETION_DEFERRED, code=error.code, reason=error.message, after_seconds=after_seconds)
                await self._repository.defer(pending.content_id, (error.code, error.message), after_seconds)
        return error is None and not sweep.failed

    async def _failure(self, pending: PendingDeletion, seconds: float) -> SluiceError | None:
        """Why nothing, or not all of it, could be removed; None when nothing is left."""
        log = logger(content_id=pending.content_id)
        try:
            async with asyncio.timeout(seconds):
                await self._remove(pending)
        except TimeoutError:
            return StoreUnavailable(reason=f"removing took longer than {seconds:.0f} s")
        except SluiceError as error:
            return error
        except Exception as error:  # a bug: it must be seen with the deletion that it concerns
            log.exception(Log.DELETION_DEFERRED)
            return SluiceError("DELETION_CRASHED", reason=f"{type(error).__name__}: {error}"[:_REASON_CHARACTERS])
        return None

    async def _remove(self, pending: PendingDeletion) -> None:
        """Remove everything: first the object with the segments that its manifest names, then segments found by
        listing."""
        stored, thumbnail = pending.object, pending.thumbnail
        keys = [stored.key] + ([thumbnail.key] if thumbnail else [])
        await self._purge_cache(keys)
        failures: list[SluiceError] = []
        try:
            await self._remove_object(pending)
        except SluiceError as error:
            failures.append(error)
        if thumbnail is not None:
            await self._stores.named(thumbnail.store).delete(thumbnail.key)
        if failure := await self._purge_cache(keys):
            failures.append(failure)
        if failures:
            raise failures[0]

    async def _remove_object(self, pending: PendingDeletion) -> None:
        """An imported object existed before and is not removed; only its thumbnail and row are Sluice's."""
        stored = pending.object
        if stored.key == object_key(pending.content_id):
            store = self._stores.named(stored.store)
            await store.delete(stored.key)
            await store.abort(_everything(pending))

    async def _purge_cache(self, keys: list[str]) -> SluiceError | None:
        """Purge the cache; returns its error, so that an unavailable cache does not keep the store from being
        cleared."""
        if self._purge is None:
            return None
        try:
            for key in keys:
                await self._purge.purge(key)
        except SluiceError as error:
            return error
        return None


def _everything(pending: PendingDeletion) -> ObjectTarget:
    """Of a content, or of the partial uploads that it was joined from, only the ids are known: what is stored under
    them is found by listing."""
    size_bytes = max(1, pending.object.size_bytes)
    one = SegmentPlan(size_bytes, size_bytes)
    plan = SegmentPlan.joined([one] * len(pending.parts)) if pending.parts else one
    return ObjectTarget(pending.content_id, pending.object.key, pending.content_type, plan, parts=tuple(pending.parts))


def _pause_seconds(attempts: int, error: SluiceError) -> float:
    """Seconds until the next attempt: doubling up to ten minutes, with jitter, and never shorter than the store
    requested. Attempts never end, and permanent errors are retried too: an operator may have fixed a setting."""
    step = min(_CAP_SECONDS, _BASE_SECONDS * 2.0 ** min(attempts, 30))
    requested = getattr(error, "retry_after_seconds", None) or 0.0
    return float(max(requested, jittered(step, random.random())))
