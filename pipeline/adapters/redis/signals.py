"""One pub/sub connection per process, which wakes the tasks that wait for a change. Implements `ports.EventFeed`.

Guarantee: a process receives the signals of the uploads and queues that its tasks wait for, and no others. A signal may
come late, twice, or without a cause, but no waiting task misses a change: whenever a subscription becomes active, also
after a reconnection, its tasks are woken and read the current state. Waiting tasks also poll now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Literal

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import InvalidResponse

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.core.errors import DependencyUnavailable
from pipeline.logs import Log, logger
from pipeline.tasks import end_tasks

_RECONNECT_SECONDS = 0.5
_PING_SECONDS = 5.0
_START_SECONDS = 6.0
# Redis confirms a subscription within a millisecond. A task that does not wait for it is woken when it comes.
_CONFIRM_SECONDS = 0.5


class RedisSignals:
    """Listens on a channel for each upload and each queue that a task waits for (`Keys.changed`, `Keys.wake`).

    `problem` says why no signals arrive now; empty if they do.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._waiting: dict[str, dict[asyncio.Event, Collection[str] | None]] = {}
        """By channel: what is set, and for which messages (None: for each)."""
        self._active: set[str] = set()
        """Channels whose subscription Redis has confirmed."""
        self._wanted = asyncio.Event()
        self._tried = asyncio.Event()
        self.problem = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen while the block runs. The block starts once the subscription is active or has failed, or soon if
        neither becomes known."""
        task = asyncio.create_task(self._listen(), name="redis-signals")
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_START_SECONDS):
                    await self._tried.wait()
            yield
        finally:
            await end_tasks(task)

    @contextmanager
    def waiter(
        self, kind: Literal["upload", "queue"], name: str, changes: Collection[str] | None = None
    ) -> Iterator[asyncio.Event]:
        """An event that is set whenever `name` is signalled, and when the subscription becomes active. The waiting task
        clears it. `changes`: only the signals of these kinds of changes set it."""
        event = asyncio.Event()
        channel = self._keys.changed(name) if kind == "upload" else self._keys.wake(name)
        self._waiting.setdefault(channel, {})[event] = changes
        self._wanted.set()
        try:
            yield event
        finally:
            del self._waiting[channel][event]
            if not self._waiting[channel]:
                del self._waiting[channel]
                self._wanted.set()

    @asynccontextmanager
    async def watch(self, upload_id: str, kinds: Collection[str] | None = None) -> AsyncIterator[AsyncIterator[None]]:
        """See `ports.EventFeed`. Every change after the block has begun is signalled."""
        channel = self._keys.changed(upload_id)
        with self.waiter("upload", upload_id, kinds) as event:
            if channel not in self._active and not self.problem:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_CONFIRM_SECONDS):
                        await event.wait()
            if channel in self._active:
                event.clear()
            yield _changes(event)

    async def _listen(self) -> None:
        """Listen until cancelled; no error ends it."""
        log = logger()
        while True:
            pubsub: PubSub = self._redis.pubsub()
            try:
                with translated():
                    await self._follow(pubsub)
            except DependencyUnavailable as error:
                self.problem = error.message
                log.warning(Log.REDIS_UNREACHABLE, code=error.code, reason=error.message)
            except Exception as error:  # a bug; waiting tasks poll
                self.problem = str(error)
                log.exception(Log.REDIS_UNREACHABLE, reason=str(error))
            finally:
                self._active.clear()
                with suppress(DependencyUnavailable), translated():
                    await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py has no types here
            self._tried.set()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _follow(self, pubsub: PubSub) -> None:
        """Wake waiting tasks until an error ends a subscription."""
        await pubsub.subscribe(self._keys.signals)
        self._wanted.set()
        unconfirmed: dict[str, float] = {}
        tasks = [
            asyncio.create_task(self._read(pubsub, unconfirmed)),
            asyncio.create_task(self._subscribe(pubsub, unconfirmed)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            await end_tasks(*tasks)

    async def _subscribe(self, pubsub: PubSub, unconfirmed: dict[str, float]) -> None:
        """Keep the subscriptions equal to what tasks wait for."""
        subscribed: set[str] = set()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            wanted = set(self._waiting)
            old, new = subscribed - wanted, wanted - subscribed
            subscribed = wanted
            if old:
                self._active -= old
                await pubsub.unsubscribe(*old)
            if new:
                unconfirmed.update(dict.fromkeys(new, asyncio.get_running_loop().time()))
                await pubsub.subscribe(*new)

    async def _read(self, pubsub: PubSub, unconfirmed: dict[str, float]) -> None:
        """A subscription is active once Redis has confirmed it: a user without the right to a channel gets an error
        instead."""
        loop = asyncio.get_running_loop()
        unconfirmed[self._keys.signals] = loop.time()
        while True:
            message = await pubsub.get_message(timeout=_PING_SECONDS)
            if message is None:
                if any(loop.time() - since >= _PING_SECONDS for since in unconfirmed.values()):
                    raise InvalidResponse("a subscription was not confirmed")
                await pubsub.ping()  # detects a dead connection
                continue
            channel, kind = message["channel"], message["type"]
            if kind == "subscribe":  # again if redis-py has reconnected by itself
                unconfirmed.pop(channel, None)
                if channel == self._keys.signals:
                    self.problem = ""
                    self._tried.set()
                elif channel in self._waiting:
                    self._active.add(channel)
            for event, changes in self._waiting.get(channel, {}).items():
                if kind == "subscribe" or (kind == "message" and (changes is None or message["data"] in changes)):
                    event.set()


async def _changes(event: asyncio.Event) -> AsyncIterator[None]:
    while True:
        await event.wait()
        event.clear()
        yield
