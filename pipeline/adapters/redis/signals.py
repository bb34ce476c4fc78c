"""One pub/sub connection per process, which wakes the tasks that wait for a change. Implements `ports.EventFeed`.

Guarantee: a signal may come late, twice, or without a cause, but no waiting task misses a change: after a reconnection
every task is woken and reads the current state. Waiting tasks also poll now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import InvalidResponse

from pipeline.adapters.redis.errors import translated
from pipeline.adapters.redis.keys import Keys
from pipeline.core.errors import DependencyUnavailable
from pipeline.telemetry import Log, logger

_RECONNECT_SECONDS = 0.5
_PING_SECONDS = 5.0
_START_SECONDS = 6.0


class RedisSignals:
    """Listens on the channels `changed` (payload: an upload's id) and `wake` (payload: a queue's name).

    `problem` says why no signals arrive now; empty if they do.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._channels = {keys.changed: "upload", keys.wake: "queue"}
        self._waiting: dict[tuple[str, str], set[asyncio.Event]] = {}
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
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @contextmanager
    def waiter(self, kind: str, name: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever `name` (an "upload" or a "queue") is signalled. The waiting task clears it."""
        event = asyncio.Event()
        key = (kind, name)
        self._waiting.setdefault(key, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

    @asynccontextmanager
    async def watch(self, upload_id: str) -> AsyncIterator[AsyncIterator[None]]:
        with self.waiter("upload", upload_id) as event:
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
                with suppress(DependencyUnavailable), translated():
                    await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py has no types here
            self._tried.set()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _follow(self, pubsub: PubSub) -> None:
        """Wake waiting tasks until an error ends the subscription. It is active once Redis has confirmed every channel:
        a user without the right to a channel gets an error instead."""
        await pubsub.subscribe(*self._channels)
        to_confirm = len(self._channels)
        while True:
            message = await pubsub.get_message(timeout=_PING_SECONDS)
            if message is None:
                if to_confirm > 0:
                    raise InvalidResponse("a subscription was not confirmed")
                await pubsub.ping()  # detects a dead connection
            elif message["type"] == "subscribe":
                to_confirm -= 1
                if to_confirm <= 0:  # below 0: redis-py has reconnected by itself
                    self.problem = ""
                    self._wake_all()
                    self._tried.set()
            elif message["type"] == "message":
                for event in self._waiting.get((self._channels[message["channel"]], message["data"]), ()):
                    event.set()

    def _wake_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()


async def _changes(event: asyncio.Event) -> AsyncIterator[None]:
    while True:
        await event.wait()
        event.clear()
        yield
