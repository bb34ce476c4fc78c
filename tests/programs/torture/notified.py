"""A webhook for all owners during a run, and the check that its endpoint has been notified of what happened.

An upload that is `ready` without its `content.ready`, and one that failed or expired without its event, count as not
notified; so do events of an upload in the wrong order, unless Redis has lost data meanwhile. Facts of which Redis alone
knew may be lost with its data, so those of uploads that Redis has lost are not required; `content.ready` always is.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from pipeline.adapters.redis.reads import hash_all
from pipeline.bootstrap.webhooks import webhook_management
from pipeline.core.webhooks import SUBSCRIBED
from tests.harness.webhook_receiver import Receiver, webhook_receiver
from tests.programs.torture.client import ClientUpload
from tests.programs.torture.world import World

_SECONDS = 120.0
_POLL_SECONDS = 0.5
_AROUND_SECONDS = 1.0
"""Times of Redis and of this process are compared."""
_EVENTS: Final = {"ready": "content.ready", "failed": "upload.failed", "expired": "upload.expired"}
_ORDER: Final = [str(kind) for kind in SUBSCRIBED]


def _misbehaviour(seed: int) -> Receiver:
    chance = random.Random(seed)
    return Receiver(behave=lambda number: chance.choices(["ok", "fail", "hang", "die"], [80, 12, 3, 5])[0])


@dataclass
class Notified:
    """What the endpoint has received."""

    world: World
    receiver: Receiver

    @property
    def events(self) -> int:
        """Different events that were accepted."""
        return sum(map(len, self.receiver.first_accepted().values()))

    async def problems(self, uploads: Sequence[ClientUpload]) -> list[str]:
        """What is missing or wrong after deliveries have had `_SECONDS` to arrive, a line for each upload."""
        found = await self._problems(uploads)
        with suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS):
                while found:
                    await asyncio.sleep(_POLL_SECONDS)
                    found = await self._problems(uploads)
        return found

    async def _problems(self, uploads: Sequence[ClientUpload]) -> list[str]:
        accepted = self.receiver.first_accepted()
        found = [f"{self.receiver.unverified} requests whose signature was wrong"] if self.receiver.unverified else []
        for upload in uploads:
            types = accepted.get(str(upload.upload_id), [])
            wanted = _EVENTS.get(upload.status)
            may_be_lost = upload.status != "ready" and self.world.data_losses
            if wanted and wanted not in types and not may_be_lost:
                found.append(f"upload {upload.upload_id} is {upload.status}, but the endpoint has {types}")
            if types != sorted(types, key=_ORDER.index) and not await self._may_be_late(str(upload.upload_id)):
                found.append(f"upload {upload.upload_id} has its events in the wrong order: {types}")
        return found

    async def _may_be_late(self, upload_id: str) -> bool:
        """Whether its record was lost, or Redis has lost data while it was in flight: a stage whose end was lost runs
        again, so that its fact is recorded after later ones."""
        record = await hash_all(self.world.redis, self.world.keys.upload(upload_id))
        if not record or "recovered_at_ms" in record:
            return True
        began, ended = (int(record[name]) / 1000 for name in ("created_at_ms", "status_since_ms"))
        return any(began - _AROUND_SECONDS <= at <= ended + _AROUND_SECONDS for at in self.world.data_lost_at)


@asynccontextmanager
async def notified(world: World, seed: int) -> AsyncIterator[Notified]:
    """A webhook whose endpoint listens while the block runs."""
    async with webhook_receiver(_misbehaviour(seed)) as receiver, webhook_management(world.settings) as webhooks:
        _, secret = await webhooks.create(None, receiver.url, [], "torture")
        receiver.secrets.append(secret)
        yield Notified(world, receiver)
