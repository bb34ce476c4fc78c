"""The fault of a store that loses what it had acknowledged: segments of uploads that still arrive.

What the temp volume no longer holds must then be requested from the client again.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

from redis.exceptions import RedisError

from pipeline.adapters.object_store.names import SEGMENT_PREFIX, multipart_name, segment_name
from pipeline.adapters.redis.reads import hash_all
from pipeline.bootstrap import open_store
from pipeline.core.errors import DependencyUnavailable, SluiceError
from pipeline.core.lifecycle import Status
from pipeline.core.stages import Stage
from pipeline.core.stored_objects import object_key
from tests.harness.redis_calls import reply
from tests.programs.torture.schedule import PlannedFault
from tests.programs.torture.world import World

_MOST_SEGMENTS = 3
_RETRY_SECONDS = 0.2
_IN_FLIGHT = frozenset({Status.RECEIVING, Status.PROCESSING})
_SEALED_STATES = frozenset({"running", "done"})


class LoseSegments:
    """Deletes stored segments of one upload: up to three objects of Swift, or all parts of a multipart upload of S3.
    `heal` does nothing: Sluice has to request them again."""

    def __init__(self, world: World, plan: PlannedFault) -> None:
        self._world, self._dice = world, random.Random(plan.seed)

    async def inject(self) -> None:
        # Redis and the store are targets of other faults at the same time.
        with suppress(RedisError, SluiceError):
            upload_id, names = await self._choose()
            try:
                async with open_store(self._world.settings) as store:
                    self._world.harmed.add(upload_id)
                    for name in names:
                        await store.delete(name)
                        self._world.deleted_segments += 1
            finally:
                if names:
                    await self._note_damage(upload_id)

    async def heal(self) -> None:
        pass

    async def _note_damage(self, upload_id: str) -> None:
        """A manifest that was checked before the deletion is complete as far as Sluice can know. That may be so if the
        upload has ended, or if Redis has lost it."""
        while True:
            try:
                fields = await hash_all(self._world.redis, self._world.keys.upload(upload_id))
            except DependencyUnavailable:  # until Redis has recovered from another fault
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            ended = fields.get("status") not in _IN_FLIGHT
            if ended or fields.get(f"stage.{Stage.SEAL}.state") in _SEALED_STATES:
                self._world.damaged.add(upload_id)
            return

    async def _choose(self) -> tuple[str, list[str]]:
        """An upload, and the names of what is deleted. Segments that the temp volume no longer holds come first."""
        redis, keys = self._world.redis, self._world.keys
        uploads = sorted(await redis.zrange(keys.status(Status.RECEIVING), 0, -1))
        self._dice.shuffle(uploads)
        for upload_id in uploads:
            stored = await hash_all(redis, keys.stored(upload_id))
            released = await reply(redis.smembers(f"{keys.upload(upload_id)}:released"))
            numbers = sorted(map(int, released)) or sorted(map(int, stored))
            if not numbers:
                continue
            if self._world.settings.store == "s3":
                session = (await hash_all(redis, keys.upload(upload_id))).get("target_session", "")
                return upload_id, [multipart_name(object_key(upload_id), session)]
            chosen = self._dice.sample(numbers, min(len(numbers), self._dice.randint(1, _MOST_SEGMENTS)))
            return upload_id, [SEGMENT_PREFIX + segment_name(upload_id, number) for number in chosen]
        return "", []
